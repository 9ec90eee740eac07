"""Numbers: from rows that folds held back to a model with intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.ml.calibration.choose import SURE
from raypipe.ml.calibration.conformal import MAX_SCORES, around, inside, interval_loss, needed_rows, quantile, thinned
from raypipe.ml.calibration.held import Held, standard_error
from raypipe.ml.calibration.model import CalibratedRegressor
from raypipe.ml.calibration.reliability import wilson
from raypipe.ml.data import TrainingData
from raypipe.ml.model import Recipe
from raypipe.ml.specs.models import ModelSpec
from raypipe.ml.workflow.trial import fitted_on

Array = NDArray[np.float64]
MIN_DIFFICULTY_ROWS = 300
"""Below, what rows are hard is learnt too badly to be worth a model."""
MAX_PLUS_SCORES = 2_000
"""Of several models together: each row meets each score."""
_SPREAD = ModelSpec(
    model_name="difficulty",
    algorithm="hist_gradient_boosting",
    hyperparameters={"max_iter": 80, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 30},
)


@dataclass(frozen=True)
class Tried:
    """Intervals of rows that were not used to make them."""

    y: Array
    ends: Array

    def told(self, confidence: float) -> dict[str, float]:
        """Coverage with its interval, and width."""
        hits = inside(self.y, self.ends)
        low, high = wilson(float(hits.sum()), len(hits))
        return {
            "measured_coverage": float(hits.mean()),
            "coverage_low": low,
            "coverage_high": high,
            "mean_width": float((self.ends[:, 1] - self.ends[:, 0]).mean()),
            "interval_loss": float(interval_loss(self.y, self.ends, confidence).mean()),
        }


def with_intervals(
    models: list[Any], held: Held, confidence: float, recipe: Recipe, data: TrainingData
) -> tuple[CalibratedRegressor, dict[str, Any]]:
    """A model whose intervals hold the truth with a confidence, and what they did on rows not used to make them.

    Parameters
    ----------
    models : list of fitted pipelines
        That of all rows, or those of the folds: then the intervals are CV+.
    """
    off = np.abs(held.y - held.said.values)
    quantile(off, confidence)  # Too few rows are told before anything more is learnt.
    plain = _try(held, off, confidence)
    widths = _cross_fitted_widths(held, off, recipe, data)
    varied = None if widths is None else _try(held, off / widths, confidence, widths)
    better = varied is not None and _surely_better(plain, varied, confidence, held)
    taken = varied if better and varied is not None else plain
    difficulty = _difficulty(recipe, data, held.places, off) if better else None
    scores = off / widths if better and widths is not None else off
    told = {
        "kind": "intervals",
        "method": "cv+" if len(models) > 1 else "out-of-fold residuals",
        "confidence": confidence,
        "rows": len(off),
        "score": "normalised" if better else "absolute",
        **(taken.told(confidence) if taken is not None else dict.fromkeys(("measured_coverage", "mean_width"))),
    }
    if plain is not None and varied is not None:
        told["interval_loss_absolute"] = float(interval_loss(plain.y, plain.ends, confidence).mean())
        told["interval_loss_normalised"] = float(interval_loss(varied.y, varied.ends, confidence).mean())
    return CalibratedRegressor(models, _kept(models, held, scores), confidence, difficulty), told


def _kept(models: list[Any], held: Held, scores: Array) -> list[Array]:
    if len(models) == 1:
        return [thinned(scores)]
    most = max(needed_rows(0.99), MAX_PLUS_SCORES // len(models))
    return [thinned(scores[fold], min(most, MAX_SCORES)) for fold in held.folds]


def _try(held: Held, scores: Array, confidence: float, widths: Array | None = None) -> Tried | None:
    """Intervals of each fold from the scores of the others; None where these are too few."""
    ys, ends = [], []
    for learnt, fold in held.turns():
        if len(learnt) < needed_rows(confidence):
            continue
        own = None if widths is None else widths[fold]
        ends.append(around(held.said.values[fold][:, None], [scores[learnt]], confidence, own))
        ys.append(held.y[fold])
    return Tried(np.concatenate(ys), np.concatenate(ends)) if ys else None


def _cross_fitted_widths(held: Held, off: Array, recipe: Recipe, data: TrainingData) -> Array | None:
    """How far off each row is expected to be, by a model that did not see how far off it was."""
    if held.forward or len(off) < MIN_DIFFICULTY_ROWS or not (off > 0).any():
        return None
    widths = np.empty(len(off))
    for learnt, fold in held.turns():
        model = _difficulty(recipe, data, held.places[learnt], off[learnt])
        widths[fold] = np.exp(model.predict(data.X.iloc[held.places[fold]]))
    return widths


def _difficulty(recipe: Recipe, data: TrainingData, places: NDArray[np.int64], off: Array) -> Any:
    least = max(float(np.quantile(off, 0.05)), float(off.max()) * 1e-6, 1e-300)
    rows = replace(data.take(places), y=np.log(np.maximum(off, least)))
    return fitted_on(Recipe(recipe.features, _SPREAD, "regression", recipe.seed), rows)


def _surely_better(plain: Tried | None, varied: Tried, confidence: float, held: Held) -> bool:
    if plain is None or len(plain.y) != len(varied.y):
        return False
    gain = interval_loss(plain.y, plain.ends, confidence) - interval_loss(varied.y, varied.ends, confidence)
    groups = None if held.groups is None or len(gain) != len(held.y) else held.groups
    return bool(gain.mean() > SURE * standard_error(gain, groups))
