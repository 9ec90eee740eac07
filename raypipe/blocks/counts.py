"""Distinct values with how often each occurs: the exact state of a column, and the cheapest way to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from raypipe.blocks.arrays import Array, Counts, Ints

_SMALL_RANGE = 65536


@dataclass(frozen=True, slots=True)
class ValueCounts:
    """Distinct values in ascending order, and the count of each."""

    values: pl.Series
    counts: Counts
    text_bytes: int = 0
    """UTF-8 bytes of the distinct values, 0 for anything but text."""

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def total(self) -> int:
        """Values, repeats included."""
        return int(self.counts.sum())

    @classmethod
    def of(cls, values: pl.Series) -> ValueCounts:
        """Counts of the values of a series without nulls."""
        counted = pl.DataFrame([values.alias("value")]).group_by("value").len("count")
        return cls._sorted(counted)

    @classmethod
    def of_few(cls, values: pl.Series, candidates: pl.Series) -> ValueCounts | None:
        """Counts of values that are all among a few `candidates`; None where one is not.

        To compare each value with each candidate takes half the time of hashing them.

        Examples
        --------
        >>> ValueCounts.of_few(pl.Series(["b", "a", "b"]), pl.Series(["a", "b", "c"])).counts
        array([1, 2])
        >>> ValueCounts.of_few(pl.Series(["b", "a", "b"]), pl.Series(["b"])) is None
        True
        """
        counts = [int((values == candidate).sum()) for candidate in candidates]
        if sum(counts) != len(values):
            return None
        frame = pl.DataFrame([candidates.alias("value"), pl.Series("count", counts, dtype=pl.Int64)])
        return cls._sorted(frame.filter(pl.col("count") > 0))

    @classmethod
    def concat(cls, tables: Sequence[ValueCounts]) -> ValueCounts:
        """The tables added up."""
        if len(tables) == 1:
            return tables[0]
        values = pl.concat([table.values for table in tables])
        counts = np.concatenate([table.counts for table in tables])
        if values.dtype.is_integer() or values.dtype.is_float():
            return cls._added(values, counts)
        frame = pl.DataFrame([values.alias("value"), pl.Series("count", counts)])
        return cls._sorted(frame.group_by("value").agg(pl.col("count").sum()))

    @classmethod
    def _added(cls, values: pl.Series, counts: Counts) -> ValueCounts:
        numbers = values.to_numpy()
        order = np.argsort(numbers, kind="stable")
        numbers = numbers[order]
        starts = _starts(numbers)
        return cls(pl.Series(numbers[starts]), np.add.reduceat(counts[order], starts) if len(counts) else counts)

    @classmethod
    def _sorted(cls, frame: pl.DataFrame) -> ValueCounts:
        frame = frame.sort("value")
        values = own_memory(frame["value"])
        size = int(values.str.len_bytes().sum()) if values.dtype == pl.String else 0
        return cls(values, frame["count"].cast(pl.Int64).to_numpy(), size)


def own_memory(values: pl.Series) -> pl.Series:
    """The series in buffers of its own: text views would keep the whole block alive, and be pickled with it."""
    if values.dtype != pl.String:
        return values.rechunk()
    return pl.Series(values.name, values.to_arrow(), dtype=pl.String)


def sorted_runs(numbers: Array, limit: int) -> tuple[Array, Counts | None]:
    """Numbers in ascending order: distinct ones with their counts, or all of them with None where most differ.

    Distinct values come with counts whenever there are at most `limit`, or few enough that counts save work.

    Parameters
    ----------
    numbers : array of int64, uint64 or float64
        Finite, without -0.0.
    limit : int
        Distinct values that must be counted.

    Examples
    --------
    >>> sorted_runs(np.array([3, 1, 3]), limit=10)
    (array([1, 3]), array([1, 2]))
    """
    n = len(numbers)
    if not n:
        return numbers, np.zeros(0, np.int64)
    if numbers.dtype.kind in "iu":
        low, high = numbers.min().item(), numbers.max().item()
        if high - low < max(_SMALL_RANGE, n):
            return _binned(numbers, low)
    ordered = np.sort(numbers)
    changes = ordered[1:] != ordered[:-1]
    if np.count_nonzero(changes) + 1 > max(limit, n // 4):
        return ordered, None
    starts = np.concatenate((np.zeros(1, np.int64), np.flatnonzero(changes) + 1))
    return ordered[starts], np.diff(starts, append=n)


def _binned(numbers: Array, low: int) -> tuple[Array, Counts]:
    """Integers of a small range, counted by their distance from the smallest."""
    counts = np.bincount((numbers - numbers.dtype.type(low)).view(np.int64))
    present = np.flatnonzero(counts)
    return present.astype(numbers.dtype) + numbers.dtype.type(low), counts[present]


def _starts(ordered: Array) -> Ints:
    """Index of the first of each run of equal numbers."""
    if not len(ordered):
        return np.zeros(0, np.int64)
    return np.concatenate((np.zeros(1, np.int64), np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
