"""How rows are written."""

from __future__ import annotations

import codecs
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from raypipe.config.base import Frozen

WriteFormat = Literal["parquet", "csv", "jsonl", "arrow", "delta", "excel", "sql"]
WriteMode = Literal["new", "append", "overwrite", "merge"]
FILE_FORMATS = ("parquet", "csv", "jsonl", "arrow")
"""Formats of which a folder may hold many files, one a part."""
TextCompression = Literal["none", "gzip", "zstd"]


class ParquetOutput(Frozen):
    """Parquet files; those of a Delta table, too."""

    compression: Literal["zstd", "snappy", "gzip", "lz4", "brotli", "none"] = "zstd"
    """Of each column chunk."""
    compression_level: int | None = None
    """None takes the default of the codec."""
    row_group_rows: PositiveInt = 1 << 20
    """Rows of a row group, at most."""
    dictionary: Literal["auto", "all", "none"] = "auto"
    """Columns that are written by a dictionary of their values: auto takes those whose values repeat, by a sample of
    each block; all lets the writer find out for itself, which costs a sixth of its time."""
    statistics: bool = True
    """Smallest and largest value of each column chunk, by which readers skip row groups."""


class CsvOutput(Frozen):
    """CSV files."""

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """One ASCII character between fields; None: a tab for .tsv, else a comma."""
    quote: str = Field(default='"', min_length=1, max_length=1)
    """One ASCII character around fields, doubled inside of them."""
    quoting: Literal["necessary", "always", "non_numeric"] = "necessary"
    """Which fields are quoted."""
    header: bool = True
    """Whether the first line names the columns."""
    null_text: str = ""
    """What stands for "no value"; text that is the same is refused, except for the empty one, which is quoted."""
    decimal: Literal[".", ","] = "."
    """Mark before the fraction of a number."""
    line_end: Literal["lf", "crlf"] = "lf"
    """After each row: a line feed, or a carriage return before it as Windows has it."""
    encoding: str = "utf-8"
    """Name of a Python codec; utf-8-sig begins the file with a mark that Excel knows."""
    compression: TextCompression | None = None
    """None: by the name of the destination, .gz or .zst."""
    nested: Literal["refuse", "json"] = "refuse"
    """Lists and structs, which CSV cannot hold: refuse them, or write each as JSON."""
    neutralise_formulas: bool = False
    """Put a ' before text that a spreadsheet would take for a formula (= + - @); the text is changed by it."""

    @field_validator("delimiter", "quote")
    @classmethod
    def _ascii(cls, value: str | None) -> str | None:
        if value is not None and (not value.isascii() or value in "\r\n\0"):
            raise ValueError("wanted one ASCII character, and none that ends lines")
        return value

    @field_validator("encoding")
    @classmethod
    def _codec(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError as error:
            raise ValueError("wanted the name of a Python codec, e.g. utf-8, utf-8-sig, cp1252, utf-16") from error
        return value

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}")
        if self.decimal == self.delimiter or (self.decimal == "," and self.delimiter is None):
            raise ValueError("decimal is ',' and so is delimiter; set delimiter to ';'")
        return self


class JsonOutput(Frozen):
    """JSON lines."""

    compression: TextCompression | None = None
    """None: by the name of the destination, .gz or .zst."""


class ArrowOutput(Frozen):
    """Arrow IPC files (Feather)."""

    compression: Literal["none", "lz4", "zstd"] = "zstd"
    """Of each buffer."""


class ExcelOutput(Frozen):
    """Excel workbooks."""

    sheet: str = "data"
    """Name of the sheet; further ones are numbered."""
    overflow: Literal["refuse", "sheets"] = "refuse"
    """More rows than a sheet holds (1,048,575 and the header): refuse, or go on in further sheets."""
    long_text: Literal["refuse", "cut"] = "refuse"
    """Text beyond the 32,767 characters of a cell: refuse, or cut it and say how often."""


class DeltaOutput(Frozen):
    """Delta tables."""

    schema_change: Literal["refuse", "add", "replace"] = "refuse"
    """Columns that the table does not have: refuse, or add them; replace (with overwrite) gives it the new columns."""
    replace_where: dict[str, str] = Field(default_factory=dict)
    """With overwrite: partition column -> value; only those partitions are replaced."""
    delete_where: str | None = None
    """With merge: rows of the source for which this SQL condition holds delete the row of the table, e.g.
    `source.deleted = true`."""


class SqlOutput(Frozen):
    """Tables of SQLite and PostgreSQL."""

    table: str | None = None
    """Name of the table."""
    db_schema: str | None = None
    """PostgreSQL: the schema that it is in; None takes the first of the search path."""
    password: str | None = None
    """Where the password is: env:NAME or file:PATH, never the password itself; None leaves it to PGPASSWORD, PGPASSFILE
    and ~/.pgpass."""

    @field_validator("password")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("env:", "file:")):
            raise ValueError("wanted env:NAME or file:PATH; a password itself would end up in logs and records")
        return value


class WriteOptions(Frozen):
    """Where rows go in which form, for `raypipe convert` and `write`; `processed/` takes the formats of files."""

    format: WriteFormat | None = None
    """None: by the name of the destination, else parquet."""
    mode: WriteMode = "new"
    """What is there already: new refuses it, append adds to it, overwrite replaces it, merge replaces rows with equal
    `key`."""
    key: tuple[str, ...] = ()
    """Columns that tell rows apart, for merge."""
    partition_by: tuple[str, ...] = ()
    """Columns whose values make folders, as `country=DE/`; they are left out of the files."""
    max_partitions: PositiveInt = 1_000
    """Folders that one part may write to, at most."""
    file_mib: PositiveFloat | None = None
    """Join files of neighbouring parts up to this size; None leaves one file a part."""
    parquet: ParquetOutput = ParquetOutput()
    csv: CsvOutput = CsvOutput()
    json_lines: JsonOutput = JsonOutput()
    arrow: ArrowOutput = ArrowOutput()
    excel: ExcelOutput = ExcelOutput()
    delta: DeltaOutput = DeltaOutput()
    sql: SqlOutput = SqlOutput()

    @field_validator("key", "partition_by", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.mode == "merge" and not self.key:
            raise ValueError("mode merge wants key, the columns that tell rows apart")
        if self.key and self.mode != "merge":
            raise ValueError(f"key is for mode merge, and mode is {self.mode}")
        for name in ("key", "partition_by"):
            columns = getattr(self, name)
            if len(set(columns)) < len(columns):
                raise ValueError(f"{name} names a column twice")
        return self
