"""Findings about the course over time: trends, seasons, shifts of the level, wandering, and what can be foretold."""

from __future__ import annotations

import math
from collections.abc import Iterator

from raypipe.insights.facts import MIN_ROWS, Facts, graded
from raypipe.insights.series.models import ChangePoint, SeasonTest, SeriesFacts, SeriesReport, Trend
from raypipe.insights.words import count, figure, name, percent
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
METHOD = "Theil-Sen; Mann-Kendall with the variance of Hamed and Rao (1998), and Perron and Yabu (2009)"


def followed(facts: Facts) -> Iterator[tuple[SeriesReport, SeriesFacts]]:
    """The number of rows and the means of columns; totals only repeat them."""
    report = facts.series
    if report is not None and report.rows >= MIN_ROWS:
        yield from ((report, one) for one in report.series if one.measure != "sum")


def sure(p: float) -> float:
    """Confidence of a finding with this p-value; no test gives certainty."""
    return min(max(1 - p, 0.0), 0.999)


def subject(one: SeriesFacts) -> str:
    """How texts call a series."""
    return "the number of rows" if one.column is None else name(one.column)


def columns_of(report: SeriesReport, one: SeriesFacts) -> tuple[str, ...]:
    """The columns that a finding about a series is about."""
    return (report.time_column,) if one.column is None else (one.column, report.time_column)


def capital(text: str) -> str:
    """The text as the start of a sentence."""
    return text[0].upper() + text[1:]


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
    unit = "of its mean" if rows else "standard deviations of the single rows"
    share = percent(abs(effect)) if rows else figure(abs(effect))
    bounds = sorted((trend.slope_interval[0] * span, trend.slope_interval[1] * span))
    limit = MIN_ROWS_CHANGE if rows else MIN_TREND_STD
    return Insight(
        type="volume_trend" if rows else "trend",
        category="trends",
        title=f"The number of rows a {report.bucket} {way}" if rows else f"{subject(one)} {way} over time",
        description=f"From {report.first} to {report.last} it {way} by about {figure(abs(trend.change))} (95 % interval"
        f" of the change {figure(bounds[0])} to {figure(bounds[1])}), over {one.points} {report.bucket} values; the"
        " memory of the noise is allowed for.",
        impact=f"The change is {share} {unit}: old and new rows differ."
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
        confidence=sure(trend.p_value),
        chart=CHART,
    )


def seasonality(facts: Facts) -> Iterator[Insight]:
    """Calendar cycles that are more than noise with memory makes: of rows and target one by one, of others together."""
    others: list[tuple[SeriesFacts, SeasonTest]] = []
    for report, one in followed(facts):
        for season in one.seasons:
            if season.p_value >= MAX_P or season.strength < MIN_STRENGTH:
                continue
            if one.column is None or one.column == facts.target_name:
                yield _season(facts, report, one, season)
            else:
                others.append((one, season))
    if len(others) == 1 and facts.series is not None:
        yield _season(facts, facts.series, *others[0])
    elif others and facts.series is not None:
        yield _other_seasons(facts.series, others)


def _other_seasons(report: SeriesReport, found: list[tuple[SeriesFacts, SeasonTest]]) -> Insight:
    """Cycles of columns other than the target, in one finding."""
    found = sorted(found, key=lambda pair: -pair[1].strength)
    columns = tuple(dict.fromkeys(str(one.column) for one, _ in found))
    told = "; ".join(f"{subject(one)} the {season.cycle} ({season.strength:.2f})" for one, season in found[:6])
    more = f" and {len(found) - 6} more" if len(found) > 6 else ""
    first = found[0][1]
    p = max(season.p_value for _, season in found)
    return Insight(
        type="seasonality",
        category="seasonality",
        title=f"{count(len(columns), 'further column')} {'follows' if len(columns) == 1 else 'follow'} the calendar",
        description=f"With their strength (0 none, 1 nothing else): {told}{more}. `series.json` has their courses.",
        impact="Two periods compare only over the same part of the cycle.",
        columns_affected=(*columns, report.time_column),
        priority_score=graded(first.strength, (MIN_STRENGTH, 3), (0.8, 5)),
        evidence={
            "strongest": [
                {"column": one.column, "cycle": season.cycle, "strength": season.strength} for one, season in found[:20]
            ],
            "threshold": {"p_value": MAX_P, "strength": MIN_STRENGTH},
        },
        recommendation=f"Add the parts of {name(report.time_column)} that are named here as columns for models.",
        effect_size=first.strength,
        effect_measure="seasonal_strength",
        interval=first.interval,
        p_value=p,
        confidence=sure(p),
        chart=CHART,
    )


def _season(facts: Facts, report: SeriesReport, one: SeriesFacts, season: SeasonTest) -> Insight:
    high, low = season.profile[season.high], season.profile[season.low]
    what = subject(one)
    word = {"hour of the day": "at", "month of the year": "in", "quarter": "in"}.get(season.cycle, "on")
    return Insight(
        type="seasonality",
        category="seasonality",
        title=f"{capital(what)} follows the {season.cycle}",
        description=f"The {season.cycle} has a strength of {season.strength:.2f} (0 none, 1 nothing else) over"
        f" {season.points:,} values; it lies {figure(abs(high))} above its course {word} {season.high}, and"
        f" {figure(abs(low))} below it {word} {season.low}{_zone(facts, report)}.",
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
            "high_minus_low": high - low,
            "method": "F-test of calendar phases with autoregressive noise; strength after Wang, Smith, Hyndman (2006)",
            "threshold": {"p_value": MAX_P, "strength": MIN_STRENGTH},
        },
        recommendation=f"Add the {season.cycle} of {name(report.time_column)} as a column for models, and compare with"
        f" the same {season.cycle} of earlier periods.",
        effect_size=season.strength,
        effect_measure="seasonal_strength",
        interval=season.interval,
        p_value=season.p_value,
        confidence=sure(season.p_value),
        chart=CHART,
    )


def _zone(facts: Facts, report: SeriesReport) -> str:
    """Whose clock hours and days are: nothing is said of times that name none."""
    column = facts.columns.get(report.time_column)
    named = (column is not None and "tz=" in column.dtype) or report.zone != "UTC"
    return f" ({report.zone} time)" if named else ""


def change_points(facts: Facts) -> Iterator[Insight]:
    """Lasting shifts of the level, the biggest first."""
    for report, one in followed(facts):
        changes = [change for change in one.changes if abs(change.shift_in_std) >= MIN_SHIFT_STD]
        if changes:
            yield _shift(facts, report, one, changes)


def _shift(facts: Facts, report: SeriesReport, one: SeriesFacts, changes: list[ChangePoint]) -> Insight:
    biggest = changes[0]
    way = "rises" if biggest.shift > 0 else "falls"
    low, high = biggest.shift_interval
    when = biggest.at if biggest.interval[0] == biggest.interval[1] else f"about {biggest.at}"
    more = f" Further shifts, by size: {_told(changes[1:])}." if len(changes) > 1 else ""
    p = min(biggest.p_value * report.tests, 1.0)
    sd = abs(biggest.shift / biggest.shift_in_std)
    return Insight(
        type="change_point",
        category="change_points",
        title=f"The level of {subject(one)} {way} at {when}",
        description=f"From {biggest.at} on (95 % interval {biggest.interval[0]} to {biggest.interval[1]}) it lies"
        f" {figure(abs(biggest.shift))} {'higher' if biggest.shift > 0 else 'lower'} (95 % interval of the shift"
        f" {figure(low)} to {figure(high)}), {abs(biggest.shift_in_std):.1f} standard deviations of its {report.bucket}"
        f" values around their level.{more}",
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
        confidence=sure(p),
        chart=CHART,
    )


def _told(changes: list[ChangePoint]) -> str:
    return ", ".join(
        f"{change.at} ({'+' if change.shift > 0 else '−'}{figure(abs(change.shift))})" for change in changes
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
                title=f"{subject(one)} wanders like a random walk",
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
            title=f"The next {report.bucket}s of {subject(one)} can be forecast",
            description=f"By {ahead.method}, the mean error was {figure(ahead.error)} over {ahead.origins} forecasts of"
            f" the last quarter of the data, {percent(gain)} less than that of repeating the last"
            f" {'cycle' if one.seasons else 'value'}. Next, {ahead.starts[0]}: {figure(ahead.values[0])}"
            f" ({ahead.level:.0%} interval {figure(ahead.low[0])} to {figure(ahead.high[0])}; such intervals held"
            f" {ahead.coverage:.0%} of the values).",
            impact="Plans can use it; its error is that of a simple method, which a model should beat.",
            columns_affected=columns_of(report, one),
            priority_score=graded(gain, (0.02, 3), (0.5, 6)),
            evidence={
                "method": ahead.method,
                "error": ahead.error,
                "naive_error": ahead.naive_error,
                "mean_error": ahead.mean_error,
                "origins": ahead.origins,
                "coverage": ahead.coverage,
                "threshold": {"p_value": 0.01, "gain": 0.02},
            },
            recommendation=f"Take these errors as the mark for a forecasting model of {subject(one)}; `series.json` has"
            f" the next {count(len(ahead.values), report.bucket)}.",
            effect_size=gain,
            effect_measure="error_reduction",
            p_value=ahead.skill_p,
            confidence=sure(ahead.skill_p),
            chart=CHART,
        )
