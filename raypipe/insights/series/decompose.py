"""Value = trend + season + remainder, robust, with seasons by the calendar; and the points that stand out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raypipe.blocks.chance import MAD_TO_STD
from raypipe.insights.calendar import IntArray
from raypipe.insights.chance import quick_erfc
from raypipe.insights.series.noise import FloatArray, autoregression, whiten

MIN_POINTS = 24
SMOOTH = 14
"""Points to each side that the trend looks at, at the least."""
ROUNDS = 4
MIN_Z = 6.0
Tails = Literal["values", "means", "counts"]
"""What a series is made of: single values or means of few, means of many, numbers of rows."""
_TAIL = 0.1
"""Share of points from which a tail is fitted."""


@dataclass(frozen=True)
class Parts:
    """A series taken apart; NaN where it has no value."""

    trend: FloatArray
    season: FloatArray
    left: FloatArray

    @property
    def trend_strength(self) -> float:
        """1 - Var(remainder) / Var(trend + remainder) (Wang, Smith and Hyndman 2006)."""
        known = np.isfinite(self.left)
        both = float(np.var(self.trend[known] + self.left[known]))
        return max(1 - float(np.var(self.left[known])) / both, 0.0) if both > 0 else 0.0


def decompose(y: FloatArray, phases: list[IntArray], cycle: float = 1.0) -> Parts:
    """The parts of `y`, whose points are evenly spaced; NaN where a value is missing.

    Parameters
    ----------
    phases : list of array
        Place of each point in each calendar cycle: its seasons. Cycles need not have equal lengths.
    cycle : float
        Points of the longest of those cycles.

    References
    ----------
    Cleveland, Cleveland, McRae, Terpenning (1990), STL: a seasonal-trend decomposition procedure based on Loess; with
    seasons that do not change, found by the calendar.
    """
    known = np.isfinite(y)
    reach = min(max(SMOOTH, math.ceil(0.75 * cycle)), max(len(y) // 2, 2))
    weights, season = known.astype(float), np.zeros(len(y))
    seasons = [np.zeros(len(y)) for _ in phases]
    trend = np.zeros(len(y))
    for _ in range(ROUNDS if len(phases) else 2):
        trend = loess(np.where(known, y - season, 0.0), weights, reach)
        for number, phase in enumerate(phases):
            others = season - seasons[number]
            seasons[number] = _phase_means(y - trend - others, phase, weights)
            season = others + seasons[number]
        left = y - trend - season
        weights = np.where(known, _bisquare(left, known), 0.0)
    left = y - trend - season
    return Parts(np.where(known, trend, np.nan), season, left)


def loess(y: FloatArray, weights: FloatArray, reach: int) -> FloatArray:
    """Local lines with tricube weights over `reach` points to each side, by sums of moving windows."""
    d = np.arange(-reach, reach + 1) / (reach + 1)
    kernel = (1 - np.abs(d) ** 3) ** 3
    # np.convolve turns the kernel round, so that odd powers change their sign.
    s0, s1, s2, t0, t1 = (
        np.convolve(values, kernel * (-d) ** power, "full")[reach:-reach]
        for values, power in ((weights, 0), (weights, 1), (weights, 2), (weights * y, 0), (weights * y, 1))
    )
    spread = s0 * s2 - s1 * s1
    safe = spread > 1e-9 * np.maximum(s0 * s0, 1e-300)
    with np.errstate(invalid="ignore", divide="ignore"):
        line = np.where(safe, (s2 * t0 - s1 * t1) / spread, np.where(s0 > 0, t0 / s0, np.nan))
    gone = ~np.isfinite(line)
    if gone.any() and not gone.all():
        at = np.arange(len(y))
        line[gone] = np.interp(at[gone], at[~gone], line[~gone])
    return np.asarray(np.where(np.isfinite(line), line, 0.0))


def _phase_means(rest: FloatArray, phase: IntArray, weights: FloatArray) -> FloatArray:
    size = int(phase.max()) + 1
    n = np.bincount(phase, weights, size)
    total = np.bincount(phase, np.where(weights > 0, weights * np.nan_to_num(rest), 0.0), size)
    means = np.divide(total, n, out=np.zeros(size), where=n > 0)
    out = means[phase]
    return np.asarray(out - np.average(out, weights=weights) if weights.sum() > 0 else out)


def _bisquare(left: FloatArray, known: FloatArray) -> FloatArray:
    limit = 6 * float(np.median(np.abs(left[known])))
    if limit <= 0:
        return np.ones(len(left))
    return np.asarray(np.clip(1 - (np.nan_to_num(left) / limit) ** 2, 0.0, None) ** 2)


def robust_z(left: FloatArray, floor: FloatArray) -> FloatArray:
    """Distance of each remainder from their median in robust standard deviations; `floor` is the least that chance
    alone makes of each (standard error of a mean, or of a count)."""
    known = np.isfinite(left)
    middle = float(np.median(left[known]))
    spread = MAD_TO_STD * float(np.median(np.abs(left[known] - middle)))
    scale = np.sqrt(np.maximum(spread**2, floor**2))
    return np.asarray(np.divide(left - middle, scale, out=np.full(len(left), np.nan), where=known & (scale > 0)))


def tail_chance(z: FloatArray, of: Tails) -> FloatArray:
    """Two-sided p-value of each point by the tails of all.

    Tails of means and counts of many rows go on beyond their 90 % point as exponential ones, which a normal
    distribution never exceeds. Single values may have heavier tails: each side gets the Student distribution that fits
    its points up to about four standard deviations, with the heaviest tail that fits them nearly as well; and where
    values remember earlier ones, that of the shocks that they are made of, if it is heavier. Counts get the lighter of
    both: a few of them far out, such as the holidays of a year, do not hide each other. No tail is taken to be heavier
    than that of three degrees of freedom: what heavier noise throws far out is told as far out.
    """
    p = np.ones(len(z))
    known = np.isfinite(z)
    shocks, weights = _shocks(z) if of == "values" else (z[known], np.ones(1))
    for side in (1.0, -1.0):
        values = side * z[known]
        tail = _student_tail(values, values, np.ones(1)) if of == "values" else _exponential_tail(values)
        if of == "counts":
            tail = np.minimum(tail, _student_tail(values, values, np.ones(1)))
        far = np.flatnonzero(values >= MIN_Z)
        if len(weights) > 1 and len(far):
            # Sums of heavy-tailed shocks look lighter in their middle than they are far out, where one shock decides.
            tail[far] = np.maximum(tail[far], _student_tail(side * shocks, values[far], weights))
        p[known] = np.where(values > 0, np.minimum(p[known], tail), p[known])
    return p


def _shocks(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What each value adds to what earlier ones let expect, and how much of a shock is left 0, 1, ... steps later.

    Values far out take no part, so that a burst of them is not taken for memory.
    """
    calm = np.abs(np.nan_to_num(z, nan=np.inf)) < MIN_Z
    memory = autoregression(np.where(calm, np.nan_to_num(z), 0.0))
    shocks = whiten(np.where(calm, z, np.nan), memory)
    shocks = shocks[np.isfinite(shocks)]
    left = [1.0]
    while len(memory) and len(left) < _MAX_ECHOES:
        left.append(float(memory[: len(left)] @ np.array(left[::-1][: len(memory)])))
    echoes = np.abs(np.array(left))
    return shocks - (np.median(shocks) if len(shocks) else 0.0), echoes[echoes > _FAINT]


def _exponential_tail(values: FloatArray) -> FloatArray:
    start, middle = np.quantile(values, [1 - _TAIL, 1 - _TAIL / 2])
    beta = max(float(middle - start) / math.log(2), 0.4)
    return np.asarray(np.where(values > start, 2 * _TAIL * np.exp(-np.maximum(values - start, 0.0) / beta), 1.0))


_DF = np.array([3.0, 4.0, 6.0, 10.0, 20.0, 200.0])
_QUARTILE = np.array([0.7649, 0.7407, 0.7176, 0.6998, 0.6870, 0.6757])
"""Upper quartile of Student's distribution with those degrees of freedom."""
_NEARLY = 1.2
"""Log-likelihood by which a fit may fall short of the best one: set so that 5 % hold for noise of Student's t with 3
degrees of freedom, the heaviest tail that is promised (`benchmarks/noise.py`)."""
_MAX_ECHOES = 60
_FAINT = 0.02
"""Share of a shock below which what is left of it counts as nothing."""


def _student_tail(sample: FloatArray, values: FloatArray, weights: FloatArray) -> FloatArray:
    """Chance that a draw, or one of several with these weights, is as far out as each value: two-sided, under the fits
    to the positive part of `sample`; 1 where that is too small."""
    own = sample[sample > 0]
    if len(own) < 10:
        return np.ones(len(values))
    middle = float(np.median(own))
    limit = 6 * middle
    inner = own[own <= limit]
    df, stretch = np.meshgrid(_DF, [0.75, 0.85, 1.0, 1.15, 1.3, 1.5], indexing="ij")
    scale = (middle / _QUARTILE)[:, None] * stretch
    df, scale = df.ravel(), scale.ravel()
    gammas = np.array([math.lgamma((d + 1) / 2) - math.lgamma(d / 2) - 0.5 * math.log(d * math.pi) for d in df])
    inside = 1 - _student_chance(np.full(1, limit), df, scale)[:, 0]
    shape = np.log1p((inner[None, :] / scale[:, None]) ** 2 / df[:, None]).sum(axis=1)
    fit = len(inner) * (gammas - np.log(scale) - np.log(inside)) - (df + 1) / 2 * shape
    df, scale = (one[fit >= fit.max() - _NEARLY] for one in (df, scale))
    chances = sum((_student_chance(values, df, scale * weight) for weight in weights.tolist()), np.zeros(1))
    return np.asarray(np.minimum(chances.max(axis=0), 1.0))


def _student_chance(values: FloatArray, df: FloatArray, scale: FloatArray) -> FloatArray:
    """Two-sided tail of each value under each distribution (Wallace 1959)."""
    t, d = np.maximum(values, 0.0)[None, :] / scale[:, None], df[:, None]
    score = (8 * d + 1) / (8 * d + 3) * np.sqrt(d * np.log1p(t * t / d))
    return quick_erfc(score / math.sqrt(2))
