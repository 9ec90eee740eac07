"""Schemas of several files as one, and tables under it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import canonical_type
from raypipe.blocks.kinds import is_time_zone
from raypipe.errors import MissingColumnsError, SchemaError
from raypipe.etl.wording import shown

_TEXT = pa.large_string()
_INT_BITS = 64


@dataclass(frozen=True)
class Unified:
    """One schema for several files, and what was changed for it."""

    schema: pa.Schema
    notes: tuple[str, ...]


def unify(files: Sequence[tuple[str, pa.Schema]], columns: Sequence[str] | None = None) -> Unified:
    """One schema that the columns of every file fit into.

    Raises
    ------
    SchemaError
        If a column has types in two files that nothing but their names has in common.
    """
    fields: dict[str, tuple[pa.DataType, str]] = {}
    notes: list[str] = []
    for path, schema in files:
        for field in schema:
            if columns is not None and field.name not in columns:
                continue
            kind = _travelling(field, path)
            if kind == _TEXT and not _travels(field.type):
                notes.append(f"column {field.name!r} is {field.type}, which blocks cannot carry; it is read as text")
            elif has_odd_zone(field.type):
                notes.append(f"column {field.name!r} is {field.type}; its times are the same moments in UTC here")
            if field.name not in fields:
                fields[field.name] = (kind, path)
                continue
            known, first = fields[field.name]
            if known == kind:
                continue
            joined = join_types(known, kind)
            if joined is None:
                raise SchemaError(
                    f"column {field.name!r} is {known} in {first} and {kind} in {path}; no type holds both."
                    " Read them apart, or write one of them with the type of the other."
                )
            if joined != known:
                fields[field.name] = (joined, first)
            notes.append(f"column {field.name!r} is {known} in {first} and {kind} in {path}; it is read as {joined}")
    holding = Counter(name for _, schema in files for name in schema.names)
    missing = [name for name in fields if holding[name] < len(files)]
    notes += [f"column {name!r} is not in every file; it is null where it is missing" for name in missing]
    return Unified(pa.schema([(name, kind) for name, (kind, _) in fields.items()]), tuple(dict.fromkeys(notes)))


def travelling_type(kind: pa.DataType) -> pa.DataType:
    """The type under which a column of a file travels: text where blocks cannot carry its own.

    Examples
    --------
    >>> travelling_type(pa.decimal256(60, 2))
    DataType(large_string)
    """
    if has_odd_zone(kind):
        kind = pa.timestamp(kind.unit, "UTC")
    return canonical_type(kind) if _travels(kind) else _TEXT


def _travelling(field: pa.Field, path: str) -> pa.DataType:
    try:
        return travelling_type(field.type)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException) as error:
        raise SchemaError(
            f"{path}: column {shown(field.name)} is {field.type}, which blocks cannot carry. Leave it out with"
            " read_options.columns, or write it as another type."
        ) from error


def has_odd_zone(kind: pa.DataType) -> bool:
    """Whether it is a time in a zone that only its offset tells, such as +05:30, or that nobody knows."""
    return bool(pa.types.is_timestamp(kind) and kind.tz is not None and not is_time_zone(kind.tz))


def _travels(kind: pa.DataType) -> bool:
    t = pa.types
    return not (t.is_decimal256(kind) or t.is_interval(kind) or t.is_union(kind) or t.is_run_end_encoded(kind))


def join_types(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """The narrowest type that holds the values of both exactly, or as a float64 at least; None if there is none.

    Examples
    --------
    >>> join_types(pa.int32(), pa.int64())
    DataType(int64)
    """
    t = pa.types
    if a == b or t.is_null(b):
        return a
    if t.is_null(a):
        return b
    for one, other in ((a, b), (b, a)):
        if one == _TEXT and _prints(other):
            return _TEXT
        if t.is_date(one) and t.is_timestamp(other):
            return other
        if t.is_floating(one) and (t.is_integer(other) or t.is_floating(other) or t.is_decimal(other)):
            return pa.float64()
        if t.is_decimal(one) and t.is_integer(other):
            return pa.float64()
    if t.is_integer(a) and t.is_integer(b):
        return _join_integers(a, b)
    if t.is_decimal(a) and t.is_decimal(b):
        scale = max(a.scale, b.scale)
        digits = max(a.precision - a.scale, b.precision - b.scale) + scale
        return pa.decimal128(digits, scale) if digits <= 38 else pa.float64()
    if t.is_timestamp(a) and t.is_timestamp(b) and a.tz == b.tz:
        return max((a, b), key=lambda kind: ("s", "ms", "us", "ns").index(kind.unit))
    return None


def _prints(kind: pa.DataType) -> bool:
    t = pa.types
    return bool(t.is_primitive(kind) or t.is_decimal(kind) or t.is_dictionary(kind))


def _join_integers(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    signed = pa.types.is_signed_integer(a) or pa.types.is_signed_integer(b)
    if not signed:
        return max((a, b), key=lambda kind: kind.bit_width)
    bits = max(kind.bit_width * (1 if pa.types.is_signed_integer(kind) else 2) for kind in (a, b))
    return pa.float64() if bits > _INT_BITS else {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[bits]


def types_in(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The type and those of its fields, at any depth."""
    yield kind
    for index in range(kind.num_fields):
        yield from types_in(kind.field(index).type)


def select(schema: pa.Schema, columns: Sequence[str] | None, by: str) -> pa.Schema:
    """The fields of these columns, in their order; all where None. MissingColumnsError for one that is not there."""
    if columns is None:
        return schema
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise MissingColumnsError(by, missing, schema.names)
    return pa.schema([schema.field(name) for name in columns])


def conform(table: pa.Table | None, rows: int, schema: pa.Schema) -> pa.Table:
    """The table under `schema`: columns in its order, types widened, missing columns null."""
    if table is not None and table.schema.equals(schema):
        return table
    have = dict(zip(table.column_names, table.columns, strict=True)) if table is not None else {}
    columns = [
        _cast(have[field.name], field.type) if field.name in have else pa.nulls(rows, field.type) for field in schema
    ]
    return pa.table(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if pa.types.is_integer(column.type) and pa.types.is_floating(kind):
        return column.cast(kind, safe=False)
    return column.cast(kind)
