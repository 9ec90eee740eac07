"""The share of values below any point, as a profile tells it, and the distances between two such courses.

A profile keeps a histogram, seven quantiles and the most frequent values. Between them the share is interpolated, and
bounded: what the error of a sketch or the inside of a bin leaves open is told as the least that a distance can be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from raypipe.blocks.profile import ColumnProfile, Histogram, NumberSummary, Quantiles

FloatArray = npt.NDArray[np.float64]

MIN_BIN_SHARE = 0.05
"""Neighbouring bins are joined until each holds so much of both sides together."""


@dataclass(frozen=True)
class Distance:
    """How far two distributions lie apart."""

    value: float
    least: float
    """What it is at the least, whatever the profiles leave open."""


@dataclass(frozen=True)
class Cumulative:
    """What a profile tells of the finite numbers of one column."""

    number: NumberSummary
    edges: FloatArray
    reached: FloatArray
    """Share of values below each edge."""
    error: float
    """By how much each of those may be off."""
    atoms: FloatArray
    """Frequent values, ascending."""
    masses: FloatArray
    """At least this share of the values is just that."""

    @classmethod
    def of(cls, column: ColumnProfile) -> Self | None:
        """From a profile; None where it has no finite number, or no histogram."""
        number = column.number
        histogram = number.histogram if number else None
        if number is None or not number.finite or histogram is None or not sum(histogram.counts):
            return None
        atoms, masses = _atoms(column, number)
        return cls(number, np.asarray(histogram.edges), _reached(histogram), histogram.rank_error, atoms, masses)

    @property
    def points(self) -> FloatArray:
        """Where it knows something: edges, quantiles, and both sides of the frequent values."""
        jumps = np.concatenate([self.atoms, [self.number.min or 0.0, self.number.max or 0.0]])
        return np.concatenate([self.cuts, jumps, np.nextafter(jumps, math.inf)])

    @property
    def cuts(self) -> FloatArray:
        """Edges and quantiles."""
        known = self.number.quantiles.values.values() if self.number.quantiles else ()
        return np.concatenate([self.edges, list(known)])

    def below(self, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The share of values below each point: an estimate, the least and the most that it can be."""
        bins = np.clip(np.searchsorted(self.edges, points, side="right") - 1, 0, len(self.edges) - 2)
        left, right = self.edges[bins], self.edges[bins + 1]
        here, start, end = (self._massed(at) for at in (points, left, right))
        low = self.reached[bins] + (here - start) - self.error
        high = self.reached[bins + 1] - (end - here) + self.error
        low, high = self._held(points, low, np.maximum(high, low))
        return np.clip(here + self._rest(points), low, high), low, high

    def _rest(self, points: FloatArray) -> FloatArray:
        """Share below each point of what is no frequent value: on lines between edges and quantiles."""
        known = [(value, p) for p, value, _ in _quantiles(self.number.quantiles, self.number.finite)]
        free = [pair for pair in known if pair[0] not in self.atoms]
        at = np.concatenate([self.edges, [value for value, _ in free]])
        reached = np.concatenate([self.reached, [p for _, p in free]]) - self._massed(at)
        order = np.argsort(at, kind="stable")
        return np.interp(points, at[order], np.maximum.accumulate(np.maximum(reached[order], 0.0)))

    def _massed(self, points: FloatArray) -> FloatArray:
        """Share of the frequent values below each point."""
        return np.concatenate([[0.0], np.cumsum(self.masses)])[np.searchsorted(self.atoms, points, side="left")]

    def _held(self, points: FloatArray, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The bounds, made narrower by the quantiles and the ends."""
        for probability, value, error in _quantiles(self.number.quantiles, self.number.finite):
            low = np.where(points > value, np.maximum(low, probability - error), low)
            high = np.where(points <= value, np.minimum(high, probability + error), high)
        least, most = self.number.min or 0.0, self.number.max or 0.0
        low = np.where(points > most, 1.0, np.where(points <= least, 0.0, low))
        high = np.where(points > most, 1.0, np.where(points <= least, 0.0, high))
        return np.clip(np.minimum(low, high), 0.0, 1.0), np.clip(high, 0.0, 1.0)


def kolmogorov(a: Cumulative, b: Cumulative) -> Distance:
    """Kolmogorov-Smirnov distance: the largest gap between the shares below any point."""
    points = np.union1d(a.points, b.points)
    (x, x_low, x_high), (y, y_low, y_high) = a.below(points), b.below(points)
    sure = np.maximum(x_low - y_high, y_low - x_high)
    return Distance(float(np.abs(x - y).max()), max(float(sure.max()), 0.0))


def middle_gap(a: Cumulative, b: Cumulative) -> float | None:
    """Mean gap between the shares below a point, over the middle 90 % of both; None where that is a single value.

    The largest gap is large, too, where many equal values move by a hair, such as a median that was filled in; this is
    not. Long tails do not make it small, as they do a distance in standard deviations.
    """
    ends = [(side.number.quantiles.at(p) if side.number.quantiles else None) for side in (a, b) for p in (0.05, 0.95)]
    known = [end for end in ends if end is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if not high > low or not math.isfinite(high - low):
        return None
    points = np.union1d(a.points, b.points)
    points = np.concatenate([[low], points[(points > low) & (points < high)], [high]])
    gaps = a.below(points)[0] - b.below(points)[0]
    return _area(gaps, np.diff(points) / (high - low))


def wasserstein(a: Cumulative, b: Cumulative) -> Distance | None:
    """Wasserstein-1 distance in pooled standard deviations; None where that is 0 or beyond what a float can hold.

    It is at least the distance of the means, which profiles tell exactly, and at least the area between the bounds.
    """
    spread = math.hypot(a.number.std or 0.0, b.number.std or 0.0) / math.sqrt(2)
    if not 0 < spread < math.inf or a.number.mean is None or b.number.mean is None:
        return None
    points = np.union1d(a.points, b.points)
    (x, x_low, x_high), (y, y_low, y_high) = a.below(points), b.below(points)
    # Between two points each share is at least that below the first, and at most that below the second.
    sure = np.maximum(np.maximum(x_low[:-1] - y_high[1:], y_low[:-1] - x_high[1:]), 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        widths = np.diff(points)
        value = _area(x - y, widths) / spread
        least = max(abs(a.number.mean - b.number.mean), float(np.sum(sure * widths))) / spread
    return Distance(max(value, least), least) if math.isfinite(value) and math.isfinite(least) else None


def common_bins(a: Cumulative, b: Cumulative) -> tuple[FloatArray, FloatArray]:
    """Rows of each side in the same bins, each of which holds some of both together."""
    points = np.union1d(a.cuts, b.cuts)
    reached = [np.maximum.accumulate(np.concatenate([[0.0], side.below(points)[0], [1.0]])) for side in (a, b)]
    middle, kept, held = (reached[0] + reached[1]) / 2, [0], 0.0
    for place in range(1, len(middle) - 1):
        if middle[place] - held >= MIN_BIN_SHARE and middle[-1] - middle[place] >= MIN_BIN_SHARE:
            kept.append(place)
            held = float(middle[place])
    kept.append(len(middle) - 1)
    first, second = (np.diff(side[kept]) * of.number.finite for side, of in zip(reached, (a, b), strict=True))
    return first, second


def _area(gaps: FloatArray, widths: FloatArray) -> float:
    """Area between a line through the gaps and 0."""
    one, two = gaps[:-1], gaps[1:]
    size = np.abs(one) + np.abs(two)
    crossed = (one * one + two * two) / np.maximum(2 * size, 1e-300)
    return float(np.sum(np.where(one * two < 0, crossed, size / 2) * widths))


def _reached(histogram: Histogram) -> FloatArray:
    counts = np.asarray(histogram.counts, np.float64)
    return np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])


def _quantiles(quantiles: Quantiles | None, rows: int) -> list[tuple[float, float, float]]:
    """Probability, value and error of each; a quantile lies between two values, hence one row more."""
    if quantiles is None:
        return []
    error = quantiles.rank_error + 1 / rows
    return [(float(p), value, error) for p, value in quantiles.values.items()]


def _atoms(column: ColumnProfile, number: NumberSummary) -> tuple[FloatArray, FloatArray]:
    """Frequent values of a column of numbers, and the share that each has at the least."""
    if column.kind != "number":
        return np.zeros(0), np.zeros(0)
    known = [(float(top.value), top.count / number.finite) for top in column.top]
    finite = sorted(pair for pair in known if math.isfinite(pair[0]))
    return np.array([value for value, _ in finite]), np.array([share for _, share in finite])
