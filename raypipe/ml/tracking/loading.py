"""A model read back from wherever it lies: a folder, or a store of MLflow."""

from __future__ import annotations

from pathlib import Path

from raypipe.errors import ReadError
from raypipe.ml.saving import LoadedModel, load_saved
from raypipe.ml.tracking.registry import store_of, version_of

SCHEMES = ("models:/", "runs:/")


def load_model(
    uri: str | Path, *, tracking_uri: str | None = None, registry_uri: str | None = None, allow_pickle: bool = False
) -> LoadedModel:
    """A model that raypipe wrote, held to the list of classes that are trusted.

    Parameters
    ----------
    uri : str or Path
        A folder; or `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `models:/m-ID`, `runs:/RUN_ID/model`.
    allow_pickle : bool
        Load a file of cloudpickle, too, which may run any code.

    Raises
    ------
    ReadError
        It is not there, was changed, or holds a class that is not trusted.
    """
    return load_saved(model_folder(uri, tracking_uri, registry_uri), allow_pickle=allow_pickle)


def model_folder(uri: str | Path, tracking_uri: str | None = None, registry_uri: str | None = None) -> Path:
    """The folder of a model on this machine; fetched there where it lies elsewhere."""
    text = str(uri)
    if not text.startswith(SCHEMES):
        return Path(text.removeprefix("file://"))
    client = store_of(tracking_uri, registry_uri)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(artifact_uri=_place(client, text), tracking_uri=client.tracking_uri))
    except (MlflowException, OSError) as error:
        raise ReadError(f"{text}: cannot be fetched: {error}") from error


def _place(client: object, uri: str) -> str:
    """Where the files of a model lie."""
    kind, _, rest = uri.partition(":/")
    place = rest.strip("/")
    by_number = place.rpartition("/")[2].isdigit() or "@" not in place  # a name may hold an @
    name, _, version = place.rpartition("/" if by_number else "@")
    if kind == "runs":
        run = client.get_run(rest.strip("/").partition("/")[0])  # type: ignore[attr-defined]
        models = run.outputs.model_outputs if run.outputs else []
        if not models:
            raise ReadError(f"{uri}: this run logged no model")
        return str(client.get_logged_model(models[-1].model_id).artifact_location)  # type: ignore[attr-defined]
    if not name:
        return str(client.get_logged_model(version).artifact_location)  # type: ignore[attr-defined]
    number = version_of(client, name, version)
    if number is None:
        raise ReadError(f"{uri}: {name!r} has no version {version!r}; raypipe models list shows what is there")
    return str(client.get_model_version_download_uri(name, number))  # type: ignore[attr-defined]
