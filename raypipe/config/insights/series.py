"""Settings: the course over time."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from raypipe.config.base import Frozen


class SeriesConfig(Frozen):
    """The course over time."""

    enabled: bool = True
    """Off: nothing of this is computed, and the report says so."""
    max_columns: PositiveInt = 8
    """Number columns that are followed over time: the target first, then those that correlate most with it. How many
    were left out stands in `series.json`."""
    time_zone: str | None = None
    """Whose calendar days, weekdays and hours follow, e.g. `Europe/Berlin`. Without it: the zone of the column's type,
    or UTC."""
    max_forecasts: NonNegativeInt = 3
    """Series that get a forecast: the number of rows, the target, then the other columns."""
    false_alarms: float = Field(default=0.01, gt=0, le=0.2)
    """Chance that a table in which nothing happens over time gets any finding of one kind (trend, season, change)."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is None:
            return None
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"got {zone!r}; wanted a time zone by its name, such as Europe/Berlin or UTC") from None
        return zone
