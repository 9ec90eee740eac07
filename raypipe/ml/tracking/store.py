"""The store that runs are kept in: found, reached, or said why not.

Everything goes through `MlflowClient` with addresses of its own. MLflow's fluent functions keep their store and their
run in globals of the process, so that two workflows in one process would write into each other's runs.
"""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from raypipe._optional import require_extra
from raypipe.errors import ConfigError, UnreachableError
from raypipe.ml.specs.tracking import MLflowSpec

REACH_S = 5.0
"""Seconds that a server has to answer; MLflow itself would try for minutes."""
SERVERS = {"http": 80, "https": 443}
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_log = logging.getLogger(__name__)


def default_uri(output_dir: Path) -> str:
    """The SQLite store of an output folder, which is made where it is not there."""
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"MLflow: {output_dir} cannot be made: {error.strerror or error}") from error
    return f"sqlite:///{(output_dir / 'mlflow.db').resolve()}"


def open_client(tracking_uri: str, registry_uri: str | None = None) -> Any:
    """A client of a store.

    Raises
    ------
    ConfigError
        The address is of no kind that MLflow keeps runs in.
    UnreachableError
        No server answers there.
    MissingDependencyError
        MLflow is not installed.
    """
    for uri in (tracking_uri, registry_uri or tracking_uri):
        _check(uri)
    # MLflow tells its makers of each call unless it is told not to before it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = require_extra("mlflow", "tracking")
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=registry_uri or tracking_uri)


def _check(uri: str) -> None:
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme in SERVERS:
        _reach(uri, parts.hostname or "", parts.port or SERVERS[scheme])
    elif scheme in DATABASES:
        if scheme == "sqlite" and not (place := sqlite_path(uri)).parent.is_dir():
            raise ConfigError(f"MLflow: {place.parent}, where {place.name} is to lie, is no folder; make it first")
    elif scheme in ("", "file"):
        raise ConfigError(
            f"MLflow: got tracking_uri {uri!r}, a folder; MLflow 3 keeps no runs in folders: use sqlite:///FILE.db, a"
            " database or the address of a server"
        )
    elif scheme not in ("databricks", "databricks-uc", "uc"):
        raise ConfigError(f"MLflow: got tracking_uri {uri!r}; wanted sqlite:///FILE.db, a database or http(s)://…")


def _reach(uri: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), REACH_S).close()
    except OSError as error:
        raise UnreachableError(
            f"MLflow: nobody answers at {uri}: {error.strerror or error}. Start mlflow server, or mend tracking_uri"
        ) from error


def sqlite_path(uri: str) -> Path:
    """The file of a SQLite address."""
    return Path(uri.partition(":///")[2].partition("?")[0])


def experiment_id(client: Any, spec: MLflowSpec, tracking_uri: str, output_dir: Path) -> str:
    """The experiment of a spec, made where it is not there.

    Raises
    ------
    ConfigError
        It was deleted.
    """
    found = client.get_experiment_by_name(spec.experiment_name)
    if found is None:
        place = spec.artifact_location or _files_of(spec.experiment_name, tracking_uri, output_dir)
        made: str = client.create_experiment(spec.experiment_name, artifact_location=place)
        return made
    if found.lifecycle_stage == "deleted":
        raise ConfigError(
            f"MLflow: experiment {spec.experiment_name!r} was deleted; bring it back (mlflow experiments restore"
            f" --experiment-id {found.experiment_id}), or choose another experiment_name"
        )
    if spec.artifact_location is not None and found.artifact_location.rstrip("/") != spec.artifact_location.rstrip("/"):
        _log.warning(
            "MLflow: experiment %r keeps its files at %s since it was made; artifact_location changes nothing",
            spec.experiment_name,
            found.artifact_location,
        )
    known: str = found.experiment_id
    return known


def _files_of(experiment: str, tracking_uri: str, output_dir: Path) -> str | None:
    """Where files of a new experiment go; MLflow's own choice would be the working folder. None: a server chooses."""
    scheme = urlsplit(tracking_uri).scheme.partition("+")[0]
    if scheme not in DATABASES:
        return None
    beside = sqlite_path(tracking_uri).parent if scheme == "sqlite" else output_dir
    return (beside.resolve() / "mlartifacts" / quote(experiment, safe=" ")).as_uri()
