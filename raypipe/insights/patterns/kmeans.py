"""k-means and its measures, in NumPy.

scikit-learn has all of it, but loading it takes two seconds, which is more than a small run takes; on the bounded
number of rows that patterns look at, these few lines give the same.
"""

from __future__ import annotations

import numpy as np

from raypipe.insights.patterns.matrix import FloatArray, IntArray

STARTS = 4
MAX_ROUNDS = 50


def kmeans(x: FloatArray, k: int, seed: int, starts: int = STARTS) -> FloatArray:
    """Centres of `k` clusters, of shape (k, columns): the best of several k-means++ starts.

    References
    ----------
    Arthur, Vassilvitskii (2007), k-means++: the advantages of careful seeding.
    """
    best, least = x[:1], np.inf
    for start in range(starts):
        centres = _converged(x, _first_centres(x, k, np.random.default_rng((seed, start))))
        inertia = float(_squared(x, centres).min(axis=1).sum())
        if inertia < least * (1 - 1e-9):
            best, least = centres, inertia
    return best[np.lexsort(best.T[::-1])]


def assign(x: FloatArray, centres: FloatArray) -> IntArray:
    """The nearest centre of each row."""
    return np.asarray(_squared(x, centres).argmin(axis=1), dtype=np.int64)


def _squared(x: FloatArray, centres: FloatArray) -> FloatArray:
    gaps = (x * x).sum(axis=1)[:, None] - 2 * x @ centres.T + (centres * centres).sum(axis=1)
    return np.asarray(np.maximum(gaps, 0.0))


def _first_centres(x: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    centres = x[[rng.integers(len(x))]]
    for _ in range(k - 1):
        weight = _squared(x, centres).min(axis=1)
        total = weight.sum()
        place = np.searchsorted(np.cumsum(weight), rng.random() * total) if total > 0 else rng.integers(len(x))
        centres = np.vstack([centres, x[min(int(place), len(x) - 1)]])
    return centres


def _converged(x: FloatArray, centres: FloatArray) -> FloatArray:
    labels = assign(x, centres)
    for _ in range(MAX_ROUNDS):
        one_hot = np.zeros((len(x), len(centres)))
        one_hot[np.arange(len(x)), labels] = 1.0
        sizes = one_hot.sum(axis=0)
        means = one_hot.T @ x / np.maximum(sizes, 1)[:, None]
        centres = np.where(sizes[:, None] > 0, means, centres)
        new = assign(x, centres)
        if (new == labels).all():
            break
        labels = new
    return centres


def adjusted_rand(a: IntArray, b: IntArray) -> float:
    """Agreement of two ways to group rows: 1 the same, about 0 for chance.

    References
    ----------
    Hubert, Arabie (1985), Comparing partitions.

    Examples
    --------
    >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    1.0
    """
    if not len(a):
        return 1.0
    _, a = np.unique(a, return_inverse=True)
    _, b = np.unique(b, return_inverse=True)
    table = np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1)).astype(float)
    table = table.reshape(a.max() + 1, b.max() + 1)
    both, rows, columns = _pairs(table).sum(), _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    expected = rows * columns / _pairs(np.array(float(len(a)))) if len(a) > 1 else 0.0
    most = (rows + columns) / 2
    return 1.0 if most == expected else float((both - expected) / (most - expected))


def _pairs(n: FloatArray) -> FloatArray:
    return np.asarray(n * (n - 1) / 2)


def silhouette(x: FloatArray, labels: IntArray) -> float | None:
    """Mean silhouette: how much nearer rows are to their own cluster than to the next one, -1 to 1.

    References
    ----------
    Rousseeuw (1987), Silhouettes.
    """
    names, codes = np.unique(labels, return_inverse=True)
    if len(names) < 2 or len(names) >= len(x):
        return None
    distances = np.sqrt(_squared(x, x))
    one_hot = np.eye(len(names))[codes]
    sizes = one_hot.sum(axis=0)
    sums = distances @ one_hot
    own = sums[np.arange(len(x)), codes] / np.maximum(sizes[codes] - 1, 1)
    others = np.where(one_hot > 0, np.inf, sums / sizes).min(axis=1)
    with np.errstate(invalid="ignore"):
        value = np.where(sizes[codes] > 1, (others - own) / np.maximum(np.maximum(own, others), 1e-300), 0.0)
    return float(value.mean())


def prediction_strength(a: FloatArray, b: FloatArray, k: int, seed: int) -> float:
    """The smallest share, over the clusters of `b`, of pairs that the centres found on `a` keep together.

    References
    ----------
    Tibshirani, Walther (2005), Cluster validation by prediction strength.
    """
    own, told = assign(b, kmeans(b, k, seed)), assign(b, kmeans(a, k, seed))
    least = 1.0
    for cluster in range(k):
        inside = told[own == cluster]
        n = len(inside)
        if n < 2:
            return 0.0
        together = _pairs(np.bincount(inside, minlength=k).astype(float)).sum()
        least = min(least, float(together / _pairs(np.array(float(n)))))
    return least
