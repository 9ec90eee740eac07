"""Delta tables as a format: one table at one version, its rows cut across its Parquet files."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from raypipe.config import ReadOptions, StorageConfig
from raypipe.errors import ReadError
from raypipe.etl.formats.delta_table import DeltaFile, is_table, look_at_table, vacuumed
from raypipe.etl.formats.format import EVERYWHERE, Look, Spot, Whole
from raypipe.etl.formats.parquet import ParquetFile, read_footer
from raypipe.etl.formats.parquet_rows import read_range
from raypipe.etl.formats.rows import RowFile, RowFormat
from raypipe.etl.formats.schemas import conform
from raypipe.storage.ranges import RemoteFile
from raypipe.storage.source import Place


class DeltaFormat(RowFormat):
    """Tables of Delta Lake."""

    name: ClassVar[str] = "delta"
    title: ClassVar[str] = "Delta"
    extra: ClassVar[str | None] = "delta"
    honours: ClassVar[frozenset[str]] = EVERYWHERE | {"nested", "version", "timestamp"}
    why_refused: ClassVar[str] = "whose log says so itself"

    def whole(self, path: str | Path, storage: StorageConfig) -> Sequence[Spot] | None:
        return (Whole(text=str(path), storage=storage),) if is_table(path, storage) else None

    def look(self, place: Any, options: ReadOptions) -> Look:
        if not isinstance(place, Whole):
            return self.look_whole(self.look_rows(place), options)
        return self.look_whole(look_at_table(place.text, place.storage, options), options)

    def look_rows(self, place: Place) -> RowFile:
        raise ReadError(f"{place}: is a file, and no Delta table. Name the folder that holds its _delta_log.")

    def read_rows(self, file: Any, span: tuple[int, int], schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
        pieces, notes = [], dict[str, Any]()
        for index, start, count in _touched(file, span):
            table, more = _read_data(file, index, (start, count), schema)
            pieces.append(table)
            notes |= more
        return pa.concat_tables(pieces) if pieces else schema.empty_table(), notes


def _touched(file: DeltaFile, span: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """Data files that hold rows [first, first + count) of the table: index, first row there, rows there."""
    first, end, at = span[0], span[0] + span[1], 0
    for index, data in enumerate(file.data):
        lo, hi = max(first, at), min(end, at + data.rows)
        if lo < hi:
            yield index, lo - at, hi - lo
        at += data.rows


def _read_data(
    file: DeltaFile, index: int, span: tuple[int, int], schema: pa.Schema
) -> tuple[pa.Table, dict[str, Any]]:
    """Rows of a data file, counted without the deleted ones, with the values of its partition."""
    (start, count), data = span, file.data[index]
    kept = data.kept()
    chosen = None if kept is None else kept[start : start + count]
    first, last = (start, start + count) if chosen is None else (int(chosen[0]), int(chosen[-1]) + 1)
    try:
        stored = _as_parquet(file.place_of(index), file.physical)
        if stored.rows != data.stored_rows or stored.size != data.size:
            raise ReadError(f"{data.place}: is not the file that the log of its table tells of. Restore it.")
        inside = pa.schema([field for field in schema if field.name not in file.partitions.column_names])
        table, notes = read_range(stored, first, last - first, inside)
    except FileNotFoundError as error:
        raise ReadError(vacuumed(file.path, file.version, data.place)) from error
    if chosen is not None and table.num_columns:
        table = table.take(pa.array((chosen - first).astype(np.int64)))
    values = {
        name: pa.repeat(file.partitions[name][data.partition], count)
        for name in file.partitions.column_names
        if name in schema.names
    }
    # Not appended: a table without columns has forgotten how many rows it has.
    table = pa.table({**{name: table[name] for name in table.column_names}, **values})
    return conform(table, count, schema), notes


@functools.lru_cache(maxsize=64)
def _as_parquet(place: Path | RemoteFile, physical: tuple[tuple[str, str], ...]) -> ParquetFile:
    """A data file with its columns under the names of the table."""
    file = read_footer(place)
    if not physical:
        return file
    names = {stored: name for name, stored in physical}
    stored = file.original_names or tuple(file.table_schema.names)
    fields = [
        field.with_name(names.get(name, f"\x01{name}")) for field, name in zip(file.table_schema, stored, strict=True)
    ]
    return file.replace(table_schema=pa.schema(fields), original_names=stored)
