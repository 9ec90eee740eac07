"""Exact and nearly exact chances without a statistics library: binomial, hypergeometric, intervals, discovery."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raypipe.insights.effects import NORMAL_95

FloatArray = NDArray[np.float64]


def binomial_at_most(k: int, n: int) -> float:
    """Chance that a fair coin shows at most `k` heads in `n` throws.

    Examples
    --------
    >>> binomial_at_most(1, 4)
    0.3125
    """
    if n <= 0 or k >= n:
        return 1.0
    logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2) for i in range(k + 1)]
    return min(1.0, _sum_of_exp(logs))


def hypergeometric_at_least(both: int, a: int, b: int, n: int) -> float:
    """Chance that two sets of `a` and `b` of `n` rows, drawn independently, share at least `both` rows.

    Examples
    --------
    >>> round(hypergeometric_at_least(2, 2, 2, 4), 4)  # one in six
    0.1667
    """
    low, high = max(both, a + b - n, 0), min(a, b)
    if low > high:
        return 0.0
    total = _log_choose(n, b)
    return min(1.0, _sum_of_exp([_log_choose(a, i) + _log_choose(n - a, b - i) - total for i in range(low, high + 1)]))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _sum_of_exp(logs: Sequence[float]) -> float:
    top = max(logs)
    return math.exp(top) * math.fsum(math.exp(value - top) for value in logs)


def normal_p(score: float, sides: int = 2) -> float:
    """Chance of a normal score at least this large.

    Examples
    --------
    >>> round(normal_p(1.96), 3), round(normal_p(1.645, sides=1), 3)
    (0.05, 0.05)
    """
    return min(1.0, sides * 0.5 * math.erfc(score / math.sqrt(2)))


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(0, 100)]
    [0.0, 0.037]
    """
    if rows <= 0:
        return 0.0, 1.0
    share, z2 = hits / rows, NORMAL_95**2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = NORMAL_95 * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows)) / (1 + z2 / rows)
    return max(middle - half, 0.0) if hits else 0.0, min(middle + half, 1.0) if hits < rows else 1.0


def benjamini_hochberg(p: Sequence[float], tests: int | None = None) -> list[float]:
    """q-values: the false discovery rate at which each test would just be taken for a discovery.

    Parameters
    ----------
    tests : int, optional
        How many tests there were, where `p` holds the smallest of them only.

    References
    ----------
    Benjamini, Hochberg (1995), Controlling the false discovery rate.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    m = max(tests or 0, len(p))
    order = sorted(range(len(p)), key=lambda i: p[i])
    out, least = [1.0] * len(p), 1.0
    for rank in range(len(p), 0, -1):
        i = order[rank - 1]
        least = min(least, p[i] * m / rank)
        out[i] = least
    return out
