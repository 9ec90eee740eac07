"""The same search written by hand: candidates from scikit-learn's sampler or from Optuna, judged by cross_val_score."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy.stats import loguniform, randint, uniform
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, ParameterSampler, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from benchmarks.contenders.learning import SCORING, Inputs, loss_on, read

MAX_ONEHOT = 20
MANY = 100_000
"""Candidates drawn beforehand; the time is up long before."""
ESTIMATORS: Mapping[str, tuple[type, type, dict[str, Any]]] = {
    "lightgbm": (LGBMClassifier, LGBMRegressor, {"verbosity": -1, "n_jobs": 1}),
    "hist_gradient_boosting": (HistGradientBoostingClassifier, HistGradientBoostingRegressor, {}),
    "random_forest": (RandomForestClassifier, RandomForestRegressor, {"n_estimators": 300, "n_jobs": 1}),
    "linear": (LogisticRegression, Ridge, {}),
}
LEARN_FROM_GAPS = frozenset({"lightgbm", "hist_gradient_boosting"})


def prepare(task: dict[str, Any]) -> None:
    """Start the processes that cross_val_score shares its folds among."""
    x = np.random.default_rng(0).random((60, 3))
    cross_val_score(Ridge(), x, x[:, 0], n_jobs=task["jobs"], cv=3)


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Search until the time is up, learn with the best, and judge it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    started = time.monotonic()
    inputs = read(task)
    rows, held = inputs.features(task)
    search = _by_optuna if task["by"] == "optuna" else _by_sampler
    losses, params = search(task, inputs, rows, started + task["seconds"])
    best = pipeline_of(task, rows).set_params(**params).fit(rows, inputs.y)
    loss = loss_on(best, task["kind"], held, inputs.held_y)
    over = time.monotonic() - started - task["seconds"]
    return {"loss": loss, "over_s": over, "trials": len(losses), "cv_loss": min(losses), "params": params}


def finish() -> None:
    """Nothing stays open."""


def pipeline_of(task: Mapping[str, Any], rows: pd.DataFrame) -> Pipeline:
    """Features and estimator, by the rules of thumb that raypipe goes by, too."""
    numbers = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name].dtype)]
    words = [name for name in rows.columns if name not in numbers and rows[name].nunique() > 1]
    few = [name for name in words if rows[name].nunique() <= MAX_ONEHOT]
    many = [name for name in words if name not in few]
    fill = [] if task["estimator"] in LEARN_FROM_GAPS else [SimpleImputer(strategy="median")]
    steps = [
        ("numbers", make_pipeline(*fill, StandardScaler()), numbers),
        ("few", OneHotEncoder(handle_unknown="ignore", sparse_output=False), few),
        ("many", TargetEncoder(cv=KFold(5, shuffle=True, random_state=task["seed"])), many),
    ]
    features = ColumnTransformer([one for one in steps if one[2]])
    return Pipeline([("features", features), ("estimator", _estimator(task))])


def _estimator(task: Mapping[str, Any]) -> Any:
    classifier, regressor, settings = ESTIMATORS[task["estimator"]]
    if task["kind"] == "regression":
        return regressor(**settings, random_state=task["seed"])
    more = {"max_iter": 1_000} if classifier is LogisticRegression else {}
    return classifier(**settings, **more, random_state=task["seed"])


def loss_of(task: Mapping[str, Any], inputs: Inputs, rows: pd.DataFrame, params: Mapping[str, Any]) -> float:
    """The mean loss of a candidate over the folds."""
    model = pipeline_of(task, rows).set_params(**params)
    scores = cross_val_score(model, rows, inputs.y, cv=inputs.folds, scoring=SCORING[task["kind"]], n_jobs=task["jobs"])
    return float(-scores.mean())


def _by_sampler(
    task: Mapping[str, Any], inputs: Inputs, rows: pd.DataFrame, end: float
) -> tuple[list[float], dict[str, Any]]:
    """RandomizedSearchCV's way, candidate by candidate, since it knows no time limit: none begins past it."""
    drawn = {f"estimator__{name}": _drawable(one) for name, one in task["space"].items()}
    losses: list[float] = []
    tried: list[dict[str, Any]] = []
    for params in ParameterSampler(drawn, MANY, random_state=task["seed"]):
        if losses and time.monotonic() >= end:
            break
        losses.append(loss_of(task, inputs, rows, params))
        tried.append(params)
    return losses, tried[int(np.argmin(losses))]


def _by_optuna(
    task: Mapping[str, Any], inputs: Inputs, rows: pd.DataFrame, end: float
) -> tuple[list[float], dict[str, Any]]:
    """study.optimize(timeout=…), which begins no trial past it."""

    def objective(trial: optuna.Trial) -> float:
        params = {f"estimator__{name}": _suggest(trial, name, one) for name, one in task["space"].items()}
        trial.set_user_attr("params", params)
        return loss_of(task, inputs, rows, params)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=task["seed"]))
    study.optimize(objective, timeout=max(0.0, end - time.monotonic()))
    return [one.value for one in study.trials if one.value is not None], study.best_trial.user_attrs["params"]


def _drawable(domain: Mapping[str, Any]) -> Any:
    low, high = domain["low"], domain["high"]
    if domain["kind"] == "int" and not domain["log"]:
        return randint(low, high + 1)
    if domain["kind"] == "int":
        return _Whole(low, high)
    return loguniform(low, high) if domain["log"] else uniform(low, high - low)


class _Whole:
    """Whole numbers, each power of ten as likely as another."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.drawn = loguniform(low - 0.5 if low > 1 else low, high + 0.5)

    def rvs(self, random_state: Any = None) -> int:
        """One number."""
        return int(np.clip(round(float(self.drawn.rvs(random_state=random_state))), self.low, self.high))


def _suggest(trial: optuna.Trial, name: str, domain: Mapping[str, Any]) -> Any:
    suggest = trial.suggest_int if domain["kind"] == "int" else trial.suggest_float
    return suggest(name, domain["low"], domain["high"], log=domain["log"])
