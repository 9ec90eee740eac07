"""Every defect of the older ML workflow, and the tests that show it absent.

The numbers are those of the list of its defects and limits:

1  calibration with a number of folds failed, silently          9  settings of the feature store without effect,
2  `prefit` failed                                                 `enabled` ignored, projects shared a registry
3  cross-validation after a search died                        10  a JVM for reading; no regression, no early stopping,
4  the robust scaler was accepted and failed                       no resume, one estimator, nothing on a cluster, no
5  gaps, text and labels of text were unreachable                  lineage from a version of the data to a run
6  evaluation saw its own rows; settings and metrics ignored
7  columns matched by an order of text
8  settings of MLflow without effect; a second run; pickles

`SHOWN` names the tests of each; a test below holds that each of them is there.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from raypipe.ml.specs import (
    CalibrationSpec,
    ClassifierModelSpec,
    FeatureSpecBuilder,
    GridSearchSpec,
    ModelSpec,
    NumericFeatureSpec,
    RandomSearchSpec,
)
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import people

HERE = Path(__file__).parent
PEOPLE = people(240)
X, Y = PEOPLE.drop(columns=["churn"]), PEOPLE["churn"]
LINEAR = ClassifierModelSpec(model_name="m", algorithm="linear")
FEW = {"n_splits": 3}

SHOWN = {
    "1 calibration with a number of folds": [
        "test_predecessor_defects.py::test_calibration_with_a_number_of_folds_is_done",
        "test_calibration.py::test_every_combination_works",
    ],
    "2 prefit": [
        "test_predecessor_defects.py::test_prefit_calibration_is_done",
        "test_calibration.py::test_every_combination_works",
    ],
    "3 cross-validation after a search": [
        "test_predecessor_defects.py::test_cross_validation_after_a_search_runs_with_what_it_found",
        "test_tuning.py::test_cross_validation_after_a_search_uses_what_was_found",
    ],
    "4 robust scaler": ["test_workflow.py::test_every_scaler_works"],
    "5 gaps, text, labels of text": [
        "test_workflow.py::test_every_algorithm_learns_classes_of_text_from_gaps_and_text",
        "test_workflow.py::test_gaps_are_filled_inside_the_folds",
        "test_workflow.py::test_labels_of_any_type_come_back_as_they_were",
    ],
    "6 calibration on training rows": [
        "test_predecessor_defects.py::test_a_calibrator_never_learns_from_rows_that_the_model_saw",
    ],
    "6 tuning sees the rows that judge it": [
        "test_predecessor_defects.py::test_rows_that_judge_a_search_are_not_searched_on",
        "test_tuning.py::test_nested_validation_searches_inside_each_fold",
    ],
    "6 X_test and y_test unused": ["test_workflow.py::test_rows_that_are_given_for_the_test_are_used"],
    "6 validation_params ignored for train_test": [
        "test_workflow.py::test_settings_of_the_split_hold_for_one_split_too",
    ],
    "6 only accuracy": [
        "test_workflow.py::test_metrics_that_are_asked_for_are_those_that_are_given",
        "test_workflow.py::test_the_keys_that_users_know_are_there",
    ],
    "6 train_metrics empty": ["test_workflow.py::test_the_keys_that_users_know_are_there"],
    "7 columns in the order of text": [
        "test_predecessor_defects.py::test_the_tenth_column_is_not_taken_for_the_second",
        "test_workflow.py::test_columns_are_found_by_name_wherever_they_stand",
        "test_workflow.py::test_columns_of_an_array_are_found_by_position",
    ],
    "8 settings of MLflow": [
        "test_tracking.py::test_a_run_holds_everything_that_is_known",
        "test_tracking.py::test_what_is_not_to_be_logged_is_not",
    ],
    "8 stage never set": ["test_tracking.py::test_a_challenger_is_promoted_only_where_it_is_surely_better"],
    "8 a second run, feature specs not logged": ["test_tracking.py::test_a_run_holds_everything_that_is_known"],
    "8 pickles that depend on a folder": [
        "test_tracking.py::test_a_logged_model_is_read_back_by_every_address_and_by_mlflow_itself",
        "test_saving.py::test_every_algorithm_answers_the_same_once_it_is_read_back",
    ],
    "9 online settings, materialisation": [
        "test_store.py::test_settings_of_the_older_system_are_honoured_or_refused_with_what_to_use",
        "test_store_online.py::test_the_command_line_does_it_all",
    ],
    "9 enabled ignored": ["test_workflow.py::test_what_is_not_enabled_takes_no_part"],
    "9 registry shared": ["test_store.py::test_projects_share_nothing"],
    "10 a JVM": ["test_store.py::test_settings_of_the_older_system_are_honoured_or_refused_with_what_to_use"],
    "10 nothing on a cluster": [
        "test_crossfit.py::test_folds_on_ray_give_the_same_as_folds_here",
        "test_tuning.py::test_a_grid_on_ray_tune_gives_what_it_gives_here",
        "test_store_join.py::test_a_frame_on_a_cluster_gets_the_same_features",
    ],
    "10 no early stopping": ["test_tuning_parts.py::test_a_trial_better_than_all_on_the_same_folds_goes_on"],
    "10 no resume": ["test_tuning.py::test_a_search_that_was_killed_does_not_repeat_what_it_had_done"],
    "10 no regression, one estimator": ["test_workflow.py::test_every_algorithm_learns_numbers"],
    "10 no lineage": [
        "test_store.py::test_a_model_pins_what_it_learnt_from_and_gets_the_same_rows_again",
        "test_tracking.py::test_a_run_holds_everything_that_is_known",
    ],
}


def test_every_defect_has_a_test_that_is_there():
    assert {name.split()[0] for name in SHOWN} == {str(number) for number in range(1, 11)}
    known = {}
    for name in {one.partition("::")[0] for tests in SHOWN.values() for one in tests}:
        body = ast.parse((HERE / name).read_text(encoding="utf-8")).body
        known[name] = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    lost = [one for tests in SHOWN.values() for one in tests if one.split("::")[1] not in known[one.split("::")[0]]]
    assert lost == []


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_with_a_number_of_folds_is_done(method):  # 1
    spec = CalibrationSpec(method=method, cv_strategy=3)
    result = run_ml_workflow(None, LINEAR, X, Y, "train_test", calibration_spec=spec)
    assert result.skipped == {}
    assert result.calibration_summary["n_calibrated_models"] == 3
    assert result.calibration_summary["method"] == method


def test_prefit_calibration_is_done():  # 2
    result = run_ml_workflow(None, LINEAR, X, Y, "train_test", calibration_spec=CalibrationSpec(method="sigmoid"))
    assert result.skipped == {}
    assert result.calibration_summary["cv_strategy"] == "prefit"
    assert result.calibration_summary["n_calibrated_models"] == 1


@pytest.mark.parametrize("kind", ["grid", "random"])
def test_cross_validation_after_a_search_runs_with_what_it_found(kind, tmp_path):  # 3
    values, told = {"C": [1e-6, 0.05]}, {"tuning_name": "t", "n_splits": 2, "engine": "inline", "scoring": "log_loss"}
    spec = GridSearchSpec(param_grid=values, **told) if kind == "grid" else None
    spec = spec or RandomSearchSpec(param_distributions=values, n_iter=2, **told)
    result = run_ml_workflow(None, LINEAR, X, Y, "cross_validation", FEW, tuning_spec=spec, output_dir=tmp_path)
    assert result.skipped == {}
    assert result.best_params == {"C": 0.05}  # another than the spec's own
    assert result.pipeline[-1].C == 0.05
    assert len(result["cv_scores"]) == 3


def test_a_calibrator_never_learns_from_rows_that_the_model_saw():  # 6
    """A model that learns by heart is sure of each of its rows; of rows that it did not see it knows nothing here."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    y = rng.choice(["no", "yes"], 300)
    heart = ClassifierModelSpec(model_name="m", algorithm="sklearn.tree.DecisionTreeClassifier")
    result = run_ml_workflow(None, heart, table, y, "none", calibration_spec=CalibrationSpec(method="sigmoid"))
    raw, calibrated = (model.predict_proba(table) for model in (result.uncalibrated_pipeline, result.pipeline))
    assert raw.max(axis=1).min() == 1.0
    assert calibrated.max(axis=1).max() < 0.7


def test_rows_that_judge_a_search_are_not_searched_on(tmp_path):  # 6
    spec = GridSearchSpec(tuning_name="t", param_grid={"C": [0.01, 1.0]}, n_splits=2, engine="inline")
    result = run_ml_workflow(None, LINEAR, X, Y, "cross_validation", FEW, tuning_spec=spec, output_dir=tmp_path)
    assert (result.train_size, result.test_size) == (192, 48)
    assert result["metrics"] == result["test_metrics"]
    assert {len(one.fold_scores) for one in result.trials} == {2}
    assert result["data"]["rows"] == 192


def test_the_tenth_column_is_not_taken_for_the_second():  # 7
    rng = np.random.default_rng(0)
    names = [f"feature_{i}" for i in range(12)]
    table = pd.DataFrame(rng.normal(size=(200, 12)), columns=names)
    y = np.where(table["feature_2"] > 0, "up", "down")
    specs = FeatureSpecBuilder().add_numeric_group(["feature_2"], scaler_type="none", imputer_enabled=False).build()
    by_place = NumericFeatureSpec(
        feature_name="second", metadata={"column_index": 2}, scaler_type="none", imputer_enabled=False
    )
    for given, asked in ((table, specs), (table[sorted(names)], specs), (table.to_numpy(), [by_place])):
        result = run_ml_workflow(asked, LINEAR, given, y, "train_test")
        assert result.test_score > 0.95


def test_no_jvm_is_needed_and_none_is_asked_for():  # 10
    import sys

    run_ml_workflow(None, ModelSpec(model_name="m", algorithm="linear"), X, Y, "train_test")
    assert not {"pyspark", "feast"} & set(sys.modules)


def test_the_pipeline_is_one_of_scikit_learn():
    result = run_ml_workflow(None, LINEAR, X, Y, "none")
    assert isinstance(result.pipeline, Pipeline)
    assert [name for name, _ in result.pipeline.steps] == ["preprocessor", "classifier"]
