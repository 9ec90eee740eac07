"""Lengths and white space of text, mergeable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from raypipe.blocks.arrays import Counts
from raypipe.blocks.histogram import counts_between, nice_edges
from raypipe.blocks.profile import Histogram, TextSummary

Bytes = npt.NDArray[np.uint8]

_EXACT_LENGTH = 1024
_SUSPECT = np.zeros(256, np.bool_)
_SUSPECT[[9, 10, 11, 12, 13, 32]] = True
_SUSPECT[128:] = True
"""Bytes at the end of a text that may be white space: ASCII white space, or a part of a longer character."""


@dataclass(frozen=True, slots=True)
class TextCounts:
    """What was seen of some texts. `lengths` are characters, past 1,024 rounded down to 8 significant bits."""

    count: int
    empty: int
    blank: int
    padded: int
    chars: int
    shortest: int
    longest: int
    lengths: Counts
    length_counts: Counts

    @classmethod
    def of(cls, texts: pl.Series, counts: Counts | None = None) -> TextCounts:
        """From a non-empty series without nulls, each text taken `counts` times."""
        array = texts.to_arrow()
        offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
        data = np.frombuffer(array.buffers()[2] or b"", np.uint8)
        sizes = np.diff(offsets)
        ascii_only = not len(data) or int(data[offsets[0] : offsets[-1]].max(initial=0)) < 128
        chars = sizes if ascii_only else texts.str.len_chars().to_numpy().astype(np.int64)
        empty = _weigh(np.flatnonzero(sizes == 0), counts)
        blank, padded = _white_space(texts, offsets, data, counts)
        lengths, length_counts = _tally(_round_length(chars), counts)
        return cls(
            count=len(texts) if counts is None else int(counts.sum()),
            empty=empty,
            blank=empty + blank,
            padded=padded,
            chars=int(chars.sum() if counts is None else (chars * counts).sum()),
            shortest=int(chars.min()),
            longest=int(chars.max()),
            lengths=lengths,
            length_counts=length_counts,
        )

    def merge(self, other: TextCounts) -> TextCounts:
        """Both together."""
        lengths, length_counts = _tally(
            np.concatenate((self.lengths, other.lengths)), np.concatenate((self.length_counts, other.length_counts))
        )
        return TextCounts(
            count=self.count + other.count,
            empty=self.empty + other.empty,
            blank=self.blank + other.blank,
            padded=self.padded + other.padded,
            chars=self.chars + other.chars,
            shortest=min(self.shortest, other.shortest),
            longest=max(self.longest, other.longest),
            lengths=lengths,
            length_counts=length_counts,
        )

    def finish(self, bins: int) -> TextSummary:
        """The summary, with a histogram of lengths whose edges stand where lengths are still told apart."""
        edges = nice_edges(self.shortest, self.longest, bins, whole=True)
        if self.longest > _EXACT_LENGTH:
            edges[:-1] = _round_length(edges[:-1].astype(np.int64))
            edges = np.unique(edges)
        counts = counts_between(self.lengths.astype(np.float64), edges, self.length_counts)
        return TextSummary(
            empty=self.empty,
            blank=self.blank,
            padded=self.padded,
            min_chars=self.shortest,
            max_chars=self.longest,
            mean_chars=self.chars / self.count,
            chars=Histogram(edges=tuple(edges.tolist()), counts=tuple(counts.tolist()), exact=True),
        )


def _white_space(texts: pl.Series, offsets: Counts, data: Bytes, counts: Counts | None) -> tuple[int, int]:
    """Counts of texts of white space only and of padded ones; only those with a suspect byte at an end are stripped."""
    if not len(data):
        return 0, 0
    # An empty text borrows a neighbour's byte here; the test of sizes drops it again.
    first = data.take(np.minimum(offsets[:-1], len(data) - 1))
    final = data.take(offsets[1:] - 1, mode="wrap")
    rows = np.flatnonzero((_SUSPECT.take(first) | _SUSPECT.take(final)) & (offsets[1:] > offsets[:-1]))
    if not len(rows):
        return 0, 0
    stripped = texts.gather(rows).str.strip_chars().str.len_bytes().to_numpy().astype(np.int64)
    sizes = offsets[rows + 1] - offsets[rows]
    return _weigh(rows[stripped == 0], counts), _weigh(rows[(stripped > 0) & (stripped < sizes)], counts)


def _weigh(rows: Counts, counts: Counts | None) -> int:
    """Texts at `rows`, each taken `counts` times."""
    return len(rows) if counts is None else int(counts[rows].sum())


def _round_length(chars: Counts) -> Counts:
    """Lengths as they are kept: exact up to 1,024, then rounded down to 8 significant bits."""
    if not len(chars) or int(chars.max()) <= _EXACT_LENGTH:
        return chars
    bits = np.frexp(chars.astype(np.float64))[1].astype(np.int64)
    drop = np.where(chars > _EXACT_LENGTH, bits - 8, 0)
    return (chars >> drop) << drop


def _tally(lengths: Counts, counts: Counts | None) -> tuple[Counts, Counts]:
    """Distinct lengths, ascending, and how often each occurs."""
    if len(lengths) and int(lengths.max()) < 1 << 16:
        reached = np.bincount(lengths, weights=counts).astype(np.int64)
        present = np.flatnonzero(reached)
        return present, reached[present]
    distinct, place = np.unique(lengths, return_inverse=True)
    return distinct, np.bincount(place, weights=counts, minlength=len(distinct)).astype(np.int64)
