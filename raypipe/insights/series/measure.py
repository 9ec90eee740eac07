"""From the sums of a course to a `SeriesReport`: each series taken apart and tested, p-values corrected together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from raypipe.blocks.chance import NORMAL_95
from raypipe.config.insights.series import SeriesConfig
from raypipe.insights.calendar import BUCKETS, MICROS_A_DAY, Bucket, IntArray, bucket_ids, bucket_starts
from raypipe.insights.chance import holm
from raypipe.insights.course_sums import Course, is_clock
from raypipe.insights.series import anomalies as stray
from raypipe.insights.series.changes import Shift, curve, description_length, find_changes, terms
from raypipe.insights.series.decompose import MIN_POINTS, Parts, Tails, decompose
from raypipe.insights.series.forecast import horizon_of, make_forecast
from raypipe.insights.series.frequency import Grid, find_frequency
from raypipe.insights.series.levels import Level, analysis_level, level_at
from raypipe.insights.series.models import (
    Autocorrelation,
    ChangePoint,
    Decomposition,
    Forecast,
    SeasonTest,
    SeriesFacts,
    SeriesReport,
    Stationarity,
    Trend,
)
from raypipe.insights.series.noise import FloatArray
from raypipe.insights.series.seasons import CYCLES, Phases, check_season
from raypipe.insights.series.stationarity import MIN_POINTS as MIN_STATIONARY
from raypipe.insights.series.stationarity import autocorrelation, stationarity
from raypipe.insights.series.trend import find_trend

TESTS_A_SERIES = 3
"""Trend, seasons and changes: each kind of finding gets this share of the false alarms that are allowed."""
MANY_ROWS = 300
"""Values from which on the mean of a bucket is near normal."""


@dataclass
class _Work:
    """One series on its way."""

    column: str | None
    measure: Literal["rows", "mean", "sum"]
    index: int
    y: FloatArray = field(default_factory=lambda: np.zeros(0))
    seasons: list[SeasonTest] = field(default_factory=list)
    phases: list[Phases] = field(default_factory=list)
    parts: Parts | None = None
    calm: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Known values without season."""
    trend: Trend | None = None
    shape: Literal["level", "line", "shifts", "line and shifts", "curve"] = "level"
    shifts: list[Shift] = field(default_factory=list)
    not_computed: dict[str, str] = field(default_factory=dict)


def measure_series(course: Course, settings: SeriesConfig) -> SeriesReport:
    """What the sums of `course` say about time."""
    stage = course.stage
    frequency, grid = find_frequency(course.sums.instants, stage.zone)
    level = analysis_level(course, grid)
    works = list(_series(course, level, frequency.most_rows))
    alpha = settings.false_alarms
    _find_seasons(course, grid, works, alpha)
    for work in works:
        _take_apart(work, level, alpha / max(len(works), 1))
    _correct_trends(works)
    labels = level.labels()
    facts = tuple(
        _facts(work, level, labels, grid, number < settings.max_forecasts) for number, work in enumerate(works)
    )
    return SeriesReport(
        time_column=stage.column,
        zone=stage.zone,
        frequency=frequency,
        bucket=level.name,
        first=labels[0],
        last=labels[-1],
        buckets=len(labels),
        empty_buckets=int((level.sums[:, 0] == 0).sum()),
        rows=int(level.sums[:, 0].sum()),
        series=facts,
        columns_left_out=stage.left_out,
        tests=len(works),
        not_computed=_not_computed(frequency.exact, level),
    )


def _not_computed(exact: bool, level: Level) -> dict[str, str]:
    reasons = {}
    if not exact:
        reasons["frequency, gaps and repeats in time"] = "there are too many distinct times to keep each of them"
    if len(level.starts) < MIN_POINTS:
        reasons["trend, seasons, changes and anomalies"] = (
            f"the rows make {len(level.starts)} {level.name} buckets; {MIN_POINTS} are needed"
        )
    return reasons


def _series(course: Course, level: Level, most_rows: int | None) -> Iterator[_Work]:
    """The number of rows (unless it is one a step), the target's mean and sum, the other columns' means."""
    rows = level.rows
    one_a_step = level.whole and most_rows == 1
    if not one_a_step:
        yield _Work(None, "rows", -1, rows)
    for index, plan in enumerate(course.stage.series):
        yield _Work(plan.column, "mean", index, level.means(course, index))
    if course.stage.target and not one_a_step:
        yield _Work(course.stage.target, "sum", 0, level.totals(course, 0))


def _find_seasons(course: Course, grid: Grid | None, works: list[_Work], alpha: float) -> None:
    """Test every cycle that the data can show, and keep those that are more than chance."""
    found: list[tuple[_Work, Phases, SeasonTest]] = []
    for phases in CYCLES:
        level = _season_level(course, grid, phases)
        if level is None:
            continue
        for work in works:
            y = _values(course, level, work)
            test = check_season(phases, level.starts, y)
            if test is not None:
                found.append((work, phases, test))
    for (work, phases, test), p in zip(found, holm([test.p_value for *_, test in found]), strict=True):
        if phases.cycle == "quarter" and any(one.cycle == "month of the year" for one in work.phases):
            continue  # the months say it already
        work.seasons.append(test.model_copy(update={"p_value": p}))
        if p < alpha:
            work.phases.append(phases)


def _values(course: Course, level: Level, work: _Work) -> FloatArray:
    if work.measure == "rows":
        return level.rows
    return level.means(course, work.index) if work.measure == "mean" else level.totals(course, work.index)


def _season_level(course: Course, grid: Grid | None, phases: Phases) -> Level | None:
    """The sums by the unit of a cycle; None where the data are coarser than that."""
    stage, unit = course.stage, phases.unit
    assert unit in BUCKETS
    if BUCKETS.index(unit) < BUCKETS.index(stage.fine) or (unit == "hour" and not stage.has_hours):
        return None
    own = False
    if grid is not None:
        step = "day" if grid.unit == "business day" else grid.unit
        days = grid.every if step == "day" else 1
        coarse = BUCKETS.index(step) if step in BUCKETS else 0
        if coarse > BUCKETS.index(unit) or (unit == "day" and days > 1) or (unit == "month" and days > 31):
            return None
        own = coarse == BUCKETS.index(unit) and days == 1
    if unit == "hour" and np.count_nonzero(course.sums.week_hours[:, 0].reshape(7, 24).sum(axis=0)) < 3:
        return None
    bucket: Bucket = unit
    return level_at(course, bucket, own=own)


def _take_apart(work: _Work, level: Level, alpha: float) -> None:
    """Season out, then the shape of the course: level, line, shifts or a curve, whichever describes it best."""
    y = work.y
    known = np.isfinite(y)
    if known.sum() < MIN_POINTS:
        work.not_computed["all"] = f"{int(known.sum())} buckets have a value; {MIN_POINTS} are needed"
        return
    if np.ptp(y[known]) <= 1e-9 * float(np.abs(y[known]).max()):
        work.not_computed["all"] = "all values are equal"
        return
    work.phases = [phases for phases in work.phases if _shows(level, phases)]
    cycle = max((phases.days for phases in work.phases), default=0.0) / _step_days(level)
    work.parts = decompose(y, [phases.of(level.starts) for phases in work.phases], cycle)
    work.calm = (y - work.parts.season)[known]
    work.trend = find_trend(level.middles[known], work.calm)
    _choose_shape(work, level.middles[known], alpha)


def _step_days(level: Level) -> float:
    return float(level.middles[-1] - level.middles[0]) / max(len(level.middles) - 1, 1)


def _shows(level: Level, phases: Phases) -> bool:
    """Whether the cycle can be seen in steps of the level."""
    return _step_days(level) < phases.days / 2 and (
        phases.cycle != "hour of the day" or level.unit in ("hour", "minute")
    )


def _choose_shape(work: _Work, t: FloatArray, alpha: float) -> None:
    y, n = work.calm, len(work.calm)
    line = ((t - t.mean()) / max(float(np.ptp(t)), 1e-9))[:, None]
    has_line = work.trend is not None and work.trend.p_value < alpha
    shifts = find_changes(y, alpha)
    if not shifts:
        around = find_changes(y, alpha, line) if has_line else []
        work.shifts, work.shape = around, ("line and shifts" if around else "line" if has_line else "level")
        return
    steps = terms(n, [shift.at for shift in shifts], None)
    lengths = {
        "shifts": description_length(y, steps, 1 + 2 * len(shifts)),
        "line": description_length(y, line, 2),
        "curve": description_length(y, curve(n), 4),
    }
    around = find_changes(y, alpha, line) if has_line else []
    if around:
        both = terms(n, [shift.at for shift in around], line)
        lengths["line and shifts"] = description_length(y, both, 2 + 2 * len(around))
    best = min(lengths, key=lambda shape: lengths[shape])
    if best == "shifts":
        work.shifts, work.shape = shifts, "shifts"
    elif best == "line and shifts" or (best == "line" and has_line):
        work.shifts = around
        work.shape = "line and shifts" if around else "line"
    else:
        work.shape = "curve"


def _correct_trends(works: list[_Work]) -> None:
    """Trends as one family."""
    with_trend = [work for work in works if work.trend is not None]
    corrected = holm([work.trend.p_value for work in with_trend if work.trend is not None])
    for work, p in zip(with_trend, corrected, strict=True):
        assert work.trend is not None
        work.trend = work.trend.model_copy(update={"p_value": p})


def _facts(work: _Work, level: Level, labels: list[str], grid: Grid | None, wants_forecast: bool) -> SeriesFacts:
    known = np.isfinite(work.y)
    facts = SeriesFacts(
        column=work.column,
        measure=work.measure,
        points=int(known.sum()),
        mean=float(work.y[known].mean()) if known.any() else None,
        std=float(work.y[known].std(ddof=1)) if known.sum() > 1 else None,
        seasons=tuple(work.seasons),
        not_computed=dict(work.not_computed),
    )
    if work.parts is None:
        return facts
    left = work.parts.left[known]
    memory, still = _memory(work, left)
    forecast = _forecast(work, level) if wants_forecast else None
    reasons = dict(facts.not_computed)
    if not wants_forecast:
        reasons["forecast"] = "analysis.series.max_forecasts was reached"
    elif forecast is None:
        reasons["forecast"] = "40 buckets with values are needed, and no more than a fifth may have none"
    return facts.model_copy(
        update={
            "trend": work.trend,
            "shape": work.shape,
            "autocorrelation": memory,
            "stationarity": still,
            "changes": _changes(work, labels, known),
            "anomalies": stray.find_anomalies(work.y, work.parts, _floor(work, level), labels, _tails(work, level)),
            "decomposition": _decomposition(work, labels),
            "forecast": forecast,
            "not_computed": reasons,
        }
    )


def _memory(work: _Work, left: FloatArray) -> tuple[Autocorrelation, Stationarity | None]:
    return autocorrelation(left), stationarity(work.calm) if len(work.calm) >= MIN_STATIONARY else None


def _floor(work: _Work, level: Level) -> FloatArray:
    """What chance alone makes of each point: Poisson's spread of a count, the standard error of a mean."""
    if work.measure == "rows":
        return np.sqrt(np.maximum(np.nan_to_num(work.parts.trend + work.parts.season if work.parts else work.y), 1.0))
    n = level.counts(work.index)
    if work.measure == "sum" or float(np.median(n[n > 0])) < 2:
        return np.zeros(len(work.y))
    within = level.sums[:, 3 + 3 * work.index].sum() - (level.sums[:, 2 + 3 * work.index] ** 2 / np.maximum(n, 1)).sum()
    return np.sqrt(max(float(within), 0.0) / max(float((n - 1).clip(0).sum()), 1.0) / np.maximum(n, 1))


def _tails(work: _Work, level: Level) -> Tails:
    if work.measure == "rows":
        return "counts"
    n = level.counts(work.index)
    return "values" if float(np.median(n[n > 0])) < MANY_ROWS else "means"


def _changes(work: _Work, labels: list[str], known: np.ndarray) -> tuple[ChangePoint, ...]:
    places = [label for label, seen in zip(labels, known.tolist(), strict=True) if seen]
    found = [
        ChangePoint(
            at=places[shift.at],
            interval=(places[shift.first], places[shift.last]),
            shift=shift.size,
            shift_interval=(shift.size - NORMAL_95 * shift.error, shift.size + NORMAL_95 * shift.error),
            shift_in_std=shift.size / shift.sd if shift.sd > 0 else 0.0,
            p_value=shift.p_value,
        )
        for shift in work.shifts
    ]
    return tuple(sorted(found, key=lambda change: -abs(change.shift)))


def _decomposition(work: _Work, labels: list[str]) -> Decomposition:
    assert work.parts is not None
    shown = work.measure == "rows" or work.index == 0
    return Decomposition(
        cycle=work.phases[0].cycle if work.phases else None,
        trend_strength=work.parts.trend_strength,
        starts=tuple(labels) if shown else (),
        values=_plain(work.y) if shown else (),
        trend=_plain(work.parts.trend) if shown else (),
        season=_plain(work.parts.season) if shown else (),
    )


def _plain(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(float(f"{value:.6g}") if value == value else None for value in values.tolist())


def _forecast(work: _Work, level: Level) -> Forecast | None:
    """Of the steps after the last whole one."""
    whole = len(work.y) if level.whole or np.isfinite(work.y[-1]) else len(work.y) - 1
    first = 0 if np.isfinite(work.y[0]) else 1
    horizon = horizon_of(level.unit, whole - first)
    starts = future_starts(level, whole, horizon)
    order = sorted(work.phases, key=lambda phases: -_strength(work, phases))
    times = np.concatenate([level.starts[first:whole], starts])
    labels = Level(level.name, level.unit, starts, level.sums[:0], True, level.middles[:0]).labels()
    kept = tuple(phases.of(times) for phases in order)
    least = 0.0 if work.measure == "rows" else None
    return make_forecast(work.y[first:whole], kept, tuple(labels), least)


def _strength(work: _Work, phases: Phases) -> float:
    return next(test.strength for test in work.seasons if test.cycle == phases.cycle)


def future_starts(level: Level, whole: int, steps: int) -> IntArray:
    """Starts of the steps that follow the first `whole` ones."""
    last = level.starts[whole - 1 : whole]
    if level.name == "business day":
        days = last[0] // MICROS_A_DAY + 1 + np.arange(2 * steps + 4)
        return np.asarray(days[(days + 3) % 7 < 5][:steps] * MICROS_A_DAY)
    unit: Bucket = level.unit  # type: ignore[assignment]  # only business days are no bucket
    every = int(level.name.split()[0]) if level.name[0].isdigit() else 1
    ahead = np.arange(1, steps + 1) * every
    if is_clock(unit):
        size = {"minute": 60_000_000, "hour": 3_600_000_000}[unit]
        return np.asarray(last[0] + ahead * size)
    return bucket_starts(bucket_ids(last, unit)[0] + ahead, unit)
