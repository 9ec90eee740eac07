"""A fitted model as a folder: the pipeline in a skops file, and a card in JSON that says what it is and how good.

The same folder is what MLflow keeps, so that a model is read back in one way wherever it lies.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import ValidationError

from raypipe.errors import ConfigError, MissingColumnsError, OutputError, ReadError
from raypipe.ml.card import ModelCard, card_of
from raypipe.ml.data import to_table
from raypipe.ml.specs.base import mistakes
from raypipe.ml.trust import dump_model, load_model_file

CARD = "raypipe.json"
MODEL_FOLDER = "model"
"""Where a training run keeps its model, in a folder of its own."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A model that was read back."""

    model: Any
    card: ModelCard
    folder: Path

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Labels or numbers, row by row."""
        return self.model.predict(_rows_of(X, self.card))

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Probabilities of `card.labels`."""
        return self.model.predict_proba(_rows_of(X, self.card))


def _rows_of(X: Any, card: ModelCard) -> pd.DataFrame:  # noqa: N803
    table = to_table(X)
    missing = [one.name for one in card.inputs if one.name not in table.columns]
    if missing:
        raise MissingColumnsError(f"model {card.name!r}", missing, list(table.columns))
    return table[[one.name for one in card.inputs]]


def save_model(
    result: Mapping[str, Any],
    folder: str | Path,
    *,
    reading: Mapping[str, Any] | None = None,
    model_format: Literal["skops", "cloudpickle"] = "skops",
    overwrite: bool = False,
) -> Path:
    """Write the model of a workflow into a folder of its own, whole or not at all.

    Parameters
    ----------
    result : WorkflowResult
        Of `run_ml_workflow`.
    reading : mapping, optional
        Read options that give text files the types that the model was learnt from.
    model_format : {"skops", "cloudpickle"}
        cloudpickle takes any class, and whoever loads it runs whatever code is in it.

    Raises
    ------
    ConfigError
        The folder is there already, or the model holds what skops cannot write.
    OutputError
        The folder cannot be written.
    """
    place = Path(folder)
    if place.exists() and not overwrite:
        raise ConfigError(f"{place}: is there already; choose another folder, or overwrite it")
    temp = place.with_name(f".tmp-{place.name}-{secrets.token_hex(4)}")
    try:
        temp.mkdir(parents=True)
        write_files(result["pipeline"], card_of(result, reading).replace(format=model_format), temp)
        if place.exists():
            shutil.rmtree(place)
        os.replace(temp, place)
    except OSError as error:
        raise OutputError(f"cannot write {place}: {error.strerror or error}. Choose another folder") from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    return place


def write_files(model: Any, card: ModelCard, folder: Path) -> ModelCard:
    """The model file and its card, in a folder that is there; the card says the hash of the file."""
    path = folder / card.file
    if card.format == "skops":
        dump_model(model, path)
    else:
        import cloudpickle

        _log.warning("%s is written with cloudpickle: whoever loads it runs whatever code is in it", path)
        path.write_bytes(cloudpickle.dumps(model))
    sealed = card.replace(sha256=sha256_of(path))
    write_card(sealed, folder)
    return sealed


def write_card(card: ModelCard, folder: Path) -> None:
    """The card as JSON."""
    text = json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Hash of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_card(folder: Path) -> ModelCard:
    """The card in a folder.

    Raises
    ------
    ReadError
        There is none, or it is damaged.
    """
    path = folder / CARD
    try:
        return ModelCard.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ReadError(
            f"{folder}: holds no model of raypipe ({CARD} is not there); train one: raypipe train FILE --target COLUMN"
        ) from error
    except OSError as error:
        raise ReadError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise ReadError(f"{path}: is damaged: {mistakes(error)}") from error
    except ValueError as error:
        raise ReadError(f"{path}: is no JSON: {error}") from error


def load_saved(folder: str | Path, *, allow_pickle: bool = False) -> LoadedModel:
    """The model in a folder that `save_model` wrote, or that MLflow keeps for us.

    Parameters
    ----------
    allow_pickle : bool
        Load a file of cloudpickle, too, which may run any code.

    Raises
    ------
    ReadError
        It is not there, is not what its card says, or holds a class that is not trusted.
    """
    place = Path(folder)
    if not (place / CARD).is_file() and (place / MODEL_FOLDER / CARD).is_file():
        place = place / MODEL_FOLDER
    card = read_card(place)
    path = place / card.file
    if not path.is_file():
        raise ReadError(f"{place}: its card names {card.file}, which is not there")
    found = sha256_of(path)
    if found != card.sha256:
        raise ReadError(
            f"{path}: its hash is {found[:12]}…, its card says {card.sha256[:12]}…: it was changed or cut off"
        )
    _tell_versions(card, place)
    return LoadedModel(_unpacked(path, card, allow_pickle), card, place)


def _unpacked(path: Path, card: ModelCard, allow_pickle: bool) -> Any:
    if card.format == "skops":
        return load_model_file(path)
    if not allow_pickle:
        raise ReadError(
            f"{path}: is a file of cloudpickle, which may run any code when it is loaded; if you trust its origin:"
            " allow_pickle=True, or --allow-pickle"
        )
    import cloudpickle

    return cloudpickle.loads(path.read_bytes())


def _tell_versions(card: ModelCard, place: Path) -> None:
    """Warn where scikit-learn is another than that which fitted the model: figures may differ, or it may not load."""
    written, here = card.packages.get("scikit-learn"), importlib.metadata.version("scikit-learn")
    if written is not None and written.split(".")[:2] != here.split(".")[:2]:
        _log.warning("%s was fitted with scikit-learn %s; here is %s, which may answer otherwise", place, written, here)
