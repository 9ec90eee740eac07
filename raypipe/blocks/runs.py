"""Runs of equal numbers in ascending arrays."""

from __future__ import annotations

import numpy as np

from raypipe.blocks.arrays import Array, Counts, Ints


def starts_of_runs(ordered: Array) -> Ints:
    """Place of the first of each run.

    Examples
    --------
    >>> starts_of_runs(np.array([3, 3, 7]))
    array([0, 2])
    """
    if not len(ordered):
        return np.zeros(0, np.int64)
    return np.concatenate((np.zeros(1, np.int64), np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))


def counted_runs(ordered: Array) -> tuple[Array, Counts]:
    """The distinct numbers, ascending, and how often each occurs."""
    starts = starts_of_runs(ordered)
    return ordered[starts], np.diff(starts, append=len(ordered))


def distinct_in(numbers: Array) -> Array:
    """Distinct numbers in ascending order. NumPy's `unique` hashes, which takes ten times as long as sorting."""
    ordered = np.sort(numbers)
    return ordered[starts_of_runs(ordered)]
