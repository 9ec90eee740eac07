"""From sums to relations: Pearson's r, eta squared and Cramer's V, with the levels and bins behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from raypipe.insights.bins import NumberPlan, level_label
from raypipe.insights.effects import corrected_cramers_v, fisher_score, variance_explained
from raypipe.insights.models import Level, TargetRelation, TargetReport
from raypipe.insights.relation_sums import OTHER, FloatArray, Levels, RelationSums

if TYPE_CHECKING:
    from raypipe.insights.relations import RelateTarget

LEAKAGE_STRENGTH = 0.95
"""From this strength on a column may hold the answer: a line that explains 90 % of the target is rarely found in what
is known beforehand."""
MIN_LEAKAGE_ROWS = 30
MIN_ROWS = 3
MAX_SHOWN_LEVELS = 20
MAX_SHOWN_CLASSES = 10
CURVE_GAIN = 0.05
"""A curve is named instead of a line if bins explain this much more of the variance (or association) than the line."""

Measure = Literal["pearson_r", "eta_squared", "cramers_v"]
Kind = Literal["number", "category", "time"]
Found = tuple[Measure, float, float]
"""Measure, its value and its normal score."""


def measure_relations(stage: RelateTarget, sums: RelationSums) -> TargetReport:
    """The report on all columns, strongest relation first (ties in order of columns)."""
    relations: list[TargetRelation] = []
    skipped = dict(stage.skipped)
    for i, plan in enumerate(stage.numbers):
        relation = _number_relation(stage, plan, sums, i)
        if relation is None:
            skipped[plan.column] = "varies in too few rows with a known target"
        else:
            relations.append(relation)
    for category, levels in zip(stage.categories, sums.levels, strict=True):
        if levels is None:
            skipped[category.column] = "has more distinct values than the profile said"
            continue
        found = _category_relation(stage, category.column, levels, sums.classes)
        if found is None:
            skipped[category.column] = "varies in too few rows with a known target"
        else:
            relations.append(found)
    classes = zip(sums.classes, sums.target.astype(int).tolist(), strict=False)
    return TargetReport(
        column=stage.target,
        task=stage.task,
        relations=tuple(sorted(relations, key=lambda relation: -relation.strength)),
        skipped=skipped,
        rows=sums.rows,
        classes=dict(sorted(classes, key=lambda c: (-c[1], c[0]))) if stage.task == "classification" else {},
    )


def _number_relation(stage: RelateTarget, plan: NumberPlan, sums: RelationSums, i: int) -> TargetRelation | None:
    bins = sums.bins[i]
    rows = int(bins[:, 0].sum()) if stage.task == "regression" else int(bins.sum())
    if stage.task == "regression":
        found = _pearson_or_curve(sums.pairs[i], bins, time=plan.kind == "time")
    else:
        found = _shift_or_association(sums.pairs[i], bins, time=plan.kind == "time")
    if found is None or rows < MIN_ROWS:
        return None
    filled = [(label, row) for label, row in zip(plan.labels, bins, strict=True) if _size(stage, row)]
    levels = [_level(stage, sums.classes, label, row) for label, row in filled]
    return _relation(plan.column, plan.kind, found, levels)


def _category_relation(stage: RelateTarget, column: str, levels: Levels, classes: list[str]) -> TargetRelation | None:
    sizes = {name: _size(stage, row) for name, row in levels.items()}
    order = sorted(levels, key=lambda name: (name == OTHER, -sizes[name], name))
    table = np.array([levels[name] for name in order])
    rows = int(sum(sizes.values()))
    found = (_eta(table) if stage.task == "regression" else _association(table)) if len(order) > 1 else None
    if found is None or rows < MIN_ROWS:
        return None
    own = [name for name in order if name != OTHER][:MAX_SHOWN_LEVELS]
    shown = [_level(stage, classes, level_label(name), levels[name]) for name in own]
    rest = [levels[name] for name in order if name not in set(own)]
    if rest:
        shown.append(_level(stage, classes, OTHER, np.sum(rest, axis=0)))
    return _relation(column, "category", found, shown, groups=len(order))


def _relation(column: str, kind: Kind, found: Found, levels: list[Level], groups: int | None = None) -> TargetRelation:
    measure, value, score = found
    rows = sum(level.rows for level in levels)
    strength = math.sqrt(value) if measure == "eta_squared" else abs(value)
    return TargetRelation(
        column=column,
        kind=kind,
        measure=measure,
        strength=strength,
        value=value,
        rows=rows,
        levels=tuple(levels),
        leakage_suspected=strength >= LEAKAGE_STRENGTH and rows >= MIN_LEAKAGE_ROWS,
        score=score,
        groups=groups or len(levels),
    )


def _size(stage: RelateTarget, row: FloatArray) -> int:
    return int(row[0] if stage.task == "regression" else row.sum())


def _level(stage: RelateTarget, classes: list[str], label: str, row: FloatArray) -> Level:
    rows = _size(stage, row)
    if stage.task == "classification":
        order = sorted(range(len(classes)), key=lambda i: (-row[i], classes[i]))
        shares = {level_label(classes[i]): float(row[i]) / rows for i in order[:MAX_SHOWN_CLASSES] if row[i]}
        return Level(label=label, rows=rows, shares=shares)
    mean = row[1] / rows
    std = math.sqrt(max(row[2] - rows * mean * mean, 0.0) / (rows - 1)) * stage.scale if rows > 1 else None
    return Level(label=label, rows=rows, mean=float(stage.center + stage.scale * mean), std=std)


def _pearson_or_curve(pairs: FloatArray, bins: FloatArray, *, time: bool) -> Found | None:
    """Pearson's r, or eta squared over the bins where those explain clearly more (and always for times)."""
    n, u, v, uu, vv, uv = (float(x) for x in pairs)
    if n < MIN_ROWS or not np.isfinite(pairs).all():
        return None
    x, y = uu - u * u / n, vv - v * v / n
    if x <= 1e-12 * uu or y <= 1e-12 * vv:
        return None
    r = min(max((uv - u * v / n) / math.sqrt(x) / math.sqrt(y), -1.0), 1.0)
    curve = _eta(bins)
    if curve and (time or curve[1] >= r * r + CURVE_GAIN):
        return curve
    return None if time else ("pearson_r", r, fisher_score(r, int(n)))


def _eta(table: FloatArray) -> Found | None:
    """Eta squared over levels of shape (levels, 3), corrected for their number."""
    eta, score = variance_explained(table[:, 0], table[:, 1], float(table[:, 2].sum()))
    return "eta_squared", eta, score


def _shift_or_association(pairs: FloatArray, bins: FloatArray, *, time: bool) -> Found | None:
    """How far the classes' means lie apart, or Cramer's V of bins by classes where that shows clearly more."""
    if not np.isfinite(pairs).all():
        return None
    n, u, uu = pairs
    rows = float(n.sum())
    if rows < MIN_ROWS or uu.sum() - u.sum() ** 2 / rows <= 1e-12 * uu.sum() or np.count_nonzero(n) < 2:
        return None
    eta, score = variance_explained(n, u, float(uu.sum()))
    v, v_score = corrected_cramers_v(bins)
    if time or v * v >= eta + CURVE_GAIN:
        return "cramers_v", v, v_score
    return "eta_squared", eta, score


def _association(table: FloatArray) -> Found | None:
    v, score = corrected_cramers_v(table)
    return ("cramers_v", v, score) if np.count_nonzero(table.sum(axis=0)) > 1 else None
