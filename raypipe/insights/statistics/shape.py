"""How near a column comes to a normal distribution, and its first digits to Benford's law."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from raypipe.blocks.chance import normal_above
from raypipe.insights.chance import normal_cdf, normal_quantiles

Floats = NDArray[np.float64]
Test = tuple[float, float]
"""Statistic and p-value."""

MAX_SHAPIRO = 5_000
MIN_BENFORD = 1_000
MIN_BENFORD_SPAN = 1_000.0
BENFORD_BANDS = ((0.006, "close"), (0.012, "acceptable"), (0.015, "marginal"))
_BENFORD = np.log10(1 + 1 / np.arange(1, 10))


def dagostino(skewness: float, excess_kurtosis: float, n: int) -> Test | None:
    """K squared from the moments of all `n` values; None below 20 values.

    References
    ----------
    D'Agostino, Pearson (1973), Tests for departure from normality; Anscombe, Glynn (1983) for the kurtosis.
    """
    if n < 20:
        return None
    y = skewness * math.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    beta = 3 * (n * n + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    w2 = math.sqrt(2 * (beta - 1)) - 1
    alpha = math.sqrt(2 / (w2 - 1))
    z_skew = math.asinh(y / alpha) / math.sqrt(math.log(w2) / 2)
    mean = 3 * (n - 1) / (n + 1)
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (excess_kurtosis + 3 - mean) / math.sqrt(variance)
    lean = 6 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9)) * math.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    a = 6 + 8 / lean * (2 / lean + math.sqrt(1 + 4 / (lean * lean)))
    base = 1 + x * math.sqrt(2 / (a - 4))
    root = math.copysign(((1 - 2 / a) / abs(base)) ** (1 / 3), base) if base else 0.0
    z_kurtosis = (1 - 2 / (9 * a) - root) / math.sqrt(2 / (9 * a))
    k2 = z_skew * z_skew + z_kurtosis * z_kurtosis
    return k2, math.exp(-k2 / 2)


def lilliefors(ordered: Floats) -> Test | None:
    """Kolmogorov-Smirnov distance from the normal distribution of the same mean and spread; None below 5 values.

    References
    ----------
    Lilliefors (1967); Dallal, Wilkinson (1986), An analytic approximation to the distribution of Lilliefors's test
    statistic, for p up to 0.1: larger ones are given as 0.1.
    """
    n, z = len(ordered), _standard(ordered)
    if z is None or n < 5:
        return None
    below = normal_cdf(z)
    steps = np.arange(n + 1) / n
    distance = float(max((steps[1:] - below).max(), (below - steps[:-1]).max()))
    d, m = (distance * (n / 100) ** 0.49, 100) if n > 100 else (distance, n)
    logs = -7.01256 * d * d * (m + 2.78019) + 2.99587 * d * math.sqrt(m + 2.78019)
    p = math.exp(logs - 0.122119 + 0.974598 / math.sqrt(m) + 1.67997 / m)
    return distance, min(p, 0.1)


def anderson_darling(ordered: Floats) -> Test | None:
    """A squared against the normal distribution of the same mean and spread, corrected for n; None below 8 values.

    References
    ----------
    D'Agostino, Stephens (1986), Goodness-of-fit techniques, table 4.9.
    """
    n, z = len(ordered), _standard(ordered)
    if z is None or n < 8:
        return None
    low, high = np.maximum(normal_cdf(z), 1e-300), np.maximum(normal_cdf(-z), 1e-300)
    weights = 2 * np.arange(1, n + 1) - 1
    a2 = -n - float((weights * (np.log(low) + np.log(high[::-1]))).sum()) / n
    a = a2 * (1 + 0.75 / n + 2.25 / (n * n))
    if a >= 0.6:
        p = math.exp(1.2937 - 5.709 * a + 0.0186 * min(a, 150.0) ** 2)
    elif a > 0.34:
        p = math.exp(0.9177 - 4.279 * a - 1.38 * a * a)
    elif a > 0.2:
        p = 1 - math.exp(-8.318 + 42.796 * a - 59.938 * a * a)
    else:
        p = 1 - math.exp(-13.436 + 101.14 * a - 223.73 * a * a)
    return a, min(max(p, 0.0), 1.0)


def _standard(ordered: Floats) -> Floats | None:
    """Distances from the mean in standard deviations; None for a constant."""
    if len(ordered) < 3:
        return None
    gaps = ordered - ordered.mean()
    spread = float(np.sqrt((gaps * gaps).sum() / (len(ordered) - 1)))
    return gaps / spread if spread > 0 and math.isfinite(spread) else None


def shapiro(ordered: Floats) -> Test | None:
    """W of Shapiro and Wilk, for 12 to 5,000 values; None for fewer, more, or a constant.

    References
    ----------
    Royston (1995), Remark AS R94: a remark on algorithm AS 181, the W-test for normality.
    """
    n = len(ordered)
    if not 12 <= n <= MAX_SHAPIRO or ordered[0] == ordered[-1]:
        return None
    gaps = (ordered - ordered.mean()) / (ordered[-1] - ordered[0])
    weights = _shapiro_weights(n)
    w = min(float(weights @ gaps) ** 2 / float(gaps @ gaps), 1.0)
    logs = math.log(n)
    mean = 0.0038915 * logs**3 - 0.083751 * logs**2 - 0.31082 * logs - 1.5861
    spread = math.exp(0.0030302 * logs**2 - 0.082676 * logs - 0.4803)
    if w >= 1.0:
        return 1.0, 1.0
    z = (math.log1p(-w) - mean) / spread
    return w, normal_above(z)


@lru_cache(maxsize=64)
def _shapiro_weights(n: int) -> Floats:
    m = normal_quantiles((np.arange(1.0, n + 1) - 0.375) / (n + 0.25))
    squares = float(m @ m)
    u = 1 / math.sqrt(n)
    last = np.polyval([-2.706056, 4.434685, -2.07119, -0.147981, 0.221157, m[-1] / math.sqrt(squares)], u)
    second = np.polyval([-3.582633, 5.682633, -1.752461, -0.293762, 0.042981, m[-2] / math.sqrt(squares)], u)
    rest = squares - 2 * m[-1] ** 2 - 2 * m[-2] ** 2
    scale = math.sqrt(rest / (1 - 2 * last**2 - 2 * second**2))
    weights = m / scale
    weights[-1], weights[-2], weights[0], weights[1] = last, second, -last, -second
    return np.asarray(weights, np.float64)


def shape_label(skewness: float, excess_kurtosis: float) -> str:
    """A word for the shape, by how far it is from normal rather than by how sure that is.

    References
    ----------
    Bulmer (1979), Principles of statistics: skewness within 0.5 is about symmetric, past 1 high.

    Examples
    --------
    >>> shape_label(0.1, -0.2), shape_label(2.0, 6.0), shape_label(0.0, -1.2)
    ('Approximately Normal', 'Right Skewed', 'Light Tailed')
    """
    if abs(skewness) > 1.0:
        return "Right Skewed" if skewness > 0 else "Left Skewed"
    if excess_kurtosis > 1.0:
        return "Heavy Tailed"
    if abs(skewness) > 0.5:
        return "Moderately Skewed"
    return "Light Tailed" if excess_kurtosis < -1.0 else "Approximately Normal"


def first_digits(values: Floats) -> NDArray[np.int64]:
    """How often each first digit 1 to 9 leads positive numbers.

    Examples
    --------
    >>> first_digits(np.array([1.0, 19.0, 0.02, 300.0])).tolist()
    [2, 1, 1, 0, 0, 0, 0, 0, 0]
    """
    power = np.floor(np.log10(values))
    digits = np.floor(values / 10.0**power + 1e-9).astype(np.int64)
    return np.bincount(np.clip(digits, 1, 9), minlength=10)[1:]


def benford(counts: NDArray[np.int64]) -> tuple[float, float, str]:
    """Mean absolute deviation from Benford's law, what chance alone would give, and Nigrini's word for it.

    References
    ----------
    Nigrini (2012), Benford's law, table 7.1: first digits up to 0.006 close, 0.012 acceptable, 0.015 marginal.
    """
    n = int(counts.sum())
    deviation = float(np.abs(counts / n - _BENFORD).mean())
    by_chance = float(np.sqrt(_BENFORD * (1 - _BENFORD) / n).mean()) * math.sqrt(2 / math.pi)
    word = next((word for limit, word in BENFORD_BANDS if deviation <= limit), "nonconformity")
    return deviation, by_chance, word
