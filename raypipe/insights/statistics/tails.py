"""The ends of number columns, counted on every row: values outside of bounds, and the most extreme with their row."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.blocks.frames import row_numbers
from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.config import Frozen
from raypipe.insights.cells import Numbers, numbers_of
from raypipe.insights.facts import looks_like_id
from raypipe.stage import ReduceStage, require

Floats = NDArray[np.float64]
Place = tuple[float, str, int]
"""Value, part and row."""

WHISKER, Z_LIMIT = 1.5, 3.0
EXTREMES = 5
FIRST = 10
MAX_COLUMNS = 500
_ALL_ROWS = 2_000
"""Values up to which every one may be an extreme; past that, only those beyond the outer percents."""


class Ends(Frozen):
    """Where the ends of one column begin."""

    column: str
    iqr: tuple[float, float] | None = None
    """Tukey's fences."""
    z: tuple[float, float] | None = None
    """Three standard deviations from the mean."""
    outer: tuple[float, float] | None = None
    """Values up to the first and from the second on are looked at for extremes; None: all."""

    @property
    def inner(self) -> tuple[float, float]:
        """All that is asked for lies at or outside of these."""
        if self.outer is None:
            return np.inf, -np.inf
        limits = [bound for bound in (self.iqr, self.z, self.outer) if bound]
        return max(low for low, _ in limits), min(high for _, high in limits)


@dataclass
class Tail:
    """What was found at the ends of one column."""

    values: int = 0
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rule -> values below and above its bounds."""
    first: dict[str, list[float]] = field(default_factory=dict)
    lowest: list[Place] = field(default_factory=list)
    highest: list[Place] = field(default_factory=list)


class CountTails(ReduceStage):
    """Outliers and extremes of number columns over all rows; blocks pass through unchanged."""

    ends: tuple[Ends, ...] = ()

    @property
    def reads(self) -> frozenset[str]:
        return frozenset(one.column for one in self.ends)

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *(one.column for one in self.ends), by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> list[Tail]:
        rows = row_numbers(block)
        return [_tail(one, numbers_of(block, one.column), part, rows) for one in self.ends]

    def merge(self, a: list[Tail], b: list[Tail]) -> list[Tail]:
        return [_merged(x, y) for x, y in zip(a, b, strict=True)]

    def finish(self, state: list[Tail] | None) -> dict[str, Tail]:
        return {one.column: tail for one, tail in zip(self.ends, state or (), strict=False)}


def plan_tails(profile: Profile) -> CountTails:
    """The stage that counts at the ends of each number column of the profile that measures something."""
    columns = [column for column in profile.columns if column.kind == "number" and not looks_like_id(column)]
    planned = [ends_of(column) for column in columns[:MAX_COLUMNS]]
    return CountTails(ends=tuple(one for one in planned if one is not None))


def ends_of(column: ColumnProfile) -> Ends | None:
    """The bounds that the profile gives a column; None without finite values."""
    number = column.number
    if number is None or not number.finite or number.quantiles is None:
        return None
    q01, q1, q3, q99 = (number.quantiles.at(p) for p in (0.01, 0.25, 0.75, 0.99))
    fences = bounds(q1, q3, WHISKER * (q3 - q1)) if q1 is not None and q3 is not None else None
    z = bounds(number.mean, number.mean, Z_LIMIT * number.std) if number.mean is not None and number.std else None
    outer = (q01, q99) if q01 is not None and q99 is not None and number.finite > _ALL_ROWS else None
    return Ends(column=column.name, iqr=fences, z=z, outer=outer)


def bounds(low: float, high: float, reach: float) -> tuple[float, float] | None:
    """The range widened by `reach` on either side; None where that is past the range of a float."""
    found = low - reach, high + reach
    return found if all(map(math.isfinite, found)) else None


def _tail(ends: Ends, numbers: Numbers, part: str, rows: NDArray[np.int64]) -> Tail:
    low, high = ends.inner
    outer = (numbers.values <= low) | (numbers.values >= high)
    at = np.flatnonzero(outer if numbers.finite is None else outer & numbers.finite)
    found = numbers.values[at]
    tail = Tail(values=numbers.count)
    for name, bound in (("iqr", ends.iqr), ("z_score", ends.z)):
        if bound is not None:
            below, above = found < bound[0], found > bound[1]
            tail.counts[name] = int(below.sum()), int(above.sum())
            tail.first[name] = found[below | above][:FIRST].tolist()
    for sign, kept_in in ((1.0, tail.lowest), (-1.0, tail.highest)):
        kept_in += [(float(found[i]), part, int(rows[at[i]])) for i in _smallest(sign * found)]
    return tail


def _smallest(values: Floats) -> list[int]:
    """Places of the few smallest, the first of equals first."""
    if len(values) > EXTREMES:
        limit = np.partition(values, EXTREMES - 1)[EXTREMES - 1]
        below = np.flatnonzero(values < limit)
        places = np.concatenate((below, np.flatnonzero(values == limit)[: EXTREMES - len(below)]))
    else:
        places = np.arange(len(values))
    ordered: list[int] = places[np.lexsort((places, values[places]))].tolist()
    return ordered


def _merged(a: Tail, b: Tail) -> Tail:
    names = {**a.counts, **b.counts}
    none = (0, 0)
    pairs = {name: (a.counts.get(name, none), b.counts.get(name, none)) for name in names}
    return Tail(
        values=a.values + b.values,
        counts={name: (x[0] + y[0], x[1] + y[1]) for name, (x, y) in pairs.items()},
        first={name: [*a.first.get(name, []), *b.first.get(name, [])][:FIRST] for name in names},
        # Sorting keeps the order of equals, which is that of the source.
        lowest=sorted([*a.lowest, *b.lowest], key=lambda place: place[0])[:EXTREMES],
        highest=sorted([*a.highest, *b.highest], key=lambda place: -place[0])[:EXTREMES],
    )
