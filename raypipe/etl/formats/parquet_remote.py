"""Parquet in buckets: the footer in one request, and of a row group only the columns that are wanted, in few.

The ranges are fetched by `RemoteBytes`, which tries again and checks lengths; Arrow then reads from memory.
"""

from __future__ import annotations

import bisect
import functools
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.storage.objects import AT_A_TIME, RemoteBytes, RemoteFile, look, open_as_it_was

TAIL = 256 << 10
"""Last bytes that are fetched for the footer; most footers are within."""
GAP = 1 << 20
"""Ranges with less than this between them are fetched as one."""
_MARK = 8


def footer_of(file: RemoteFile) -> tuple[pq.FileMetaData, RemoteFile]:
    """What the footer says, and the version of the object that says it."""
    opened = look(file)
    return _read_footer(opened), opened.seen


def read_groups(file: RemoteFile, groups: Sequence[int], names: Sequence[str]) -> pa.Table:
    """Columns of row groups; ReadError if the object is not the one whose footer was read."""
    with open_as_it_was(file) as source:
        metadata = _footer_known(file)
        ranges = _coalesced(_ranges(metadata, groups, frozenset(names)))
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            pieces = list(pool.map(lambda span: source.read_at(span[0], span[1] - span[0]), ranges))
    held = _Held([start for start, _ in ranges], pieces, file.size)
    reader = pq.ParquetFile(pa.PythonFile(held, mode="r"), metadata=metadata, pre_buffer=False)
    return reader.read_row_groups(list(groups), columns=list(names), use_threads=False)


@functools.lru_cache(maxsize=256)
def _footer_known(file: RemoteFile) -> pq.FileMetaData:
    """The footer, once a process for each version of an object."""
    with open_as_it_was(file) as source:
        return _read_footer(source)


def _read_footer(source: RemoteBytes) -> pq.FileMetaData:
    tail = source.read_at(max(0, source.size - TAIL), TAIL)
    length = int.from_bytes(tail[-_MARK:-4], "little") + _MARK
    if TAIL < length <= source.size and tail.endswith(b"PAR1"):
        tail = source.read_at(source.size - length, length)
    return pq.read_metadata(pa.BufferReader(tail))


def _ranges(metadata: pq.FileMetaData, groups: Sequence[int], names: frozenset[str]) -> list[tuple[int, int]]:
    """Bytes of the column chunks that are wanted; a nested column has several."""
    found = []
    for index in groups:
        group = metadata.row_group(index)
        for at in range(group.num_columns):
            column = group.column(at)
            if column.path_in_schema in names or _top(metadata, at) in names:
                starts = [start for start in (column.dictionary_page_offset, column.data_page_offset) if start]
                found.append((min(starts), min(starts) + column.total_compressed_size))
    return sorted(found)


def _top(metadata: pq.FileMetaData, at: int) -> str:
    """The column of the table that a leaf belongs to; its name may hold dots."""
    path: str = metadata.schema.column(at).path
    return path.split(".", 1)[0]


def _coalesced(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that lie close to each other as one.

    Examples
    --------
    >>> _coalesced([(0, 10), (20, 30), (5_000_000, 5_000_010)])
    [(0, 30), (5000000, 5000010)]
    """
    joined: list[tuple[int, int]] = []
    for start, end in ranges:
        if joined and start - joined[-1][1] < GAP:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


class _Held(io.RawIOBase):
    """A file of which some ranges are in memory; nothing else is ever asked for."""

    def __init__(self, starts: list[int], pieces: list[bytes], size: int) -> None:
        self._starts, self._pieces, self._size, self._at = starts, pieces, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> Any:
        wanted = self._size - self._at if size is None or size < 0 else min(size, self._size - self._at)
        index = bisect.bisect_right(self._starts, self._at) - 1
        offset = self._at - self._starts[index] if index >= 0 else 0
        piece = memoryview(self._pieces[index])[offset : offset + wanted] if index >= 0 else memoryview(b"")
        if len(piece) < wanted:
            raise OSError(f"bytes {self._at:,} to {self._at + wanted:,} belong to no column that is wanted")
        self._at += wanted
        return piece
