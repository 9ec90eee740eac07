"""Values that a search may give a parameter."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue
from pydantic.dataclasses import dataclass

_CONFIG = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_CONFIG)
class Float:
    """A number from `low` to `high`; with `log`, each power of ten as likely as another."""

    low: float
    high: float
    log: bool = False
    kind: Literal["float"] = "float"

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)


@dataclass(frozen=True, config=_CONFIG)
class Int:
    """A whole number from `low` to `high`, both possible; with `log`, each power of ten as likely as another."""

    low: int
    high: int
    log: bool = False
    kind: Literal["int"] = "int"

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)


@dataclass(frozen=True, config=_CONFIG)
class Choice:
    """One of some values, of any type."""

    values: Annotated[tuple[JsonValue, ...], Field(min_length=1)]
    kind: Literal["choice"] = "choice"


def _from_list(given: Any) -> Any:
    """A list says the same as `Choice`."""
    if isinstance(given, list | tuple):
        return {"kind": "choice", "values": given}
    if isinstance(given, dict | Float | Int | Choice):
        return given
    raise ValueError("wanted a list of values, or Float, Int or Choice")


Domain = Annotated[Float | Int | Choice, Field(discriminator="kind"), BeforeValidator(_from_list)]
Space = dict[str, Domain]
"""Name of a parameter -> its values."""


def _check_range(low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise ValueError(f"got the range from {low} to {high}; wanted the smaller number first")
    if log and low <= 0:
        raise ValueError(f"got log from {low}; logarithms want a low above 0")


_TREES: Space = {"max_features": Float(0.1, 1.0), "min_samples_leaf": Int(1, 50, log=True)}
_C: Space = {"C": Float(1e-4, 1e3, log=True)}
_RATE = Float(0.01, 0.3, log=True)

SPACES: dict[str, Space] = {
    "linear": _C,
    "logistic_regression": _C,
    "ridge": {"alpha": Float(1e-4, 1e4, log=True)},
    "elastic_net": {**_C, "alpha": Float(1e-5, 1e2, log=True), "l1_ratio": Float(0.0, 1.0)},
    "random_forest": _TREES,
    "extra_trees": _TREES,
    "gradient_boosting": {
        "learning_rate": _RATE,
        "n_estimators": Int(50, 400, log=True),
        "max_depth": Int(2, 7),
        "min_samples_leaf": Int(1, 50, log=True),
        "subsample": Float(0.5, 1.0),
    },
    "hist_gradient_boosting": {
        "learning_rate": _RATE,
        "max_iter": Int(50, 400, log=True),
        "max_leaf_nodes": Int(4, 127, log=True),
        "min_samples_leaf": Int(2, 100, log=True),
        "l2_regularization": Float(1e-6, 10.0, log=True),
    },
    "lightgbm": {
        "learning_rate": _RATE,
        "n_estimators": Int(50, 400, log=True),
        "num_leaves": Int(4, 127, log=True),
        "min_child_samples": Int(2, 100, log=True),
        "colsample_bytree": Float(0.4, 1.0),
        "reg_lambda": Float(1e-6, 10.0, log=True),
    },
    "xgboost": {
        "learning_rate": _RATE,
        "n_estimators": Int(50, 400, log=True),
        "max_depth": Int(2, 10),
        "min_child_weight": Float(0.1, 20.0, log=True),
        "subsample": Float(0.5, 1.0),
        "colsample_bytree": Float(0.4, 1.0),
        "reg_lambda": Float(1e-3, 10.0, log=True),
    },
    "catboost": {
        "learning_rate": _RATE,
        "iterations": Int(50, 400, log=True),
        "depth": Int(3, 8),
        "l2_leaf_reg": Float(0.5, 20.0, log=True),
    },
    "svm": {"C": Float(1e-2, 1e3, log=True), "gamma": Float(1e-4, 1.0, log=True)},
    "knn": {"n_neighbors": Int(1, 50, log=True), "weights": Choice(("uniform", "distance")), "p": Choice((1, 2))},
    "mlp": {
        "learning_rate": Float(1e-4, 3e-2, log=True),
        "weight_decay": Float(1e-6, 1.0, log=True),
        "dropout": Float(0.0, 0.5),
        "width": Int(16, 256, log=True),
        "depth": Int(1, 3),
        "batch_size": Choice((64, 128, 256, 512)),
    },
    "naive_bayes": {"var_smoothing": Float(1e-12, 1e-1, log=True)},
}
"""Algorithm -> what is worth searching where the user names nothing; of these, what the task's class knows is taken.

Numbers of trees are searched with the learning rate, and bounded so that no single trial takes a budget with it.
"""
