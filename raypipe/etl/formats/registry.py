"""The formats that are there. A new one is one module and one entry here (and its name in `FormatName`)."""

from __future__ import annotations

from raypipe.etl.formats.arrow_format import ArrowFormat
from raypipe.etl.formats.avro_format import AvroFormat
from raypipe.etl.formats.csv_format import CsvFormat
from raypipe.etl.formats.delta_format import DeltaFormat
from raypipe.etl.formats.excel_format import ExcelFormat
from raypipe.etl.formats.format import Format
from raypipe.etl.formats.json_format import JsonFormat
from raypipe.etl.formats.orc_format import OrcFormat
from raypipe.etl.formats.parquet_format import ParquetFormat
from raypipe.etl.formats.sql_format import SqlFormat

_ALL: tuple[Format, ...] = (
    SqlFormat(),
    DeltaFormat(),
    AvroFormat(),
    OrcFormat(),
    ArrowFormat(),
    ParquetFormat(),
    ExcelFormat(),
    JsonFormat(),
    CsvFormat(),
)
FORMATS: dict[str, Format] = {format.name: format for format in _ALL}
"""Name -> format, in the order in which a file is tried; CSV comes last, since all text may be CSV."""
EXTENSIONS: dict[str, str] = {end: kind.name for kind in reversed(FORMATS.values()) for end in kind.extensions}
"""End of a file name -> name of the format."""
