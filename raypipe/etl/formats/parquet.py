"""Parquet files: schemas from footers, and row ranges as parts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.errors import ReadError
from raypipe.etl.formats.parquet_remote import footer_of
from raypipe.etl.formats.rows import RowFile
from raypipe.etl.formats.schemas import has_odd_zone, types_in
from raypipe.etl.formats.tables import names_of
from raypipe.storage.ranges import RemoteFile
from raypipe.storage.source import Place, open_bytes


class ParquetFile(RowFile):
    """A Parquet file whose footer was read."""

    polars_reads: bool = True
    """False: it has a type at which Polars panics, so that pyarrow reads it."""


def read_footer(path: Path | RemoteFile) -> ParquetFile:
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
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, (PermissionError, ReadError)):
            raise
        raise ReadError(_damage(path, size, error)) from error
    names, notes = names_of(path, schema)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    counts = [group.num_rows for group in groups]
    if min(counts, default=0) < 0 or sum(counts) != metadata.num_rows:
        raise ReadError(
            f"{path}: has a damaged footer: it says {metadata.num_rows:,} rows, its row groups {sum(counts):,}. Copy or"
            " write it again."
        )
    return ParquetFile(
        path=str(path),
        size=size,
        mtime_ns=changed_ns,
        rows=metadata.num_rows,
        table_schema=pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)]),
        original_names=tuple(schema.names) if notes else (),
        polars_reads=not any(_panics(kind) for field in schema for kind in types_in(field.type)),
        notes=tuple(f"{path}: {note}" for note in notes),
        group_rows=tuple(counts),
        group_bytes=tuple(group.total_byte_size for group in groups),
        remote=remote,
    )


def _panics(kind: pa.DataType) -> bool:
    return has_odd_zone(kind) or (pa.types.is_fixed_size_list(kind) and not kind.list_size)


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
