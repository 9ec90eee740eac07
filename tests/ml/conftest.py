"""A store of MLflow for each test that wants one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables that MLflow wants: to make them takes seconds, to copy them does not."""
    pytest.importorskip("mlflow", reason="tracking needs mlflow: pip install 'raypipe[mlflow]'")
    from raypipe.ml.tracking.store import default_uri, open_client

    folder = tmp_path_factory.mktemp("store")
    open_client(default_uri(folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def place(tmp_path: Path, empty_store: Path) -> Path:
    """A folder with an empty store."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path
