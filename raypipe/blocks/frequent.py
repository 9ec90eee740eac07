"""Frequent values past the exact limit: counts that are bounds, mergeable, in the manner of Misra and Gries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from raypipe.blocks.arrays import Array, Counts, Hashes
from raypipe.blocks.counts import ValueCounts, own_memory
from raypipe.blocks.runs import distinct_in

_SHARE = 1 / 2000
"""Values at least this frequent in a block are counted; rarer ones may be left out."""


@dataclass(frozen=True, slots=True)
class FrequentItems:
    """Counters of candidate values, and a bound on every value without one.

    Of a value with a counter, at least `seen` and at most `seen + missed` occurrences happened; of any other at most
    `slack`. `weight` is the Misra-Gries counter: occurrences <= weight + slack holds for every value, so that cutting
    counters off keeps slack within n / 2000 + n / capacity.
    """

    values: pl.Series
    seen: Counts
    missed: Counts
    weight: Counts
    slack: int = 0

    @classmethod
    def exact(cls, table: ValueCounts, capacity: int, max_bytes: int) -> FrequentItems:
        """From exact counts of all values, of which the rare ones are left out."""
        rare = 2 * heavy_threshold(table.total) - 1
        keep = np.flatnonzero(table.counts > rare)
        slack = int(table.counts[table.counts <= rare].max(initial=0))
        kept = ValueCounts(own_memory(table.values.gather(keep)), table.counts[keep])
        return cls.heavy(kept, slack, capacity, max_bytes)

    @classmethod
    def heavy(cls, table: ValueCounts, slack: int, capacity: int, max_bytes: int) -> FrequentItems:
        """From exact counts of some values, of which every other occurs at most `slack` times."""
        return cls(table.values, table.counts, np.zeros(len(table), np.int64), table.counts, slack)._cut(
            capacity, max_bytes
        )

    def merge(self, other: FrequentItems, capacity: int, max_bytes: int) -> FrequentItems:
        """Bounds over both together.

        References
        ----------
        Agarwal, Cormode, Huang, Phillips, Wei, Yi (2012), Mergeable summaries.
        """
        slack = self.slack + other.slack
        if not len(self.seen) and not len(other.seen):
            return FrequentItems(self.values, self.seen, self.missed, self.weight, slack)
        values = pl.concat([self.values, other.values])
        order = values.arg_sort().to_numpy()
        values = values.gather(order)
        starts = np.flatnonzero(np.concatenate(([True], (values[1:] != values[:-1]).to_numpy())))
        seen, missed, weight = (
            np.add.reduceat(np.concatenate(pair)[order], starts)
            for pair in ((self.seen, other.seen), (self.missed, other.missed), (self.weight, other.weight))
        )
        # A value with a counter on one side only may have occurred unseen on the other.
        absent = np.repeat(np.array([other.slack, self.slack]), [len(self.seen), len(other.seen)])[order][starts]
        missed = missed + np.where(np.diff(starts, append=len(order)) == 1, absent, 0)
        return FrequentItems(own_memory(values.gather(starts)), seen, missed, weight, slack)._cut(capacity, max_bytes)

    def _cut(self, capacity: int, max_bytes: int) -> FrequentItems:
        """At most `capacity` counters and `max_bytes` of text: subtract the largest weight that has to go."""
        order = np.argsort(-self.weight, kind="stable")
        kept = min(capacity, len(order))
        if self.values.dtype == pl.String:
            sizes = self.values.str.len_bytes().to_numpy()[order].astype(np.int64)
            kept = min(kept, int(np.searchsorted(np.cumsum(sizes), max_bytes, side="right")))
        if kept == len(order):
            return self
        lost = int(self.weight[order[kept]])
        keep = np.flatnonzero(self.weight > lost)
        values = own_memory(self.values.gather(keep))
        return FrequentItems(values, self.seen[keep], self.missed[keep], self.weight[keep] - lost, self.slack + lost)

    def upper(self) -> Counts:
        """At most this many occurrences, for each value."""
        upper: Counts = np.minimum(self.seen + self.missed, self.weight + self.slack)
        return upper


def heavy_threshold(n: int) -> int:
    """Half the count from which a value among `n` is sure to be found."""
    return max(1, int(n * _SHARE) // 2)


def heavy_in_order(ordered: Array, step: int) -> Array:
    """Distinct entries of an ascending array, with all that occur `2 * step` times or more among them.

    A run of that length covers two neighbouring multiples of `step`, so looking at those is enough.
    """
    probes = ordered[::step]
    repeated = probes[1:][probes[1:] == probes[:-1]]
    return distinct_in(repeated)


def heavy_numbers(ordered: Array) -> tuple[ValueCounts, int]:
    """Exact counts of the frequent numbers of an ascending array, and a bound on the count of any other."""
    step = heavy_threshold(len(ordered))
    values = heavy_in_order(ordered, step)
    counts = np.searchsorted(ordered, values, side="right") - np.searchsorted(ordered, values, side="left")
    return ValueCounts(pl.Series(values), counts.astype(np.int64)), 2 * step - 1


def heavy_values(values: pl.Series, hashes: Hashes, ordered: Hashes) -> tuple[ValueCounts, int]:
    """The same for values of any type, by their hashes, as they stand and in ascending order.

    Only rows whose hash shares its first 16 bits with a frequent hash are looked at.
    """
    step = heavy_threshold(len(ordered))
    wanted = heavy_in_order(ordered, step)
    if not len(wanted):
        return ValueCounts(values.clear(), np.zeros(0, np.int64)), 2 * step - 1
    cells = np.zeros(1 << 16, np.bool_)
    cells[wanted >> np.uint64(48)] = True
    rows = np.flatnonzero(cells[hashes >> np.uint64(48)])
    rows = rows[np.isin(hashes[rows], wanted)]
    return ValueCounts.of(values.gather(rows)), 2 * step - 1
