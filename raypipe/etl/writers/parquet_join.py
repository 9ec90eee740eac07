"""Parquet files of one schema as one file: the bytes of their column chunks copied, their footers made one.

Only places in the file change, so that joining costs what copying costs. Names of fields are those of parquet.thrift
in the format's specification.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol

from raypipe.errors import SchemaError
from raypipe.etl.writers.thrift import I16, I64, LIST, STRUCT, Reader, Struct, write_struct
from raypipe.storage.source import ByteSource

MAGIC = b"PAR1"
CHUNK = 8 << 20
TAIL = 8
SCHEMA, ROWS, ROW_GROUPS = 2, 3, 4  # of FileMetaData
COLUMNS, GROUP_OFFSET, ORDINAL = 1, 5, 7  # of RowGroup
CHUNK_OFFSET, META, INDEXES = 2, 3, (4, 5, 6, 7)  # of ColumnChunk
PAGE_OFFSETS, BLOOM = (9, 10, 11), (14, 15)  # of ColumnMetaData
MOST_ORDINALS = 1 << 15


class _Out(Protocol):
    def write(self, data: bytes, /) -> object: ...


class ParquetJoin:
    """Appends files one after the other; `close` writes the footer."""

    def __init__(self, out: _Out) -> None:
        self._write: Callable[[bytes], object] = out.write
        self._write(MAGIC)
        self._at = len(MAGIC)
        self._footer: Struct = {}
        self._groups: list[Struct] = []
        self._rows = 0

    def add(self, source: ByteSource, name: str) -> None:
        """Append a file.

        Raises
        ------
        SchemaError
            If its columns are not those of the files before.
        """
        length = struct.unpack("<I", source.read_at(source.size - TAIL, TAIL)[:4])[0]
        end = source.size - TAIL - length
        footer = Reader(source.read_at(end, length)).struct()
        if self._footer and footer[SCHEMA] != self._footer[SCHEMA]:
            raise SchemaError(f"{name}: its columns are not those of the files that it is joined with")
        self._footer = self._footer or footer
        shift = self._at - len(MAGIC)
        for group in footer[ROW_GROUPS][1][1]:
            self._groups.append(_moved(group, shift, len(self._groups)))
        self._rows += footer[ROWS][1]
        for start in range(len(MAGIC), end, CHUNK):
            self._write(source.read_at(start, min(CHUNK, end - start)))
        self._at += end - len(MAGIC)

    def close(self) -> None:
        """Write the footer of the whole."""
        groups = (LIST, (STRUCT, self._groups))
        footer = write_struct({**self._footer, ROWS: (I64, self._rows), ROW_GROUPS: groups})
        self._write(footer + struct.pack("<I", len(footer)) + MAGIC)


def _moved(group: Struct, shift: int, ordinal: int) -> Struct:
    """A row group that lies `shift` bytes further on."""
    kind, columns = group[COLUMNS][1]
    moved = {**group, COLUMNS: (LIST, (kind, [_moved_chunk(chunk, shift) for chunk in columns]))}
    _shift(moved, (GROUP_OFFSET,), shift)
    moved.pop(ORDINAL, None)
    return {**moved, ORDINAL: (I16, ordinal)} if ordinal < MOST_ORDINALS else moved


def _moved_chunk(chunk: Struct, shift: int) -> Struct:
    moved = {field: value for field, value in chunk.items() if field not in INDEXES}  # they hold places of their own
    _shift(moved, (CHUNK_OFFSET,), shift)
    meta: dict[int, tuple[int, Any]] = {field: held for field, held in chunk[META][1].items() if field not in BLOOM}
    _shift(meta, PAGE_OFFSETS, shift)
    return {**moved, META: (STRUCT, meta)}


def _shift(fields: Struct, which: tuple[int, ...], shift: int) -> None:
    for field in which:
        if field in fields and fields[field][1]:  # 0: not told
            fields[field] = (fields[field][0], fields[field][1] + shift)
