"""How good a model is: on folds that it had not seen, on rows held back, and on its own rows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raypipe.errors import ConfigError
from raypipe.ml.data import TrainingData
from raypipe.ml.metrics import Score, compute, score
from raypipe.ml.model import estimates, truth_of
from raypipe.ml.workflow.attempt import Attempts
from raypipe.ml.workflow.trial import OutOfFold


def judged_by_folds(cv: OutOfFold, data: TrainingData, metrics: Sequence[str], seed: int) -> dict[str, Any]:
    """Scores over all rows that folds tried, and the keys that users of the older system know."""
    # What is said of a row in one repeat is no news in the next: rows are drawn with all that was said of them.
    groups = cv.places if data.groups is None else data.groups[cv.places]
    rows = len(np.unique(cv.places))
    once = data.groups is None and rows == len(cv.places)
    told = score(metrics, cv.truth, cv.folds, None if once else groups, seed)
    told = {name: one.replace(rows=rows) for name, one in told.items()}
    main = told[metrics[0]]
    values = [value for value in main.fold_values if value is not None]
    return {
        "metrics": told,
        "cv_score": float(np.mean(values)) if values else None,
        "cv_std": main.std,
        "cv_scores": list(main.fold_values),
        "judged": cv.truth,
    }


def judged_on_test(
    model: Any, sides: tuple[TrainingData, TrainingData], metrics: Sequence[str], seed: int, attempts: Attempts
) -> dict[str, Any]:
    """Scores on rows that stayed untouched."""
    train, held = sides
    labels = None if train.task == "regression" else train.classes
    known = held if labels is None else _known(held, train, attempts)
    truth = truth_of(known, estimates(model, known, labels), labels, _threshold(model))
    tested: dict[str, Score] = score(metrics, truth, groups=known.groups, seed=seed)
    return {
        "test_metrics": tested,
        "test_score": tested[metrics[0]].value,
        "train_size": train.rows,
        "test_size": held.rows,
        "judged": truth,
    }


def on_own_rows(model: Any, data: TrainingData, metrics: Sequence[str]) -> dict[str, float | None]:
    """Scores on the rows that the model learnt from: too good, and told to be seen beside the others."""
    labels = None if data.task == "regression" else data.classes
    truth = truth_of(data, estimates(model, data, labels), labels, _threshold(model))
    return {name: compute(name, truth) for name in metrics}


def _threshold(model: Any) -> float | None:
    """Where a calibrated model of two classes says the second; None: it says the most probable."""
    found = getattr(model, "threshold_", None)
    return None if found is None else float(found)


def _known(held: TrainingData, train: TrainingData, attempts: Attempts) -> TrainingData:
    """The rows of the test whose class was there to learn."""
    known = np.isin(held.y, train.classes)
    if not known.all():
        attempts.warn(
            f"{int((~known).sum()):,} rows of the test have a class that no training row has; they count in no metric"
        )
    if not known.any():
        raise ConfigError("validation: no row of the test has a class of the training rows; check the labels")
    return held.take(np.flatnonzero(known))
