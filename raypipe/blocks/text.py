"""Lengths and white space of text, mergeable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from raypipe.blocks.arrays import Counts, Ints
from raypipe.blocks.histogram import counts_between, nice_edges
from raypipe.blocks.profile import Histogram, TextSummary

Bytes = npt.NDArray[np.uint8]

_EXACT_LENGTH = 1024
_SPACE, _LONG = 1, 4
_ENDS = np.zeros(256, np.uint8)
_ENDS[[9, 10, 11, 12, 13, 32]] = _SPACE
_ENDS[128:] = _LONG
"""What a byte at an end of a text is: ASCII white space, part of a longer character, which may be space, or neither."""


class TextBytes:
    """The UTF-8 of texts as Arrow lays it out, one after the other.

    Parameters
    ----------
    array : pa.LargeStringArray
        Without nulls; may be a slice.
    """

    def __init__(self, array: pa.Array) -> None:
        _, offsets, data = array.buffers()
        self._offsets: Ints = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        self._data: Bytes = np.frombuffer(data or b"", np.uint8)
        self.sizes: Ints = np.diff(self._offsets)
        """Bytes of each text."""

    @property
    def ascii_only(self) -> bool:
        """Whether every character takes one byte."""
        return int(self._data[self._offsets[0] : self._offsets[-1]].max(initial=0)) < 128

    @cached_property
    def first(self) -> Bytes:
        """First byte of each text; any for an empty one."""
        return self._at(self._offsets[:-1])

    @cached_property
    def final(self) -> Bytes:
        """Last byte of each text; any for an empty one."""
        return self._at(self._offsets[1:] - 1)

    def _at(self, places: Ints) -> Bytes:
        return self._data.take(places, mode="clip") if len(self._data) else np.zeros(len(places), np.uint8)

    def extent(self, texts: pl.Series) -> tuple[str, str]:
        """The smallest and the largest of `texts`, which are these, by their bytes; only those that share the outermost
        first byte are compared."""
        full = self.sizes > 0
        if not full.any():
            return "", ""
        heads = self.first[full]
        low = str(texts.filter(pl.Series(full & (self.first == heads.min()))).min()) if full.all() else ""
        return low, str(texts.filter(pl.Series(full & (self.first == heads.max()))).max())


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
    def of(cls, texts: pl.Series, counts: Counts | None = None, laid: TextBytes | None = None) -> TextCounts:
        """From a non-empty series without nulls, each text taken `counts` times; `laid` are their bytes if known."""
        laid = laid or TextBytes(texts.to_arrow())
        chars = laid.sizes if laid.ascii_only else texts.str.len_chars().to_numpy().astype(np.int64)
        empty = _weigh(np.flatnonzero(laid.sizes == 0), counts)
        blank, padded = _white_space(texts, laid, counts)
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


def _white_space(texts: pl.Series, laid: TextBytes, counts: Counts | None) -> tuple[int, int]:
    """Counts of texts of white space only and of padded ones.

    A text with ASCII space at one end and an ASCII character at the other is padded; only those of which their ends say
    less are stripped.
    """
    ends = np.where(laid.sizes > 0, _ENDS.take(laid.first) + _ENDS.take(laid.final), 0)
    padded = _weigh(np.flatnonzero(ends == _SPACE), counts)
    rows = np.flatnonzero(ends > _SPACE)
    if not len(rows):
        return 0, padded
    stripped = texts.gather(rows).str.strip_chars().str.len_bytes().to_numpy().astype(np.int64)
    padded += _weigh(rows[(stripped > 0) & (stripped < laid.sizes[rows])], counts)
    return _weigh(rows[stripped == 0], counts), padded


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
