"""Pairs of columns: Pearson correlation over complete pairs, and nulls that occur together; both mergeable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raypipe.blocks.arrays import Array, Floats, Ints, Mask
from raypipe.blocks.moments import centred
from raypipe.blocks.profile import Correlation, Missingness

_CHUNK = 8192
_EXACT = 2.0**52
"""Below this, integers and their differences are exact as floats."""
_SAFE = 200
_NO_REACH = -1100
"""Exponent of a constant: below that of any number, so that whatever it merges with sets the unit."""
_NOISE = 1e-13
"""Variance below this share of the mean square is rounding of a constant."""


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """The numbers of one column of a block, for comparison with others row by row."""

    numbers: Array
    """One a row; any value where `valid` is False."""
    valid: Mask | None
    """Neither null, NaN nor infinite; None where all are."""
    pivot: int | float
    """A value near the middle."""
    reach: float
    """Largest distance of a valid number from the pivot; may be infinite."""


@dataclass(frozen=True, slots=True)
class PairMoments:
    """Sums over the rows where both columns of a pair are valid; arrays of shape (columns, columns).

    Column i is measured from `pivots[i]` in units of 2**exponents[i]: 1 unless products would leave the floats.
    Correlation does not feel either. Row i, column j of `means` and `squares` is about column i over the rows valid
    in both.
    """

    pivots: tuple[int | float, ...]
    exponents: Ints
    pairs: Ints
    means: Floats
    squares: Floats
    products: Floats

    @classmethod
    def of(cls, columns: Sequence[NumberColumn], rows: int) -> PairMoments:
        """From the columns of a block."""
        k = len(columns)
        exponents = np.array([_exponent(column.reach) for column in columns], np.int64)
        partial = [i for i, column in enumerate(columns) if column.valid is not None]
        counts = np.full((k, k), float(rows))
        sums, squares, products = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
        complete = [i for i in range(k) if columns[i].valid is None]
        counts[np.ix_(partial, range(k))] = 0.0
        counts[np.ix_(range(k), partial)] = 0.0
        for start in range(0, rows, _CHUNK):
            x, valid = _chunk(columns, exponents, partial, start, min(start + _CHUNK, rows))
            products += x @ x.T
            x2 = x * x
            sums[:, complete] += x.sum(axis=1)[:, None]
            squares[:, complete] += x2.sum(axis=1)[:, None]
            if partial:
                sums[:, partial] += x @ valid.T
                squares[:, partial] += x2 @ valid.T
                counts[np.ix_(partial, partial)] += valid @ valid.T
                counts[np.ix_(partial, complete)] += valid.sum(axis=1)[:, None]
        if partial:
            counts[np.ix_(complete, partial)] = counts[np.ix_(partial, complete)].T
        held = np.maximum(counts, 1.0)
        centred_squares = squares - sums * sums / held
        centred_squares[centred_squares <= _NOISE * squares] = 0.0
        return cls(
            pivots=tuple(column.pivot for column in columns),
            exponents=exponents,
            pairs=counts.astype(np.int64),
            means=sums / held,
            squares=centred_squares,
            products=products - sums * sums.T / held,
        )

    def merge(self, other: PairMoments) -> PairMoments:
        """Both together (Chan's formula for each pair)."""
        left, right = _pivots(self, other), _pivots(other, self)
        between = [_exponent(abs(_gap(p, q, 0))) for p, q in zip(left, right, strict=True)]
        exponents = np.maximum(np.maximum(self.exponents, other.exponents), np.array(between, np.int64))
        a, b = self._rescaled(exponents), other._rescaled(exponents)
        gaps = np.array([_gap(p, q, int(e)) for p, q, e in zip(left, right, exponents, strict=True)], np.float64)
        pairs = self.pairs + other.pairs
        held = np.maximum(pairs, 1)
        delta = gaps[:, None] + b.means - a.means
        # A side without rows has no mean of its own, and gets no weight below.
        weight = self.pairs * (other.pairs / held)
        share = np.where(self.pairs == 0, 1.0, other.pairs / held)
        return PairMoments(
            pivots=left,
            exponents=exponents,
            pairs=pairs,
            means=a.means + delta * np.where(pairs == 0, 0.0, share),
            squares=a.squares + b.squares + delta * delta * weight,
            products=a.products + b.products + delta * delta.T * weight,
        )

    def _rescaled(self, exponents: Ints) -> PairMoments:
        step = self.exponents - exponents
        if not step.any():
            return self
        return PairMoments(
            self.pivots,
            exponents,
            self.pairs,
            np.ldexp(self.means, step[:, None]),
            np.ldexp(self.squares, 2 * step[:, None]),
            np.ldexp(self.products, step[:, None] + step[None, :]),
        )

    def finish(self, columns: Sequence[str], skipped: Sequence[str]) -> Correlation:
        """Correlation of each pair; None below 3 rows or for a constant."""
        scale = np.sqrt(self.squares) * np.sqrt(self.squares.T)
        known = (self.pairs >= 3) & (scale > 0)
        r = np.clip(np.divide(self.products, scale, out=np.zeros_like(scale), where=known), -1.0, 1.0)
        np.fill_diagonal(r, 1.0)
        cells = np.where(known, r, np.nan).tolist()
        return Correlation(
            columns=tuple(columns),
            r=tuple(tuple(None if math.isnan(cell) else cell for cell in row) for row in cells),
            pairs=tuple(map(tuple, self.pairs.tolist())),
            skipped=tuple(skipped),
        )


def _chunk(
    columns: Sequence[NumberColumn], exponents: Ints, partial: Sequence[int], start: int, stop: int
) -> tuple[Floats, Floats]:
    """Distances from the pivots, 0 where invalid, and the masks of the columns that have gaps."""
    x = np.empty((len(columns), stop - start))
    valid = np.empty((len(partial), stop - start))
    for i, column in enumerate(columns):
        numbers = column.numbers[start:stop]
        if column.valid is not None:
            mask = column.valid[start:stop]
            numbers = np.where(mask, numbers, numbers.dtype.type(column.pivot))
            valid[partial.index(i)] = mask
        if int(exponents[i]) in (0, _NO_REACH) and abs(column.pivot) + column.reach < _EXACT:
            x[i] = numbers
            x[i] -= column.pivot
        else:
            x[i] = centred(numbers, column.pivot, int(exponents[i]))
    return x, valid


def _pivots(own: PairMoments, other: PairMoments) -> tuple[int | float, ...]:
    """The pivots of `own`; those of `other` for columns of which `own` has seen no number yet."""
    seen = np.diagonal(own.pairs).tolist()
    return tuple(p if n else q for p, q, n in zip(own.pivots, other.pivots, seen, strict=True))


def _exponent(reach: float) -> int:
    """Exponent of the unit for distances up to `reach`: 0 unless their squares would leave the floats."""
    if not reach:
        return _NO_REACH
    exponent = math.frexp(reach)[1] if math.isfinite(reach) else 1025
    return exponent if abs(exponent) > _SAFE else 0


def _gap(a: int | float, b: int | float, exponent: int) -> float:
    """(b - a) / 2**exponent, infinite past the range of a float."""
    try:
        if isinstance(a, int) and isinstance(b, int):
            return math.ldexp(b - a, -exponent)
        if exponent > 200:
            return math.ldexp(b, -exponent) - math.ldexp(a, -exponent)
        return math.ldexp(b - a, -exponent)
    except OverflowError:
        return math.inf


@dataclass(frozen=True, slots=True)
class NullPairs:
    """Rows where two columns are null together, over the columns that have nulls."""

    places: tuple[int, ...]
    """Positions of the columns in the table, ascending."""
    together: Ints
    """Square; shape (places, places)."""
    rows_all: int = 0
    rows_any: int = 0

    @classmethod
    def of(cls, nulls: dict[int, Mask], columns: int, rows: int, limit: int) -> NullPairs:
        """From the null masks, by position, of the columns of a block that have nulls."""
        places = tuple(place for place in sorted(nulls) if place < limit)
        together = np.zeros((len(places), len(places)), np.int64)
        if not nulls:
            return cls((), together)
        everywhere, anywhere = np.full(rows, len(nulls) == columns), np.zeros(rows, np.bool_)
        for mask in nulls.values():
            anywhere |= mask
            everywhere &= mask
        for start in range(0, rows, _CHUNK):
            masks = np.array([nulls[place][start : start + _CHUNK] for place in places], np.float32)
            if len(places):
                together += (masks @ masks.T).astype(np.int64)
        return cls(places, together, int(everywhere.sum()), int(anywhere.sum()))

    def merge(self, other: NullPairs) -> NullPairs:
        """Both together."""
        places = tuple(sorted({*self.places, *other.places}))
        at = {place: i for i, place in enumerate(places)}
        together = np.zeros((len(places), len(places)), np.int64)
        for side in (self, other):
            rows = [at[place] for place in side.places]
            together[np.ix_(rows, rows)] += side.together
        return NullPairs(places, together, self.rows_all + other.rows_all, self.rows_any + other.rows_any)

    def finish(self, names: Sequence[str], nulls: Sequence[int], limit: int) -> Missingness:
        """The matrix of the first `limit` columns that have nulls."""
        shown = self.places[:limit]
        return Missingness(
            columns=tuple(names[place] for place in shown),
            together=tuple(map(tuple, self.together[: len(shown), : len(shown)].tolist())),
            skipped=tuple(names[place] for place, count in enumerate(nulls) if count and place not in set(shown)),
            rows_all_null=self.rows_all,
            rows_any_null=self.rows_any,
        )
