"""A straight course: its slope by Theil and Sen, and tests that hold for noise with memory."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from raypipe.blocks.chance import NORMAL_95, normal_tail
from raypipe.insights.chance import quick_t_tails
from raypipe.insights.series.models import Trend
from raypipe.insights.series.noise import FloatArray, autoregression, correlogram, long_run_variance, residuals, whiten
from raypipe.insights.series.stationarity import adf

MIN_POINTS = 12
MAX_PAIRED = 400
"""Points between which slopes are taken; more are joined first."""
UNIT_ROOT_P = 0.001
"""Unless the unit root is rejected at this level, the noise around a line is taken for a random walk."""


def slopes(t: FloatArray, y: FloatArray) -> FloatArray:
    """Slopes between all pairs of points, in no order."""
    i, j = np.triu_indices(len(t), 1)
    return np.asarray((y[j] - y[i]) / (t[j] - t[i]))


def theil_sen(t: FloatArray, y: FloatArray) -> float:
    """The median of the slopes between all pairs of points."""
    return float(np.median(slopes(t, y)))


def mann_kendall(y: FloatArray) -> tuple[int, float]:
    """Kendall's score of `y` with its order, and the score's variance if there is no memory; ties are allowed for.

    References
    ----------
    Mann (1945); Kendall (1975), Rank correlation methods.
    """
    n = len(y)
    score = sum(int(np.sign(y[lag:] - y[: n - lag]).sum()) for lag in range(1, n))
    ties = np.unique(y, return_counts=True)[1].astype(float)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    return score, variance


def hamed_rao(y: FloatArray, slope_free: FloatArray) -> float:
    """How many times the variance of Mann and Kendall the score has, for the memory of the ranks of `slope_free`.

    At least 1: noise that swings back makes no trend surer here.

    References
    ----------
    Hamed, Rao (1998), A modified Mann-Kendall trend test for autocorrelated data.
    """
    n = len(y)
    ranks = np.argsort(np.argsort(slope_free, kind="stable")).astype(float)
    most = max(1, n // 4)
    r = correlogram(ranks, most)[1:]
    r = np.where(np.abs(r) > NORMAL_95 / math.sqrt(n), r, 0.0)
    lag = np.arange(1, most + 1)
    factor = 1 + 2 / (n * (n - 1) * (n - 2)) * float(((n - lag) * (n - lag - 1) * (n - lag - 2) * r).sum())
    return max(factor, 1.0)


def find_trend(t: FloatArray, y: FloatArray) -> Trend | None:
    """The trend of values `y` at times `t` (days), both without gaps of knowledge; None for too few or equal ones."""
    if len(y) < MIN_POINTS or np.ptp(y) <= 1e-9 * float(np.abs(y).max()):
        return None
    line = _line_test(t, y)
    t, y = _joined(t), _joined(y)
    n = len(y)
    pairs = np.sort(slopes(t, y))
    slope = float(np.median(pairs))
    score, variance = mann_kendall(y)
    factor = hamed_rao(y, y - slope * t)
    sd = math.sqrt(variance * factor)
    p_ranks = normal_tail((abs(score) - 1) / sd) if score else 1.0
    half = NORMAL_95 * sd / 2
    middle = len(pairs) / 2
    low, high = (pairs[min(max(round(middle + way * half), 0), len(pairs) - 1)] for way in (-1, 1))
    interval = float(low), float(high)
    if line.unit_root:
        interval = line.interval
    elif line.remembers:
        # Ranks show less of the memory than the values do: the half width of the line counts if it is larger.
        half = (line.interval[1] - line.interval[0]) / 2
        interval = min(interval[0], slope - half), max(interval[1], slope + half)
    return Trend(
        slope_per_day=slope,
        slope_interval=interval,
        change=slope * float(t[-1] - t[0]),
        tau=score / (n * (n - 1) / 2),
        p_value=max(p_ranks, line.p_value),
        unit_root=line.unit_root,
    )


def _joined(values: FloatArray) -> FloatArray:
    """Means of neighbours, at most `MAX_PAIRED` of them: pairs grow with the square."""
    size = -(-len(values) // MAX_PAIRED)
    whole = len(values) // size * size
    return np.asarray(values[len(values) - whole :].reshape(-1, size).mean(axis=1))


class _Line(NamedTuple):
    """A line by least squares, and what is known of the noise around it."""

    p_value: float
    interval: tuple[float, float]
    """Of the slope; of the drift if the noise could be a random walk."""
    unit_root: bool
    remembers: bool = False


def _line_test(t: FloatArray, y: FloatArray) -> _Line:
    """The line, with whether the noise around it could be a random walk.

    If it could, steps are tested for a mean other than 0; else the line is fitted to values freed from their memory.

    References
    ----------
    Perron, Yabu (2009), Estimating deterministic trends with an integrated or stationary noise component.
    """
    n = len(y)
    x = np.stack([np.ones(n), t - t.mean()], axis=1)
    left, fitted = residuals(y, x)
    if float(left @ left) <= 1e-16 * float(((y - y.mean()) ** 2).sum()):
        return _Line(0.0, (float(fitted[1]), float(fitted[1])), unit_root=False)
    unit_root = adf(y, "ct")[1] > UNIT_ROOT_P
    span = float(t[-1] - t[0])
    step = np.diff(y)
    # Steps that swing back would make the walk look steadier than it may be.
    wander = max(long_run_variance(step), float(step.var(ddof=1)))
    spread = NORMAL_95 * math.sqrt(wander * len(step)) / span
    mean = float(y[-1] - y[0]) / span
    drift = (mean - spread, mean + spread)
    if unit_root:
        return _Line(quick_t_tails(NORMAL_95 * mean / spread, n / 3) if spread > 0 else 1.0, drift, unit_root=True)
    memory = _unbiased(autoregression(left), n)
    white, lines = whiten(y, memory), whiten(x, memory)
    rest, coefficients = residuals(white, lines)
    inverse = np.linalg.pinv(lines.T @ lines)
    error = math.sqrt(max(float(rest @ rest) / max(len(rest) - 2 - len(memory), 1) * float(inverse[1, 1]), 1e-300))
    slope, half = float(coefficients[1]), NORMAL_95 * error
    p = quick_t_tails(slope / error, n / 3)
    return _Line(p, (slope - half, slope + half), unit_root=False, remembers=len(memory) > 0)


def _unbiased(memory: FloatArray, n: int) -> FloatArray:
    """Coefficients whose sum is raised by what a line takes from it.

    References
    ----------
    Shaman, Stine (1988), The bias of autoregressive coefficient estimators: (2 + 4 q) / n for residuals of a line.
    """
    total = float(memory.sum())
    if not len(memory) or total <= 0:
        return memory
    return np.asarray(memory * min(total + (2 + 4 * total) / n, 0.995) / total)
