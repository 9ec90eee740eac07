"""The stage that measures what rules about figures want to know, each thing once."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import SerializeAsAny

from raypipe.blocks.frames import ROW
from raypipe.blocks.profile import Profile
from raypipe.blocks.table import TableSummary, finish, merge, summarise
from raypipe.config import Frozen
from raypipe.etl.rules.cells import Cells, UnfitError
from raypipe.etl.rules.rule import FigureRule, Measure
from raypipe.etl.rules.segments import Key, segment_keys, smallest
from raypipe.stage import ReduceStage


class ProfileOf(Measure):
    """The profile of some columns."""

    columns: tuple[str, ...]

    def check(self, schema: pa.Schema) -> None:
        cells = Cells(schema)
        for name in self.columns:
            _ = cells[name]

    def partial(self, block: pa.Table, part: str) -> TableSummary:
        return summarise(block.select(self.columns))

    def merge(self, a: TableSummary, b: TableSummary) -> TableSummary:
        return merge(a, b)

    def finish(self, state: TableSummary) -> Profile:
        return finish(state)


class Task(Frozen):
    """One measure, for all rows or for each segment."""

    measure: SerializeAsAny[Measure]
    segments: tuple[str, ...] = ()


@dataclass
class Segmented:
    """(hash, values) of a segment -> (rows, summary)."""

    states: dict[tuple[int, Key], tuple[int, Any]] = field(default_factory=dict)
    dropped: bool = False


@dataclass(frozen=True)
class Found:
    """What was measured."""

    values: dict[Task, Any] = field(default_factory=dict)
    """Of tasks with segments, values of the segment -> (rows, value)."""
    dropped: frozenset[Task] = frozenset()
    """Tasks with more segments than are told."""


class MeasureFigures(ReduceStage):
    """Measure what rules about figures want to know; tasks that the columns do not allow are passed over."""

    tasks: tuple[Task, ...]

    def partial(self, block: pa.Table, part: str) -> dict[int, Any]:
        live, wheres = _planned(self.tasks, block.schema)
        cells, expressions = wheres
        masks = {}
        if expressions:
            named = [expression.alias(f"w{n}") for n, expression in enumerate(expressions.values())]
            found = cells.frame(block).lazy().select(named).collect()
            masks = {text: found.get_column(f"w{n}") for n, text in enumerate(expressions)}
        rows = {text: _within(block, mask, self._read(live, text)) for text, mask in masks.items()}
        states: dict[int, Any] = {}
        for index in live:
            task = self.tasks[index]
            inside = block if task.measure.where is None else rows[task.measure.where]
            states[index] = _segmented(task, inside, part) if task.segments else task.measure.partial(inside, part)
        return states

    def _read(self, live: list[int], where: str) -> tuple[str, ...]:
        """The columns that tasks with this condition look at."""
        tasks = [self.tasks[index] for index in live if self.tasks[index].measure.where == where]
        return tuple(dict.fromkeys(name for task in tasks for name in (*task.measure.reads(), *task.segments)))

    def merge(self, a: dict[int, Any], b: dict[int, Any]) -> dict[int, Any]:
        for index, theirs in b.items():
            task = self.tasks[index]
            if index not in a:
                a[index] = theirs
            elif task.segments:
                a[index] = _joined(task.measure, a[index], theirs)
            else:
                a[index] = task.measure.merge(a[index], theirs)
        return a

    def finish(self, state: dict[int, Any]) -> Found:
        values: dict[Task, Any] = {}
        for index, found in state.items():
            task = self.tasks[index]
            if not task.segments:
                values[task] = task.measure.finish(found)
                continue
            values[task] = {
                key[1]: (rows, task.measure.finish(one)) for key, (rows, one) in sorted(found.states.items()) if rows
            }
        dropped = (self.tasks[i] for i, found in state.items() if isinstance(found, Segmented) and found.dropped)
        return Found(values, frozenset(dropped))


def tasks_of(rule: FigureRule) -> tuple[Task, ...]:
    """What must be measured for a rule, for all rows and for its segments."""
    measures: tuple[Measure, ...] = rule.measures()
    profile = (profile_measure(rule),) if rule.PROFILED and rule.columns else ()
    whole = [Task(measure=measure) for measure in (*measures, *(profile if rule.where is not None else ()))]
    if not rule.segments:
        return tuple(whole)
    return (*whole, *(Task(measure=measure, segments=rule.segments) for measure in (*measures, *profile)))


def profile_measure(rule: FigureRule) -> ProfileOf:
    """The measure that gives a rule the profile of its columns, where that of all rows will not do."""
    return ProfileOf(columns=rule.columns, where=rule.where)


@functools.lru_cache(maxsize=16)
def _planned(tasks: tuple[Task, ...], schema: pa.Schema) -> tuple[list[int], tuple[Cells, dict[str, pl.Expr]]]:
    """Places of the tasks that these columns allow, and the conditions of their measures."""
    cells = Cells(schema)
    live, conditions = [], {}
    for index, task in enumerate(tasks):
        try:
            task.measure.check(schema)
            for name in task.segments:
                _ = Cells(schema)[name]
            where = task.measure.where
            if where is not None and where not in conditions:
                conditions[where] = cells.condition(where)
        except UnfitError:
            continue  # the verdict tells of it
        live.append(index)
    return live, (cells, conditions)


def _within(block: pa.Table, mask: pl.Series, columns: tuple[str, ...]) -> pa.Table:
    """The rows of the mask; only in the columns that are looked at, since every one is copied."""
    if mask.all():
        return block
    named = [ROW] if ROW in block.column_names else []
    return block.select([*columns, *named] if columns or named else block.column_names[:1]).filter(mask.to_arrow())


def _segmented(task: Task, block: pa.Table, part: str) -> Segmented:
    """Each segment that is told by itself, its rows in the order that they came in."""
    if not block.num_rows:
        return Segmented()
    keys = segment_keys(block, task.segments)
    numbers = keys.numbers.fill_null(len(keys.keys)).to_numpy()
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(len(keys.keys) + 1))
    rows = block.take(pa.array(order[: starts[-1]]))
    states = {}
    for number, key in enumerate(keys.keys):
        inside = rows.slice(int(starts[number]), int(starts[number + 1] - starts[number]))
        states[key] = (inside.num_rows, task.measure.partial(inside, part))
    return Segmented(states, keys.numbers.null_count() > 0)


def _joined(measure: Measure, a: Segmented, b: Segmented) -> Segmented:
    both = dict(a.states)
    for key, (rows, state) in b.states.items():
        known = both.get(key)
        both[key] = (rows, state) if known is None else (known[0] + rows, measure.merge(known[1], state))
    kept = smallest(list(both))
    return Segmented({key: both[key] for key in kept}, a.dropped or b.dropped or len(kept) < len(both))
