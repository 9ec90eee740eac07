"""The table as evenly spaced values: one row a step of the grid, or a bucket where times lie on none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from raypipe.insights.calendar import BUCKETS, MICROS_A_DAY, Bucket, IntArray, bucket_ids, bucket_starts, to_local
from raypipe.insights.course_sums import Course, is_clock, regroup
from raypipe.insights.series.frequency import Grid

FloatArray = NDArray[np.float64]
MAX_POINTS = 1_500
"""Most steps of a grid that are analysed as they are; more are joined to coarser buckets."""
MAX_BUCKETS = 400
"""The same for buckets of times that lie on no grid."""
FULL_SHARE = 0.7
"""Share of buckets with rows from which times without a grid are followed at that unit."""
THIN_SHARE = 0.25
"""Buckets with fewer values than this share of the median give no mean: it would be too uncertain beside the others."""
MAX_SIZE = 1e140
"""Larger values have no square; their buckets count as having none."""
_UNITS: tuple[Bucket, ...] = get_args(Bucket)


@dataclass(frozen=True)
class Level:
    """Sums by step, all steps from the first to the last."""

    name: str
    unit: str
    starts: IntArray
    """What clocks show at the start of each step, in microseconds."""
    sums: FloatArray
    """Of shape (steps, 1 + 3 series)."""
    whole: bool
    """Whether steps are those of the data, so that the first and the last are as full as the others."""
    middles: FloatArray
    """In days from the first start."""

    @property
    def rows(self) -> FloatArray:
        """Rows of each step; NaN for the first and last where those may be cut off."""
        rows = self.sums[:, 0].copy()
        if not self.whole:
            rows[[0, -1]] = np.nan
        return rows

    def counts(self, index: int) -> FloatArray:
        """Finite values of a series in each step."""
        return np.asarray(self.sums[:, 1 + 3 * index])

    def means(self, course: Course, index: int) -> FloatArray:
        """Mean of a series in each step; NaN where it has no value, or far fewer than elsewhere."""
        plan, n = course.stage.series[index], self.counts(index)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            means = plan.center + plan.scale * (self.sums[:, 2 + 3 * index] / n)
        few = THIN_SHARE * float(np.median(n[n > 0])) if np.any(n > 0) else 0.0
        return np.where((n > 0) & (n >= few) & (np.abs(means) <= MAX_SIZE), means, np.nan)

    def totals(self, course: Course, index: int) -> FloatArray:
        """Sum of a series in each step; NaN where it has no value or the step may be cut off."""
        plan, n = course.stage.series[index], self.counts(index)
        with np.errstate(over="ignore", invalid="ignore"):
            sums = plan.center * n + plan.scale * self.sums[:, 2 + 3 * index]
        sums = np.where((n > 0) & (np.abs(sums) <= MAX_SIZE), sums, np.nan)
        if not self.whole:
            sums[[0, -1]] = np.nan
        return sums

    def labels(self) -> list[str]:
        """ISO 8601 start of each step."""
        kind = "s" if is_clock_name(self.unit) else "D"
        return [str(label) for label in self.starts.view("datetime64[us]").astype(f"datetime64[{kind}]")]


def is_clock_name(unit: str) -> bool:
    """Whether steps of this unit need hours and minutes to be named."""
    return unit in _UNITS and is_clock(unit)


def analysis_level(course: Course, grid: Grid | None) -> Level:
    """The level at which series are followed: the grid of the data where they lie on one, unless it is too fine."""
    stage = course.stage
    if grid is not None:
        unit, every = _nearest(grid, stage.fine)
        if grid.unit == "business day" and stage.fine in ("minute", "hour", "day"):
            level = business_level(course)
            if len(level.starts) <= MAX_POINTS:
                return level
            unit = "week"
        for candidate in [unit, *_coarser(unit)]:
            level = level_at(course, candidate, every if candidate == unit else 1, grid.phase, own=candidate == unit)
            if len(level.starts) <= MAX_POINTS:
                return level
    for candidate in _coarser(stage.bucket, itself=True):
        level = level_at(course, candidate)
        full = float((level.sums[:, 0] > 0).mean())
        if (len(level.starts) <= MAX_BUCKETS and full >= FULL_SHARE) or len(level.starts) < 30:
            return level
    return level_at(course, stage.bucket)


def _nearest(grid: Grid, fine: Bucket) -> tuple[Bucket, int]:
    """Unit of buckets, and how many of them make a step, that come nearest to the grid."""
    unit: Bucket = grid.unit if grid.unit in _UNITS else ("day" if grid.unit == "business day" else "minute")
    if BUCKETS.index(unit) < BUCKETS.index(fine):
        return fine, 1
    if grid.every == 7 and unit == "day" and grid.phase == 4:  # 1970-01-05 was a Monday
        return "week", 1
    return unit, grid.every if unit == grid.unit else 1


def _coarser(unit: Bucket, *, itself: bool = False) -> list[Bucket]:
    """Units of which `unit` is a part, finest first."""
    later = list(BUCKETS[BUCKETS.index(unit) + (not itself) :])
    return later if unit != "week" else [one for one in later if one == "week"]


def level_at(course: Course, unit: Bucket, every: int = 1, phase: int = 0, *, own: bool = False) -> Level:
    """Sums by `every` units of the calendar; `own` if those are the steps of the data."""
    stage = course.stage
    ids, sums = course.sums.at(stage.fine, unit, stage.zone)
    if every > 1:
        ids, sums = regroup((ids - phase) // every, sums)
    steps = np.arange(ids[0], ids[-1] + 2, dtype=np.int64)
    starts = bucket_starts(steps * every + phase * (every > 1), unit)
    table = np.zeros((len(steps) - 1, sums.shape[1]))
    table[ids - ids[0]] = sums
    middles = (starts[:-1] + starts[1:] - 2 * starts[0]) / (2 * MICROS_A_DAY)
    local = to_local(starts, stage.zone) if is_clock(unit) else starts
    name = unit if every == 1 else f"{every} {unit}s"
    whole = own or (unit == "day" and not stage.has_hours)
    return Level(name, unit, local[:-1], table, whole, middles)


def business_level(course: Course) -> Level:
    """Sums by day, without Saturdays and Sundays."""
    days = level_at(course, "day")
    weekday = (bucket_ids(days.starts, "day") + 3) % 7
    kept = weekday < 5
    return Level("business day", "day", days.starts[kept], days.sums[kept], True, days.middles[kept])
