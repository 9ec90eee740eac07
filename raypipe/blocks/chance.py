"""How probable a difference is by chance alone, and how to judge many of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence


def normal_tail(z: float) -> float:
    """Probability that a standard normal variable is further from 0 than `z`.

    Examples
    --------
    >>> round(normal_tail(1.96), 3)
    0.05
    """
    return math.erfc(abs(z) / math.sqrt(2))


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
    return 0.5 * math.erfc(z / math.sqrt(2))


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


def false_discoveries(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: of those that are called significant below a level, at most that share is expected to be so
    by chance, and where nothing differs, all are passed over with at least one less that probability.

    Unlike procedures that hold the probability of a single error (Bonferroni, Holm), it does not ask for more of each
    column the more columns there are, once several differ. It holds for independent and for positively dependent
    comparisons, as those of columns that move together are.

    References
    ----------
    Benjamini, Hochberg (1995), Controlling the false discovery rate; Benjamini, Yekutieli (2001) on dependence.

    Examples
    --------
    >>> [round(p, 6) for p in false_discoveries([0.01, 0.04, 0.03, 0.005])]
    [0.02, 0.04, 0.04, 0.02]
    """
    count = len(p_values)
    order = sorted(range(count), key=lambda place: p_values[place], reverse=True)
    adjusted = [0.0] * count
    smallest = 1.0
    for rank, place in enumerate(order):
        smallest = min(smallest, p_values[place] * count / (count - rank))
        adjusted[place] = smallest
    return adjusted
