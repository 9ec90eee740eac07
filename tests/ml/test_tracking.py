"""Runs and registered models in a real MLflow on SQLite."""

from __future__ import annotations

import json

import numpy as np
import pytest

from raypipe.errors import ConfigError, ReadError, UnreachableError
from raypipe.ml.specs import (
    ClassifierModelSpec,
    GridSearchSpec,
    MLflowSpec,
    MLflowSpecBuilder,
    RandomSearchSpec,
    RegressorModelSpec,
    create_default_mlflow_spec,
    create_production_mlflow_spec,
)
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import numbers, people
from tests.ml.quiet import QUIET

pytestmark = QUIET
MODEL = ClassifierModelSpec(model_name="churn", algorithm="linear", evaluation_metrics=("log_loss", "roc_auc"))
WEAK = ClassifierModelSpec(model_name="churn", algorithm="dummy", evaluation_metrics=("log_loss", "roc_auc"))
PEOPLE = people()


# ── specs: need no MLflow ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_builder_sets_what_it_says():
    spec = (
        MLflowSpecBuilder("runs").set_run_name("one").set_tracking_uri("sqlite:///a.db").set_registry_uri("sqlite:///b.db")
        .set_artifact_location("/files").set_description("about").enable_model_registry("churn", "Production")
        .set_logging_options(signature=False, artifacts=False).add_tag("team", "a").add_tags({"env": "b"}).build()
    )  # fmt: skip
    assert (spec.experiment_name, spec.run_name, spec.registered_model_name) == ("runs", "one", "churn")
    assert (spec.alias, spec.log_model_signature, spec.log_input_example, spec.log_artifacts) == (
        "champion", False, True, False,
    )  # fmt: skip
    assert spec.tags == {"team": "a", "env": "b"}
    assert MLflowSpec.from_dict(spec.to_dict()) == spec
    assert not MLflowSpecBuilder().disable().build().enabled
    assert create_default_mlflow_spec().experiment_name == "ml_workflow_experiments"
    made = create_production_mlflow_spec("runs", "churn")
    assert (made.model_stage, made.alias, made.tags["environment"]) == ("Staging", "challenger", "production")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"experiment_name": " "}, "experiment_name is empty"),
        ({"model_stage": "Staging"}, "no model is registered; set register_model"),
        ({"register_model": True, "model_stage": "Prod"}, "model_stage: got 'Prod'"),
        ({"register_model": True, "registered_model_name": ""}, "leave it out to take the model's name"),
        ({"model_format": "pickle"}, "model_format: got 'pickle'"),
        ({"experimentname": "x"}, "there is no setting 'experimentname'"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        MLflowSpec.from_dict(values)


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def client_of(place):
    from raypipe.ml.tracking.store import default_uri, open_client

    return open_client(default_uri(place))


def learnt(place, spec, model=MODEL, table=PEOPLE, target="churn", strategy="train_test", **more):
    return run_ml_workflow(None, model, table, target, strategy, mlflow_spec=spec, output_dir=place, **more)


def test_a_run_holds_everything_that_is_known(place):
    spec = MLflowSpec(
        experiment_name="people", run_name="one", tags={"team": "a"}, description="about", register_model=True,
        registered_model_name="people/churn".replace("/", "-"), model_stage="Staging",
    )  # fmt: skip
    result = learnt(place, spec, strategy="cross_validation", validation_params={"n_splits": 3})
    assert result.skipped == {}
    client = client_of(place)
    run = client.get_run(result.mlflow_run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "one")
    assert run.info.experiment_id == result.mlflow_experiment_id
    kind = client.get_experiment(run.info.experiment_id).tags["mlflow.experimentKind"]
    assert kind == "custom_model_development"  # the pages for models, not those for prompts
    assert "skipped" not in run.data.tags
    assert run.data.tags["mlflow.user"]
    assert run.data.params["algorithm"] == "linear"
    assert run.data.params["model.max_iter"] == "1000"
    assert run.data.metrics["cv_log_loss"] == pytest.approx(result.metrics["log_loss"].value)
    low, high = (run.data.metrics[f"interval/cv_log_loss_{end}"] for end in ("low", "high"))
    assert low < run.data.metrics["cv_log_loss"] < high
    folds = client.get_metric_history(result.mlflow_run_id, "folds/roc_auc")
    assert [(one.step, one.value) for one in folds] == list(enumerate(result.metrics["roc_auc"].fold_values))
    assert run.data.metrics["train_roc_auc"] == pytest.approx(result.train_metrics["roc_auc"])
    assert run.data.tags["team"] == "a"
    assert run.data.tags["mlflow.note.content"].startswith("about\n\n**log_loss 0.")
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("churn", result.data["sha256"][:12])
    assert {"name": "age", "type": "double", "required": False} in json.loads(dataset.schema)["mlflow_colspec"]
    files = {one.path for one in client.list_artifacts(result.mlflow_run_id)}
    assert files == {"audit.json", "charts", "data.json", "plan.json", "specs", "summary.json"}
    charts = {one.path for one in client.list_artifacts(result.mlflow_run_id, "charts")}
    assert charts == {"charts/folds.svg", "charts/reliability.svg"}
    assert (place / "mlartifacts" / "people").is_dir()  # nothing of it lies in the working folder
    version = client.get_model_version("people-churn", result.mlflow_model_version)
    assert version.aliases == ["challenger"]
    assert version.tags["stage"] == "Staging"
    assert version.description.startswith("about\n\n**log_loss 0.")
    about = client.get_registered_model("people-churn").description
    assert about == "Tells churn: classification (no, yes). Registered by raypipe."


def test_a_logged_model_is_read_back_by_every_address_and_by_mlflow_itself(place):
    from raypipe.ml.tracking import load_model

    spec = MLflowSpec(register_model=True, model_stage="Production")
    result = learnt(place, spec)
    uri = result.mlflow_tracking_uri
    said = result.pipeline.predict(PEOPLE)
    for address in (f"runs:/{result.mlflow_run_id}/model", f"models:/{result.mlflow_model_id}", "models:/churn/1",
                    "models:/churn@champion"):  # fmt: skip
        read = load_model(address, tracking_uri=uri)
        assert (read.predict(PEOPLE) == said).all()
    conf = (read.folder / "MLmodel").read_text()
    assert "signature" in conf
    assert "saved_input_example_info" in conf
    assert any(line.startswith("scikit-learn==") for line in (read.folder / "requirements.txt").read_text().split())
    from mlflow.sklearn import load_model as load_with_mlflow

    assert (load_with_mlflow(str(read.folder)).predict(PEOPLE) == said).all()
    with pytest.raises(ReadError, match="'churn' has no version 'challenger'"):
        load_model("models:/churn@challenger", tracking_uri=uri)
    with pytest.raises(ConfigError, match="'chrn' is not registered; these are: churn"):
        load_model("models:/chrn@champion", tracking_uri=uri)


def test_what_is_not_to_be_logged_is_not(place):
    spec = MLflowSpec(log_artifacts=False, log_model_signature=False, log_input_example=False)
    result = learnt(place, spec, RegressorModelSpec(model_name="y", algorithm="ridge"), numbers(), "y")
    assert result.skipped == {}
    client = client_of(place)
    assert client.list_artifacts(result.mlflow_run_id) == []
    model = client.get_logged_model(result.mlflow_model_id)
    files = {one.path for one in client.list_logged_model_artifacts(model.model_id)}
    assert {"model.skops", "raypipe.json"} <= files
    assert "input_example.json" not in files
    assert client.search_registered_models() == []


def test_trials_are_runs_below_the_run(place):
    search = RandomSearchSpec(tuning_name="c", param_distributions={"C": [0.1, 1.0, 10.0]}, n_iter=3, engine="inline")
    result = learnt(place, MLflowSpec(), tuning_spec=search)
    assert result.skipped == {}
    client = client_of(place)
    below = client.search_runs(
        [result.mlflow_experiment_id], f"tags.`mlflow.parentRunId` = '{result.mlflow_run_id}'", max_results=100
    )
    assert len(below) == len(result.trials)
    assert {one.info.status for one in below} == {"FINISHED"}
    assert {one.data.params["C"] for one in below if one.data.params} <= {"0.1", "1.0", "10.0"}
    (chosen,) = [one for one in below if one.data.tags.get("trial.chosen")]
    assert chosen.data.params.get("C") == client.get_run(result.mlflow_run_id).data.params.get("model.C")
    assert [one.step for one in client.get_metric_history(chosen.info.run_id, "fold_score")] == [0, 1, 2]
    assert "trials.csv" in {one.path for one in client.list_artifacts(result.mlflow_run_id)}


# ── what fails ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_is_there_although_mlflow_fails_in_the_middle(place):
    result = learnt(place, MLflowSpec(artifact_location="file:///proc/nowhere"))
    assert len(result.pipeline.predict(PEOPLE)) == len(PEOPLE)
    assert "MLflow logging" in result.skipped
    assert any("MLflow logging failed, and the workflow went on without it" in text for text in result.warnings)
    run = client_of(place).get_run(result.mlflow_run_id)
    assert run.info.status == "FAILED"
    assert run.data.metrics["test_log_loss"] == pytest.approx(result.metrics["log_loss"].value)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://127.0.0.1:9", "nobody answers at http://127.0.0.1:9"),
        ("./mlruns", "MLflow 3 keeps no runs in folders: use sqlite"),
        ("sqlite:////nowhere/at/all/mlflow.db", "is no folder; make it first"),
        ("ftp://somewhere", "wanted sqlite:///FILE.db"),
    ],
)
def test_a_store_that_cannot_be_used_is_told_and_a_model_is_there(tmp_path, uri, message):
    result = learnt(tmp_path, MLflowSpec(tracking_uri=uri), WEAK)
    assert message in result.skipped["MLflow"]
    assert "mlflow_run_id" not in result
    assert len(result.pipeline.predict(PEOPLE)) == len(PEOPLE)


def test_a_server_that_does_not_answer_is_found_out_in_seconds():
    from raypipe.ml.tracking.store import open_client

    with pytest.raises(UnreachableError, match="Start mlflow server, or mend tracking_uri"):
        open_client("http://127.0.0.1:9")


def test_a_workflow_that_fails_closes_its_run_as_failed(place):
    from raypipe.ml.specs import NumericFeatureSpec

    with pytest.raises(ValueError, match="'city' is to be numeric"):
        run_ml_workflow(
            [NumericFeatureSpec(feature_name="city")],
            MODEL,
            PEOPLE,
            "churn",
            mlflow_spec=MLflowSpec(),
            output_dir=place,
        )
    client = client_of(place)
    (experiment,) = [one for one in client.search_experiments() if one.name == "ml_workflow_experiments"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    assert "'city' is to be numeric" in run.data.tags["error"]


def test_a_workflow_that_is_cancelled_while_it_logs_leaves_no_run_that_seems_to_go_on(place, monkeypatch):
    from raypipe.ml.tracking import tracker

    def cancelled(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tracker, "write_evidence", cancelled)
    with pytest.raises(KeyboardInterrupt):
        learnt(place, MLflowSpec(), WEAK)
    client = client_of(place)
    experiment = client.get_experiment_by_name("ml_workflow_experiments").experiment_id
    assert [one.info.status for one in client.search_runs([experiment])] == ["FAILED"]


def test_an_experiment_that_was_deleted_is_told(place):
    client = client_of(place)
    client.delete_experiment(client.create_experiment("gone"))
    result = learnt(place, MLflowSpec(experiment_name="gone"), WEAK)
    assert "experiment 'gone' was deleted; bring it back" in result.skipped["MLflow"]


# ── the registry ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_challenger_is_promoted_only_where_it_is_surely_better(place):
    from raypipe.ml.tracking import archive, list_registered_models, promote

    weak = learnt(place, MLflowSpec(register_model=True, model_stage="Production"), WEAK)
    uri = weak.mlflow_tracking_uri
    learnt(place, MLflowSpec(register_model=True, model_stage="Staging"))
    unseen = people(300, seed=1)
    with pytest.raises(ConfigError, match="there is no metric 'rmse' for classification"):
        promote("churn", unseen, "churn", metric="rmse", tracking_uri=uri)
    with pytest.raises(ConfigError, match="got 20 rows; wanted 30 or more"):
        promote("churn", unseen[:20], "churn", tracking_uri=uri)
    few = promote("churn", unseen, "churn", tracking_uri=uri, min_gain=0.05, dry_run=True)
    assert few.verdict in ("promoted", "undecided")
    done = promote("churn", unseen, "churn", tracking_uri=uri)
    assert (done.verdict, done.challenger, done.champion, done.metric) == ("promoted", "2", "1", "log_loss")
    assert 0 < done.interval[0] < done.gain < done.interval[1]
    assert done.gain == pytest.approx(done.champion_value - done.challenger_value)
    assert "version 2 is now champion in place of 1" in done.text
    told = {one.version: (one.aliases, one.stage) for one in list_registered_models(uri)}
    assert told == {"1": (("archived",), "Archived"), "2": (("champion",), "Production")}
    back = promote("churn", unseen, "churn", challenger="1", tracking_uri=uri)
    assert back.verdict == "kept"
    with pytest.raises(ConfigError, match="version 2 of 'churn' is the champion already"):
        promote("churn", unseen, "churn", challenger="2", tracking_uri=uri)
    learnt(place, MLflowSpec(register_model=True, model_stage="Staging"), random_state=7)
    same = promote("churn", unseen, "churn", tracking_uri=uri)
    assert same.verdict in ("undecided", "kept")
    assert list_registered_models(uri)[1].aliases == ("champion",)
    archive("churn", "3", tracking_uri=uri)
    assert list_registered_models(uri)[0].stage == "Archived"
    with pytest.raises(ConfigError, match="no version of 'chrn' is registered"):
        list_registered_models(uri, name="chrn")


def test_rows_that_a_model_was_learnt_from_decide_nothing(place):
    from raypipe.ml.tracking import promote

    result = learnt(place, MLflowSpec(register_model=True, model_stage="Staging"), WEAK, strategy="none")
    with pytest.raises(ConfigError, match="these are the rows that 'churn' was learnt from"):
        promote("churn", PEOPLE, "churn", tracking_uri=result.mlflow_tracking_uri)


# ── charts: need no MLflow ───────────────────────────────────────────────────────────────────────────────────────────


def test_charts_and_tables_are_written_without_mlflow_and_hostile_names_do_no_harm(tmp_path):
    from xml.etree import ElementTree

    from raypipe.ml.tracking.evidence import write_evidence

    name = "y</text><script>alert(1)</script>"
    result = run_ml_workflow(
        None, RegressorModelSpec(model_name="y", algorithm="ridge"), numbers().rename(columns={"y": name}), name
    )
    files = write_evidence(result, tmp_path)
    assert {path.name for path in files} >= {"features.json", "model.json", "plan.json", "predicted.svg", "folds.svg"}
    drawing = (tmp_path / "charts" / "predicted.svg").read_text()
    assert "<script" not in drawing
    ElementTree.fromstring(drawing)
    assert json.loads((tmp_path / "plan.json").read_text())["target"] == name
    assert np.isfinite(json.loads((tmp_path / "summary.json").read_text())["metrics"]["rmse"])


@pytest.mark.parametrize("tied", [None, "person"])
def test_rows_of_which_a_model_was_learnt_from_some_decide_nothing_either(place, tied):
    """The whole table, of which a part was held back; in another order; and beside a column that says what is tied."""
    from raypipe.ml.tracking import promote

    table = people(300).assign(person=np.arange(300) // 2)
    more = {"group_column": tied} if tied else {}
    spec = MLflowSpec(register_model=True, model_stage="Staging")
    uri = learnt(place, spec, WEAK, table=table, validation_params=more).mlflow_tracking_uri
    for rows in (table, table.sample(frac=1.0, random_state=1)):
        with pytest.raises(ConfigError, match="was learnt from about [78][0-9]% of these rows; bring rows"):
            promote("churn", rows, "churn", tracking_uri=uri, dry_run=True, groups="person")
    unseen = people(300, seed=1).assign(person=np.arange(300))
    assert promote("churn", unseen, "churn", tracking_uri=uri, dry_run=True).verdict == "first"


def test_there_is_a_champion_at_any_moment_of_a_promotion(place, monkeypatch):
    from mlflow import MlflowClient

    from raypipe.ml.tracking import list_registered_models, promote

    weak = learnt(place, MLflowSpec(register_model=True, model_stage="Production", registered_model_name="m@1"), WEAK)
    learnt(place, MLflowSpec(register_model=True, model_stage="Staging", registered_model_name="m@1"))
    client, seen = client_of(place), []

    def watched(do):
        def change(self, *given):
            do(self, *given)
            seen.append(str(client.get_registered_model("m@1").aliases["champion"]))

        return change

    for name in ("set_registered_model_alias", "delete_registered_model_alias", "set_model_version_tag"):
        monkeypatch.setattr(MlflowClient, name, watched(getattr(MlflowClient, name)))
    done = promote("m@1", people(300, seed=1), "churn", metric="log_loss", tracking_uri=weak.mlflow_tracking_uri)
    assert done.verdict == "promoted"
    assert seen[-1] == "2"
    assert seen == sorted(seen)  # the old one until the new one, and never none
    told = {one.version: (one.aliases, one.stage) for one in list_registered_models(weak.mlflow_tracking_uri)}
    assert told == {"2": (("champion",), "Production"), "1": (("archived",), "Archived")}


def test_stages_have_one_version_each(place):
    from raypipe.ml.tracking import list_registered_models, set_stage

    spec = MLflowSpec(register_model=True, model_stage="Staging")
    uri = learnt(place, spec, WEAK).mlflow_tracking_uri
    learnt(place, spec, WEAK, random_state=7)
    held = [(one.aliases, one.stage) for one in list_registered_models(uri)]
    assert held == [(("challenger",), "Staging"), ((), "None")]
    for version in ("1", "2"):
        set_stage("churn", version, "Production", tracking_uri=uri)
    held = [(one.aliases, one.stage) for one in list_registered_models(uri)]
    assert held == [(("champion",), "Production"), (("archived",), "Archived")]
    set_stage("churn", "2", "Production", tracking_uri=uri)  # that it has already
    assert list_registered_models(uri)[0].aliases == ("champion",)


def test_a_trial_that_cannot_be_logged_is_no_run_that_seems_to_go_on(place, monkeypatch):
    from mlflow import MlflowClient

    def broken(self, run_id, *given, log=MlflowClient.log_batch, **more):
        if "trial.status" in self.get_run(run_id).data.tags:
            raise OSError("the disk is full")
        return log(self, run_id, *given, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", broken)
    learnt(
        place,
        MLflowSpec(),
        WEAK,
        tuning_spec=GridSearchSpec(tuning_name="g", param_grid={"strategy": ["prior", "uniform"]}),
    )
    client = client_of(place)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert len(runs) >= 2
    assert not [one for one in runs if one.info.status == "RUNNING"]
