"""How probable a difference is by chance alone, how sure a share is, and how to judge many results together.

What needs more than these (exact tails of F, t and chi-squared, quantiles, counts) is in `raypipe/insights/chance.py`.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

NORMAL_95 = NormalDist().inv_cdf(0.975)
"""95 % of a standard normal distribution lie within so much of 0."""
NORMAL_99 = NormalDist().inv_cdf(0.995)
"""99 % of it do."""
IQR_OF_NORMAL = 2 * NormalDist().inv_cdf(0.75)
"""Distance between its quartiles, in standard deviations."""
MAD_TO_STD = 1.4826
"""Its standard deviation per median absolute deviation, to the digits that tools agree on."""


def normal_tail(z: float) -> float:
    """Probability that a standard normal variable is further from 0 than `z`.

    Examples
    --------
    >>> round(normal_tail(1.96), 3)
    0.05
    """
    return math.erfc(abs(z) / math.sqrt(2))


def normal_above(z: float) -> float:
    """Probability that a standard normal variable exceeds `z`.

    Examples
    --------
    >>> round(normal_above(1.645), 3), normal_above(0.0)
    (0.05, 0.5)
    """
    return 0.5 * math.erfc(z / math.sqrt(2))


def chi2_tail(statistic: float, freedom: int) -> float:
    """Probability that a chi-squared variable exceeds the statistic, to about two digits.

    References
    ----------
    Wilson, Hilferty (1931), The distribution of chi-square.

    Examples
    --------
    >>> round(chi2_tail(18.31, 10), 3)
    0.05
    """
    if freedom < 1 or statistic <= 0:
        return 1.0
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return normal_above(z)


def kolmogorov_tail(distance: float, n: int, m: int) -> float:
    """Probability that two samples of one continuous distribution are further apart; ties make it smaller.

    References
    ----------
    Smirnov (1948), Table for estimating the goodness of fit of empirical distributions.

    Examples
    --------
    >>> round(kolmogorov_tail(0.0607, 1000, 1000), 2)
    0.05
    """
    x = distance * math.sqrt(n * m / (n + m))
    if x < 0.2:
        return 1.0
    total = math.fsum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(max(2 * total, 0.0), 1.0)


def wilson_interval(hits: int, rows: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share; 0 to 1 of no rows.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference.

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(0, 100)]
    [0.0, 0.037]
    """
    if rows <= 0:
        return 0.0, 1.0
    share, z2 = hits / rows, NORMAL_95**2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = NORMAL_95 * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows)) / (1 + z2 / rows)
    return max(middle - half, 0.0) if hits else 0.0, min(middle + half, 1.0) if hits < rows else 1.0


def false_discoveries(p_values: ArrayLike, tests: int | None = None) -> Floats:
    """Adjusted p-values: of those that are called significant below a level, at most that share is expected to be so
    by chance, and where nothing differs, all are passed over with at least one less that probability.

    Unlike procedures that hold the probability of a single error (Bonferroni, Holm), it does not ask for more of each
    column the more columns there are, once several differ. It holds for independent and for positively dependent
    comparisons, as those of columns that move together are.

    Parameters
    ----------
    tests : int, optional
        How many comparisons there were, where `p_values` holds the smallest of them only.

    References
    ----------
    Benjamini, Hochberg (1995), Controlling the false discovery rate; Benjamini, Yekutieli (2001) on dependence.

    Examples
    --------
    >>> false_discoveries([0.01, 0.04, 0.03, 0.005]).round(6).tolist()
    [0.02, 0.04, 0.04, 0.02]
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(len(values), 0, -1)
    found = np.empty(len(values))
    found[order] = np.minimum.accumulate(np.minimum(values[order] * max(tests or 0, len(values)) / ranks, 1.0))
    return found
