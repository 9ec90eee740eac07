"""Which way of calibrating is taken: that with the least loss on rows that it did not see, if the gain is sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raypipe.errors import ConfigError
from raypipe.ml.calibration.held import Held, standard_error
from raypipe.ml.calibration.maps import Way, fit
from raypipe.ml.specs.calibration import Method

Array = NDArray[np.float64]
MIN_ISOTONIC_ROWS = 1_000
"""Below, a curve of any shape learns the noise too (scikit-learn's guide on calibration gives the same figure)."""
SURE = 2.0
"""Standard errors by which a more pliable way must be better than the one before it."""
_TINY = 1e-15
WAYS: tuple[Way, ...] = ("none", "temperature", "sigmoid", "isotonic")
"""From the stiffest to the most pliable."""


@dataclass(frozen=True)
class Choice:
    """A way of calibrating, and what it does on rows that it did not learn from."""

    way: Way
    probabilities: dict[Way, Array]
    """Of the rows that `Held.turns` tries on, in their order."""
    losses: dict[Way, float]
    """Log loss of each way."""
    worse: bool = False
    """The way that was asked for is worse than none, by more than noise."""


def choose(held: Held, method: Method) -> Choice:
    """The way that is asked for, or with `auto` the one that is surely best, judged on rows that it did not learn from.

    Raises
    ------
    ConfigError
        `none` for a model that gives no probabilities.
    """
    ways = _candidates(held, method)
    probabilities = {way: cross_fitted(held, way) for way in ways}
    tried = held.tried
    truth, groups = held.y[tried], None if held.groups is None else held.groups[tried]
    rows = {way: row_losses(given, truth) for way, given in probabilities.items()}
    losses = {way: float(one.mean()) for way, one in rows.items()}
    if method != "auto":
        worse = "none" in rows and _surely_less(rows["none"], rows[method], groups)
        return Choice(method, probabilities, losses, worse)
    taken = ways[0]
    for way in ways[1:]:
        if _surely_less(rows[way], rows[taken], groups):
            taken = way
    return Choice(taken, probabilities, losses)


def _candidates(held: Held, method: Method) -> list[Way]:
    sure = held.said.are_probabilities
    if method == "none" and not sure:
        raise ConfigError(
            "calibration: the model gives no probabilities, and method 'none' would leave it so; use 'auto' or"
            " 'sigmoid'"
        )
    if method != "auto":
        return list(dict.fromkeys(["none", method])) if sure else [method]
    enough = len(held.y) >= MIN_ISOTONIC_ROWS
    return [way for way in WAYS if (way != "none" or sure) and (way != "isotonic" or enough)]


def cross_fitted(held: Held, way: Way) -> Array:
    """Probabilities of each fold's rows by a calibrator of the other folds; in time, of those before it."""
    parts = [fit(way, *held.take(learnt)).apply(held.take(fold)[0]) for learnt, fold in held.turns()]
    return np.concatenate(parts)


def row_losses(probabilities: Array, y: Sequence[int] | NDArray[np.int64]) -> Array:
    """-log of what the true class was given, row by row."""
    given = probabilities[np.arange(len(probabilities)), y]
    return np.asarray(-np.log(np.clip(given, _TINY, 1.0)))


def _surely_less(one: Array, other: Array, groups: NDArray[np.int64] | None) -> bool:
    gain = other - one
    return bool(gain.mean() > SURE * standard_error(gain, groups))
