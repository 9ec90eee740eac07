"""Slices: what a part is made of, and how a sample of rows is shared out among them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raypipe.config import Frozen

MISCUT = "miscut"
"""Note of a part whose end turned out to be none: the source is to be cut exactly."""
_MOST_COLOURS = 10**9


class Slice(Frozen):
    """A range of one file: bytes of text, rows of a Parquet file; what they mean is for the format to say."""

    file: int
    """Index of the file in the source."""
    start: int
    end: int
    rows: int | None = None
    """Rows in the range, where known."""
    bytes: int = 0
    """Estimated size in memory."""
    clean: bool = False
    """CSV: every quote in it is where the plain grammar wants it."""
    first_line: int = 0
    """CSV: lines of the header that count as part of it."""
    take: int | None = None
    """Draw so many of its rows; None takes all."""
    low: int | None = None
    high: int | None = None
    """SQL: keys [low, high); None is open, and a window that ends before it begins holds the rows without a key."""
    sought: int | None = None
    """CSV: the byte from which its end was looked for, where that was guessed, to be checked; None: it is certain."""


def quotas(rows: Sequence[int], wanted: int, seed: int) -> NDArray[np.int64]:
    """How many rows of each range belong to a simple random sample of `wanted` rows of all of them.

    Parameters
    ----------
    rows : sequence of int
        Rows of each range.
    wanted : int
        Rows to draw; all rows, where there are no more.
    seed : int
        Equal seeds draw equal samples.
    """
    counts = np.asarray(rows, np.int64)
    total = int(counts.sum())
    if wanted >= total:
        return counts
    rng = np.random.default_rng((seed, total))
    if total < _MOST_COLOURS:
        return rng.multivariate_hypergeometric(counts, wanted, method="marginals").astype(np.int64)
    drawn = np.unique(rng.integers(0, total, wanted))
    while drawn.size < wanted:
        drawn = np.unique(np.concatenate((drawn, rng.integers(0, total, wanted - drawn.size))))
    places = np.searchsorted(np.cumsum(counts), drawn, side="right")
    return np.bincount(places, minlength=counts.size).astype(np.int64)


def take_rows(slices: Sequence[Slice], rows: Sequence[int], wanted: int, seed: int) -> list[Slice]:
    """The slices that a sample touches, each with the number of rows to draw from it."""
    shares = quotas(rows, wanted, seed).tolist()
    return [
        piece.replace(take=share, bytes=piece.bytes * share // max(1, count))
        for piece, count, share in zip(slices, rows, shares, strict=True)
        if share
    ]


def draw_seed(seed: int, part_id: str) -> tuple[int, int]:
    """Seed of the draw within one part."""
    return seed, zlib.crc32(part_id.encode())
