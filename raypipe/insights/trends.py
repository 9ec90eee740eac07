"""From bucket sums to a timeline: every bucket, straight trends, and daily and weekly cycles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from raypipe.insights.calendar import MICROS_A_DAY, bucket_labels, bucket_starts
from raypipe.insights.course_sums import Course, is_clock
from raypipe.insights.effects import f_score, variance_explained, weighted_variance_explained
from raypipe.insights.models import Season, Timeline, TimePoint, TimeTrend

if TYPE_CHECKING:
    from raypipe.insights.course_sums import CourseSums
    from raypipe.insights.timeline import CourseOverTime

FloatArray = NDArray[np.float64]
Cycle = Literal["hour", "weekday"]
MIN_TREND_BUCKETS = 8
"""Buckets with values below which no line is drawn."""
MIN_CYCLE_WEEKS = 4
"""Whole weeks below which weekdays are not compared."""
MIN_CYCLE_DAYS = 3
"""Weekdays below which hours are not compared."""


def describe_course(stage: CourseOverTime, sums: CourseSums) -> Timeline:
    """The timeline of a summary that saw at least one row."""
    seen, at_unit = sums.at(stage.fine, stage.bucket, stage.zone)
    first, last = int(min(stage.first, seen[0])), int(max(stage.last, seen[-1]))
    ids = np.arange(first, last + 1, dtype=np.int64)
    table = np.zeros((len(ids), at_unit.shape[1]))
    table[seen - first] = at_unit
    labels = bucket_labels(ids, stage.bucket)
    means = _means(stage, table)
    middles = _middles(ids, stage)
    trends = [_trend(s.column, middles, means[:, i], table[:, 1 + 3 * i]) for i, s in enumerate(stage.series)]
    return Timeline(
        column=stage.column,
        bucket=stage.bucket,
        first=labels[0],
        last=labels[-1],
        points=_points(stage, labels, table, means),
        gaps=int((table[:, 0] == 0).sum()),
        trends=tuple(trend for trend in trends if trend),
        hourly_rows=tuple(_over_hours(sums, 0).astype(int).tolist()) if stage.has_hours else (),
        weekday_rows=tuple(_over_weekdays(sums, 0).astype(int).tolist()),
        hourly_target=_target_means(stage, _over_hours(sums, 1), _over_hours(sums, 2)) if stage.has_hours else (),
        weekday_target=_target_means(stage, _over_weekdays(sums, 1), _over_weekdays(sums, 2)),
        rows_trend=_trend(stage.column, middles[1:-1], table[1:-1, 0], np.ones(max(len(ids) - 2, 0))),
        seasons=tuple(_seasons(stage, sums)),
        outside=sums.outside,
        unknown=sums.unknown,
        zone=stage.zone,
        course=Course(stage, sums),
    )


def _means(stage: CourseOverTime, table: FloatArray) -> FloatArray:
    """Mean of each series in each bucket, NaN without a value."""
    n, total = table[:, 1::3], table[:, 2::3]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scaled = total / n
        return np.array([s.center for s in stage.series]) + np.array([s.scale for s in stage.series]) * scaled


def _points(stage: CourseOverTime, labels: list[str], table: FloatArray, means: FloatArray) -> tuple[TimePoint, ...]:
    names = [series.column for series in stage.series]
    rows = table[:, 0].astype(int).tolist()
    known = [[value if math.isfinite(value) else None for value in values] for values in means.tolist()]
    return tuple(
        TimePoint(start=label, rows=n, means=dict(zip(names, values, strict=True)))
        for label, n, values in zip(labels, rows, known, strict=True)
    )


def _middles(ids: NDArray[np.int64], stage: CourseOverTime) -> FloatArray:
    """Middle of each bucket, in days from the first one."""
    starts = bucket_starts(np.append(ids, ids[-1] + 1), stage.bucket)
    days = (starts - starts[0]) / MICROS_A_DAY
    return np.asarray((days[:-1] + days[1:]) / 2)


def _trend(column: str, days: FloatArray, values: FloatArray, weights: FloatArray) -> TimeTrend | None:
    """The weighted straight line, or None for too few buckets or no variation."""
    used = np.isfinite(values) & (weights > 0)
    t, y, w = days[used], values[used], weights[used]
    if len(t) < MIN_TREND_BUCKETS:
        return None
    size = float(np.abs(y).max())
    if size == 0 or not math.isfinite(size * size * w.sum()):
        return None
    mean_t, mean_y = np.average(t, weights=w), np.average(y, weights=w)
    dt, dy = t - mean_t, y - mean_y
    sxx, sxy, syy = float(w @ (dt * dt)), float(w @ (dt * dy)), float(w @ (dy * dy))
    if sxx <= 0 or syy <= 1e-20 * float(w.sum()) * size * size:
        return None
    slope, r2 = sxy / sxx, min(sxy * sxy / (sxx * syy), 1.0)
    change = slope * float(t[-1] - t[0])
    return TimeTrend(
        column=column,
        slope_per_day=slope,
        r_squared=r2,
        change_share=change / abs(mean_y) if mean_y else None,
        buckets=len(t),
        score=_trend_score(r2, np.sqrt(w) * (dy - slope * dt)),
    )


def _trend_score(r2: float, residuals: FloatArray) -> float:
    """Normal score of a line, with fewer buckets where neighbouring residuals agree.

    References
    ----------
    Bartlett (1935), Some aspects of the time-correlation problem: n (1 - q) / (1 + q) for lag-one correlation q.
    Shaman, Stine (1988), The bias of autoregressive coefficient estimators: (2 + 4 q) / n for residuals of a line.
    """
    spread = float(residuals @ residuals)
    q = float(residuals[1:] @ residuals[:-1]) / spread if spread > 0 else 0.0
    n = len(residuals)
    q = min(max(q + (2 + 4 * q) / n, 0.0), 0.999)
    effective = n * (1 - q) / (1 + q)
    return f_score(r2 / max(1 - r2, 1e-12) * (effective - 2), 1, effective - 2) if effective > 5 else 0.0


def _over_hours(sums: CourseSums, figure: int) -> FloatArray:
    return np.asarray(sums.week_hours[:, figure].reshape(7, 24).sum(axis=0))


def _over_weekdays(sums: CourseSums, figure: int) -> FloatArray:
    return np.asarray(sums.week_hours[:, figure].reshape(7, 24).sum(axis=1))


def _target_means(stage: CourseOverTime, n: FloatArray, total: FloatArray) -> tuple[float | None, ...]:
    if stage.target is None:
        return ()
    goal = stage.series[0]
    pairs = zip(total.tolist(), n.tolist(), strict=True)
    return tuple(goal.center + goal.scale * t / k if k else None for t, k in pairs)


def _seasons(stage: CourseOverTime, sums: CourseSums) -> list[Season]:
    """Cycles that the span is long enough to show."""
    found: list[Season] = []
    if is_clock(stage.fine) or stage.fine == "day":
        days, daily = sums.at(stage.fine, "day", stage.zone)
        if days[-1] - days[0] + 1 >= 7 * MIN_CYCLE_WEEKS:
            found += _weekly(stage, sums, days, daily)
    if stage.has_hours and np.count_nonzero(_over_weekdays(sums, 0)) >= MIN_CYCLE_DAYS:
        found += _daily(stage, sums)
    return found


def _weekly(stage: CourseOverTime, sums: CourseSums, seen: NDArray[np.int64], daily: FloatArray) -> list[Season]:
    """Weekdays compared, each day one observation; days without rows count, the first and last day do not."""
    first = int(seen[0])
    table = np.zeros((int(seen[-1]) - first + 1, daily.shape[1]))
    table[seen - first] = daily
    days = (np.arange(len(table), dtype=np.int64) + first + 3) % 7
    inner, counts = days[1:-1], table[1:-1, 0]
    eta, score = weighted_variance_explained(inner, counts, np.ones(len(counts)))
    found = [_season("weekday", None, eta, score, len(counts))]
    if stage.target and table[:, 1].sum():
        n, total = table[:, 1], table[:, 2]
        score = weighted_variance_explained(days, np.divide(total, n, out=np.zeros_like(n), where=n > 0), n)[1]
        eta = _row_eta(sums, "weekday")
        found.append(_season("weekday", stage.target, eta, score, int(np.count_nonzero(n))))
    return found


def _daily(stage: CourseOverTime, sums: CourseSums) -> list[Season]:
    """Hours compared, each hour of the week one observation."""
    weekday_seen = np.repeat(_over_weekdays(sums, 0) > 0, 24).astype(float)
    hour = np.tile(np.arange(24, dtype=np.int64), 7)
    eta, score = weighted_variance_explained(hour, sums.week_hours[:, 0], weekday_seen)
    found = [_season("hour", None, eta, score, int(weekday_seen.sum()))]
    if stage.target and sums.week_hours[:, 1].sum():
        n, total = sums.week_hours[:, 1], sums.week_hours[:, 2]
        score = weighted_variance_explained(hour, np.divide(total, n, out=np.zeros_like(n), where=n > 0), n)[1]
        found.append(_season("hour", stage.target, _row_eta(sums, "hour"), score, int(np.count_nonzero(n))))
    return found


def _row_eta(sums: CourseSums, cycle: Cycle) -> float:
    over = _over_hours if cycle == "hour" else _over_weekdays
    return variance_explained(over(sums, 1), over(sums, 2), float(sums.week_hours[:, 3].sum()))[0]


def _season(cycle: Cycle, column: str | None, eta: float, score: float, observations: int) -> Season:
    return Season(cycle=cycle, column=column, eta_squared=eta, score=score, observations=observations)
