"""Folds give the same wherever they are fitted, hold to their cores and to their time, and tell what was left out."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from raypipe.errors import ConfigError
from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.specs import CalibrationSpec, ClassifierModelSpec, ModelSpec, NumericFeatureSpec, ValidationSpec
from raypipe.ml.splits import folds
from raypipe.ml.workflow import run_ml_workflow
from raypipe.ml.workflow.crossfit import FoldWork, Place, all_folds, crossfit
from raypipe.ml.workflow.trial import fitted_on
from tests.ml.frames import numbers, people

PEOPLE = people(200)
LINEAR = ClassifierModelSpec(model_name="m", algorithm="linear", evaluation_metrics=("accuracy", "log_loss"))
FEATURES = tuple(NumericFeatureSpec(feature_name=name) for name in ("age", "income"))


def work(model: ModelSpec = LINEAR, n_splits: int = 3) -> FoldWork:
    data = training_data(PEOPLE.drop(columns=["joined", "city"]), "churn")
    parts = tuple(folds(ValidationSpec(), data, 0, n_splits))
    return FoldWork(Recipe(FEATURES, model, data.task, 0), data, parts, ({},) * len(parts))


def test_folds_on_ray_give_the_same_as_folds_here(ray_session):
    validation = {"n_splits": 3, "n_repeats": 2}
    asked = CalibrationSpec(cv_strategy=3)
    both = [
        run_ml_workflow(
            None, LINEAR, PEOPLE, "churn", "repeated", validation, calibration_spec=spec, engine=engine
        )
        for engine, spec in (("inline", None), ("ray", None), ("inline", asked), ("ray", asked))
    ]  # fmt: skip
    told = [one["cross_validation"] for one in both]
    assert [one["engine"] for one in told] == ["inline", "ray", "inline", "ray"]
    assert [one["folds"] for one in told] == [6] * 4
    for here, there in (both[:2], both[2:]):
        assert here["metrics"] == there["metrics"]
        assert here["cv_scores"] == there["cv_scores"]
        assert (here.pipeline.predict_proba(PEOPLE) == there.pipeline.predict_proba(PEOPLE)).all()


def test_little_work_stays_here_though_there_is_a_ray(ray_session):
    done = crossfit(work(), Place(), 0.01)
    assert (done.engine, done.reason) == ("inline", "all folds take about 0.03 s")
    assert crossfit(work(), Place(), 60.0).engine == "ray"


def test_a_fold_that_fails_says_the_same_here_and_there(ray_session):
    wrong = work(ClassifierModelSpec(model_name="m", algorithm="knn", hyperparameters={"n_neighbors": 1_000}))
    said = []
    for engine in ("inline", "ray"):
        with pytest.raises(ConfigError, match="model 'm', fold 1 of 3: ValueError: Expected n_neighbors") as told:
            crossfit(wrong, Place(engine))
        said.append(str(told.value))
    assert said[0] == said[1]


def test_folds_without_time_are_left_out_and_told():
    none = crossfit(work(), Place("inline", deadline=time.monotonic() - 1))
    assert (none.fits, none.lacks) == ((), "the time limit left no room for 3 of 3 folds")
    assert not crossfit(work(), Place("inline", deadline=time.monotonic() + 60)).lacks
    with pytest.raises(ConfigError, match="calibration: the time limit left no room for 3 of 3 folds; give a longer"):
        all_folds(none, "calibration")


def test_folds_on_ray_end_with_the_time(ray_session):
    slow = ClassifierModelSpec(model_name="m", algorithm="gradient_boosting", hyperparameters={"n_estimators": 20_000})
    started = time.monotonic()
    done = crossfit(work(slow, 4), Place("ray", deadline=started + 2))
    assert time.monotonic() - started < 20
    assert done.lacks


def test_a_workflow_whose_time_is_up_has_a_model_and_says_what_it_lacks():
    result = run_ml_workflow(
        None, LINEAR, PEOPLE, "churn", calibration_spec=CalibrationSpec(), time_limit_s=1e-6, engine="inline"
    )
    assert set(result.pipeline.predict(PEOPLE)) <= {"yes", "no"}
    assert result["metrics"] == {}
    assert "left no room for 5 of 5 folds, and there is no figure" in result.skipped["cross-validation"]
    assert "left no room for 5 of 5 folds" in result.skipped["calibration"]
    assert sum("no room" in text for text in result.warnings) == 2


@pytest.mark.parametrize(("jobs", "cores"), [(-1, 1), (1, 1), (None, 1), (64, len(os.sched_getaffinity(0)))])
def test_a_fold_takes_as_many_threads_as_it_has_cores(jobs, cores):
    spec = ClassifierModelSpec(
        model_name="m", algorithm="random_forest", hyperparameters={"n_jobs": jobs, "n_estimators": 2}
    )
    asked = work(spec)
    assert asked.cores == cores
    model = fitted_on(asked.recipe, asked.data, None, asked.cores, bounded=True)
    assert model[-1].n_jobs in (None, cores)
    assert fitted_on(asked.recipe, asked.data)[-1].n_jobs == jobs  # the model that is kept is as it was asked for


@pytest.mark.slow
def test_models_of_numbers_are_the_same_on_ray(ray_session):
    spec = ModelSpec(model_name="m", algorithm="lightgbm", hyperparameters={"n_estimators": 20})
    here, there = (run_ml_workflow(None, spec, numbers(150), "y", engine=engine) for engine in ("inline", "ray"))
    assert here["metrics"] == there["metrics"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"engine": "dask"}, "engine: got 'dask'; wanted auto, ray or inline"),
        ({"time_limit_s": 0}, "time_limit_s: got 0; wanted seconds above 0"),
        ({"time_limit_s": float("nan")}, "time_limit_s: got nan"),
        ({"X_test": PEOPLE}, None),
        ({"y_test": PEOPLE["churn"]}, "test: got y_test without X_test; give both, or neither"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, message):
    if message is None:  # the name of the target stands for both
        assert run_ml_workflow(None, LINEAR, PEOPLE, "churn", "none", **wrong)["test_size"] == 200
        return
    with pytest.raises(ConfigError, match=message):
        run_ml_workflow(None, LINEAR, PEOPLE, "churn", **wrong)


def test_rows_for_the_test_have_the_columns_of_the_others():
    with pytest.raises(ConfigError, match="test: got X_test without y_test; give both"):
        run_ml_workflow(None, LINEAR, PEOPLE[["age"]], PEOPLE["churn"], X_test=PEOPLE[["age"]])
    with pytest.raises(ValueError, match="X_test: input has no column 'age'"):
        run_ml_workflow(
            None, LINEAR, PEOPLE[["age", "income"]], PEOPLE["churn"], X_test=PEOPLE[["income"]], y_test=PEOPLE["churn"]
        )
    with pytest.raises(ConfigError, match="y_test has 3 values, X_test 200 rows"):
        run_ml_workflow(None, LINEAR, PEOPLE[["age"]], PEOPLE["churn"], X_test=PEOPLE[["age"]], y_test=np.arange(3))
