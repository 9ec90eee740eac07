"""Calendar cycles: hour of the day, weekday, day of the month, month and quarter, tested against noise with memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from raypipe.blocks.chance import NORMAL_95
from raypipe.insights.calendar import MICROS_A_DAY, IntArray, bucket_ids, bucket_starts, hours, weekdays
from raypipe.insights.chance import quick_f_tail
from raypipe.insights.series.models import Cycle, SeasonTest
from raypipe.insights.series.noise import FloatArray, autoregression, residuals, whiten

MAX_POINTS = 2_500
"""Latest points that a cycle is tested on."""
MIN_PER_PHASE = 3
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_QUARTERS = ("the first quarter", "the second quarter", "the third quarter", "the fourth quarter")
_FIRST_HALF = ("January", "February", "March", "April", "May", "June")
_MONTHS = (*_FIRST_HALF, "July", "August", "September", "October", "November", "December")


@dataclass(frozen=True)
class Phases:
    """A cycle, and the place of a point in it."""

    cycle: Cycle
    unit: str
    """Unit of the points that it is tested on."""
    labels: tuple[str, ...]
    rounds: int
    """Times that it must have been gone through."""
    days: float
    """Length of one round."""

    def of(self, starts: IntArray) -> IntArray:
        """Phase of points that begin at `starts`, what clocks show in microseconds."""
        if self.cycle == "hour of the day":
            return hours(starts)
        if self.cycle == "day of the week":
            return weekdays(starts)
        months = bucket_ids(starts, "month")
        if self.cycle == "day of the month":
            return (starts - bucket_starts(months, "month")) // MICROS_A_DAY
        return months % 12 if self.cycle == "month of the year" else months % 12 // 3


CYCLES = (
    Phases("hour of the day", "hour", tuple(f"{hour:02d}:00" for hour in range(24)), 4, 1.0),
    Phases("day of the week", "day", _DAYS, 4, 7.0),
    Phases("day of the month", "day", tuple(f"day {day}" for day in range(1, 32)), 6, 30.4),
    Phases("month of the year", "month", _MONTHS, 3, 365.2),
    Phases("quarter", "quarter", _QUARTERS, 3, 365.2),
)


def check_season(phases: Phases, starts: IntArray, y: FloatArray) -> SeasonTest | None:
    """The test of one cycle; None for too few points or phases, or values that are all equal.

    The phases' means are estimated beside a line by least squares of values freed from the memory of the noise.

    References
    ----------
    Cochrane, Orcutt (1949), Application of least squares regression to relationships containing autocorrelated errors.
    """
    starts, y = starts[-MAX_POINTS:], y[-MAX_POINTS:]
    known = np.isfinite(y)
    starts, y = starts[known], y[known]
    phase = phases.of(starts)
    seen = np.bincount(phase, minlength=len(phases.labels))
    used = np.isin(phase, np.flatnonzero(seen >= MIN_PER_PHASE))
    starts, y, phase = starts[used], y[used], phase[used]
    kinds = np.unique(phase)
    if len(kinds) < 2 or len(y) < 2 * len(kinds) + 8 or np.ptp(y) <= 1e-9 * float(np.abs(y).max()):
        return None
    if (starts[-1] - starts[0]) / MICROS_A_DAY < (phases.rounds - 0.5) * phases.days:
        return None
    return _tested(phases, y, phase, kinds)


def _tested(phases: Phases, y: FloatArray, phase: IntArray, kinds: IntArray) -> SeasonTest:
    n = len(y)
    line = np.column_stack([np.ones(n), np.arange(n) / n - 0.5])
    dummies = (phase[:, None] == kinds[None, 1:]).astype(float)
    x = np.column_stack([line, dummies])
    memory = autoregression(residuals(y, x)[0])
    white, columns = whiten(y, memory), whiten(x, memory)
    rest, coefficients = residuals(white, columns)
    without = residuals(white, columns[:, :2])[0]
    d1, d2 = len(kinds) - 1, len(white) - x.shape[1] - len(memory)
    full, less = float(rest @ rest), float(without @ without)
    f = (less - full) / d1 / max(full / max(d2, 1), 1e-300)
    means = np.concatenate([[0.0], coefficients[2:]])
    means -= float(np.average(means, weights=np.bincount(phase)[kinds]))
    season = means[np.searchsorted(kinds, phase)]
    left = y - line @ residuals(y - season, line)[1] - season
    total = float(np.var(left + season))
    strength = max(1 - float(np.var(left)) / total, 0.0) if total > 0 else 0.0
    return SeasonTest(
        cycle=phases.cycle,
        strength=strength,
        p_value=quick_f_tail(f, d1, d2),
        interval=_interval(strength, d1, _independent(left, full / max(d2, 1), memory)),
        profile={phases.labels[kind]: float(mean) for kind, mean in zip(kinds.tolist(), means, strict=True)},
        high=phases.labels[int(kinds[means.argmax()])],
        low=phases.labels[int(kinds[means.argmin()])],
        points=n,
    )


def _independent(left: FloatArray, noise: float, memory: FloatArray) -> int:
    """How many independent values tell as much of a mean as these do, which remember those before them.

    References
    ----------
    Thiebaux, Zwiers (1984), The interpretation and estimation of effective sample size.
    """
    long_run = noise / max(1 - float(memory.sum()), 0.05) ** 2
    share = float(np.var(left)) / long_run if long_run > 0 else 1.0
    return max(int(len(left) * min(share, 1.0)), 4)


def _interval(r2: float, k: int, n: int) -> tuple[float, float]:
    """Of a share of variance, at 95 %.

    References
    ----------
    Olkin, Finn (1995), Correlations redux.
    """
    variance = 4 * r2 * (1 - r2) ** 2 * max(n - k - 1, 1) ** 2 / ((n * n - 1) * (n + 3))
    half = NORMAL_95 * math.sqrt(max(variance, 0.0))
    return max(r2 - half, 0.0), min(r2 + half, 1.0)
