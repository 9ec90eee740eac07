"""Association of two columns from the counts of their values (or bins): Cramér's V, mutual information, phi-k."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from raypipe.blocks.chance import NORMAL_95
from raypipe.insights.chance import chi_squared_tail, normal_cdf
from raypipe.insights.effects import corrected_cramers_v, largest_noncentrality

Floats = NDArray[np.float64]
Interval = tuple[float, float]

_REACH = 5.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_TOLERANCE = 1e-5


def filled(table: Floats) -> Floats:
    """The table without empty rows and columns."""
    kept: Floats = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    return kept


def chi_squared(table: Floats) -> tuple[float, int]:
    """Pearson's chi-squared of a filled table, and its degrees of freedom."""
    n = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    return float(((table - expected) ** 2 / expected).sum()), (table.shape[0] - 1) * (table.shape[1] - 1)


def cramers_v(table: Floats) -> tuple[float, Interval, float] | None:
    """Bias-corrected Cramér's V, its 95 % interval and the p-value of the chi-squared test; None without a choice.

    The interval is that of the delta method, from 0 where the test finds nothing at 5 %, and up to what chi-squared
    allows of its noncentrality where that is more.

    References
    ----------
    Bergsma (2013), A bias-correction for Cramér's V and Tschuprow's T; Bishop, Fienberg, Holland (1975), Discrete
    multivariate analysis, section 14; Sankaran (1959), On the non-central chi-square distribution.
    """
    table = filled(table)
    n = float(table.sum())
    if min(table.shape, default=0) < 2 or n < 3:
        return None
    chi2, df = chi_squared(table)
    p = float(chi_squared_tail(chi2, df))
    v, _ = corrected_cramers_v(table)
    shares = table / n
    rows, columns = shares.sum(axis=1, keepdims=True), shares.sum(axis=0, keepdims=True)
    ratio = shares / (rows * columns)
    pull = 2 * ratio - (shares * ratio).sum(axis=1, keepdims=True) / rows
    pull = pull - (shares * ratio).sum(axis=0, keepdims=True) / columns
    error = math.sqrt(max(_variance(shares, pull), 0.0) / n)
    smaller = min(rows.size, columns.size) - 1
    squared = v * v
    low = math.sqrt(max(squared - NORMAL_95 * error / smaller, 0.0)) if p <= 0.05 else 0.0
    # Near 0 chi-squared spreads as its degrees of freedom say, not as the delta method does.
    wide = max(NORMAL_95 * error, math.sqrt(2 * df) * NORMAL_95 / n) / smaller
    return v, (low, min(math.sqrt(max(squared + wide, _most_noncentral(chi2, df) / n / smaller)), 1.0)), p


def _most_noncentral(chi2: float, df: float) -> float:
    """The upper end of the 95 % interval of the noncentrality of a chi-squared, by the root that is about normal."""
    root = math.sqrt(max(chi2 - (df - 1) / 2, 0.0))
    return (root + NORMAL_95) ** 2 - (df - 1) / 2


def _variance(shares: Floats, pull: Floats) -> float:
    """Variance of one row's pull on a figure, over the cells."""
    return float((shares * pull * pull).sum() - (shares * pull).sum() ** 2)


def mutual_information(table: Floats) -> tuple[float, Interval, float] | None:
    """Mutual information in bits less its bias, its 95 % interval, and its share of the smaller entropy.

    The p-value is that of the chi-squared test of the same table.

    References
    ----------
    Miller (1955), Note on the bias of information estimates.
    """
    table = filled(table)
    n = float(table.sum())
    if min(table.shape, default=0) < 2 or n < 3:
        return None
    shares = table / n
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    logs = np.zeros(table.shape)
    np.log2(shares / np.outer(rows, columns), out=logs, where=shares > 0)
    plain = float((shares * logs).sum())
    bias = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * n * math.log(2))
    found = max(plain - bias, 0.0)
    smaller = min(entropy(rows), entropy(columns))
    half = NORMAL_95 * math.sqrt(max(_variance(shares, logs), 0.0) / n) + bias * min(1.0, bias / max(plain, 1e-300))
    bits_of = 2 * n * math.log(2)
    most = largest_noncentrality(bits_of * plain, (table.shape[0] - 1) * (table.shape[1] - 1)) / bits_of
    interval = max(found - half, 0.0), min(max(found + half, most), smaller)
    return min(found, smaller), interval, min(found / smaller, 1.0)


def entropy(counts: Floats) -> float:
    """Shannon's entropy in bits of values that occur `counts` times.

    Examples
    --------
    >>> entropy(np.array([5.0, 5.0, 0.0]))
    1.0
    """
    shares = counts[counts > 0] / counts.sum() if counts.size else counts
    return float(max(-(shares * np.log2(shares)).sum(), 0.0))


def phi_k(table: Floats) -> float | None:
    """The correlation of a bivariate normal distribution whose chi-squared would be that of the table.

    0 where chi-squared does not pass its degrees of freedom, 1 where it is as large as it can be.

    References
    ----------
    Baak, Koopman, Snoek, Klous (2020), A new correlation coefficient between categorical, ordinal and interval
    variables with Pearson characteristics, equations 7 to 12: the normal distribution has as many bins, evenly spaced
    from -5 to 5.
    """
    table = filled(table)
    rows, columns = table.shape
    n = float(table.sum())
    if min(rows, columns) < 2:
        return None
    chi2, pedestal = chi_squared(table)
    most = n * (min(rows, columns) - 1)
    if chi2 <= pedestal or most <= pedestal:
        return 0.0
    wanted = (chi2 - pedestal) / (most - pedestal)
    if wanted >= 1.0:
        return 1.0
    top = _normal_phi_squared(1.0, rows, columns)
    low, high = 0.0, 1.0
    while high - low > _TOLERANCE:
        middle = (low + high) / 2
        below = _normal_phi_squared(middle, rows, columns) / top < wanted
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


@lru_cache(maxsize=4096)
def _normal_phi_squared(rho: float, rows: int, columns: int) -> float:
    """Chi-squared a row of a bivariate normal distribution in bins, against that of no correlation."""
    free = normal_cells(0.0, rows, columns)
    gaps = (normal_cells(rho, rows, columns) - free) ** 2
    return float(np.divide(gaps, free, out=np.zeros_like(gaps), where=free > 0).sum())


def normal_cells(rho: float, rows: int, columns: int) -> Floats:
    """Shares of a bivariate normal distribution in bins evenly spaced from -5 to 5; shape (rows, columns)."""
    x, y = (np.linspace(-_REACH, _REACH, size + 1) for size in (rows, columns))
    if rho >= 1.0:
        low, high = np.maximum.outer(x[:-1], y[:-1]), np.minimum.outer(x[1:], y[1:])
        return np.where(high > low, normal_cdf(high) - normal_cdf(low), 0.0)
    # Narrow enough for the steepest of the curves that are integrated.
    pieces = max(1, math.ceil((x[1] - x[0]) / max(2 * math.sqrt(1 - rho * rho), 0.05)))
    edges = np.linspace(-_REACH, _REACH, rows * pieces + 1)
    half = np.diff(edges) / 2
    at = (edges[:-1] + half)[:, None] + half[:, None] * _NODES
    density = np.exp(-at * at / 2) / math.sqrt(2 * math.pi) * half[:, None] * _WEIGHTS
    below = normal_cdf((y - rho * at[..., None]) / math.sqrt(1 - rho * rho))
    shares = (density[..., None] * np.diff(below, axis=-1)).sum(axis=1)
    return np.asarray(shares.reshape(rows, pieces, columns).sum(axis=1), np.float64)
