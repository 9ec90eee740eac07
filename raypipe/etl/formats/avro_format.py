"""Avro as a format: by the blocks between its sync marks. fastavro decodes."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.errors import ReadError
from raypipe.etl.formats.avro_schema import Convert, fields_of
from raypipe.etl.formats.rows import RowFile, RowFormat
from raypipe.etl.formats.schemas import conform
from raypipe.etl.formats.tables import damage_told, named, names_of, stamp_of, travelling
from raypipe.storage.source import Place, SeekableBytes, open_bytes

_AHEAD = 8 << 20
_SYNC = 16
_GROWTH = 4
"""Rough bytes in memory for a byte of a block."""
_GONE = "is damaged, or was not written to its end"


class AvroFile(RowFile):
    """An Avro file whose blocks were counted."""

    ends: tuple[int, ...]
    """The byte behind the header, and behind each block."""


class AvroFormat(RowFormat):
    """Apache Avro object container files."""

    name: ClassVar[str] = "avro"
    title: ClassVar[str] = "Avro"
    extensions: ClassVar[tuple[str, ...]] = (".avro",)
    extra: ClassVar[str | None] = "avro"

    def holds(self, head: bytes, suffix: str) -> bool:
        return head.startswith(b"Obj\x01")

    def look_rows(self, place: Place) -> AvroFile:
        fastavro = require_extra("avro", by="reading Avro")
        opened = io.BufferedReader(SeekableBytes(open_bytes(place, _AHEAD)))
        with opened, damage_told(place, _GONE, fastavro.schema.SchemaParseException):
            blocks = fastavro.block_reader(opened)
            writer = blocks.writer_schema
            if not isinstance(writer, dict) or writer.get("type") != "record":
                raise ReadError(f"{place}: its rows are no records, so they have no columns. Write records.")
            fields = fields_of(writer, {})
            ends, rows = [opened.tell()], []
            for block in blocks:
                rows.append(block.num_records)
                ends.append(block.offset + block.size)
            stamp = stamp_of(place)
            if ends[-1] != stamp["size"]:
                raise EOFError(f"{stamp['size'] - ends[-1]:,} bytes behind the last whole block")
        schema = pa.schema([(name, kind) for name, (kind, _) in fields.items()])
        names, notes = names_of(place, schema)
        return AvroFile(
            **stamp,
            rows=sum(rows),
            table_schema=named(schema, names),
            original_names=tuple(schema.names) if notes else (),
            notes=tuple(f"{place}: {note}" for note in notes),
            group_rows=tuple(rows),
            group_bytes=tuple((hi - lo) * _GROWTH for lo, hi in itertools.pairwise(ends)),
            ends=tuple(ends),
        )

    def read_rows(self, file: AvroFile, span: tuple[int, int], schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
        fastavro = require_extra("avro", by="reading Avro")
        groups, first = file.groups_at(*span)
        header = _header(file)
        body = file.bytes_at(file.ends[groups[0]], file.ends[groups[-1] + 1])
        stored = dict(zip(file.table_schema.names, file.original_names or file.table_schema.names, strict=True))
        with damage_told(file.path, _GONE, fastavro.schema.SchemaParseException):
            reader = fastavro.reader(io.BytesIO(header + body))
            fields = fields_of(reader.writer_schema, {})
            wanted = {stored[name]: fields[stored[name]] for name in schema.names}
            rows = list(itertools.islice(reader, span[0] - first, span[0] - first + span[1]))
            columns = [_column(rows, name, kind, convert) for name, (kind, convert) in wanted.items()]
            table = travelling(pa.table(columns, names=schema.names))
            return conform(table, table.num_rows, schema), {}


def _header(file: AvroFile) -> bytes:
    return file.bytes_at(0, file.ends[0])


def _column(rows: list[Any], name: str, kind: pa.DataType, convert: Convert | None) -> pa.Array:
    values: Iterator[Any] = (row[name] for row in rows)
    if convert is not None:
        values = (None if value is None else convert(value) for value in values)
    return pa.array(values, kind)
