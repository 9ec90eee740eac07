"""From what a model says to probabilities: the ways, each fitted on rows that the model did not see.

All work on a logarithmic scale, where a model that is right already is left as it is by a slope of 1. Each way rises
with what the model says, sums to 1 over the classes and is made of plain arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax

from raypipe.ml.model import Estimate

Array = NDArray[np.float64]
Way = Literal["none", "temperature", "sigmoid", "isotonic"]
"""From the stiffest to the most pliable."""
_LEAST, _MOST = 1e-12, 1e-3
"""Bounds of what a probability of 0 is taken for."""


class Calibrator(Protocol):
    """What turns a model's estimate into probabilities."""

    def apply(self, said: Estimate) -> Array:
        """Probabilities, rows by classes."""


@dataclass(frozen=True)
class Unchanged:
    """Probabilities as the model gives them."""

    def apply(self, said: Estimate) -> Array:
        """Rows that sum to 1, also where the model rounds."""
        return _shares(said.values)


@dataclass(frozen=True)
class Temperature:
    """One number for all classes (Guo et al. 2017): above 1 it makes a model less sure."""

    temperature: float
    floor: float

    def apply(self, said: Estimate) -> Array:
        """Softmax of the logarithms, divided by the temperature."""
        return np.asarray(softmax(_logs(said, self.floor) / self.temperature, axis=1))


@dataclass(frozen=True)
class Sigmoid:
    """Slope and shift on the logistic scale (Platt 1999): of the second class of two, else of each against the rest."""

    slope: Array
    shift: Array
    floor: float

    def apply(self, said: Estimate) -> Array:
        """Probabilities, brought to a sum of 1 where there are more than two classes."""
        return _joined(expit(_margins(said, self.floor) * self.slope + self.shift))


@dataclass(frozen=True)
class Isotonic:
    """A rising curve through given points (Zadrozny and Elkan 2002), of the second class of two, else of each."""

    points: list[Array]
    values: list[Array]
    floor: float

    def apply(self, said: Estimate) -> Array:
        """Probabilities, brought to a sum of 1 where there are more than two classes."""
        margins = _margins(said, self.floor)
        columns = [np.interp(margins[:, k], x, self.values[k]) for k, x in enumerate(self.points)]
        return _joined(np.column_stack(columns))


TRUSTED = tuple(f"{__name__}.{kind.__name__}" for kind in (Unchanged, Temperature, Sigmoid, Isotonic))
"""Types that skops is to trust when it loads a calibrated model."""


def fit(way: Way, said: Estimate, y: NDArray[np.int64]) -> Calibrator:
    """The calibrator of one way.

    Parameters
    ----------
    said : Estimate
        What a model said of rows that it had not seen.
    y : int64[rows]
        Places of the true classes.
    """
    return _FITS[way](said, y)


def _fit_none(said: Estimate, y: NDArray[np.int64]) -> Calibrator:
    return Unchanged()


def _fit_temperature(said: Estimate, y: NDArray[np.int64]) -> Calibrator:
    floor = _floor(said)
    logs, rows = _logs(said, floor), np.arange(len(y))

    def loss(power: float) -> float:
        return float(-log_softmax(logs * np.exp(-power), axis=1)[rows, y].mean())

    found = minimize_scalar(loss, bounds=(-6.0, 6.0), method="bounded", options={"xatol": 1e-6})
    return Temperature(float(np.exp(found.x)), floor)


def _fit_sigmoid(said: Estimate, y: NDArray[np.int64]) -> Calibrator:
    floor = _floor(said)
    margins = _margins(said, floor)
    pairs = [_platt(margins[:, k], positive) for k, positive in _sides(y, margins.shape[1])]
    slope, shift = np.array(pairs).T
    return Sigmoid(slope, shift, floor)


def _platt(x: Array, positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope (not below 0) and shift of the greatest likelihood, with Platt's targets that never reach 0 and 1."""
    up = int(positive.sum())
    target = np.where(positive, (up + 1) / (up + 2), 1 / (len(x) - up + 2))
    scale = max(float(np.std(x)), 1e-12)
    unit = x / scale

    def loss(at: Array) -> tuple[float, Array]:
        z = at[0] * unit + at[1]
        off = expit(z) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([(off * unit).mean(), off.mean()])

    share = target.mean()
    start = np.array([1.0, np.log(share / (1 - share))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)], options={"gtol": 1e-9})
    return float(found.x[0] / scale), float(found.x[1])


def _fit_isotonic(said: Estimate, y: NDArray[np.int64]) -> Calibrator:
    from sklearn.isotonic import IsotonicRegression

    floor = _floor(said)
    margins = _margins(said, floor)
    # A curve reaches 0 and 1 at its ends, and one row that differs would cost without bound: the rule of succession.
    edge = 1 / (len(y) + 2)
    points, values = [], []
    for k, positive in _sides(y, margins.shape[1]):
        curve = IsotonicRegression(out_of_bounds="clip").fit(margins[:, k], positive.astype(float))
        points.append(np.asarray(curve.X_thresholds_, dtype=float))
        values.append(np.clip(np.asarray(curve.y_thresholds_, dtype=float), edge, 1 - edge))
    return Isotonic(points, values, floor)


_FITS: dict[Way, Callable[[Estimate, NDArray[np.int64]], Calibrator]] = {
    "none": _fit_none,
    "temperature": _fit_temperature,
    "sigmoid": _fit_sigmoid,
    "isotonic": _fit_isotonic,
}


def _sides(y: NDArray[np.int64], columns: int) -> list[tuple[int, NDArray[np.bool_]]]:
    return [(0, y == 1)] if columns == 1 else [(k, y == k) for k in range(columns)]


def _floor(said: Estimate) -> float:
    """What a probability of 0 stands for: half the least one that the model gives, as a forest of 300 trees has no
    smaller step than 1/300."""
    if not said.are_probabilities:
        return _LEAST
    above = said.values[said.values > 0]
    return float(np.clip(above.min() / 2 if len(above) else _MOST, _LEAST, _MOST))


def _logs(said: Estimate, floor: float) -> Array:
    return np.log(np.clip(said.values, floor, 1.0)) if said.are_probabilities else said.values


def _margins(said: Estimate, floor: float) -> Array:
    """How far each class is before the rest, on the logistic scale; one column for two classes."""
    logs = _logs(said, floor)
    if logs.shape[1] == 2:
        return logs[:, 1:] - logs[:, :1]
    return logs - np.log(np.clip(1 - said.values, floor, 1.0)) if said.are_probabilities else logs


def _joined(columns: Array) -> Array:
    return np.column_stack([1 - columns[:, 0], columns[:, 0]]) if columns.shape[1] == 1 else _shares(columns)


def _shares(values: Array) -> Array:
    total = values.sum(axis=1, keepdims=True)
    even = np.full_like(values, 1 / values.shape[1])
    return np.asarray(np.divide(values, total, out=even, where=total > 0))


def said_by(model: Any, table: Any, labels: NDArray[Any]) -> Estimate:
    """What a fitted model says of rows, before anything is made of it: probabilities, else distances from the border.

    Classes that the model has not seen get 0, or the least distance of the row.
    """
    if hasattr(model, "predict_proba"):
        given, sure = np.asarray(model.predict_proba(table), dtype=float), True
    elif hasattr(model, "decision_function"):
        given, sure = np.asarray(model.decision_function(table), dtype=float), False
        given = np.column_stack([-given / 2, given / 2]) if given.ndim == 1 else given
    else:
        said = np.asarray(model.predict(table)).ravel()
        given, sure = (said[:, None] == model.classes_[None, :]).astype(float), False
    found = np.zeros((len(given), len(labels)))
    if not sure:
        found += given.min(axis=1, keepdims=True)
    found[:, np.searchsorted(labels, model.classes_)] = given
    return Estimate(found, sure)
