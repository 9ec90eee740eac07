"""The map: rows on the plane that shows most of their spread."""

from __future__ import annotations

import numpy as np

from raypipe.insights.patterns.matrix import FloatArray, IntArray, Matrix, standard
from raypipe.insights.patterns.models import Component, PointMap
from raypipe.insights.words import name

MIN_ROWS = 10
MIN_LOADING = 0.4
MAX_NAMED = 4


def draw_map(matrix: Matrix, points: int, labels: IntArray | None, odd: IntArray) -> PointMap:
    """Principal components of the columns, robustly scaled and with far values drawn in (asinh); odd rows are kept.

    Parameters
    ----------
    points : int
        Most points; they are the first of the rows, which stand in random order, and the odd ones.
    labels : array or None
        Cluster of each row.
    odd : array
        Places of anomalous rows.
    """
    if matrix.rows < MIN_ROWS or len(matrix.numbers) < 2:
        return PointMap(rows=matrix.rows)
    x = standard(np.arcsinh(matrix.scaled))
    _, values, axes = np.linalg.svd(x, full_matrices=False)
    share = values**2 / max(float((values**2).sum()), 1e-300)
    axes = np.array([axis * np.sign(axis[np.abs(axis).argmax()] or 1.0) for axis in axes[:2]])
    along = x @ axes.T
    kept = odd[: points // 4]
    others = np.setdiff1d(np.arange(min(matrix.rows, points)), kept)
    shown = np.sort(np.concatenate([kept, others[: points - len(kept)]]))
    return PointMap(
        components=tuple(_component(matrix, x, along[:, i], float(share[i])) for i in range(len(axes))),
        x=tuple(np.round(along[shown, 0], 4).tolist()),
        y=tuple(np.round(along[shown, 1], 4).tolist()),
        cluster=() if labels is None else tuple(labels[shown].tolist()),
        odd=tuple(np.flatnonzero(np.isin(shown, odd)).tolist()),
        columns=tuple(matrix.numbers),
        rows=matrix.rows,
    )


def _component(matrix: Matrix, x: FloatArray, along: FloatArray, share: float) -> Component:
    spread = float(along.std()) or 1.0
    r = (x * along[:, None]).mean(axis=0) / spread
    order = np.argsort(-np.abs(r), kind="stable")
    loadings = {matrix.numbers[i]: round(float(r[i]), 4) for i in order}
    return Component(explained=share, loadings=loadings, words=_words(loadings))


def _words(loadings: dict[str, float]) -> str:
    """What goes up and what goes down along the axis."""
    parts = []
    for way, sign in (("high", 1), ("low", -1)):
        named = [name(column) for column, r in loadings.items() if sign * r >= MIN_LOADING][:MAX_NAMED]
        if named:
            parts.append(f"{way} {', '.join(named)}")
    return "; ".join(parts) or "no column stands out"
