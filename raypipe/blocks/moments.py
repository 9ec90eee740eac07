"""Count, mean and central moments up to the fourth, mergeable, for any finite numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raypipe.blocks.arrays import Array, Counts, Floats

_CHUNK = 8192
"""Stays in cache. From 10,000 numbers on OpenBLAS cuts a dot product among threads, which then spin for 30 ms: they
kept every core busy for nothing while one process made a profile."""
_SAFE = 200
"""Binary exponents within which the fourth power of a distance neither overflows nor underflows."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of `count` numbers around their mean, which is `pivot + offset * 2**exponent`.

    The pivot is one of the numbers, an exact int for integers, so that the mean of huge numbers keeps the digits that
    merging needs. `m2`, `m3`, `m4` are sums of powers of distances in units of 2**exponent, which is 0 but for
    numbers whose powers a float cannot hold.
    """

    count: int = 0
    pivot: int | float = 0
    offset: float = 0.0
    exponent: int = 0
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0

    @classmethod
    def of(cls, values: npt.ArrayLike, counts: Counts | None = None) -> Moments:
        """Moments of `values`, each taken `counts` times (once where that is None); all must be finite.

        Sorted values give the median as pivot and are read in one pass.

        Examples
        --------
        >>> Moments.of([1.0, 2.0, 3.0, 10.0]).mean
        4.0
        """
        numbers = np.asarray(values)
        if not len(numbers):
            return cls()
        if counts is None:
            pivot = numbers[len(numbers) // 2].item()
        else:
            reached = np.cumsum(counts)
            pivot = numbers[int(np.searchsorted(reached, reached[-1] // 2, side="right"))].item()
        low, high = numbers.min().item(), numbers.max().item()
        exponent = _band(max(_gap(low, pivot, 0), _gap(pivot, high, 0)))
        sums = _power_sums(numbers, counts, pivot, exponent)
        return cls._from_sums(pivot, exponent, sums)

    @classmethod
    def _from_sums(cls, pivot: int | float, exponent: int, sums: tuple[float, ...]) -> Moments:
        """Moments around the mean, from power sums around the pivot.

        A median lies within one standard deviation of the mean, so at most half of the digits of `s2` cancel once.
        """
        n, s1, s2, s3, s4 = sums
        d = s1 / n
        return cls(
            count=int(n),
            pivot=pivot,
            offset=d,
            exponent=exponent,
            m2=max(s2 - d * s1, 0.0),
            m3=s3 - 3 * d * s2 + 2 * n * d**3,
            m4=max(s4 - 4 * d * s3 + 6 * d * d * s2 - 3 * n * d**4, 0.0),
        )

    def merge(self, other: Moments) -> Moments:
        """Moments of both together, equal to one pass over both up to rounding.

        References
        ----------
        Chan, Golub, LeVeque (1979), updating formulae for sample variances; Pebay (2008), SAND2008-6212.
        """
        if not other.count:
            return self
        if not self.count:
            return other
        gap = _gap(self.pivot, other.pivot, 0)
        exponents = [state.exponent for state in (self, other) if state.m2 > 0]
        exponent = max([*exponents, _band(abs(gap))] if gap or not exponents else exponents)
        a, b = self._rescaled(exponent), other._rescaled(exponent)
        delta = _gap(a.pivot, b.pivot, exponent) + (b.offset - a.offset)
        n = a.count + b.count
        wa, wb = a.count / n, b.count / n
        m2 = a.m2 + b.m2 + delta**2 * a.count * wb
        m3 = a.m3 + b.m3 + delta**3 * a.count * wb * (wa - wb) + 3 * delta * (wa * b.m2 - wb * a.m2)
        m4 = (
            a.m4
            + b.m4
            + delta**4 * a.count * wb * (wa * wa - wa * wb + wb * wb)
            + 6 * delta**2 * (wa * wa * b.m2 + wb * wb * a.m2)
            + 4 * delta * (wa * b.m3 - wb * a.m3)
        )
        return Moments(n, a.pivot, a.offset + delta * wb, exponent, m2, m3, m4)

    def _rescaled(self, exponent: int) -> Moments:
        """The same in units of 2**exponent."""
        step = self.exponent - exponent
        if not step:
            return self
        m2, m3, m4 = (_shift(m, k * step) for m, k in ((self.m2, 2), (self.m3, 3), (self.m4, 4)))
        return Moments(self.count, self.pivot, _shift(self.offset, step), exponent, m2, m3, m4)

    @property
    def mean(self) -> float | None:
        """Arithmetic mean, None without values."""
        if not self.count:
            return None
        if not self.exponent:
            return self.pivot + self.offset
        return _shift(_shift(float(self.pivot), -self.exponent) + self.offset, self.exponent)

    @property
    def sum(self) -> float | None:
        """Sum of the values, None without values or past the range of a float."""
        if not self.count:
            return None
        try:
            total = float(self.pivot * self.count) + _shift(self.offset, self.exponent) * self.count
        except OverflowError:
            return None
        return total if math.isfinite(total) else None

    @property
    def variance(self) -> float | None:
        """Sample variance (divisor n - 1), None below two values or past the range of a float."""
        if self.count < 2:
            return None
        found = _shift(self.m2 / (self.count - 1), 2 * self.exponent)
        return found if math.isfinite(found) else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation; finite for some values whose variance is not."""
        if self.count < 2:
            return None
        found = _shift(math.sqrt(self.m2 / (self.count - 1)), self.exponent)
        return found if math.isfinite(found) else None

    @property
    def skewness(self) -> float | None:
        """Population skewness g1, None for a constant."""
        return math.sqrt(self.count) * (self.m3 / self.m2) / math.sqrt(self.m2) if self.m2 > 0 else None

    @property
    def kurtosis(self) -> float | None:
        """Population excess kurtosis g2, None for a constant."""
        return self.count * (self.m4 / self.m2) / self.m2 - 3 if self.m2 > 0 else None


def centred(numbers: Array, pivot: int | float, exponent: int = 0) -> Floats:
    """Distances of `numbers` from `pivot` in units of 2**exponent, as float64.

    Integers are subtracted as integers, so that huge ones lose no digit; that wraps only where the distance itself is
    2**63 or more, and there floats are subtracted instead.
    """
    if numbers.dtype.kind == "f":
        if exponent > _SAFE:
            return np.ldexp(numbers, -exponent) - math.ldexp(pivot, -exponent)
        gaps = numbers - pivot
        return np.ldexp(gaps, -exponent) if exponent else gaps
    if numbers.dtype.itemsize < 8:
        numbers = numbers.astype(np.int64)
    low, high = (numbers.min().item(), numbers.max().item()) if len(numbers) else (0, 0)
    if max(high - pivot, pivot - low) >= 2**63:
        gaps = numbers.astype(np.float64) - float(pivot)
    else:
        gaps = (numbers - numbers.dtype.type(pivot)).view(np.int64).astype(np.float64)
    return np.ldexp(gaps, -exponent) if exponent else gaps


def _power_sums(numbers: Array, counts: Counts | None, pivot: int | float, exponent: int) -> tuple[float, ...]:
    """n and the sums of the first four powers of the distances from `pivot`, in chunks that stay in cache."""
    parts = []
    for start in range(0, len(numbers), _CHUNK):
        d = centred(numbers[start : start + _CHUNK], pivot, exponent)
        d2 = d * d
        if counts is None:
            parts.append((len(d), d.sum(), d2.sum(), np.dot(d2, d), np.dot(d2, d2)))
            continue
        w = counts[start : start + _CHUNK].astype(np.float64)
        parts.append((w.sum(), np.dot(w, d), np.dot(w, d2), np.dot(w * d2, d), np.dot(w * d2, d2)))
    return tuple(math.fsum(column) for column in zip(*parts, strict=True))


def _gap(a: int | float, b: int | float, exponent: int) -> float:
    """b - a in units of 2**exponent; exact for ints before it is rounded once."""
    if isinstance(a, int) and isinstance(b, int):
        return _shift(float(b - a), -exponent)
    if exponent > _SAFE:
        return math.ldexp(b, -exponent) - math.ldexp(a, -exponent)
    return _shift(b - a, -exponent)


def _band(distance: float) -> int:
    """Exponent to measure distances up to `distance` with: 0 unless their fourth powers would leave the floats."""
    if not distance:
        return 0
    exponent = math.frexp(distance)[1] if math.isfinite(distance) else 1025
    return exponent if abs(exponent) > _SAFE else 0


def _shift(number: float, exponent: int) -> float:
    """number * 2**exponent, infinite rather than an error where that overflows."""
    try:
        return math.ldexp(number, exponent)
    except OverflowError:
        return math.copysign(math.inf, number)
