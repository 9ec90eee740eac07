"""The algorithms by name, what each is by default, and how one is made from its spec.

Classes are imported when a model is made, so that a spec costs nothing and an algorithm of an extra can be named where
the extra is absent.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raypipe._optional import require_extra
from raypipe.errors import ConfigError
from raypipe.ml.specs.models import ModelSpec, Task


@dataclass(frozen=True)
class Algorithm:
    """One way to learn, for classes, numbers, or both."""

    classifier: str | None
    """Import path of the class; None: it cannot."""
    regressor: str | None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """For both tasks, where the library's own defaults serve badly."""
    classifier_defaults: Mapping[str, Any] = field(default_factory=dict)
    extra: str = "ml"
    """The pip extra that brings it."""
    takes_missing: bool = False
    """Whether it can learn from cells without a value."""

    def path(self, task: Task) -> str | None:
        """Import path of the class for a task."""
        return self.classifier if task == "classification" else self.regressor


def _sklearn(where: str, classifier: str | None, regressor: str | None, **more: Any) -> Algorithm:
    return Algorithm(
        f"sklearn.{where}.{classifier}" if classifier else None,
        f"sklearn.{where}.{regressor}" if regressor else None,
        **more,
    )


SLIP = 0.93
"""Likeness from which an unknown name is taken for a known one, mistyped."""
_QUIET = {"verbosity": -1, "n_jobs": 1}

ALGORITHMS: dict[str, Algorithm] = {
    "linear": Algorithm(
        "sklearn.linear_model.LogisticRegression",
        "sklearn.linear_model.LinearRegression",
        classifier_defaults={"max_iter": 1_000},
    ),
    "logistic_regression": _sklearn("linear_model", "LogisticRegression", None, defaults={"max_iter": 1_000}),
    "ridge": _sklearn("linear_model", "RidgeClassifier", "Ridge"),
    "elastic_net": Algorithm(
        "sklearn.linear_model.LogisticRegression",
        "sklearn.linear_model.ElasticNet",
        classifier_defaults={"solver": "saga", "l1_ratio": 0.5, "max_iter": 2_000},
    ),
    "random_forest": _sklearn(
        "ensemble", "RandomForestClassifier", "RandomForestRegressor", defaults={"n_estimators": 300, "n_jobs": 1}
    ),
    "extra_trees": _sklearn(
        "ensemble", "ExtraTreesClassifier", "ExtraTreesRegressor", defaults={"n_estimators": 300, "n_jobs": 1}
    ),
    "gradient_boosting": _sklearn("ensemble", "GradientBoostingClassifier", "GradientBoostingRegressor"),
    "hist_gradient_boosting": _sklearn(
        "ensemble", "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", takes_missing=True
    ),
    "lightgbm": Algorithm("lightgbm.LGBMClassifier", "lightgbm.LGBMRegressor", defaults=_QUIET, takes_missing=True),
    "xgboost": Algorithm(
        "raypipe.ml.labels.LabelledXGBClassifier",
        "xgboost.XGBRegressor",
        defaults={"n_jobs": 1},
        extra="boost",
        takes_missing=True,
    ),
    "catboost": Algorithm(
        "catboost.CatBoostClassifier",
        "catboost.CatBoostRegressor",
        defaults={"verbose": False, "thread_count": 1, "allow_writing_files": False},
        extra="boost",
        takes_missing=True,
    ),
    "svm": _sklearn("svm", "SVC", "SVR"),
    "knn": _sklearn("neighbors", "KNeighborsClassifier", "KNeighborsRegressor"),
    "naive_bayes": _sklearn("naive_bayes", "GaussianNB", None),
    "mlp": Algorithm("raypipe.ml.neural.mlp.MLPClassifier", "raypipe.ml.neural.mlp.MLPRegressor", extra="torch"),
    "dummy": _sklearn("dummy", "DummyClassifier", "DummyRegressor", classifier_defaults={"strategy": "prior"}),
}
"""Name -> algorithm."""


def make_estimator(spec: ModelSpec, task: Task, seed: int) -> Any:
    """The unfitted estimator that a spec describes.

    Raises
    ------
    ConfigError
        An algorithm that there is not or that cannot do the task, or a setting that its class does not know or takes
        no such value for.
    MissingDependencyError
        The algorithm belongs to a pip extra that is not installed.
    """
    kind, settings = _class_and_defaults(spec, task)
    known, _ = _settings_of(kind)
    _require_known(spec, kind, spec.hyperparameters)
    settings.update(spec.hyperparameters)
    for name in ("random_state", "random_seed"):
        if name in known and name not in settings:
            settings[name] = seed if spec.random_state is None else spec.random_state
            break
    if spec.class_weight is not None:
        settings.update(_class_weight(spec, kind, known))
    estimator = kind(**settings)
    _check_values(spec, estimator)
    return estimator


def takes_missing(spec: ModelSpec) -> bool:
    """Whether the algorithm learns from rows with cells without a value."""
    known = ALGORITHMS.get(spec.algorithm)
    return known.takes_missing if known else spec.algorithm.rpartition(".")[2].startswith("HistGradient")


def _class_and_defaults(spec: ModelSpec, task: Task) -> tuple[type, dict[str, Any]]:
    if "." in spec.algorithm:
        return _by_path(spec, task), {}
    algorithm = ALGORITHMS.get(spec.algorithm)
    if algorithm is None:
        close = difflib.get_close_matches(spec.algorithm, ALGORITHMS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"model {spec.model_name!r}: there is no algorithm {spec.algorithm!r}; there are"
            f" {', '.join(ALGORITHMS)}, and any class of scikit-learn by its import path.{hint}"
        )
    path = algorithm.path(task)
    if path is None:
        able = [name for name, one in ALGORITHMS.items() if one.path(task)]
        raise ConfigError(f"model {spec.model_name!r}: {spec.algorithm!r} does no {task}; these do: {', '.join(able)}")
    require_extra(algorithm.extra, f"model {spec.model_name!r} ({spec.algorithm})")
    defaults = {**algorithm.defaults, **(algorithm.classifier_defaults if task == "classification" else {})}
    return _load(path), defaults


def _load(path: str) -> type:
    module, _, name = path.rpartition(".")
    found: type = getattr(importlib.import_module(module), name)
    return found


def _by_path(spec: ModelSpec, task: Task) -> type:
    """A class of scikit-learn. Of nothing else: a spec is data, and data must not choose which code is imported."""
    who, path = f"model {spec.model_name!r}", spec.algorithm
    if not path.startswith("sklearn."):
        raise ConfigError(f"{who}: got the path {path!r}; only classes of scikit-learn can be named so: sklearn.…")
    require_extra("ml", who)
    try:
        found = _load(path)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{who}: scikit-learn has no {path}: {error}") from error
    from sklearn.base import is_classifier, is_regressor

    fits = isinstance(found, type) and hasattr(found, "fit") and hasattr(found, "predict")
    if not fits:
        raise ConfigError(f"{who}: {path} is no estimator with fit and predict")
    try:
        made = found()
    except TypeError as error:
        raise ConfigError(f"{who}: {path} needs further estimators, which a spec cannot give: {error}") from error
    if not (is_classifier(made) if task == "classification" else is_regressor(made)):
        raise ConfigError(f"{who}: {path} does no {task}")
    return found


def _settings_of(kind: type) -> tuple[frozenset[str], bool]:
    """Names of the settings of a class, and whether it takes others too, as LightGBM does under further names."""
    parameters = inspect.signature(kind).parameters.values()
    names = frozenset(one.name for one in parameters if one.kind is not one.VAR_KEYWORD)
    if len(names) == len(parameters):
        return names, False
    return names | frozenset(kind().get_params()), True


def _require_known(spec: ModelSpec, kind: type, settings: Mapping[str, Any]) -> None:
    """Refuse a setting that the class does not know; of those with further names, one that is a slip of the pen."""
    known, takes_others = _settings_of(kind)
    for name in settings:
        close = difflib.get_close_matches(name, known, n=1, cutoff=SLIP if takes_others else 0.6)
        if name in known or (takes_others and not close):
            continue
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"model {spec.model_name!r}: {kind.__name__} has no setting {name!r}.{hint}")


def _class_weight(spec: ModelSpec, kind: type, known: frozenset[str]) -> dict[str, Any]:
    if "class_weight" not in known:
        raise ConfigError(
            f"model {spec.model_name!r}: {kind.__name__} takes no class_weight; leave it out, or choose"
            " another algorithm"
        )
    return {"class_weight": spec.class_weight}


def _check_values(spec: ModelSpec, estimator: Any) -> None:
    """Values that scikit-learn refuses, told before any row is read."""
    if not hasattr(estimator, "_parameter_constraints"):
        return  # LightGBM and others check when they learn.
    try:
        estimator._validate_params()
    except ValueError as error:
        raise ConfigError(f"model {spec.model_name!r}: {error}") from error
