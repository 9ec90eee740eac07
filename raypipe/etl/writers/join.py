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


def join_files(places: Sequence[Place], schema: pa.Schema, options: WriteOptions, out: Out) -> None:
    """Append the rows of all `places`, written with `options`, to `out` as one file.

    CSV files have no header of their own: it comes from `schema`, once. Nothing is decoded but batches of Arrow, so
    that it takes as long as copying.
    """
    form = options.format or "parquet"
    if form in ("csv", "jsonl"):
        _join_text(places, schema, options, out)
    elif form == "arrow":
        _join_arrow(places, schema, options, out)
    else:
        join = ParquetJoin(out)
        for place in places:
            source = _open(place)
            try:
                join.add(source, str(place))
            finally:
                source.close()
        join.close()


def empty_file(schema: pa.Schema, options: WriteOptions) -> bytes:
    """A file of no rows."""
    held = BytesIO()
    encode(schema.empty_table(), options, held)
    return held.getvalue()


def _join_text(places: Sequence[Place], schema: pa.Schema, options: WriteOptions, out: Out) -> None:
    if options.format == "csv" and options.csv.header:
        out.write(empty_file(schema, options))
    for place in places:
        source = _open(place)
        try:
            for start in range(0, source.size, CHUNK):
                out.write(source.read_at(start, min(CHUNK, source.size - start)))
        finally:
            source.close()


def _join_arrow(places: Sequence[Place], schema: pa.Schema, options: WriteOptions, out: Out) -> None:
    codec = None if options.arrow.compression == "none" else options.arrow.compression
    with pa.ipc.new_file(out, schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        for place in places:
            source = _open(place)
            try:
                reader = pa.ipc.open_file(pa.BufferReader(source.read_at(0, source.size)))
                for number in range(reader.num_record_batches):
                    writer.write_batch(reader.get_batch(number))
            finally:
                source.close()


def _open(place: Place) -> ByteSource:
    return open_bytes(place, CHUNK if isinstance(place, RemoteFile) else 0)
