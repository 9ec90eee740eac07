"""Folds in a process that can be ended: the time holds, and what dies says so."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.specs import Choice, ModelSpec, NumericFeatureSpec, OptunaSearchSpec, ValidationSpec
from raypipe.ml.splits import folds
from raypipe.ml.tuning.apart import Apart, Ended
from raypipe.ml.tuning.work import Task
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import numbers

DATA = training_data(numbers(90), "y")
FEATURES = (NumericFeatureSpec(feature_name="a"), NumericFeatureSpec(feature_name="b"))
FOREST = ModelSpec(model_name="m", algorithm="random_forest", hyperparameters={"n_estimators": 2})
ENDLESS = {"n_estimators": 10_000_000}


def task():
    recipe = Recipe(FEATURES, FOREST, "regression", 0)
    return Task(recipe, DATA, tuple(folds(ValidationSpec(), DATA, 0, 3)), ("rmse",))


def test_a_fold_apart_gives_what_it_gives_here_and_one_without_end_is_ended():
    work = task()
    with Apart(work) as apart:
        there = apart.run({"n_estimators": 3}, 1, time.monotonic() + 300)
        assert there.scores == work.run({"n_estimators": 3}, 1).scores
        started = time.monotonic()
        assert apart.run(ENDLESS, 0, started + 1.0) == Ended(None)
        assert time.monotonic() - started < 10


def test_a_process_that_dies_says_how_and_the_next_fold_has_another():
    with Apart(task()) as apart:
        assert apart.run({}, 0, time.monotonic() + 300).error is None
        threading.Timer(0.5, os.kill, (apart._process.pid, signal.SIGKILL)).start()
        ended = apart.run(ENDLESS, 0, time.monotonic() + 300)
        assert ended == Ended("its process was ended by SIGKILL; the search goes on in another")
        assert apart.run({}, 1, time.monotonic() + 300).error is None


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_a_budget_holds_where_single_fits_are_slower_than_all_of_it(request, tmp_path, engine):
    """On Ray with a Ray that is up: one that has to start takes longer than ten seconds are worth, and is refused."""
    if engine == "ray":
        request.getfixturevalue("ray_session")
    spec = OptunaSearchSpec(space={"n_estimators": Choice((2, 3, 10_000_000))}, engine=engine, scoring="rmse")
    started = time.monotonic()
    result = run_ml_workflow(
        list(FEATURES), FOREST, numbers(2_000), "y", "train_test", tuning_spec=spec.replace(time_limit_s=8.0),
        time_limit_s=10.0, output_dir=tmp_path,
    )  # fmt: skip
    assert time.monotonic() - started < 15
    assert not result.skipped
    assert result.tuning_summary["stopped_by"] in ("time", "exhausted")
    assert result.metrics["rmse"].value < 2
