"""Searches from end to end: as scikit-learn's where it has the same, and going on where it does not.

Numbers in names are those of the list of defects of the older system.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from raypipe.errors import ConfigError
from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.specs import (
    CategoricalFeatureSpec,
    Choice,
    ClassifierModelSpec,
    Float,
    GridSearchSpec,
    Int,
    ModelSpec,
    NumericFeatureSpec,
    OptunaSearchSpec,
    RandomSearchSpec,
    ValidationSpec,
)
from raypipe.ml.splits import folds
from raypipe.ml.tuning.outcome import trials_table
from raypipe.ml.tuning.search import search
from raypipe.ml.workflow import run_ml_workflow
from raypipe.ml.workflow.run import Options
from tests.ml.frames import people

PEOPLE = people(240)
FEATURES = (
    NumericFeatureSpec(feature_name="age"),
    CategoricalFeatureSpec(feature_name="city", imputer_enabled=False),
)
DATA = training_data(PEOPLE, "churn")
LINEAR = ClassifierModelSpec(model_name="m", algorithm="linear")
BAYES = ClassifierModelSpec(model_name="m", algorithm="naive_bayes")
GRID = {"C": [0.001, 0.1, 10.0], "model__fit_intercept": [True, False]}


def searched(spec, tmp_path, model=LINEAR, data=DATA, validation=None, **options):
    recipe = Recipe(FEATURES, model, "classification", 42)
    settled = Options(output_dir=tmp_path, **options)
    return search(spec, recipe, data, validation or ValidationSpec(), settled)


def grid(**change):
    return GridSearchSpec(**{"tuning_name": "g", "param_grid": GRID, **change})


# ── the same as scikit-learn ─────────────────────────────────────────────────────────────────────────────────────────


def in_full(params):
    return {f"classifier__{name.removeprefix('model__')}": value for name, value in params.items()}


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_a_grid_gives_what_scikit_learn_gives_on_the_same_folds(tmp_path, scoring):
    ours = searched(grid(n_splits=4, scoring=scoring), tmp_path)
    parts = folds(ValidationSpec(), DATA, 42, 4)
    pipeline = Recipe(FEATURES, LINEAR, "classification", 42).make()
    theirs = GridSearchCV(pipeline, in_full(GRID), cv=parts, scoring=scoring).fit(DATA.X, DATA.y)
    sign = -1.0 if scoring.startswith("neg_") else 1.0
    wanted = {json.dumps(p, sort_keys=True): s for p, s in zip(
        theirs.cv_results_["params"], sign * theirs.cv_results_["mean_test_score"])}  # fmt: skip
    found = {json.dumps(in_full(one.params), sort_keys=True): one.score for one in ours.trials[1:]}
    assert found == pytest.approx(wanted, rel=1e-12)
    first = next(one for one in ours.trials[1:] if one.score == pytest.approx(ours.score, rel=1e-12))
    assert ours.params == first.params  # of equal ones the first
    assert ours.score == pytest.approx(sign * theirs.best_score_)


def test_a_random_search_draws_what_scikit_learn_draws(tmp_path):
    spec = RandomSearchSpec(tuning_name="r", param_distributions={"C": [0.01, 0.1, 1, 10]}, n_iter=3)
    ours = searched(spec, tmp_path)
    pipeline = Recipe(FEATURES, LINEAR, "classification", 42).make()
    parts = folds(ValidationSpec(), DATA, 42, 3)
    theirs = RandomizedSearchCV(pipeline, {"classifier__C": [0.01, 0.1, 1, 10]}, n_iter=3, cv=parts, random_state=42)
    theirs.fit(DATA.X, DATA.y)
    assert [in_full(one.params) for one in ours.trials[1:]] == theirs.cv_results_["params"]


@pytest.mark.parametrize("name", ["C", "model__C", "classifier__C"])
def test_every_way_to_name_a_parameter_works(tmp_path, name):
    found = searched(grid(param_grid={name: [0.5]}), tmp_path)
    assert found.params == {name: 0.5}
    assert found.score == searched(grid(param_grid={"classifier__C": [0.5]}), tmp_path).score


def test_parameters_of_the_features_are_searched_too(tmp_path):
    found = searched(grid(param_grid={"preprocessor__f0__fill__strategy": ["mean", "median"]}), tmp_path)
    assert len(found.trials) == 3
    assert all(one.status == "done" for one in found.trials)


# ── the whole workflow ───────────────────────────────────────────────────────────────────────────────────────────────


def test_cross_validation_after_a_search_uses_what_was_found(tmp_path):  # 3
    model = LINEAR.replace(hyperparameters={"C": 1.0})
    result = run_ml_workflow(
        None, model, PEOPLE, "churn", validation_params={"n_splits": 3}, tuning_spec=grid(param_grid={"C": [1e-6]}),
        output_dir=tmp_path,
    )  # fmt: skip
    assert not result.skipped
    assert result.best_params == {"C": 1e-6}
    assert result.pipeline[-1].C == 1e-6
    told = result.tuning_summary
    assert {"tuning_name", "tuning_type", "best_score", "best_params", "n_splits", "cv_strategy", "trials", "failed",
            "pruned", "seconds", "stopped_by", "engine"} <= set(told)  # fmt: skip
    assert (told["tuning_type"], told["trials"], told["engine"], told["cv_strategy"]) == (
        "grid_search", 2, "inline", "stratified",
    )  # fmt: skip
    json.dumps(told)
    # 6: the score is that of rows which the search has not seen.
    assert result.metrics == result.test_metrics
    assert result["train_size"] + result["test_size"] == len(PEOPLE)


def test_nested_validation_searches_inside_each_fold(tmp_path):  # 6
    spec = OptunaSearchSpec(n_trials=2, n_splits=2)
    result = run_ml_workflow(
        None, BAYES, PEOPLE, "churn", "nested", {"n_splits": 2}, tuning_spec=spec, output_dir=tmp_path
    )
    assert not result.skipped
    assert len(list((tmp_path / "tuning").glob("*.jsonl"))) == 3
    assert "test_score" not in result


def test_groups_and_times_hold_inside_a_search(tmp_path):
    tied = training_data(PEOPLE, "churn", columns=("person", None, None))
    validation = ValidationSpec(group_column="person")
    found = searched(grid(param_grid={"C": [1.0]}), tmp_path, data=tied, validation=validation)
    assert found.summary["cv_strategy"] == "stratified_group"
    with pytest.raises(ConfigError, match="'kfold' deals rows at random, but the rows have groups"):
        searched(grid(cv_strategy="kfold"), tmp_path, data=tied, validation=validation)
    timed = training_data(PEOPLE, "churn", columns=(None, "joined", None))
    ordered = ValidationSpec(time_column="joined", strategy="time")
    found = searched(grid(param_grid={"C": [1.0]}), tmp_path, data=timed, validation=ordered)
    assert found.summary["cv_strategy"] == "time"


def test_settings_of_the_older_system_do_what_they_say(tmp_path, caplog):
    spec = grid(
        param_grid={"C": [0.1, 1.0]}, cv_strategy="kfold", n_splits=2, scoring={"hits": "accuracy", "rank": "roc_auc"},
        refit_score="rank", return_train_score=True, verbose=2, n_jobs=1,
    )  # fmt: skip
    with caplog.at_level("INFO", "raypipe.ml.tuning"):
        found = searched(spec, tmp_path)
    assert found.summary["metric"] == "roc_auc"
    assert found.summary["scoring"] == {"hits": "accuracy", "rank": "roc_auc"}
    assert (found.summary["n_splits"], found.summary["cv_strategy"]) == (2, "kfold")
    assert set(found.trials[1].metrics) == set(found.trials[1].train_metrics) == {"accuracy", "roc_auc"}
    assert found.score == max(one.metrics["roc_auc"] for one in found.trials[1:])
    assert any("trial 1 is done" in line for line in caplog.messages)
    assert any("trial 1, fold 1" in line for line in caplog.messages)
    table = trials_table(found.trials)
    assert {"number", "status", "score", "param_C", "metric_roc_auc", "train_accuracy", "fold_1"} <= set(table.columns)


@pytest.mark.parametrize(
    ("pruner", "sampler"), [("asha", "tpe"), ("median", "random"), ("none", "tpe"), ("asha", "gp")]
)
def test_optuna_finds_at_least_what_the_model_spec_gives(tmp_path, pruner, sampler):
    if sampler == "gp":
        pytest.importorskip("torch")
    spec = OptunaSearchSpec(n_trials=9, pruner=pruner, sampler=sampler, scoring="log_loss")
    found = searched(spec, tmp_path, BAYES)
    assert found.summary["trials"] == 10
    assert found.score <= found.summary["default_score"]
    assert (pruner == "none") == (found.summary["pruned"] == 0) or pruner == "median"


def test_the_same_seed_gives_the_same_search(tmp_path):
    spec = OptunaSearchSpec(n_trials=6)
    one, two = (searched(spec, tmp_path / name, BAYES) for name in ("one", "two"))
    assert [trial.params for trial in one.trials] == [trial.params for trial in two.trials]
    other = searched(spec.replace(random_state=7), tmp_path / "other", BAYES)
    assert other.trials[3].params != one.trials[3].params


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_trials_that_fail_are_told_and_the_others_go_on(tmp_path):
    found = searched(grid(param_grid={"C": [-1.0, 1.0], "solver": ["lbfgs", "nonsense"]}), tmp_path)
    assert found.params == {"C": 1.0, "solver": "lbfgs"}
    assert found.summary["failed"] == 3
    assert all("InvalidParameterError" in one.error for one in found.trials if one.status == "failed")


def test_a_search_of_failures_alone_says_why_and_the_workflow_goes_on(tmp_path):
    result = run_ml_workflow(
        None, LINEAR, PEOPLE, "churn", "train_test", tuning_spec=grid(param_grid={"C": [-1.0]}), output_dir=tmp_path
    )
    assert "none of 1 trials gave a value of accuracy; the first (C=-1.0): Invalid" in result.skipped["tuning"]
    assert result.best_params == {}
    assert result.metrics["accuracy"].value > 0.5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (grid(scoring="rmse"), "there is no scoring 'rmse' for classification; there are accuracy"),
        (grid(scoring="f1_macro"), "there is no scoring 'f1_macro'"),
        (
            grid(param_grid={"c": [1.0]}),
            "LogisticRegression has no parameter 'c'. Did you mean 'C'|has no parameter 'c'",
        ),
        (grid(n_splits=200), "validation: 200 folds want each class 200 times"),
        (OptunaSearchSpec(space={"depth": Choice((1, 2))}), "has no parameter 'depth'"),
    ],
)
def test_what_cannot_be_searched_is_said_before_a_trial_runs(tmp_path, spec, message):
    with pytest.raises(ConfigError, match=message):
        searched(spec, tmp_path)


def test_a_metric_that_the_model_cannot_give_is_named(tmp_path):
    ridge = ClassifierModelSpec(model_name="m", algorithm="ridge")
    with pytest.raises(ConfigError, match="none of 2 trials gave a value of log_loss; .*log_loss cannot be computed"):
        searched(OptunaSearchSpec(n_trials=1, scoring="log_loss"), tmp_path, ridge)


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_search_without_a_number_ends_with_its_time(tmp_path):
    spec = OptunaSearchSpec(time_limit_s=0.5, space={"var_smoothing": Float(1e-12, 1.0, log=True)})
    found = searched(spec, tmp_path, BAYES)
    assert found.summary["stopped_by"] == "time"
    assert found.trials


def test_no_time_at_all_still_gives_the_parameters_of_the_model_spec(tmp_path):
    found = searched(grid(time_limit_s=1e-6), tmp_path)
    assert (found.params, found.summary["stopped_by"], found.trials[0].status) == ({}, "time", "stopped")
    late = searched(OptunaSearchSpec(), tmp_path / "other", deadline=time.monotonic() + 1e-6)
    assert (late.params, late.summary["stopped_by"]) == ({}, "time")


@pytest.mark.slow
def test_a_budget_of_ten_seconds_ends_within_fifteen(tmp_path):
    table = people(4_000)
    model = ModelSpec(model_name="m", algorithm="lightgbm")
    started = time.monotonic()
    result = run_ml_workflow(
        None, model, table, "churn", "train_test", tuning_spec=OptunaSearchSpec(n_trials=100_000), time_limit_s=10.0,
        output_dir=tmp_path,
    )  # fmt: skip
    assert time.monotonic() - started < 15
    assert result.tuning_summary["stopped_by"] == "time"
    assert result.metrics["accuracy"].value > 0.5


# ── a kill, and a rerun ──────────────────────────────────────────────────────────────────────────────────────────────

SCRIPT = """
import sys
from pathlib import Path
from tests.ml.test_tuning import KILLED, BAYES, searched
searched(KILLED[sys.argv[2]], Path(sys.argv[1]), BAYES)
"""
SMOOTH = [10.0**-power for power in range(12)]
KILLED = {
    "optuna": OptunaSearchSpec(n_trials=30, pruner="none", engine="inline"),  # whose order can be repeated
    "grid": grid(param_grid={"var_smoothing": SMOOTH}),
    "random": RandomSearchSpec(
        tuning_name="r", param_distributions={"var_smoothing": Float(1e-12, 1.0, log=True)}, n_iter=12
    ),
    "processes": grid(param_grid={"var_smoothing": SMOOTH}, engine="processes"),
    "ray": grid(param_grid={"var_smoothing": SMOOTH}, engine="ray"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "kills"),
    [("optuna", (4, 40)), ("grid", (7,)), ("random", (11,)), ("processes", (6,)), ("ray", (6,))],
)
def test_a_search_that_was_killed_does_not_repeat_what_it_had_done(tmp_path, kind, kills):
    spec = KILLED[kind].replace(engine="inline")
    whole = searched(spec, tmp_path / "whole", BAYES)
    for lines in kills:
        _killed_after(lines, tmp_path / "cut", kind)
    done = len(_whole_lines(tmp_path / "cut" / "tuning"))
    resumed = searched(spec, tmp_path / "cut", BAYES)
    assert resumed.summary["folds_remembered"] == done
    assert (resumed.params, resumed.score) == (whole.params, whole.score)
    assert [one.params for one in resumed.trials] == [one.params for one in whole.trials]
    folds_run = _whole_lines(tmp_path / "cut" / "tuning")
    assert len(folds_run) == len(_whole_lines(tmp_path / "whole" / "tuning"))
    told = [json.loads(line) for line in folds_run]
    assert len({(json.dumps(one["params"]), one["fold"]) for one in told}) == len(told)  # none ran twice


def _killed_after(lines, place, kind):
    """Run a search in a process of its own, and kill it when so many folds are done."""
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": root}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(place), kind], env=env, cwd=root)
    try:
        found = _wait_for_lines(place / "tuning", lines, process)
        below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not psutil.wait_procs(below, timeout=30)[1]  # nothing works on for nobody
    assert len(_whole_lines(place / "tuning")) >= found >= lines, process.returncode


def _whole_lines(folder):
    """Those that tell of a fold: a kill in the middle of a write leaves a part, which the next run closes."""
    text = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    return [line for line in text.splitlines(keepends=True) if line.endswith("}\n")]


def _wait_for_lines(folder, count, process):
    while process.poll() is None:
        found = len(_whole_lines(folder)) if folder.is_dir() else 0
        if found >= count:
            return found
        time.sleep(0.01)
    return len(_whole_lines(folder))


# ── on Ray Tune ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_grid_on_ray_tune_gives_what_it_gives_here(ray_session, tmp_path, capsys):
    values = {"C": [0.01, -1.0, 1.0], "fit_intercept": [True, False]}
    here = searched(grid(param_grid=values), tmp_path / "here")
    there = searched(grid(param_grid=values, engine="ray"), tmp_path / "there")
    assert there.summary["engine"] == "ray tune"
    assert (there.params, there.score, there.summary["failed"]) == (here.params, here.score, 2)
    told = {json.dumps(one.params): (one.status, one.fold_scores) for one in here.trials}
    assert {json.dumps(one.params): (one.status, one.fold_scores) for one in there.trials} == told
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_trials_that_fall_behind_are_given_up_on_ray_tune_and_actors_are_used_again(ray_session, tmp_path):
    spec = OptunaSearchSpec(n_trials=24, engine="ray", pruner="asha", scoring="log_loss", n_splits=4)
    found = searched(spec, tmp_path, BAYES)
    told = found.summary
    assert told["engine"] == "ray tune"
    assert told["pruned"] > 3
    gone = [one for one in found.trials if one.status == "pruned"]
    assert all(len(one.fold_scores) in (1, 3) for one in gone)  # rungs stand behind one fold and behind three
    ran = sum(len(one.fold_scores) for one in found.trials)
    assert ran == len(_whole_lines(tmp_path / "tuning")) < 25 * 4
    assert all(len(one.fold_scores) == 4 for one in found.trials if one.status == "done")
    assert told["workers"] <= 4  # two CPUs, and a spare one where one had ended before another trial waited


@pytest.mark.slow
def test_what_ray_tune_has_done_is_not_done_again_here(ray_session, tmp_path):
    spec = OptunaSearchSpec(n_trials=6, engine="ray", pruner="none")
    there = searched(spec, tmp_path, BAYES)
    assert there.summary["engine"] == "ray tune"
    here = searched(spec.replace(engine="inline"), tmp_path, BAYES)
    assert here.summary["folds_remembered"] == 7 * 3
    assert (here.params, here.score) == (there.params, there.score)


@pytest.mark.slow
def test_a_fold_that_takes_long_does_not_hold_up_a_deadline_on_ray_tune(ray_session, tmp_path):
    table = people(3_000)
    slow = ModelSpec(model_name="m", algorithm="random_forest", hyperparameters={"n_estimators": 10})
    # The first fold is quick, the trials are not.
    spec = OptunaSearchSpec(
        space={"n_estimators": Int(20_000, 30_000)}, engine="ray", time_limit_s=20.0, return_train_score=False
    )
    started = time.monotonic()
    found = searched(spec, tmp_path, slow, training_data(table, "churn"))
    assert time.monotonic() - started < 28
    assert (found.summary["engine"], found.summary["stopped_by"]) == ("ray tune", "time")
    assert found.params == {}
