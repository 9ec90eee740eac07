"""Intervals of numbers and sets of classes that hold the truth as often as they say, whatever the model.

The rule is that of split conformal prediction: a quantile of how far models were off on rows that they had not seen,
with the correction for their number. It asks that new rows come as those did (exchangeability).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raypipe.errors import ConfigError

Array = NDArray[np.float64]
SetScore = Literal["lac", "aps"]
SET_SCORES: tuple[SetScore, ...] = ("lac", "aps")
MAX_SCORES = 10_000
"""Kept with a model; of more, so many quantiles, which moves no end by more than a ten-thousandth of the rows."""
_CELLS = 4_000_000
"""Of one block of rows by scores."""


def needed_rows(confidence: float) -> int:
    """Rows from which on an interval of this confidence has an end."""
    return math.ceil(round(confidence / (1 - confidence), 9))


def quantile(scores: Array, confidence: float) -> float:
    """The score that a new row stays below with this confidence: the ⌈(n + 1) · confidence⌉-th smallest.

    Raises
    ------
    ConfigError
        Too few rows.
    """
    n = len(scores)
    place = math.ceil(round((n + 1) * confidence, 9))
    if place > n:
        raise ConfigError(
            f"conformal: a confidence of {confidence:g} needs {needed_rows(confidence)} rows that no model saw; there"
            f" are {n}: use more rows or a lower confidence"
        )
    return float(np.partition(scores, place - 1)[place - 1])


def thinned(scores: Array, most: int = MAX_SCORES) -> Array:
    """Sorted; of more than `most`, as many, evenly spread over the ranks and never below."""
    ordered = np.sort(scores)
    if len(ordered) <= most:
        return ordered
    ranks = np.ceil((len(ordered) + 1) * np.arange(1, most + 1) / (most + 1)).astype(int)
    return np.asarray(ordered[ranks - 1])


# ── classes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def class_scores(probabilities: Array, score: SetScore) -> Array:
    """How odd each class would be as the true one, rows by classes; the lower, the likelier.

    lac: 1 less its probability (Sadinle, Lei and Wasserman 2019). aps: the probability of all classes above it and of a
    part of its own (Romano, Sesia and Candès 2020). That part is drawn per row in the paper; here it follows from the
    row's own probabilities, so that a row gets the same set in any block, and coverage holds as for any score that is
    a function of the row.
    """
    if score == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, axis=1)
    part = np.modf(ordered[:, :1] * 1e6)[0]
    sums = np.cumsum(ordered, axis=1) - ordered + part * ordered
    found = np.empty_like(sums)
    np.put_along_axis(found, order, sums, axis=1)
    return found


def true_scores(probabilities: Array, y: NDArray[np.int64], score: SetScore) -> Array:
    """The scores of the true classes."""
    return class_scores(probabilities, score)[np.arange(len(y)), y]


def sets(probabilities: Array, limit: float, score: SetScore) -> NDArray[np.bool_]:
    """Classes of each row that are not too odd, rows by classes; the most probable is always in."""
    inside = class_scores(probabilities, score) <= limit
    inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
    return inside


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def around(said: Array, scores: list[Array], confidence: float, widths: Array | None = None) -> Array:
    """Low and high ends, row by row.

    Parameters
    ----------
    said : float64[rows, models]
        What each model says.
    scores : list of float64
        For each model, how far it was off on the rows that it had not seen, divided by their width where there is one.
    widths : float64[rows], optional
        How far off a model is expected to be.

    References
    ----------
    Barber, Candès, Ramdas, Tibshirani (2021), Predictive inference with the jackknife+: of several models, CV+; of one,
    its own value and the quantile.
    """
    scale = np.ones(len(said)) if widths is None else widths
    if said.shape[1] == 1:
        half = quantile(np.concatenate(scores), confidence) * scale
        return np.column_stack([said[:, 0] - half, said[:, 0] + half])
    n = sum(map(len, scores))
    place = math.ceil(round((n + 1) * confidence, 9))
    if place > n:
        quantile(np.concatenate(scores), confidence)  # Says what is wanted.
    off, model = np.concatenate(scores), np.repeat(np.arange(len(scores)), [len(one) for one in scores])
    step = max(1, _CELLS // n)
    return np.concatenate(
        [_plus(said[i : i + step, model], off * scale[i : i + step, None], place) for i in range(0, len(said), step)]
        or [np.empty((0, 2))]
    )


def _plus(said: Array, off: Array, place: int) -> Array:
    high = np.partition(said + off, place - 1, axis=1)[:, place - 1]
    low = -np.partition(off - said, place - 1, axis=1)[:, place - 1]
    return np.column_stack([low, high])


def interval_loss(y: Array, ends: Array, confidence: float) -> Array:
    """Width, and what lies outside it by its odds: the least in expectation for the true quantiles (Winkler 1972)."""
    below, above = np.maximum(ends[:, 0] - y, 0), np.maximum(y - ends[:, 1], 0)
    return np.asarray(ends[:, 1] - ends[:, 0] + 2 / (1 - confidence) * (below + above))


def inside(y: Array, ends: Array) -> NDArray[np.bool_]:
    """Rows whose true value lies in its interval."""
    return (ends[:, 0] <= y) & (y <= ends[:, 1])
