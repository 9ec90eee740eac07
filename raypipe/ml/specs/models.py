"""Models: which algorithm, with which settings, judged by which metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, NonNegativeFloat

from raypipe.ml.specs.base import Spec

Task = Literal["classification", "regression"]


class ModelSpec(Spec):
    """One model. `ClassifierModelSpec` and `RegressorModelSpec` say the task; this one lets the target decide."""

    model_name: Annotated[str, Field(min_length=1)]
    algorithm: str = "gradient_boosting"
    """A name of `raypipe.ml.estimators.ALGORITHMS`, or a class of scikit-learn: sklearn.ensemble.AdaBoostClassifier."""
    hyperparameters: dict[str, JsonValue] = Field(default_factory=dict)
    """Of the estimator, under its own names; what is not given keeps the default of `ALGORITHMS`."""
    fit_params: dict[str, JsonValue] = Field(default_factory=dict)
    """Further arguments of the estimator's `fit`, under its own names."""
    random_state: int | None = None
    """None takes that of the workflow."""
    evaluation_metrics: tuple[str, ...] = ()
    """The first decides; none given: all that fit the task, accuracy or RMSE first."""
    class_weight: Literal["balanced"] | dict[str, NonNegativeFloat] | None = None
    """Classification: how much a row of a class counts, by its label as text."""

    @property
    def task(self) -> Task | None:
        """None: the target decides."""
        return None


class ClassifierModelSpec(ModelSpec):
    """A model of classes, with labels of any type."""

    @property
    def task(self) -> Task | None:
        return "classification"


class RegressorModelSpec(ModelSpec):
    """A model of numbers."""

    @property
    def task(self) -> Task | None:
        return "regression"
