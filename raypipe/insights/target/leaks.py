"""Columns that may give the target away: too good, derived from it (or it from them), or from its future."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from raypipe.insights.calendar import micros
from raypipe.insights.effects import score_limit
from raypipe.insights.models import TargetReport
from raypipe.insights.patterns.dependencies import follows
from raypipe.insights.patterns.matrix import FloatArray, IntArray, coded, column_of, finite
from raypipe.insights.target.formulas import made_of
from raypipe.insights.target.models import Leak
from raypipe.insights.words import name, percent, plain

MIN_ROWS = 50
MIN_DISTINCT = 20
MIN_CLASS_ROWS = 20
MAX_NUMBERS = 60
MAX_CATEGORIES = 60
MAX_VALUES = 2_000
MIN_SHARE = 0.99
MIN_PHI = 0.9
"""Correlation of being filled with having a target, or a class, from which one tells the other."""


@dataclass(frozen=True)
class Goal:
    """The target over the rows of the sample."""

    name: str
    known: np.ndarray
    values: FloatArray | None
    """A number target; NaN where unknown."""
    codes: IntArray | None
    """Classes; -1 where unknown."""
    texts: list[str]


def find_leaks(frame: pl.DataFrame, report: TargetReport, time: str | None) -> tuple[Leak, ...]:
    """Every suspicion, by kind: the too good by all rows, the others by the sample."""
    goal = _goal(frame, report)
    found = [*_too_good(report)]
    # A schema is made anew each time that it is asked for, which thousands of columns would feel.
    kinds = {column: kind for column, kind in frame.schema.items() if column != report.column}
    others = list(kinds)
    numbers = [column for column, kind in kinds.items() if kind.is_numeric()][:MAX_NUMBERS]
    texts = [column for column, kind in kinds.items() if _is_text(kind)][:MAX_CATEGORIES]
    found += _derived(frame, goal, numbers, texts)
    found += _from_the_future(frame, goal, others, time)
    order = {"derived": 0, "future": 1, "too_good": 2}
    return tuple(sorted(found, key=lambda leak: (order[leak.kind], leak.columns, leak.how)))


def _goal(frame: pl.DataFrame, report: TargetReport) -> Goal:
    column = column_of(frame, report.column)
    if report.task == "regression":
        values = finite(frame, [report.column])[:, 0]
        return Goal(report.column, np.isfinite(values), values, None, [])
    codes, texts = coded(column.cast(pl.Int64, strict=False) if column.dtype.is_float() else column)
    return Goal(report.column, codes >= 0, None, codes, texts)


def _too_good(report: TargetReport) -> Iterator[Leak]:
    limit = score_limit(len(report.relations))
    for relation in report.relations:
        if relation.leakage_suspected and (relation.score or 0.0) >= limit:
            yield Leak(
                columns=(relation.column,),
                kind="too_good",
                how="strength",
                text=f"{name(relation.column)} tells {name(report.column)} almost alone: strength"
                f" {relation.strength:.3f} over {relation.rows:,} rows.",
                share=relation.strength,
                rows=relation.rows,
                p_value=relation.p_value,
            )


def _derived(frame: pl.DataFrame, goal: Goal, numbers: list[str], texts: list[str]) -> Iterator[Leak]:
    x = finite(frame, numbers)
    if goal.values is not None:
        found = [leak for i, column in enumerate(numbers) if (leak := _same(column, x[:, i], goal)) is not None]
        yield from found
        told = {leak.columns[0] for leak in found}
        rest = [i for i, column in enumerate(numbers) if column not in told]
        formula = made_of(x[:, rest], goal.values, [numbers[i] for i in rest], goal.name)
        if formula is not None:
            yield formula
        yield from _target_means(frame, goal, numbers, x, texts)
        return
    assert goal.codes is not None
    for i, column in enumerate(numbers):
        leak = _threshold(column, x[:, i], goal)
        if leak is not None:
            yield leak
    for column in texts:
        codes, levels = coded(column_of(frame, column))
        if len(levels) > MAX_VALUES:
            continue
        dependency = follows((column, codes, levels), (goal.name, goal.codes, goal.texts))
        if dependency is not None:
            yield Leak(
                columns=(column,),
                kind="derived",
                how="one_to_one" if len(levels) == len(goal.texts) else "function",
                text=f"Each value of {name(column)} goes with one class of {name(goal.name)}, but for"
                f" {percent(dependency.g3)} of rows.",
                share=1 - dependency.g3,
                rows=dependency.rows,
            )


def _is_text(kind: pl.DataType) -> bool:
    return kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)


def _same(column: str, x: FloatArray, goal: Goal) -> Leak | None:
    """The target as a copy of the column, a straight line of it, or in just its order."""
    assert goal.values is not None
    both = goal.known & np.isfinite(x)
    x, y, n = x[both], goal.values[both], int(both.sum())
    if n < MIN_ROWS or len(np.unique(y)) < MIN_DISTINCT or len(np.unique(x)) < MIN_DISTINCT:
        return None
    share = float((x == y).mean())
    how, text = "copy", f"{name(goal.name)} equals {name(column)}"
    if share < MIN_SHARE:
        share, how, text = _line(x, y), "line", f"{name(goal.name)} is a straight line of {name(column)}"
    if share < MIN_SHARE:
        share, how = _in_order(x, y), "order"
        text = f"{name(goal.name)} is a function of {name(column)}: both have the same order"
    if share < MIN_SHARE:
        return None
    return Leak(columns=(column,), kind="derived", how=how, text=f"{text} ({_of(share, n)}).", share=share, rows=n)


def _of(share: float, rows: int) -> str:
    return f"{percent(share)} of {rows:,} rows"


def _line(x: FloatArray, y: FloatArray) -> float:
    """Share of rows on the line through two points far apart, to rounding."""
    order = np.argsort(x, kind="stable")
    low, high = order[len(x) // 20], order[-1 - len(x) // 20]
    run = x[high] - x[low]
    if not run > 0:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(y - y[low] - (y[high] - y[low]) / run * (x - x[low]))
        return float((off <= 1e-6 * np.ptp(y)).mean()) if np.isfinite(off).all() and y[high] != y[low] else 0.0


def _in_order(x: FloatArray, y: FloatArray) -> float:
    """Share of neighbours, by the order of `x`, whose targets do not turn back; equal values need equal targets."""
    order = np.lexsort((y, x))
    steps, same = np.diff(y[order]), np.diff(x[order]) == 0
    if float((steps[same] != 0).sum()) > (1 - MIN_SHARE) * len(x):
        return 0.0
    moved = steps[~same]
    return float(max((moved >= 0).mean(), (moved <= 0).mean())) if len(moved) >= MIN_DISTINCT else 0.0


def _threshold(column: str, x: FloatArray, goal: Goal) -> Leak | None:
    """Classes that follow one another without a break along a number."""
    assert goal.codes is not None
    both = goal.known & np.isfinite(x)
    x, y, n = x[both], goal.codes[both], int(both.sum())
    sizes = np.bincount(y, minlength=1)
    classes = int((sizes > 0).sum())
    if n < 2 * MIN_ROWS or classes < 2 or n - sizes.max() < MIN_CLASS_ROWS or len(np.unique(x)) < MIN_DISTINCT:
        return None
    order = np.lexsort((y, x))
    changes = int((np.diff(y[order]) != 0).sum())
    if changes > classes - 1 + (1 - MIN_SHARE) * (n - sizes.max()):
        return None
    text = f"The classes of {name(goal.name)} are ranges of {name(column)}: along it the class changes {changes} times"
    return Leak(
        columns=(column,), kind="derived", how="ranges", text=f"{text} in {n:,} rows.", share=1 - changes / n, rows=n
    )


def _target_means(
    frame: pl.DataFrame, goal: Goal, numbers: list[str], x: FloatArray, texts: list[str]
) -> Iterator[Leak]:
    """Numbers that are the mean of the target over the rows with the same category."""
    assert goal.values is not None
    for category in texts:
        codes, levels = coded(column_of(frame, category))
        for i, column in enumerate(numbers):
            both = goal.known & np.isfinite(x[:, i]) & (codes >= 0)
            if not 5 <= len(levels) <= both.sum() / 5:
                continue
            n = np.bincount(codes[both], minlength=len(levels))
            used = n > 0
            low, high = np.full(len(levels), np.inf), np.full(len(levels), -np.inf)
            np.minimum.at(low, codes[both], x[both, i])
            np.maximum.at(high, codes[both], x[both, i])
            means = np.bincount(codes[both], goal.values[both], len(levels))[used] / n[used]
            flat = bool((low[used] == high[used]).all()) and len(np.unique(low[used])) >= 5
            if flat and float(np.corrcoef(low[used], means)[0, 1]) >= MIN_SHARE:
                yield Leak(
                    columns=(column,),
                    kind="derived",
                    how="target_mean",
                    text=f"{name(column)} is about the mean of {name(goal.name)} over the rows with the same"
                    f" {name(category)} ({used.sum():,} groups).",
                    share=1.0,
                    rows=int(both.sum()),
                )


def _from_the_future(frame: pl.DataFrame, goal: Goal, others: list[str], time: str | None) -> Iterator[Leak]:
    if time is not None:
        at, has = micros(column_of(frame, time))
        for column in others:
            if column != time and _of_one_clock(column_of(frame, column).dtype, column_of(frame, time).dtype):
                when, filled = micros(column_of(frame, column))
                both = has & filled
                share = float((when[both] > at[both]).mean()) if both.any() else 0.0
                if both.sum() >= MIN_ROWS and share >= MIN_SHARE:
                    text = f"{name(column)} lies after {name(time)} ({_of(share, int(both.sum()))})"
                    yield Leak(
                        columns=(column,), kind="future", how="after_the_row", text=f"{text}.", share=share,
                        rows=int(both.sum()),
                    )  # fmt: skip
    for column in others:
        filled = column_of(frame, column).is_not_null().to_numpy()
        if min(filled.sum(), (~filled).sum()) >= MIN_CLASS_ROWS:
            yield from _filled(column, filled, goal)


def _of_one_clock(one: pl.DataType, other: pl.DataType) -> bool:
    """Whether two columns hold times that can be compared: both with a zone, or both without."""
    known = one in (pl.Date, pl.Datetime) and other in (pl.Date, pl.Datetime)
    return known and bool(getattr(one, "time_zone", None)) == bool(getattr(other, "time_zone", None))


def _filled(column: str, filled: np.ndarray, goal: Goal) -> Iterator[Leak]:
    """A column that is there only where the target, or one class of it, is."""
    n = len(filled)
    if min(goal.known.sum(), (~goal.known).sum()) >= MIN_CLASS_ROWS and _phi(filled, goal.known) >= MIN_PHI:
        share = float((filled == goal.known).mean())
        text = (
            f"{name(column)} is filled where {name(goal.name)} is known, and empty where it is not, in {_of(share, n)}."
        )
        yield Leak(columns=(column,), kind="future", how="filled_with_target", text=text, share=share, rows=n)
    if goal.codes is None:
        return
    inside, known = filled[goal.known], goal.codes[goal.known]
    for code, text in enumerate(goal.texts):
        own = known == code
        if min(own.sum(), (~own).sum()) >= MIN_CLASS_ROWS and _phi(inside, own) >= MIN_PHI:
            share = float((inside == own).mean())
            said = f"{name(column)} is filled where {name(goal.name)} is “{plain(text, 40)}”, and empty elsewhere,"
            yield Leak(
                columns=(column,), kind="future", how="filled_by_class", text=f"{said} in {_of(share, len(own))}.",
                share=share, rows=len(own),
            )  # fmt: skip


def _phi(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if 0 < a.mean() < 1 and 0 < b.mean() < 1 else 0.0
