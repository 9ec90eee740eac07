"""Samples that merge: the values, or rows, whose hashes are smallest, out of all that were ever seen.

Which ones are kept depends on what was seen alone, neither on its order nor on how rows were cut into blocks. While
there are no more than the sample holds, it is all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from raypipe.blocks.arrays import Counts, Hashes
from raypipe.blocks.counts import own_memory
from raypipe.blocks.runs import starts_of_runs

_SLACK = 1.1
"""Hashes looked at, as a multiple of those wanted, where most values differ."""


@dataclass(frozen=True, slots=True)
class ValueSample:
    """Distinct values of a column with the exact count of each; a uniform sample of the distinct ones."""

    size: int
    max_bytes: int
    """Longer texts are counted, and kept as null."""
    hashes: Hashes
    """Ascending."""
    counts: Counts
    values: pl.Series
    full: bool
    """Whether values were left out."""

    @classmethod
    def of(cls, values: pl.Series, hashes: Hashes, size: int, max_bytes: int) -> Self:
        """From values without nulls and their hashes."""
        rows = _low_rows(hashes, size)
        low = hashes if rows is None else hashes[rows]
        distinct, first, counts = np.unique(low, return_index=True, return_counts=True)
        if rows is not None and len(distinct) < size:
            rows = None
            distinct, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        full = len(distinct) > size or (rows is not None and len(rows) < len(hashes))
        at = first[:size] if rows is None else rows[first[:size]]
        kept = _shortened(values.gather(at), max_bytes)
        return cls(size, max_bytes, distinct[:size], counts[:size].astype(np.int64), kept, full)

    def merge(self, other: ValueSample) -> ValueSample:
        """The sample of both together."""
        if not self.full and not other.full and np.array_equal(self.hashes, other.hashes):
            return replace(self, counts=self.counts + other.counts)
        a, b = _upto(self.hashes, other), _upto(other.hashes, self)
        hashes = np.concatenate((self.hashes[:a], other.hashes[:b]))
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        starts = starts_of_runs(ordered)
        full = self.full or other.full or len(starts) > self.size
        counts = np.concatenate((self.counts[:a], other.counts[:b]))[order]
        summed = np.add.reduceat(counts, starts) if len(starts) else counts
        values = pl.concat([self.values.head(a), other.values.head(b)]).gather(order[starts[: self.size]])
        kept = slice(0, self.size)
        return ValueSample(self.size, self.max_bytes, ordered[starts][kept], summed[kept], own_memory(values), full)

    @property
    def rows(self) -> int:
        """Rows that hold one of the values."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True)
class RowSample:
    """Distinct rows as hashes of their cells; a uniform sample of the distinct rows."""

    size: int
    hashes: Hashes
    """Of whole rows, ascending."""
    counts: Counts
    """How often each row stands."""
    cells: npt.NDArray[np.uint64]
    """Shape (rows, columns); 0 stands for null."""
    full: bool

    @classmethod
    def of(cls, row_hashes: Hashes, columns: list[Hashes], size: int) -> Self:
        """From the hash of each row and those of its cells, column by column."""
        rows = _low_rows(row_hashes, size)
        low = row_hashes if rows is None else row_hashes[rows]
        distinct, first, counts = np.unique(low, return_index=True, return_counts=True)
        if rows is not None and len(distinct) < size:
            rows = None
            distinct, first, counts = np.unique(row_hashes, return_index=True, return_counts=True)
        full = len(distinct) > size or (rows is not None and len(rows) < len(row_hashes))
        at = first[:size] if rows is None else rows[first[:size]]
        cells = np.empty((len(at), len(columns)), np.uint64)
        for place, column in enumerate(columns):
            cells[:, place] = column[at]
        return cls(size, distinct[:size], counts[:size].astype(np.int64), cells, full)

    def merge(self, other: RowSample) -> RowSample:
        """The sample of both together."""
        a = len(self.hashes) if not other.full else int(np.searchsorted(self.hashes, other.hashes[-1], side="right"))
        b = len(other.hashes) if not self.full else int(np.searchsorted(other.hashes, self.hashes[-1], side="right"))
        both = np.concatenate((self.hashes[:a], other.hashes[:b]))
        hashes, first, inverse = np.unique(both, return_index=True, return_inverse=True)
        counts = np.zeros(len(hashes), np.int64)
        np.add.at(counts, inverse, np.concatenate((self.counts[:a], other.counts[:b])))
        full = self.full or other.full or len(hashes) > self.size
        kept = first[: self.size]
        cells = np.concatenate((self.cells[:a], other.cells[:b]))[kept]
        return RowSample(self.size, hashes[: self.size], counts[: self.size], cells, full)


def _low_rows(hashes: Hashes, size: int) -> npt.NDArray[np.int64] | None:
    """Rows of the smaller hashes, among which the wanted ones are if most values differ; None: look at all."""
    n = len(hashes)
    if n <= 4 * size:
        return None
    threshold = np.uint64(int(min(0.999, _SLACK * size / n + 1e-4) * 2**64))
    return np.flatnonzero(hashes < threshold)


def _upto(hashes: Hashes, other: ValueSample) -> int:
    """How many of the hashes the other side could have kept as well."""
    return int(np.searchsorted(hashes, other.hashes[-1], side="right")) if other.full else len(hashes)


def _shortened(values: pl.Series, max_bytes: int) -> pl.Series:
    if values.dtype != pl.String:
        return own_memory(values)
    fits = values.str.len_bytes() <= max_bytes
    return own_memory(values if fits.all() else pl.select(pl.when(fits).then(values)).to_series())
