"""A graph of tasks as text: lanes for what waits for what, then name, state and time of each task."""

from __future__ import annotations

from raypipe.engine.dag import TaskGraph, TaskNode, plain_name
from raypipe.engine.tasks import TaskResult, TaskStatus

MAX_LANES = 24
"""With more lanes than this, names say what waits for what."""
NAME_CHARS = 32
ERROR_CHARS = 80
MARKS = {
    TaskStatus.WAITING: "○",
    TaskStatus.RUNNING: "◐",
    TaskStatus.DONE: "●",
    TaskStatus.FAILED: "✗",
    TaskStatus.TIMED_OUT: "⧖",
    TaskStatus.SKIPPED: "↷",
    TaskStatus.CANCELLED: "■",
}


def draw(graph: TaskGraph) -> str:
    """A line a task, each below those that it waits for.

    A lane begins (`╭`) at a task that others wait for, and branches (`├`, at last `╰`) into each of those.
    """
    lanes = _lanes(graph.nodes)
    rows = [""] * len(graph.nodes) if lanes is None else lanes
    names = [plain_name(node.name, NAME_CHARS) for node in graph.nodes]
    width = max(map(len, names), default=0)
    count = f"{len(graph.nodes)} task{'' if len(graph.nodes) == 1 else 's'}"
    lines = [f"{plain_name(graph.name, 60)}: {count}, {graph.levels} in the longest chain"]
    for node, lane, name in zip(graph.nodes, rows, names, strict=True):
        after = f"after {', '.join(plain_name(one, NAME_CHARS) for one in node.waits_for)}" if lanes is None else ""
        told = [*_told(node.result), *([after] if after and node.waits_for else [])]
        lines.append(f"{lane}{MARKS[node.result.status]} {name:<{width}}  {'  '.join(told)}".rstrip())
    return "\n".join(lines)


def _told(result: TaskResult) -> list[str]:
    told = [f"{result.status.value:<9}"]
    if result.resumed:
        told.append("kept from before")
    elif result.started_s is not None:
        tries = f"{result.attempts} tries, " if result.attempts > 1 else ""
        told.append(f"{tries}{result.seconds:.2f} s, waited {result.waited_s:.2f} s")
    if result.error:
        error = " ".join(result.error.split())
        told.append(error if len(error) <= ERROR_CHARS else error[: ERROR_CHARS - 1] + "…")
    return told


def _lanes(nodes: tuple[TaskNode, ...]) -> list[str] | None:
    """The lanes to the left of each task; None if there would be too many."""
    ends: dict[str, int] = {}
    for row, node in enumerate(nodes):
        for needed in node.waits_for:
            ends[needed] = row
    lanes: list[str | None] = []
    drawn: list[list[str]] = []
    for row, node in enumerate(nodes):
        own = None
        if node.name in ends:
            # To the right of those that come in, so that nothing begins on their left and seems to be one of them.
            first = 1 + max((place for place, name in enumerate(lanes) if name in node.waits_for), default=-1)
            free = [place for place, name in enumerate(lanes) if name is None and place >= first]
            own = free[0] if free else len(lanes)
            lanes[own : own + 1] = [node.name]
        drawn.append(_row(lanes, own, row, node, ends))
        lanes = [None if name is None or ends[name] == row else name for name in lanes]
        while lanes and lanes[-1] is None:
            lanes.pop()
        if len(lanes) > MAX_LANES:
            return None
    width = max((len(cells) for cells in drawn), default=0)
    return [_padded(cells, width) for cells in drawn]


def _row(lanes: list[str | None], own: int | None, row: int, node: TaskNode, ends: dict[str, int]) -> list[str]:
    """Two characters a lane: what the lane does here, and whether a line to the task passes to its right."""
    cells, passing = [], False
    for place, name in enumerate(lanes):
        if place == own:
            cell = "┬" if passing else "╭"
        elif name in node.waits_for:
            last = ends[name] == row if name is not None else False
            cell = ("┴" if last else "┼") if passing else ("╰" if last else "├")
        elif name is not None:
            cell = "│"
        else:
            cell = "─" if passing else " "
        passing = passing or place == own or name in node.waits_for
        cells.append(cell + ("─" if passing else " "))
    return cells


def _padded(cells: list[str], width: int) -> str:
    line = bool(cells) and cells[-1].endswith("─")
    return "".join(cells) + ("──" if line else "  ") * (width - len(cells))
