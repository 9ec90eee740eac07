"""The course of a run: its stages, passes, tasks and marks as rows over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.layouts import column
from bokeh.models import Range1d, RangeTool

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import (
    Chart,
    DataTable,
    bars_only,
    hover,
    item_of,
    label_axis,
    place_range,
    source,
    tint,
    unthemed,
)
from raypipe.dashboard.timeline_figures import LEFT, MIN_WIDTH, Clock, Key, TimeChart, look, time_figure
from raypipe.dashboard.timeline_lanes import thinned
from raypipe.monitor.runlog import Mark, RunLog
from raypipe.monitor.usage import steps_up

MAX_PASS_ROWS = 8
MAX_TASK_ROWS = 10
MAX_MARKS = 600
MAX_TABLE_ROWS = 300
KINDS = {
    "stall": "stalls",
    "worker_lost": "workers lost",
    "worker_stuck": "workers stuck",
    "worker_restarted": "workers restarted",
    "blocks_lost": "blocks lost",
    "suspect": "suspects",
    "probe": "trials",
    "trial": "trials",
    "rows_blamed": "rows blamed",
    "memory_low": "memory low",
    "not_committed": "not committed",
    "task_failed": "tasks failed",
    "task_timed_out": "tasks failed",
    "task_overrun": "tasks overrun",
    "task_retry": "tasks retried",
    "task_skipped": "tasks left out",
    "pool_grew": "pools grew",
    "pool_shrank": "pools shrank",
    "committed": "commits",
    "resumed": "resumed",
}
"""Kind of mark -> its row; trouble first."""
SERIOUS = ("stall", "worker_lost", "worker_stuck", "blocks_lost", "rows_blamed", "memory_low", "not_committed",
           "task_failed", "task_timed_out")  # fmt: skip
STRIP_HEIGHT = 58


def shown_marks(log: RunLog) -> tuple[list[Mark], int]:
    """The marks that are drawn, and how many are not: trouble goes first, then every second, third … of the others."""
    marks = log.marks
    trouble = [mark for mark in marks if mark.is_trouble]
    others = [mark for mark in marks if not mark.is_trouble]
    chosen = [*_every(trouble, MAX_MARKS * 3 // 4), *_every(others, MAX_MARKS // 4)]
    return sorted(chosen, key=lambda mark: mark.t_s), len(marks) - len(chosen)


def course_chart(log: RunLog, clock: Clock) -> TimeChart:
    """Stages, passes and marks, each with a row of its own, above a strip that chooses the span of all figures."""
    marks, hidden = shown_marks(log)
    rows, bars = _bands(log)
    kinds = [kind for kind in dict.fromkeys(KINDS.values()) if any(KINDS.get(mark.kind) == kind for mark in marks)]
    first_mark = len(rows)
    rows += kinds
    figure = time_figure(clock, len(rows) * 21 + 62, y_range=place_range(len(rows), downwards=True))
    draw_breaks(figure, log, clock, len(rows))
    drawn = [_draw_bands(figure, clock, bars, colour) for colour in ("accent", "contrast", "good", "bad")]
    lines = [("What", "what"), ("From", "from_"), ("To", "to"), ("Took", "took"), ("", "text")]
    figure.add_tools(hover(lines, [one for one in drawn if one is not None]))
    if marks:
        _draw_marks(figure, clock, marks, {kind: first_mark + at for at, kind in enumerate(kinds)})
    label_axis(figure.yaxis[0], rows, 22)
    bars_only(figure)
    strip = _strip(log, clock, figure.x_range)
    parts = [figure, strip]
    notes = ["Drag across a figure to look closer, or turn the wheel with Ctrl held; all figures follow."]
    notes += [f"{hidden:,} further marks are not drawn; those of trouble come first."] if hidden else []
    notes += ["Between two sessions the axis has a break; times are those at work."] if len(log.sessions) > 1 else []
    chart = Chart(
        "course",
        "Stages, passes and events",
        f"Bars of {len(log.bands)} stages and {len(log.passes)} passes over {numbers.seconds(log.end_s)}, "
        f"and {len(log.marks)} events",
        item_of(column(*parts, sizing_mode="stretch_width", spacing=2)),
        sum(part.height for part in parts) + 6,
        _course_table(log),
        " ".join(notes),
        extra={"span": list(clock.span)},
        figures=len(parts),
        min_width=MIN_WIDTH,
    )
    return TimeChart(chart)


def is_inline(log: RunLog) -> bool:
    """Whether every pass ran in the process of the run itself."""
    return bool(log.passes) and all(work.engine == "inline" for work in log.passes)


def pool_keys(log: RunLog, *, dashes: bool = False) -> tuple[Key, ...]:
    """The legend of pools: what ran in each, pass by pass."""
    said: dict[int, list[str]] = {}
    for work in log.passes:
        for plan in work.pools():
            stages = plan.brief
            if stages and stages not in said.setdefault(plan.pool, []):
                said[plan.pool].append(stages)
    keys = []
    for at, pool in enumerate(sorted(said)):
        colour, dash = look(at)
        words = "; then ".join(said[pool][:3])
        keys.append(Key(colour, dash if dashes else "solid", f"pool {pool + 1}" + (f": {words}" if words else "")))
    return tuple(keys[:12])


def _every(marks: Sequence[Mark], most: int) -> list[Mark]:
    if len(marks) <= most:
        return list(marks)
    step = len(marks) / most
    return [marks[int(at * step)] for at in range(most)]


def _bands(log: RunLog) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of rows, and their bars."""
    stages = list(dict.fromkeys(band.stage for band in log.bands))[:12]
    rows = [stage.replace("_", " ") for stage in stages]
    bars = []
    for band in log.bands:
        if band.stage in stages:
            word = band.stage.replace("_", " ")
            colour = "accent" if band.finished else "bad"
            text = band.message or ("" if band.finished else "did not end")
            bars.append(_band_bar(stages.index(band.stage), band.start_s, band.end_s, colour, word, text))
    named = [work.name or f"pass {work.number}" for work in log.passes]
    passes = list(dict.fromkeys(named))[:MAX_PASS_ROWS]
    for work, name in zip(log.passes, named, strict=True):
        if name in passes:
            colour = "contrast" if work.finished else "bad"
            text = f"{work.rows_in:,} rows in" if work.rows_in is not None else ""
            text += "" if work.finished else " did not end"
            place = len(rows) + passes.index(name)
            bars.append(_band_bar(place, work.start_s, work.end_s, colour, work.title, text.strip()))
    rows += [name if name.startswith("pass ") else f"pass: {name}" for name in passes]
    longest = sorted(log.tasks, key=lambda task: task.start_s - task.end_s)
    tasks = list(dict.fromkeys(task.task for task in longest))[:MAX_TASK_ROWS]
    tasks.sort(key=lambda name: min(task.start_s for task in log.tasks if task.task == name))
    for task in log.tasks:
        if task.task in tasks:
            tried = f", {task.attempts} attempts" if task.attempts > 1 else ""
            text = f"{task.status or 'did not end'}{tried}, waited {numbers.seconds(task.waited_s)}"
            colour = "good" if task.status in ("done", "") else "bad"
            place = len(rows) + tasks.index(task.task)
            bars.append(_band_bar(place, task.start_s, task.end_s, colour, f"task {task.task}", text))
    return [*rows, *(f"task: {name}" for name in tasks)], bars


def _band_bar(y: int, start: float, end: float, colour: str, what: str, text: str) -> dict[str, Any]:
    return {"y": y, "start": start, "end": end, "colour": colour, "what": what, "text": text}


def _draw_bands(figure: Any, clock: Clock, bars: list[dict[str, Any]], colour: str) -> Any:
    own = [bar for bar in bars if bar["colour"] == colour]
    if not own:
        return None
    least = clock.end_s / 600  # what is shorter than a pixel is still seen
    data = source(
        {
            "y": [bar["y"] for bar in own],
            "left": clock.all([bar["start"] for bar in own]),
            "right": clock.all([max(bar["end"], bar["start"] + least) for bar in own]),
            "what": [numbers.clip(bar["what"], 80) for bar in own],
            "from_": [numbers.seconds(bar["start"]) for bar in own],
            "to": [numbers.seconds(bar["end"]) for bar in own],
            "took": [numbers.seconds(bar["end"] - bar["start"]) for bar in own],
            "text": [numbers.clip(bar["text"], 160) for bar in own],
        }
    )
    drawn = figure.hbar(
        "y", left="left", right="right", height=0.62, source=data, fill_color=unthemed(), line_color=None
    )
    return tint(drawn, fill_color=colour)


def _draw_marks(figure: Any, clock: Clock, marks: Sequence[Mark], rows: dict[str, int]) -> None:
    drawn = []
    for colour, shape, chosen in _looks(marks):
        if not chosen:
            continue
        data = source(
            {
                "x": clock.all([mark.t_s for mark in chosen]),
                "since": clock.all([_since(mark) for mark in chosen]),
                "y": [rows[KINDS[mark.kind]] for mark in chosen],
                "when": [numbers.seconds(mark.t_s) for mark in chosen],
                "what": [KINDS[mark.kind] for mark in chosen],
                "text": [numbers.clip(mark.text, 220) for mark in chosen],
            }
        )
        if any(mark.kind == "stall" for mark in chosen):
            lasted = figure.segment("since", "y", "x", "y", source=data, line_width=5, line_alpha=0.4)
            tint(lasted, line_color=colour)
        dots = figure.scatter(
            "x", "y", marker=shape, size=9, source=data, fill_color=unthemed(), line_color=unthemed(), line_width=1
        )
        drawn.append(tint(dots, fill_color=colour, line_color="surface"))
    figure.add_tools(hover([("At", "when"), ("Event", "what"), ("", "text")], drawn))


def _since(mark: Mark) -> float:
    """Where the bar of a mark begins: a stall is told when it has lasted."""
    return max(0.0, mark.t_s - mark.seconds) if mark.kind == "stall" else mark.t_s


def _looks(marks: Sequence[Mark]) -> list[tuple[str, str, list[Mark]]]:
    """Colour and shape of marks, with those that have them."""
    return [
        ("bad", "diamond", [mark for mark in marks if mark.kind in SERIOUS]),
        ("warn", "triangle", [mark for mark in marks if mark.is_trouble and mark.kind not in SERIOUS]),
        ("muted", "circle", [mark for mark in marks if not mark.is_trouble and mark.kind in KINDS]),
    ]


def draw_breaks(figure: Any, log: RunLog, clock: Clock, rows: int) -> None:
    """Where one session ended and the next began."""
    gaps = [session for session in log.sessions if session.break_s]
    if not gaps:
        return
    data = source(
        {
            "y": [(rows - 1) / 2] * len(gaps),
            "left": clock.all([session.start_s - session.break_s for session in gaps]),
            "right": clock.all([session.start_s for session in gaps]),
        }
    )
    drawn = figure.hbar(
        "y", left="left", right="right", height=rows, source=data, line_color=None, fill_alpha=0.14, hatch_alpha=0.35,
        hatch_pattern="/", hatch_color=unthemed(),
    )  # fmt: skip
    tint(drawn, fill_color="muted", hatch_color="muted")


def _strip(log: RunLog, clock: Clock, span: Range1d) -> Any:
    """How many workers were busy, over the whole run; the span in it is that of all figures."""
    start, end = clock.span
    steps = steps_up((call.start_s, call.end_s) for work in log.passes for call in work.calls)
    line = thinned([(0.0, 0.0), *((at, float(count)) for at, count in steps), (log.end_s, 0.0)])
    whole = Range1d(start=start, end=end)
    figure = time_figure(clock, STRIP_HEIGHT, x_range=whole, y_axis_type=None, label=False)
    figure.tools = []
    figure.min_border_left = LEFT
    data = source({"x": clock.all([at for at, _ in line]), "y": [value for _, value in line]})
    drawn = figure.step("x", "y", source=data, mode="after", line_color=unthemed(), line_width=1)
    tint(drawn, line_color="muted")
    tool = RangeTool(x_range=span, start_gesture="pan")
    tool.overlay.fill_alpha, tool.overlay.line_alpha = 0.16, 0.6
    tool.overlay.tags = ["fill_color:accent", "line_color:accent"]
    figure.add_tools(tool)
    figure.ygrid.visible = False
    figure.xaxis.ticker.desired_num_ticks = 8
    return figure


def _course_table(log: RunLog) -> DataTable:
    spans = [(band.stage.replace("_", " "), band.start_s, band.end_s, band.message) for band in log.bands]
    spans += [(work.title, work.start_s, work.end_s, work.engine) for work in log.passes]
    spans += [(f"task {task.task}", task.start_s, task.end_s, task.status) for task in log.tasks]
    shown = sorted(spans, key=lambda span: span[1])[:MAX_TABLE_ROWS]
    rows = tuple(
        (what, numbers.seconds(start), numbers.seconds(end), numbers.seconds(end - start), text)
        for what, start, end, text in shown
    )
    return DataTable(("What", "From", "To", "Took", "Said"), rows, (1, 2, 3))
