"""Everything that a training run is told, in one file."""

from __future__ import annotations

from pydantic import Field, JsonValue, field_validator

from raypipe.ml.specs.base import Spec
from raypipe.ml.specs.features import FeatureSelectionSpec, FeatureSpec
from raypipe.ml.specs.models import ClassifierModelSpec, ModelSpec, RegressorModelSpec
from raypipe.ml.specs.tracking import MLflowSpec
from raypipe.ml.specs.validation import ValidationSpec


class TrainingSpec(Spec):
    """The specs of one workflow, as a file holds them. What is left out is decided by the data, or not done."""

    features: tuple[FeatureSpec, ...] | None = None
    selection: FeatureSelectionSpec | None = None
    task: str | None = None
    """classification or regression; None: the target decides."""
    model: dict[str, JsonValue] = Field(default_factory=dict)
    """A `ModelSpec`; its name may be left out."""
    validation: ValidationSpec = ValidationSpec()
    tuning: dict[str, JsonValue] | None = None
    """A search, with its `kind`: grid, random, optuna or population."""
    calibration: dict[str, JsonValue] | None = None
    feature_store: dict[str, JsonValue] | None = None
    mlflow: MLflowSpec | None = None
    read_options: dict[str, JsonValue] = Field(default_factory=dict)
    """How the file is read, where it is not to be looked at."""
    random_state: int = 42

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str | None) -> str | None:
        if value not in (None, "classification", "regression"):
            raise ValueError("wanted classification or regression")
        return value

    def model_spec(self, name: str) -> ModelSpec:
        """The model, of the task that was asked for."""
        kinds = {"classification": ClassifierModelSpec, "regression": RegressorModelSpec, None: ModelSpec}
        return kinds[self.task].from_dict({"model_name": name, **self.model}, "model")
