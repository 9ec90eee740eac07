"""One configuration on one fold: the unit of work of a search, wherever it runs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from threadpoolctl import threadpool_limits

from raypipe.ml.data import TrainingData
from raypipe.ml.metrics import compute
from raypipe.ml.model import Recipe, estimates, truth_of
from raypipe.ml.splits import Fold
from raypipe.ml.tuning.prepared import Shelf


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave; plain values, so that it can be written down and sent."""

    scores: Mapping[str, float | None] = field(default_factory=dict)
    """None: the metric cannot be computed for these rows."""
    train_scores: Mapping[str, float | None] = field(default_factory=dict)
    fit_s: float = 0.0
    predict_s: float = 0.0
    seconds: float = 0.0
    """All of it, the scores included."""
    error: str | None = None
    """Why there are no scores."""
    warned: str | None = None
    """The first warning of a library, such as one that says that a solver has not converged."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class Task:
    """All that a fold of any configuration needs; it is sent to a worker once."""

    recipe: Recipe
    data: TrainingData
    folds: tuple[Fold, ...]
    metrics: tuple[str, ...]
    train_scores: bool = False
    shelf: Shelf = field(default_factory=Shelf, compare=False, repr=False)

    def run(self, params: Mapping[str, Any], fold: int) -> FoldResult:
        """Learn and be tried; what goes wrong is in the result, since the next configuration may do better."""
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                scores, train, seconds = self._fitted(params, fold)
            except Exception as error:  # noqa: BLE001 - libraries raise what they like, and the search goes on
                text = f"{type(error).__name__}: {error}"
                return FoldResult(seconds=time.perf_counter() - started, error=text)
        warned = f"{told[0].category.__name__}: {told[0].message}" if told else None
        return FoldResult(scores, train, *seconds, time.perf_counter() - started, warned=warned)

    def _fitted(
        self, params: Mapping[str, Any], fold: int
    ) -> tuple[dict[str, float | None], dict[str, float | None], tuple[float, float]]:
        labels = None if self.data.task == "regression" else self.data.classes
        estimator = self.recipe.estimator(**params)
        started = time.perf_counter()
        made = self.shelf.get((self.recipe, self.data, self.train_scores), params, (fold, self.folds[fold]))
        with threadpool_limits(limits=1):
            estimator.fit(made.learn.X, made.learn.y)
            fitted = time.perf_counter()
            scores = self.scores(estimator, made.test, labels)
            done = time.perf_counter()
            train = {} if made.again is None else self.scores(estimator, made.again, labels)
        return scores, train, (fitted - started, done - fitted)

    def scores(self, estimator: Any, rows: TrainingData, labels: Any) -> dict[str, float | None]:
        """Every metric of a fitted estimator on rows; `labels` are all classes, None for numbers."""
        truth = truth_of(rows, estimates(estimator, rows, labels), labels)
        return {name: compute(name, truth) for name in self.metrics}
