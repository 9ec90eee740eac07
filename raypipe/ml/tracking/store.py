"""The store that runs are kept in: found, reached, or said why not.

Everything goes through `MlflowClient` with addresses of its own. MLflow's fluent functions keep their store and their
run in globals of the process, so that two workflows in one process would write into each other's runs.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from raypipe._optional import require_extra
from raypipe.errors import ConfigError
from raypipe.ml.specs.tracking import MLflowSpec
from raypipe.ml.tracking.troubles import check_server, check_sqlite, one_at_a_time, worded

SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SETTINGS = {
    # MLflow tells its makers of each call unless it is told not to before it is imported.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that goes away in the middle is given up within a minute; MLflow's own figures add up to a quarter hour.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}
"""Of MLflow's own, where the environment does not say otherwise."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Else its pages open on those for prompts and traces."""
_log = logging.getLogger(__name__)


def default_uri(output_dir: Path) -> str:
    """The SQLite store of an output folder, which is made where it is not there."""
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"MLflow: {output_dir} cannot be made: {error.strerror or error}") from error
    return f"sqlite:///{(output_dir / 'mlflow.db').resolve()}"


def open_client(tracking_uri: str, registry_uri: str | None = None, make: bool = True) -> Any:
    """A client of a store.

    Parameters
    ----------
    make : bool
        Whether a SQLite file that is not there is made, or is an error.

    Raises
    ------
    ConfigError
        The address is of no kind that MLflow keeps runs in, or its file is none of MLflow's.
    UnreachableError
        No server answers there.
    OutputError
        The file cannot be read.
    MissingDependencyError
        MLflow is not installed.
    """
    addresses = dict.fromkeys((tracking_uri, registry_uri or tracking_uri))
    for uri in addresses:
        _check_address(uri)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    mlflow = require_extra("mlflow", "tracking")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.tracking").setLevel(logging.WARNING)
    # It writes a traceback to the terminal before it raises what is told anyway.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        # Each file once, whatever it is called: who holds it twice waits for himself.
        for path in sorted({sqlite_path(uri).absolute() for uri in addresses if _scheme(uri) == "sqlite"}):
            if make:
                stack.enter_context(one_at_a_time(path))
            check_sqlite(path, make)
        stack.enter_context(worded(told(tracking_uri)))
        return mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=registry_uri or tracking_uri)


def _scheme(uri: str) -> str:
    return urlsplit(uri).scheme.partition("+")[0]


def _check_address(uri: str) -> None:
    scheme = _scheme(uri)
    if scheme in SERVERS:
        check_server(uri)
    elif scheme in ("", "file"):
        raise ConfigError(
            f"MLflow: got tracking_uri {uri!r}, a folder; MLflow 3 keeps no runs in folders: use sqlite:///FILE.db, a"
            " database or the address of a server"
        )
    elif scheme not in (*DATABASES, "databricks", "databricks-uc", "uc"):
        raise ConfigError(f"MLflow: got tracking_uri {uri!r}; wanted sqlite:///FILE.db, a database or http(s)://…")


def told(uri: str) -> str:
    """What messages call a store: its file, or its address without who may enter and with which password."""
    if _scheme(uri) == "sqlite":
        return str(sqlite_path(uri))
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


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
        made: str = client.create_experiment(spec.experiment_name, artifact_location=place, tags=EXPERIMENT_TAGS)
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
    scheme = _scheme(tracking_uri)
    if scheme not in DATABASES:
        return None
    beside = sqlite_path(tracking_uri).parent if scheme == "sqlite" else output_dir
    return (beside.resolve() / "mlartifacts" / quote(experiment, safe=" ")).as_uri()
