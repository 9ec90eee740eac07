"""A simple forecast: the best of four methods on the middle of a series, judged on its last quarter against naive."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from raypipe.blocks.chance import normal_above
from raypipe.insights.calendar import IntArray
from raypipe.insights.series.models import Forecast
from raypipe.insights.series.noise import FloatArray

MIN_POINTS = 40
KNOWN_SHARE = 0.8
LEVEL = 0.8
LEAST_GAIN = 0.02
"""Share by which errors must be smaller than those of the naive forecast to be called better."""
MAX_P = 0.01
_HORIZON = {"minute": 60, "hour": 24, "day": 14, "week": 8, "month": 12, "quarter": 4, "year": 3}
_ALPHAS = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 0.99])


@dataclass(frozen=True)
class Course:
    """A series with its future: values, then the phases of values and of what comes."""

    y: FloatArray
    """Gaps filled in."""
    known: np.ndarray
    phases: tuple[IntArray, ...]
    """Of each cycle, longest gone through last; `len(y) + horizon` long."""
    horizon: int

    def season(self, until: int) -> FloatArray:
        """What the cycles add, as the first `until` values show it."""
        line = _line(self.y[:until])
        rest = self.y[:until] - line
        out = np.zeros(len(self.y) + self.horizon)
        for phase in self.phases:
            n = np.bincount(phase[:until], minlength=int(phase.max()) + 1)
            total = np.bincount(phase[:until], rest - out[:until], minlength=len(n))
            out += np.divide(total, n, out=np.zeros(len(n)), where=n > 0)[phase]
        return out


Method = Callable[[Course, int], FloatArray]
"""(course, values to learn from) -> forecasts of shape (origins, horizon); origin t knows the values up to t."""


def horizon_of(unit: str, points: int) -> int:
    """Steps to look ahead."""
    return max(1, min(_HORIZON.get(unit, 12), points // 8))


def make_forecast(
    y: FloatArray, phases: tuple[IntArray, ...], starts: tuple[str, ...], least: float | None
) -> Forecast | None:
    """The forecast of the points after `y` that begin at `starts`; None for too short or too patchy a series.

    Parameters
    ----------
    phases : tuple of array
        For each cycle, the phase of every value and of what comes after; the one that explains most first.
    least : float, optional
        What no value can lie below, such as 0 for a number of rows.
    """
    known = np.isfinite(y)
    if known.sum() < MIN_POINTS or known.mean() < KNOWN_SHARE or np.ptp(y[known]) == 0:
        return None
    at = np.arange(len(y))
    course = Course(np.interp(at, at[known], y[known]), known, phases, len(starts))
    half, late = len(y) // 2, 3 * len(y) // 4
    errors = {name: _errors(course, method(course, half)) for name, method in METHODS.items()}
    scores = {name: float(np.nanmean(np.abs(e[half:late]))) for name, e in errors.items()}
    name = min(scores, key=lambda one: scores[one])
    return _judged(course, name, errors, late, starts, least)


def _judged(
    course: Course, name: str, errors: dict[str, FloatArray], late: int, starts: tuple[str, ...], least: float | None
) -> Forecast:
    half = len(course.y) // 2
    means = np.cumsum(course.y) / np.arange(1, len(course.y) + 1)
    marks = (errors["seasonal naive"], _errors(course, np.repeat(means[:, None], course.horizon, axis=1)))
    own, (naive, plain) = np.abs(errors[name][late:-1]), (np.abs(mark[late:-1]) for mark in marks)
    error, other, flat = (float(np.nanmean(sizes)) for sizes in (own, naive, plain))
    p = max(_skill(own, naive), _skill(own, plain))
    inside = own <= _widths(errors[name][half:late])
    values = METHODS[name](course, len(course.y))[-1]
    width = _widths(errors[name][half:-1])
    low, high = values - width, values + width
    if least is not None:
        values, low = np.maximum(values, least), np.maximum(low, least)
    return Forecast(
        method=name,
        starts=starts,
        values=tuple(values.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        level=LEVEL,
        coverage=float(inside[np.isfinite(own)].mean()),
        origins=int(np.isfinite(own).any(axis=1).sum()),
        error=error,
        naive_error=other,
        mean_error=flat,
        skill_p=p,
        better=name != "seasonal naive" and error <= (1 - LEAST_GAIN) * min(other, flat) and p < MAX_P,
    )


def _skill(own: FloatArray, naive: FloatArray) -> float:
    """One-sided p-value that errors are no smaller than those of the naive forecast.

    References
    ----------
    Diebold, Mariano (1995), Comparing predictive accuracy; origins that overlap hang together.
    """
    gain = np.nanmean(naive - own, axis=1)
    gain = gain[np.isfinite(gain)]
    if len(gain) < 5 or np.ptp(gain) == 0:
        return 1.0
    # Forecasts over a horizon of h steps overlap: h - 1 lags hang together, and those are weighed down (Bartlett).
    u, width = gain - gain.mean(), min(2 * own.shape[1], len(gain) // 2)
    covariances = [float(u[lag:] @ u[: len(u) - lag]) / len(u) for lag in range(width)]
    variance = covariances[0] + 2 * sum((1 - lag / width) * c for lag, c in enumerate(covariances) if lag)
    variance *= len(gain) / max(len(gain) - width, 1)
    z = float(gain.mean()) / math.sqrt(variance / len(gain)) if variance > 0 else 0.0
    return normal_above(z)


def _errors(course: Course, forecasts: FloatArray) -> FloatArray:
    """Value less forecast by origin and step; NaN where the value is not known."""
    n, horizon = len(course.y), course.horizon
    out = np.full((n, horizon), np.nan)
    for step in range(1, horizon + 1):
        out[: n - step, step - 1] = np.where(
            course.known[step:], course.y[step:] - forecasts[: n - step, step - 1], np.nan
        )
    return out


def _widths(errors: FloatArray) -> FloatArray:
    """Half width of the interval at each step: that share of earlier errors is no larger; never narrower further on."""
    sizes = np.abs(errors)
    n = np.isfinite(sizes).sum(axis=0)
    widths = np.array(
        [
            np.nanquantile(column, min(LEVEL * (count + 1) / max(count, 1), 1.0)) if count else np.inf
            for column, count in zip(sizes.T, n.tolist(), strict=True)
        ]
    )
    return np.asarray(np.maximum.accumulate(widths))


def _line(y: FloatArray) -> FloatArray:
    at = np.arange(len(y)) - (len(y) - 1) / 2
    return np.asarray(y.mean() + at * float(at @ y) / max(float(at @ at), 1.0))


def _with_season(course: Course, season: FloatArray, flat: FloatArray) -> FloatArray:
    """Forecasts of values without season, with the season of each origin and step added."""
    at = np.arange(len(course.y))[:, None] + np.arange(1, course.horizon + 1)[None, :]
    return np.asarray(flat + season[at])


def _seasonal_naive(course: Course, until: int) -> FloatArray:
    """The last value of the same phase; the last value where there is no season or no such value yet."""
    n, steps = len(course.y), np.arange(1, course.horizon + 1)
    last = np.broadcast_to(np.arange(n)[:, None], (n, course.horizon))
    if course.phases:
        phase = course.phases[0]
        seen = np.where(phase[:n, None] == np.arange(int(phase.max()) + 1)[None, :], np.arange(n)[:, None], -1)
        seen = np.maximum.accumulate(seen, axis=0)
        same = seen[np.arange(n)[:, None], phase[np.arange(n)[:, None] + steps[None, :]]]
        last = np.where(same >= 0, same, last)
    return np.asarray(course.y[last])


def _drift(course: Course, until: int) -> FloatArray:
    """The last value, and on along the line from the first one."""
    season = course.season(until)
    y = course.y - season[: len(course.y)]
    slope = (y - y[0]) / np.maximum(np.arange(len(y)), 1)
    return _with_season(course, season, y[:, None] + slope[:, None] * np.arange(1, course.horizon + 1)[None, :])


def _theta(course: Course, until: int) -> FloatArray:
    """Simple exponential smoothing, and on along half the slope so far (Hyndman and Billah 2003)."""
    season = course.season(until)
    y = course.y - season[: len(course.y)]
    level = y[0] * np.ones(len(_ALPHAS))
    levels = np.empty((len(y), len(_ALPHAS)))
    for t, value in enumerate(y.tolist()):
        level = level + _ALPHAS * (value - level)
        levels[t] = level
    best = int(((y[1:until, None] - levels[: until - 1]) ** 2).mean(axis=0).argmin())
    n = np.arange(1, len(y) + 1.0)
    sums, moments = np.cumsum(y), np.cumsum(y * (n - 1))
    slope = (moments - (n - 1) / 2 * sums) / np.maximum(n * (n * n - 1) / 12, 1.0)
    ahead = np.arange(1, course.horizon + 1)[None, :]
    return _with_season(course, season, levels[:, best, None] + slope[:, None] / 2 * ahead)


def _smoothing(course: Course, until: int) -> FloatArray:
    """Exponential smoothing with a damped slope (Gardner and McKenzie 1985), weights by one-step squared errors."""
    season = course.season(until)
    y = course.y - season[: len(course.y)]
    alpha, beta, phi = (grid.ravel() for grid in np.meshgrid(_ALPHAS[1:], [0.0, 0.02, 0.1, 0.3], [0.8, 0.9, 0.98]))
    level, slope, loss = np.full(len(alpha), y[0]), np.zeros(len(alpha)), np.zeros(len(alpha))
    levels, slopes = np.empty((len(y), len(alpha))), np.empty((len(y), len(alpha)))
    for t, value in enumerate(y.tolist()):
        error = value - level - phi * slope
        if 0 < t < until:
            loss += error * error
        level, slope = level + phi * slope + alpha * error, phi * slope + alpha * beta * error
        levels[t], slopes[t] = level, slope
    best = int(loss.argmin())
    sums = np.cumsum(phi[best] ** np.arange(1, course.horizon + 1))
    return _with_season(course, season, levels[:, best, None] + slopes[:, best, None] * sums[None, :])


METHODS: dict[str, Method] = {
    "seasonal naive": _seasonal_naive,
    "drift": _drift,
    "theta": _theta,
    "exponential smoothing": _smoothing,
}
