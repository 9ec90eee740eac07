"""A graph of tasks as live figures, each task with its state and its time, and a page that holds them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from bokeh.core.properties import value as fixed

import raypipe
from raypipe.dashboard import numbers
from raypipe.dashboard.figures import (
    FONT,
    Chart,
    DataTable,
    bars_only,
    hover,
    item_of,
    label_axis,
    place_range,
    plain,
    quiet_figure,
    source,
    tint,
    unthemed,
)
from raypipe.dashboard.files import write_whole
from raypipe.dashboard.levelled import Placed, place
from raypipe.dashboard.shell import fill
from raypipe.dashboard.theme import theme_named
from raypipe.engine.dag import TaskGraph, TaskNode
from raypipe.engine.tasks import TaskStatus

MAX_BOXES = 150
"""More boxes cannot be read; the table has every task."""
MAX_BARS = 60
TABLE_ROWS = 1_000
BOX_WIDTH, BOX_HEIGHT = 0.78, 0.7
"""Of the distance between columns, and of a row."""
COLUMN_PIXELS, ROW_PIXELS = 170, 62
NAME_CHARS = 16
COLOURS = {
    TaskStatus.WAITING: "muted",
    TaskStatus.RUNNING: "accent",
    TaskStatus.DONE: "good",
    TaskStatus.FAILED: "bad",
    TaskStatus.TIMED_OUT: "bad",
    TaskStatus.SKIPPED: "muted",
    TaskStatus.CANCELLED: "warn",
}
DASHES = {TaskStatus.WAITING: "dotted", TaskStatus.SKIPPED: "dashed", TaskStatus.CANCELLED: "dashed"}
WORDS = {status: status.value.replace("_", " ") for status in TaskStatus}


def graph_chart(graph: TaskGraph) -> Chart | None:
    """Boxes by level, joined by lines; None for no tasks, or for more than `MAX_BOXES`."""
    if not graph.nodes or len(graph.nodes) > MAX_BOXES:
        return None
    placed = place([(node.name, node.level, node.waits_for) for node in graph.nodes])
    columns = max(graph.levels, 4)
    figure = quiet_figure(
        round(placed.height * ROW_PIXELS) + 24,
        x_range=(-0.5, columns - 0.5),
        y_range=(-placed.height / 2 - 0.15, placed.height / 2 + 0.15),
    )
    figure.axis.visible = figure.grid.visible = False
    _draw_lines(figure, placed)
    boxes = [_draw_boxes(figure, graph, placed, status) for status in TaskStatus]
    figure.add_tools(hover(_LINES, [box for box in boxes if box is not None]))
    states = ", ".join(f"{count} {word}" for word, count in _counts(graph))
    return Chart(
        "tasks",
        "Tasks",
        f"Graph of {len(graph.nodes)} tasks in {graph.levels} levels: {states}",
        item_of(figure),
        figure.height,
        task_table(graph),
        "From left to right: each task stands to the right of those that it waits for.",
        min_width=columns * COLUMN_PIXELS,
    )


_LINES = [
    ("Task", "name"),
    ("State", "state"),
    ("Time", "seconds"),
    ("Waited", "waited"),
    ("Tries", "tries"),
    ("Waits for", "after"),
    ("Why", "why"),
]


def _draw_lines(figure: Any, placed: Placed) -> None:
    """Curves that leave and arrive level; within a column a passing line runs straight."""
    half = BOX_WIDTH / 2
    curves: dict[str, list[float]] = {name: [] for name in ("x0", "y0", "x1", "y1", "cx0", "cx1")}
    straight: dict[str, list[float]] = {name: [] for name in ("x0", "y0", "x1", "y1")}
    for line in placed.lines:
        for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(line)):
            start, end = x0 + half, x1 - half
            middle = (start + end) / 2
            for name, one in zip(curves, (start, y0, end, y1, middle, middle), strict=True):
                curves[name].append(one)
            if number:
                for name, one in zip(straight, (x0 - half, y0, x0 + half, y0), strict=True):
                    straight[name].append(one)
    style = {"line_color": unthemed(), "line_width": 1.4}
    bends = figure.bezier(
        "x0", "y0", "x1", "y1", cx0="cx0", cy0="y0", cx1="cx1", cy1="y1", source=source(curves), **style
    )
    tint(bends, line_color="muted")
    tint(figure.segment("x0", "y0", "x1", "y1", source=source(straight), **style), line_color="muted")


def _draw_boxes(figure: Any, graph: TaskGraph, placed: Placed, status: TaskStatus) -> Any | None:
    """The boxes of all tasks in one state, with their writing."""
    nodes = [node for node in graph.nodes if node.result.status is status]
    if not nodes:
        return None
    data: dict[str, list[Any]] = {
        "x": [placed.boxes[node.name][0] for node in nodes],
        "y": [placed.boxes[node.name][1] for node in nodes],
        "short": [plain(node.name, NAME_CHARS) or "(blank)" for node in nodes],
        "told": [_told(node) for node in nodes],
    }
    told = source({**data, **_texts(nodes)})
    size = {"width": BOX_WIDTH, "height": BOX_HEIGHT, "border_radius": 7, "source": told}
    tint(figure.rect("x", "y", fill_color=unthemed(), line_color=None, **size), fill_color="surface")
    box = figure.rect(
        "x",
        "y",
        fill_color=unthemed(),
        fill_alpha=0.10,
        line_color=unthemed(),
        line_width=1.6,
        line_dash=DASHES.get(status, "solid"),
        **size,
    )
    writing = {"text_align": "center", "text_font": fixed(FONT), "source": told}
    name = figure.text(
        "x", "y", "short", text_font_size="13px", text_font_style="bold", text_baseline="bottom", y_offset=1, **writing
    )
    time = figure.text("x", "y", "told", text_font_size="11.5px", text_baseline="top", y_offset=3, **writing)
    tint(name, text_color="ink")
    tint(time, text_color="muted")
    return tint(box, fill_color=COLOURS[status], line_color=COLOURS[status])


def _texts(nodes: list[TaskNode]) -> dict[str, list[str]]:
    """What the hover box says; Bokeh escapes it."""
    results = [node.result for node in nodes]
    return {
        "name": [numbers.clip(node.name, 120) for node in nodes],
        "state": [WORDS[one.status] + (", kept from an earlier run" if one.resumed else "") for one in results],
        "seconds": [numbers.seconds(one.seconds) if one.started_s is not None else "–" for one in results],
        "waited": [numbers.seconds(one.waited_s) if one.started_s is not None else "–" for one in results],
        "tries": [numbers.count(one.attempts) for one in results],
        "after": [numbers.clip(", ".join(node.waits_for) or "–", 160) for node in nodes],
        "why": [numbers.clip(one.error or "–", 240) for one in results],
    }


def _told(node: TaskNode) -> str:
    result = node.result
    if result.resumed:
        return "done before"
    if result.started_s is None:
        return WORDS[result.status]
    tries = f", {result.attempts} tries" if result.attempts > 1 else ""
    return f"{WORDS[result.status]} · {numbers.seconds(result.seconds)}{tries}"


def timing_chart(graph: TaskGraph) -> Chart | None:
    """When each task waited and ran; None if none has started. The longest `MAX_BARS` are drawn."""
    started = [node for node in graph.nodes if node.result.started_s is not None]
    if not started:
        return None
    longest = sorted(started, key=lambda node: -node.result.seconds)[:MAX_BARS]
    shown = sorted(longest, key=lambda node: (node.result.started_s or 0.0, node.name))
    figure = quiet_figure(len(shown) * 24 + 56, y_range=place_range(len(shown), downwards=True))
    figure.x_range.start = 0
    waits = _bars(figure, list(enumerate(shown)), waited=True)
    tint(waits, fill_color="rule")
    bars = [waits]
    for colour in ("good", "bad", "accent", "warn", "muted"):
        part = [(row, node) for row, node in enumerate(shown) if COLOURS[node.result.status] == colour]
        if part:
            bars.append(tint(_bars(figure, part, waited=False), fill_color=colour))
    figure.add_tools(hover(_LINES[:5] + _LINES[6:], bars))
    label_axis(figure.yaxis[0], [node.name for node in shown], 24)
    bars_only(figure)
    figure.xaxis.axis_label = "seconds since the start; grey: waited for room"
    left_out = len(started) - len(shown)
    return Chart(
        "task-times",
        "Time of each task",
        f"Bars of when {len(shown)} tasks waited and ran",
        item_of(figure),
        figure.height,
        task_table(graph),
        f"The {MAX_BARS} longest; {left_out:,} shorter ones stand in the table." if left_out else "",
        min_width=480,
    )


def _bars(figure: Any, rows: list[tuple[int, TaskNode]], waited: bool) -> Any:
    results = [node.result for _, node in rows]
    begun = [one.started_s or 0.0 for one in results]
    ready = [max(0.0, start - one.waited_s) for start, one in zip(begun, results, strict=True)]
    ended = [start if one.ended_s is None else one.ended_s for start, one in zip(begun, results, strict=True)]
    data: dict[str, list[Any]] = {
        "y": [row for row, _ in rows],
        "left": ready if waited else begun,
        "right": begun if waited else ended,
        **_texts([node for _, node in rows]),
    }
    return figure.hbar(
        "y",
        left="left",
        right="right",
        height=0.34 if waited else 0.66,
        source=source(data),
        fill_color=unthemed(),
        line_color=None,
    )


def task_table(graph: TaskGraph) -> DataTable:
    """Every task as text."""
    rows = []
    for node in graph.nodes[:TABLE_ROWS]:
        texts = {name: values[0] for name, values in _texts([node]).items()}
        rows.append(tuple(texts[name] for name in ("name", "state", "seconds", "waited", "tries", "after", "why")))
    hidden = len(graph.nodes) - TABLE_ROWS
    note = f"The first {TABLE_ROWS:,} of {len(graph.nodes):,} tasks." if hidden > 0 else ""
    return DataTable(("Task", "State", "Time", "Waited", "Tries", "Waits for", "Why"), tuple(rows), (2, 3, 4), note)


def write_graph(graph: TaskGraph, path: Path | str, theme: str = "auto") -> Path:
    """One offline page with the graph and its times.

    Parameters
    ----------
    graph : TaskGraph
        From `TaskScheduler.graph()`, before, while or after the tasks run.
    theme : str
        light, dark, auto, corporate or enterprise.

    Raises
    ------
    ConfigError
        If there is no such theme.
    OutputError
        If the folder cannot be written or the disk is full.
    """
    boxes, times = graph_chart(graph), timing_chart(graph)
    charts = [chart for chart in (boxes, times) if chart is not None]
    why = "there are no tasks" if not graph.nodes else f"{len(graph.nodes):,} boxes could not be read"
    page = fill(
        "graph.html.j2",
        theme_named(theme),
        live=bool(charts),
        styles=("page.css",),
        scripts=("page.js",),
        title=f"Tasks: {numbers.clip(graph.name, 100)}",
        states=_counts(graph),
        tasks=len(graph.nodes),
        levels=graph.levels,
        boxes=boxes,
        boxes_why=why,
        times=times,
        table=task_table(graph),
        charts=charts,
        payload={},
        version=raypipe.__version__,
        run_id="",
        nav=[("graph", "Graph", f"{len(graph.nodes):,}"), ("times", "Times", "")],
    )
    return write_whole(Path(path), page.encode("utf-8", "replace"))


def _counts(graph: TaskGraph) -> list[tuple[str, int]]:
    """State in words -> tasks, without those that there are none of."""
    counts = [(WORDS[status], sum(node.result.status is status for node in graph.nodes)) for status in TaskStatus]
    return [(word, count) for word, count in counts if count]
