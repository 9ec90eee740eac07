"""Relations to the target once more, by ranks: a few extreme values cannot make them."""

from __future__ import annotations

import numpy as np
import polars as pl

from raypipe.insights.calendar import micros
from raypipe.insights.effects import corrected_cramers_v, f_score, fisher_score
from raypipe.insights.models import TargetRelation, TargetReport
from raypipe.insights.patterns.matrix import FloatArray, IntArray, coded, column_of, finite, normal_scores, standard

MAX_CHECKED = 200
CHECKED_FROM = 2.0
"""Normal score from which a relation is looked at again."""
BINS = 10
MIN_LEVEL_ROWS = 5


def with_rank_scores(report: TargetReport, frame: pl.DataFrame) -> tuple[TargetReport, int]:
    """The report with `rank_score` for relations that may be past chance: the same relation by ranks, on the sample.

    Pearson's r, and means in general, take their chance levels from a spread that heavy tails do not have. With it
    comes the number of rows of the sample whose target is known.
    """
    target = _ranked(frame, report)
    surest = sorted(report.relations, key=lambda relation: -(relation.score or 0.0))[:MAX_CHECKED]
    scores = {
        relation.column: _score(column_of(frame, relation.column), target, report.task)
        for relation in surest
        if (relation.score or 0.0) >= CHECKED_FROM and relation.column in frame.columns
    }
    scored = report.replace(relations=tuple(_scored(relation, scores) for relation in report.relations))
    return scored, int(np.isfinite(target).sum())


def _scored(relation: TargetRelation, scores: dict[str, float]) -> TargetRelation:
    return relation.replace(rank_score=scores[relation.column]) if relation.column in scores else relation


def _ranked(frame: pl.DataFrame, report: TargetReport) -> FloatArray:
    """Regression: normal scores, NaN where unknown. Classes: codes, NaN where unknown."""
    if report.task == "regression":
        values = finite(frame, [report.column])
        return np.where(np.isfinite(values), normal_scores(values), np.nan)[:, 0]
    column = column_of(frame, report.column)
    codes, _ = coded(column.cast(pl.Int64, strict=False) if column.dtype.is_float() else column)
    return np.where(codes >= 0, codes.astype(float), np.nan)


def _score(column: pl.Series, target: FloatArray, task: str) -> float:
    """The larger of a straight one and one over bins or levels."""
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        values = _numbers(column)
        both = np.isfinite(values) & np.isfinite(target)
        codes = _bins(values[both])
        straight = _straight(values[both], target[both]) if task == "regression" else 0.0
    else:
        codes, _ = coded(column.cast(pl.String, strict=False))
        both = (codes >= 0) & np.isfinite(target)
        codes, straight = codes[both], 0.0
    if task == "regression":
        return max(straight, groups_score(codes, target[both]))
    return corrected_cramers_v(_table(codes, target[both].astype(np.int64)))[1] if both.any() else 0.0


def _numbers(column: pl.Series) -> FloatArray:
    if column.dtype.is_temporal():
        at, known = micros(column)
        return np.where(known, at.astype(float), np.nan)
    return finite(pl.DataFrame({"value": column}), ["value"])[:, 0]


def _bins(values: FloatArray) -> IntArray:
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS)) if len(values) else np.zeros(0)
    return np.searchsorted(edges, values, "right").astype(np.int64)


def _straight(values: FloatArray, target: FloatArray) -> float:
    if len(values) < 4:
        return 0.0
    scores = standard(normal_scores(values[:, None]))[:, 0]
    return fisher_score(float((scores * standard(target[:, None])[:, 0]).mean()), len(values))


def groups_score(codes: IntArray, values: FloatArray) -> float:
    """Normal score of an analysis of variance; levels with few rows are left out."""
    sizes = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
    used = sizes[codes] >= MIN_LEVEL_ROWS if len(codes) else np.zeros(0, bool)
    codes, values = codes[used], values[used]
    groups, n = int((sizes >= MIN_LEVEL_ROWS).sum()), len(values)
    if groups < 2 or n <= groups:
        return 0.0
    centred = values - values.mean()
    n_by, total = np.bincount(codes), np.bincount(codes, centred)
    between = float((total**2 / np.maximum(n_by, 1)).sum())
    within = max(float(centred @ centred) - between, 1e-300)
    return f_score((between / (groups - 1)) / (within / (n - groups)), groups - 1, n - groups)


def _table(rows: IntArray, columns: IntArray) -> FloatArray:
    size = (int(rows.max()) + 1, int(columns.max()) + 1)
    counts = np.bincount(rows * size[1] + columns, minlength=size[0] * size[1])
    return counts.reshape(size).astype(float)
