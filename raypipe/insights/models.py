"""What the analysis measures beside the profile: relations to the target, and the course over time."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SkipValidation

from raypipe.config import Frozen
from raypipe.insights.target.models import Baselines, Leak, Segment, TargetDrift

TARGET_VERSION = 1
"""Version of the layout of `target.json`; raised when a field changes its meaning or goes away."""


class Level(Frozen):
    """Rows that share one value (a category) or one bin (a number) of a column, and the target over them."""

    label: str
    rows: int
    """Rows of this level with a known target."""
    mean: float | None = None
    """Mean of the target; for a categorical target, None."""
    std: float | None = None
    shares: dict[str, float] = Field(default_factory=dict)
    """For a categorical target: class -> share of the level's rows."""


class TargetRelation(Frozen):
    """How one column goes with the target."""

    column: str
    kind: Literal["number", "category", "time"]
    measure: Literal["pearson_r", "eta_squared", "cramers_v"]
    strength: float
    """|r|, sqrt(eta squared) or Cramer's V: 0 to 1, the measure to sort by."""
    value: float
    """The measure itself, with its sign."""
    rows: int
    levels: tuple[Level, ...] = ()
    """Categories (most frequent first, at most 20, the rest under "(other)") or bins in order."""
    leakage_suspected: bool = False
    """Strength so high that the column may hold the answer."""
    score: float | None = None
    """Normal score against "no relation at all": how many standard deviations from chance."""
    groups: int | None = None
    """Levels or bins behind the measure, before the rare ones were pooled for show."""
    interval: tuple[float, float] | None = None
    """95 % interval of `value`."""
    p_value: float | None = None
    """Against no relation at all, of this column alone."""
    q_value: float | None = None
    """False discovery rate over all columns at which this one would just be told (Benjamini-Hochberg)."""
    rank_score: float | None = None
    """The normal score by ranks, on the sample of rows: what a few extreme values made is gone. None: not tried."""


class TargetReport(Frozen):
    """The target and everything that goes with it."""

    column: str
    task: Literal["regression", "classification"]
    relations: tuple[TargetRelation, ...] = ()
    """Strongest first."""
    skipped: dict[str, str] = Field(default_factory=dict)
    """Column -> why it was not measured; under the target's own name, why nothing was."""
    rows: int = 0
    """Rows with a known (and finite) target."""
    classes: dict[str, int] = Field(default_factory=dict)
    """Classification: class -> rows, most frequent first."""
    version: int = TARGET_VERSION
    leaks: tuple[Leak, ...] = ()
    """Columns that may give the target away, by three kinds of suspicion."""
    baselines: Baselines | None = None
    segments: tuple[Segment, ...] = ()
    drift: TargetDrift | None = None
    sample_rows: int = 0
    """Rows behind leaks (but for the too good), baselines, segments and drift; the relations are by all rows."""
    not_computed: dict[str, str] = Field(default_factory=dict)
    """Part -> why it is absent."""


class TimePoint(Frozen):
    """One bucket of time."""

    start: str
    """ISO 8601."""
    rows: int
    means: dict[str, float | None] = Field(default_factory=dict)
    """Column -> mean over the bucket's finite values."""


class Timeline(Frozen):
    """The table over its time column: what each bucket holds. Trends, seasons and the rest are those of `series`."""

    column: str
    bucket: Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
    first: str
    last: str
    points: tuple[TimePoint, ...]
    """Every bucket from first to last, empty ones with rows 0."""
    gaps: int
    """Empty buckets."""
    hourly_rows: tuple[int, ...] = ()
    """24 counts by hour of day; empty where the column has no time of day."""
    weekday_rows: tuple[int, ...] = ()
    """7 counts, Monday first."""
    hourly_target: tuple[float | None, ...] = ()
    """Mean of the target by hour of day, where there is a number target."""
    weekday_target: tuple[float | None, ...] = ()
    outside: int = 0
    """Rows before `first` or after the last bucket: far-off dates that would have stretched the axis to nothing."""
    unknown: int = 0
    """Rows without a time."""
    zone: str = "UTC"
    """Whose calendar days, weekdays and hours follow."""
    course: SkipValidation[Any] = Field(default=None, exclude=True, repr=False)
    """The sums themselves (`Course`), for the analysis of series; in no file."""
