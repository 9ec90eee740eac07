"""Parquet as a format: footers first, then ranges of rows."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from raypipe.config import ReadOptions
from raypipe.etl.formats.format import Look
from raypipe.etl.formats.parquet import read_footer
from raypipe.etl.formats.parquet_rows import read_range
from raypipe.etl.formats.rows import RowFormat
from raypipe.storage.source import Place


class ParquetFormat(RowFormat):
    """Apache Parquet."""

    name: ClassVar[str] = "parquet"
    title: ClassVar[str] = "Parquet"
    extensions: ClassVar[tuple[str, ...]] = (".parquet", ".pq", ".parq")

    def holds(self, head: bytes, suffix: str) -> bool:
        return head.startswith(b"PAR1")

    def look(self, place: Place, options: ReadOptions) -> Look:
        file = read_footer(place)
        return Look(file, file.table_schema, file.rows)

    def read_rows(self, file: Any, span: tuple[int, int], schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
        return read_range(file, span[0], span[1], schema)
