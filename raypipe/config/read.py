"""How a source is read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from raypipe.config.base import Frozen

FormatName = Literal["csv", "parquet", "excel", "delta", "sql"]
"""Formats that `data_format` may name."""


class ReadOptions(Frozen):
    """How to read a source; what is None is found by looking at the data."""

    delimiter: str | None = None
    """One ASCII character between fields; None looks."""
    quote: str | None = '"'
    """None: the file has no quoting."""
    encoding: str | None = None
    """Name of a Python codec; None looks."""
    header: bool | None = None
    """Whether the first line names the columns; None looks."""
    skip_rows: NonNegativeInt = 0
    """Lines before the header."""
    max_rows: PositiveInt | None = None
    """Stop after this many rows of the source."""
    null_values: tuple[str, ...] = ("", "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "#N/A")
    """Texts that mean "no value", after trimming."""
    dtypes: dict[str, str] = Field(default_factory=dict)
    """Column -> type, for columns whose type is known: int64, float64, boolean, text, date, datetime."""
    columns: tuple[str, ...] | None = None
    """Read only these."""
    sheet: str | int | None = None
    """Excel: name of the sheet, or its number from 1; None takes the first visible one with data."""
    header_rows: PositiveInt | None = None
    """Excel: rows that name the columns, from the first one behind `skip_rows`; None looks."""
    cell_errors: Literal["quarantine", "null"] = "quarantine"
    """Excel: what becomes of rows with an error such as #DIV/0!; #N/A is always "no value"."""
    version: NonNegativeInt | None = None
    """Delta: version of the table to read; None reads the newest, and keeps to it."""
    timestamp: str | None = None
    """Delta: read the version that was the newest at this time, as 2026-05-31T18:00:00+00:00; UTC without an offset."""
    table: str | None = None
    """SQL: table or view to read; "schema.table" where the schema is not on the search path."""
    query: str | None = None
    """SQL: one SELECT to read instead of a table. It must give the same rows each time."""
    partition_on: str | None = None
    """SQL: column of whole numbers, dates or times that the rows are cut by, best one with an index."""
    partitions: PositiveInt | None = None
    """SQL: ranges to cut into, with `partition_on`; None takes as many as blocks need."""
