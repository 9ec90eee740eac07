"""`raypipe train`, `predict` and `models` as a stranger uses them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.ml.frames import people
from tests.warm import run_raypipe as raypipe

pytest.importorskip("skops", reason="model files need skops: pip install 'raypipe[ml]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("train")
    people(300).to_csv(place / "people.csv", index=False)
    people(120, seed=1).drop(columns=["churn"]).to_csv(place / "new.csv", index=False)
    people(300, seed=2).to_csv(place / "judge.csv", index=False)
    (place / "specs.yaml").write_text(
        "model: {hyperparameters: {n_estimators: 10}, evaluation_metrics: [roc_auc, log_loss]}\n"
        "validation: {strategy: train_test, test_size: 0.25}\n"
    )
    raypipe("train", "people.csv", "--target", "churn", "--config", "specs.yaml", "--out", "first", cwd=place)
    return place


def test_a_model_is_learnt_told_and_kept(folder: Path) -> None:
    done = raypipe("train", "people.csv", "-t", "churn", "-m", "linear", "--group", "person", cwd=folder)
    assert "churn: classification with linear on 300 rows" in done.stdout
    assert "judged on 5 folds (stratified_group)" in done.stdout
    assert "95 % interval" in done.stdout
    assert "model: output/models/people-churn/model" in done.stdout
    files = {path.name for path in (folder / "output/models/people-churn").rglob("*") if path.is_file()}
    assert {"model.skops", "raypipe.json", "plan.json", "audit.json", "reliability.svg"} <= files
    again = raypipe("train", "people.csv", "-t", "churn", cwd=folder, check=2)
    assert "a model is there already; add --force to replace it" in again.stderr


def test_rows_are_scored_by_a_model_that_was_kept(folder: Path) -> None:
    done = raypipe("predict", "first", "new.csv", "--out", "pred.parquet", "--keep", "person", cwd=folder)
    assert "120 of 120 rows scored by churn and written to pred.parquet" in done.stdout
    made = pl.read_parquet(folder / "pred.parquet")
    assert made.columns == ["person", "prediction", "probability_no", "probability_yes"]
    (folder / "less.csv").write_text("age,income\n1,2\n")
    less = raypipe("predict", "first", "less.csv", "--out", "less.parquet", cwd=folder, check=2)
    assert "input has no column 'city'" in less.stderr


def test_slips_are_told(folder: Path) -> None:
    wrong = raypipe("train", "people.csv", "-t", "chrun", "--out", "x", cwd=folder, check=2)
    assert "Did you mean 'churn'?" in wrong.stderr
    wrong = raypipe("train", "people.csv", "-t", "churn", "--tune", "soon", "--out", "x", cwd=folder, check=2)
    assert "--tune: got 'soon'; wanted a number of trials, such as 50, or a time: 60s" in wrong.stderr
    (folder / "bad.yaml").write_text("modle: {}\n")
    wrong = raypipe("train", "people.csv", "-t", "churn", "-c", "bad.yaml", "--out", "x", cwd=folder, check=2)
    assert "there is no setting 'modle'" in wrong.stderr
    wrong = raypipe("predict", "nowhere", "new.csv", "--out", "y.parquet", cwd=folder, check=1)
    assert "holds no model of raypipe" in wrong.stderr


def test_a_search_and_a_calibration_are_asked_for_by_a_flag(folder: Path) -> None:
    words = ("train", "people.csv", "-t", "churn", "-c", "specs.yaml", "--out", "tuned", "--json")
    told = json.loads(raypipe(*words, "--tune", "2", "--calibrate", cwd=folder).stdout)
    assert told["skipped"] == {}
    assert told["model"] == "tuned/model"
    done = raypipe("predict", "tuned", "new.csv", "--out", "tuned.parquet", "--json", "--quiet", cwd=folder)
    assert json.loads(done.stdout)["rows_written"] == 120


@pytest.mark.slow
def test_registered_models_are_listed_and_promoted(folder: Path) -> None:
    pytest.importorskip("mlflow", reason="tracking needs mlflow: pip install 'raypipe[mlflow]'")
    for algorithm in ("dummy", "linear"):
        raypipe(
            "train", "people.csv", "-t", "churn", "-m", algorithm, "--out", algorithm, "--register", "c", cwd=folder
        )
        raypipe("models", "promote", "c", "judge.csv", "--metric", "log_loss", cwd=folder)
    listed = json.loads(raypipe("models", "list", "--json", cwd=folder).stdout)
    assert [(one["version"], one["aliases"]) for one in listed] == [("2", ["champion"]), ("1", ["archived"])]
    raypipe("predict", "models:/c@champion", "new.csv", "--out", "champion.parquet", cwd=folder)
    raypipe("models", "archive", "c", "2", cwd=folder)


def test_steps_that_fail_leave_a_model_a_warning_each_and_an_exit_code(folder: Path) -> None:
    pytest.importorskip("mlflow", reason="tracking needs mlflow: pip install 'raypipe[mlflow]'")
    (folder / "failing.yaml").write_text(
        "model: {algorithm: linear}\n"
        "validation: {strategy: train_test}\n"
        "tuning: {kind: grid, param_grid: {solver: [none such]}, engine: inline}\n"
        "calibration: {n_splits: 400}\n"
        "mlflow: {tracking_uri: 'sqlite:///people.csv/mlflow.db'}\n"
        "feature_store: {enabled: true, repo_path: nowhere, initialize_on_start: false}\n"
    )
    done = raypipe("train", "people.csv", "-t", "churn", "-c", "failing.yaml", "--out", "part", cwd=folder, check=4)
    for step in ("feature store", "MLflow", "tuning", "calibration"):
        assert f"warning: {step} was asked for and is not in the result: " in done.stderr
        assert f"note: {step} failed" not in done.stdout
    assert (folder / "part/model/model.skops").is_file()
    told = json.loads((folder / "part/summary.json").read_text())
    assert set(told["skipped"]) == {"feature store", "MLflow", "tuning", "calibration"}
    raypipe("predict", "part", "new.csv", "--out", "part.parquet", cwd=folder)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one view, and a file of entity rows beside it."""
    from datetime import UTC, datetime, timedelta

    from raypipe.ml.specs.store import FeatureView
    from raypipe.ml.store import FeatureStore

    place = tmp_path_factory.mktemp("shop")
    store = FeatureStore(place / "feature_repo", "ml_workflow")
    store.register(FeatureView(name="spend", entities=("user",), event_time="at", features={"total": "float64"}))
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(120)]
    users, totals = list(range(120)), [float(n * 7 % 40) for n in range(120)]
    store.ingest("spend", pl.DataFrame({"user": users, "at": times, "total": totals}))
    churn = ["yes" if total > 19 else "no" for total in totals]
    pl.DataFrame({"user": users, "event_timestamp": times, "churn": churn}).write_csv(place / "asked.csv")
    return place


STORE = "model: {algorithm: linear}\nfeature_store: {views: {spend: null}"


def test_a_file_has_the_entity_rows_of_the_store_that_the_specs_name(shop: Path) -> None:
    (shop / "specs.yaml").write_text(STORE + "}\n")
    words = ("train", "asked.csv", "-t", "churn", "--time", "event_timestamp", "-c", "specs.yaml", "--json")
    told = json.loads(raypipe(*words, cwd=shop).stdout)
    assert told["skipped"] == {}
    data = json.loads((shop / "output/models/asked-churn/data.json").read_text())
    assert "asked.csv" in json.dumps(data["source"])
    assert data["feature_versions"] == {"spend": 1}
    pinned = json.loads((shop / "output/models/asked-churn/specs/feature_store.json").read_text())
    assert (pinned["views"], pinned["entity_rows_given"]) == ({"spend": 1}, True)
    card = json.loads((shop / "output/models/asked-churn/model/raypipe.json").read_text())
    assert card["data"] == data
    (shop / "file.yaml").write_text(STORE + ", entity_rows: asked.csv, target: churn}\n")
    words = ("train", "-c", "file.yaml", "--time", "event_timestamp", "--out", "named", "--json")
    named = json.loads(raypipe(*words, cwd=shop).stdout)
    assert named["cv_score"] == told["cv_score"]


@pytest.mark.parametrize(
    ("words", "section", "message"),
    [
        ((), None, "got no column to predict; add --target COLUMN"),
        (("-t", "churn"), None, "got no rows; name a FILE, or a feature_store in the specs"),
        (("-t", "churn"), ", enabled: false", "got no rows; name a FILE, or a feature_store in the specs"),
        (("asked.csv", "-t", "churn"), ", entity_rows: a.csv", "feature_store.entity_rows is 'a.csv', and a FILE"),
        (("asked.csv", "-t", "churn"), ", dataset_name: b", "feature_store.dataset_name is 'b', and a FILE is named"),
        (("asked.csv", "-t", "churn"), ", target: left", "--target is 'churn', but feature_store.target is 'left'"),
    ],
)
def test_rows_and_target_of_a_store_are_named_once(
    shop: Path, words: tuple[str, ...], section: str | None, message: str
) -> None:
    (shop / "wrong.yaml").write_text(f"{STORE}{section}}}\n" if section else "model: {algorithm: linear}\n")
    assert message in " ".join(raypipe("train", *words, "-c", "wrong.yaml", cwd=shop, check=2).stderr.split())


def test_a_flag_is_wanted_whatever_the_file_has_switched_off() -> None:
    from raypipe.cli.train import with_flags
    from raypipe.ml.specs.training import TrainingSpec

    off = TrainingSpec.from_dict(
        {
            "model": {"algorithm": "random_forest", "hyperparameters": {"n_estimators": 7}},
            "tuning": {"kind": "optuna", "enabled": False},
            "calibration": {"enabled": False},
            "mlflow": {"enabled": False},
        },
        "test",
    )
    spec = with_flags(off, {"tune": "20", "register": "m"}, calibrate=True, mlflow=True)
    assert (spec.tuning["enabled"], spec.calibration["enabled"], spec.mlflow.enabled) == (True, True, True)
    assert spec.model["hyperparameters"] == {"n_estimators": 7}
    other = with_flags(off, {"model": "linear"}, calibrate=False, mlflow=False)
    assert "hyperparameters" not in other.model


def test_a_model_that_replaces_another_has_nothing_of_its_evidence(folder: Path) -> None:
    words = ("train", "people.csv", "-t", "churn", "-m", "linear", "--out", "again")
    raypipe(*words, "--tune", "3", "--calibrate", cwd=folder)
    of_some = {"tuning.html", "trials.csv", "calibration.json"}
    assert of_some <= {path.name for path in (folder / "again").iterdir()}
    raypipe(*words, "--force", cwd=folder)
    assert not of_some & {path.name for path in (folder / "again").iterdir()}
