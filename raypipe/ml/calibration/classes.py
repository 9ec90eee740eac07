"""Classes: from rows that folds held back to calibrated probabilities, a threshold and sets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.ml.calibration.choose import MIN_ISOTONIC_ROWS, Choice, choose
from raypipe.ml.calibration.conformal import SET_SCORES, SetScore, quantile, sets, thinned, true_scores
from raypipe.ml.calibration.held import Held
from raypipe.ml.calibration.maps import Array, fit
from raypipe.ml.calibration.model import LABELLED_BY_HALF, CalibratedClassifier
from raypipe.ml.calibration.reliability import classwise_ece, reliability_table, wilson
from raypipe.ml.calibration.threshold import Rated, Tuned, threshold_curve, tune
from raypipe.ml.metrics import Truth, compute
from raypipe.ml.specs.calibration import CalibrationSpec, Costs
from raypipe.ml.workflow.trial import OutOfFold

FIGURES = ("log_loss", "brier", "ece")


@dataclass(frozen=True)
class CalibratedClasses:
    """What came of it."""

    model: CalibratedClassifier
    summary: dict[str, Any]
    out_of_fold: OutOfFold
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Judged:
    """Rows that a choice was tried on, with calibrated probabilities that they had no part in."""

    rows: NDArray[np.int64]
    """Places in what was held back."""
    y: NDArray[np.int64]
    probabilities: Array
    turns: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    """Among these rows: those to find something further on, those to try it on."""
    groups: NDArray[Any] | None


def calibrated_classes(spec: CalibrationSpec, models: list[Any], held: Held, labels: NDArray[Any]) -> CalibratedClasses:
    """The calibrated model, and what calibration did to rows that it did not learn from."""
    choice = choose(held, spec.method)
    judged = _judged(held, choice.probabilities[choice.way])
    rated = Rated(judged.probabilities[:, 1], judged.y == 1, judged.groups)
    tuned = None if spec.threshold is None else tune(rated, judged.turns, spec.threshold)
    scores, conformal = _conformal(spec, judged, labels)
    parts = held.folds if len(models) > 1 else (np.arange(len(held.y)),)
    model = CalibratedClassifier(
        estimators=models,
        calibrators=[fit(choice.way, *held.take(rows)) for rows in parts],
        classes=labels,
        threshold=LABELLED_BY_HALF if tuned is None else tuned.threshold,
        scores=scores,
        confidence=spec.conformal,
        set_score=spec.conformal_sets,
    )
    summary = _summary(choice, held, judged)
    if len(labels) == 2:
        summary["threshold_curve"] = threshold_curve(
            rated, spec.threshold if isinstance(spec.threshold, Costs) else None
        )
    if tuned is not None and spec.threshold is not None:
        summary["threshold"] = _threshold_told(tuned, spec.threshold)
    if conformal is not None:
        summary["conformal"] = conformal
    return CalibratedClasses(model, summary, _out_of_fold(held, judged, tuned), _warnings(spec, choice, held))


def _judged(held: Held, probabilities: Array) -> _Judged:
    rows = held.tried
    groups = None if held.groups is None else held.groups[rows]
    place = np.full(len(held.y), -1)
    place[rows] = np.arange(len(rows))
    turns = []
    for learnt, fold in held.turns():
        known = place[learnt]
        if (known >= 0).any():  # In time, the first fold that is tried on has no tried one before it.
            turns.append((known[known >= 0], place[fold]))
    return _Judged(rows, held.y[rows], probabilities, turns, groups)


def _summary(choice: Choice, held: Held, judged: _Judged) -> dict[str, Any]:
    before, after = _truth(choice, "none", judged), _truth(choice, choice.way, judged)
    sides = {"before": before, "after": after}
    return {
        "method": choice.way,
        "log_losses": dict(choice.losses),
        "tried_rows": len(judged.y),
        **{side: {name: _figure(name, truth) for name in FIGURES} for side, truth in sides.items()},
        "classwise_ece": None if after is None else classwise_ece(after),
        "reliability": {side: None if truth is None else reliability_table(truth) for side, truth in sides.items()},
        "gives_probabilities": held.said.are_probabilities,
    }


def _truth(choice: Choice, way: Any, judged: _Judged) -> Truth | None:
    given = choice.probabilities.get(way)
    return None if given is None else Truth("classification", judged.y, given)


def _figure(name: str, truth: Truth | None) -> float | None:
    return None if truth is None else compute(name, truth)


def _threshold_told(tuned: Tuned, wanted: str | Costs) -> dict[str, Any]:
    costs = isinstance(wanted, Costs)
    return {
        "value": tuned.threshold,
        "for": wanted.model_dump() if isinstance(wanted, Costs) else wanted,
        "usual": tuned.usual,
        "cost_per_row_at_usual" if costs else "metric_at_usual": tuned.usual_value,
        "cost_per_row_tuned" if costs else "metric_tuned": tuned.tuned_value,
        "taken": tuned.threshold != tuned.usual,
    }


def _conformal(
    spec: CalibrationSpec, judged: _Judged, labels: NDArray[Any]
) -> tuple[dict[SetScore, Array] | None, dict[str, Any] | None]:
    if spec.conformal is None:
        return None, None
    odd = {name: true_scores(judged.probabilities, judged.y, name) for name in SET_SCORES}
    quantile(odd["lac"], spec.conformal)  # Too few rows are told before anything is promised.
    told = {name: _sets_told(spec.conformal, judged, odd[name], name, labels) for name in SET_SCORES}
    kept = {name: thinned(values) for name, values in odd.items()}
    first = {"kind": "sets", "confidence": spec.conformal, "score": spec.conformal_sets, "rows": len(judged.y)}
    return kept, {**first, **told[spec.conformal_sets], "by_score": told}


def _sets_told(confidence: float, judged: _Judged, odd: Array, score: SetScore, labels: NDArray[Any]) -> dict[str, Any]:
    """What sets from the scores of other folds hold."""
    inside, rows = [], []
    for learnt, fold in judged.turns:
        inside.append(sets(judged.probabilities[fold], quantile(odd[learnt], confidence), score))
        rows.append(fold)
    known, tried = np.concatenate(inside), np.concatenate(rows)
    y = judged.y[tried]
    hit, sizes = known[np.arange(len(y)), y], known.sum(axis=1)
    low, high = wilson(float(hit.sum()), len(hit))
    return {
        "measured_coverage": float(hit.mean()),
        "coverage_low": low,
        "coverage_high": high,
        "coverage_by_class": {str(label): _share(hit[y == k]) for k, label in enumerate(labels)},
        "mean_size": float(sizes.mean()),
        "share_of_one": float((sizes == 1).mean()),
    }


def _share(hit: NDArray[np.bool_]) -> float | None:
    return float(hit.mean()) if len(hit) else None


def _out_of_fold(held: Held, judged: _Judged, tuned: Tuned | None) -> OutOfFold:
    """As the folds of a cross-validation, with the threshold that was found on other rows."""
    threshold: float | Array = LABELLED_BY_HALF
    if tuned is not None:
        threshold = np.full(len(judged.y), tuned.usual)
        threshold[np.concatenate([fold for _, fold in judged.turns])] = tuned.per_row
    truth = Truth("classification", judged.y, judged.probabilities, threshold)
    edges = np.cumsum([0, *(len(fold) for _, fold in held.turns())])
    parts = tuple(np.arange(low, high) for low, high in itertools.pairwise(edges))
    return OutOfFold(held.places[judged.rows], truth, parts)


def _warnings(spec: CalibrationSpec, choice: Choice, held: Held) -> list[str]:
    found = []
    if choice.worse:
        before, after = choice.losses["none"], choice.losses[choice.way]
        found.append(
            f"calibration: method {spec.method!r} makes the cross-fitted log loss worse, from {before:.4f} to"
            f" {after:.4f}; use method 'auto'"
        )
    if spec.method == "isotonic" and len(held.y) < MIN_ISOTONIC_ROWS:
        found.append(
            f"calibration: isotonic learns the noise of {len(held.y):,} rows too; below {MIN_ISOTONIC_ROWS:,} use"
            " 'sigmoid' or 'auto'"
        )
    return found
