"""What a run logged, as MLflow's own server tells it to its pages and to whoever asks over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raypipe.ml.specs import ClassifierModelSpec, MLflowSpec, RandomSearchSpec
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import people
from tests.ml.quiet import QUIET

pytestmark = [pytest.mark.slow, *QUIET]
START_S = 300
Ask = Callable[..., Any]


@pytest.fixture
def server(place: Path) -> Iterator[str]:
    """The server on loopback, without telemetry and without jobs of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (place / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words, "--workers", "1"],
            stdout=log, stderr=log, cwd=place, env={**os.environ, **quiet}, start_new_session=True,
        )  # fmt: skip
    try:
        yield _up(f"http://127.0.0.1:{port}", process, place / "server.log")
    finally:
        process.terminate()
        process.wait(30)


def _up(address: str, process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return address
    raise AssertionError(log.read_text())


def asked(address: str, path: str, body: Any = None, /, **query: str) -> Any:
    url = f"{address}/api/2.0/mlflow/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=30
    ) as answer:
        return json.load(answer)


def test_runs_figures_files_and_models_are_seen_by_the_server_of_mlflow(place: Path, server: str) -> None:
    search = RandomSearchSpec(tuning_name="c", param_distributions={"C": [0.1, 10.0]}, n_iter=2, engine="inline")
    spec = MLflowSpec(
        experiment_name="people", tracking_uri=f"sqlite:///{place}/mlflow.db", register_model=True,
        registered_model_name="churn", model_stage="Production",
    )  # fmt: skip
    model = ClassifierModelSpec(model_name="churn", algorithm="linear", evaluation_metrics=("roc_auc",))
    params = {"n_splits": 3}
    result = run_ml_workflow(
        None, model, people(200), "churn", validation_params=params, tuning_spec=search, mlflow_spec=spec
    )
    assert result.skipped == {}
    experiment = asked(server, "experiments/get-by-name", experiment_name="people")["experiment"]
    assert experiment["experiment_id"] == result.mlflow_experiment_id
    found = asked(server, "runs/search", {"experiment_ids": [experiment["experiment_id"]]})["runs"]
    above = [one for one in found if one["info"]["run_id"] == result.mlflow_run_id]
    below = [one for one in found if _tags(one).get("mlflow.parentRunId") == result.mlflow_run_id]
    assert (len(above), len(below), len(found)) == (1, len(result.trials), 1 + len(result.trials))
    figures = {one["key"]: one["value"] for one in above[0]["data"]["metrics"]}
    assert figures["test_roc_auc"] == pytest.approx(result.metrics["roc_auc"].value)
    assert _tags(above[0])["mlflow.note.content"].startswith("**roc_auc 0.")
    steps = asked(server, "metrics/get-history", run_id=result.mlflow_run_id, metric_key="cv_fold_score")["metrics"]
    assert [(one.get("step", 0), one["value"]) for one in steps] == list(enumerate(result.cv_scores))
    files = asked(server, "artifacts/list", run_id=result.mlflow_run_id, path="charts")["files"]
    assert "charts/reliability.svg" in {one["path"] for one in files}
    version = asked(server, "registered-models/alias", name="churn", alias="champion")["model_version"]
    assert (version["version"], version["run_id"]) == ("1", result.mlflow_run_id)
    assert version["description"].startswith("**roc_auc 0.")
    # The same model over HTTP: what `raypipe predict --tracking-uri http://…` does.
    from raypipe.ml.tracking import load_model

    read = load_model("models:/churn@champion", tracking_uri=server)
    assert (read.predict(people(50, seed=1)) == result.pipeline.predict(people(50, seed=1))).all()


def _tags(run: Any) -> dict[str, str]:
    return {one["key"]: one["value"] for one in run["data"].get("tags", [])}
