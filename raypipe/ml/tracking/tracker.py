"""One workflow as one run of MLflow: figures, files, trials as runs below it, the model and its registration."""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import raypipe
from raypipe.ml.card import card_of
from raypipe.ml.data import TrainingData
from raypipe.ml.specs.tracking import MLflowSpec
from raypipe.ml.tracking.dataset import dataset_of
from raypipe.ml.tracking.evidence import write_evidence
from raypipe.ml.tracking.figures import TAG_CHARS, key_of, metrics_of, params_of, tags_of, text_of
from raypipe.ml.tracking.modelfiles import log_model
from raypipe.ml.tracking.notes import model_note, note_of, version_note
from raypipe.ml.tracking.registry import register
from raypipe.ml.tracking.store import default_uri, experiment_id, open_client, told
from raypipe.ml.tracking.troubles import worded

MOST_CHILDREN = 200
"""Trials that get a run of their own, the first ones; the table of trials has all."""
BATCH = 100
"""Parameters, tags or metrics that one call takes."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Tracker:
    """A run that was started. `log` once, then `end`; or `fail`."""

    def __init__(self, spec: MLflowSpec, client: Any, run: Any, tracking_uri: str) -> None:
        self.spec = spec
        self.client = client
        self.tracking_uri = tracking_uri
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id

    @classmethod
    def start(cls, spec: MLflowSpec, output_dir: Path) -> Self:
        """A run, begun.

        Raises
        ------
        ConfigError, UnreachableError
            The store cannot be used.
        """
        uri = spec.tracking_uri or default_uri(output_dir)
        client = open_client(uri, spec.registry_uri)
        tags = {**_origin_tags(), **spec.tags}
        if spec.description:
            tags["mlflow.note.content"] = spec.description
        name = spec.run_name or f"workflow-{time.strftime('%Y%m%d-%H%M%S')}"
        with worded(told(uri)):
            experiment = experiment_id(client, spec, uri, output_dir)
            return cls(spec, client, client.create_run(experiment, tags=tags, run_name=name), uri)

    def facts(self) -> dict[str, Any]:
        """What a result says of its run."""
        return {"mlflow_run_id": self.run_id, "mlflow_experiment_id": self.experiment_id, "mlflow_spec": self.spec}

    def log(self, result: Mapping[str, Any], data: TrainingData) -> dict[str, Any]:
        """Everything that is known about a workflow; gives the keys that its result gets.

        Figures come first, so that they are there even where the model cannot be written.

        Raises
        ------
        ConfigError
            The model holds what its format cannot write.
        OutputError
            The store or the folder of files cannot be written to.
        """
        with worded(told(self.tracking_uri)):
            return self._logged(result, data)

    def _logged(self, result: Mapping[str, Any], data: TrainingData) -> dict[str, Any]:
        self._log_figures(result)
        self._log_dataset(result)
        self._log_trials(result)
        if self.spec.log_artifacts:
            with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
                write_evidence(result, Path(folder))
                self.client.log_artifacts(self.run_id, folder)
        model = log_model(self, result, card_of(result), data)
        found = {**self.facts(), "mlflow_tracking_uri": self.tracking_uri, "mlflow_model_id": model.model_id}
        if self.spec.register_model:
            found["mlflow_model_version"] = self._register(result, model)
        return found

    def fail(self, error: BaseException) -> None:
        """Close the run as failed, with what went wrong."""
        with worded(told(self.tracking_uri)):
            self.client.set_tag(self.run_id, "error", f"{type(error).__name__}: {error}"[:TAG_CHARS])
            self.client.set_terminated(self.run_id, "FAILED")

    def end(self, ok: bool) -> None:
        """Close the run."""
        with worded(told(self.tracking_uri)):
            self.client.set_terminated(self.run_id, "FINISHED" if ok else "FAILED")

    def _log_figures(self, result: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value, step in metrics_of(result)]
        params = [Param(name, value) for name, value in params_of(result).items()]
        tags = [
            RunTag(name, value[:TAG_CHARS]) for name, value in tags_of(result).items() if name not in self.spec.tags
        ]
        for some in _batches(metrics):
            self.client.log_batch(self.run_id, metrics=some)
        for few in _batches(params):
            self.client.log_batch(self.run_id, params=few)
        note = note_of(result, self.spec.description)[:TAG_CHARS]
        self.client.log_batch(self.run_id, tags=[*tags, RunTag("mlflow.note.content", note)])
        if self.spec.run_name is None:
            name = f"{result['model_spec'].model_name}-{time.strftime('%Y%m%d-%H%M%S')}"
            self.client.set_tag(self.run_id, "mlflow.runName", name)

    def _log_dataset(self, result: Mapping[str, Any]) -> None:
        """The rows by their hash, and by the versions of the tables that they come from."""
        from mlflow.entities import DatasetInput, InputTag

        if "feature_versions" in result:
            text = json.dumps(result["feature_versions"], default=str)
            self.client.set_tag(self.run_id, "data.versions", text[:TAG_CHARS])
        context = InputTag(key="mlflow.data.context", value="training")
        self.client.log_inputs(self.run_id, datasets=[DatasetInput(dataset=dataset_of(result), tags=[context])])

    def _log_trials(self, result: Mapping[str, Any]) -> None:
        """A run below this one for each trial: from this process alone, so that SQLite has one writer."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        for trial in _told(result.get("trials", ())):
            tags = {**_origin_tags(), "mlflow.parentRunId": self.run_id, "trial.status": trial.status}
            if dict(trial.params) == dict(result["best_params"]):
                tags["trial.chosen"] = "true"
            if trial.error:
                tags["error"] = trial.error[:TAG_CHARS]
            run = self.client.create_run(self.experiment_id, tags=tags, run_name=f"trial {trial.number}").info.run_id
            figures = {"score": trial.score, "fit_s": trial.fit_s, **trial.metrics}
            metrics = [
                Metric(key_of(name), float(value), now, 0) for name, value in figures.items() if value is not None
            ]
            steps = [Metric("fold_score", float(v), now, i) for i, v in enumerate(trial.fold_scores) if v is not None]
            params = {key_of(name): text_of(value) for name, value in trial.params.items()}
            try:
                self.client.log_batch(run, metrics=[*metrics, *steps], params=[Param(*one) for one in params.items()])
            except BaseException:
                self.client.set_terminated(run, "FAILED")
                raise
            self.client.set_terminated(run, "FAILED" if trial.status == "failed" else "FINISHED")

    def _register(self, result: Mapping[str, Any], model: Any) -> str:
        name = self.spec.registered_model_name or result["model_spec"].model_name
        tags = {"raypipe.sha256": result["data"]["sha256"], "metric": result["metric"]}
        told_of = (model_note(result), version_note(result, self.spec.description))
        version = register(self.client, name, model, self.run_id, tags, told_of)
        if self.spec.model_stage != "None":
            from raypipe.ml.tracking.registry import give_stage

            give_stage(self.client, name, version, self.spec.model_stage)
        return version


def _origin_tags() -> dict[str, str]:
    """Who ran what, in the columns that MLflow has for it."""
    tags = {"mlflow.source.name": f"raypipe {raypipe.__version__}", "mlflow.source.type": "LOCAL"}
    with contextlib.suppress(OSError, KeyError):  # a process in a container may have no name
        tags["mlflow.user"] = getpass.getuser()
    return tags


def _batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), BATCH):
        yield values[start : start + BATCH]


def _told(trials: Sequence[Any]) -> Sequence[Any]:
    """The trials that get a run: all, or the first ones."""
    if len(trials) > MOST_CHILDREN:
        _log.warning("MLflow: %d of %d trials get a run of their own; trials.csv has all", MOST_CHILDREN, len(trials))
    return trials[:MOST_CHILDREN]
