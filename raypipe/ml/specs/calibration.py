"""How probabilities are made to hold what they say, and numbers to come with an interval."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, field_validator, model_validator

from raypipe.config import Frozen
from raypipe.ml.specs.base import Spec

Method = Literal["auto", "sigmoid", "isotonic", "temperature", "none"]
Folds = Literal["prefit", "kfold", "stratified_kfold"]
Share = Annotated[float, Field(gt=0, lt=1)]

THRESHOLD_METRICS = ("accuracy", "balanced_accuracy", "f1_score", "mcc")
"""Metrics that are best somewhere between the ends, so that a threshold can be tuned for them."""
_BEST_AT_AN_END = {"recall": "when every row is said to be of the second class", "precision": "at a handful of rows"}


class Costs(Frozen):
    """What the two errors of two classes cost, in any one unit."""

    false_positive: NonNegativeFloat
    """Of a row of the first class that is said to be of the second."""
    false_negative: NonNegativeFloat
    """Of a row of the second class that is said to be of the first."""

    @model_validator(mode="after")
    def _something_costs(self) -> Self:
        if not self.false_positive or not self.false_negative:
            raise ValueError(
                "both errors want a cost above 0; with one free, every row would be said to be of one class"
            )
        return self


class CalibrationSpec(Spec):
    """What is done to a model after it has learnt: probabilities, threshold, intervals.

    Everything is found on rows that the model which judged them had not seen.
    """

    calibration_name: Annotated[str, Field(min_length=1)] = "calibration"
    random_state: int | None = None
    """Of the folds; None takes that of the workflow."""
    method: Method = "auto"
    """auto: that with the least cross-fitted log loss, `none` unless another is better by more than noise; sigmoid:
    Platt's; isotonic: any rising curve, for 1,000 rows or more; temperature: one number for all classes."""
    cv_strategy: Folds | Annotated[int, Field(ge=2, strict=True)] = "prefit"
    """prefit: the fitted model is kept, and its calibrator learns from what models of folds said; kfold,
    stratified_kfold: `n_splits` folds; a number: so many folds. Groups, times and given folds of the validation hold in
    any case."""
    n_splits: Annotated[int, Field(ge=2)] | None = None
    """None: as many as the validation has. With `prefit` they are then the folds of the cross-validation, and nothing
    is fitted again."""
    ensemble: bool = True
    """Not with prefit: each fold's model is kept with a calibrator of its own, and the mean is said. Off: the model of
    all rows, with one calibrator."""
    threshold: str | Costs | None = None
    """Two classes: from which probability on a row is of the second; found for a metric (accuracy, balanced_accuracy,
    f1_score, mcc) or for costs. None: 0.5."""
    conformal: Share | None = None
    """Share of rows whose true value the intervals of numbers, or the sets of classes, are to hold: 0.9."""
    conformal_sets: Literal["lac", "aps"] = "lac"
    """lac: the smallest sets; aps: larger where a row is hard, so that coverage is more even over rows."""

    @field_validator("threshold")
    @classmethod
    def _threshold_can_be_tuned(cls, value: str | Costs | None) -> str | Costs | None:
        if not isinstance(value, str) or value in THRESHOLD_METRICS:
            return value
        able = ", ".join(THRESHOLD_METRICS)
        if value in _BEST_AT_AN_END:
            raise ValueError(f"{value} is best {_BEST_AT_AN_END[value]}; give one of {able}, or costs")
        raise ValueError(f"no threshold can be tuned for it; give one of {able}, or costs")

    @property
    def folds_wanted(self) -> int | None:
        """Number of folds; None: that of the validation."""
        return self.cv_strategy if isinstance(self.cv_strategy, int) else self.n_splits

    @property
    def fits_again(self) -> bool:
        """Whether it wants models of other folds than a cross-validation has, or models to keep."""
        return self.cv_strategy != "prefit" or self.n_splits is not None or self.random_state is not None

    @property
    def keeps_folds(self) -> bool:
        """Whether the models of the folds are what is kept."""
        return self.ensemble and self.cv_strategy != "prefit"


ClassifierCalibrationSpec = CalibrationSpec
"""The name that users of the older system know."""


class CalibrationSpecBuilder:
    """Specs of several calibrations."""

    def __init__(self) -> None:
        self._specs: list[CalibrationSpec] = []

    def add_platt_scaling(self, name: str = "platt_scaling", **settings: Any) -> Self:
        """A sigmoid."""
        return self._add(name, "sigmoid", settings)

    def add_isotonic_regression(self, name: str = "isotonic_regression", **settings: Any) -> Self:
        """Any rising curve."""
        return self._add(name, "isotonic", settings)

    def add_temperature(self, name: str = "temperature", **settings: Any) -> Self:
        """One number that all classes are cooled or heated by."""
        return self._add(name, "temperature", settings)

    def _add(self, name: str, method: str, settings: dict[str, Any]) -> Self:
        given = {"calibration_name": name, "method": method, **settings}
        self._specs.append(CalibrationSpec.from_dict(given, f"calibration {name!r}"))
        return self

    def build(self) -> list[CalibrationSpec]:
        """The specs, in the order of adding."""
        return list(self._specs)
