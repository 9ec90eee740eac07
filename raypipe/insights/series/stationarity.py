"""Autocorrelation, and the two tests of stationarity that complement each other."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from raypipe.blocks.chance import chi2_tail, normal_above
from raypipe.insights.series.models import Autocorrelation, Stationarity
from raypipe.insights.series.noise import FloatArray, correlogram, lags, residuals

MIN_POINTS = 30
MAX_LAGS = 40
_SMALL = {"c": (2.1659, 1.4412, 0.038269), "ct": (3.2512, 1.6047, 0.049588)}
_LARGE = {"c": (1.7339, 0.93202, -0.12745, -0.010368), "ct": (2.5261, 0.61654, -0.37956, -0.060285)}
_STAR = {"c": -1.61, "ct": -2.89}
_LIMITS = {"c": (-18.83, 2.74), "ct": (-16.18, 0.70)}
"""Response surface of MacKinnon (1994), Approximate asymptotic distribution functions for unit-root and
cointegration tests: table 3 and 4, one series."""
_KPSS = {"c": (0.347, 0.463, 0.574, 0.739), "ct": (0.119, 0.146, 0.176, 0.216)}
_KPSS_P = (0.10, 0.05, 0.025, 0.01)
"""Table 1 of Kwiatkowski, Phillips, Schmidt and Shin (1992)."""
Terms = Literal["c", "ct"]


def autocorrelation(left: FloatArray) -> Autocorrelation:
    """Of what trend and season leave."""
    n = len(left)
    most = max(1, min(MAX_LAGS, n // 4))
    r = correlogram(left, most)[1:]
    before = np.concatenate([[0.0], np.cumsum(r[:-1] ** 2)])
    bands = 1.959964 * np.sqrt((1 + 2 * before) / n)
    few = min(10, most)
    q = n * (n + 2) * float((r[:few] ** 2 / (n - np.arange(1, few + 1))).sum())
    return Autocorrelation(
        lags=tuple(range(1, most + 1)),
        values=tuple(r.tolist()),
        bands=tuple(bands.tolist()),
        ljung_box_p=chi2_tail(q, few),
    )


def adf(y: FloatArray, terms: Terms = "c") -> tuple[float, float]:
    """Statistic and p-value of the augmented Dickey-Fuller test; lags by BIC, all orders on the same rows.

    References
    ----------
    Dickey, Fuller (1979); lags as in Ng, Perron (1995).
    """
    most = _most_lags(len(y), terms)
    step = np.diff(y)
    best, chosen = math.inf, 0
    for order in range(most + 1):
        goal, x = _adf_table(y, step, order, most, terms)
        left = residuals(goal, x)[0]
        n = len(left)
        score = n * math.log(max(float(left @ left), 1e-300) / n) + x.shape[1] * math.log(n)
        if score < best - 1e-9:
            best, chosen = score, order
    tau = _first_t(*_adf_table(y, step, chosen, chosen, terms))
    return tau, mackinnon_p(tau, terms)


def _most_lags(n: int, terms: Terms) -> int:
    """Schwert (1989)."""
    return max(0, min(math.ceil(12 * math.sqrt(math.sqrt(n / 100))), n // 2 - len(terms) - 1))


def _adf_table(y: FloatArray, step: FloatArray, order: int, start: int, terms: Terms) -> tuple[FloatArray, FloatArray]:
    """Differences from row `start` on, and the columns that they are regressed on, the level first."""
    goal = step[start:]
    columns = [y[start:-1], np.ones(len(goal))]
    if order:
        columns += list(lags(step, order, start).T)
    if terms == "ct":
        columns.append(np.arange(1.0, len(goal) + 1))
    return goal, np.stack(columns, axis=1)


def _first_t(goal: FloatArray, x: FloatArray) -> float:
    """The t value of the first coefficient."""
    left, coefficients = residuals(goal, x)
    variance = float(left @ left) / max(len(goal) - x.shape[1], 1)
    spread = math.sqrt(max(variance * float(np.linalg.pinv(x.T @ x)[0, 0]), 1e-300))
    return float(coefficients[0]) / spread


def mackinnon_p(tau: float, terms: Terms) -> float:
    """p-value of a Dickey-Fuller t value."""
    low, high = _LIMITS[terms]
    if tau > high:
        return 1.0
    if tau < low:
        return 0.0
    powers = _SMALL[terms] if tau <= _STAR[terms] else _LARGE[terms]
    z = sum(c * tau**i for i, c in enumerate(powers))
    return normal_above(-z)


def kpss(y: FloatArray, terms: Terms = "c") -> tuple[float, float]:
    """Statistic of the KPSS test and its p-value, within 0.01 to 0.1.

    References
    ----------
    Kwiatkowski, Phillips, Schmidt, Shin (1992); bandwidth by Hobijn, Franses, Ooms (1998).
    """
    n = len(y)
    x = np.stack([np.ones(n), np.arange(1.0, n + 1)][: len(terms)], axis=1)
    left = residuals(y, x)[0]
    variance = _bartlett_variance(left)
    statistic = float((np.cumsum(left) ** 2).sum()) / (n * n * variance) if variance > 0 else 0.0
    return statistic, float(np.interp(statistic, _KPSS[terms], _KPSS_P))


def _bartlett_variance(left: FloatArray) -> float:
    n = len(left)
    cover = int(n ** (2.0 / 9.0))
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(left, size)
    gamma = np.fft.irfft(spectrum * spectrum.conj(), size)[:n]
    s0 = gamma[0] / n + 2 * float(gamma[1 : cover + 1].sum()) / n
    s1 = 2 * float((np.arange(1, cover + 1) * gamma[1 : cover + 1]).sum()) / n
    width = min(int(1.1447 * ((s1 / s0) ** 2) ** (1.0 / 3.0) * n ** (1.0 / 3.0)), n - 1) if s0 > 0 else 0
    weights = 1 - np.arange(1, width + 1) / (width + 1)
    return float(gamma[0] + 2 * (weights * gamma[1 : width + 1]).sum()) / n


def stationarity(y: FloatArray) -> Stationarity:
    """Both tests of a level; those around a trend decide where the level is not stationary."""
    (statistic, p), (other, q) = adf(y), kpss(y)
    if p < 0.05 and q >= 0.05:
        return Stationarity(adf=statistic, adf_p=p, kpss=other, kpss_p=q, verdict="stationary")
    around, still = adf(y, "ct"), kpss(y, "ct")
    verdict: Literal["stationary around a trend", "unit root", "not decided"] = "not decided"
    if around[1] < 0.05 and still[1] >= 0.05:
        verdict = "stationary around a trend"
    elif around[1] >= 0.05 and p >= 0.05 and q < 0.05:
        verdict = "unit root"
    return Stationarity(adf=statistic, adf_p=p, kpss=other, kpss_p=q, verdict=verdict)
