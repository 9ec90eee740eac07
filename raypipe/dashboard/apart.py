"""A series taken apart: its values with trend and marks, its season, and what is left, one below the other."""

from __future__ import annotations

from typing import Any

from bokeh.layouts import column
from bokeh.models import DataRange1d

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import (
    Chart,
    DataTable,
    hover,
    item_of,
    plain,
    quiet_figure,
    short_counts,
    source,
    tint,
    unthemed,
)
from raypipe.dashboard.timechart import AXIS_PX, calm
from raypipe.dashboard.timemarks import (
    epoch_ms,
    forecast_of,
    known,
    mark_changes,
    mark_forecast,
    mark_line,
    mark_strays,
    mark_trend,
)
from raypipe.insights.series.models import Decomposition, SeriesFacts, SeriesReport

TABLE_ROWS = 400
MAX_BUCKETS = 2_000
"""A longer series is shown by its last buckets."""


def apart_chart(report: SeriesReport, facts: SeriesFacts, key: str) -> Chart | None:
    """Values, season and rest of one series of `series.json`; None where it was not taken apart."""
    parts = _cut(facts.decomposition)
    if parts is None:
        return None
    name = series_name(facts)
    starts = [epoch_ms(start) for start in parts.starts]
    half = (starts[1] - starts[0]) / 2
    rest = _rest(parts)
    data = _data(parts, rest, half)
    first, notes = _values_figure(facts, parts, data, f"{plain(name, 44)} per {report.bucket}")
    figures = [first]
    if any(parts.season):
        title = f"Season: {parts.cycle}" if parts.cycle else "Season"
        figures.append(_small(data, "season", title, first.x_range, "accent"))
    strays = [one for one in (facts.anomalies.found if facts.anomalies else ()) if one.start in set(parts.starts)]
    notes.append(mark_strays(first, strays, half))
    figures.append(_small(data, "rest", "What is left: value less course and season", first.x_range, "muted"))
    mark_strays(figures[-1], strays, half, [one.value - one.expected for one in strays])
    figures[-1].y_range = DataRange1d(range_padding=0.2)
    cut = len(parts.starts) < len(facts.decomposition.starts) if facts.decomposition else False
    notes += [f"The last {len(starts):,} {report.bucket}s."] if cut else []
    return Chart(
        key,
        f"{name} taken apart",
        f"{name} per {report.bucket}: values, smooth course, season and rest",
        item_of(column(*figures, sizing_mode="stretch_width", spacing=4)),
        sum(figure.height for figure in figures) + 4 * (len(figures) - 1),
        _table(parts, rest),
        " ".join(dict.fromkeys(filter(None, notes))),
        figures=len(figures),
        extra={"span": [first.x_range.start, first.x_range.end]},
        min_width=440,
    )


def series_name(facts: SeriesFacts) -> str:
    """How the page and the report call a series."""
    return "number of rows" if facts.column is None else f"{facts.measure} of {facts.column}"


def _cut(parts: Decomposition | None) -> Decomposition | None:
    if parts is None or len(parts.starts) < 2:
        return None
    fields = ("starts", "values", "trend", "season")
    return parts.replace(**{name: getattr(parts, name)[-MAX_BUCKETS:] for name in fields})


def _rest(parts: Decomposition) -> list[float | None]:
    return [
        None if value is None or trend is None else value - trend - (season or 0.0)
        for value, trend, season in zip(parts.values, parts.trend, parts.season, strict=True)
    ]


def _data(parts: Decomposition, rest: list[float | None], half: float) -> Any:
    lines = {"value": parts.values, "trend": parts.trend, "season": parts.season, "rest": rest}
    texts = {f"{name}_text": [numbers.number(value) for value in values] for name, values in lines.items()}
    return source(
        {
            "mid": [epoch_ms(start) + half for start in parts.starts],
            "when": [numbers.clock(start) for start in parts.starts],
            **{name: known(values) for name, values in lines.items()},
            **texts,
        }
    )


def _values_figure(facts: SeriesFacts, parts: Decomposition, data: Any, title: str) -> tuple[Any, list[str]]:
    mids = data.data["mid"]
    half, ahead = (mids[1] - mids[0]) / 2, forecast_of(facts)
    ends = (mids[0] - half, epoch_ms(ahead.starts[-1]) + 2 * half if ahead else mids[-1] + half)
    figure = quiet_figure(200, x_range=ends, x_axis_type="datetime", title=title, min_border_left=AXIS_PX)
    line = figure.line("mid", "value", source=data, line_width=1.2, line_color=unthemed(), line_alpha=0.75)
    tint(line, line_color="accent")
    notes = [mark_trend(figure, parts, half)]
    if facts.trend is not None and "line" in facts.shape:
        notes.append(mark_line(figure, facts.trend, mids, parts.values))
    top = max((value for value in parts.values if value is not None), default=0.0)
    inside = tuple(change for change in facts.changes if change.at in set(parts.starts))
    notes.append(mark_changes(figure, inside, top))
    notes += [mark_forecast(figure, ahead)] if ahead else []
    lines = [("From", "when"), ("Value", "value_text"), ("Smooth course", "trend_text"), ("Season", "season_text")]
    figure.add_tools(hover([*lines, ("Rest", "rest_text")], [line], mode="vline"))
    short_counts(figure.yaxis[0])
    return calm(figure), notes


def _small(data: Any, name: str, title: str, span: Any, colour: str) -> Any:
    figure = quiet_figure(116, x_range=span, x_axis_type="datetime", title=title, min_border_left=AXIS_PX)
    line = figure.line("mid", name, source=data, line_width=1.2, line_color=unthemed())
    tint(line, line_color=colour)
    figure.add_tools(hover([("From", "when"), (name.capitalize(), f"{name}_text")], [line], mode="vline"))
    figure.yaxis.ticker.desired_num_ticks = 3
    short_counts(figure.yaxis[0])
    return calm(figure)


def _table(parts: Decomposition, rest: list[float | None]) -> DataTable:
    whole = zip(parts.starts, parts.values, parts.trend, parts.season, rest, strict=True)
    lines = [(numbers.clock(start), *map(numbers.number, values)) for start, *values in whole]
    shown = lines[-TABLE_ROWS:]
    note = f"The last {len(shown):,} of {len(lines):,} buckets." if len(shown) < len(lines) else ""
    return DataTable(("From", "Value", "Smooth course", "Season", "Rest"), tuple(shown), (1, 2, 3, 4), note)
