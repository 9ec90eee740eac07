"""Rows of Parquet files, under the schema of all files of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.blocks.frames import from_polars
from raypipe.errors import ReadError
from raypipe.etl.formats.parquet import ParquetFile
from raypipe.etl.formats.parquet_remote import held_locally
from raypipe.etl.formats.schemas import conform
from raypipe.etl.formats.tables import sound


def read_range(file: ParquetFile, start: int, rows: int, schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
    """Rows of a file under the schema of all files, and notes.

    Polars reads, since it is several times faster; what it cannot read goes through pyarrow.

    Raises
    ------
    ReadError
        If the file changed since it was looked at, or its pages are damaged.
    """
    path = Path(file.path)
    file.check_unchanged()
    have = set(file.table_schema.names)
    names = [name for name in schema.names if name in have]
    if not names:
        return conform(None, rows, schema), {}
    stored = dict(zip(file.table_schema.names, file.original_names or file.table_schema.names, strict=True))
    wanted = [stored[name] for name in names]
    if file.remote is None:
        table, notes = _read_rows(file, path, (start, rows), (wanted, names))
    else:
        groups, _ = file.groups_at(start, rows)
        with held_locally(file.remote, groups, wanted) as path:
            table, notes = _read_rows(file, path, (start, rows), (wanted, names))
    return conform(table, rows, schema), notes


def _read_rows(
    file: ParquetFile, path: Path, span: tuple[int, int], columns: tuple[list[str], list[str]]
) -> tuple[pa.Table, dict[str, Any]]:
    """Rows [start, start + rows) of what is at a path, and notes; `columns` are names there and names here."""
    (start, rows), (wanted, names) = span, columns
    frame, why = _read_with_polars(path, start, rows, wanted) if file.polars_reads else (None, "a type it cannot read")
    if frame is not None:
        frame.columns = names
        return from_polars(frame), {}
    return _read_with_pyarrow(file, path, span, wanted).rename_columns(names), {"read_with_pyarrow": why}


def _read_with_polars(path: Path, start: int, rows: int, names: list[str]) -> tuple[pl.DataFrame | None, str]:
    """The rows, or why there are none."""
    try:
        # By selector: a plain name such as "^a$" would be a pattern, and bring another column.
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False).select(cs.by_name(names))
        frame = scan.slice(start, rows).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return None, str(error).strip().splitlines()[0]
    if frame.height != rows or frame.columns != names:
        return None, f"polars read {frame.height} rows of {rows} and {frame.width} columns of {len(names)}"
    return frame, ""


def _read_with_pyarrow(file: ParquetFile, path: Path, span: tuple[int, int], names: list[str]) -> pa.Table:
    """The same rows by pyarrow, from the row groups that hold them."""
    start, rows = span
    groups, first = file.groups_at(start, rows)
    try:
        table = sound(pq.ParquetFile(path).read_row_groups(groups, columns=names, use_threads=False))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReadError(
            f"{file.path}: rows {start:,} to {start + rows:,} cannot be read; the file is damaged there."
            f" ({str(error).strip().splitlines()[0]})"
        ) from error
    return table.select(names).slice(start - first, rows)
