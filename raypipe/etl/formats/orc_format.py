"""ORC as a format: by stripe."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from typing import Any, ClassVar

import pyarrow as pa

from raypipe.errors import ReadError
from raypipe.etl.formats.rows import RowFile, RowFormat
from raypipe.etl.formats.schemas import conform, travelling_type
from raypipe.etl.formats.tables import damage_told, named, names_of, sound, stamp_of, travelling
from raypipe.storage.ranges import RemoteFile, look, open_as_it_was
from raypipe.storage.source import Place, SeekableBytes

_GONE = "is damaged, or was not written to its end"


class OrcFormat(RowFormat):
    """Apache ORC."""

    name: ClassVar[str] = "orc"
    title: ClassVar[str] = "ORC"
    extensions: ClassVar[tuple[str, ...]] = (".orc",)

    def holds(self, head: bytes, suffix: str) -> bool:
        return head.startswith(b"ORC") and (suffix == ".orc" or not head[:256].isascii())

    def look_rows(self, place: Place) -> RowFile:
        with _handle(place) as handle, damage_told(place, _GONE):
            file = _open(handle)
            schema = file.schema
            rows = [_rows_of(file, index) for index in range(file.nstripes)]
            size = file.content_length
        names, notes = names_of(place, schema)
        if sum(rows) != file.nrows:
            raise ReadError(f"{place}: says that it has {file.nrows:,} rows, but its stripes have {sum(rows):,}.")
        return RowFile(
            **stamp_of(place),
            rows=file.nrows,
            table_schema=named(schema, names),
            original_names=tuple(schema.names) if notes else (),
            notes=tuple(f"{place}: {note}" for note in notes),
            group_rows=tuple(rows),
            group_bytes=tuple(size * count // max(1, file.nrows) for count in rows),
        )

    def read_rows(self, file: RowFile, span: tuple[int, int], schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
        groups, first = file.groups_at(*span)
        file.check_unchanged()
        stored = dict(zip(file.table_schema.names, file.original_names or file.table_schema.names, strict=True))
        wanted = [stored[name] for name in schema.names]
        with _handle(file.place) as handle, damage_told(file.path, _GONE):
            opened = _open(handle)
            batches = [opened.read_stripe(index, columns=wanted) for index in groups]
            table = sound(pa.Table.from_batches(batches)).select(wanted).rename_columns(schema.names)
            rows = travelling(table.slice(span[0] - first, span[1]))
            return conform(rows, rows.num_rows, schema), {}


def _handle(place: Place) -> AbstractContextManager[Any]:
    if isinstance(place, RemoteFile):
        return closing(pa.PythonFile(SeekableBytes(open_as_it_was(look(place).seen)), "r"))
    return closing(pa.memory_map(str(place), "r"))


def _open(handle: Any) -> Any:
    from pyarrow import orc

    return orc.ORCFile(handle)


def _rows_of(file: Any, index: int) -> int:
    """Rows of a stripe, told by its narrowest column."""
    narrow = min(file.schema, key=lambda field: _width(field.type), default=None)
    columns = [narrow.name] if narrow is not None else None
    return int(file.read_stripe(index, columns=columns).num_rows)


def _width(kind: pa.DataType) -> int:
    if pa.types.is_nested(kind):
        return 1 << 20
    plain = travelling_type(kind)
    return int(plain.bit_width) if pa.types.is_primitive(plain) else 1 << 10
