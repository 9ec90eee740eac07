"""ORC as a format: by stripe, read in a process of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from raypipe.errors import ReadError
from raypipe.etl.formats.orc_apart import look_at_orc, read_stripes
from raypipe.etl.formats.rows import RowFile, RowFormat
from raypipe.etl.formats.schemas import conform
from raypipe.etl.formats.tables import damage_told, named, names_of, stamp_of, travelling
from raypipe.storage.source import Place

_GONE = "is damaged, or was not written to its end"


class OrcFormat(RowFormat):
    """Apache ORC."""

    name: ClassVar[str] = "orc"
    title: ClassVar[str] = "ORC"
    extensions: ClassVar[tuple[str, ...]] = (".orc",)

    def holds(self, head: bytes, suffix: str) -> bool:
        return head.startswith(b"ORC") and (suffix == ".orc" or not head[:256].isascii())

    def look_rows(self, place: Place) -> RowFile:
        with damage_told(place, _GONE):
            found = look_at_orc(place)
        schema, rows = found.schema, found.stripe_rows
        names, notes = names_of(place, schema)
        if sum(rows) != found.rows:
            raise ReadError(f"{place}: says that it has {found.rows:,} rows, but its stripes have {sum(rows):,}.")
        return RowFile(
            **stamp_of(place),
            rows=found.rows,
            table_schema=named(schema, names),
            original_names=tuple(schema.names) if notes else (),
            notes=tuple(f"{place}: {note}" for note in notes),
            group_rows=rows,
            group_bytes=tuple(found.size * count // max(1, found.rows) for count in rows),
        )

    def read_rows(self, file: RowFile, span: tuple[int, int], schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
        groups, first = file.groups_at(*span)
        file.check_unchanged()
        stored = dict(zip(file.table_schema.names, file.original_names or file.table_schema.names, strict=True))
        wanted = [stored[name] for name in schema.names]
        with damage_told(file.path, _GONE):
            table = read_stripes(file.place, wanted, groups).rename_columns(schema.names)
            rows = travelling(table.slice(span[0] - first, span[1]))
            return conform(rows, rows.num_rows, schema), {}
