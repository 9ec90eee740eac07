"""How a source is read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from raypipe.config.base import Frozen

FormatName = Literal["csv", "json", "parquet", "arrow", "orc", "avro", "excel", "delta", "sql"]
"""Formats that `data_format` may name."""
DateOrder = Literal["dmy", "mdy", "ymd", "iso"]


class CellFormat(Frozen):
    """How the cells of one column are written, where that is not the plain way: 1234.5, -7, 2025-12-31."""

    decimal: Literal[".", ","] = "."
    """What stands before the decimals."""
    thousands: str = ""
    """Characters that may group digits by three, such as "." or ",' "; a space is every kind of space."""
    unit: str | None = None
    """A sign that every number bears, before or behind it, such as "€", "USD" or "%"; it is left out."""
    accounting: bool = False
    """Whether (5) and 5- are negative numbers."""
    dash: bool = False
    """Whether a dash alone stands for no value."""
    date_order: DateOrder = "iso"
    """Order of day, month and year; "iso": only YYYY-MM-DD is a date."""
    true_values: tuple[str, ...] = ()
    """Texts that mean true, in any case; beside true and t."""
    false_values: tuple[str, ...] = ()
    """Texts that mean false, in any case; beside false and f."""


class ReadOptions(Frozen):
    """How to read a source; what is None is found by looking at the data."""

    delimiter: str | None = None
    """Text between fields: one character, or several such as "||"; None looks."""
    quote: str | None = '"'
    """ASCII character around fields that hold a delimiter or a line end; None: the file has no quoting."""
    escape: str | None = None
    """ASCII character that makes the next one part of the text, such as a backslash; "": none; None looks."""
    line_end: Literal["lf", "cr", "mixed"] | None = None
    """What ends a line: LF or CR LF, CR alone, or all three mixed; None looks."""
    comment: str = ""
    """Rows that start with this text are left out and counted; "": no row is a comment. Lines before the header need
    no such setting."""
    encoding: str | None = None
    """Name of a Python codec; None looks."""
    bad_bytes: Literal["quarantine", "cp1252"] = "quarantine"
    """What becomes of a row with bytes that are not of the encoding: set aside, or those bytes read as cp1252."""
    header: bool | None = None
    """Whether a line names the columns; None looks."""
    header_rows: NonNegativeInt | None = None
    """Rows that make up the header, joined from top to bottom; 0: none; None looks."""
    skip_rows: NonNegativeInt | None = None
    """Lines before the header; None looks for a title, notes and comments there."""
    footer_rows: NonNegativeInt | None = None
    """Rows at the end that are no data (totals, notes), blank lines not counted; None looks."""
    table: PositiveInt | str | None = None
    """Text: which table of a file that holds several, from 1; None takes the largest. SQL: name of the table or view,
    "schema.table" where the schema is not on the search path."""
    fields: PositiveInt | None = None
    """Fields of a row; None takes what most rows have."""
    ragged: Literal["quarantine", "pad", "error"] = "quarantine"
    """What becomes of a row with too few or too many fields: set aside; filled up with nulls where fields are missing;
    or the end of the run."""
    max_rows: PositiveInt | None = None
    """Stop after this many rows of the source."""
    null_values: tuple[str, ...] = ("", "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "#N/A")
    """Texts that mean "no value", after trimming."""
    decimal: Literal[".", ","] | None = None
    """What stands before the decimals in every column of text; None looks, column by column."""
    thousands: str | None = None
    """Characters that may group digits by three; "": none; None looks."""
    date_order: DateOrder | None = None
    """Order of day, month and year in dates; "iso": only YYYY-MM-DD is a date; None looks, column by column."""
    true_values: tuple[str, ...] = ()
    """Texts that mean true, such as yes, ja, oui; with `false_values`, columns of these are booleans."""
    false_values: tuple[str, ...] = ()
    """Texts that mean false, such as no, nein, non."""
    formats: dict[str, CellFormat] = Field(default_factory=dict)
    """Column -> how its cells are written; such a column is not looked at for it."""
    dtypes: dict[str, str] = Field(default_factory=dict)
    """Column -> type, for columns whose type is known: int64, float64, boolean, text, date, datetime,
    datetime_utc, time, duration, or decimal(digits,decimals) such as decimal(12,2), which rounds nothing."""
    columns: tuple[str, ...] | None = None
    """Read only these."""
    nested: Literal["flatten", "text", "keep"] = "flatten"
    """Fields of records in a column: flatten makes column a.b of field b of column a, at any depth, and keeps lists;
    text makes JSON text of every nested column; keep leaves them as they are (not for JSON)."""
    records: str | None = None
    """JSON documents: where the array of rows is, as fields with dots between, e.g. data.items; None looks."""
    folder_columns: bool = True
    """Folders such as year=2024 in the path of a file become columns."""
    file_column: str | None = None
    """Add a column of this name with the path of each row's file."""
    sheet: str | int | None = None
    """Excel: name of the sheet, or its number from 1; None takes the first visible one with data."""
    cell_errors: Literal["quarantine", "null"] = "quarantine"
    """Excel: what becomes of rows with an error such as #DIV/0!; #N/A is always "no value"."""
    version: NonNegativeInt | None = None
    """Delta: version of the table to read; None reads the newest, and keeps to it."""
    timestamp: str | None = None
    """Delta: read the version that was the newest at this time, as 2026-05-31T18:00:00+00:00; UTC without an offset."""
    query: str | None = None
    """SQL: one SELECT to read instead of a table. It must give the same rows each time."""
    partition_on: str | None = None
    """SQL: column of whole numbers, dates or times that the rows are cut by, best one with an index."""
    partition_count: PositiveInt | None = None
    """SQL: ranges to cut into, with `partition_on`; None takes as many as blocks need."""
