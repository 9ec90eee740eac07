"""How far two lists of counts over the same bins lie apart. Every distance is symmetric."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from raypipe.blocks.chance import chi2_tail
from raypipe.blocks.profile import Histogram

FloatArray = npt.NDArray[np.float64]
Counts = Sequence[float] | FloatArray

HALF = 0.5
"""Rows added to each bin, so that an empty one makes no infinite index."""


def stability_index(a: Counts, b: Counts) -> float:
    """Population stability index of two lists of counts over the same bins; 0 for equal shares.

    References
    ----------
    Siddiqi (2006), Credit Risk Scorecards; half a row is added to each bin.

    Examples
    --------
    >>> round(stability_index([5000, 5000], [8000, 2000]), 2)
    0.42
    """
    p, q = smoothed(a), smoothed(b)
    return float(np.sum((p - q) * np.log(p / q)))


def smoothed(counts: Counts) -> FloatArray:
    """Shares of counts, with half a row more in each."""
    values = np.asarray(counts, np.float64) + HALF
    return np.asarray(values / values.sum())


def jensen_shannon(a: Counts, b: Counts) -> float:
    """Jensen-Shannon distance (base 2) of two lists of counts: 0 for equal shares, 1 where they share no value.

    References
    ----------
    Lin (1991), Divergence measures based on the Shannon entropy.

    Examples
    --------
    >>> jensen_shannon([1, 0], [0, 5]), jensen_shannon([1, 2], [2, 4])
    (1.0, 0.0)
    """
    p, q = (np.asarray(side, np.float64) for side in (a, b))
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    total = sum(float(np.sum(side[side > 0] * np.log2(side[side > 0] / middle[side > 0]))) for side in (p, q))
    return math.sqrt(min(max(total / 2, 0.0), 1.0))


def total_variation(a: Counts, b: Counts) -> float:
    """Share of rows that would have to change their value to make two lists of counts alike.

    Examples
    --------
    >>> round(total_variation([50, 50], [80, 20]), 6)
    0.3
    """
    p, q = (np.asarray(side, np.float64) for side in (a, b))
    return float(np.abs(p / p.sum() - q / q.sum()).sum()) / 2


def homogeneity_p(a: Counts, b: Counts) -> float:
    """Probability that two lists of counts of one distribution differ more (chi-squared test of homogeneity)."""
    table = np.array([a, b], np.float64)
    table = table[:, table.sum(axis=0) > 0]
    rows = table.sum(axis=1)
    if table.shape[1] < 2 or not rows.all():
        return 1.0
    expected = np.outer(rows, table.sum(axis=0)) / rows.sum()
    return chi2_tail(float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1)


def joined_bins(histogram: Histogram, least: float) -> tuple[list[float], list[float]]:
    """Edges and shares of a histogram that is not empty, with neighbours joined until each bin holds `least`."""
    total = sum(histogram.counts)
    edges, shares, held = [histogram.edges[0]], [], 0
    for edge, count in zip(histogram.edges[1:], histogram.counts, strict=True):
        held += count
        if held >= least * total:
            edges.append(edge)
            shares.append(held / total)
            held = 0
    edges[-1] = histogram.edges[-1]
    shares[-1] += held / total
    return edges, shares
