"""How far simple models come, on rows that they did not see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from raypipe.insights.patterns.matrix import FloatArray, IntArray
from raypipe.insights.target.design import Design
from raypipe.insights.target.models import Baseline, Baselines
from raypipe.insights.target.simple import Linear, gains, grow, logistic, predict, ridge

MIN_ROWS = 100
MAX_LINEAR_ROWS = 2_000
MAX_NAMED = 5
Name = Literal["average", "best single column", "small tree", "linear"]
Fit = Callable[[Design, IntArray], tuple[Callable[[IntArray], FloatArray], dict[str, float]]]
"""Rows to learn from -> a function that predicts rows, and how much each column matters."""


def measure_baselines(data: Design, folds: int) -> Baselines:
    """Every model on every fold. With a time, each fold is predicted from the rows before it; else folds are random."""
    split: Literal["shuffled", "time"] = "shuffled" if data.time is None else "time"
    left_out = dict(sorted(data.left_out.items()))
    reason = _reason(data)
    if reason:
        return Baselines(split=split, rows=data.rows, left_out=left_out, reason=reason)
    parts = list(_parts(data, folds))
    if len(parts) < 2:
        return Baselines(split=split, rows=data.rows, left_out=left_out, reason="too few different times to split at")
    fits: tuple[tuple[Name, Fit], ...] = (
        ("average", _average),
        ("best single column", _single),
        ("small tree", _tree),
        ("linear", _linear),
    )
    models = tuple(_measured(data, name, fit, parts) for name, fit in fits)
    return Baselines(models=models, split=split, rows=data.rows, folds=len(parts), left_out=left_out)


def _reason(data: Design) -> str:
    if data.rows < MIN_ROWS:
        return f"there are fewer than {MIN_ROWS} rows with a known target in the sample"
    if not data.conditions:
        return "there is no column to learn from"
    if data.task == "classification" and (data.y.shape[1] < 2 or data.y.sum(axis=0)[1] < 2 * len(data.y) / 100):
        return "the target has no second class with 2 % of rows"
    return "the target does not vary" if float(np.ptp(data.y, axis=0).max()) == 0 else ""


def _parts(data: Design, folds: int) -> Iterator[tuple[IntArray, IntArray]]:
    """(rows to learn from, rows to predict)."""
    n, rows = data.rows, np.arange(data.rows)
    if data.time is None:
        for fold in range(folds):
            test = (rows >= fold * n // folds) & (rows < (fold + 1) * n // folds)
            yield rows[~test], rows[test]
        return
    cuts = [int(np.searchsorted(data.time, data.time[min(i * n // (folds + 1), n - 1)])) for i in range(folds + 1)]
    for start, end in zip(cuts[1:], [*cuts[2:], n], strict=True):
        if start >= MIN_ROWS // 2 and end > start:
            yield rows[:start], rows[start:end]


def _measured(data: Design, name: Name, fit: Fit, parts: list[tuple[IntArray, IntArray]]) -> Baseline:
    skills, errors, aucs, balanced = [], [], [], []
    matter: dict[str, float] = {}
    for learn, test in parts:
        model, weights = fit(data, learn)
        for column, weight in weights.items():
            matter[column] = matter.get(column, 0.0) + weight
        told, truth = model(test), data.y[test]
        average = data.y[learn].mean(axis=0)
        if data.task == "regression":
            skills.append(_r_squared(truth, told, average))
            errors.append(float(np.abs(truth - told).mean()))
        else:
            skills.append(_saved(truth, told, average))
            aucs.append(mean_auc(truth, told))
            balanced.append(_balanced(truth, told))
    order = sorted(matter, key=lambda column: (-matter[column], column))
    return Baseline(
        model=name,
        columns=tuple(order[:MAX_NAMED]),
        skill=float(np.mean(skills)),
        skill_folds=tuple(skills),
        skill_std=float(np.std(skills, ddof=1)),
        error=float(np.mean(errors)) if errors else None,
        auc=float(np.mean(aucs)) if aucs else None,
        balanced_accuracy=float(np.mean(balanced)) if balanced else None,
    )


def _average(data: Design, learn: IntArray) -> tuple[Callable[[IntArray], FloatArray], dict[str, float]]:
    mean = data.y[learn].mean(axis=0)
    return lambda test: np.repeat(mean[None, :], len(test), axis=0), {}


def _tree(data: Design, learn: IntArray) -> tuple[Callable[[IntArray], FloatArray], dict[str, float]]:
    tree = grow(data.holds[learn], data.y[learn])
    matter: dict[str, float] = {}
    for condition, gain in gains(tree).items():
        column = data.conditions[condition].column
        matter[column] = matter.get(column, 0.0) + gain
    return lambda test: predict(tree, data.holds[test]), matter


def _single(data: Design, learn: IntArray) -> tuple[Callable[[IntArray], FloatArray], dict[str, float]]:
    """A tree over the conditions of the column whose own first split explains most."""
    first = grow(data.holds[learn], data.y[learn], depth=1)
    if first.condition < 0:
        return _average(data, learn)
    column = data.conditions[first.condition].column
    own = np.array([i for i, condition in enumerate(data.conditions) if condition.column == column])
    tree = grow(data.holds[learn], data.y[learn], own)
    return lambda test: predict(tree, data.holds[test]), {column: 1.0}


def _linear(data: Design, learn: IntArray) -> tuple[Callable[[IntArray], FloatArray], dict[str, float]]:
    rows = learn[-MAX_LINEAR_ROWS:]
    x, y = data.x[rows], data.y[rows]
    model: Linear = logistic(x, y[:, 1]) if data.task == "classification" and y.shape[1] == 2 else ridge(x, y)
    weight = np.abs(model.weights).sum(axis=1)
    matter: dict[str, float] = {}
    for column, one in zip(data.features, weight.tolist(), strict=True):
        matter[column] = matter.get(column, 0.0) + one
    return lambda test: model.predict(data.x[test]), matter


def _r_squared(truth: FloatArray, told: FloatArray, average: FloatArray) -> float:
    spread = float(((truth - average) ** 2).sum())
    return 1 - float(((truth - told) ** 2).sum()) / spread if spread > 0 else 0.0


def _chances(told: FloatArray) -> FloatArray:
    clipped = np.clip(told, 1e-3, None)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))


def _saved(truth: FloatArray, told: FloatArray, average: FloatArray) -> float:
    loss = -float((truth * np.log(_chances(told))).sum())
    plain = -float((truth * np.log(_chances(np.repeat(average[None, :], len(truth), axis=0)))).sum())
    return 1 - loss / plain if plain > 0 else 0.0


def mean_auc(truth: FloatArray, told: FloatArray) -> float:
    """Area under the ROC curve of each class against the rest, weighted by its rows (ties count half)."""
    total, weight = 0.0, 0.0
    for one in range(truth.shape[1]):
        inside = truth[:, one] > 0
        hits, misses = np.sort(told[inside, one]), np.sort(told[~inside, one])
        if not len(hits) or not len(misses):
            continue
        below, upto = np.searchsorted(misses, hits, "left"), np.searchsorted(misses, hits, "right")
        total += float((below + upto).mean() / 2 / len(misses)) * len(hits)
        weight += len(hits)
    return total / weight if weight else 0.5


def _balanced(truth: FloatArray, told: FloatArray) -> float:
    guess, own = told.argmax(axis=1), truth.argmax(axis=1)
    return float(np.mean([(guess[own == one] == one).mean() for one in np.unique(own)]))
