"""Parquet in buckets: the footer in one request, and of a row group only the columns that are wanted, in few.

The ranges are fetched by `RemoteBytes`, which tries again and checks lengths, and are read from memory then.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.storage.ranges import AT_A_TIME, RemoteBytes, RemoteFile, look, open_as_it_was

TAIL = 256 << 10
"""Last bytes that are fetched for the footer; most footers are within."""
GAP = 1 << 20
"""Ranges with less than this between them are fetched as one."""
_MARK = 8


def footer_of(file: RemoteFile) -> tuple[pq.FileMetaData, RemoteFile]:
    """What the footer says, and the version of the object that says it."""
    opened = look(file)
    return _read_footer(opened)[0], opened.seen


@contextmanager
def held_locally(file: RemoteFile, groups: Sequence[int], names: Sequence[str]) -> Iterator[Path]:
    """A file of this process's memory that stands in for the object: it has the footer and the columns of row groups.

    Everything else in it is zeros, and is never asked for. So the readers of local files read objects, with equal
    results. ReadError if the object is not the one whose footer was read.
    """
    with open_as_it_was(file) as source:
        metadata, tail = _footer_known(file)
        ranges = _coalesced(_ranges(metadata, groups, frozenset(names)))
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            pieces = pool.map(lambda span: source.read_at(span[0], span[1] - span[0]), ranges)
            held = [(file.size - len(tail), tail), *((span[0], piece) for span, piece in zip(ranges, pieces))]
    with _memory_file(file.size) as (descriptor, path):
        for offset, piece in held:
            _write_at(descriptor, piece, offset)
        yield path


@contextmanager
def _memory_file(size: int) -> Iterator[tuple[int, Path]]:
    """A file of zeros that takes memory only where it is written, and goes away with the process, however it ends."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("raypipe-parquet")
        try:
            os.ftruncate(descriptor, size)
            yield descriptor, Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile(prefix="raypipe-parquet-") as file:
        file.truncate(size)
        yield file.fileno(), Path(file.name)


def _write_at(descriptor: int, piece: bytes, offset: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


@functools.lru_cache(maxsize=256)
def _footer_known(file: RemoteFile) -> tuple[pq.FileMetaData, bytes]:
    """The footer, once a process for each version of an object."""
    with open_as_it_was(file) as source:
        return _read_footer(source)


def _read_footer(source: RemoteBytes) -> tuple[pq.FileMetaData, bytes]:
    """The footer, and the last bytes of the object, which hold it."""
    tail = source.read_at(max(0, source.size - TAIL), TAIL)
    length = int.from_bytes(tail[-_MARK:-4], "little") + _MARK
    if TAIL < length <= source.size and tail.endswith(b"PAR1"):
        tail = source.read_at(source.size - length, length)
    return pq.read_metadata(pa.BufferReader(tail)), tail[-length:] if 0 < length <= len(tail) else tail


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
