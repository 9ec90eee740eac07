"""How far the next rows may differ from those learned from by chance alone, whatever their distribution.

The bounds rest on exchangeability: if `n` rows were learned from and as many come next, each of the rows that stand out
among all of them was as likely to fall into one half as into the other.
"""

from __future__ import annotations

import math
from statistics import NormalDist

LEAST_SHARE = 0.5
"""The next table is taken to have at least this share of the rows that were learned from."""
RATIOS = (1.0, LEAST_SHARE)
EXACT_HITS = 200
"""Hits up to which a share is bounded exactly."""
CHECKS_A_BUDGET = 20
"""Each check gets this part of the budget of false alarms, so that a table somewhat smaller or a pattern learned with
some freedom still keeps to it."""


def alpha_of(budget: float) -> float:
    """The chance of a false alarm that one check may have, of a budget for the share of checks that raise one."""
    return budget / CHECKS_A_BUDGET


def z_of(alpha: float) -> float:
    """Standard deviations that a figure passes in either direction with chance `alpha`.

    Examples
    --------
    >>> round(z_of(0.05), 2)
    1.96
    """
    return NormalDist().inv_cdf(1 - alpha / 2)


def strangers(extremes: int, alpha: float, ratio: float = 1.0) -> int:
    """Rows of the next table that may lie beyond what `n` rows showed, where `extremes` of those decide what is beyond.

    How many do is negative binomial: of the rows of both tables that lie beyond, in the order from the outside, each is
    an old one with odds 1 / (1 + ratio) until `extremes` old ones have come. This holds for any distribution.

    Parameters
    ----------
    extremes : int
        1 for a minimum or for "never null", 2 for a range; one more than the rows seen, for a kind of rows.
    ratio : float
        Rows of the next table for a row of this one.

    Examples
    --------
    >>> strangers(1, 0.01), strangers(2, 0.01)
    (6, 9)
    """
    old, allowed, tail = 1 / (1 + ratio), 0, 1.0
    exactly = old**extremes
    while True:
        tail -= exactly
        if tail <= alpha:
            return allowed
        exactly *= (1 - old) * (allowed + extremes) / (allowed + 1)
        allowed += 1


def unseen(once: int, alpha: float) -> int:
    """Rows of the next `n` that may have a value which none of `n` rows had, where `once` values occurred once.

    Good (1953): values not seen yet have a share of about once / n. The variance of their rows is at most three times
    their mean, since a value that occurs j times in both tables is unseen in the first with odds 2^-j.

    Examples
    --------
    >>> unseen(0, 0.01), unseen(10, 0.01)
    (6, 31)
    """
    return once + math.ceil(z_of(alpha) * math.sqrt(3 * once)) + strangers(1, alpha)


def share_upper(hits: int, rows: int, alpha: float) -> float:
    """What the share of hits stays below in the next table, which has as many rows or `LEAST_SHARE` of them.

    Of few hits, or few others, the bound is exact (see `strangers`); else it is an end of Wilson's interval (1927), for
    the difference of two samples.

    Examples
    --------
    >>> round(share_upper(100, 1000, 0.01), 3), share_upper(1000, 1000, 0.01)
    (0.151, 1.0)
    """
    if hits <= EXACT_HITS:
        return min(1.0, max((strangers(hits + 1, alpha / 2, r) + 0.5) / (r * rows) for r in RATIOS))
    return 1.0 - _few_lower(rows - hits, rows, alpha) if rows - hits <= EXACT_HITS else _wilson(hits, rows, alpha)


def share_lower(hits: int, rows: int, alpha: float) -> float:
    """What the share of hits stays above in the next table; see `share_upper`."""
    return 1.0 - share_upper(rows - hits, rows, alpha)


def _few_lower(hits: int, rows: int, alpha: float) -> float:
    """The least share for which so few hits in the next table would not make those of this one improbable."""
    shares = []
    for ratio in RATIOS:
        fewest = next(least for least in range(hits + 1) if strangers(least + 1, alpha / 2, 1 / ratio) >= hits)
        shares.append(max(0.0, fewest - 0.5) / (ratio * rows))
    return min(shares)


def _wilson(hits: int, rows: int, alpha: float) -> float:
    share, z = hits / rows, z_of(alpha)
    size = rows / (1 + 1 / LEAST_SHARE)
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return min(1.0, middle + half)


def mean_error(std: float, rows: int, alpha: float) -> float:
    """By how much the mean of the next table may differ from that of `rows` rows."""
    return z_of(alpha) * std * math.sqrt((1 + 1 / LEAST_SHARE) / rows)


def rank_error(probability: float, rows: int, alpha: float) -> float:
    """By how much the rank of the next table's quantile may differ, as a share of rows: that of a binomial."""
    return z_of(alpha) * math.sqrt(probability * (1 - probability) * (1 + 1 / LEAST_SHARE) / rows)
