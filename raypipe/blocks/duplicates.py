"""Duplicate rows: the rows of the smallest hashes, with how often each occurs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raypipe.blocks.arrays import Array, Hashes, Ints
from raypipe.blocks.chance import NORMAL_99
from raypipe.blocks.profile import DuplicateRows
from raypipe.blocks.runs import counted_runs


@dataclass(frozen=True, slots=True)
class RowSample:
    """The up to `size` distinct rows of smallest hash among `rows`, and the exact count of each.

    While there are no more than `size` distinct rows this is all of them. Which rows are kept depends on the rows
    alone, neither on their order nor on how they are cut, and merging is exact.
    """

    size: int
    rows: int
    hashes: Hashes
    """Ascending."""
    counts: npt.NDArray[np.unsignedinteger]
    """In the narrowest type that holds the largest."""
    full: bool
    """Whether rows were left out."""

    @classmethod
    def of(cls, hashes: Hashes, size: int) -> RowSample:
        """From the hash of each row."""
        n = len(hashes)
        if n > 2 * size:
            # Where most rows differ, the smallest ones lie under this threshold; if not, all are looked at.
            threshold = np.uint64(int(min(0.999, 1.1 * size / n + 1e-4) * 2**64))
            low = hashes[hashes < threshold]
            distinct, counts = counted_runs(np.sort(low))
            if len(distinct) >= size:
                return cls(size, n, distinct[:size], _narrow(counts[:size]), full=True)
        distinct, counts = counted_runs(np.sort(hashes))
        return cls(size, n, distinct[:size], _narrow(counts[:size]), full=len(distinct) > size)

    def merge(self, other: RowSample) -> RowSample:
        """The sample of both together."""
        a, b = self._below(other), other._below(self)
        hashes, counts = self.hashes[:a], self.counts[:a].astype(np.int64)
        fresh, extra = other.hashes[:b], other.counts[:b]
        place = np.searchsorted(hashes, fresh)
        known = np.zeros(b, np.bool_)
        inside = place < a
        known[inside] = hashes[place[inside]] == fresh[inside]
        counts[place[known]] += extra[known]
        new = ~known
        at = place[new] + np.arange(np.count_nonzero(new))
        hashes, counts = _inserted(hashes, fresh[new], at), _inserted(counts, extra[new], at)
        full = self.full or other.full or len(hashes) > self.size
        kept = slice(0, self.size)
        return RowSample(self.size, self.rows + other.rows, hashes[kept], _narrow(counts[kept]), full)

    def _below(self, other: RowSample) -> int:
        """How many of the hashes the other side could have kept as well."""
        if not other.full:
            return len(self.hashes)
        return int(np.searchsorted(self.hashes, other.hashes[-1], side="right"))

    def finish(self) -> DuplicateRows:
        """Repeats among the rows, exact or with the upper end of their 99 % interval.

        The kept rows are a uniform sample of the distinct ones: rows per distinct row follow from their counts, and
        distinct rows from how far the hashes reach. The second is blunter but also right where few rows hold most
        repeats, and bounds the first.

        References
        ----------
        Beyer, Haas, Reinwald, Sismanis, Gemulla (2007), On synopses for distinct-value estimation.
        """
        if not self.full:
            repeats = self.rows - len(self.hashes)
            share = repeats / self.rows if self.rows else 0.0
            return DuplicateRows(rows=repeats, share=share, exact=True, share_upper=share)
        k = len(self.hashes)
        distinct = (k - 1) / (float(self.hashes[-1]) / 2**64)
        error = NORMAL_99 / math.sqrt(k - 2)
        lower = max(0.0, 1.0 - distinct * (1 + error) / self.rows)
        upper = max(0.0, 1.0 - max(distinct * (1 - error), k) / self.rows)
        share = min(max(1.0 - k / int(self.counts.sum(dtype=np.int64)), lower), upper)
        return DuplicateRows(rows=round(share * self.rows), share=share, exact=False, share_upper=upper)


def _inserted(held: Array, new: Array, at: Ints) -> Array:
    """`held` with `new` at the places `at` of the result."""
    out = np.empty(len(held) + len(new), held.dtype)
    old = np.ones(len(out), np.bool_)
    old[at] = False
    out[at] = new
    out[old] = held
    return out


def _narrow(counts: Ints) -> npt.NDArray[np.unsignedinteger]:
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
