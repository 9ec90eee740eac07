"""Parquet as a format: footers first, then ranges of rows."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from raypipe.etl.formats.parquet import read_footer
from raypipe.etl.formats.parquet_rows import read_range
from raypipe.etl.formats.rows import RowFile, RowFormat
from raypipe.storage.packed import PackedFile
from raypipe.storage.source import Place


class ParquetFormat(RowFormat):
    """Apache Parquet."""

    name: ClassVar[str] = "parquet"
    title: ClassVar[str] = "Parquet"
    by_column: ClassVar[bool] = True
    extensions: ClassVar[tuple[str, ...]] = (".parquet", ".pq", ".parq")

    def holds(self, head: bytes, suffix: str) -> bool:
        return head.startswith(b"PAR1")

    def look_rows(self, place: Place) -> RowFile:
        assert not isinstance(place, PackedFile)  # refused when the source was found
        return read_footer(place)

    def read_rows(self, file: Any, span: tuple[int, int], schema: pa.Schema) -> tuple[pa.Table, dict[str, Any]]:
        return read_range(file, span[0], span[1], schema)
