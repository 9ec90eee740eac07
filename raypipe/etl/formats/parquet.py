"""Parquet files: schemas from footers, and row ranges as parts."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.blocks.frames import ROW, canonical_type
from raypipe.blocks.kinds import is_time_zone
from raypipe.config import Frozen
from raypipe.errors import ReadError, SchemaError
from raypipe.etl.formats.names import safe_name, unique_names
from raypipe.etl.formats.parquet_remote import footer_of
from raypipe.etl.wording import shown
from raypipe.storage.ranges import RemoteFile
from raypipe.storage.source import Place, open_bytes

_TEXT = pa.large_string()
_INT_BITS = 64


class ParquetFile(Frozen, arbitrary_types_allowed=True):
    """A Parquet file whose footer was read."""

    path: str
    size: int
    mtime_ns: int
    rows: int
    table_schema: pa.Schema
    """Columns under the names that they have in blocks."""
    original_names: tuple[str, ...] = ()
    """Names in the file, where one of them cannot be that of a block; else empty."""
    polars_reads: bool = True
    """False: it has a type at which Polars panics, so that pyarrow reads it."""
    notes: tuple[str, ...] = ()
    group_rows: tuple[int, ...]
    group_bytes: tuple[int, ...]
    """Uncompressed."""
    remote: RemoteFile | None = None
    """The object that it is, where it is none of this machine's files."""


@dataclass(frozen=True)
class RowRange:
    """Rows [start, start + rows) of a file, and their estimated size in memory in bytes."""

    start: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class Unified:
    """One schema for several files, and what was changed for it."""

    schema: pa.Schema
    notes: tuple[str, ...]


def read_footer(path: Place) -> ParquetFile:
    """What the footer says.

    Raises
    ------
    ReadError
        If the file is cut off, or its footer is damaged.
    """
    size, changed_ns, remote = 0, 0, None
    try:
        if isinstance(path, RemoteFile):
            metadata, remote = footer_of(path)
            size, schema = remote.size, metadata.schema.to_arrow_schema()
        else:
            stat = path.stat()
            size, changed_ns = stat.st_size, stat.st_mtime_ns
            file = pq.ParquetFile(path)
            schema, metadata = file.schema_arrow, file.metadata
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise ReadError(_damage(path, size, error)) from error
    names, notes = _names_of(path, schema)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return ParquetFile(
        path=str(path),
        size=size,
        mtime_ns=changed_ns,
        rows=metadata.num_rows,
        table_schema=pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)]),
        original_names=tuple(schema.names) if notes else (),
        polars_reads=not any(_panics(kind) for field in schema for kind in _types_in(field.type)),
        notes=tuple(f"{path}: {note}" for note in notes),
        group_rows=tuple(group.num_rows for group in groups),
        group_bytes=tuple(group.total_byte_size for group in groups),
        remote=remote,
    )


def _names_of(path: Place, schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Names that blocks can carry, and what was changed; an empty name is one that they can."""
    if ROW in schema.names:
        raise SchemaError(f"{path}: has a column named {ROW!r}, a name that raypipe keeps for itself. Rename it.")
    repeated = [name for name, times in Counter(schema.names).items() if times > 1]
    if repeated:
        raise SchemaError(f"{path}: has several columns named {shown(repeated[0])}. Write it with unique names.")
    zero = next((field.name for field in schema if _has_zero_inside(field.type)), None)
    if zero is not None:
        raise SchemaError(
            f"{path}: column {shown(zero)} has a field whose name holds a zero character, which blocks cannot carry."
            " Rename that field."
        )
    if any(safe_name(name, 1)[1] for name in schema.names if name):
        return unique_names(schema.names)
    return list(schema.names), []


def _types_in(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The type and those of its fields, at any depth."""
    yield kind
    for index in range(kind.num_fields):
        yield from _types_in(kind.field(index).type)


def _has_zero_inside(kind: pa.DataType) -> bool:
    """Whether a field of a nested type has a zero character in its name."""
    return any("\0" in one.field(index).name for one in _types_in(kind) for index in range(one.num_fields))


def _panics(kind: pa.DataType) -> bool:
    return _has_odd_zone(kind) or (pa.types.is_fixed_size_list(kind) and not kind.list_size)


def _damage(path: Place, size: int, error: Exception) -> str:
    source = open_bytes(path)
    size = size or source.size
    head, tail = source.read_at(0, 4), source.read_at(max(0, size - 4), 4)
    source.close()
    if head == b"PAR1" and tail != b"PAR1":
        what = (
            f"starts as Parquet but does not end as one: it is cut off or was not written to its end ({size:,} bytes)"
        )
    else:
        what = "has a damaged footer"
    return f"{path}: {what}. Copy or write it again. ({str(error).strip().splitlines()[0]})"


def cut_ranges(file: ParquetFile, schema: pa.Schema, target_bytes: int) -> Iterator[RowRange]:
    """Row ranges of about `target_bytes` in memory: row groups together, or pieces of one."""
    names = set(schema.names)
    share = _column_share(file, names)
    start, rows, size, at = 0, 0, 0, 0
    for group_rows, group_bytes in zip(file.group_rows, file.group_bytes, strict=True):
        weight = max(int(group_bytes * share), group_rows * _row_bytes(schema))
        if rows and size + weight > target_bytes * 1.25:
            yield RowRange(start, rows, size)
            start, rows, size = at, 0, 0
        pieces = max(1, round(weight / target_bytes)) if not rows else 1
        if pieces > 1 and group_rows > 1:
            yield from _pieces(at, group_rows, weight, min(pieces, group_rows))
            start, rows, size = at + group_rows, 0, 0
        else:
            rows, size = rows + group_rows, size + weight
        at += group_rows
    if rows:
        yield RowRange(start, rows, size)


def _pieces(start: int, rows: int, size: int, pieces: int) -> Iterator[RowRange]:
    edges = [start + rows * index // pieces for index in range(pieces + 1)]
    for lo, hi in itertools.pairwise(edges):
        yield RowRange(lo, hi - lo, size * (hi - lo) // rows)


def _column_share(file: ParquetFile, names: set[str]) -> float:
    """Share of the file's columns that is read."""
    have = file.table_schema.names
    return sum(name in names for name in have) / len(have) if have else 1.0


def _row_bytes(schema: pa.Schema) -> int:
    """Least bytes of a row in memory: encodings can hide most of it."""
    return sum(field.type.bit_width // 8 if _has_width(field.type) else 16 for field in schema)


def _has_width(kind: pa.DataType) -> bool:
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind))


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
            elif _has_odd_zone(field.type):
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
    if _has_odd_zone(kind):
        kind = pa.timestamp(kind.unit, "UTC")
    return canonical_type(kind) if _travels(kind) else _TEXT


def _travelling(field: pa.Field, path: str) -> pa.DataType:
    try:
        return travelling_type(field.type)
    except pl.exceptions.PolarsError as error:
        raise SchemaError(
            f"{path}: column {shown(field.name)} is {field.type}, which blocks cannot carry. Leave it out with"
            " read_options.columns, or write it as another type."
        ) from error


def _has_odd_zone(kind: pa.DataType) -> bool:
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
