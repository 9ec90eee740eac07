"""A fitted model: what the workflow gives, what is saved, and what predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from raypipe.errors import ConfigError
from raypipe.ml.data import TrainingData
from raypipe.ml.estimators import make_estimator, takes_missing
from raypipe.ml.metrics import Truth
from raypipe.ml.preprocess.columns import make_preprocessor
from raypipe.ml.specs.features import FeatureSpec
from raypipe.ml.specs.models import ModelSpec, Task

FINAL = {"classification": "classifier", "regression": "regressor"}
"""Name of the last step of a pipeline."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes an unfitted pipeline, again and again the same."""

    features: tuple[FeatureSpec, ...]
    model: ModelSpec
    task: Task
    seed: int
    labels: tuple[Any, ...] | None = None
    """Of the rows; wanted where the model spec weighs classes by their labels as text."""

    def make(self, **params: Any) -> Pipeline:
        """The unfitted pipeline; `params` are set as scikit-learn names them, the estimator's own names allowed."""
        steps = [
            ("preprocessor", make_preprocessor(self.features, self.seed, takes_missing(self.model), self.task)),
            (FINAL[self.task], self.fresh()),
        ]
        pipeline = Pipeline(steps)
        if params:
            pipeline.set_params(**{full_name(name, self.task): value for name, value in params.items()})
        return pipeline

    def fresh(self) -> Any:
        """The unfitted estimator, classes weighed by their own labels."""
        made = make_estimator(self.model, self.task, self.seed)
        if isinstance(self.model.class_weight, dict) and self.labels is not None:
            made.set_params(class_weight=weights_of(self.model, self.labels))
        return made

    def estimator(self, **params: Any) -> Any:
        """The last step of what `make` gives, without making the others where no parameter is theirs."""
        step = f"{FINAL[self.task]}__"
        own = {full_name(name, self.task): value for name, value in params.items()}
        if not all(name.startswith(step) for name in own):
            return self.make(**params)[-1]
        return self.fresh().set_params(**{name.removeprefix(step): value for name, value in own.items()})


def weights_of(model: ModelSpec, labels: tuple[Any, ...]) -> dict[Any, float]:
    """Label -> weight; a label that the spec does not name counts 1.

    Raises
    ------
    ConfigError
        The spec names what is no label.
    """
    assert isinstance(model.class_weight, dict)
    known = {str(label): label for label in labels}
    for name in model.class_weight:
        if name not in known:
            raise ConfigError(
                f"model {model.model_name!r}: class_weight names {name!r}, which is no label; there are"
                f" {', '.join(map(repr, known))}"
            )
    return {label: model.class_weight.get(name, 1.0) for name, label in known.items()}


def full_name(name: str, task: Task) -> str:
    """A parameter as the pipeline knows it; `learning_rate`, `model__learning_rate` and the full name mean the same."""
    step = FINAL[task]
    if name.startswith("model__"):
        return f"{step}__{name.removeprefix('model__')}"
    return (
        name if name.startswith(("preprocessor__", f"{step}__", "classifier__", "regressor__")) else f"{step}__{name}"
    )


@dataclass(frozen=True)
class Estimate:
    """What a fitted model says of rows."""

    values: NDArray[np.float64]
    """Numbers; or rows by classes."""
    are_probabilities: bool = True
    """False: the model gives none; values rank rows and say classes."""


def estimates(pipeline: Any, data: TrainingData, labels: NDArray[Any] | None) -> Estimate:
    """What a fitted model says of rows: numbers, or probabilities of `labels` in their order.

    Columns of classes that the model has not seen are 0.
    """
    if labels is None:
        return Estimate(np.asarray(pipeline.predict(data.X), dtype=float).ravel())
    sure = hasattr(pipeline, "predict_proba")
    if sure:
        given = np.asarray(pipeline.predict_proba(data.X), dtype=float)
    elif hasattr(pipeline, "decision_function"):
        given = _spread(np.asarray(pipeline.decision_function(data.X), dtype=float))
    else:
        said = np.asarray(pipeline.predict(data.X)).ravel()
        given = (said[:, None] == pipeline.classes_[None, :]).astype(float)
    found = np.zeros((len(given), len(labels)))
    found[:, np.searchsorted(labels, pipeline.classes_)] = given
    return Estimate(found, sure)


def _spread(decisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances from the border as shares that sum to 1; even at the border."""
    if decisions.ndim == 1:
        second = 1 / (1 + np.exp(-np.clip(decisions, -500, 500)))
        return np.column_stack([1 - second, second])
    raised = np.exp(decisions - decisions.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def truth_of(
    data: TrainingData, estimate: Estimate, labels: NDArray[Any] | None, threshold: float | None = None
) -> Truth:
    """Target and estimate as metrics take them."""
    if labels is None:
        return Truth("regression", data.y.astype(float), estimate.values)
    places = np.searchsorted(labels, data.y).astype(np.int64)
    return Truth("classification", places, estimate.values, threshold, estimate.are_probabilities)
