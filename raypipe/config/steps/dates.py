"""Settings of steps on dates and units."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from raypipe.config.steps.base import ColumnSteps, StepSettings, _one_or_many

DatePart = Literal[
    "year", "quarter", "month", "week", "day", "day_of_year", "weekday", "hour", "minute", "is_weekend",
    "is_business_day", "is_month_end", "month_sin", "month_cos", "weekday_sin", "weekday_cos", "hour_sin", "hour_cos",
]  # fmt: skip
"""Weekdays count from 1 (Monday), weeks as ISO 8601 does."""


class DatePartsSettings(ColumnSteps):
    """Add columns `<column>_<part>` with parts of dates."""

    step: Literal["date_parts"] = "date_parts"
    parts: Annotated[tuple[DatePart, ...], BeforeValidator(_one_or_many), Field(min_length=1)] = (
        "year", "month", "weekday",
    )  # fmt: skip
    """year, quarter, month, week (ISO), day, day_of_year, weekday (1 is Monday), hour, minute, is_weekend,
    is_business_day (Monday to Friday, no holiday), is_month_end, and the sine and cosine of month, weekday and hour
    (month_sin …), which put December beside January."""
    holidays: tuple[str, ...] = ()
    """Days such as 2025-12-25 that are no business days."""
    replace_column: bool = False
    """Drop the column itself."""


class DateDifferenceSettings(StepSettings):
    """Add a column with the time from one date column to another."""

    step: Literal["date_difference"] = "date_difference"
    start: str
    """Column of dates or times."""
    end: str
    """Column of dates or times."""
    unit: Literal["days", "hours", "minutes", "seconds", "business_days"] = "days"
    """business_days counts Mondays to Fridays from start, inclusive, to end, exclusive."""
    into: str
    """Name of the new column."""


class ConvertTimeZoneSettings(ColumnSteps):
    """Bring times to one time zone."""

    step: Literal["convert_time_zone"] = "convert_time_zone"
    to: str
    """A name such as Europe/Rome."""
    source: str | None = None
    """Zone of times that have none. An hour that comes twice is taken as the first; one that never was is null."""


class ConvertUnitsSettings(ColumnSteps):
    """Convert numbers from one unit to another."""

    step: Literal["convert_units"] = "convert_units"
    source: str
    """Unit that the column is in: kg, lb, km, mi, c, f, …"""
    to: str
    """Unit that it is wanted in."""
