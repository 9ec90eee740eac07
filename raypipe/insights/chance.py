"""Tail probabilities of the normal, F, t and chi-squared distributions, chances of counts, and Holm's correction.

SciPy has these, but to load it takes longer than a whole analysis of a small table. They are held against it in tests.
Those named `quick_` are approximations for where many are asked for, or where two digits are enough. What the rules
of quality use, too, is in `raypipe/blocks/chance.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raypipe.blocks.chance import normal_above, normal_tail
from raypipe.insights.effects import f_score

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


def binomial_at_most(k: int, n: int) -> float:
    """Chance that a fair coin shows at most `k` heads in `n` throws.

    Examples
    --------
    >>> round(binomial_at_most(1, 4), 4)
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


def quick_t_tails(t: float, df: float) -> float:
    """Chance of a Student t value at least this far from 0 (Wallace 1959).

    Examples
    --------
    >>> round(quick_t_tails(2.228, 10), 3)
    0.05
    """
    return normal_tail((8 * df + 1) / (8 * df + 3) * math.sqrt(df * math.log1p(t * t / df)))


def quick_f_tail(f: float, d1: float, d2: float) -> float:
    """Chance of an F ratio at least this large, to about two digits (Paulson 1942)."""
    return normal_above(f_score(f, d1, d2)) if f > 0 and d2 >= 3 else 1.0


def quick_normal_quantiles(p: Floats) -> Floats:
    """Normal quantiles within 4.5e-4 (Abramowitz and Stegun 26.2.23): ample for scores."""
    tail = np.minimum(p, 1 - p)
    t = np.sqrt(-2 * np.log(np.maximum(tail, 1e-300)))
    top = 2.515517 + t * (0.802853 + t * 0.010328)
    bottom = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    return np.asarray(np.sign(p - 0.5) * (t - top / bottom))


_ERFC = np.array(
    [
        *(-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806),
        *(0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277),
    ]
)


def quick_erfc(x: Floats) -> Floats:
    """Complementary error function of values from 0 on, to a relative error of 1.2e-7 (Press et al. 1992, 6.2)."""
    t = 1 / (1 + 0.5 * x)
    return np.asarray(t * np.exp(-x * x + np.polynomial.polynomial.polyval(t, _ERFC)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, corrected so that the chance of any false alarm among them all is what each one says.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    out, worst = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order.tolist()):
        worst = max(worst, min((len(p_values) - rank) * p_values[place], 1.0))
        out[place] = worst
    return out
