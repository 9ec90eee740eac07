"""Runs and registered models in MLflow, and models read back from there."""

from raypipe.ml.tracking.loading import load_model
from raypipe.ml.tracking.promotion import Promotion, promote
from raypipe.ml.tracking.registry import RegisteredVersion, archive, list_registered_models, set_stage

__all__ = [
    "Promotion",
    "RegisteredVersion",
    "archive",
    "list_registered_models",
    "load_model",
    "promote",
    "set_stage",
]
