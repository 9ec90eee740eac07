"""Several written files as one: texts by their bytes, Parquet by its column chunks, Arrow by its batches."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Protocol

import pyarrow as pa

from raypipe.config.write import WriteOptions
from raypipe.etl.writers.encode import encode
from raypipe.etl.writers.parquet_join import ParquetJoin
from raypipe.storage.ranges import RemoteFile
from raypipe.storage.source import ByteSource, Place, open_bytes

CHUNK = 8 << 20


class Out(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Append them."""


class FileJoin(Protocol):
    """Files becoming one, in the order in which they are added; `close` writes what ends it."""

    def add(self, source: ByteSource, name: str, /) -> None:
        """Append a file."""

    def close(self) -> None:
        """Write what stands behind the last file."""


def open_join(schema: pa.Schema, options: WriteOptions, out: Out) -> FileJoin:
    """Begin one file in `out` of files that were written with `options`.

    CSV files have no header of their own: it comes from `schema`, once. Nothing is decoded but batches of Arrow, so
    that it takes as long as copying.
    """
    form = options.format or "parquet"
    if form in ("csv", "jsonl"):
        return _TextJoin(schema, options, out)
    return _ArrowJoin(schema, options, out) if form == "arrow" else ParquetJoin(out)


def join_files(places: Sequence[Place], schema: pa.Schema, options: WriteOptions, out: Out) -> None:
    """Append the rows of all `places` to `out` as one file; see `open_join`."""
    join = open_join(schema, options, out)
    for place in places:
        add_file(join, place)
    join.close()


def add_file(join: FileJoin, place: Place) -> None:
    """Append one more file."""
    source = _open(place)
    try:
        join.add(source, str(place))
    finally:
        source.close()


def empty_file(schema: pa.Schema, options: WriteOptions) -> bytes:
    """A file of no rows."""
    held = BytesIO()
    encode(schema.empty_table(), options, held)
    return held.getvalue()


class _TextJoin:
    """Texts by their bytes."""

    def __init__(self, schema: pa.Schema, options: WriteOptions, out: Out) -> None:
        self._out = out
        if options.format == "csv" and options.csv.header:
            out.write(empty_file(schema, options))

    def add(self, source: ByteSource, name: str) -> None:
        for start in range(0, source.size, CHUNK):
            self._out.write(source.read_at(start, min(CHUNK, source.size - start)))

    def close(self) -> None:
        """Nothing stands behind the last line."""


class _ArrowJoin:
    """Arrow files by their batches."""

    def __init__(self, schema: pa.Schema, options: WriteOptions, out: Out) -> None:
        codec = None if options.arrow.compression == "none" else options.arrow.compression
        self._writer = pa.ipc.new_file(out, schema, options=pa.ipc.IpcWriteOptions(compression=codec))

    def add(self, source: ByteSource, name: str) -> None:
        reader = pa.ipc.open_file(pa.BufferReader(source.read_at(0, source.size)))
        for number in range(reader.num_record_batches):
            self._writer.write_batch(reader.get_batch(number))

    def close(self) -> None:
        self._writer.close()


def _open(place: Place) -> ByteSource:
    return open_bytes(place, CHUNK if isinstance(place, RemoteFile) else 0)
