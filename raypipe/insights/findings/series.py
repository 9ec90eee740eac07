"""Findings about the course over time: trends, seasons, shifts of the level, wandering, and what can be foretold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from raypipe.insights.facts import MIN_ROWS, Facts, graded, sureness
from raypipe.insights.series.models import ChangePoint, SeasonTest, SeriesFacts, SeriesReport, Trend
from raypipe.insights.series.seasons import CYCLES, MAX_POINTS
from raypipe.insights.words import by_step, count, figure, moment, name, percent, sentence, steps, times
from raypipe.results import Insight

MAX_P = 0.01
"""After the correction for all series (and cycles) that were tried."""
MIN_TREND_STD = 0.2
"""Change over the whole span, in standard deviations of the rows; Cohen's small effect."""
MIN_ROWS_CHANGE = 0.1
MIN_STRENGTH = 0.05
MIN_SHIFT_STD = 0.3
WALK_POINTS = 100
CHART = "time"
DAYS = {"hour": 1 / 24, "day": 1.0, "month": 30.4}
"""Unit of time -> its length in days."""
_UNITS = {phases.cycle: phases.unit for phases in CYCLES}
HOLDS_TIME = 0.97
"""Strength of a cycle from which a column holds that part of the time itself."""
MAX_BURST = 0.05
"""Share of the values that a shift and its return take at most to be one burst."""
METHOD = "Theil-Sen; Mann-Kendall with the variance of Hamed and Rao (1998), and Perron and Yabu (2009)"


def followed(facts: Facts) -> Iterator[tuple[SeriesReport, SeriesFacts]]:
    """The number of rows and the means of columns; totals only repeat them."""
    report = facts.series
    if report is not None and report.rows >= MIN_ROWS:
        yield from ((report, one) for one in report.series if one.measure != "sum")


def subject(one: SeriesFacts) -> str:
    """How texts call a series."""
    return "the number of rows" if one.column is None else name(one.column)


def columns_of(report: SeriesReport, one: SeriesFacts) -> tuple[str, ...]:
    """The columns that a finding about a series is about."""
    return (report.time_column,) if one.column is None else (one.column, report.time_column)


def trends(facts: Facts) -> Iterator[Insight]:
    """Straight courses that are more than noise with memory makes."""
    for report, one in followed(facts):
        trend = one.trend
        if trend is None or "line" not in one.shape or trend.p_value >= MAX_P or not trend.slope_per_day:
            continue
        scale = _scale(facts, one)
        effect = abs(trend.change) / scale if scale else math.inf
        if effect >= (MIN_ROWS_CHANGE if one.column is None else MIN_TREND_STD):
            yield _trend(facts, report, one, trend)


def _scale(facts: Facts, one: SeriesFacts) -> float | None:
    """What a change is compared with: the spread of single rows, or the mean number of rows."""
    if one.column is None:
        return one.mean
    column = facts.columns.get(one.column)
    number = column.number if column else None
    return number.std if number and number.std else (1.0 if column and column.kind == "boolean" else one.std)


def _trend(facts: Facts, report: SeriesReport, one: SeriesFacts, trend: Trend) -> Insight:
    rows, scale = one.column is None, _scale(facts, one) or 1.0
    way = ("grows" if trend.change > 0 else "shrinks") if rows else ("rises" if trend.change > 0 else "falls")
    span = trend.change / trend.slope_per_day
    low, high = (bound * span / scale for bound in trend.slope_interval)
    effect = trend.change / scale
    unit = "of its mean"
    share = percent(abs(effect)) if rows else times(abs(effect))
    bounds = sorted((trend.slope_interval[0] * span, trend.slope_interval[1] * span))
    limit = MIN_ROWS_CHANGE if rows else MIN_TREND_STD
    return Insight(
        type="volume_trend" if rows else "trend",
        category="trends",
        title=f"The number of rows a {report.bucket} {way}" if rows else f"{subject(one)} {way} over time",
        description=f"From {moment(report.first)} to {moment(report.last)} it {way} by about"
        f" {figure(abs(trend.change))} (95 % interval {_sizes(*bounds)}), over {one.points:,}"
        f" {by_step(report.bucket)}; the memory of the noise is allowed for.",
        impact=f"In standard deviations of the single rows the change is {share}: old and new rows differ."
        if not rows
        else f"The change is {share} {unit}; totals move with it, and averages over the whole span weigh busy periods"
        " most.",
        columns_affected=columns_of(report, one),
        priority_score=min(
            graded(abs(effect), (limit, 4), (1.0 if rows else 2.0, 8)) + (one.column == facts.target_name), 10
        ),
        evidence={
            "slope_per_day": trend.slope_per_day,
            "slope_interval": list(trend.slope_interval),
            "change": trend.change,
            "change_share" if rows else "change_in_std": effect,
            "kendall_tau": trend.tau,
            "buckets": one.points,
            "method": METHOD,
            "threshold": {"p_value": MAX_P, "change": limit},
        },
        recommendation="Report rates instead of totals, and check that no source was added or lost."
        if rows
        else "Compare like periods, split models by time (train on the past, test on the latest rows), and ask what"
        " changed.",
        effect_size=effect,
        effect_measure="change_share" if rows else "change_in_std",
        interval=(min(low, high), max(low, high)),
        p_value=trend.p_value,
        confidence=sureness(trend.p_value),
        chart=CHART,
    )


def _sizes(low: float, high: float) -> str:
    """The interval of a change that is told without its sign."""
    if high < 0:
        low, high = -high, -low
    return f"{figure(low)} to {figure(high)}"


def seasonality(facts: Facts) -> Iterator[Insight]:
    """Calendar cycles that are more than noise with memory makes: of rows and target one by one, of others together.

    A column that follows the hour of the day alone holds a time itself, which is no news.
    """
    report = facts.series
    if report is None:
        return
    others: list[tuple[SeriesFacts, SeasonTest]] = []
    own = 0
    for _, one in followed(facts):
        clock = any(season.cycle == "hour of the day" and season.strength >= HOLDS_TIME for season in one.seasons)
        for season in one.seasons:
            if season.p_value >= MAX_P or season.strength < MIN_STRENGTH:
                continue
            if one.column is None or one.column == facts.target_name:
                own += 1
                yield _season(facts, report, one, season)
            elif not clock:
                others.append((one, season))
    if len(others) == 1:
        yield _season(facts, report, *others[0])
    elif others:
        yield _other_seasons(report, others, further=own > 0)


def _other_seasons(report: SeriesReport, found: list[tuple[SeriesFacts, SeasonTest]], *, further: bool) -> Insight:
    """Cycles of columns other than the target, in one finding."""
    found = sorted(found, key=lambda pair: -pair[1].strength)
    columns = tuple(dict.fromkeys(str(one.column) for one, _ in found))
    told = "; ".join(f"{subject(one)} the {season.cycle} ({season.strength:.2f})" for one, season in found[:6])
    more = f" and {count(len(found) - 6, 'weaker cycle')}" if len(found) > 6 else ""
    first = found[0][1]
    p = max(season.p_value for _, season in found)
    return Insight(
        type="seasonality",
        category="seasonality",
        title=f"{count(len(columns), 'further column' if further else 'column')}"
        f" {'follows' if len(columns) == 1 else 'follow'} the calendar",
        description=f"With the strength of each cycle (0 none, 1 nothing else): {told}{more}. series.json has the"
        " courses.",
        impact="Two periods compare only over the same part of the cycle.",
        columns_affected=(*columns, report.time_column),
        priority_score=graded(first.strength, (MIN_STRENGTH, 3), (0.8, 5)),
        evidence={
            "strongest": [
                {"column": one.column, "cycle": season.cycle, "strength": season.strength} for one, season in found[:20]
            ],
            "further": further,
            "cycles": len(found),
            "threshold": {"p_value": MAX_P, "strength": MIN_STRENGTH},
        },
        recommendation=f"Add the parts of {name(report.time_column)} that are named here as columns for models.",
        effect_size=first.strength,
        effect_measure="seasonal_strength",
        interval=first.interval,
        p_value=p,
        confidence=sureness(p),
        chart=CHART,
    )


def _season(facts: Facts, report: SeriesReport, one: SeriesFacts, season: SeasonTest) -> Insight:
    high, low = season.profile[season.high], season.profile[season.low]
    what, rows = subject(one), one.column is None
    unit = _UNITS[season.cycle]
    return Insight(
        type="seasonality",
        category="seasonality",
        title=f"{sentence(what)} follows the {season.cycle}",
        description=f"The {season.cycle} has a strength of {season.strength:.2f} (0 none, 1 nothing else) over"
        f" {season.points:,} {by_step(unit)}{_latest(report, unit)}; {what} lies {figure(abs(high))} above its"
        f" course {_at(season, season.high)}, and {figure(abs(low))} below it"
        f" {_at(season, season.low)}{_zone(facts, report)}.",
        impact="Two periods compare only over the same part of the cycle.",
        columns_affected=columns_of(report, one),
        priority_score=min(
            graded(season.strength, (MIN_STRENGTH, 4), (0.8, 8)) + (one.column == facts.target_name is not None), 10
        ),
        evidence={
            "cycle": season.cycle,
            "strength": season.strength,
            "observations": season.points,
            "high": season.high,
            "low": season.low,
            "above": abs(high),
            "below": abs(low),
            "high_minus_low": high - low,
            "of_rows": rows,
            "method": "F-test of calendar phases with autoregressive noise; strength after Wang, Smith, Hyndman (2006)",
            "threshold": {"p_value": MAX_P, "strength": MIN_STRENGTH},
        },
        recommendation=f"Plan by the {season.cycle}, and compare counts with those of the same {season.cycle} before."
        if rows
        else f"Add the {season.cycle} of {name(report.time_column)} as a column for models, and compare with the same"
        f" {season.cycle} of earlier periods.",
        effect_size=season.strength,
        effect_measure="seasonal_strength",
        interval=season.interval,
        p_value=season.p_value,
        confidence=sureness(season.p_value),
        chart=CHART,
    )


def _at(season: SeasonTest, phase: str) -> str:
    word = {"hour of the day": "at", "month of the year": "in", "quarter": "in"}.get(season.cycle, "on")
    return f"{word} {phase}"


def _latest(report: SeriesReport, unit: str) -> str:
    """That not the whole span was looked at, where it is longer than a test needs."""
    return ", the latest ones" if _days(report.first, report.last) / DAYS[unit] > MAX_POINTS else ""


def _days(start: str, end: str) -> float:
    """Between two times in ISO 8601, of any year."""
    return float((np.datetime64(end) - np.datetime64(start)) / np.timedelta64(1, "D"))


def _zone(facts: Facts, report: SeriesReport) -> str:
    """Whose clock hours and days are: nothing is said of times that name none."""
    column = facts.columns.get(report.time_column)
    named = (column is not None and "tz=" in column.dtype) or report.zone != "UTC"
    return f" ({report.zone} time)" if named else ""


def change_points(facts: Facts) -> Iterator[Insight]:
    """Lasting shifts of the level, the biggest first."""
    for report, one in followed(facts):
        changes = [change for change in _lasting(report, one) if abs(change.shift_in_std) >= MIN_SHIFT_STD]
        if changes:
            yield _shift(facts, report, one, changes)


def _lasting(report: SeriesReport, one: SeriesFacts) -> list[ChangePoint]:
    """The changes of level, the biggest first, but for those that are soon taken back: unusual periods tell those."""
    ordered = sorted(one.changes, key=lambda change: change.at)
    bursts: set[str] = set()
    for change, back in pairwise(ordered):
        soon = _days(change.at, back.at) <= MAX_BURST * _days(report.first, report.last)
        undone = abs(change.shift + back.shift) <= 0.3 * max(abs(change.shift), abs(back.shift))
        stray = one.anomalies is not None and any(change.at <= s.start < back.at for s in one.anomalies.found)
        if soon and undone and stray:
            bursts |= {change.at, back.at}
    return [change for change in one.changes if change.at not in bursts]


def _shift(facts: Facts, report: SeriesReport, one: SeriesFacts, changes: list[ChangePoint]) -> Insight:
    biggest = changes[0]
    way = "rises" if biggest.shift > 0 else "falls"
    low, high = biggest.shift_interval
    when, sure_place = moment(biggest.at), biggest.interval[0] == biggest.interval[1]
    place = "" if sure_place else f" (95 % interval {moment(biggest.interval[0])} to {moment(biggest.interval[1])})"
    more = f" Further shifts, by size: {_told(changes[1:])}." if len(changes) > 1 else ""
    p = min(biggest.p_value * report.tests, 1.0)
    sd = abs(biggest.shift / biggest.shift_in_std)
    return Insight(
        type="change_point",
        category="change_points",
        title=f"The level of {subject(one)} {way} at {'' if sure_place else 'about '}{when}",
        description=f"From {when} on{place} it lies {figure(abs(biggest.shift))}"
        f" {'higher' if biggest.shift > 0 else 'lower'} (95 % interval {_sizes(low, high)}),"
        f" {times(abs(biggest.shift_in_std))} times the standard deviation of its {by_step(report.bucket)} around"
        f" their level.{more}",
        impact="Means over the whole span describe neither the time before nor that after.",
        columns_affected=columns_of(report, one),
        priority_score=min(
            graded(abs(biggest.shift_in_std), (MIN_SHIFT_STD, 5), (3.0, 8)) + (one.column == facts.target_name), 10
        ),
        evidence={
            "at": biggest.at,
            "place_interval": list(biggest.interval),
            "shift": biggest.shift,
            "shift_interval": [low, high],
            "shift_in_std": biggest.shift_in_std,
            "changes": [{"at": change.at, "shift": change.shift} for change in changes],
            "method": "a new level in an autoregressive model (Perron and Vogelsang 1992), places one after the other",
            "threshold": {"p_value": MAX_P, "shift_in_std": MIN_SHIFT_STD},
        },
        recommendation="Ask what happened then (a price, a process, a way of measuring), and model both sides apart or"
        " with a column for the side.",
        effect_size=biggest.shift_in_std,
        effect_measure="shift_in_std",
        interval=(low / sd, high / sd) if sd else None,
        p_value=p,
        confidence=sureness(p),
        chart=CHART,
    )


def _told(changes: list[ChangePoint]) -> str:
    return ", ".join(
        f"{moment(change.at)} ({'+' if change.shift > 0 else '−'}{figure(abs(change.shift))})" for change in changes
    )


def wandering(facts: Facts) -> Iterator[Insight]:
    """A target that cannot be told from a random walk."""
    for report, one in followed(facts):
        still = one.stationarity
        if one.column is None or one.column != facts.target_name or still is None or one.points < WALK_POINTS:
            continue
        if still.verdict == "unit root" and still.adf_p >= 0.1 and still.kpss_p <= 0.01 and one.shape == "level":
            yield Insight(
                type="random_walk",
                category="trends",
                title=f"{sentence(subject(one))} wanders like a random walk",
                description=f"It has no level to which it returns: a unit root is not rejected (ADF p ="
                f" {still.adf_p:.2f}), a steady level is (KPSS p at most {still.kpss_p:.2f}). Ups and downs of this"
                " size need no cause.",
                impact="Its level, and correlations of it with other wandering columns, say nothing lasting.",
                columns_affected=columns_of(report, one),
                priority_score=5,
                evidence={
                    "adf": still.adf,
                    "adf_p": still.adf_p,
                    "kpss": still.kpss,
                    "kpss_p": still.kpss_p,
                    "buckets": one.points,
                    "threshold": {"adf_p": 0.1, "kpss_p": 0.01},
                },
                recommendation=f"Analyse the changes of {subject(one)} from one {report.bucket} to the next.",
                effect_size=still.kpss,
                effect_measure="kpss_statistic",
                confidence=0.95,
                chart=CHART,
            )


def forecasts(facts: Facts) -> Iterator[Insight]:
    """A target whose next values can be foretold better than by repeating the last ones."""
    for report, one in followed(facts):
        ahead = one.forecast
        if ahead is None or not ahead.better or one.column is None or one.column != facts.target_name:
            continue
        gain = 1 - ahead.error / ahead.naive_error
        yield Insight(
            type="forecast",
            category="trends",
            title=f"The next values of {subject(one)} can be forecast",
            description=f"By {ahead.method}, the mean error was {figure(ahead.error)} over {ahead.origins} forecasts of"
            f" the last quarter of the data, {percent(round(gain, 3))} less than that of repeating the last"
            f" {'cycle' if one.seasons else 'value'}. Next, {moment(ahead.starts[0])}: {figure(ahead.values[0])}"
            f" ({percent(ahead.level)} interval {figure(ahead.low[0])} to {figure(ahead.high[0])}; such intervals held"
            f" {percent(round(ahead.coverage, 2))} of the values).",
            impact="Plans can use it; its error is that of a simple method, which a model should beat.",
            columns_affected=columns_of(report, one),
            priority_score=graded(gain, (0.02, 3), (0.5, 6)),
            evidence={
                "method": ahead.method,
                "gain": gain,
                "error": ahead.error,
                "naive_error": ahead.naive_error,
                "mean_error": ahead.mean_error,
                "origins": ahead.origins,
                "coverage": ahead.coverage,
                "threshold": {"p_value": 0.01, "gain": 0.02},
            },
            recommendation=f"Take these errors as the mark for a forecasting model of {subject(one)}; series.json has"
            f" the next {steps(len(ahead.values), report.bucket)}.",
            effect_size=gain,
            effect_measure="error_reduction",
            p_value=ahead.skill_p,
            confidence=sureness(ahead.skill_p),
            chart=CHART,
        )
