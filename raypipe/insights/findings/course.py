"""Findings about the course over time: trends, cycles, gaps and unusual periods."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from raypipe.insights.effects import MAD_TO_STD, effect_word, score_limit
from raypipe.insights.facts import MIN_ROWS, Facts, graded
from raypipe.insights.models import Season, Timeline, TimeTrend
from raypipe.insights.words import count, figure, name, names, percent
from raypipe.results import Insight

FloatArray = NDArray[np.float64]

MIN_TREND_R2 = 0.25
MIN_TREND_STD = 0.2
"""Change over the whole span, in standard deviations of the rows; Cohen's small effect."""
MIN_ROWS_CHANGE = 0.1
MIN_SEASON_ETA = 0.01
"""Of the rows' spread: Cohen's small effect. Cycles of the row count need more: their observations are whole days."""
MIN_ROWS_ETA = 0.2
GAP_CHANCE = 0.01
"""Expected number of gaps this long, if rows fell at random, below which a gap is told."""
MIN_BUCKET_Z = 6.0
MIN_BUCKET_ROWS = 30
MIN_BUCKETS = 20
SMOOTH_BUCKETS = 14
"""Buckets to each side whose median is what a bucket is compared with."""
MIN_PHASE_BUCKETS = 8
"""Buckets of one weekday, or one hour, from which they are compared with their own kind."""
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def unusable_times(facts: Facts) -> Iterator[Insight]:
    """Rows without a time, or with one far off all others."""
    line = facts.timeline
    rows = facts.profile.rows
    if line is None or not rows:
        return
    if not line.points or line.unknown / rows >= 0.05:
        yield Insight(
            type="missing_times",
            category="data_quality",
            title=f"{percent(line.unknown / rows)} of rows have no {name(line.column)}",
            description=f"{line.unknown:,} of {count(rows, 'row')} have no place in time.",
            impact="The course over time leaves them out.",
            columns_affected=(line.column,),
            priority_score=graded(line.unknown / rows, (0.05, 4), (1.0, 9)),
            evidence={"rows": line.unknown, "share": line.unknown / rows, "threshold": 0.05},
            recommendation="Name another time_column, or find out why times are missing.",
        )
    if line.outside and line.points:
        yield Insight(
            type="far_off_times",
            category="data_quality",
            title=f"{count(line.outside, 'row')} lie far off in time",
            description=f"They lie before {line.first} or long after {line.last}; 98 % of rows lie close together.",
            impact="They are left out of the course over time.",
            columns_affected=(line.column,),
            priority_score=graded(line.outside / rows, (0.0, 3), (0.02, 6)),
            evidence={"rows": line.outside, "share": line.outside / rows, "threshold": "20 times the middle 98 %"},
            recommendation="Dates such as 1900-01-01 or 9999-12-31 stand for “unknown”: list them in"
            " read_options.null_values.",
        )


def trends(facts: Facts) -> Iterator[Insight]:
    """Straight trends of number columns, and of the number of rows."""
    line = facts.timeline
    if line is None:
        return
    limit = score_limit(len(line.trends) + 1)
    for trend in line.trends:
        column = facts.columns.get(trend.column)
        std = column.number.std if column and column.number else None
        change = trend.slope_per_day * _span_days(line)
        effect = abs(change) / std if std else (abs(change) if column and column.kind == "boolean" else 0.0)
        if _is_trend(trend, limit) and effect >= MIN_TREND_STD:
            yield _trend(line, trend, change, effect, is_target=trend.column == facts.target_name)
    rows = line.rows_trend
    if rows and _is_trend(rows, limit) and abs(rows.change_share or 0.0) >= MIN_ROWS_CHANGE:
        yield _rows_trend(line, rows)


def _is_trend(trend: TimeTrend, limit: float) -> bool:
    return trend.r_squared >= MIN_TREND_R2 and (trend.score or 0.0) >= limit


def _span_days(line: Timeline) -> float:
    """Days from the first bucket to the last."""
    return (datetime.fromisoformat(line.last) - datetime.fromisoformat(line.first)).total_seconds() / 86_400


def _trend(line: Timeline, trend: TimeTrend, change: float, effect: float, *, is_target: bool) -> Insight:
    way = "rises" if change > 0 else "falls"
    relative = f" ({percent(abs(trend.change_share))} of its mean)" if trend.change_share else ""
    return Insight(
        type="trend",
        category="trends",
        title=f"{name(trend.column)} {way} over time",
        description=f"From {line.first} to {line.last} it {way} by about {figure(abs(change))}{relative}, on a line"
        f" that explains {percent(trend.r_squared)} of the spread of {trend.buckets} {line.bucket} means (R² ="
        f" {trend.r_squared:.2f}).",
        impact=f"The change is {figure(effect)} standard deviations of the single rows: old rows and new ones differ.",
        columns_affected=(trend.column, line.column),
        priority_score=min(graded(effect, (MIN_TREND_STD, 4), (2.0, 8)) + is_target, 10),
        evidence={
            "slope_per_day": trend.slope_per_day,
            "r_squared": trend.r_squared,
            "change": change,
            "change_in_std": effect,
            "buckets": trend.buckets,
            "score": trend.score,
            "threshold": {"r_squared": MIN_TREND_R2, "change_in_std": MIN_TREND_STD},
        },
        recommendation="Compare like periods, split models by time (train on the past, test on the latest rows), and"
        " ask what changed.",
    )


def _rows_trend(line: Timeline, trend: TimeTrend) -> Insight:
    share = trend.change_share or 0.0
    way = "grows" if share > 0 else "shrinks"
    return Insight(
        type="volume_trend",
        category="trends",
        title=f"The number of rows a {line.bucket} {way}",
        description=f"From {line.first} to {line.last} it {way} by about {percent(abs(share))} of its mean, R² ="
        f" {trend.r_squared:.2f} over {trend.buckets} {line.bucket}s.",
        impact="Totals move with it; averages over the whole span weigh busy periods most.",
        columns_affected=(line.column,),
        priority_score=graded(abs(share), (MIN_ROWS_CHANGE, 3), (1.0, 7)),
        evidence={
            "change_share": share,
            "r_squared": trend.r_squared,
            "buckets": trend.buckets,
            "score": trend.score,
            "threshold": {"r_squared": MIN_TREND_R2, "change_share": MIN_ROWS_CHANGE},
        },
        recommendation="Report rates instead of totals, and check that no source was added or lost.",
    )


def seasonality(facts: Facts) -> Iterator[Insight]:
    """Daily and weekly cycles of the target and of the number of rows."""
    line = facts.timeline
    if line is None:
        return
    limit = score_limit(4)
    for season in line.seasons:
        least = MIN_ROWS_ETA if season.column is None else MIN_SEASON_ETA
        if season.eta_squared >= least and season.score >= limit and sum(line.weekday_rows) >= 5 * MIN_ROWS:
            column = facts.columns.get(line.column)
            yield _season(line, season, least, ", UTC" if column and "tz=" in column.dtype else "")


def _season(line: Timeline, season: Season, least: float, zone: str) -> Insight:
    labels = _WEEKDAYS if season.cycle == "weekday" else tuple(f"{hour:02d}:00" for hour in range(24))
    rows = line.weekday_rows if season.cycle == "weekday" else line.hourly_rows
    means = line.weekday_target if season.cycle == "weekday" else line.hourly_target
    total = sum(rows)
    if season.column is None:
        values = [(n / total, label) for n, label in zip(rows, labels, strict=True)]
        low, high, what = min(values), max(values), "the number of rows"
        told = f"{high[1]} has {percent(high[0])} of all rows, {low[1]} {percent(low[0])}"
    else:
        enough = [(m, x) for m, x, n in zip(means, labels, rows, strict=True) if m is not None and n >= MIN_BUCKET_ROWS]
        known = enough or [(m, x) for m, x in zip(means, labels, strict=True) if m is not None]
        low, high, what = min(known), max(known), name(season.column)
        told = f"its mean goes from {figure(low[0])} ({low[1]}) to {figure(high[0])} ({high[1]})"
    cycle = "day of the week" if season.cycle == "weekday" else "hour of the day"
    observed = "days" if season.cycle == "weekday" else "hours of the week"
    spread = (
        f"of its spread over {season.observations} {observed}" if season.column is None else "of its spread over rows"
    )
    effect = math.sqrt(season.eta_squared)
    return Insight(
        type="seasonality",
        category="seasonality",
        title=f"{what[0].upper()}{what[1:]} follows the {cycle}",
        description=f"The {cycle} explains {percent(season.eta_squared)} {spread} ({effect_word(effect)});"
        f" {told}{zone}.",
        impact="Two periods compare only over the same hours and days.",
        columns_affected=(season.column, line.column) if season.column else (line.column,),
        priority_score=graded(effect, (math.sqrt(least), 4), (0.8, 8)),
        evidence={
            "cycle": season.cycle,
            "eta_squared": season.eta_squared,
            "score": season.score,
            "observations": season.observations,
            "high": high[1],
            "low": low[1],
            "threshold": {"eta_squared": least},
        },
        recommendation=f"Add the {cycle} of {name(line.column)} as a column for models, and compare with the same"
        f" {cycle} of earlier periods.",
    )


def gaps(facts: Facts) -> Iterator[Insight]:
    """Stretches without rows, longer than chance makes them, but for weekends that never have any."""
    line = facts.timeline
    if line is None or not line.gaps or sum(point.rows for point in line.points) < MIN_ROWS:
        return
    closed = _closed_weekdays(line)
    open_points = [p for p in line.points if not (closed and datetime.fromisoformat(p.start).weekday() in closed)]
    runs = [(empty, list(points)) for empty, points in groupby(open_points, key=lambda point: point.rows == 0)]
    per_bucket = sum(point.rows for point in open_points) / len(open_points)
    sure = [run for empty, run in runs if empty and len(open_points) * math.exp(-len(run) * per_bucket) < GAP_CHANCE]
    if not sure:
        return
    longest = max(sure, key=len)
    missing = sum(len(run) for run in sure)
    yield Insight(
        type="time_gaps",
        category="trends",
        title=f"{name(line.column)} has {count(len(sure), 'gap')} without rows",
        description=f"{missing:,} of {len(open_points):,} {line.bucket}s have no row; the longest gap runs over"
        f" {count(len(longest), line.bucket)} from {longest[0].start}. By chance none would be expected.",
        impact="Sums and trends across a gap compare unequal periods.",
        columns_affected=(line.column,),
        priority_score=graded(missing / len(open_points), (0.0, 4), (0.3, 8)),
        evidence={
            "gaps": len(sure),
            "empty_buckets": missing,
            "longest": len(longest),
            "longest_from": longest[0].start,
            "bucket": line.bucket,
            "closed_weekdays": [_WEEKDAYS[day] for day in sorted(closed)],
            "threshold": f"fewer than {GAP_CHANCE} such gaps expected by chance",
        },
        recommendation="Check whether data of these periods was lost, late or never made.",
    )


def _closed_weekdays(line: Timeline) -> frozenset[int]:
    """Weekdays that never have a row, where the timeline is by day and long enough to tell."""
    if line.bucket != "day" or len(line.points) < 28:
        return frozenset()
    return frozenset(day for day, rows in enumerate(line.weekday_rows) if rows == 0)


@dataclass(frozen=True)
class _Stray:
    """One bucket of one series that lies far off."""

    start: str
    column: str | None
    """None: the number of rows."""
    value: float
    score: float


def unusual_periods(facts: Facts) -> Iterator[Insight]:
    """Periods whose means, or number of rows, lie far off those of their neighbours; the target's apart."""
    line = facts.timeline
    if line is None or len(line.points) < MIN_BUCKETS:
        return
    inner = line.points[1:-1]
    rows = np.array([float(point.rows) for point in inner])
    phases = _phases(line)
    of_target: list[_Stray] = []
    of_others: list[_Stray] = []
    if float(np.median(rows)) >= MIN_ROWS / 2:
        of_others += _strays(line, None, rows, _count_scores(rows, phases))
    for trend in line.trends:
        column = facts.columns.get(trend.column)
        number = column.number if column else None
        skewness, std = (abs(number.skewness or 0.0), number.std or 0.0) if number else (0.0, 0.0)
        # Cochran (1977): the mean of n values is near normal from n = 25 times the squared skewness on.
        enough = rows >= max(MIN_BUCKET_ROWS, 25 * skewness**2)
        means = np.array([_value(point.means.get(trend.column)) for point in inner])
        used = enough & np.isfinite(means)
        if used.sum() < max(MIN_BUCKETS, len(used) / 2):
            continue
        scores = np.full(len(means), np.nan)
        scores[used] = _mean_scores(means[used], rows[used], phases[used], std)
        found = _strays(line, trend.column, means, scores)
        (of_target if trend.column == facts.target_name else of_others).extend(found)
    if of_target:
        yield _unusual(line, of_target, (MIN_BUCKET_Z, 4), (30.0, 8))
    if of_others:
        yield _unusual(line, of_others, (MIN_BUCKET_Z, 3), (40.0, 6))


def _strays(line: Timeline, column: str | None, values: FloatArray, scores: FloatArray) -> list[_Stray]:
    far = np.flatnonzero(np.abs(np.nan_to_num(scores)) >= MIN_BUCKET_Z)
    return [_Stray(line.points[i + 1].start, column, float(values[i]), float(scores[i])) for i in far]


def _value(mean: float | None) -> float:
    return math.nan if mean is None else mean


def _phases(line: Timeline) -> NDArray[np.int64]:
    """Place of each inner bucket in its natural cycle: the weekday of a day, the hour of an hour."""
    times = [datetime.fromisoformat(point.start) for point in line.points[1:-1]]
    if line.bucket == "day":
        return np.array([time.weekday() for time in times])
    if line.bucket == "hour":
        return np.array([time.hour for time in times])
    return np.zeros(len(times), np.int64)


def _residuals(values: FloatArray, phases: NDArray[np.int64]) -> FloatArray:
    """What is left after the running median of neighbours and the median of the same phase of the cycle."""
    padded = np.pad(values, SMOOTH_BUCKETS, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * SMOOTH_BUCKETS + 1)
    left = values - np.nanmedian(windows, axis=1)
    for phase in np.unique(phases):
        same = phases == phase
        if same.sum() >= MIN_PHASE_BUCKETS:
            left[same] -= np.median(left[same])
    return left


def _count_scores(rows: FloatArray, phases: NDArray[np.int64]) -> FloatArray:
    """Robust scores of counts, whose spread is at least that of chance (Poisson); empty buckets are gaps, not these."""
    left = _residuals(rows, phases)
    spread = max(MAD_TO_STD * float(np.median(np.abs(left))), math.sqrt(float(np.median(rows))))
    return np.where(rows > 0, left / spread, np.nan)


def _mean_scores(means: FloatArray, rows: FloatArray, phases: NDArray[np.int64], std: float) -> FloatArray:
    """Robust scores of means, whose spread is at least their standard error; means of few rows are less certain."""
    middle = float(np.median(rows))
    left = _residuals(means, phases) * np.sqrt(np.minimum(rows / middle, 1.0))
    spread = max(MAD_TO_STD * float(np.median(np.abs(left - np.median(left)))), std / math.sqrt(middle))
    return left / spread if spread > 0 else np.full(len(means), np.nan)


def _unusual(line: Timeline, strays: list[_Stray], low: tuple[float, int], high: tuple[float, int]) -> Insight:
    strays = sorted(strays, key=lambda stray: -abs(stray.score))
    periods = list(dict.fromkeys(stray.start for stray in strays))
    columns = tuple(dict.fromkeys(stray.column for stray in strays if stray.column))
    told = []
    for start in periods[:5]:
        here = [stray for stray in strays if stray.start == start][:3]
        what = (f"{name(s.column) if s.column else 'rows'} {figure(s.value)}" for s in here)
        told.append(f"{start} ({', '.join(what)})")
    subject = f" of {names(columns, 3)}" if columns else ""
    rows = "" if columns else " of the number of rows"
    return Insight(
        type="unusual_period",
        category="outliers",
        title=f"{count(len(periods), line.bucket)} with unusual values{subject}{rows}",
        description="Compared with their neighbours and the same part of the cycle, these stand out most:"
        f" {'; '.join(told)}.",
        impact="A few such periods can make or hide a trend.",
        columns_affected=(*columns, line.column),
        priority_score=graded(abs(strays[0].score), low, high),
        evidence={
            "periods": len(periods),
            "most_unusual": [
                {"start": s.start, "column": s.column or "number of rows", "value": s.value, "robust_z": s.score}
                for s in strays[:8]
            ],
            "threshold": MIN_BUCKET_Z,
            "source": "median absolute deviation, Iglewicz and Hoaglin (1993)",
        },
        recommendation="Ask what happened then (an event, a holiday, a fault in recording), and mark these periods.",
    )
