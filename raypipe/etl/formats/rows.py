"""Formats whose files tell their schema and hold rows in groups: ranges of rows as parts."""

from __future__ import annotations

import functools
import itertools
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from raypipe.config import ReadOptions
from raypipe.errors import ReadError
from raypipe.etl.formats.csv_layout import Take
from raypipe.etl.formats.csv_parse import draw
from raypipe.etl.formats.format import EVERYWHERE, Cut, Cutting, Format, Look, ReadSlice, SourceFile
from raypipe.etl.formats.nested import Shape, physical, shape_of, shaped
from raypipe.etl.formats.schemas import conform
from raypipe.etl.formats.slices import Slice, draw_seed, take_rows
from raypipe.stage import PartRead
from raypipe.storage.source import Place

if TYPE_CHECKING:
    from raypipe.etl.source import TableSource


class RowFile(SourceFile):
    """A file that tells its schema, and how many rows each of its groups has."""

    rows: int
    table_schema: pa.Schema
    """Columns under the names that they have in blocks."""
    original_names: tuple[str, ...] = ()
    """Names in the file, where one of them cannot be that of a block; else empty."""
    group_rows: tuple[int, ...]
    group_bytes: tuple[int, ...]
    """Uncompressed."""

    def groups_at(self, start: int, rows: int) -> tuple[list[int], int]:
        """Groups that hold rows [start, start + rows), and the first row of the first of them."""
        groups, first, at = [], None, 0
        for index, count in enumerate(self.group_rows):
            if at < start + rows and at + count > start:
                groups.append(index)
                first = at if first is None else first
            at += count
        return groups, first or 0


@dataclass(frozen=True)
class RowRange:
    """Rows [start, start + rows) of a file, and their estimated size in memory in bytes."""

    start: int
    rows: int
    bytes: int


class RowFormat(Format):
    """A format of `RowFile`s, cut into ranges of rows."""

    memory_per_byte: ClassVar[int] = 4

    honours: ClassVar[frozenset[str]] = EVERYWHERE | {"nested"}

    @abstractmethod
    def look_rows(self, place: Place) -> RowFile:
        """What the file says of itself."""

    @abstractmethod
    def read_rows(self, file: Any, span: tuple[int, int], schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
        """Rows [first, first + count) of a file under `schema`, all columns of which it has; and notes."""

    def look(self, place: Any, options: ReadOptions) -> Look:
        return self.look_whole(self.look_rows(place), options)

    def look_whole(self, file: RowFile, options: ReadOptions) -> Look:
        """What was looked at, with nested columns as the options want them."""
        shape = shape_of(file.table_schema, options.nested)
        if file.rows and not shape.leaves:
            raise ReadError(f"{file.path}: has {file.rows:,} rows, but no column. Write it with its columns.")
        notes = (*file.notes, *(f"{file.path}: {note}" for note in shape.notes))
        return Look(file.replace(notes=notes), shape.schema, file.rows)

    def cut(self, files: Sequence[RowFile], schema: pa.Schema, how: Cutting) -> Cut:
        slices = row_slices(files, schema, how)
        if how.sample_rows is None:
            return Cut(slices)
        rows = [piece.end - piece.start for piece in slices]
        drawn = min(how.sample_rows, sum(rows))
        note = f"simple random sample of {drawn:,} of {sum(rows):,} rows, exact; only parts with one are read"
        return Cut(tuple(take_rows(slices, rows, how.sample_rows, how.seed)), (note,))

    def open(self, source: TableSource) -> ReadSlice:
        schema = source.read_schema

        @functools.lru_cache(maxsize=64)
        def plan(index: int) -> tuple[Shape, pa.Schema]:
            file: Any = source.files[index]
            shape = shape_of(file.table_schema, source.options.nested)
            return shape, physical(shape, schema, file.table_schema)

        def read(piece: Slice, part_id: str) -> PartRead:
            rows = piece.end - piece.start
            shape, stored = plan(piece.file)
            if stored.names:
                found, notes = self.read_rows(source.files[piece.file], (piece.start, rows), stored)
                if found.num_rows != rows:
                    path = source.paths[piece.file]
                    raise ReadError(
                        f"{path}: said that it has {rows:,} rows behind row {piece.start:,}, and gave"
                        f" {found.num_rows:,}; it is damaged there. Copy or write it again."
                    )
                block = shaped(found, shape, rows, schema)
            else:
                block, notes = conform(None, rows, schema), {}
            if piece.take is None:
                return PartRead(block=block, bytes_read=block.nbytes, notes=notes)
            numbers = pa.array(draw(rows, Take(piece.take, draw_seed(source.seed, part_id))).astype(np.int64))
            return PartRead(block=block.take(numbers), row_numbers=numbers, bytes_read=block.nbytes, notes=notes)

        return read


def row_slices(files: Sequence[RowFile], schema: pa.Schema, how: Cutting) -> tuple[Slice, ...]:
    """Row ranges of all files, up to `max_rows` rows."""
    left, slices = how.max_rows, []
    for index, file in enumerate(files):
        for span in cut_ranges(file, schema, how.target):
            rows = span.rows if left is None else min(span.rows, left)
            if rows:
                size = span.bytes * rows // span.rows
                slices.append(Slice(file=index, start=span.start, end=span.start + rows, rows=rows, bytes=size))
            left = None if left is None else left - rows
    return tuple(slices)


def cut_ranges(file: RowFile, schema: pa.Schema, target_bytes: int) -> Iterator[RowRange]:
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


def _column_share(file: RowFile, names: set[str]) -> float:
    """Share of the file's columns that is read."""
    have = file.table_schema.names
    nested = {name.split(".", 1)[0] for name in names}
    return sum(name in names or name in nested for name in have) / len(have) if have else 1.0


def _row_bytes(schema: pa.Schema) -> int:
    """Least bytes of a row in memory: encodings can hide most of it."""
    return sum(field.type.bit_width // 8 if _has_width(field.type) else 16 for field in schema)


def _has_width(kind: pa.DataType) -> bool:
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind))
