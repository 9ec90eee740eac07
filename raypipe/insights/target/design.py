"""A sample as a model sees it: the target, and the columns as yes-no conditions and as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from raypipe.config.insights.target import TargetConfig
from raypipe.insights.calendar import micros
from raypipe.insights.patterns.matrix import FloatArray, IntArray, coded, column_of, finite, in_order, scale
from raypipe.insights.words import figure, name, plain

MAX_CLASSES = 10
"""Classes told apart; rarer ones are one."""
MAX_LEVELS = 20
EDGES = 7
MIN_LEVEL_ROWS = 20
SCREENING = 3
"""One row in this many chooses the columns where there are too many."""
OTHER = "(other classes)"


@dataclass(frozen=True)
class Condition:
    """One yes-no question about one column."""

    column: str
    words: str


@dataclass
class Design:
    """Rows with a known target: in the order of time if there is one, else in a random order."""

    target: str
    task: Literal["regression", "classification"]
    y: FloatArray
    """Regression: of shape (rows, 1). Classes: one column a class, 0 or 1."""
    classes: list[str] = field(default_factory=list)
    time: IntArray | None = None
    """Microseconds, ascending."""
    conditions: list[Condition] = field(default_factory=list)
    holds: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """Shape (rows, conditions), 0 or 1."""
    features: list[str] = field(default_factory=list)
    """The column behind each column of `x`."""
    x: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """Numbers robustly scaled with far values drawn in (asinh), and a column for each frequent level."""
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows with a known target."""
        return len(self.y)


def design(
    frame: pl.DataFrame,
    target: str,
    task: Literal["regression", "classification"],
    settings: TargetConfig,
    *,
    time: str | None = None,
    left_out: Mapping[str, str] | None = None,
) -> Design:
    """The rows of `frame` with a known target, at most `settings.max_rows`.

    Parameters
    ----------
    left_out : mapping, optional
        Column -> why models shall not see it.
    """
    usable = sorted(c for c, kind in frame.schema.items() if kind.is_numeric() or _is_text(kind))
    frame = in_order(frame.filter(known(column_of(frame, target), task)), usable, settings.max_rows, settings.seed)
    at: IntArray | None = None
    if time is not None:
        when, has = micros(column_of(frame, time))
        order = np.argsort(when[has], kind="stable")
        frame, at = frame[np.flatnonzero(has)[order]], when[has][order]
    y, classes = _target(column_of(frame, target), task)
    out = Design(target, task, y, classes, at, left_out=dict(left_out or {}))
    skip = {target, time, *out.left_out}
    columns = [column for column in usable if column not in skip]
    if len(columns) > settings.max_columns:
        columns = _screened(out, frame, columns, settings.max_columns)
        frame = _without_first(out, frame)
    _add_columns(out, frame, columns)
    return out


def known(column: pl.Series, task: str) -> pl.Series:
    """Whether each row has a target."""
    if column.dtype.is_float():
        return (column.is_finite() & column.is_not_null()).fill_null(False)
    return column.is_not_null()


def _is_text(kind: pl.DataType) -> bool:
    return kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)


def _target(column: pl.Series, task: str) -> tuple[FloatArray, list[str]]:
    if task == "regression":
        return column.cast(pl.Float64).to_numpy().reshape(-1, 1).copy(), []
    whole = column.cast(pl.Int64, strict=False) if column.dtype.is_float() else column
    codes, texts = coded(whole)
    sizes = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = np.argsort(-sizes, kind="stable")
    kept = order[:MAX_CLASSES] if len(texts) <= MAX_CLASSES else order[: MAX_CLASSES - 1]
    y = np.stack([codes == code for code in kept], axis=1).astype(float) if len(kept) else np.zeros((len(codes), 0))
    names = [texts[code] for code in kept]
    if len(texts) > len(kept):
        y = np.column_stack([y, 1 - y.sum(axis=1)])
        names.append(OTHER)
    return y, names


def _screened(out: Design, frame: pl.DataFrame, columns: list[str], most: int) -> list[str]:
    """The columns that go with the target most, by the first third of the rows, which nothing else sees then: chosen on
    rows that they are judged by, columns of noise would look good."""
    part = slice(0, out.rows // SCREENING)
    y = out.y[part]
    strength = {column: _strength(_plain(column_of(frame, column)[part]), y) for column in columns}
    kept = sorted(columns, key=lambda column: (-round(strength[column], 9), column))[:most]
    why = f"is not among the {most} columns that go with the target most in a third of the rows"
    out.left_out |= {column: why for column in columns if column not in set(kept)}
    return sorted(kept)


def _plain(column: pl.Series) -> FloatArray:
    """Numbers as they are, drawn in; texts as yes or no for each of their most frequent values."""
    if column.dtype.is_numeric():
        return np.asarray(np.arcsinh(scale(finite(pl.DataFrame({"value": column}), ["value"])[:, 0]))[:, None])
    codes, levels = coded(column)
    frequent = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(levels)), kind="stable")[:MAX_LEVELS]
    return np.asarray((codes[:, None] == frequent[None, :]).astype(float))


def _without_first(out: Design, frame: pl.DataFrame) -> pl.DataFrame:
    cut = out.rows // SCREENING
    out.y = out.y[cut:]
    out.time = None if out.time is None else out.time[cut:]
    return frame[cut:]


def _add_columns(out: Design, frame: pl.DataFrame, columns: list[str]) -> None:
    """The columns' conditions and numbers."""
    made: list[tuple[str, list[Condition], FloatArray, FloatArray]] = []
    for column in columns:
        found = (
            _of_number(frame, column)
            if column_of(frame, column).dtype.is_numeric()
            else _of_text(column_of(frame, column), column)
        )
        if isinstance(found, str):
            out.left_out[column] = found
        else:
            made.append((column, *found))
    out.conditions = [condition for _, conditions, _, _ in made for condition in conditions]
    out.holds = np.column_stack([holds for _, _, holds, _ in made] or [np.zeros((out.rows, 0))]).astype(np.float32)
    out.x = np.column_stack([x for _, _, _, x in made] or [np.zeros((out.rows, 0))])
    out.features = [column for column, _, _, x in made for _ in range(x.shape[1])]


def _strength(x: FloatArray, y: FloatArray) -> float:
    centred, goal = x - x.mean(axis=0), y - y.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0))[:, None] * np.sqrt((goal**2).sum(axis=0))
    return float(np.abs(centred.T @ goal / np.where(spread > 0, spread, np.inf)).max(initial=0.0))


def _of_number(frame: pl.DataFrame, column: str) -> tuple[list[Condition], FloatArray, FloatArray] | str:
    values = finite(frame, [column])[:, 0]
    has = np.isfinite(values)
    if has.sum() < 2 * MIN_LEVEL_ROWS:
        return "has too few known values"
    if column_of(frame, column).dtype.is_integer() and len(np.unique(values)) == len(values) and _in_steps(values):
        return "names rows rather than measuring them"
    edges = np.unique(np.quantile(values[has], np.arange(1, EDGES + 1) / (EDGES + 1)))
    edges = edges[edges < values[has].max()]
    if not len(edges):
        return "holds one value in nearly all rows"
    conditions, holds = [], []
    for edge in edges.tolist():
        above = has & (values > edge)
        conditions += [
            Condition(column, f"{name(column)} > {figure(edge)}"),
            Condition(column, f"{name(column)} ≤ {figure(edge)}"),
        ]
        holds += [above, has & ~above]
    x = np.arcsinh(scale(values))
    columns = [x if np.ptp(x) > 0 else (values > edges[0]).astype(float)]
    if not has.all():
        columns.append(~has)
    return conditions, np.stack(holds, axis=1), np.stack(columns, axis=1).astype(float)


def _in_steps(values: FloatArray) -> bool:
    return bool(np.ptp(values) + 1 <= 1.1 * len(values))


def _of_text(column: pl.Series, called: str) -> tuple[list[Condition], FloatArray, FloatArray] | str:
    counts = column.drop_nulls().cast(pl.String).value_counts(name="n")
    frequent = counts.filter(pl.col("n") >= MIN_LEVEL_ROWS).sort(["n", counts.columns[0]], descending=[True, False])
    levels = frequent[counts.columns[0]].to_list()[:MAX_LEVELS]
    if not levels or (len(levels) == 1 and len(counts) == 1 and not column.null_count()):
        return "has no value in enough rows" if not levels else "has the same value in every row"
    text = column.cast(pl.String)
    holds = np.stack([(text == level).fill_null(False).to_numpy() for level in levels], axis=1)
    conditions = [Condition(called, f"{name(called)} = “{plain(level, 40)}”") for level in levels]
    return conditions, holds, holds.astype(float)
