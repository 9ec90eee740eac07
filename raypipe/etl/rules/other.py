"""Other tables that rules look at: keys of a table, and a profile to compare with."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.types as pt
from pydantic import ValidationError

from raypipe.blocks.frames import from_polars, no_rows, to_polars
from raypipe.blocks.profile import Profile
from raypipe.blocks.table import finish, merge, summarise
from raypipe.errors import ConfigError
from raypipe.etl.reader import DataReader
from raypipe.etl.rules.cells import Cell, UnfitError, missing_column
from raypipe.etl.rules.comparing import is_number
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.wording import shown

_SEED = 0x0DDB


@dataclass(frozen=True)
class Keys:
    """The different keys of a table; a key with a null in it is none."""

    frame: pl.DataFrame
    """Column k0, k1 … a row a key."""
    hashes: npt.NDArray[np.uint64]
    """Of each key."""


def check_columns(path: str, columns: tuple[str, ...]) -> None:
    """Raise ConfigError unless the table can be read, and has these columns."""
    have = table_schema(path).names
    missing = [name for name in columns if name not in have]
    if missing:
        raise ConfigError(f"rule: table {path}: {missing_column(missing[0], have)}")


@functools.lru_cache(maxsize=32)
def table_schema(path: str) -> pa.Schema:
    """The columns of a table."""
    return DataReader(path).source().schema()


@functools.lru_cache(maxsize=8)
def keys_of(path: str, columns: tuple[str, ...], families: tuple[str, ...]) -> Keys:
    """The different keys of a table of any format that `DataReader` reads, kept in this process.

    Two different keys count as equal with odds of about n · m / 2⁶⁴ over n keys here and m there.
    """
    source = DataReader(path).source()
    read = source.open()
    found: list[pl.DataFrame] = []
    for part in source.parts():
        block = to_polars(read(part).block.select(columns))
        cells = [pl.nth(n).cast(_TYPES[family]).alias(f"k{n}") for n, family in enumerate(families)]
        found.append(block.select(cells).drop_nulls().unique())
    if not found:
        found = [pl.DataFrame({f"k{n}": pl.Series([], dtype=_TYPES[family]) for n, family in enumerate(families)})]
    # In order, since workers tell each other of keys by their places.
    frame = pl.concat(found).unique().sort(pl.all())
    return Keys(frame, frame.hash_rows(seed=_SEED).to_numpy())


def hashed(cells: list[Cell], families: tuple[str, ...]) -> pl.Expr:
    """Hash of the key that the cells make up; null where one of them is."""
    struct = pl.struct(
        cell.expr.cast(_TYPES[family]).alias(f"k{n}")
        for n, (cell, family) in enumerate(zip(cells, families, strict=True))
    )

    def hash_keys(keys: pl.Series) -> pl.Series:
        frame = keys.struct.unnest()
        whole = frame.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
        hashes = frame.hash_rows(seed=_SEED)
        return pl.DataFrame([hashes.alias("h"), whole.alias("w")]).select(pl.when("w").then("h")).to_series()

    return struct.map_batches(hash_keys, return_dtype=pl.UInt64)


def families_of(cells: list[Cell], path: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The form in which the keys of both sides are compared; UnfitError where their types cannot be."""
    schema = table_schema(path)
    found = []
    for cell, name in zip(cells, columns, strict=True):
        if name not in schema.names:
            raise UnfitError(f"table {path}: {missing_column(name, schema.names)}")
        other = schema.field(name).type
        mine, theirs = _family(cell.kind), _family(other)
        if "null" in (mine, theirs):
            found.append(theirs if mine == "null" else mine)
        elif mine == theirs:
            found.append(mine)
        elif {mine, theirs} == {"integer", "float"}:
            found.append("float")
        elif {mine, theirs} == {"date", "time"}:
            found.append("time")
        else:
            raise UnfitError(
                f"holds {cell.called}, and {shown(name)} of {path} holds {other}, which cannot be compared"
            )
    return tuple("text" if family == "null" else family for family in found)


_TYPES: dict[str, pl.DataType] = {
    "integer": pl.Int128(),
    "float": pl.Float64(),
    "text": pl.String(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "time": pl.Datetime("us"),
    "zoned": pl.Datetime("us", "UTC"),
}


def _family(kind: pa.DataType) -> str:
    if pt.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        (pt.is_null, "null"),
        (pt.is_integer, "integer"),
        (is_number, "float"),
        (is_text, "text"),
        (pt.is_boolean, "boolean"),
        (pt.is_date, "date"),
    )
    known = next((name for test, name in tests if test(kind)), None)
    if known is None and pt.is_timestamp(kind):
        return "time" if kind.tz is None else "zoned"
    if known is None:
        raise UnfitError(f"holds {kind}, which makes no key")
    return known


@functools.lru_cache(maxsize=8)
def reference_profile(path: str) -> Profile:
    """A saved `profile.json`, or the profile of a table of any format, taken here and now.

    Raises
    ------
    ConfigError
        If it can be read as neither.
    """
    if path.endswith(".json") and Path(path).is_file():
        text = Path(path).read_text(encoding="utf-8")
        if '"columns"' in text[:4096] and '"version"' in text[:4096]:
            try:
                return Profile.model_validate_json(text)
            except ValidationError as error:
                raise ConfigError(f"rule: reference {path} is no profile.json: {error.errors()[0]['msg']}") from None
    source = DataReader(path).source()
    read = source.open()
    state = summarise(from_polars(to_polars(no_rows(source.schema()))))
    for part in source.parts():
        state = merge(state, summarise(read(part).block))
    return finish(state)
