"""Settings of steps on rows and on the columns themselves."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from raypipe.config.steps.base import ColumnSteps, Misfit, Names, NoneOrMore, StepSettings


class DropDuplicatesSettings(StepSettings):
    """Keep one of the rows that are equal in some columns."""

    step: Literal["drop_duplicates"] = "drop_duplicates"
    by: NoneOrMore = ()
    """Columns that make rows equal; none: all. Null equals null."""
    keep: Literal["first", "last", "max", "min", "most_complete", "none"] = "first"
    """Which row wins: the first or last in the order of the source, the one with the largest or smallest value of
    `of`, the one with the most values; none drops all of them. Of several the first wins."""
    of: str | None = None
    """Column of numbers or times that max and min compare; a row without a value there loses."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if (self.keep in ("max", "min")) != (self.of is not None):
            raise ValueError("`of` belongs to keep max and keep min, and they need it")
        return self


class FilterRowsSettings(StepSettings):
    """Keep the rows for which a condition holds."""

    step: Literal["filter_rows"] = "filter_rows"
    keep: str
    """A condition in SQL on the columns of a row: `units > 0 AND city IS NOT NULL`. Where it is null, the row goes."""


class DeriveSettings(StepSettings):
    """Add or replace a column by an expression on the others of its row."""

    step: Literal["derive"] = "derive"
    column: str
    """Name of the column."""
    expression: str
    """SQL, as Polars reads it: `price * units`, `CASE WHEN … END`, `UPPER(city)`. No aggregate, no subquery."""


class RenameSettings(StepSettings):
    """Give columns other names."""

    step: Literal["rename_columns"] = "rename_columns"
    names: dict[str, str] = Field(min_length=1)
    """From a name to another."""


class DropColumnsSettings(ColumnSteps):
    """Drop columns."""

    step: Literal["drop_columns"] = "drop_columns"


class SelectColumnsSettings(ColumnSteps):
    """Keep these columns, in this order, and drop the others; the target and the time column stay."""

    step: Literal["select_columns"] = "select_columns"


class CastSettings(ColumnSteps):
    """Give columns another type."""

    step: Literal["cast"] = "cast"
    to: str
    """A type: int64, integer, float64, boolean, text, date, datetime, …"""
    on_misfit: Misfit = "quarantine"
    """A value that the type cannot hold: the row goes to quarantine, or the value becomes null."""


class DowncastSettings(ColumnSteps):
    """Give number columns the narrowest type that holds every value: whole numbers as int8 to int64, others as
    float32 where that changes no value."""

    step: Literal["downcast"] = "downcast"
    columns: Names = ("kind:numbers",)
    """Columns; the default takes all numbers but the target and the time column."""
