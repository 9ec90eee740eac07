"""Fitting a recipe on folds: estimates for rows that the model did not see, and what each fold took."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from raypipe.ml.data import TrainingData
from raypipe.ml.metrics import Truth, compute
from raypipe.ml.model import Estimate, Recipe, estimates, truth_of
from raypipe.ml.splits import Fold


@dataclass(frozen=True)
class FoldFit:
    """One fold."""

    places: NDArray[np.int64]
    """Rows that were tried on."""
    estimate: Estimate
    train_scores: dict[str, float | None]
    """On the rows that it learnt from: too good, and told to be seen beside the others."""
    fit_s: float
    predict_s: float


def fit_fold(
    recipe: Recipe,
    data: TrainingData,
    fold: Fold,
    params: Mapping[str, Any] | None = None,
    metrics: Sequence[str] = (),
) -> FoldFit:
    """Learn from one side of a fold, and estimate the other."""
    train, test = data.take(fold[0]), data.take(fold[1])
    labels = None if data.task == "regression" else data.classes
    started = time.perf_counter()
    pipeline = fitted_on(recipe, train, params)
    fitted = time.perf_counter()
    estimate = estimates(pipeline, test, labels)
    done = time.perf_counter()
    known = dict.fromkeys(metrics)
    if metrics:
        truth = truth_of(train, estimates(pipeline, train, labels), labels)
        known = {name: compute(name, truth) for name in metrics}
    return FoldFit(fold[1], estimate, known, fitted - started, done - fitted)


def fitted_on(recipe: Recipe, data: TrainingData, params: Mapping[str, Any] | None = None, threads: int = 1) -> Any:
    """The recipe, fitted.

    Parameters
    ----------
    threads : int, default 1
        Threads that numerical libraries may start: folds and trials run beside each other, and many threads on few
        cores wait for each other most of the time.
    """
    with threadpool_limits(limits=threads):
        return recipe.make(**(params or {})).fit(data.X, data.y)


@dataclass(frozen=True)
class OutOfFold:
    """Estimates of all rows that were tried on, each by a model that had not seen it."""

    places: NDArray[np.int64]
    """Rows, in the order of the folds; a row stands once for each fold that tried it."""
    truth: Truth
    folds: tuple[NDArray[np.int64], ...]
    """Places in `truth` of each fold."""


def out_of_fold(data: TrainingData, fits: Sequence[FoldFit]) -> OutOfFold:
    """The folds' estimates, one behind the other."""
    labels = None if data.task == "regression" else data.classes
    places = np.concatenate([fit.places for fit in fits])
    values = np.concatenate([fit.estimate.values for fit in fits])
    estimate = Estimate(values, all(fit.estimate.are_probabilities for fit in fits))
    edges = np.cumsum([0, *(len(fit.places) for fit in fits)])
    parts = tuple(np.arange(low, high) for low, high in itertools.pairwise(edges))
    return OutOfFold(places, truth_of(data.take(places), estimate, labels), parts)
