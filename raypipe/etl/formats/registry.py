"""The formats that are there. A new one is one module and one entry here (and its name in `FormatName`)."""

from __future__ import annotations

from raypipe.etl.formats.csv_format import CsvFormat
from raypipe.etl.formats.delta_format import DeltaFormat
from raypipe.etl.formats.excel_format import ExcelFormat
from raypipe.etl.formats.format import Format
from raypipe.etl.formats.parquet_format import ParquetFormat
from raypipe.etl.formats.sql_format import SqlFormat

FORMATS: dict[str, Format] = {
    format.name: format for format in (SqlFormat(), DeltaFormat(), ParquetFormat(), ExcelFormat(), CsvFormat())
}
"""Name -> format, in the order in which a file is tried; CSV comes last, since all text may be CSV."""
EXTENSIONS: dict[str, str] = {end: kind.name for kind in reversed(FORMATS.values()) for end in kind.extensions}
"""End of a file name -> name of the format."""
