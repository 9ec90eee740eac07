"""How often what is said with which probability is true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.ml.metrics import BINS, Truth, calibration_error, equal_bins

Z95 = 1.959964
"""Of a 95 % interval."""


def wilson(hits: float, rows: int, z: float = Z95) -> tuple[float, float]:
    """Interval of a share (Wilson 1927); it stays within 0 and 1 and has a width also where all or none hit.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(0, 10)]
    [0.0, 0.278]
    """
    share, square = hits / rows, z * z
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = z / (1 + square / rows) * np.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def reliability_table(truth: Truth, bins: int = BINS) -> list[dict[str, Any]]:
    """Bins of about as many rows each, from the least probability to the greatest; equal ones are in one bin.

    Of the second class of two, else of the class that is said. `holds` tells whether the mean of what was said lies in
    the 95 % interval of what is true.
    """
    said, right = _said_and_right(truth)
    table = []
    for rows in equal_bins(said, bins):
        low, high = wilson(float(right[rows].sum()), len(rows))
        mean = float(said[rows].mean())
        table.append(
            {
                "rows": len(rows),
                "from": float(said[rows].min()),
                "to": float(said[rows].max()),
                "said": mean,
                "true": float(right[rows].mean()),
                "true_low": low,
                "true_high": high,
                "holds": low <= mean <= high,
            }
        )
    return table


def classwise_ece(truth: Truth, bins: int = BINS) -> list[float]:
    """Expected calibration error of each class against the rest, in bins of as many rows."""
    return [calibration_error(truth.estimate[:, k], truth.y == k, bins) for k in range(truth.estimate.shape[1])]


def _said_and_right(truth: Truth) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if truth.estimate.shape[1] == 2:
        return truth.estimate[:, 1], truth.y == 1
    return truth.estimate.max(axis=1), truth.estimate.argmax(axis=1) == truth.y
