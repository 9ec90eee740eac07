"""Distinct values with how often each occurs: the exact state of a column, and the cheapest way to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from raypipe.blocks.arrays import Array, Counts, Hashes
from raypipe.blocks.runs import counted_runs, starts_of_runs

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
    def of_few(cls, values: pl.Series, hashes: Hashes, few: Hashes) -> ValueCounts | None:
        """Counts of texts whose `hashes` are all among a `few`; None where one is not.

        To compare hashes, which other summaries want anyway, takes a tenth of the time of comparing texts. Two texts
        of one hash, which chance makes of one pair in 2**64, would be counted as one.

        Examples
        --------
        >>> texts = pl.Series(["b", "a", "b"])
        >>> hashes = texts.hash().to_numpy()
        >>> ValueCounts.of_few(texts, hashes, np.unique(hashes)).values.to_list()
        ['a', 'b']
        >>> ValueCounts.of_few(texts, hashes, hashes[:1]) is None
        True
        """
        counted: list[tuple[str, int]] = []
        for one in few:
            same = hashes == one
            counted.append((str(values[int(same.argmax())]), int(np.count_nonzero(same))))
        if sum(n for _, n in counted) != len(hashes):
            return None
        # Python puts texts in the order of their bytes, as Polars does, and a few of them sooner.
        texts, ordered = zip(*sorted(counted), strict=True)
        size = sum(len(text.encode()) for text in texts)
        return cls(pl.Series(texts), np.array(ordered, np.int64), size)

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
        starts = starts_of_runs(numbers)
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
    if np.count_nonzero(ordered[1:] != ordered[:-1]) + 1 > max(limit, n // 4):
        return ordered, None
    return counted_runs(ordered)


def _binned(numbers: Array, low: int) -> tuple[Array, Counts]:
    """Integers of a small range, counted by their distance from the smallest."""
    counts = np.bincount((numbers - numbers.dtype.type(low)).view(np.int64))
    present = np.flatnonzero(counts)
    return present.astype(numbers.dtype) + numbers.dtype.type(low), counts[present]
