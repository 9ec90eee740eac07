"""What formats of typed rows have in common: names that blocks can carry, values as they travel, damage in words."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.errors import RaypipeError, ReadError, SchemaError
from raypipe.etl.formats.names import safe_name, unique_names
from raypipe.etl.formats.schemas import has_odd_zone, travelling_type, types_in
from raypipe.etl.wording import shown
from raypipe.storage.packed import PackedFile
from raypipe.storage.ranges import RemoteFile, look
from raypipe.storage.source import Place, open_bytes

_USUAL = (
    pa.ArrowException, OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError,
    RecursionError, AttributeError, ArithmeticError, struct.error, zlib.error, pl.exceptions.PolarsError,
)  # fmt: skip
"""What libraries raise where bytes are not what they should be."""


def stamp_of(place: Place) -> dict[str, Any]:
    """The fields of a `SourceFile` that every file has."""
    if isinstance(place, PackedFile):
        remote = place.inner if isinstance(place.inner, RemoteFile) else None
        size = open_bytes(place).size
        return {"path": str(place), "size": size, "mtime_ns": place.mtime_ns, "remote": remote, "packed": place}
    if isinstance(place, RemoteFile):
        seen = look(place).seen
        return {"path": str(place), "size": seen.size, "mtime_ns": 0, "remote": seen}
    stat = place.stat()
    return {"path": str(place), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


@contextmanager
def damage_told(path: object, what: str, *also: type[Exception]) -> Iterator[None]:
    """Turn what a library says of a damaged file into a ReadError that names the file and what was being read.

    `also`: errors of that library, beside those that are usual.
    """
    try:
        yield
    except (*_USUAL, *also) as error:
        # OSError without a number is Arrow's own; one with a number is of the file system, and may pass.
        if isinstance(error, OSError) and error.errno:
            raise
        if isinstance(error, RaypipeError):
            raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ReadError(f"{path}: {what}. Copy or write it again. ({said})") from error


def names_of(path: Place, schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Names that blocks can carry, and what was changed; an empty name is one that they can."""
    with damage_told(path, "has a column or a field whose name is no text"):
        return _names_of(path, schema)


def _names_of(path: Place, schema: pa.Schema) -> tuple[list[str], list[str]]:
    if ROW in schema.names:
        raise SchemaError(f"{path}: has a column named {ROW!r}, a name that raypipe keeps for itself. Rename it.")
    repeated = [name for name, times in Counter(schema.names).items() if times > 1]
    if repeated:
        raise SchemaError(f"{path}: has several columns named {shown(repeated[0])}. Write it with unique names.")
    zero = next((field.name for field in schema if has_zero_inside(field.type)), None)
    if zero is not None:
        raise SchemaError(
            f"{path}: column {shown(zero)} has a field whose name holds a zero character, which blocks cannot carry."
            " Rename that field."
        )
    if any(safe_name(name, 1)[1] for name in schema.names if name):
        return unique_names(schema.names)
    return list(schema.names), []


def has_zero_inside(kind: pa.DataType) -> bool:
    """Whether a field of a nested type has a zero character in its name."""
    return any("\0" in one.field(index).name for one in types_in(kind) for index in range(one.num_fields))


def named(schema: pa.Schema, names: list[str]) -> pa.Schema:
    """The schema under other names."""
    return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


def sound(table: pa.Table) -> pa.Table:
    """The table; ArrowInvalid if its values are not what its types promise, at which later steps would crash."""
    table.validate()
    for column in table.columns:
        # Dates in milliseconds are often written with a time of day, which says nothing against them.
        column.validate(full=not any(kind == pa.date64() for kind in types_in(column.type)))
    return table


def travelling(table: pa.Table) -> pa.Table:
    """The table with each column under the type it travels with between stages."""
    columns = [_travelling(column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _travelling(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    wanted = travelling_type(kind)
    if kind == wanted:
        return column
    if has_odd_zone(kind):
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    if pa.types.is_large_string(wanted):
        if pa.types.is_interval(kind):
            return pa.chunked_array([pa.array([None if v is None else str(v) for v in column.to_pylist()], wanted)])
        plain = column.cast(pa.string()) if pa.types.is_decimal(kind) else column
        return plain.cast(wanted)
    return pa.chunked_array([pl.Series("", pl.from_arrow(column)).to_arrow()])
