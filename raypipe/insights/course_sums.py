"""What is added up over time: whole buckets at the finest unit that is kept, and the instants themselves while few."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raypipe.insights.calendar import BUCKETS, Bucket, IntArray, bucket_ids, bucket_starts, hours, to_local, weekdays

if TYPE_CHECKING:
    from raypipe.insights.timeline import CourseOverTime

FloatArray = NDArray[np.float64]
MAX_INSTANTS = 20_000
"""Distinct instants up to which each is kept, so that steps, gaps and repeats in time are exact."""


@dataclass
class Instants:
    """Distinct instants, ascending, in microseconds of UTC, and the rows of each; none of them past `MAX_INSTANTS`."""

    at: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    rows: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    many: bool = False
    """Whether there were too many to keep."""

    @classmethod
    def of(cls, at: IntArray) -> Instants:
        """The instants of these rows."""
        return cls(*np.unique(at, return_counts=True)).bounded()

    def add(self, other: Instants) -> Instants:
        """Of both, whatever the order."""
        if self.many or other.many:
            return Instants(many=True)
        both = np.concatenate([self.at, other.at])
        at, place = np.unique(both, return_inverse=True)
        rows = np.bincount(place, np.concatenate([self.rows, other.rows]), len(at)).astype(np.int64)
        return Instants(at, rows).bounded()

    def bounded(self) -> Instants:
        """These, or only that there are too many. A union is never smaller than its parts, so cuts change nothing."""
        return Instants(many=True) if len(self.at) > MAX_INSTANTS else self


@dataclass
class CourseSums:
    """One summary: whole buckets by number, ascending, and what fell into them."""

    ids: IntArray
    """Buckets with rows, at the stage's unit `fine`."""
    sums: FloatArray
    """Of shape (buckets, 1 + 3 series): rows, then finite values, their sum and sum of squares for each series."""
    week_hours: FloatArray
    """Of shape (168, 4): rows, target values, their sum and sum of squares, by hour of the week from Monday 00:00."""
    instants: Instants
    outside: int = 0
    unknown: int = 0

    def add(self, other: CourseSums) -> CourseSums:
        """Of the rows of both."""
        ids, sums = add_keyed(self.ids, self.sums, other.ids, other.sums)
        return CourseSums(
            ids,
            sums,
            self.week_hours + other.week_hours,
            self.instants.add(other.instants),
            self.outside + other.outside,
            self.unknown + other.unknown,
        )

    def at(self, fine: Bucket, unit: Bucket, zone: str) -> tuple[IntArray, FloatArray]:
        """The same at a coarser unit."""
        if unit == fine:
            return self.ids, self.sums
        starts = bucket_starts(self.ids, fine)
        if is_clock(fine) and not is_clock(unit):
            starts = to_local(starts, zone)
        return regroup(bucket_ids(starts, unit), self.sums)


@dataclass(frozen=True, eq=False)
class Course:
    """What the pass over the rows hands on for the analysis of time series."""

    stage: CourseOverTime
    sums: CourseSums

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Course)
            and self.stage == other.stage
            and np.array_equal(self.sums.ids, other.sums.ids)
            and np.array_equal(self.sums.sums, other.sums.sums)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash


def is_clock(unit: Bucket) -> bool:
    """Whether a bucket of this unit is a stretch of UTC time; from days on it is one of the local calendar."""
    return BUCKETS.index(unit) < BUCKETS.index("day")


def by_key(keys: IntArray, values: list[FloatArray]) -> tuple[IntArray, FloatArray]:
    """Rows, and finite values, their sum and sum of squares for each of `values`, by key."""
    if not len(keys):
        return np.zeros(0, np.int64), np.zeros((0, 1 + 3 * len(values)))
    low = int(keys.min())
    codes = keys - low
    columns = [np.bincount(codes).astype(float)]
    size = len(columns[0])
    for value in values:
        finite = np.isfinite(value)
        code, known = codes[finite], value[finite]
        with np.errstate(over="ignore"):
            columns += [
                np.bincount(code, minlength=size).astype(float),
                np.bincount(code, known, size),
                np.bincount(code, known * known, size),
            ]
    table = np.stack(columns, axis=1)
    seen = np.flatnonzero(table[:, 0])
    return seen + low, table[seen]


def regroup(keys: IntArray, sums: FloatArray) -> tuple[IntArray, FloatArray]:
    """Rows of `sums` with equal, ascending keys added up."""
    if not len(keys):
        return keys, sums
    first = np.flatnonzero(np.concatenate([[True], np.diff(keys) != 0]))
    return keys[first], np.add.reduceat(sums, first, axis=0)


def by_week_hour(at: IntArray, target: FloatArray) -> FloatArray:
    """Rows, target values, their sum and sum of squares by hour of the week."""
    codes = weekdays(at) * 24 + hours(at)
    finite = np.isfinite(target)
    known, values = codes[finite], target[finite]
    columns = (
        np.bincount(codes, minlength=168),
        np.bincount(known, minlength=168),
        np.bincount(known, values, 168),
        np.bincount(known, values * values, 168),
    )
    return np.stack([column.astype(float) for column in columns], axis=1)


def add_keyed(a: IntArray, x: FloatArray, b: IntArray, y: FloatArray) -> tuple[IntArray, FloatArray]:
    """Tables of two sorted lists of keys, added up by key."""
    keys = np.union1d(a, b)
    out = np.zeros((len(keys), x.shape[1]))
    out[np.searchsorted(keys, a)] += x
    out[np.searchsorted(keys, b)] += y
    return keys, out
