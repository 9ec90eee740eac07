"""What a run says of itself in MLflow's pages: needs no MLflow."""

from __future__ import annotations

import json

import pytest

from raypipe.ml.metrics import Score
from raypipe.ml.specs import ClassifierModelSpec
from raypipe.ml.tracking.figures import key_of, metrics_of, params_of, tags_of
from raypipe.ml.tracking.notes import headline, model_note, note_of, version_note
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import people

MODEL = ClassifierModelSpec(
    model_name="churn", algorithm="linear", hyperparameters={"C": 0.5}, evaluation_metrics=("log_loss", "roc_auc")
)


@pytest.fixture(scope="module")
def result():
    return run_ml_workflow(None, MODEL, people(200), "churn", validation_params={"n_splits": 3})


def test_a_note_tells_the_figure_that_decides_with_its_interval_and_what_is_to_be_minded(result):
    said = note_of({**result, "warnings": ["column <img src=x> is odd"]}, "about")
    score: Score = result.metrics["log_loss"]
    first = f"**log_loss {score.value:.4g} ({score.interval[0]:.4g} to {score.interval[1]:.4g})** on 3 folds"
    assert said.startswith(f"about\n\n{first}; linear learnt from 200 rows, ")
    assert "| roc_auc | " in said
    assert said.endswith("To be minded:\n\n- column \\<img src=x\\> is odd")  # names in data draw nothing
    assert version_note(result, None) == headline(result) + "."
    assert model_note(result) == "Tells churn: classification (no, yes). Registered by raypipe."


def test_a_model_that_was_not_judged_says_so(result):
    assert headline({**result, "metrics": {}}) == "Not judged; linear learnt from 200 rows"


def test_parameters_are_what_was_set_or_searched_and_not_all_that_a_class_has(result):
    found = params_of(result)
    assert found["model.C"] == "0.5"
    assert "model.fit_intercept" not in found  # is what the library has by itself
    tuned = params_of({**result, "best_params": {"fit_intercept": True, "preprocessor__x": 1}})
    assert (tuned["tuned"], tuned["model.fit_intercept"]) == ("fit_intercept, preprocessor__x", "true")
    assert tuned["best.preprocessor__x"] == "1"
    assert "best.fit_intercept" not in tuned


def test_figures_stand_in_groups_that_the_pages_draw_apart(result):
    summary = {"best_score": 0.5, "trials": 3, "n_splits": 5, "best_params": {"C": 1.0}}
    more = {"tuning_summary": summary, "calibration_summary": {"after": {"ece": 0.1}, "rows": 9}}
    found = {name for name, _, _ in metrics_of({**result, **more})}
    plain = {name for name in found if "/" not in name}
    assert plain == {
        "cv_log_loss", "cv_roc_auc", "cv_score", "cv_std", "cv_fold_score", "train_log_loss", "train_roc_auc",
        "tuning_best_score",
    }  # fmt: skip
    assert {name.partition("/")[0] for name in found - plain} == {
        "interval", "folds", "calibration", "tuning", "seconds",
    }  # fmt: skip
    assert {"calibration/after_ece", "tuning/trials", "folds/roc_auc", "interval/cv_roc_auc_low"} <= found
    assert not {"tuning/n_splits", "calibration/rows", "tuning/best_params_C"} & found


@pytest.mark.parametrize(
    ("name", "key"),
    [("a b", "a b"), ("../up", "_up"), ("a//b", "a__b"), ("", "_"), ("ä<>", "ä__"), ("x" * 300, "x" * 250)],
)
def test_any_name_becomes_one_that_mlflow_takes(name, key):
    assert key_of(name) == key


def test_what_there_is_nothing_to_say_about_is_no_tag(result):
    assert "skipped" not in tags_of({**result, "warnings": [], "skipped": {}})
    told = tags_of({**result, "warnings": ["a"], "skipped": {"tuning": "why"}})
    assert (told["warnings"], told["skipped"]) == ("1", "tuning")


@pytest.mark.parametrize(
    ("origin", "kind", "name"),
    [
        ({"path": "/data/sales.csv", "sha256": "ab"}, "local", "sales"),
        ({"path": "s3://b/lake/orders/", "version": 7, "table_id": "t"}, "delta_table", "orders"),
        ({}, "code", "churn"),
    ],
)
def test_a_dataset_says_where_its_rows_are_from(result, origin, kind, name):
    pytest.importorskip("mlflow", reason="tracking needs mlflow: pip install 'raypipe[mlflow]'")
    from raypipe.ml.tracking.dataset import dataset_of

    made = dataset_of({**result, "data_source": origin} if origin else result)
    source = json.loads(made.source)
    assert (made.name, made.source_type, source["sha256"]) == (name, kind, result.data["sha256"])
    assert source.get("delta_table_version") == origin.get("version")
