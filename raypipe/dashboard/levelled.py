"""Places for the boxes of a graph: a column for each level, ordered so that few lines cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Stop = tuple[str, int]
"""A task at its own level, or its line on the way through a further one."""

BOX, LINE = 1.0, 0.36
"""Heights that a box and a passing line take in their column."""
SWEEPS = 6


@dataclass
class Placed:
    """Where everything stands: x is the level, y grows upwards and is 0 in the middle."""

    boxes: dict[str, tuple[float, float]]
    lines: list[tuple[tuple[float, float], ...]]
    """From box to box, with the places that each passes on the way."""
    height: float
    """Of the highest column, in boxes."""


@dataclass
class _Columns:
    order: list[list[Stop]]
    before: dict[Stop, list[Stop]] = field(default_factory=dict)
    after: dict[Stop, list[Stop]] = field(default_factory=dict)

    def join(self, left: Stop, right: Stop) -> None:
        if left not in self.before.setdefault(right, []):
            self.before[right].append(left)
            self.after.setdefault(left, []).append(right)


def place(nodes: Sequence[tuple[str, int, tuple[str, ...]]]) -> Placed:
    """Lay out tasks, given as name, level and those that each waits for.

    A line over several levels gets a place of its own in each of them, so that it passes between boxes and not behind
    them; lines of one task run together as far as they can.

    References
    ----------
    Sugiyama, Tagawa, Toda (1981), Methods for visual understanding of hierarchical system structures: levels, places
    for passing lines, and ordering by the mean place of the neighbours.
    """
    levels = {name: level for name, level, _ in nodes}
    columns = _Columns([[] for _ in range(1 + max(levels.values(), default=-1))])
    for name, level, _ in nodes:
        columns.order[level].append((name, level))
    for name, level, needed in nodes:
        for one in needed:
            for step in range(levels[one] + 1, level):
                if (one, step) not in columns.before:
                    columns.order[step].append((one, step))
                columns.join((one, step - 1), (one, step))
            columns.join((one, level - 1), (name, level))
    for sweep in range(SWEEPS):
        _sweep(columns, forwards=sweep % 2 == 0)
    return _placed(nodes, levels, columns)


def _sweep(columns: _Columns, forwards: bool) -> None:
    """Order each column by the mean place of the neighbours in the column before it (after it)."""
    neighbours = columns.before if forwards else columns.after
    numbers = range(1, len(columns.order)) if forwards else range(len(columns.order) - 2, -1, -1)
    for number in numbers:
        column, fixed = columns.order[number], columns.order[number - 1 if forwards else number + 1]
        at = {stop: row / max(1, len(fixed) - 1) for row, stop in enumerate(fixed)}
        own = {stop: row / max(1, len(column) - 1) for row, stop in enumerate(column)}

        def mean(stop: Stop, at: dict[Stop, float] = at, own: dict[Stop, float] = own) -> float:
            known = [at[one] for one in neighbours.get(stop, ())]
            return sum(known) / len(known) if known else own[stop]

        column.sort(key=mean)


def _placed(nodes: Sequence[tuple[str, int, tuple[str, ...]]], levels: dict[str, int], columns: _Columns) -> Placed:
    at: dict[Stop, tuple[float, float]] = {}
    highest = 0.0
    for number, column in enumerate(columns.order):
        sizes = [BOX if levels[name] == level else LINE for name, level in column]
        highest = max(highest, sum(sizes))
        y = sum(sizes) / 2
        for stop, size in zip(column, sizes, strict=True):
            at[stop] = (float(number), y - size / 2)
            y -= size
    lines = [
        tuple([at[one, step] for step in range(levels[one], level)] + [at[name, level]])
        for name, level, needed in nodes
        for one in needed
    ]
    return Placed({name: at[name, level] for name, level in levels.items()}, lines, highest)
