"""Clusters, or the statement that there are none.

One half of the rows proposes, the other decides. Rows count as clustered if at least two columns agree on it: each of
them has a valley in the direction that splits the rows when the other is left out, and goes with the split that the
others make. One column with two modes is a fact about that column; correlated columns without a valley are a cloud.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from raypipe.blocks.chance import normal_tail
from raypipe.config.insights.patterns import PatternsConfig
from raypipe.insights.effects import fisher_score
from raypipe.insights.patterns.kmeans import adjusted_rand, assign, kmeans, prediction_strength, silhouette
from raypipe.insights.patterns.matrix import FloatArray, IntArray, Matrix, normal_scores, standard
from raypipe.insights.patterns.models import Cluster, ClusterReport
from raypipe.insights.patterns.profiles import Mask, contrasts
from raypipe.insights.patterns.valley import find_valley, judge_valley

MIN_ROWS = 100
MAX_ROWS = 2_000
MAX_VALLEY = 0.6
"""Density of the valley relative to the lower peak."""
MIN_LINK = 0.3
"""Correlation of a column's ranks with the split that other columns make: Cohen's medium effect."""
SAME_R = 0.98
"""Columns whose ranks correlate so closely are one column twice."""
MIN_SHARE = 0.02
RESAMPLES = 10
MAX_SILHOUETTE_ROWS = 800
NONE_FOUND = "no two number columns agree on a split with a valley in it"


@dataclass(frozen=True)
class Split:
    """Columns that agree on a split of the rows."""

    columns: tuple[int, ...]
    p: float
    valley: float


def find_clusters(matrix: Matrix, settings: PatternsConfig) -> tuple[ClusterReport, IntArray | None]:
    """The clusters, and the cluster of each row (None without clusters)."""
    rows = min(matrix.rows, MAX_ROWS)
    if rows < MIN_ROWS:
        return ClusterReport(rows=rows, reason=f"there are fewer than {MIN_ROWS} rows"), None
    x = np.arcsinh(matrix.scaled)
    columns = _distinct_columns(matrix.values[:rows])
    if len(columns) < 2:
        return ClusterReport(rows=rows, reason="there are fewer than two number columns"), None
    split = _split(x[: rows // 2][:, columns], x[rows // 2 : rows][:, columns], settings)
    if split is None:
        return ClusterReport(rows=rows, reason=NONE_FOUND), None
    used = [columns[i] for i in split.columns]
    strengths, k = _how_many(x[:rows][:, used], settings)
    names = tuple(matrix.numbers[i] for i in used)
    if k == 0:
        reason = f"no number of clusters holds from one half of the rows to the other ({settings.min_stability:g})"
        return ClusterReport(rows=rows, reason=reason, columns=names, prediction_strength=strengths), None
    return _report(matrix, x[:, used], names, (k, split, strengths), settings)


def _report(
    matrix: Matrix,
    x: FloatArray,
    names: tuple[str, ...],
    found: tuple[int, Split, dict[int, float]],
    settings: PatternsConfig,
) -> tuple[ClusterReport, IntArray]:
    k, split, strengths = found
    base = x[:MAX_ROWS]
    centres = kmeans(base, k, settings.seed)
    labels = assign(x, centres)
    order = np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    labels = np.argsort(order)[labels]
    agreement = [
        adjusted_rand(labels[: len(base)], assign(base, kmeans(_drawn(base, round_, settings.seed), k, round_)))
        for round_ in range(RESAMPLES)
    ]
    few = slice(0, MAX_SILHOUETTE_ROWS)
    report = ClusterReport(
        k=k,
        columns=names,
        clusters=tuple(_cluster(matrix, labels == i) for i in range(k)),
        p_value=split.p,
        valley=split.valley,
        prediction_strength=strengths,
        stability=float(np.mean(agreement)),
        stability_range=(float(min(agreement)), float(max(agreement))),
        silhouette=silhouette(x[few], labels[few]),
        rows=matrix.rows,
    )
    return report, labels


def _cluster(matrix: Matrix, inside: Mask) -> Cluster:
    rows = int(inside.sum())
    return Cluster(rows=rows, share=rows / len(inside), contrasts=contrasts(matrix, inside))


def _drawn(x: FloatArray, round_: int, seed: int) -> FloatArray:
    return x[np.random.default_rng((seed, round_)).integers(0, len(x), len(x))]


def _distinct_columns(values: FloatArray) -> list[int]:
    """Columns but those that repeat an earlier one, in other units or so."""
    z = standard(normal_scores(values))
    r = np.abs(z.T @ z / max(len(z), 1))
    kept: list[int] = []
    for i in range(values.shape[1]):
        if not any(r[i, j] >= SAME_R for j in kept):
            kept.append(i)
    return kept


def _split(a: FloatArray, b: FloatArray, settings: PatternsConfig) -> Split | None:
    """The columns that agree on a split: by single columns first, then by directions across columns."""
    p = a.shape[1]
    limit = settings.alpha / _tests(p)
    axes = np.eye(p)
    sides = {i: side for i in range(p) if (side := _side(a, b, axes[i], limit)) is not None}
    best = max((_agreeing(b, sides, i, limit) for i in sides), key=lambda found: len(found), default=())
    if len(best) >= 2:
        together = [sides[i] for i in best if i in sides]
        return Split(best, *_sum_up([(one[1], one[2]) for one in together], p))
    for direction in _directions(a, settings.seed):
        found = _left_out(a, b, direction, limit)
        if len(found) >= 2:
            return Split(tuple(found), *_sum_up(list(found.values()), p))
    return None


def _tests(p: int) -> int:
    """Valleys that may be tested: of each column, and of four directions with each column left out."""
    return p + 4 * (p + 1)


def _sum_up(tests: list[tuple[float, float]], p: int) -> tuple[float, float]:
    """Corrected p-value and depth of the second-best valley: at least two have to stand."""
    second = sorted(tests)[min(1, len(tests) - 1)]
    return min(1.0, second[0] * _tests(p)), second[1]


def _side(a: FloatArray, b: FloatArray, w: FloatArray, limit: float) -> tuple[FloatArray, float, float] | None:
    """On which side of the valley each row of `b` lies, its p-value and depth; None without a sure valley."""
    valley = find_valley(a @ w)
    if valley is None:
        return None
    along = b @ w
    chance, depth = judge_valley(along, valley)
    side = (along > valley.cut).astype(float)
    if chance > limit or depth > MAX_VALLEY or not MIN_SHARE < side.mean() < 1 - MIN_SHARE:
        return None
    return side, chance, depth


def _link(side: FloatArray, scores: FloatArray, limit: float) -> bool:
    r = abs(float((standard(side[:, None]) * standard(scores[:, None])).mean()))
    return r >= MIN_LINK and normal_tail(fisher_score(r, len(side))) <= limit


def _agreeing(
    b: FloatArray, sides: dict[int, tuple[FloatArray, float, float]], i: int, limit: float
) -> tuple[int, ...]:
    """Column `i`, and the columns with a valley of their own that go with its split: side with side, or side with
    values both ways."""
    scores = normal_scores(b)
    linked = [
        j
        for j in sides
        if j != i
        and (
            _link(sides[i][0], sides[j][0], limit)
            or (_link(sides[i][0], scores[:, j], limit) and _link(sides[j][0], scores[:, i], limit))
        )
    ]
    return tuple(sorted([i, *linked])) if linked else ()


def _directions(a: FloatArray, seed: int) -> list[FloatArray]:
    """Directions across columns in which a split may show: between two means, and the first principal components."""
    centres = kmeans(a, 2, seed)
    _, _, axes = np.linalg.svd(a - a.mean(axis=0), full_matrices=False)
    return [centres[1] - centres[0], *axes[:3]] if len(centres) == 2 else list(axes[:3])


def _left_out(a: FloatArray, b: FloatArray, w: FloatArray, limit: float) -> dict[int, tuple[float, float]]:
    """Columns that go with the split which the others make in this direction, with the test of the valley."""
    if _side(a, b, w, limit) is None:
        return {}
    scores = normal_scores(b)
    found: dict[int, tuple[float, float]] = {}
    for j in range(len(w)):
        others = np.where(np.arange(len(w)) == j, 0.0, w)
        side = _side(a, b, others, limit) if np.abs(others).max() > 0 else None
        if side is not None and _link(side[0], scores[:, j], limit):
            found[j] = side[1:]
    return found


def _how_many(x: FloatArray, settings: PatternsConfig) -> tuple[dict[int, float], int]:
    """Prediction strength by number of clusters, and the largest number that is strong and parted by valleys."""
    half = len(x) // 2
    a, b = x[:half], x[half:]
    strengths: dict[int, float] = {}
    best = 0
    for k in range(2, min(settings.max_clusters, len(x) // 50) + 1):
        strengths[k] = prediction_strength(a, b, k, settings.seed)
        if strengths[k] >= settings.min_stability and _all_parted(a, b, k, settings):
            best = k
    return strengths, best


def _all_parted(a: FloatArray, b: FloatArray, k: int, settings: PatternsConfig) -> bool:
    """Whether a valley lies between every two clusters that `a` shows, in the rows of `b`."""
    centres = kmeans(a, k, settings.seed)
    own, told = assign(a, centres), assign(b, centres)
    pairs = k * (k - 1) // 2
    for i in range(k):
        for j in range(i + 1, k):
            w = centres[j] - centres[i]
            length = math.sqrt(float(w @ w))
            if (
                length == 0
                or _side(a[np.isin(own, (i, j))], b[np.isin(told, (i, j))], w / length, 0.05 / pairs) is None
            ):
                return False
    return True
