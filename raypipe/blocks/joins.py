"""Two tables joined on key columns, in an order that does not depend on how their rows are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import data_columns, from_polars, no_rows, to_polars
from raypipe.blocks.order import ascending, check_keys, comparable, polars_types
from raypipe.errors import ConfigError, SchemaError

How = Literal["inner", "left", "right", "full", "semi", "anti"]
POSITIONS = ("p", "q")
"""Columns of `joined_rows` that tell its order."""
_SIGNED = (pl.Int8, pl.Int16, pl.Int32, pl.Int64)
_UNSIGNED = (pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
_FLOATS = (pl.Float16, pl.Float32, pl.Float64)
_UNITS = ("ms", "us", "ns")
_TEXT = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True)
class JoinSpec:
    """A join that has been checked against both schemas."""

    left: pa.Schema
    right: pa.Schema
    on: tuple[str, ...]
    how: How
    names: tuple[str, ...]
    """Columns of the result."""
    kinds: tuple[pl.DataType, ...]
    """Type in which each key is compared, and comes out."""

    @property
    def output_schema(self) -> pa.Schema:
        """Schema of the result."""
        return self.finished(self.nothing).schema

    @property
    def nothing(self) -> pa.Table:
        """No rows of `joined_rows`."""
        left, right = (numbered(self, side, no_rows(side), 0) for side in self.sides)
        return joined_rows(self, left, right)

    @property
    def sides(self) -> tuple[pa.Schema, pa.Schema]:
        """Left and right."""
        return self.left, self.right

    def finished(self, rows: pa.Table) -> pa.Table:
        """Rows of `joined_rows` under the names of the result."""
        return rows.drop_columns(list(POSITIONS)).rename_columns(list(self.names))


def plan_join(left: pa.Schema, right: pa.Schema, on: Sequence[str], how: str, suffix: str) -> JoinSpec:
    """Check a join.

    Raises
    ------
    ConfigError
        If `how` is none of those that there are.
    MissingColumnsError
        If one side lacks a key.
    SchemaError
        If keys differ in type, or two columns of the result would have one name.
    """
    if how not in get_args(How):
        raise ConfigError(f"join: got how={how!r}; wanted one of {', '.join(get_args(How))}")
    check_keys(left, on, by="join, left side")
    check_keys(right, on, by="join, right side")
    ours, theirs = polars_types(left), polars_types(right)
    kinds = []
    for name in on:
        kind = common_type(ours[name], theirs[name])
        if kind is None:
            a, b = left.field(name).type, right.field(name).type
            raise SchemaError(
                f"join: key {name!r} is {a} on the left and {b} on the right; cast one to the other first"
            )
        kinds.append(kind)
    names = list(left.names)
    if how not in ("semi", "anti"):
        rest = [name for name in right.names if name not in on]
        names += [name + suffix if name in left.names else name for name in rest]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(f"join: the result would have {twice[0]!r} twice; take another suffix than {suffix!r}")
    return JoinSpec(left, right, tuple(on), how, tuple(names), tuple(kinds))  # type: ignore[arg-type]  # checked above


def common_type(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    """The type that holds every value of both; None where there is none.

    Examples
    --------
    >>> common_type(pl.Int32(), pl.UInt16()), common_type(pl.Int64(), pl.Float64())
    (Int32, None)
    """
    if a == b:
        return pl.String() if a in _TEXT else a
    for first, second in ((a, b), (b, a)):
        if first == pl.Null:
            return common_type(second, second)
        if first in _SIGNED and second in _UNSIGNED:
            width = max(_SIGNED.index(first.base_type()), _UNSIGNED.index(second.base_type()) + 1)
            return _SIGNED[width]() if width < len(_SIGNED) else None
    for family in (_SIGNED, _UNSIGNED, _FLOATS):
        if a in family and b in family:
            return family[max(family.index(a.base_type()), family.index(b.base_type()))]()
    if a in _TEXT and b in _TEXT:
        return pl.String()
    if isinstance(a, pl.Datetime) and isinstance(b, pl.Datetime) and a.time_zone == b.time_zone:
        return pl.Datetime(max(a.time_unit, b.time_unit, key=_UNITS.index), a.time_zone)
    if isinstance(a, pl.Decimal) and isinstance(b, pl.Decimal):
        scale = max(a.scale, b.scale)
        digits = max((a.precision or 38) - a.scale, (b.precision or 38) - b.scale) + scale
        return pl.Decimal(digits, scale) if digits <= 38 else None
    return None


def numbered(spec: JoinSpec, schema: pa.Schema, table: pa.Table, first: int) -> pl.DataFrame:
    """One side ready for `joined_rows`: columns c0, c1, …, keys k0, k1, …, and row numbers p, counted from `first`."""
    rows = to_polars(table.select(data_columns(table)))
    keys = [rows.to_series(rows.get_column_index(name)) for name in spec.on]
    rows.columns = [f"c{number}" for number in range(rows.width)]
    cast = [_cast(key, kind, name) for key, kind, name in zip(keys, spec.kinds, spec.on, strict=True)]
    compared = [comparable(key) for key in cast]
    if len(compared) == 1 and compared[0].dtype.is_float():
        # Polars 2.1 joins sides of one row by `==`, which NaN does not pass; sides with two keys it does not.
        compared.append(pl.Series([0], dtype=pl.Int8).new_from_index(0, rows.height))
    return rows.with_columns(
        *(key.alias(f"k{number}") for number, key in enumerate(compared)),
        *(key.alias(f"c{schema.names.index(name)}") for key, name in zip(cast, spec.on, strict=True)),
        pl.int_range(first, first + rows.height, dtype=pl.Int64).alias("p"),
    )


def _cast(key: pl.Series, kind: pl.DataType, name: str) -> pl.Series:
    """The key in another type; a time that has no place in it is an error, whatever Polars makes of it."""
    made = key.cast(kind, strict=False)
    if made.dtype != key.dtype and isinstance(kind, pl.Datetime) and not made.cast(key.dtype, strict=False).equals(key):
        raise SchemaError(f"join: key {name!r} has a time that does not fit into {kind}; cast the other side instead")
    return made


def joined_rows(spec: JoinSpec, left: pl.DataFrame, right: pl.DataFrame) -> pa.Table:
    """The joined rows of two sides from `numbered`, in the order of their positions `POSITIONS`.

    In order of the left rows, and for one left row in order of the right ones; rows of the right side that found no
    partner come last. Of a right join the same with the sides changed over. A null key equals none.
    """
    keys = [name for name in left.columns if name.startswith("k")]
    if spec.how in ("semi", "anti"):
        kept = left.join(right.select(keys), on=keys, how=spec.how, nulls_equal=False)
        columns = [_as_it_was(spec, number) for number in range(len(spec.left))]
        return from_polars(kept.sort("p").select(*columns, "p", pl.lit(None, pl.Int64).alias("q")))
    other = right.rename({name: f"r{name}" for name in right.columns if name not in keys})
    if spec.how == "right":
        both = other.join(left, on=keys, how="left", nulls_equal=False)
        order, key_side = ("rp", "p"), "r"
    else:
        both = left.join(other, on=keys, how=spec.how, nulls_equal=False, coalesce=True)
        order, key_side = ("p", "rp"), ""
    ranks = ascending(2).ranks(both.select(order))
    return from_polars(both[ranks].select(*_columns(spec, key_side), *_positions(order)))


def _as_it_was(spec: JoinSpec, number: int) -> pl.Expr:
    """A left column of a semi or anti join, which has no reason to change its type."""
    kind = polars_types(spec.left)[spec.left.names[number]]
    return pl.col(f"c{number}").cast(kind)


def _positions(order: tuple[str, str]) -> list[pl.Expr]:
    return [pl.col(name).alias(place) for name, place in zip(order, POSITIONS, strict=True)]


def _columns(spec: JoinSpec, key_side: str) -> list[pl.Expr]:
    """The columns of the result; a key comes from the side that has it."""
    found = []
    for number, name in enumerate(spec.left.names):
        column = pl.col(f"c{number}")
        if name in spec.on:
            theirs = pl.col(f"rc{spec.right.names.index(name)}")
            if spec.how == "full":
                column = pl.when(pl.col("p").is_not_null()).then(column).otherwise(theirs)
            elif key_side:
                column = theirs
        found.append(column.alias(f"o{number}"))
    rest = [number for number, name in enumerate(spec.right.names) if name not in spec.on]
    return found + [pl.col(f"rc{number}").alias(f"o{len(spec.left) + place}") for place, number in enumerate(rest)]
