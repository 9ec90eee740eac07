"""64-bit hashes of values that are the same in every process and for every cut of the rows.

Polars keeps its hash stable within one version only, so hashes live in partials of one run and are never written out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from raypipe.blocks.arrays import Hashes

_SEED = 0x5EED_0F_A11
_CHUNK = 32768


def hash_values(values: pl.Series) -> Hashes:
    """Hash of each value, nulls included; equal values have equal hashes, 0.0 and -0.0 too.

    Examples
    --------
    >>> a, b, c = hash_values(pl.Series([0.0, -0.0, 1.0]))
    >>> bool(a == b), bool(a == c)
    (True, False)
    """
    return values.hash(_SEED).to_numpy()


def places_among(hashes: Hashes, few: Hashes) -> npt.NDArray[np.int8]:
    """Place of each hash among a `few` distinct ones, at most 127; -1 where it is none of them.

    Examples
    --------
    >>> places_among(np.array([7, 9, 8], np.uint64), np.array([9, 7], np.uint64))
    array([ 1,  0, -1], dtype=int8)
    """
    places = np.full(len(hashes), -1, np.int8)
    for place, one in enumerate(few):
        places += (hashes == one).view(np.int8) * np.int8(place + 1)
    return places


def hash_rows(columns: list[Hashes], rows: int) -> Hashes:
    """Hash of each row from the hashes of its columns; which column a value stands in matters.

    The columns' hashes are added with odd random weights and mixed once more (multilinear hashing), in chunks that
    stay in the processor's cache.
    """
    weights = np.random.default_rng(_SEED).integers(1, 2**63, len(columns), dtype=np.uint64) | np.uint64(1)
    out = np.zeros(rows, np.uint64)
    scratch = np.empty(min(rows, _CHUNK), np.uint64)
    for start in range(0, rows, _CHUNK):
        part = out[start : start + _CHUNK]
        held = scratch[: len(part)]
        for hashes, weight in zip(columns, weights, strict=True):
            np.multiply(hashes[start : start + _CHUNK], weight, out=held)
            np.add(part, held, out=part)
        _mix(part, held)
    return out


def _mix(hashes: Hashes, scratch: Hashes) -> None:
    """Spread every bit over all 64, in place (the finaliser of SplitMix64, Steele et al. 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        np.right_shift(hashes, np.uint64(shift), out=scratch)
        np.bitwise_xor(hashes, scratch, out=hashes)
        np.multiply(hashes, np.uint64(factor), out=hashes)
    np.right_shift(hashes, np.uint64(31), out=scratch)
    np.bitwise_xor(hashes, scratch, out=hashes)
