"""Tail probabilities of the normal, F, t and chi-squared distributions, and control of many tests at once.

SciPy has these, but to load it takes longer than a whole analysis of a small table. They are held against it in tests.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_TINY = 1e-300
_EPS = 1e-15
_STEPS = 5_000
_erfc = np.frompyfunc(math.erfc, 1, 1)
_lgamma = np.frompyfunc(math.lgamma, 1, 1)


def normal_cdf(x: ArrayLike) -> Floats:
    """Share of a standard normal distribution below each of `x`."""
    scaled = -np.asarray(x, np.float64) / math.sqrt(2)
    return np.asarray(_erfc(scaled), np.float64) / 2


def normal_quantiles(p: Floats) -> Floats:
    """The values below which shares `p`, each within (0, 1), of a standard normal distribution lie."""
    invert = NormalDist().inv_cdf
    return np.array([invert(share) for share in p.tolist()])


def normal_tails(z: float) -> float:
    """Chance of a standard normal value at least as far from 0 as `z`, on either side."""
    return math.erfc(abs(z) / math.sqrt(2))


def t_tails(t: ArrayLike, df: ArrayLike) -> Floats:
    """Chance of a t value at least as far from 0, on either side.

    Examples
    --------
    >>> round(float(t_tails(2.228, 10)), 3)
    0.05
    """
    squared, degrees = np.asarray(t, np.float64) ** 2, np.asarray(df, np.float64)
    return beta_share(degrees / 2, np.asarray(0.5), degrees / (degrees + squared))


def f_tail(f: ArrayLike, d1: ArrayLike, d2: ArrayLike) -> Floats:
    """Chance of an F ratio at least as large.

    Examples
    --------
    >>> round(float(f_tail(3.89, 2, 200)), 3)
    0.022
    """
    ratio, a, b = (np.asarray(value, np.float64) for value in (f, d1, d2))
    return beta_share(b / 2, a / 2, b / (b + a * np.minimum(ratio, 1e300)))


def chi_squared_tail(x: ArrayLike, df: ArrayLike) -> Floats:
    """Chance of a chi-squared value at least as large.

    Examples
    --------
    >>> round(float(chi_squared_tail(18.31, 10)), 3)
    0.05
    """
    x, a = np.broadcast_arrays(np.maximum(np.asarray(x, np.float64), 0) / 2, np.asarray(df, np.float64) / 2)
    below = x < a + 1
    found = np.where(below, 1 - _gamma_series(a, np.where(below, x, 0.0)), 0.0)
    return np.clip(np.where(below, found, _gamma_fraction(a, np.where(below, a + 2, x))), 0.0, 1.0)


def _gamma_factor(a: Floats, x: Floats) -> Floats:
    logs = a * np.log(np.maximum(x, _TINY)) - x - np.asarray(_lgamma(a), np.float64)
    return np.exp(logs)


def _gamma_series(a: Floats, x: Floats) -> Floats:
    """Regularised lower incomplete gamma function by its series, for x < a + 1."""
    term = np.where(x > 0, 1 / a, 0.0)
    total = term.copy()
    for n in range(1, _STEPS):
        term = term * x / (a + n)
        total = total + term
        if np.all(term <= total * _EPS):
            break
    return np.asarray(total * _gamma_factor(a, x), np.float64)


def _gamma_fraction(a: Floats, x: Floats) -> Floats:
    """Regularised upper incomplete gamma function by its continued fraction, for x > a + 1 (Lentz's method)."""
    b = x + 1 - a
    c = np.full(x.shape, 1 / _TINY)
    d = 1 / b
    found = d
    for n in range(1, _STEPS):
        step = -n * (n - a)
        b = b + 2
        d = 1 / _away(step * d + b)
        c = _away(b + step / c)
        found = found * (d * c)
        if np.all(np.abs(d * c - 1) <= _EPS * 4):
            break
    return np.asarray(found * _gamma_factor(a, x), np.float64)


def beta_share(a: Floats, b: Floats, x: Floats) -> Floats:
    """Regularised incomplete beta function: the share of a beta distribution below `x`.

    References
    ----------
    Continued fraction 26.5.8 of Abramowitz and Stegun (1964), evaluated by Lentz's method (1976).
    """
    a, b, x = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in (a, b, x)))
    swap = x > (a + 1) / (a + b + 2)
    p, q, y = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1 - x, x)
    inside = (y > 0) & (y < 1)
    y = np.where(inside, y, 0.5)
    logs = np.asarray(_lgamma(p + q) - _lgamma(p) - _lgamma(q), np.float64) + p * np.log(y) + q * np.log1p(-y)
    share = np.where(inside, np.exp(logs) * _beta_fraction(p, q, y) / p, 0.0)
    return np.clip(np.where(swap, 1 - share, share), 0.0, 1.0)


def _beta_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    c = np.ones(x.shape)
    d = 1 / _away(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _STEPS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + step * d)
            c = _away(1 + step / c)
            found = found * (d * c)
        if np.all(np.abs(d * c - 1) <= _EPS * 4):
            break
    return np.asarray(found, np.float64)


def _away(x: Floats) -> Floats:
    """`x`, kept away from 0."""
    return np.where(np.abs(x) < _TINY, _TINY, x)


def adjusted(p: ArrayLike) -> Floats:
    """p-values such that keeping those below q makes a share of at most q of the kept ones false, on average.

    References
    ----------
    Benjamini, Hochberg (1995), Controlling the false discovery rate.

    Examples
    --------
    >>> adjusted([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(len(values), 0, -1)
    found = np.empty(len(values))
    found[order] = np.minimum.accumulate(np.minimum(values[order] * len(values) / ranks, 1.0))
    return found


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.975)
    share, grown = hits / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / grown
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / grown
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)
