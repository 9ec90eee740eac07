"""What each worker did when: a lane a worker, its calls as bars, its losses as marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import (
    Chart,
    DataTable,
    bars_only,
    hover,
    item_of,
    label_axis,
    place_range,
    plain,
    source,
    tint,
    unthemed,
)
from raypipe.dashboard.timeline_course import draw_breaks, is_inline, pool_keys, shown_marks
from raypipe.dashboard.timeline_figures import MIN_WIDTH, Clock, TimeChart, look, time_figure
from raypipe.dashboard.timeline_lanes import Bar, Lanes
from raypipe.monitor.runlog import RunLog

_LANE_LINES = [
    ("Worker", "who"),
    ("Pass", "pass_"),
    ("From", "from_"),
    ("To", "to"),
    ("Worked", "busy"),
    ("Calls", "calls"),
    ("Rows out", "rows"),
    ("Memory", "rss"),
    ("First part", "part"),
]


def lanes_chart(lanes: Lanes, log: RunLog, clock: Clock) -> TimeChart | None:
    """What each worker did when; None where no call is known."""
    if not lanes.bars:
        return None
    places = len(lanes.lanes)
    row = 20 if places <= 24 else 13
    figure = time_figure(clock, places * row + 62, y_range=place_range(places, downwards=True))
    draw_breaks(figure, log, clock, places)
    ups = [(at, span) for at, lane in enumerate(lanes.lanes) for span in lane.up]
    data = source(
        {
            "y": [at for at, _ in ups],
            "left": clock.all([span[0] for _, span in ups]),
            "right": clock.all([span[1] for _, span in ups]),
        }
    )
    track = figure.hbar("y", left="left", right="right", height=0.78, source=data, line_color=None, fill_alpha=0.16)
    tint(track, fill_color="muted")
    pools = sorted({lane.pool for lane in lanes.lanes})
    drawn = [_draw_lane_bars(figure, clock, lanes, pool, look(at)[0]) for at, pool in enumerate(pools)]
    figure.add_tools(hover(_LANE_LINES, drawn))
    _draw_lane_marks(figure, clock, lanes, log)
    named = [
        (f"pool {lane.pool + 1} · " if at == 0 or lanes.lanes[at - 1].pool != lane.pool else "") + lane.label
        for at, lane in enumerate(lanes.lanes)
    ]
    named = ["this process"] if is_inline(log) else named
    label_axis(figure.yaxis[0], named, 24)
    if row < 20:
        figure.yaxis.major_label_text_font_size = "10px"
    bars_only(figure)
    note = "A pale track says that the worker was up; a bar that it worked."
    if lanes.joined_s:
        note += (
            f" {lanes.calls:,} calls are drawn as {len(lanes.bars):,} bars: those of a lane within "
            f"{numbers.seconds(lanes.joined_s)} are joined, and paler the less of it was work."
        )
    chart = Chart(
        "lanes",
        "What each worker did",
        f"Bars of {lanes.calls:,} calls in {places} lanes, one a worker",
        item_of(figure),
        figure.height,
        _lane_table(lanes),
        note,
        extra={"span": list(clock.span)},
        min_width=MIN_WIDTH,
    )
    return TimeChart(chart, pool_keys(log))


def _draw_lane_bars(figure: Any, clock: Clock, lanes: Lanes, pool: int, colour: str) -> Any:
    own = [bar for bar in lanes.bars if lanes.lanes[bar.lane].pool == pool]
    # White between bars shows where one call ends and the next begins, while there is room for it.
    gap = clock.end_s / 2_500 if len(own) < 1_500 else 0.0
    data = source(
        {
            "y": [bar.lane for bar in own],
            "left": clock.all([bar.start_s for bar in own]),
            "right": clock.all([max(bar.end_s - gap, bar.start_s + clock.end_s / 3_000) for bar in own]),
            "alpha": [round(0.18 + 0.77 * bar.busy_share, 2) for bar in own],
            **_lane_texts(own, lanes),
        }
    )
    drawn = figure.hbar(
        "y", left="left", right="right", height=0.78, source=data, fill_color=unthemed(), fill_alpha="alpha",
        line_color=None,
    )  # fmt: skip
    return tint(drawn, fill_color=colour)


def _lane_texts(bars: Sequence[Bar], lanes: Lanes) -> dict[str, list[str]]:
    named = [f"pool {lane.pool + 1}, {lane.label}" for lane in lanes.lanes]
    return {
        "who": [named[bar.lane] for bar in bars],
        "pass_": [plain(bar.work.title, 40) for bar in bars],
        "from_": [numbers.seconds(bar.start_s) for bar in bars],
        "to": [numbers.seconds(bar.end_s) for bar in bars],
        "busy": [f"{numbers.seconds(bar.busy_s)} ({bar.busy_share:.0%})" for bar in bars],
        "calls": [f"{bar.bundles:,}" for bar in bars],
        "rows": [f"{bar.rows_out:,}" for bar in bars],
        "rss": [numbers.size(bar.rss_bytes) if bar.rss_bytes else "not told" for bar in bars],
        "part": [numbers.clip(bar.part, 60) for bar in bars],
    }


def _draw_lane_marks(figure: Any, clock: Clock, lanes: Lanes, log: RunLog) -> None:
    """Workers that were lost, on their own lanes."""
    placed = [
        (mark, place) for mark in shown_marks(log)[0]
        if mark.is_trouble and (place := lanes.place(mark.pool, mark.worker)) is not None
    ]  # fmt: skip
    if not placed:
        return
    data = source(
        {
            "x": clock.all([mark.t_s for mark, _ in placed]),
            "y": [place for _, place in placed],
            "when": [numbers.seconds(mark.t_s) for mark, _ in placed],
            "text": [numbers.clip(mark.text, 200) for mark, _ in placed],
        }
    )
    drawn = figure.scatter("x", "y", marker="diamond", size=12, source=data, line_width=1.5, line_color=unthemed())
    tint(drawn, fill_color="bad", line_color="surface")
    figure.add_tools(hover([("At", "when"), ("", "text")], [drawn]))


def _lane_table(lanes: Lanes) -> DataTable:
    rows = tuple(
        (
            f"pool {lane.pool + 1}, {lane.label}",
            f"{lane.calls:,}",
            numbers.seconds(lane.busy_s),
            numbers.share(min(1.0, lane.busy_s / up)) if (up := sum(b - a for a, b in lane.up)) > 0 else "n/a",
            f"{lane.rows_out:,}",
            numbers.size(lane.peak_rss_bytes) if lane.peak_rss_bytes else "n/a",
        )
        for lane in lanes.lanes
    )
    return DataTable(("Worker", "Calls", "Worked", "Of its time", "Rows out", "Most memory"), rows, (1, 2, 3, 4, 5))
