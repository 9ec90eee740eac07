"""From a spec of a search to its folds, metrics and limits."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from raypipe.errors import ConfigError
from raypipe.ml.data import TrainingData
from raypipe.ml.metrics import METRICS, metrics_for
from raypipe.ml.model import Recipe
from raypipe.ml.specs.models import Task as Kind
from raypipe.ml.specs.validation import WITHOUT_FOLDS, Strategy, ValidationSpec
from raypipe.ml.splits import Fold, folds, settled
from raypipe.ml.tuning.candidates import AnySpec
from raypipe.ml.tuning.race import Room

if TYPE_CHECKING:
    from raypipe.ml.workflow.run import Options

SCORERS = {
    "f1": "f1_score",
    "neg_log_loss": "log_loss",
    "neg_brier_score": "brier",
    "matthews_corrcoef": "mcc",
    "roc_auc_ovr": "roc_auc",
    "neg_root_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
    "neg_median_absolute_error": "median_ae",
    "neg_mean_absolute_percentage_error": "mape",
}
"""scikit-learn's name of a scorer -> the metric."""
_AS_FOLDS: dict[str, Strategy] = {"stratified_kfold": "stratified", "kfold": "kfold"}
_NOT_INSIDE = frozenset({"nested", "repeated", "train_test", "none", "cross_validation"})
"""Strategies of a workflow whose search uses the folds that `auto` comes to."""
_NOT_THE_SEARCH = frozenset(
    {"enabled", "description", "metadata", "n_jobs", "verbose", "time_limit_s", "engine", "ray_address", "n_trials",
     "n_iter", "refit_score"}
)  # fmt: skip
MARGIN = 1.15
"""On what later fits take: their time need not go with their rows, and they are asked about other rows."""
RESERVE_SHARE, RESERVE_MOST_S = 0.05, 5.0
"""Of the workflow's time, kept back for what comes after a search."""


def settled_folds(spec: AnySpec, data: TrainingData, validation: ValidationSpec, seed: int) -> tuple[str, list[Fold]]:
    """How the folds of each trial are made, and the folds.

    Raises
    ------
    ConfigError
        The spec deals rows at random that hang together, or there are too few rows.
    """
    strategy = _AS_FOLDS.get(spec.cv_strategy)
    if strategy is None:
        strategy = "auto" if validation.strategy in _NOT_INSIDE else validation.strategy
    elif data.groups is not None or data.times is not None:
        tied = "groups" if data.groups is not None else "an order in time"
        raise ConfigError(
            f"tuning {spec.tuning_name!r}: cv_strategy {spec.cv_strategy!r} deals rows at random, but the rows have"
            f" {tied}: its scores would be too good; use cv_strategy 'auto'"
        )
    inside = validation.replace(strategy=strategy)
    found = folds(inside, data, seed, spec.n_splits or validation.inner_splits)
    return (spec.cv_strategy if spec.cv_strategy != "auto" else settled(inside, data)), found


def settled_metrics(spec: AnySpec, recipe: Recipe, task: Kind) -> tuple[str, dict[str, str]]:
    """Name of the score that decides, and name -> metric of all.

    Raises
    ------
    ConfigError
        A score that there is not for the task.
    """
    asked = spec.scorers
    if not asked:
        first = metrics_for(task, recipe.model.evaluation_metrics)[0]
        return first, {first: first}
    found = {}
    for name, metric in asked.items():
        known = SCORERS.get(metric, metric)
        if known not in METRICS or METRICS[known].task != task:
            able = [one for one, kind in METRICS.items() if kind.task == task]
            raise ConfigError(
                f"tuning {spec.tuning_name!r}: there is no scoring {metric!r} for {task}; there are {', '.join(able)}"
            )
        found[name] = known
    return spec.refit_score or next(iter(found)), found


def room_of(validation: ValidationSpec, options: Options, data: TrainingData, parts: Sequence[Fold]) -> Room:
    """What the workflow fits once the search has ended, counted in fits of a fold of the search, and by when."""
    if options.deadline is None:
        return Room()
    whole = data.rows / statistics.fmean(len(train) for train, _ in parts)
    repeats = validation.n_repeats if validation.strategy == "repeated" else 1
    of_folds = repeats * (validation.n_splits - 1) if validation.strategy not in WITHOUT_FOLDS | {"nested"} else 0
    calibration = options.calibration
    shared = of_folds > 0 and repeats == 1  # calibration uses the models of the cross-validation
    if calibration is not None and (calibration.fits_again or not shared):
        of_folds += (calibration.folds_wanted or validation.n_splits) - 1
    return Room(whole * (1 + of_folds) * MARGIN, options.deadline)


def deadline_of(spec: AnySpec, room: Room, started: float, fold_s: float) -> float:
    """When the search ends, by `time.monotonic()`: its own limit, or the workflow's less what comes after it."""
    own = math.inf if spec.time_limit_s is None else started + spec.time_limit_s
    if math.isinf(room.end_by):
        return own
    left = max(0.0, room.end_by - started)
    reserve = max(min(left * RESERVE_SHARE, RESERVE_MOST_S), room.fits * fold_s)
    return min(own, room.end_by - reserve)


def search_key(spec: AnySpec, seed: int) -> str:
    """Hash of what decides which trials a search proposes; more trials or time go on with the same."""
    told = {name: value for name, value in spec.to_dict().items() if name not in _NOT_THE_SEARCH}
    return hashlib.sha256(json.dumps([told, seed], sort_keys=True).encode()).hexdigest()[:16]
