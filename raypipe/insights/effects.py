"""Effect sizes and their chance levels, from sums alone: no rows are needed, so any summary that merges can use them.

Each `*_score` is a normal score: how many standard deviations a result lies from what no effect at all would give.
Scores of different tests compare, and one limit (`score_limit`) holds the false alarms of a whole family of them.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from raypipe.blocks.chance import NORMAL_95

FloatArray = NDArray[np.float64]


def fisher_interval(r: float, n: int) -> tuple[float, float] | None:
    """The 95 % confidence interval of a correlation; None below 4 pairs.

    References
    ----------
    Fisher (1921), On the "probable error" of a coefficient of correlation.

    Examples
    --------
    >>> low, high = fisher_interval(0.5, 103)
    >>> round(low, 3), round(high, 3)
    (0.339, 0.632)
    """
    if n < 4:
        return None
    if abs(r) >= 1.0:
        return (r, r)
    half = NORMAL_95 / math.sqrt(n - 3)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def fisher_score(r: float, n: int) -> float:
    """Normal score of a correlation over `n` pairs; 0 below 4 pairs."""
    if n < 4:
        return 0.0
    return math.atanh(min(abs(r), 1.0 - 1e-15)) * math.sqrt(n - 3)


def f_score(f: float, d1: float, d2: float) -> float:
    """Normal score of an F ratio with `d1` and `d2` degrees of freedom; 0 where there are too few.

    References
    ----------
    Paulson (1942), An approximate normalization of the analysis of variance distribution.

    Examples
    --------
    >>> round(f_score(3.89, 2, 200), 1)  # the 97.8th percentile
    2.0
    """
    if d1 < 1 or d2 < 3 or not f > 0:
        return 0.0
    a, b = 2 / (9 * d1), 2 / (9 * d2)
    root = math.cbrt(min(f, 1e12))
    return ((1 - b) * root - (1 - a)) / math.sqrt(b * root * root + a)


def chi_squared_score(chi2: float, df: int) -> float:
    """Normal score of a chi-squared statistic.

    References
    ----------
    Wilson, Hilferty (1931), The distribution of chi-square.

    Examples
    --------
    >>> round(chi_squared_score(18.31, 10), 1)  # the 95th percentile
    1.6
    """
    if df < 1 or not chi2 > 0:
        return 0.0
    a = 2 / (9 * df)
    return (math.cbrt(chi2 / df) - (1 - a)) / math.sqrt(a)


def score_limit(tests: int, alpha: float = 0.01) -> float:
    """The score past which one of `tests` results is more than chance, at `alpha` for them all (Bonferroni).

    Examples
    --------
    >>> round(score_limit(1), 2), round(score_limit(1000), 2)
    (2.58, 4.42)
    """
    return NormalDist().inv_cdf(1 - alpha / (2 * max(tests, 1)))


def variance_explained(n: FloatArray, total: FloatArray, squares: float) -> tuple[float, float]:
    """Share of variance that groups explain, corrected for their number, and its normal score.

    Parameters
    ----------
    n, total : array of shape (groups,)
        Rows (or weight) and sum of the values in each group.
    squares : float
        Sum of squares of all values.

    Returns
    -------
    tuple of float
        Epsilon squared: eta squared less what chance alone gives `groups` groups, at least 0; and the F-test's score.

    References
    ----------
    Kelley (1935), An unbiased correlation ratio measure.
    """
    used = n > 0
    n, total = n[used], total[used]
    rows, groups = float(n.sum()), len(n)
    mean = total.sum() / rows if rows else 0.0
    spread = squares - rows * mean * mean
    if groups < 2 or rows <= groups or spread <= 1e-12 * max(squares, 1e-300):
        return 0.0, 0.0
    between = min(float((n * (total / n - mean) ** 2).sum()), spread)
    return _corrected(between / spread, groups, rows)


def _corrected(eta: float, groups: int, rows: float) -> tuple[float, float]:
    corrected = max(1 - (1 - eta) * (rows - 1) / (rows - groups), 0.0)
    f = (eta / (groups - 1)) / max((1 - eta) / (rows - groups), 1e-300)
    return corrected, f_score(f, groups - 1, rows - groups)


def corrected_cramers_v(table: FloatArray) -> tuple[float, float]:
    """Bias-corrected Cramer's V of a contingency table of counts, and its chi-squared score.

    References
    ----------
    Bergsma (2013), A bias-correction for Cramer's V and Tschuprow's T.

    Examples
    --------
    >>> v, score = corrected_cramers_v(np.array([[50.0, 0.0], [0.0, 50.0]]))
    >>> round(v, 2), score > 5
    (1.0, True)
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    n = float(table.sum())
    if rows < 2 or columns < 2 or n < 2:
        return 0.0, 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chi2 = float(((table - expected) ** 2 / expected).sum())
    df = (rows - 1) * (columns - 1)
    phi2 = max(chi2 / n - df / (n - 1), 0.0)
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    v = math.sqrt(phi2 / smaller) if smaller > 0 else 0.0
    return min(v, 1.0), chi_squared_score(chi2, df)


def largest_noncentrality(statistic: float, df: int) -> float:
    """How far from no effect the truth may be, at 97.5 %, that lets a chi-squared statistic be as small as it is.

    The root of a noncentral chi-squared less its degrees of freedom but one has a spread of about 1, whatever the
    effect: near no effect the delta method takes it for less.

    Examples
    --------
    >>> round(largest_noncentrality(4.0, 1), 1)
    15.7
    """
    return (math.sqrt(max(statistic - (df - 1), 0.0)) + NORMAL_95) ** 2


def effect_word(strength: float) -> str:
    """A word for a correlation-like strength from 0 to 1.

    References
    ----------
    Cohen (1988), Statistical power analysis: 0.1 small, 0.3 medium, 0.5 large; 0.7 is about half the variance.
    """
    limits = ((0.1, "negligible"), (0.3, "weak"), (0.5, "moderate"), (0.7, "strong"))
    return next((word for limit, word in limits if strength < limit), "very strong")
