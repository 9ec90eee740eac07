"""Does the target change over time, beyond what its own memory explains?"""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime

import numpy as np

from raypipe.blocks.chance import NORMAL_95
from raypipe.insights.patterns.matrix import FloatArray, IntArray, normal_scores
from raypipe.insights.target.design import Design
from raypipe.insights.target.models import TargetDrift

MIN_ROWS = 200
PERIODS = 8
MIN_EFFECT = 0.2
"""Standard deviations; Cohen's small effect."""
MIN_SHARE_EFFECT = 0.1
MAX_CLASSES = 5


def measure_drift(data: Design, column: str, alpha: float) -> TargetDrift:
    """The target by periods of about as many rows each, and a test against "no change".

    The test is on the cumulative sums of the target in the order of time (of its ranks, for a number), over their
    long-run standard deviation, so that neighbours which resemble each other are no drift by themselves.

    References
    ----------
    Ploberger, Krämer (1992), The CUSUM test with OLS residuals. Newey, West (1987), A simple, positive semi-definite,
    heteroskedasticity and autocorrelation consistent covariance matrix.
    """
    if data.time is None or data.rows < MIN_ROWS or data.time[0] == data.time[-1]:
        return TargetDrift(column=column, reason=f"there are fewer than {MIN_ROWS} rows with a target and a time")
    cuts = _cuts(data.time)
    if len(cuts) < 3:
        return TargetDrift(column=column, reason="there are too few different times")
    outputs = normal_scores(data.y) if data.task == "regression" else data.y[:, :MAX_CLASSES]
    places = [1] if data.y.shape[1] == 2 else list(range(outputs.shape[1]))
    judged = {k: cusum(outputs[:, k]) for k in places}
    k = min(places, key=lambda place: (judged[place][0], place))
    p, inflation = min(1.0, judged[k][0] * len(judged)), judged[k][1]
    y = data.y[:, k]
    groups = [y[a:b] for a, b in itertools.pairwise(cuts)]
    values = [float(group.mean()) for group in groups]
    effect, interval = _effect(groups, values, data.task == "regression", inflation)
    least = MIN_EFFECT if data.task == "regression" else MIN_SHARE_EFFECT
    return TargetDrift(
        column=column,
        periods=tuple(_iso(int(data.time[cut])) for cut in cuts[:-1]),
        rows=tuple(len(group) for group in groups),
        values=tuple(values),
        label=data.classes[k] if data.classes else None,
        effect=effect,
        interval=interval,
        p_value=p,
        drifts=p <= alpha and abs(effect) >= least,
    )


def _cuts(time: IntArray) -> list[int]:
    """Where periods begin: at about equal numbers of rows, where the time changes; and the end."""
    n = len(time)
    starts = sorted({int(np.searchsorted(time, time[i * n // PERIODS])) for i in range(PERIODS)})
    return [*starts, n]


def cusum(values: FloatArray) -> tuple[float, float]:
    """p-value against a constant mean, and the long-run variance relative to the plain one.

    Examples
    --------
    >>> steady = np.tile([0.0, 1.0], 200)
    >>> cusum(steady)[0] > 0.5, cusum(np.concatenate([steady, steady + 1]))[0] < 0.001
    (True, True)
    """
    n = len(values)
    centred = values - values.mean()
    plain = float(centred @ centred) / n
    if plain <= 0:
        return 1.0, 1.0
    lags = int(1.5 * n ** (1 / 3))
    long_run = plain + 2 * sum(
        (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n for lag in range(1, lags + 1)
    )
    # Neighbours that repel each other would make the test too eager.
    long_run = max(long_run, plain)
    peak = float(np.abs(np.cumsum(centred)).max()) / math.sqrt(n * long_run)
    p = 2 * sum((-1) ** (j + 1) * math.exp(-2 * j * j * peak * peak) for j in range(1, 101)) if peak > 0.2 else 1.0
    return min(max(p, 0.0), 1.0), long_run / plain


def _effect(
    groups: list[FloatArray], values: list[float], number: bool, inflation: float
) -> tuple[float, tuple[float, float]]:
    """The later of the lowest and the highest period against the earlier one."""
    a, b = sorted((int(np.argmin(values)), int(np.argmax(values))))
    unit = 1.0
    if number:
        unit = math.sqrt(float(np.mean([group.var() for group in groups]))) or 1.0
    effect = (values[b] - values[a]) / unit
    variance = sum(float(group.var()) / unit**2 / len(group) for group in (groups[a], groups[b])) * inflation
    half = NORMAL_95 * math.sqrt(variance)
    return effect, (effect - half, effect + half)


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).replace(tzinfo=None).isoformat()
