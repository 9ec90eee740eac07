"""The means of further columns over time, small and one below the other, each with what was found in it."""

from __future__ import annotations

from typing import Any

from bokeh.layouts import column
from bokeh.models import Range1d

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
from raypipe.dashboard.timechart import AXIS_PX, BUCKET_S, MAX_BUCKETS, calm, merge_buckets
from raypipe.dashboard.timemarks import (
    epoch_ms,
    forecast_of,
    known,
    mark_changes,
    mark_forecast,
    mark_line,
    mark_strays,
)
from raypipe.insights.models import Timeline, TimePoint
from raypipe.insights.series.models import SeriesReport

COLUMNS_SHOWN = 7
TABLE_ROWS = 200


def further_chart(timeline: Timeline, series: SeriesReport | None, shown: str | None, max_points: int) -> Chart | None:
    """Means of the columns that are followed beside `shown`; None without any, or below two buckets."""
    points, merged = merge_buckets(timeline.points, min(max_points, MAX_BUCKETS))
    followed = dict.fromkeys(name for point in points for name in point.means)
    names = [name for name in followed if name != shown and any(p.means.get(name) is not None for p in points)]
    names = names[:COLUMNS_SHOWN]
    if len(points) < 2 or not names:
        return None
    width = BUCKET_S[timeline.bucket] * merged * 1000.0
    starts = [epoch_ms(point.start) for point in points]
    unit = timeline.bucket if merged == 1 else f"{merged} {timeline.bucket}s"
    mids = [start + width / 2 for start in starts]
    span = Range1d(start=starts[0], end=starts[-1] + width)
    figures: list[Any] = []
    notes: list[str] = []
    for name in names:
        figure = _figure(points, mids, name, span)
        notes += _marks(figure, series, (name, unit), mids, [point.means.get(name) for point in points])
        figures.append(figure)
    return Chart(
        "further",
        "Means of further columns over time",
        f"Means of {len(names)} further columns per {unit}",
        item_of(column(*figures, sizing_mode="stretch_width", spacing=4)),
        sum(figure.height for figure in figures) + 4 * (len(figures) - 1),
        _table(points, names),
        " ".join(dict.fromkeys(filter(None, notes))),
        figures=len(figures),
        min_width=440,
    )


def _figure(points: tuple[TimePoint, ...], mids: list[float], name: str, span: Range1d) -> Any:
    values = [point.means.get(name) for point in points]
    data = source(
        {
            "mid": mids,
            "value": known(values),
            "when": [numbers.clock(point.start) for point in points],
            "text": [numbers.number(value) for value in values],
        }
    )
    title = f"Mean of {plain(name, 44)}"
    figure = quiet_figure(130, x_range=span, x_axis_type="datetime", title=title, min_border_left=AXIS_PX)
    line = tint(figure.line("mid", "value", source=data, line_width=1.4, line_color=unthemed()), line_color="accent")
    figure.add_tools(hover([("From", "when"), ("Mean", "text")], [line], mode="vline"))
    figure.yaxis.ticker.desired_num_ticks = 3
    short_counts(figure.yaxis[0])
    return calm(figure)


def _marks(
    figure: Any, series: SeriesReport | None, named: tuple[str, str], mids: list[float], values: list[float | None]
) -> list[str]:
    """What `series.json` says of the column: a straight course, changes of level, a forecast of the same buckets."""
    name, unit = named
    facts = series.of(name) if series else None
    if series is None or facts is None:
        return []
    told = [mark_line(figure, facts.trend, mids, values)] if facts.trend and "line" in facts.shape else []
    told.append(mark_changes(figure, facts.changes, max(value for value in values if value is not None)))
    if series.bucket != unit:
        return told
    told.append(mark_strays(figure, facts.anomalies.found if facts.anomalies else (), (mids[1] - mids[0]) / 2))
    ahead = forecast_of(facts)
    if ahead:
        told.append(mark_forecast(figure, ahead))
        figure.x_range.end = max(figure.x_range.end, epoch_ms(ahead.starts[-1]))
    return told


def _table(points: tuple[TimePoint, ...], names: list[str]) -> DataTable:
    rows = tuple(
        (numbers.clock(point.start), *(numbers.number(point.means.get(name)) for name in names))
        for point in points[-TABLE_ROWS:]
    )
    note = f"The last {len(rows)} of {len(points)} buckets." if len(rows) < len(points) else ""
    return DataTable(("From", *names), rows, tuple(range(1, len(names) + 1)), note)
