"""Histograms: round edges for a range, and counts between edges from exact counts or from a sketch."""

from __future__ import annotations

import math

import numpy as np

from raypipe.blocks.arrays import Counts, Floats
from raypipe.blocks.quantiles import QuantileSketch

_LARGEST = float(np.finfo(np.float64).max)
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0)


def nice_edges(low: float, high: float, bins: int, *, whole: bool = False) -> Floats:
    """Strictly increasing edges of at most `bins` bins that cover [low, high], at round numbers where floats allow.

    Parameters
    ----------
    low, high : float
        Smallest and largest value, finite.
    bins : int
    whole : bool
        The values are whole numbers: a bin holds the same number of them, one each if `bins` suffice.

    Examples
    --------
    >>> nice_edges(1, 3, 30, whole=True).tolist()
    [0.5, 1.5, 2.5, 3.5]
    >>> nice_edges(0.0, 98.0, 10).tolist()[:3]
    [0.0, 10.0, 20.0]
    """
    exact_steps = max(abs(low), abs(high)) < 2**52
    if whole and exact_steps:
        width = _whole_step(low, high, bins)
        if width == 1:
            return np.arange(low, high + 1.5) - 0.5
        return np.arange(math.floor(low / width), math.floor(high / width) + 2, dtype=np.float64) * width
    if low == high:
        around = (
            (low - 0.5, low + 0.5) if exact_steps else (math.nextafter(low, -math.inf), math.nextafter(low, math.inf))
        )
        return np.unique(np.array([max(around[0], -_LARGEST), min(around[1], _LARGEST)], np.float64))
    step = _nice_step(low, high, bins)
    if step:
        edges = np.arange(math.floor(low / step), math.ceil(high / step) + 1, dtype=np.float64) * step
        # A multiple of 0.2 should read 0.6, not 0.6000000000000001.
        edges = np.round(edges, max(0, 2 - math.floor(math.log10(step)))) if step < 1e6 else edges
        if len(edges) - 1 <= bins and edges[0] <= low and edges[-1] >= high and bool(np.all(np.diff(edges) > 0)):
            return edges
    share = np.linspace(0.0, 1.0, bins + 1)
    return np.unique(np.concatenate(([low], (low * (1 - share) + high * share)[1:-1], [high])).clip(low, high))


def _whole_step(low: float, high: float, bins: int) -> float:
    """Width of bins of whole numbers: 1, or the smallest round whole number for which `bins` suffice."""
    if high - low + 1 <= bins:
        return 1.0
    scale = max(1.0, 10.0 ** math.floor(math.log10((high - low + 1) / bins)))
    widths = [step * scale for step in _STEPS if (step * scale).is_integer()]
    return next((w for w in widths if math.floor(high / w) - math.floor(low / w) < bins), widths[-1])


def _nice_step(low: float, high: float, bins: int) -> float | None:
    """Smallest round width for which `bins` suffice; None where the range is too wide or narrow for round edges."""
    span = high - low
    if not 1e-200 < span < 1e200 or span < 1e-9 * max(abs(low), abs(high)):
        return None
    scale = 10.0 ** math.floor(math.log10(span / bins))
    widths = [step * scale for step in _STEPS]
    return next((w for w in widths if math.ceil(high / w) - math.floor(low / w) <= bins), None)


def counts_between(values: Floats, edges: Floats, counts: Counts | None = None) -> Counts:
    """Values between neighbouring edges, the last bin closed on both sides; values outside are left out.

    Counts over the same edges add up, which makes a histogram of fixed edges mergeable.

    Examples
    --------
    >>> counts_between(np.array([0.0, 1.0, 2.0, 9.0]), np.array([0.0, 1.0, 2.0]))
    array([1, 2])
    """
    place = np.searchsorted(edges, values, side="right") - 1
    place[values == edges[-1]] = len(edges) - 2
    inside = (place >= 0) & (place < len(edges) - 1)
    weights = None if counts is None else counts[inside]
    return np.bincount(place[inside], weights=weights, minlength=len(edges) - 1).astype(np.int64)


def ranks_between(sketch: QuantileSketch, edges: Floats) -> Counts:
    """The same from estimated ranks, for edges that cover all values; the counts add up to the sketch's count."""
    inner = sketch.ranks(edges[1:-1].tolist())
    reached = np.rint(np.asarray([0.0, *inner, 1.0]) * sketch.count).astype(np.int64)
    return np.diff(np.maximum.accumulate(reached))
