"""Arrow IPC as a format: files (Feather version 2) and streams, by record batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from raypipe.errors import ReadError
from raypipe.etl.formats.rows import RowFile, RowFormat
from raypipe.etl.formats.schemas import conform, types_in
from raypipe.etl.formats.tables import damage_told, named, names_of, sound, stamp_of, travelling
from raypipe.storage.ranges import RemoteFile, look, open_as_it_was
from raypipe.storage.source import Place, SeekableBytes

_AHEAD = 8 << 20
_STREAM = b"\xff\xff\xff\xff"
_MOST_SCHEMA = 64 << 20
_GONE = "is damaged, or was not written to its end"


class ArrowFile(RowFile):
    """An Arrow IPC file or stream whose batches were counted."""

    layout: Literal["file", "stream"]
    ends: tuple[int, ...] = ()
    """Stream: the byte behind the schema, and behind each batch; empty where batches share dictionaries."""


class ArrowFormat(RowFormat):
    """Arrow IPC: Feather files and streams."""

    name: ClassVar[str] = "arrow"
    title: ClassVar[str] = "Arrow IPC"
    extensions: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc", ".arrows")
    memory_per_byte: ClassVar[int] = 2

    def holds(self, head: bytes, suffix: str) -> bool:
        length = int.from_bytes(head[4:8], "little", signed=True)
        streamed = head.startswith(_STREAM) and 0 < length < _MOST_SCHEMA
        return head.startswith((b"ARROW1\0\0", b"FEA1")) or streamed

    def look_rows(self, place: Place) -> ArrowFile:
        with _handle(place) as handle, damage_told(place, _GONE):
            magic = handle.read(4)
            if magic == b"FEA1":
                raise ReadError(
                    f"{place}: is Feather version 1, which Arrow gave up. Write it again as version 2: in pandas or"
                    " polars of today, read it and write it with write_feather."
                )
            handle.seek(0)
            is_stream = magic == _STREAM
            schema, rows, ends = _batches_of_stream(handle) if is_stream else _batches_of_file(handle)
        names, notes = names_of(place, schema)
        stamp = stamp_of(place)
        return ArrowFile(
            **stamp,
            rows=sum(rows),
            table_schema=named(schema, names),
            original_names=tuple(schema.names) if notes else (),
            notes=tuple(f"{place}: {note}" for note in notes),
            group_rows=tuple(rows),
            group_bytes=tuple(stamp["size"] * self.memory_per_byte * count // max(1, sum(rows)) for count in rows),
            layout="stream" if is_stream else "file",
            ends=ends,
        )

    def read_rows(self, file: ArrowFile, span: tuple[int, int], schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
        groups, first = file.groups_at(*span)
        file.check_unchanged()
        with _handle(file.remote or Path(file.path)) as handle, damage_told(file.path, _GONE):
            if file.layout == "file":
                wanted = [file.table_schema.get_field_index(name) for name in schema.names]
                options = pa.ipc.IpcReadOptions(included_fields=sorted(wanted))
                reader = pa.ipc.open_file(handle, options=options)
                table = sound(pa.Table.from_batches([reader.get_batch(index) for index in groups], reader.schema))
            else:
                table = sound(_from_stream(file, handle, groups))
            rows = travelling(_columns(table, file, schema).slice(span[0] - first, span[1]))
            return conform(rows, rows.num_rows, schema), {}


def _columns(table: pa.Table, file: ArrowFile, schema: pa.Schema) -> pa.Table:
    """The wanted columns, under the names that they have in blocks."""
    stored = dict(zip(file.original_names or file.table_schema.names, file.table_schema.names, strict=True))
    return table.rename_columns([stored[name] for name in table.column_names]).select(schema.names)


def _handle(place: Place) -> AbstractContextManager[Any]:
    if isinstance(place, RemoteFile):
        return closing(pa.PythonFile(SeekableBytes(open_as_it_was(look(place).seen)), "r"))
    return closing(pa.memory_map(str(place), "r"))


def _batches_of_file(handle: Any) -> tuple[pa.Schema, list[int], tuple[int, ...]]:
    """Schema, and rows of each batch. Of an object only the first column is fetched to count them."""
    schema = pa.ipc.open_file(handle).schema
    options = pa.ipc.IpcReadOptions(included_fields=[0]) if len(schema) else None
    reader = pa.ipc.open_file(handle, options=options)
    return schema, [reader.get_batch(index).num_rows for index in range(reader.num_record_batches)], ()


def _batches_of_stream(handle: Any) -> tuple[pa.Schema, list[int], tuple[int, ...]]:
    reader = pa.ipc.open_stream(handle)
    rows, ends = [], [handle.tell()]
    for batch in reader:
        rows.append(batch.num_rows)
        ends.append(handle.tell())
    shared = any(pa.types.is_dictionary(kind) for field in reader.schema for kind in types_in(field.type))
    return reader.schema, rows, () if shared else tuple(ends)


def _from_stream(file: ArrowFile, handle: Any, groups: list[int]) -> pa.Table:
    """Batches of a stream: its schema and their bytes as a short stream; from its start where they share more."""
    if file.ends:
        start, stop = file.ends[groups[0]], file.ends[groups[-1] + 1]
        head = handle.read(file.ends[0])
        handle.seek(start)
        return pa.ipc.open_stream(pa.BufferReader(bytes(head) + bytes(handle.read(stop - start)))).read_all()
    reader = pa.ipc.open_stream(handle)
    kept = []
    for index in range(groups[-1] + 1):
        batch = reader.read_next_batch()
        if index in groups:
            kept.append(batch)
    return pa.Table.from_batches(kept, reader.schema)
