"""Which keys and dependencies may hold: everything that the sample of rows does not refute, within stated bounds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from raypipe.blocks.arrays import Counts, Hashes, Ints
from raypipe.blocks.hashing import hash_rows
from raypipe.blocks.runs import starts_of_runs
from raypipe.etl.infer.evidence import InferLimits
from raypipe.etl.infer.samples import RowSample

_HLL_ERRORS = 4 * 1.04 / 128
"""Four standard errors of the distinct counts of a profile."""
MAX_ERROR = 0.02
"""Largest share of exceptions (g3) that a dependency is reported with."""
MAX_PAIR_ERROR = 0.002
"""The same with two columns on the left, which fit by chance more easily."""
_FIRST_ROWS = 1024
_CHANCE = 3
"""Pairs of rows that would share the values of a composite key if its columns had nothing to do with each other, at
least: with fewer it may hold by chance (odds of e⁻³)."""
_GAIN = 0.1
"""A dependency's exceptions must be at most this share of those of always guessing the most frequent value."""
_INFORMATIVE = 20
"""Rows that would have broken the dependency if the two sides had nothing to do with each other, at least."""


Pair = tuple[tuple[str, ...], str]
"""Left side and right side of a dependency."""


@dataclass(frozen=True, slots=True)
class ColumnCount:
    """What the search knows of a column."""

    place: int
    """In the cells of the sample."""
    name: str
    nulls: int
    distinct: int
    exact: bool
    whole: bool
    """Text, whole numbers, dates: values that may be keys; measured numbers are not tried."""
    once: bool = True
    """Whether no value of its sample stands twice."""
    likely: int = 0
    """How much its meaning speaks for a key; higher is tried first."""

    @property
    def at_most(self) -> float:
        """Upper bound of the distinct values."""
        return self.distinct if self.exact else self.distinct * (1 + _HLL_ERRORS)


@dataclass(frozen=True)
class Candidates:
    """What is to be checked against every row."""

    keys: tuple[tuple[str, ...], ...] = ()
    dependencies: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out for its cost."""


def single_keys(columns: Sequence[ColumnCount], sample: RowSample, rows: int, limits: InferLimits) -> Candidates:
    """Columns without nulls whose distinct count may reach the count of rows."""
    if not rows:
        return Candidates()
    may = [c for c in columns if may_be_key(c, sample, rows)]
    may.sort(key=lambda column: (-column.likely, column.place))
    notes = _left_out("columns that may be keys", len(may), limits.candidates)
    return Candidates(tuple((column.name,) for column in may[: limits.candidates]), notes=notes)


def composite_keys(
    columns: Sequence[ColumnCount], sample: RowSample, rows: int, width: int, tried: Collection[tuple[str, ...]],
    limits: InferLimits,
) -> Candidates:  # fmt: skip
    """Pairs or triples of `columns` that no two sampled rows share, without those that were tried before.

    Left out are those whose values are so many that no two rows would share them by chance either.
    """
    if (sample.counts > 1).any():  # a row stands twice, so that no columns of it are a key
        return Candidates()
    able = [c for c in columns if c.whole and not c.nulls and c.distinct > 1]
    able.sort(key=lambda column: (-column.likely, -column.distinct, column.place))
    likeliest = sorted(able[: limits.key_columns], key=lambda column: column.place)
    notes = _left_out("columns for composite keys", len(able), limits.key_columns)
    found = []
    for group in combinations(likeliest, width):
        names = tuple(column.name for column in group)
        cells = float(np.prod([column.at_most for column in group]))
        enough = cells >= rows and rows * (rows - 1) / 2 >= _CHANCE * cells
        if enough and names not in tried and _unique(_together(sample, group)):
            found.append((sum(column.likely for column in group), names))
    found.sort(key=lambda one: -one[0])
    notes += _left_out(f"composite keys of {width} columns", len(found), limits.candidates)
    return Candidates(tuple(names for _, names in found[: limits.candidates]), notes=notes)


def dependencies(
    columns: Sequence[ColumnCount], sample: RowSample, rows: int, keys: Sequence[tuple[str, ...]], limits: InferLimits
) -> Candidates:
    """Dependencies that the sampled rows bear out, trivial ones left out.

    Trivial are those of a constant, on a key, and those whose left side nearly never repeats.
    """
    singles = {key[0] for key in keys if len(key) == 1}
    able = [c for c in columns if 1 < c.distinct <= rows / 2 and c.name not in singles and c.whole]
    able.sort(key=lambda column: (column.distinct, column.place))
    tried = able[: limits.dependency_columns]
    notes = _left_out("columns for dependencies", len(able), limits.dependency_columns)
    found: dict[Pair, float] = {((a.name,), b.name): error for a, b, error in _single(tried, sample)}
    pairs = sorted(tried, key=lambda column: (-column.likely, -column.distinct, column.place))[: limits.pair_columns]
    notes += _left_out("columns for pairs on the left of dependencies", len(tried), limits.pair_columns)
    found |= dict(_pairs(pairs, tried, sample, set(found)))
    best = sorted(found, key=lambda pair: (len(pair[0]), found[pair]))
    notes += _left_out("dependencies", len(best), limits.candidates)
    return Candidates(dependencies=tuple(best[: limits.candidates]), notes=notes)


def _single(tried: Sequence[ColumnCount], sample: RowSample) -> Iterator[tuple[ColumnCount, ColumnCount, float]]:
    sides = {column.place: _codes(sample.cells[:, column.place]) for column in tried}
    for left in tried:
        for right in tried:
            if right is not left and right.distinct * (1 - _HLL_ERRORS) <= left.at_most:
                error = _error(sides[left.place], sides[right.place], sample.counts, MAX_ERROR)
                if error is not None:
                    yield left, right, error


def _pairs(
    lefts: Sequence[ColumnCount], rights: Sequence[ColumnCount], sample: RowSample, shorter: set[Pair],
) -> Iterator[tuple[Pair, float]]:  # fmt: skip
    """Dependencies on two columns that hold in the sample nearly without exception, and on neither alone."""
    sides = {column.place: _codes(sample.cells[:, column.place]) for column in rights}
    for a, b in combinations(sorted(lefts, key=lambda column: column.place), 2):
        if ((a.name,), b.name) in shorter or ((b.name,), a.name) in shorter:
            continue
        left = _codes(_together(sample, (a, b)))
        for right in rights:
            known = {((a.name,), right.name), ((b.name,), right.name)} & shorter
            if right.name in (a.name, b.name) or known:
                continue
            error = _error(left, sides[right.place], sample.counts, MAX_PAIR_ERROR)
            if error is not None:
                yield ((a.name, b.name), right.name), error


def _codes(hashes: Hashes) -> Ints:
    """Values numbered from 0; −1 stands for null."""
    _, codes = np.unique(hashes, return_inverse=True)
    numbered: Ints = np.where(hashes == 0, -1, codes)
    return numbered


def _error(left: Ints, right: Ints, counts: Counts, most: float) -> float | None:
    """g3 of the sample; None where it does not bear the dependency out. A few rows refute most of them."""
    for rows in (_FIRST_ROWS, len(left)):
        a, b, weights = left[:rows], right[:rows], counts[:rows]
        held = (a >= 0) & (b >= 0)
        a, b, weights = a[held], b[held], weights[held]
        if not len(a):
            continue
        width = int(b.max()) + 1
        pairs, place = np.unique(a * width + b, return_inverse=True)
        groups, summed = pairs // width, np.bincount(place, weights).astype(np.int64)
        if g3(groups, summed) > 5 * most:
            return None
    return borne_out(groups, summed, np.bincount(b, weights).astype(np.int64), most) if len(a) else None


def g3(groups: Ints | Hashes, counts: Counts) -> float:
    """Share of rows to take away so that each group has one value; groups stand in order.

    References
    ----------
    Kivinen, Mannila (1995), Approximate inference of functional dependencies from relations.
    """
    starts = starts_of_runs(groups)
    return 1.0 - int(np.maximum.reduceat(counts, starts).sum()) / int(counts.sum())


def borne_out(groups: Ints | Hashes, counts: Counts, rights: Counts, most: float) -> float | None:
    """g3 from the counts of pairs; None where exceptions are too many, or it might hold by chance.

    Parameters
    ----------
    groups : array
        Left side of each pair, ascending.
    counts : array
        Rows of each pair.
    rights : array
        Rows of each value of the right side.
    most : float
        Largest g3.
    """
    rows = int(counts.sum())
    if not rows:
        return None
    error = g3(groups, counts)
    guess = 1.0 - int(rights.max()) / rows
    diverse = 1.0 - float(((rights / rows) ** 2).sum())
    repeats = rows - len(np.unique(groups))
    return None if error > min(most, _GAIN * guess) or repeats * diverse < _INFORMATIVE else error


def may_be_key(column: ColumnCount, sample: RowSample, rows: int) -> bool:
    """Whether nothing speaks against a column being a key by itself."""
    fits = column.whole and column.once and not column.nulls and column.at_most >= rows
    return fits and not (sample.counts > 1).any() and _unique(sample.cells[:, column.place])


def _unique(hashes: Hashes) -> bool:
    return len(np.unique(hashes)) == len(hashes)


def _together(sample: RowSample, group: Sequence[ColumnCount]) -> Hashes:
    """Hash of the cells of several columns; 0 where one is null."""
    cells = [np.ascontiguousarray(sample.cells[:, column.place]) for column in group]
    hashes = hash_rows(cells, len(sample.hashes))
    hashes[np.any([column == 0 for column in cells], axis=0)] = 0
    return hashes


def _left_out(what: str, there: int, limit: int) -> tuple[str, ...]:
    return (f"{there:,} {what}, of which the {limit:,} likeliest were tried",) if there > limit else ()


def merged(found: Sequence[Candidates]) -> Candidates:
    """All of them together."""
    return Candidates(
        tuple(key for one in found for key in one.keys),
        tuple(pair for one in found for pair in one.dependencies),
        tuple(dict.fromkeys(note for one in found for note in one.notes)),
    )
