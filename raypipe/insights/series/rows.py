"""The table of series in the report: one line a series, in the words of `series.json`."""

from __future__ import annotations

from collections.abc import Iterator

from raypipe.insights.series.models import ChangePoint, SeriesFacts, SeriesReport
from raypipe.insights.wording.catalogue import Catalogue

HEADS = ("Series", "Course", "Slope a day", "Seasons (strength)", "Shifts", "Unusual", "Forecast")
ALPHA = 0.01


def course_rows(report: SeriesReport, words: Catalogue) -> Iterator[tuple[str, ...]]:
    """Cells under `HEADS`; what was not computed is left empty, and what is no more than chance is a dash."""
    for one in report.series:
        yield (
            _named(one, words),
            words.say(one.shape) if one.trend is not None else "",
            _slope(one, words),
            _seasons(one, words),
            ", ".join(_shift(change, words) for change in one.changes[:3]) or _dash(one),
            "" if one.anomalies is None else str(one.anomalies.count),
            _forecast(one, words),
        )


def _named(one: SeriesFacts, words: Catalogue) -> str:
    if one.column is None:
        return words.say("number of rows")
    return words.say("mean of {column}" if one.measure == "mean" else "sum of {column}", column=one.column)


def _shift(change: ChangePoint, words: Catalogue) -> str:
    return f"{words.moment(change.at)} ({words.localised(f'{change.shift:+.4g}')})"


def _dash(one: SeriesFacts) -> str:
    return "–" if one.trend is not None else ""


def _slope(one: SeriesFacts, words: Catalogue) -> str:
    trend = one.trend
    if trend is None or "line" not in one.shape:
        return _dash(one)
    low, high = trend.slope_interval
    return f"{words.figure(trend.slope_per_day)} ({words.figure(low)} {words.say('to')} {words.figure(high)})"


def _seasons(one: SeriesFacts, words: Catalogue) -> str:
    told = (
        f"{words.say(test.cycle)} ({words.localised(f'{test.strength:.2f}')})"
        for test in one.seasons
        if test.p_value < ALPHA
    )
    return ", ".join(told) or _dash(one)


def _forecast(one: SeriesFacts, words: Catalogue) -> str:
    if one.forecast is None:
        return ""
    return one.forecast.method if one.forecast.better else words.say("no better than naive")
