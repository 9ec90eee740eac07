"""How a source is read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from raypipe.config.base import Frozen

FormatName = Literal["csv", "json", "parquet", "arrow", "orc", "avro"]
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
    nested: Literal["flatten", "text", "keep"] = "flatten"
    """Fields of records in a column: flatten makes column a.b of field b of column a, at any depth, and keeps lists;
    text makes JSON text of every nested column; keep leaves them as they are (not for JSON)."""
    records: str | None = None
    """JSON documents: where the array of rows is, as fields with dots between, e.g. data.items; None looks."""
    partitions: bool = True
    """Folders such as year=2024 in the path of a file become columns."""
    file_column: str | None = None
    """Add a column of this name with the path of each row's file."""
