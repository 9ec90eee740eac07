"""How much groups differ in a number: correlation ratio, Welch's and Kruskal's tests, Cohen's d."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raypipe.blocks.chance import NORMAL_95
from raypipe.blocks.runs import counted_runs
from raypipe.insights.effects import largest_noncentrality
from raypipe.insights.statistics.ranks import ranks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]


class GroupSums(NamedTuple):
    """Rows, mean and sum of squared distances from the mean of each group."""

    n: Floats
    mean: Floats
    squares: Floats

    @classmethod
    def of(cls, codes: Ints, values: Floats, groups: int) -> GroupSums:
        """From the group and the value of each row; groups without rows have mean 0."""
        n = np.bincount(codes, minlength=groups).astype(np.float64)
        pivot = float(values.mean()) if len(values) else 0.0
        held = np.maximum(n, 1.0)
        gap = np.bincount(codes, values - pivot, groups) / held
        squares = np.bincount(codes, (values - pivot - gap[codes]) ** 2, groups).astype(np.float64)
        return cls(n, np.where(n > 0, gap + pivot, 0.0), squares)

    def merge(self, other: GroupSums) -> GroupSums:
        """Both together (Chan's formula for each group)."""
        n = self.n + other.n
        held = np.maximum(n, 1.0)
        delta = other.mean - self.mean
        mean = np.where(self.n == 0, other.mean, self.mean + delta * other.n / held)
        squares = self.squares + other.squares + delta * delta * self.n * other.n / held
        return GroupSums(n, mean, squares)


def eta_squared(sums: GroupSums) -> float | None:
    """Share of the spread that lies between the groups; None where there is no spread or one group."""
    used = sums.n > 0
    n, mean = sums.n[used], sums.mean[used]
    if len(n) < 2 or n.sum() <= len(n):
        return None
    between = float((n * (mean - np.average(mean, weights=n)) ** 2).sum())
    total = between + float(sums.squares[used].sum())
    return between / total if total > 1e-12 * float((n * mean * mean).sum()) and total > 0 else None


def epsilon_squared(eta: float, groups: int, n: float) -> float:
    """Eta squared less what chance alone gives that many groups (Kelley 1935)."""
    return max(1 - (1 - eta) * (n - 1) / (n - groups), 0.0)


def eta_interval(codes: Ints, values: Floats, eta: float) -> Interval:
    """The 95 % interval of eta squared, by how much each row pulls on it (infinitesimal jackknife)."""
    n = len(values)
    sums = GroupSums.of(codes, values, int(codes.max()) + 1)
    gaps = values - values.mean()
    variance = float((gaps * gaps).mean())
    own = sums.mean[codes] - values.mean()
    pull = (own * own + 2 * own * (values - sums.mean[codes]) - eta * gaps * gaps) / variance
    groups = int((sums.n > 0).sum())
    middle = epsilon_squared(eta, groups, n)
    error, root = float(pull.std()) / math.sqrt(n), math.sqrt(middle)
    chance = math.sqrt(2 * (groups - 1)) * NORMAL_95 / n
    most = _largest(eta, groups, n)
    if root < 1e-6 or root >= 1.0:
        return max(middle - chance, 0.0), max(min(middle + max(NORMAL_95 * error, chance), 1.0), most)
    # On Fisher's scale of the square root, where the spread hangs least on the value itself.
    half = NORMAL_95 * error / (2 * root * (1 - middle))
    low, high = (math.tanh(max(math.atanh(root) + side * half, 0.0)) ** 2 for side in (-1, 1))
    return low, max(high, min(middle + chance, 1.0), most)


def eta_interval_of_sums(eta: float, groups: int, n: float) -> Interval:
    """The same from the sums alone, for values that are near normal within the groups.

    References
    ----------
    Olkin, Finn (1995), Correlations redux: the large-sample spread of a squared multiple correlation.
    """
    corrected = epsilon_squared(eta, groups, n)
    error = 2 * math.sqrt(corrected) * (1 - corrected) * (n - groups) / math.sqrt((n * n - 1) * (n + 3))
    half = max(NORMAL_95 * error, math.sqrt(2 * (groups - 1)) * NORMAL_95 / n)
    return max(corrected - half, 0.0), max(min(corrected + half, 1.0), _largest(eta, groups, n))


def _largest(eta: float, groups: int, n: float) -> float:
    """The largest share that lets chance make `eta` as small as it is: near 0 no pull of a row shows that."""
    if eta >= 1.0:
        return 1.0
    found = largest_noncentrality(n * eta / (1 - eta), groups - 1)
    return found / (n + found)


def welch(sums: GroupSums) -> tuple[float, float, float] | None:
    """F and its degrees of freedom of Welch's test that all means are equal; None where it cannot be had.

    References
    ----------
    Welch (1951), On the comparison of several mean values: an alternative approach.
    """
    used = sums.n > 1
    n, mean = sums.n[used], sums.mean[used]
    variance = sums.squares[used] / np.maximum(n - 1, 1)
    k = len(n)
    if k < 2 or not (variance > 0).all():
        return None
    weight = n / variance
    share = weight / weight.sum()
    centre = float((share * mean).sum())
    spread = float((((1 - share) ** 2) / (n - 1)).sum())
    above = float((weight * (mean - centre) ** 2).sum()) / (k - 1)
    return above / (1 + 2 * (k - 2) / (k * k - 1) * spread), k - 1, (k * k - 1) / (3 * spread)


def kruskal(codes: Ints, values: Floats) -> tuple[float, int, float] | None:
    """H of the Kruskal-Wallis test corrected for ties, its degrees of freedom, and epsilon squared H / (n - 1).

    References
    ----------
    Kruskal, Wallis (1952), Use of ranks in one-criterion variance analysis; Tomczak, Tomczak (2014) for the effect.
    """
    n = len(values)
    placed = ranks(values)
    sizes = np.bincount(codes).astype(np.float64)
    sums = np.bincount(codes, placed)
    used = sizes > 0
    groups = int(used.sum())
    ties = counted_runs(np.sort(values))[1].astype(np.float64)
    corrected = 1 - float((ties**3 - ties).sum()) / (float(n) ** 3 - n) if n > 1 else 0.0
    if groups < 2 or corrected <= 0:
        return None
    h = 12 / (n * (n + 1)) * float((sums[used] ** 2 / sizes[used]).sum()) - 3 * (n + 1)
    h /= corrected
    return h, groups - 1, min(max(h / (n - 1), 0.0), 1.0)


def cohens_d(sums: GroupSums) -> tuple[float, Interval] | None:
    """Distance of two means in pooled standard deviations, the second less the first, and its 95 % interval.

    References
    ----------
    Hedges, Olkin (1985), Statistical methods for meta-analysis, with their correction for few rows.
    """
    used = np.flatnonzero(sums.n > 1)
    if len(used) != 2:
        return None
    a, b = (float(n) for n in sums.n[used])
    pooled = float(sums.squares[used].sum()) / (a + b - 2)
    if pooled <= 0:
        return None
    first, second = (float(mean) for mean in sums.mean[used])
    d = (second - first) / math.sqrt(pooled) * (1 - 3 / (4 * (a + b) - 9))
    half = NORMAL_95 * math.sqrt((a + b) / (a * b) + d * d / (2 * (a + b)))
    return d, (d - half, d + half)
