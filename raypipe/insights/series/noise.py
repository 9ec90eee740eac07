"""Noise that remembers: autoregressive fits and long-run variance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
MAX_ORDER = 5


def residuals(y: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What a least-squares fit of `y` on the columns of `x` leaves, and its coefficients."""
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    return np.asarray(y - x @ coefficients), np.asarray(coefficients, float)


def lags(y: FloatArray, order: int, start: int) -> FloatArray:
    """Columns y[t-1] … y[t-order] for t from `start`."""
    return np.stack([y[start - lag : len(y) - lag] for lag in range(1, order + 1)], axis=1)


def autoregression(u: FloatArray, most: int = MAX_ORDER) -> FloatArray:
    """Coefficients of an autoregressive process without a mean; its order by BIC.

    References
    ----------
    Schwarz (1978), Estimating the dimension of a model.
    """
    n = len(u)
    most = max(0, min(most, n // 8))
    if most == 0 or not np.any(u):
        return np.zeros(0)
    y, table = u[most:], lags(u, most, most)
    gram, cross, total = table.T @ table, table.T @ y, float(y @ y)
    best = len(y) * math.log(max(total, 1e-300))
    chosen: FloatArray = np.zeros(0)
    for order in range(1, most + 1):
        try:
            coefficients = np.asarray(np.linalg.solve(gram[:order, :order], cross[:order]), float)
        except np.linalg.LinAlgError:
            break
        left = max(total - float(cross[:order] @ coefficients), 1e-12 * total)
        score = len(y) * math.log(max(left, 1e-300)) + order * math.log(len(y))
        if score < best:
            best, chosen = score, coefficients
    return chosen


def whiten(y: FloatArray, coefficients: FloatArray) -> FloatArray:
    """`y` (or each of its columns) less what the process foretells from earlier values; the first ones are lost."""
    order = len(coefficients)
    out = y[order:].copy()
    for lag, coefficient in enumerate(coefficients.tolist(), 1):
        out -= coefficient * y[order - lag : len(y) - lag]
    return out


def long_run_variance(u: FloatArray) -> float:
    """Variance of the mean of `u`, times its length: that of an autoregressive fit at frequency 0.

    References
    ----------
    Berk (1974), Consistent autoregressive spectral estimates.
    """
    u = u - u.mean()
    coefficients = autoregression(u)
    left = whiten(u, coefficients)
    memory = min(float(coefficients.sum()), 0.99)
    return float(left @ left) / max(len(left) - len(coefficients) - 1, 1) / (1 - memory) ** 2


def correlogram(y: FloatArray, most: int) -> FloatArray:
    """Autocorrelation at lags 0 to `most`."""
    u = y - y.mean()
    size = 1 << (2 * len(u) - 1).bit_length()
    spectrum = np.fft.rfft(u, size)
    covariance = np.fft.irfft(spectrum * spectrum.conj(), size)[: most + 1]
    return np.asarray(covariance / covariance[0]) if covariance[0] > 0 else np.zeros(most + 1)
