"""The section on time: what each bucket holds, and what `series.json` says of the course; nothing is measured here."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from raypipe.dashboard import numbers
from raypipe.dashboard.apart import series_name
from raypipe.dashboard.charts import ChartEngine
from raypipe.dashboard.figures import DataTable
from raypipe.dashboard.inputs import DashboardInput
from raypipe.insights.models import Timeline
from raypipe.insights.series.models import Forecast, Frequency, SeasonTest, SeriesFacts, SeriesReport
from raypipe.insights.series.rows import ALPHA, HEADS, course_rows
from raypipe.insights.wording.catalogue import Catalogue

SEASONS_SHOWN = 12
GAPS_SHOWN = 20
STRAYS_SHOWN = 50
APART_SHOWN = 2
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ORDINALS = {"first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th"}
_HOUR, _WEEKDAY = "hour of the day", "day of the week"


def time_section(given: DashboardInput, engine: ChartEngine) -> dict[str, Any]:
    """Values of the template; without a time column, why there is none."""
    timeline = given.timeline
    if timeline is None:
        return {"timeline": None, "why_not": given.why_not("timeline", "no time column was named (--time COLUMN)")}
    target = given.target.column if given.target else None
    known = {name for point in timeline.points for name in point.means}
    shown = target if target in known else min(known, default=None)
    series = given.series
    cards = _season_cards(series, target) if series else []
    return {
        "timeline": timeline,
        "chart": engine.timeline(timeline, shown, series),
        "apart": _apart(series, engine),
        "further": engine.further(timeline, series, shown),
        "times": _times(series.frequency) if series else None,
        "stretches": None if series and series.frequency.steady else _stretches(timeline),
        "series": _series_table(series) if series else None,
        "changes": _changes_table(series) if series else None,
        "strays": _strays_table(series) if series else None,
        "memory": _memory_table(series) if series else None,
        "forecasts": _forecast_table(series) if series else None,
        "series_why": given.why_not("time series", "the course was not taken apart"),
        "seasons": [card for card in cards if card["first"]],
        "further_seasons": [card for card in cards if not card["first"]],
        "profiles": _profiles(timeline, target, {(card["column"], card["cycle"]) for card in cards}),
    }


def _apart(series: SeriesReport | None, engine: ChartEngine) -> list[Any]:
    """The number of rows and the target's mean taken apart; its sum repeats both."""
    told = [one for one in (series.series if series else ()) if one.measure != "sum"]
    charts = (engine.apart(series, one, f"apart{place}") for place, one in enumerate(told) if series)
    return [chart for chart in charts if chart is not None][:APART_SHOWN]


def _times(frequency: Frequency) -> dict[str, Any] | None:
    """The grid of the times, and its gaps; None where the times were too many to be kept."""
    if not frequency.exact:
        return None
    step = f"{frequency.step} ({numbers.share(frequency.on_grid)} of steps)" if frequency.step else "none fits"
    facts = [
        ("Step", step),
        ("Distinct times", numbers.count(frequency.times)),
        ("Most rows at one time", numbers.count(frequency.most_rows)),
        ("Times in several rows", numbers.count(frequency.repeated_times)),
    ]
    if frequency.regular:
        facts += [("Steps without a row", numbers.count(frequency.missing)), ("Gaps", f"{frequency.gap_count:,}")]
    if frequency.clock_changes:
        facts.append(("Hours missing or double where clocks change", f"{frequency.clock_changes:,}"))
    shown = frequency.gaps[:GAPS_SHOWN]
    rows = tuple((numbers.clock(gap.after), numbers.clock(gap.before), numbers.count(gap.missing)) for gap in shown)
    note = f"The longest of {frequency.gap_count:,}." if frequency.gap_count > len(shown) else ""
    gaps = DataTable(("After", "Before", "Missing steps"), rows, (2,), note) if rows else None
    return {"facts": facts, "gaps": gaps}


def _stretches(timeline: Timeline) -> DataTable | None:
    """The longest stretches of buckets without rows, for times that lie on no grid."""
    runs = [(empty, list(points)) for empty, points in groupby(timeline.points, key=lambda point: point.rows == 0)]
    found = sorted((points for empty, points in runs if empty), key=len, reverse=True)
    shown = found[:GAPS_SHOWN]
    rows = tuple((numbers.clock(run[0].start), numbers.clock(run[-1].start), numbers.count(len(run))) for run in shown)
    note = f"The longest of {len(found):,}." if len(found) > len(shown) else ""
    unit = f"{timeline.bucket.capitalize()}s"
    return DataTable(("First without rows", "Last", unit), rows, (2,), note) if rows else None


def _series_table(series: SeriesReport) -> DataTable:
    """One line a series, in the words of the report."""
    left = f"Number columns not followed: {series.columns_left_out:,}." if series.columns_left_out else ""
    note = (
        "Level: no straight trend, shift or curve is surer than chance. Slopes and shifts with a p-value below"
        f" {ALPHA}, corrected for {series.tests} series, with their 95 % intervals; a dash: none. {left}"
    )
    return DataTable(HEADS, tuple(course_rows(series, Catalogue())), (), note.strip(), cell_chars=160)


def _changes_table(series: SeriesReport) -> DataTable | None:
    """Every change of level with its intervals; those of sums repeat those of means."""
    rows = tuple(
        (
            series_name(one),
            numbers.clock(change.at),
            " to ".join(map(numbers.clock, change.interval)),
            numbers.number(change.shift),
            numbers.between(change.shift_interval),
            numbers.number(change.shift_in_std, 3),
            numbers.p_value(change.p_value),
        )
        for one in series.series
        for change in one.changes
        if one.measure != "sum"
    )
    heads = ("Series", "At", "95 % interval", "Shift", "95 % interval", "In standard deviations", "p")
    return DataTable(heads, rows, (3, 5, 6)) if rows else None


def _strays_table(series: SeriesReport) -> DataTable | None:
    """The most unusual buckets of all series."""
    found = [
        (one, stray) for one in series.series if one.anomalies and one.measure != "sum" for stray in one.anomalies.found
    ]
    found.sort(key=lambda pair: -abs(pair[1].robust_z))
    rows = tuple(
        (
            series_name(one),
            numbers.clock(stray.start),
            numbers.number(stray.value),
            numbers.number(stray.expected),
            numbers.number(stray.robust_z, 3),
            numbers.p_value(stray.p_value),
        )
        for one, stray in found[:STRAYS_SHOWN]
    )
    note = f"The {len(rows)} most unusual of {len(found)}." if len(rows) < len(found) else ""
    heads = ("Series", "From", "Value", "Expected", "Robust z", "p")
    return DataTable(heads, rows, (2, 3, 4, 5), note) if rows else None


def _memory_table(series: SeriesReport) -> DataTable | None:
    """How far each series remembers its last buckets, and whether its level stays, after trend and season."""
    rows = tuple(
        (
            series_name(one),
            numbers.number(one.autocorrelation.values[0], 2) if one.autocorrelation.values else "",
            numbers.p_value(one.autocorrelation.ljung_box_p),
            one.stationarity.verdict if one.stationarity else "",
            numbers.p_value(one.stationarity.adf_p) if one.stationarity else "",
            numbers.p_value(one.stationarity.kpss_p) if one.stationarity else "",
        )
        for one in series.series
        if one.autocorrelation is not None
    )
    heads = ("Series", "Correlation with the bucket before", "Ljung-Box p", "Verdict", "ADF p", "KPSS p")
    note = "ADF: of a random walk. KPSS, within 0.01 to 0.1: of a steady level."
    return DataTable(heads, rows, (1, 2, 4, 5), note) if rows else None


def _forecast_table(series: SeriesReport) -> DataTable | None:
    """How well each series can be foretold, by the back-test."""
    made = [(one, one.forecast) for one in series.series if one.forecast is not None]
    if not made:
        return None
    heads = ("Series", "Method", "Next", "Value", "Interval", "Held", "Error", "Naive", "Mean", "p", "Verdict")
    note = (
        "Error: mean absolute error of the forecasts of the last quarter of the data. Naive: of repeating the last"
        " value or cycle. Mean: of the mean so far. Held: share of the values within the interval."
    )
    return DataTable(heads, tuple(_forecast_row(one, ahead) for one, ahead in made), (3, 5, 6, 7, 8, 9), note)


def _forecast_row(one: SeriesFacts, ahead: Forecast) -> tuple[str, ...]:
    low, high = numbers.number(ahead.low[0]), numbers.number(ahead.high[0])
    return (
        series_name(one),
        ahead.method,
        numbers.clock(ahead.starts[0]),
        numbers.number(ahead.values[0]),
        f"{low} to {high} ({numbers.share(ahead.level)})",
        numbers.share(ahead.coverage),
        *(numbers.number(error, 3) for error in (ahead.error, ahead.naive_error, ahead.mean_error)),
        numbers.p_value(ahead.skill_p),
        "better than both" if ahead.better else "no better",
    )


def _season_cards(series: SeriesReport, target: str | None) -> list[dict[str, Any]]:
    """Cycles that are more than chance: those of rows and target first, then the strongest."""
    found = [
        (one, season)
        for one in series.series
        for season in one.seasons
        if one.measure != "sum" and season.p_value < ALPHA and season.profile
    ]
    found.sort(key=lambda pair: (pair[0].column not in (None, target), -pair[1].strength))
    return [
        {**_season_card(one, season), "first": one.column in (None, target)} for one, season in found[:SEASONS_SHOWN]
    ]


def _season_card(one: SeriesFacts, season: SeasonTest) -> dict[str, Any]:
    values = tuple(season.profile.values())
    labels = tuple(_short(phase) for phase in season.profile)
    low, high = (numbers.share(max(0.0, bound)) for bound in season.interval)
    told = (
        f"Distance from the course. Strength {season.strength:.2f} (0 none, 1 nothing else),"
        f" {numbers.p_words(season.p_value)}; the phases explain {low} to {high} of the variance."
        f" Highest: {season.high}; lowest: {season.low}."
    )
    title = f"{series_name(one)} by {season.cycle}"
    return {**_profile(title, values, labels, means=True), "note": told, "column": one.column, "cycle": season.cycle}


def _short(phase: str) -> str:
    """A phase below its bar: 05 of 05:00, 12 of day 12, 1st of the first quarter, Mon of Monday."""
    for word, short in _ORDINALS.items():
        if word in phase:
            return short
    return phase.removeprefix("day ").removesuffix(":00")[:3]


def _profiles(timeline: Timeline, target: str | None, told: set[tuple[str | None, str]]) -> list[dict[str, Any]]:
    """Small pictures by hour and weekday, of rows and of the target's mean; those told as seasons are left out."""
    hours = tuple(f"{hour:02d}" for hour in range(24))
    made = [
        (None, _HOUR, "Rows by hour of day", timeline.hourly_rows, hours),
        (None, _WEEKDAY, "Rows by weekday", timeline.weekday_rows, _WEEKDAYS),
        (target, _HOUR, f"Mean of {target} by hour of day", timeline.hourly_target, hours),
        (target, _WEEKDAY, f"Mean of {target} by weekday", timeline.weekday_target, _WEEKDAYS),
    ]
    return [
        _profile(title, values, labels, means=column is not None)
        for column, cycle, title, values, labels in made
        if any(v is not None for v in values) and (column, cycle) not in told
    ]


def _profile(title: str, values: tuple[float | None, ...], labels: tuple[str, ...], *, means: bool) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    low, high = min(0.0, *known), max(0.0, *known)
    text = [numbers.number(value) if means else numbers.count(value) for value in values]
    span = (high - low) or 1.0
    columns = [
        {
            "label": label,
            "text": shown,
            "none": value is None,
            "bottom": 100 * (min(value or 0, 0) - low) / span,
            "size": 100 * abs(value or 0) / span,
        }
        for label, value, shown in zip(labels, values, text, strict=False)
    ]
    return {
        "title": title,
        "columns": columns,
        "means": means,
        "zero": 100 * -low / span,
        "top": numbers.compact(high),
        "low": numbers.compact(low),
        "ends": (),
        "note": "",
    }
