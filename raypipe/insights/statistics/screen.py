"""Every pair of columns, of any kinds, at once: their counts by one product of matrices, then their association."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raypipe.insights.chance import chi_squared_tail

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCREEN_BINS = 8
_CELLS = 30_000_000


class Screen(NamedTuple):
    """Shape (columns, columns) each; the diagonal means nothing."""

    v: Floats
    """Bias-corrected Cramér's V."""
    p: Floats
    """Of the chi-squared test."""
    rows: Ints
    """Where both are known."""
    looked_at: int
    """Rows that were looked at: fewer than there are where there are many columns."""


def screen(codes: Ints) -> Screen:
    """Association of each pair of columns.

    Parameters
    ----------
    codes : array of shape (columns, rows)
        0 to 7, or -1 where unknown.

    References
    ----------
    Bergsma (2013), A bias-correction for Cramér's V and Tschuprow's T.
    """
    k, n = codes.shape
    n = min(n, max(1_000, _CELLS // max(k * SCREEN_BINS, 1)))
    hot = np.zeros((k * SCREEN_BINS, n), np.float32)
    columns, rows = np.nonzero(codes[:, :n] >= 0)
    hot[columns * SCREEN_BINS + codes[columns, rows], rows] = 1.0
    together = hot @ hot.T
    v, chi2, df = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
    known = np.zeros((k, k), np.int64)
    for i in range(k - 1):
        table = together[i * SCREEN_BINS : (i + 1) * SCREEN_BINS, (i + 1) * SCREEN_BINS :].astype(np.float64)
        later = slice(i + 1, None)
        v[i, later], chi2[i, later], df[i, later], known[i, later] = _associations(
            table.reshape(SCREEN_BINS, -1, SCREEN_BINS).transpose(1, 0, 2)
        )
    p = np.ones((k, k))
    tested = df > 0
    p[tested] = chi_squared_tail(chi2[tested], df[tested])
    return Screen(v + v.T, np.minimum(p, p.T), known + known.T, n)


def _associations(tables: Floats) -> tuple[Floats, Floats, Ints, Ints]:
    """Bias-corrected V, chi-squared, its degrees of freedom (0: no test) and rows of tables (tables, bins, bins)."""
    left, right = tables.sum(axis=2), tables.sum(axis=1)
    n = left.sum(axis=1)
    held = np.maximum(n, 2.0)
    expected = left[:, :, None] * right[:, None, :] / held[:, None, None]
    chi2 = np.divide((tables - expected) ** 2, expected, out=np.zeros_like(tables), where=expected > 0).sum(axis=(1, 2))
    r, c = (left > 0).sum(axis=1), (right > 0).sum(axis=1)
    df = (r - 1) * (c - 1)
    usable = (df > 0) & (n > 2)
    phi = np.maximum(chi2 / held - df / (held - 1), 0.0)
    smaller = np.minimum(r - (r - 1) ** 2 / (held - 1), c - (c - 1) ** 2 / (held - 1)) - 1
    v = np.sqrt(np.divide(phi, smaller, out=np.zeros_like(phi), where=usable & (smaller > 0)))
    return np.minimum(v, 1.0), chi2, np.where(usable, df, 0), n.astype(np.int64)
