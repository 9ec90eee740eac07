"""A model in MLflow: the files that MLflow wants, and the card by which raypipe reads it back."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from raypipe.ml.card import ModelCard
from raypipe.ml.data import TrainingData
from raypipe.ml.saving import CARD, write_files
from raypipe.ml.trust import skops_io

if TYPE_CHECKING:
    from raypipe.ml.tracking.tracker import Tracker

SIGNATURE_ROWS = 100
NAME = "model"


def log_model(tracker: Tracker, result: Mapping[str, Any], card: ModelCard, data: TrainingData) -> Any:
    """Log the model of a result to its run; gives what MLflow calls a logged model.

    Raises
    ------
    ConfigError
        The model holds what its format cannot write.
    """
    from mlflow.entities import LoggedModelOutput

    client, spec = tracker.client, tracker.spec
    with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
        own = Path(folder, "own")
        own.mkdir()
        card = write_files(result["pipeline"], card.replace(format=spec.model_format), own)
        logged = client.create_logged_model(
            tracker.experiment_id, name=NAME, source_run_id=tracker.run_id, model_type=card.task,
            params={"algorithm": str(card.model.get("algorithm"))}, tags={"model.name": card.name},
        )  # fmt: skip
        try:
            made = _mlflow_files(tracker, result, card, data, (own, Path(folder, "made"), logged))
            client.log_model_artifacts(logged.model_id, str(made))
        except BaseException:
            client.finalize_logged_model(logged.model_id, "FAILED")
            raise
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(tracker.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged


def _mlflow_files(
    tracker: Tracker, result: Mapping[str, Any], card: ModelCard, data: TrainingData, places: tuple[Path, Path, Any]
) -> Path:
    """A folder as MLflow wants it, with our file and card in it."""
    import mlflow.sklearn
    from mlflow.models import Model

    own, made, logged = places
    spec = tracker.spec
    trusted = skops_io("MLflow").get_untrusted_types(file=own / card.file) if card.format == "skops" else None
    example = result["input_example"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of whole numbers and of what it is about to change
        mlflow.sklearn.save_model(
            result["pipeline"], str(made), serialization_format=card.format, skops_trusted_types=trusted,
            signature=_signature(result, data) if spec.log_model_signature else False,
            input_example=example if spec.log_input_example else None,
            pip_requirements=[f"{name}=={version}" for name, version in card.packages.items()],
            mlflow_model=Model(
                artifact_path=logged.artifact_location, model_uuid=logged.model_id, model_id=logged.model_id,
                run_id=tracker.run_id,
            ),
        )  # fmt: skip
    shutil.copyfile(own / card.file, made / card.file)  # the same model, packed
    shutil.copyfile(own / CARD, made / CARD)
    return made


def _signature(result: Mapping[str, Any], data: TrainingData) -> Any:
    """Names and types of what goes in and what comes out."""
    from mlflow.models import infer_signature

    rows = data.X[[one.name for one in result["inputs"]]].head(SIGNATURE_ROWS)
    said = np.asarray(result["pipeline"].predict(rows))
    return infer_signature(rows, said.astype(str) if said.dtype == object else said)
