"""What the workflow calls: from a fitted model and its training rows to a calibrated one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raypipe.errors import ConfigError
from raypipe.ml.calibration.classes import calibrated_classes
from raypipe.ml.calibration.held import Held, Known, folds_for, hold
from raypipe.ml.calibration.intervals import with_intervals
from raypipe.ml.calibration.model import CalibratedClassifier, CalibratedRegressor
from raypipe.ml.data import TrainingData
from raypipe.ml.model import Recipe
from raypipe.ml.specs.calibration import CalibrationSpec
from raypipe.ml.specs.validation import Strategy, ValidationSpec
from raypipe.ml.workflow.crossfit import Place
from raypipe.ml.workflow.trial import OutOfFold

Fitted = tuple[Recipe, Mapping[str, Any], Any]
"""How a model is made, with which settings, and the one that learnt from all rows."""


@dataclass(frozen=True)
class Calibration:
    """What calibration gives."""

    model: CalibratedClassifier | CalibratedRegressor
    summary: dict[str, Any]
    """Plain values, as JSON holds them."""
    warnings: tuple[str, ...] = ()
    out_of_fold: OutOfFold | None = None
    """Of classes: calibrated probabilities of rows that neither model nor calibrator had seen."""


def calibrate(
    spec: CalibrationSpec,
    made: Fitted,
    data: TrainingData,
    validation: ValidationSpec,
    place: Place | None = None,
    known: Known | None = None,
) -> Calibration:
    """The model, calibrated on rows that it did not see.

    The recipe is fitted on folds of the training rows, which keep apart what the validation keeps apart; calibrator,
    threshold and conformal quantiles are found on the rows that folds held back, and are judged by finding them again
    without the fold that they are tried on.

    Parameters
    ----------
    place : Place, optional
        Where folds are fitted; None: on Ray where this process is connected to one.
    known : Known, optional
        What a cross-validation of the same recipe found; where its folds are those wanted, nothing is fitted again.

    Raises
    ------
    ConfigError
        The spec asks for what these rows, this task or this model cannot give, or the time was up.
    """
    recipe, params, fitted = made
    _require_possible(spec, data)
    seed = recipe.seed if spec.random_state is None else spec.random_state
    parts, strategy = folds_for(spec, data, validation, seed)
    keep = spec.keeps_folds and strategy not in ("time", "purged")
    held = hold((recipe, params), data, (parts, strategy), keep, place, known)
    models = list(held.models) if keep else [fitted]
    told: dict[str, Any] = {
        "calibration_name": spec.calibration_name,
        "calibration_type": type(spec).__name__,
        "method": spec.method,
        "cv_strategy": spec.cv_strategy,
        "folds": strategy,
        "n_splits": len(parts),
        "fitted_again": held.fitted_again,
        "ensemble": keep,
        "n_calibrated_models": len(models),
        "rows": len(held.y),
    }
    warnings = list(_notes(spec, strategy, held, keep))
    if data.task == "regression":
        assert spec.conformal is not None
        numbers, conformal = with_intervals(models, held, spec.conformal, recipe, data)
        told.update(method="none", conformal=conformal)
        return Calibration(numbers, {**told, "warnings": warnings}, tuple(warnings))
    done = calibrated_classes(spec, models, held, data.classes)
    warnings += done.warnings
    told.update(done.summary)
    return Calibration(done.model, {**told, "warnings": warnings}, tuple(warnings), done.out_of_fold)


def _require_possible(spec: CalibrationSpec, data: TrainingData) -> None:
    if data.task == "regression":
        if spec.method not in ("auto", "none"):
            raise ConfigError(
                f"calibration: method {spec.method!r} is for classes, and {data.target!r} is a number; leave it out"
            )
        if spec.threshold is not None:
            raise ConfigError(f"calibration: a threshold is for two classes, and {data.target!r} is a number")
        if spec.conformal is None:
            raise ConfigError("calibration: of numbers it gives intervals alone; give conformal, such as 0.9")
    elif spec.threshold is not None and len(data.classes) != 2:
        raise ConfigError(
            f"calibration: a threshold is for two classes, and {data.target!r} has {len(data.classes)}; leave it out"
        )


def _notes(spec: CalibrationSpec, strategy: Strategy, held: Held, kept: bool) -> list[str]:
    notes = []
    tied = "in time" if strategy in ("time", "purged") else "by group" if held.groups is not None else None
    if spec.cv_strategy in ("kfold", "stratified_kfold") and tied:
        notes.append(
            f"calibration: {spec.cv_strategy} would part rows that hang together; folds {tied} ({strategy}) are used"
        )
    if spec.keeps_folds and not kept:
        notes.append(
            "calibration: models of folds in time have not seen the latest rows; the model of all rows is kept instead"
            " of an ensemble"
        )
    if spec.conformal is not None and tied:
        notes.append(
            f"conformal: rows hang together {tied}, so that new ones need not come as these did; the measured coverage"
            " holds for what was tried, and no more is promised"
        )
    return notes
