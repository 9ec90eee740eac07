"""Folds whose features are made already: most trials of a search differ in the estimator alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from raypipe.ml.data import TrainingData
from raypipe.ml.model import Recipe, full_name
from raypipe.ml.splits import Fold

MOST_BYTES = 256 << 20
"""Kept in a process; a fold that does not fit beside the others takes the place of the oldest."""


@dataclass(frozen=True)
class Prepared:
    """One fold, its features as the estimator takes them."""

    learn: TrainingData
    """To learn from: `fit_transform` of the training rows, which cross-fitted encoders make otherwise than `again`."""
    test: TrainingData
    again: TrainingData | None
    """The training rows once more, as a fitted pipeline sees them; None: not asked for."""

    @property
    def nbytes(self) -> int:
        """Memory that the features take."""
        return sum(_nbytes(side.X) for side in (self.learn, self.test, self.again) if side is not None)


@dataclass
class Shelf:
    """Prepared folds by fold and by the parameters that reach the features."""

    most_bytes: int = MOST_BYTES
    _kept: dict[tuple[str, int], Prepared] = field(default_factory=dict)

    def get(
        self, work: tuple[Recipe, TrainingData, bool], params: Mapping[str, Any], place: tuple[int, Fold]
    ) -> Prepared:
        """The fold, made now where it is not there.

        Parameters
        ----------
        work : (recipe, data, whether `again` is wanted)
        place : (number of the fold, its rows)
        """
        recipe = work[0]
        own = {full_name(name, recipe.task): value for name, value in params.items()}
        own = {name: value for name, value in own.items() if name.startswith("preprocessor__")}
        key = (json.dumps(own, sort_keys=True), place[0])
        found = self._kept.pop(key, None)
        if found is None:
            found = _prepare(*work, own, place[1])
        self._kept[key] = found  # last: the one used last goes last
        total = sum(one.nbytes for one in self._kept.values())
        while total > self.most_bytes:
            oldest = next(iter(self._kept))
            total -= self._kept.pop(oldest).nbytes
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"most_bytes": self.most_bytes, "_kept": {}}  # each process makes its own


def _prepare(recipe: Recipe, data: TrainingData, again: bool, own: Mapping[str, Any], fold: Fold) -> Prepared:
    train, test = data.take(fold[0]), data.take(fold[1])
    features = recipe.make(**own)[:-1]
    with threadpool_limits(limits=1):
        learn = features.fit_transform(train.X, train.y)
        return Prepared(
            replace(train, X=learn),
            replace(test, X=features.transform(test.X)),
            replace(train, X=features.transform(train.X)) if again else None,
        )


def _nbytes(features: Any) -> int:
    if isinstance(features, np.ndarray):
        return features.nbytes
    return int(features.data.nbytes + features.indices.nbytes + features.indptr.nbytes)
