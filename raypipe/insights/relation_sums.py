"""Sums behind the relations to the target: what one block gives, and how two of them add up.

Every row carries a payload of `width` figures into the bin or level that it falls into. Regression: 1, v and v
squared, with v the standardised target. Classification: one figure a class, 1 for the row's own. So both tasks share
one layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raypipe.blocks.frames import numbers_in, to_series
from raypipe.blocks.hashing import hash_values, places_among
from raypipe.blocks.runs import distinct_in
from raypipe.insights.bins import NumberPlan, bin_codes
from raypipe.insights.cells import Numbers, both, picked

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Levels = dict[str, FloatArray]
Codes = tuple[IntArray, list[str]]

MAX_TRACKED = 500
"""Levels, or classes, that a summary holds at most. Whether the union of all blocks passes it does not depend on the
order of merges, so neither does the result."""
OTHER = "(other)"
_HEAD, _FEW = 16_384, 16
"""Rows that are looked at to see whether there are few texts, and how many are few."""


@dataclass
class RelationSums:
    """One summary. The last axis of every array but the regression's `pairs` is the payload."""

    rows: int = 0
    classes: list[str] = field(default_factory=list)
    """Empty for regression."""
    target: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Shape (width,)."""
    pairs: list[FloatArray] = field(default_factory=list)
    """A number column each. Regression: n, u, v, uu, vv, uv, of shape (6,). Classification: n, u, uu, of shape
    (3, classes)."""
    bins: list[FloatArray] = field(default_factory=list)
    """A number column each, of shape (bins, width)."""
    levels: list[Levels | None] = field(default_factory=list)
    """A category column each: level -> shape (width,); None past `MAX_TRACKED` levels."""
    too_many_classes: bool = False


def encode(text: pa.Array) -> Codes | None:
    """A code for each row (-1 for null) and the texts behind the codes; None past `MAX_TRACKED` texts."""
    few = _encode_few(text)
    if few is not None:
        return few
    encoded = text.dictionary_encode()
    if len(encoded.dictionary) > MAX_TRACKED:
        return None
    codes = numbers_in(pc.fill_null(encoded.indices, -1)).astype(np.int64)
    return codes, encoded.dictionary.to_pylist()


def _encode_few(text: pa.Array) -> Codes | None:
    """The same where there seem to be few texts, by their hashes, in a third of the time; None where there are more."""
    if text.null_count or len(text) < _HEAD:
        return None
    hashes = hash_values(to_series(pa.chunked_array([text])))
    few = distinct_in(hashes[:_HEAD])
    if len(few) > _FEW:
        return None
    places = places_among(hashes, few)
    if places.min() < 0:
        return None
    first = np.array([int((places == place).argmax()) for place in range(len(few))])
    # In the order in which they come, as a dictionary has them.
    order = np.argsort(first)
    return np.argsort(order)[places], [text[int(row)].as_py() for row in first[order]]


def standardise(values: FloatArray, center: float, scale: float) -> FloatArray:
    """(values - center) / scale, by halves: the difference of two huge values of opposite sign would overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return (values / 2 - center / 2) / (scale / 2)


def sum_regression(
    target: Numbers, numbers: Sequence[tuple[NumberPlan, Numbers]], categories: Sequence[Codes | None]
) -> RelationSums:
    """Sums of one block whose standardised target is `target`."""
    goal = picked(target.values, target.finite)
    out = RelationSums(rows=len(goal), target=_moments(np.zeros(len(goal), np.int64), goal, 1)[0])
    for plan, column in numbers:
        rows = both(target.finite, column.finite)
        x, v = picked(column.values, rows), picked(target.values, rows)
        u = standardise(x, plan.center, plan.scale)
        table = _moments(bin_codes(x, plan.edges), v, len(plan.labels))
        n, sum_v, sum_vv = table.sum(axis=0)
        out.pairs.append(np.array([n, u.sum(), sum_v, _product(u, u), sum_vv, _product(u, v)]))
        out.bins.append(table)
    for category in categories:
        if category is None:
            out.levels.append(None)
            continue
        codes, names = category
        rows = both(target.finite, _placed(codes))
        table = _moments(picked(codes, rows), picked(target.values, rows), len(names))
        out.levels.append(_bounded({name: row for name, row in zip(names, table, strict=True) if row[0]}))
    return out


def sum_classes(
    target: Codes | None, numbers: Sequence[tuple[NumberPlan, Numbers]], categories: Sequence[Codes | None]
) -> RelationSums:
    """Sums of one block whose class codes (-1: unknown) and class names are `target`; None: too many classes."""
    if target is None:
        return RelationSums(too_many_classes=True)
    codes, classes = target
    known, k = _placed(codes), len(classes)
    goal = picked(codes, known)
    out = RelationSums(rows=len(goal), classes=classes, target=_count(goal, k).astype(float))
    for plan, column in numbers:
        rows = both(known, column.finite)
        x, y = picked(column.values, rows), picked(codes, rows)
        u = standardise(x, plan.center, plan.scale)
        out.pairs.append(_moments(y, u, k).T)
        out.bins.append(_table(bin_codes(x, plan.edges), y, (len(plan.labels), k)))
    for category in categories:
        if category is None:
            out.levels.append(None)
            continue
        level_codes, names = category
        rows = both(known, _placed(level_codes))
        table = _table(picked(level_codes, rows), picked(codes, rows), (len(names), k))
        out.levels.append(_bounded({name: row for name, row in zip(names, table, strict=True) if row.any()}))
    return out


def _placed(codes: IntArray) -> BoolArray | None:
    """Rows that have a code; None where all do."""
    known = codes >= 0
    return None if known.all() else known


def _product(a: FloatArray, b: FloatArray) -> float:
    """The sum of the products; unlike a product of BLAS it does not depend on the number of threads."""
    return float(np.einsum("i,i->", a, b))


def _count(codes: IntArray, size: int) -> IntArray:
    return np.bincount(codes, minlength=size)[:size]


def _table(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> FloatArray:
    """Contingency table of two codes."""
    return _count(rows * shape[1] + columns, shape[0] * shape[1]).reshape(shape).astype(float)


def _moments(codes: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Rows, sum and sum of squares of `values` by code, of shape (size, 3)."""
    weights = (None, values, values * values)
    return np.stack([np.bincount(codes, w, size)[:size].astype(float) for w in weights], axis=1)


def _bounded(levels: Levels) -> Levels | None:
    return levels if len(levels) <= MAX_TRACKED else None


def add_sums(a: RelationSums, b: RelationSums) -> RelationSums:
    """The sums over the rows of both."""
    if a.too_many_classes or b.too_many_classes:
        return RelationSums(too_many_classes=True)
    if a.classes != b.classes:
        union = a.classes + [name for name in b.classes if name not in set(a.classes)]
        if len(union) > MAX_TRACKED:
            return RelationSums(too_many_classes=True)
        a, b = _over(a, union), _over(b, union)
    return RelationSums(
        rows=a.rows + b.rows,
        classes=a.classes,
        target=a.target + b.target,
        pairs=[x + y for x, y in zip(a.pairs, b.pairs, strict=True)],
        bins=[x + y for x, y in zip(a.bins, b.bins, strict=True)],
        levels=[_add_levels(x, y) for x, y in zip(a.levels, b.levels, strict=True)],
    )


def _add_levels(a: Levels | None, b: Levels | None) -> Levels | None:
    if a is None or b is None:
        return None
    return _bounded({**a, **{name: a[name] + row if name in a else row for name, row in b.items()}})


def _over(sums: RelationSums, classes: list[str]) -> RelationSums:
    """The same sums with their last axis laid out over `classes`."""
    place = {name: i for i, name in enumerate(classes)}
    index = np.array([place[name] for name in sums.classes], dtype=np.intp)

    def spread(array: FloatArray) -> FloatArray:
        out = np.zeros((*array.shape[:-1], len(classes)))
        out[..., index] = array
        return out

    levels = [None if level is None else {name: spread(row) for name, row in level.items()} for level in sums.levels]
    return RelationSums(
        sums.rows, classes, spread(sums.target), [spread(p) for p in sums.pairs], [spread(b) for b in sums.bins], levels
    )
