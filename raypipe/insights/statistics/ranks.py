"""Rank correlations: Spearman's rho and Kendall's tau-b, for whole tables of columns and for single pairs."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from raypipe.blocks.chance import NORMAL_95
from raypipe.blocks.runs import starts_of_runs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KENDALL_WORK = 200_000
KENDALL_ROWS = 200
"""Rows that the matrix of tau-b looks at, at least."""


def ranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank; NaN stays NaN.

    Examples
    --------
    >>> ranks(np.array([30.0, 10.0, np.nan, 10.0])).tolist()
    [3.0, 1.5, nan, 1.5]
    """
    found = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    ordered = values[order]
    starts = starts_of_runs(ordered)
    sizes = np.diff(starts, append=len(order))
    found[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return found


def correlations(columns: Floats) -> tuple[Floats, Ints]:
    """Pearson's r of each pair of columns over the rows where both are known, and those rows.

    Parameters
    ----------
    columns : array of shape (columns, rows)
        NaN: unknown.

    Returns
    -------
    tuple of array, each of shape (columns, columns)
        r, NaN where a column is constant there or fewer than 3 rows are left.
    """
    known = np.isfinite(columns)
    seen = np.maximum(known.sum(axis=1, keepdims=True), 1)
    centre = np.where(known, columns, 0.0).sum(axis=1, keepdims=True) / seen
    gaps = np.where(known, columns - centre, 0.0)
    spread = np.sqrt((gaps * gaps).sum(axis=1, keepdims=True) / seen)
    x = gaps / np.where(spread > 0, spread, 1.0)
    valid = known.astype(np.float64)
    n = valid @ valid.T
    held = np.maximum(n, 1.0)
    sums, squares = x @ valid.T, (x * x) @ valid.T
    variance = squares - sums * sums / held
    variance[variance <= 1e-12 * squares] = 0.0
    scale = np.sqrt(variance * variance.T)
    usable = (n >= 3) & (scale > 0)
    r = np.full(n.shape, np.nan)
    np.divide(x @ x.T - sums * sums.T / held, scale, out=r, where=usable)
    return np.clip(r, -1.0, 1.0), n.astype(np.int64)


def spearman_interval(rho: float, n: int) -> tuple[float, float] | None:
    """The 95 % confidence interval of Spearman's rho; None below 10 pairs.

    References
    ----------
    Bonett, Wright (2000), Sample size requirements for estimating Pearson, Kendall and Spearman correlations.
    """
    return _z_interval(rho, math.sqrt((1 + rho * rho / 2) / (n - 3))) if n >= 10 else None


def kendall_interval(tau: float, n: int) -> tuple[float, float] | None:
    """The 95 % confidence interval of Kendall's tau; None below 10 pairs.

    References
    ----------
    Fieller, Hartley, Pearson (1957), Tests for rank correlation coefficients.
    """
    return _z_interval(tau, math.sqrt(0.437 / (n - 4))) if n >= 10 else None


def _z_interval(r: float, error: float) -> tuple[float, float]:
    if abs(r) >= 1.0:
        return r, r
    z = math.atanh(r)
    return math.tanh(z - NORMAL_95 * error), math.tanh(z + NORMAL_95 * error)


def kendall_matrix(columns: Floats, work: int = KENDALL_WORK) -> tuple[Floats, Ints]:
    """Kendall's tau-b of each pair of columns over the rows where both are known, and those rows.

    Parameters
    ----------
    columns : array of shape (columns, rows)
        NaN: unknown.
    work : int
        Rows times pairs to look at, about: more columns are compared over fewer, the first rows.
    """
    k = len(columns)
    rows = max(KENDALL_ROWS, work // max(k * (k - 1) // 2, 1))
    columns = columns[:, :rows]
    known = ~np.isnan(columns)
    tau, counts = np.full((k, k), np.nan), np.zeros((k, k), np.int64)
    for i, j in itertools.combinations_with_replacement(range(k), 2):
        both = known[i] & known[j]
        counts[i, j] = counts[j, i] = both.sum()
        if i == j:
            tau[i, i] = 1.0
        elif counts[i, j] > 2:
            tau[i, j] = tau[j, i] = kendall(columns[i, both], columns[j, both])
    return tau, counts


def kendall_of_table(table: Floats) -> float:
    """Kendall's tau-b from the counts of two ordered columns; NaN where one of them is constant.

    Examples
    --------
    >>> kendall_of_table(np.array([[3.0, 0.0], [0.0, 3.0]]))
    1.0
    """
    n = table.sum()
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    reached = table.cumsum(axis=0).cumsum(axis=1)
    lower_left = np.zeros(table.shape)
    lower_left[1:, 1:] = reached[:-1, :-1]
    flipped = table[:, ::-1].cumsum(axis=0).cumsum(axis=1)
    lower_right = np.zeros(table.shape)
    lower_right[1:, 1:] = flipped[:-1, :-1]
    agree = float((table * lower_left).sum())
    differ = float((table[:, ::-1] * lower_right).sum())
    pairs = n * (n - 1) / 2
    free = (pairs - (rows * (rows - 1)).sum() / 2) * (pairs - (columns * (columns - 1)).sum() / 2)
    return float((agree - differ) / math.sqrt(free)) if free > 0 else math.nan


def kendall(x: Floats, y: Floats) -> float:
    """Kendall's tau-b of two columns without NaN, in n log n steps; NaN where one is constant.

    References
    ----------
    Knight (1966), A computer method for calculating Kendall's tau with ungrouped data.
    """
    n = len(x)
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    new_x, new_y = x[1:] != x[:-1], y[1:] != y[:-1]
    tied_x, tied_both = _tied_pairs(new_x), _tied_pairs(new_x | new_y)
    ordered = np.sort(y)
    tied_y = _tied_pairs(ordered[1:] != ordered[:-1])
    pairs = n * (n - 1) // 2
    agree_less_differ = pairs - tied_x - tied_y + tied_both - 2 * _inversions(np.searchsorted(ordered, y))
    free = (pairs - tied_x) * (pairs - tied_y)
    return agree_less_differ / math.sqrt(free) if free > 0 else math.nan


def _tied_pairs(changes: NDArray[np.bool_]) -> int:
    starts = np.flatnonzero(np.concatenate(([True], changes)))
    sizes = np.diff(starts, append=len(changes) + 1)
    return int((sizes * (sizes - 1) // 2).sum())


def _inversions(places: Ints) -> int:
    """Pairs that stand in falling order: halves are sorted, then counted against each other, level by level."""
    n, total, width = len(places), 0, 1
    size = 1 << max(n - 1, 1).bit_length()
    held = np.full(size, np.iinfo(np.int64).max // 4)
    held[:n] = places
    lift = n + 1
    held[n:] = n
    while width < size:
        blocks = held.reshape(-1, 2, width)
        # Every left half is moved into a range of its own, so that one search serves all blocks.
        offset = (np.arange(len(blocks)) * lift)[:, None]
        left, right = (blocks[:, 0] + offset).ravel(), (blocks[:, 1] + offset).ravel()
        greater = (np.arange(len(blocks)).repeat(width) + 1) * width - np.searchsorted(left, right, side="right")
        total += int(greater.sum())
        held = np.sort(held.reshape(-1, 2 * width), axis=1).ravel()
        width *= 2
    return total
