"""Is there a valley between two groups? Found on one half of the rows, tested on the other.

For any density with one mode, of three windows of equal width the middle one never holds less than both others. So a
middle window that holds fewer rows than each of its neighbours, by an exact binomial test for both, shows more than one
mode; and since the windows were chosen on other rows, the test holds its level for every shape: skewed, heavy-tailed,
uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raypipe.blocks.chance import IQR_OF_NORMAL
from raypipe.insights.chance import binomial_at_most
from raypipe.insights.patterns.matrix import FloatArray

GRID = 128
_BANDWIDTH = 0.5
"""Of Silverman's rule, which is made for one mode and smooths over two."""


@dataclass(frozen=True)
class Valley:
    """Windows around a valley and the peaks beside it."""

    cut: float
    left: float
    right: float
    half_width: float


def find_valley(values: FloatArray) -> Valley | None:
    """Where the density of `values` falls deepest between two peaks; None where it never does."""
    n = len(values)
    low, high = np.quantile(values, [0.005, 0.995])
    quarters = np.quantile(values, [0.25, 0.75])
    spread = min(float(values.std()), float(quarters[1] - quarters[0]) / IQR_OF_NORMAL) or float(values.std())
    if n < 20 or not high > low or spread <= 0:
        return None
    width = _BANDWIDTH * 0.9 * spread * n**-0.2
    edges = np.linspace(low - 3 * width, high + 3 * width, GRID + 1)
    counts = np.histogram(values, edges)[0].astype(float)
    step = edges[1] - edges[0]
    reach = min(max(1, int(np.ceil(3 * width / step))), GRID // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / max(width, 1e-300)) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    middles = (edges[:-1] + edges[1:]) / 2
    left, right = np.maximum.accumulate(smooth), np.maximum.accumulate(smooth[::-1])[::-1]
    depth = np.sqrt(np.minimum(left, right)) - np.sqrt(smooth)
    place = int(depth.argmax())
    if depth[place] <= 0:
        return None
    at_left, at_right = int(smooth[: place + 1].argmax()), place + int(smooth[place:].argmax())
    near = min(middles[place] - middles[at_left], middles[at_right] - middles[place])
    return Valley(float(middles[place]), float(middles[at_left]), float(middles[at_right]), float(near / 2))


def judge_valley(values: FloatArray, valley: Valley) -> tuple[float, float]:
    """Chance that one mode gives so empty a valley, and its density relative to the lower peak."""
    inside = (int((np.abs(values - at) <= valley.half_width).sum()) for at in (valley.cut, valley.left, valley.right))
    middle, left, right = inside
    lower = min(left, right)
    p = max(binomial_at_most(middle, middle + side) for side in (left, right))
    return p, middle / lower if lower else 1.0
