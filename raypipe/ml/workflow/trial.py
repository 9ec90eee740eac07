"""Fitting a recipe on folds: estimates for rows that the model did not see, and what each fold took."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from raypipe.ml.data import TrainingData
from raypipe.ml.metrics import Truth
from raypipe.ml.model import Estimate, Recipe, truth_of

JOBS = frozenset({"n_jobs", "thread_count", "num_threads", "nthread"})
"""What libraries call the number of threads of an estimator."""


@dataclass(frozen=True)
class FoldFit:
    """One fold."""

    places: NDArray[np.int64]
    """Rows that were tried on."""
    estimate: Estimate
    fit_s: float
    predict_s: float
    model: Any = None
    """The fitted pipeline, where it is to be kept."""


def fitted_on(
    recipe: Recipe,
    data: TrainingData,
    params: Mapping[str, Any] | None = None,
    threads: int = 1,
    *,
    bounded: bool = False,
) -> Any:
    """The recipe, fitted.

    Parameters
    ----------
    threads : int, default 1
        Threads that numerical libraries may start: folds and trials run beside each other, and many threads on few
        cores wait for each other most of the time.
    bounded : bool, default False
        Hold the estimator to as many threads, whatever its settings say.
    """
    pipeline = recipe.make(**(params or {}))
    if bounded:
        pipeline.set_params(**_jobs_of(pipeline, threads))
    with threadpool_limits(limits=threads):
        own = {f"{pipeline.steps[-1][0]}__{name}": value for name, value in recipe.model.fit_params.items()}
        return pipeline.fit(data.X, data.y, **own)


def _jobs_of(pipeline: Any, threads: int) -> dict[str, int]:
    """The settings that say how many threads an estimator takes, where they are set at all."""
    settings = pipeline[-1].get_params(deep=False)
    own = {f"{pipeline.steps[-1][0]}__{name}" for name in JOBS if settings.get(name) not in (None, threads)}
    return dict.fromkeys(sorted(own), threads)


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
