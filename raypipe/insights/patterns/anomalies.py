"""Rows that lie apart: a robust distance, and a cut where its tail breaks off.

Nothing says beforehand how many rows are odd. The ordinary tail of the distances is held to be at most as heavy as a
power law (Gaussian, exponential, log-normal and Student tails all are): then the weighted log spacings of its order
statistics, i * log(d[i] / d[i+1]), are exponential with at most the same mean from the inside out (Rényi). A spacing
that is too wide for that is a gap, and the rows beyond it are odd.
"""

from __future__ import annotations

import numpy as np

from raypipe.blocks.chance import wilson_interval
from raypipe.insights.patterns.matrix import FloatArray, IntArray, Matrix, normal_scores, standard
from raypipe.insights.patterns.models import AnomalousRow, AnomalyReport, Cell

MIN_ROWS = 100
MAX_SHARE = 0.1
"""More rows than this are no anomaly but a group of their own."""
TAIL_SHARE = 0.3
MAX_TAIL = 300
MIN_TAIL = 20
CORE_SHARE = 0.75
CORE_STEPS = 3
MIN_GAP = 1.25
"""Odd rows lie at least this much farther out than ordinary ones."""
MIN_PART = 0.1
"""Part in the squared distances of odd rows from which a column makes them odd."""
MAX_SHOWN = 20
MAX_SHOWN_COLUMNS = 4


def find_anomalies(matrix: Matrix, alpha: float) -> AnomalyReport:
    """The rows beyond the widest significant gap, or none."""
    tested = tuple(matrix.numbers)
    if not tested:
        return AnomalyReport(rows=matrix.rows, reason="there is no number column to look at")
    if matrix.rows < MIN_ROWS:
        return AnomalyReport(rows=matrix.rows, tested=tested, reason=f"there are fewer than {MIN_ROWS} rows")
    distances, parts = robust_distances(matrix.scaled)
    found, p, gap, tail = break_of_tail(distances, alpha)
    order = np.argsort(-distances, kind="stable")[:found]
    p = max(p, _within(matrix.scaled, parts[order].mean(axis=0), alpha)) if found else p
    if not found or p > alpha:
        return AnomalyReport(
            rows=matrix.rows, tested=tested, p_value=p, tail_index=tail, interval=wilson_interval(0, matrix.rows)
        )
    share = parts[order].mean(axis=0)
    ranked = {matrix.numbers[i]: float(share[i]) for i in np.argsort(-share, kind="stable")}
    return AnomalyReport(
        count=found,
        rows=matrix.rows,
        share=found / matrix.rows,
        interval=wilson_interval(found, matrix.rows),
        p_value=p,
        gap=gap,
        tail_index=tail,
        columns=ranked,
        key_column=matrix.key,
        odd=_rows(matrix, order[:MAX_SHOWN], distances / distances[order[-1]], parts),
        tested=tested,
    )


def _within(x: FloatArray, share: FloatArray, alpha: float) -> float:
    """p-value of the gap among the columns alone that make rows odd.

    One heavy-tailed column among many light ones shows in few rows only, whose tail then looks broken.
    """
    columns = np.flatnonzero(share >= MIN_PART)
    if not len(columns) or len(columns) == x.shape[1]:
        return 0.0
    count, p, _, _ = break_of_tail(robust_distances(x[:, columns])[0], alpha)
    return p if count else 1.0


def robust_distances(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mahalanobis distance of each row from the core of the rows, and the part of each column in it.

    The core is found as by the minimum covariance determinant: from a start that ranks give, the three quarters of
    the rows that lie closest are taken, and their mean and covariance, and so on. With fewer than ten rows a column
    correlations are left out.

    Returns
    -------
    tuple of array
        Distances of shape (rows,); parts of shape (rows, columns), how far each value is from what the other columns
        lead to expect, squared, as shares of a row.

    References
    ----------
    Rousseeuw, Van Driessen (1999), A fast algorithm for the minimum covariance determinant estimator.
    Hubert, Rousseeuw, Verdonck (2012), A deterministic algorithm for robust location and scatter.
    """
    n, p = x.shape
    together = n >= 10 * p
    scores = standard(normal_scores(x))
    cov = scores.T @ scores / n if together else np.eye(p)
    center = np.zeros(p)
    for _ in range(CORE_STEPS):
        distance = _distances(x, center, _inverse(cov))
        core = x[np.argsort(distance, kind="stable")[: int(CORE_SHARE * n)]]
        center = core.mean(axis=0)
        cov = np.atleast_2d(np.cov(core, rowvar=False)) if together else np.diag(core.var(axis=0))
    inverse = _inverse(cov)
    away = (x - center) @ inverse
    parts = away * away / np.diag(inverse)
    return _distances(x, center, inverse), parts / np.maximum(parts.sum(axis=1, keepdims=True), 1e-300)


def _inverse(cov: FloatArray) -> FloatArray:
    """The inverse, with directions of no spread kept at a small one."""
    spread = np.sqrt(np.maximum(np.diag(cov), 1e-12))
    values, vectors = np.linalg.eigh(cov / np.outer(spread, spread))
    values = np.maximum(values, 1e-9 * max(values[-1], 1e-12))
    return np.asarray((vectors / values) @ vectors.T / np.outer(spread, spread))


def _distances(x: FloatArray, center: FloatArray, inverse: FloatArray) -> FloatArray:
    away = x - center
    return np.asarray(np.sqrt(np.maximum(((away @ inverse) * away).sum(axis=1), 0.0)))


def break_of_tail(distances: FloatArray, alpha: float) -> tuple[int, float, float, float]:
    """How many of the largest distances lie beyond a gap that the tail below it does not explain.

    Each of the gaps tried is compared with the mean of the spacings below it, whose ratio has an F distribution with 2
    and 2 m degrees of freedom under a power law, so that its chance is (1 + s / sum)^-m; `alpha` is divided by the
    number of gaps tried.

    Returns
    -------
    tuple
        Odd rows (0: none); corrected p-value of the most surprising gap, or of the cut; width of the cut as a ratio;
        tail index of the spacings below.

    References
    ----------
    Rényi (1953), On the theory of order statistics. Hill (1975), A simple general approach to inference about the tail
    of a distribution.
    """
    ordered = np.sort(distances)[::-1]
    n = len(ordered)
    most = max(int(MAX_SHARE * n), 1)
    depth = min(int((MAX_SHARE + TAIL_SHARE) * n), int(np.count_nonzero(ordered)) - 1)
    if depth < MIN_TAIL + 1:
        return 0, 1.0, 1.0, 0.0
    ratios = ordered[:depth] / ordered[1 : depth + 1]
    spacings = np.arange(1, depth + 1) * np.log(ratios)
    sums = np.concatenate([[0.0], np.cumsum(spacings)])
    tries = np.arange(min(most, depth - MIN_TAIL))
    below = np.minimum(np.minimum(MAX_TAIL, int(TAIL_SHARE * n)), depth - tries - 1)
    inner = np.maximum(sums[tries + 1 + below] - sums[tries + 1], 1e-300)
    log_p = -below * np.log1p(spacings[tries] / inner) + np.log(len(tries))
    sure = np.flatnonzero((log_p < np.log(alpha)) & (ratios[tries] >= MIN_GAP))
    place = int(sure[-1]) if len(sure) else int(np.argmin(log_p))
    p = float(np.exp(min(log_p[place], 0.0)))
    tail = float(inner[place] / below[place])
    return (place + 1 if len(sure) else 0), p, float(ratios[place]), tail


def _rows(matrix: Matrix, places: IntArray, distances: FloatArray, parts: FloatArray) -> tuple[AnomalousRow, ...]:
    out = []
    for place in places.tolist():
        most = np.argsort(-parts[place], kind="stable")[:MAX_SHOWN_COLUMNS]
        columns = [matrix.numbers[i] for i in most if parts[place][i] >= 0.05]
        out.append(
            AnomalousRow(
                key=str(matrix.frame[matrix.key][place]) if matrix.key else None,
                distance=float(distances[place]),
                values={name: _cell(matrix.frame[name][place]) for name in columns},
            )
        )
    return tuple(out)


def _cell(value: object) -> Cell:
    return value if isinstance(value, int | float | bool | str) or value is None else str(value)


def odd_places(matrix: Matrix, count: int) -> IntArray:
    """Places of the `count` rows that lie farthest out."""
    distances, _ = robust_distances(matrix.scaled)
    return np.argsort(-distances, kind="stable")[:count]
