"""Rows and target mean over time: two figures on one axis, and a strip below to choose the span."""

from __future__ import annotations

import math
from typing import Any

from bokeh.layouts import column
from bokeh.models import BoxZoomTool, DatetimeTickFormatter, Range1d, RangeTool

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
from raypipe.dashboard.timemarks import (
    epoch_ms,
    forecast_of,
    mark_changes,
    mark_forecast,
    mark_gaps,
    mark_strays,
    mark_trend,
)
from raypipe.insights.models import Timeline, TimePoint
from raypipe.insights.series.models import SeriesFacts, SeriesReport

BUCKET_S = {
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 604800,
    "month": 2629800,
    "quarter": 7889400,
    "year": 31557600,
}
"""Unit of time -> its usual length in seconds."""
MAX_BUCKETS = 800
_STRIP_FROM = 8
"""A strip to choose a span is of use only above so many buckets."""
AXIS_PX = 62
"""Room for the y axis, the same in figures that share their x axis."""
_TABLE_ROWS = 400


def timeline_chart(
    timeline: Timeline, target: str | None, max_points: int, series: SeriesReport | None = None
) -> Chart | None:
    """Counts as bars and the target's mean as a line, linked, with what `series` found; None below two buckets."""
    points, merged = merge_buckets(timeline.points, min(max_points, MAX_BUCKETS))
    if len(points) < 2:
        return None
    width = BUCKET_S[timeline.bucket] * merged * 1000.0
    unit = timeline.bucket if merged == 1 else f"{merged} {timeline.bucket}s"
    data = _columns(points, target, width)
    of_rows, of_mean = (series.of(None), series.of(target) if target else None) if series else (None, None)
    alike = series is not None and series.bucket == unit
    ahead = forecast_of(of_mean) if alike else None
    last = epoch_ms(ahead.starts[-1]) if ahead else data.data["x"][-1]
    whole = (data.data["x"][0], last + width)
    span = Range1d(start=whole[0], end=whole[1], bounds=(whole[0] - width, whole[1] + width))
    lines = [("From", "when"), ("Rows", "rows_text"), *([("Mean", "mean_text")] if target else [])]
    parts = [_rows_figure(data, span, unit, lines)]
    marks = _mark(parts[0], series, of_rows, width * alike, max(data.data["rows"]))
    if target and any(point.means.get(target) is not None for point in points):
        parts.append(_mean_figure(data, span, f"Mean of {plain(target, 40)} per {unit}", lines))
        marks += _mark(parts[1], series, of_mean, width * alike, _top(points, target))
        marks += [mark_forecast(parts[1], ahead)] if ahead else []
    notes = [f"{merged} {timeline.bucket}s are joined in a bucket."] if merged > 1 else []
    if len(points) > _STRIP_FROM:
        parts.append(_range_strip(data, span, whole))
        notes.append("Drag across a chart to look closer; move the span in the strip, or drag its edges.")
    notes += dict.fromkeys(filter(None, marks))
    what = f"Rows and mean of {target}" if target else "Rows"
    return Chart(
        "timeline",
        "Over time",
        f"{what} per {unit} from {points[0].start} to {points[-1].start}",
        item_of(column(*parts, sizing_mode="stretch_width", spacing=4)),
        sum(part.height for part in parts) + 12,
        _table(points, target),
        " ".join(notes),
        figures=len(parts),
        extra={"span": list(whole)},
        min_width=460,
    )


def _mark(figure: Any, series: SeriesReport | None, facts: SeriesFacts | None, width: float, top: float) -> list[str]:
    """What was found in one series; trend and unusual buckets only if the buckets are the same, `width` wide, not 0."""
    told = [mark_gaps(figure, series.frequency.gaps)] if series and series.frequency.steady else []
    if facts is None:
        return told
    told.append(mark_changes(figure, facts.changes, top))
    if width:
        told.append(mark_trend(figure, facts.decomposition, width / 2))
        told.append(mark_strays(figure, facts.anomalies.found if facts.anomalies else (), width / 2))
    return told


def _columns(points: tuple[TimePoint, ...], target: str | None, width: float) -> Any:
    starts = [epoch_ms(point.start) for point in points]
    means = [point.means.get(target) if target else None for point in points]
    return source(
        {
            "x": starts,
            "mid": [start + width / 2 for start in starts],
            "width": [width * 0.86] * len(starts),
            "rows": [point.rows for point in points],
            "mean": [float("nan") if mean is None else mean for mean in means],
            "when": [numbers.clock(point.start) for point in points],
            "rows_text": [numbers.count(point.rows) for point in points],
            "mean_text": [numbers.number(mean) for mean in means],
        }
    )


def _top(points: tuple[TimePoint, ...], target: str) -> float:
    return max(mean for point in points if (mean := point.means.get(target)) is not None)


def _table(points: tuple[TimePoint, ...], target: str | None) -> DataTable:
    shown = points[:_TABLE_ROWS]
    cut = f"The first {len(shown)} of {len(points)} buckets." if len(shown) < len(points) else ""
    counts = [(numbers.clock(point.start), numbers.count(point.rows)) for point in shown]
    if target is None:
        return DataTable(("From", "Rows"), tuple(counts), (1,), cut)
    means = [numbers.number(point.means.get(target)) for point in shown]
    rows = tuple((*counted, mean) for counted, mean in zip(counts, means, strict=True))
    return DataTable(("From", "Rows", f"Mean of {target}"), rows, (1, 2), cut)


def merge_buckets(points: tuple[TimePoint, ...], limit: int) -> tuple[tuple[TimePoint, ...], int]:
    """At most `limit` buckets: neighbours joined, rows added, means weighted by rows; and how many went into one."""
    size = max(1, math.ceil(len(points) / limit))
    if size == 1:
        return points, 1
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return tuple(_joined(group) for group in groups), size


def _joined(group: tuple[TimePoint, ...]) -> TimePoint:
    means: dict[str, float | None] = {}
    for name in {name for point in group for name in point.means}:
        known = [(mean, point.rows) for point in group if (mean := point.means.get(name)) is not None]
        rows = sum(weight for _, weight in known)
        means[name] = sum(mean * weight for mean, weight in known) / rows if rows else None
    return TimePoint(start=group[0].start, rows=sum(point.rows for point in group), means=means)


def _rows_figure(data: Any, span: Range1d, unit: str, lines: list[tuple[str, str]]) -> Any:
    figure = quiet_figure(190, x_range=span, x_axis_type="datetime", title=f"Rows per {unit}", min_border_left=AXIS_PX)
    bars = figure.vbar("mid", top="rows", width="width", source=data, fill_color=unthemed(), line_color=None)
    tint(bars, fill_color="accent")
    figure.add_tools(hover(lines, [bars]), _look_closer())
    figure.y_range.start = 0
    short_counts(figure.yaxis[0])
    return calm(figure)


def _mean_figure(data: Any, span: Range1d, title: str, lines: list[tuple[str, str]]) -> Any:
    figure = quiet_figure(210, x_range=span, x_axis_type="datetime", title=title, min_border_left=AXIS_PX)
    line = figure.line("mid", "mean", source=data, line_width=1.8, line_color=unthemed(), line_join="round")
    tint(line, line_color="contrast")
    few = len(data.data["x"]) <= 60
    dots = figure.scatter("mid", "mean", size=6 if few else 3, source=data, fill_color=unthemed(), line_color=None)
    tint(dots, fill_color="contrast")
    figure.add_tools(hover(lines, [dots], mode="vline"), _look_closer())
    short_counts(figure.yaxis[0])
    return calm(figure)


def _look_closer() -> BoxZoomTool:
    tool = BoxZoomTool(dimensions="width")
    tool.overlay.tags = ["fill_color:accent", "line_color:accent"]
    tool.overlay.fill_alpha = 0.16
    return tool


def _range_strip(data: Any, span: Range1d, whole: tuple[float, float]) -> Any:
    figure = quiet_figure(64, x_range=whole, x_axis_type="datetime", y_axis_type=None, min_border_left=AXIS_PX)
    tint(figure.step("x", "rows", source=data, mode="after", line_color=unthemed(), line_width=1), line_color="muted")
    tool = RangeTool(x_range=span, start_gesture="pan")
    tool.overlay.fill_alpha, tool.overlay.line_alpha = 0.16, 0.6
    tool.overlay.tags = ["fill_color:accent", "line_color:accent"]
    figure.add_tools(tool)
    figure.ygrid.visible = False
    return calm(figure)


def calm(figure: Any) -> Any:
    """The figure with a quiet axis of time."""
    figure.xgrid.visible = False
    figure.axis.axis_line_alpha = 0
    figure.xaxis.formatter = DatetimeTickFormatter(
        days="%d %b", months="%b %Y", hours="%H:%M", hourmin="%H:%M", minutes="%H:%M", years="%Y", context=None
    )
    figure.xaxis.ticker.desired_num_ticks = 5
    return figure
