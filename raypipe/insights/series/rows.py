"""The table of series in the report: one line a series, in the words of `series.json`."""

from __future__ import annotations

from collections.abc import Iterator

from raypipe.insights.series.models import SeriesFacts, SeriesReport
from raypipe.insights.words import figure

HEADS = ("Series", "Course", "Slope a day", "Seasons (strength)", "Shifts", "Unusual", "Forecast")
ALPHA = 0.01


def course_rows(report: SeriesReport) -> Iterator[tuple[str, ...]]:
    """Cells under `HEADS`; what was not computed is left empty, and what is no more than chance is a dash."""
    for one in report.series:
        yield (
            "number of rows" if one.column is None else f"{one.measure} of {one.column}",
            one.shape if one.trend is not None else "",
            _slope(one),
            _seasons(one),
            ", ".join(f"{change.at} ({change.shift:+.4g})" for change in one.changes[:3]) or _dash(one),
            "" if one.anomalies is None else str(one.anomalies.count),
            _forecast(one),
        )


def _dash(one: SeriesFacts) -> str:
    return "–" if one.trend is not None else ""


def _slope(one: SeriesFacts) -> str:
    trend = one.trend
    if trend is None or "line" not in one.shape:
        return _dash(one)
    low, high = trend.slope_interval
    return f"{figure(trend.slope_per_day)} ({figure(low)} to {figure(high)})"


def _seasons(one: SeriesFacts) -> str:
    told = (f"{test.cycle} ({test.strength:.2f})" for test in one.seasons if test.p_value < ALPHA)
    return ", ".join(told) or _dash(one)


def _forecast(one: SeriesFacts) -> str:
    if one.forecast is None:
        return ""
    return one.forecast.method if one.forecast.better else "no better than naive"
