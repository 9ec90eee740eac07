"""A workflow whose optional steps fail, each by itself and all at once, ends with a model and says what it lacks.

Nothing here is feigned: the search asks for what the estimator does not take, a class has too few rows to calibrate
on, the place of the tracking store is a file, and the log of the feature store's table is no JSON.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from raypipe.ml.specs import CalibrationSpec, ClassifierModelSpec, FeatureStoreSpec, GridSearchSpec, MLflowSpec
from raypipe.ml.store import FeatureStore, FeatureView
from raypipe.ml.workflow import get_workflow_summary, run_ml_workflow
from tests.ml.frames import people

MODEL = ClassifierModelSpec(model_name="m", algorithm="linear", evaluation_metrics=("accuracy", "log_loss"))
PEOPLE = people(200)
X = PEOPLE.drop(columns=["churn"])
STEPS = ("feature store", "MLflow", "tuning", "calibration")


def broken(step: str, place: Path) -> dict[str, object]:
    """What makes one step fail."""
    if step == "tuning":
        spec = GridSearchSpec(tuning_name="g", param_grid={"solver": ["no such solver"]}, engine="inline")
        return {"tuning_spec": spec}
    if step == "calibration":
        return {"calibration_spec": CalibrationSpec(method="isotonic")}
    if step == "MLflow":
        pytest.importorskip("mlflow", reason="tracking needs mlflow: pip install 'raypipe[mlflow]'")
        (place / "file").write_text("no folder")
        return {"mlflow_spec": MLflowSpec(tracking_uri=f"sqlite:///{place}/file/mlflow.db")}
    return {"feature_store_spec": corrupt_store(place)}


def corrupt_store(place: Path) -> FeatureStoreSpec:
    """A store whose one view had its log overwritten."""
    pytest.importorskip("deltalake", reason="a feature store needs deltalake: pip install 'raypipe[delta]'")
    store = FeatureStore(place / "repo", "shop")
    store.register(FeatureView(name="spend", entities=["user"], event_time="day", features={"total": "float64"}))
    days = pl.Series("day", ["2024-01-01"] * 3).str.to_datetime(time_zone="UTC", time_unit="us")
    rows = pl.DataFrame({"user": [1, 2, 3], "total": [1.0, 2.0, 3.0]}).with_columns(days)
    store.ingest("spend", rows)
    asked = rows.select("user", "day", target=pl.Series(["a", "b", "a"]))
    asked.write_parquet(place / "rows.parquet")
    logs = sorted((place / "repo").rglob("_delta_log/*.json"))
    assert logs
    for log in logs:
        log.write_text("{ this was a log")
    return FeatureStoreSpec(
        enabled=True, repo_path=str(place / "repo"), project_name="shop", views={"spend": None},
        entity_rows=str(place / "rows.parquet"), time_column="day",
    )  # fmt: skip


def labels(step: str | None) -> np.ndarray:
    """Those of the people; where calibration is to fail, three rows of a class that no five folds can share."""
    y = PEOPLE["churn"].to_numpy().copy()
    if step == "calibration":
        y[:3] = "rare"
    return y


CAUSES = {
    "tuning": "tuning 'g': none of 1 trials gave a value of accuracy; the first (solver='no such solver')",
    "calibration": "5 folds want each class 5 times; 'rare' stands in 2 rows: use fewer n_splits",
    "MLflow": "file, where mlflow.db is to lie, is no folder; make it first",
    "feature store": "spend",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_a_model_and_a_warning_that_names_the_cause(step, tmp_path):
    given = broken(step, tmp_path)
    result = run_ml_workflow(None, MODEL, X, labels(step), "train_test", output_dir=tmp_path / "out", **given)
    assert set(result.pipeline.predict(X)) <= {"yes", "no", "rare"}
    assert result.metrics["accuracy"].value > 0.5
    assert list(result.skipped) == [step]
    assert CAUSES[step] in result.skipped[step]
    warned = f"{step} failed, and the workflow went on without it: {result.skipped[step]}"
    assert result.warnings.count(warned) == 1
    assert json.loads(json.dumps(get_workflow_summary(result)))["skipped"] == result.skipped
    keys = {"tuning": "tuning_summary", "calibration": "calibration_summary", "MLflow": "mlflow_run_id"}
    assert keys.get(step) not in result
    assert result.get("feature_store_enabled") is (False if step == "feature store" else None)


def test_all_steps_that_fail_at_once_leave_a_model_and_a_warning_each(tmp_path):
    given = {name: spec for step in STEPS for name, spec in broken(step, tmp_path).items()}
    y = labels("calibration")
    result = run_ml_workflow(None, MODEL, X, y, "train_test", output_dir=tmp_path / "out", **given)
    assert set(result.pipeline.predict(X)) <= {"yes", "no", "rare"}
    assert result.metrics["accuracy"].value > 0.5
    assert set(result.skipped) == set(STEPS)
    assert all(any(text.startswith(f"{step} failed") for text in result.warnings) for step in STEPS)


def test_what_a_model_cannot_do_without_still_fails(tmp_path):
    with pytest.raises(ValueError, match="feature store: .*spend.*; and no X and y were given instead"):
        run_ml_workflow(None, MODEL, **broken("feature store", tmp_path))
