"""Which classes a model file may hold: estimators of libraries that we know, and nothing that runs other code.

skops builds objects from names in a file. A name is trusted here only if it is a class that is defined where it says,
in a package that we know, and is an estimator or one of the few types that estimators are made of. Functions, and names
that a module merely imported from elsewhere, are never trusted: they would be a way around the list.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile

from raypipe.errors import ConfigError, MissingDependencyError, ReadError
from raypipe.ml.trees import check_trees

PACKAGES = ("sklearn.", "lightgbm.", "xgboost.", "catboost.", "raypipe.ml.")
"""Whose estimators are trusted."""
PARTS = frozenset(
    {
        "catboost.core.CatBoostClassifier",
        "catboost.core.CatBoostRegressor",
        "collections.OrderedDict",
        "collections.defaultdict",
        "lightgbm.basic.Booster",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
    }
)
"""Types that estimators are made of and that hold numbers alone."""
CALIBRATION = "raypipe.ml.calibration."
"""Its calibrators are plain values; it says itself which."""


def untrusted(names: Iterable[str]) -> list[str]:
    """Those of the names that a model file may not hold."""
    return sorted(name for name in names if not _is_trusted(name))


def _is_trusted(name: str) -> bool:
    if name in PARTS:
        return True
    if not name.startswith(PACKAGES):
        return False
    module, _, attribute = name.rpartition(".")
    if any(step.startswith("test") or step in ("conftest", "_testing", "externals") for step in module.split(".")):
        return False
    try:
        if module.startswith(CALIBRATION):
            return name in importlib.import_module(f"{CALIBRATION}model").TRUSTED
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__ == module and _is_part(found)


def _is_part(kind: type) -> bool:
    """Whether it is an estimator, a splitter, a distance, or one of ours that says that models hold it."""
    from sklearn.base import BaseEstimator
    from sklearn.metrics._dist_metrics import DistanceMetric32, DistanceMetric64
    from sklearn.model_selection import BaseCrossValidator

    known = (BaseEstimator, BaseCrossValidator, DistanceMetric32, DistanceMetric64)
    return issubclass(kind, known) or getattr(kind, "RAYPIPE_MODEL_PART", False) is True


def skops_io(by: str) -> Any:
    """The module that reads and writes model files.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    if importlib.util.find_spec("skops") is None:
        raise MissingDependencyError(f"{by} needs skops: pip install 'raypipe[ml]'")
    return importlib.import_module("skops.io")


def dump_model(model: Any, path: Path) -> list[str]:
    """Write a fitted model with skops; gives the classes that a reader has to trust.

    Raises
    ------
    ConfigError
        It holds what skops cannot write, or a class that would be refused when it is read.
    """
    skops = skops_io("saving a model")
    try:
        skops.dump(model, path, compression=ZIP_DEFLATED)
        names: list[str] = skops.get_untrusted_types(file=path)
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        path.unlink(missing_ok=True)
        raise ConfigError(f"model: skops cannot write it: {error}. {_instead()}") from error
    refused = untrusted(names)
    if refused:
        path.unlink(missing_ok=True)
        raise ConfigError(f"model: it holds {', '.join(refused)}, which a model file may not hold. {_instead()}")
    return names


def load_model_file(path: Path) -> Any:
    """The model in a skops file, if it holds nothing but classes that are trusted.

    Raises
    ------
    ReadError
        The file is not there, is damaged, or holds a class that is not trusted; no code of it has run.
    """
    skops = skops_io("loading a model")
    try:
        names = skops.get_untrusted_types(file=path)
        refused = untrusted(names)
        if refused:
            raise ReadError(
                f"{path}: it holds {', '.join(refused)}, which is not trusted and was not loaded. A model of raypipe"
                " holds estimators of scikit-learn, LightGBM, XGBoost, CatBoost and raypipe; ask where the file is from"
            )
        model = skops.load(path, trusted=names)
        check_trees(model, str(path))
        return model
    except FileNotFoundError as error:
        raise ReadError(f"{path}: there is no such model file") from error
    except ReadError:
        raise
    except (OSError, BadZipFile, ValueError, KeyError, TypeError, AttributeError, ImportError, IndexError) as error:
        raise ReadError(f"{path}: no model file of raypipe, or a damaged one: {error}") from error


def _instead() -> str:
    return "Choose another algorithm, or model_format='cloudpickle' if all who load it trust it"
