"""Tracking: which store of MLflow a run goes to, what is logged, and whether its model is registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from raypipe.errors import ConfigError
from raypipe.ml.specs.base import Spec

Stage = Literal["None", "Staging", "Production", "Archived"]
STAGE_ALIASES: Mapping[str, str] = {"Staging": "challenger", "Production": "champion", "Archived": "archived"}
"""Stage of the older registry -> alias of a version, which took its place."""


class MLflowSpec(Spec):
    """A run of MLflow for each workflow, under the names of the older system."""

    experiment_name: str = "ml_workflow_experiments"
    run_name: str | None = None
    """None: the model's name and the time."""
    tracking_uri: str | None = None
    """`sqlite:///…`, `postgresql://…`, `http://…`; None: `mlflow.db` (SQLite) in the output folder."""
    registry_uri: str | None = None
    """Where registered models are; None: where runs are."""
    artifact_location: str | None = None
    """Folder or bucket for files of an experiment that is made anew; None: `mlartifacts` beside the SQLite file, or
    what a server chooses."""
    register_model: bool = False
    registered_model_name: str | None = None
    """None: the model's name."""
    model_stage: Stage = "None"
    """Of the registered version; told as a tag, and as the alias that it stands for: Staging as `challenger`,
    Production as `champion`, Archived as `archived`."""
    model_format: Literal["skops", "cloudpickle"] = "skops"
    """cloudpickle takes any class, and whoever loads it runs whatever code is in it."""
    log_model_signature: bool = True
    """Names and types of columns in and out."""
    log_input_example: bool = True
    """Three rows, beside the model."""
    log_artifacts: bool = True
    """Specs, plan, audit, tables and charts; the model itself is always logged."""
    tags: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_there(self) -> Self:
        if self.enabled and not self.experiment_name.strip():
            raise ValueError("experiment_name is empty; runs are kept under one")
        if self.registered_model_name is not None and not self.registered_model_name.strip():
            raise ValueError("registered_model_name is empty; leave it out to take the model's name")
        if self.model_stage != "None" and not self.register_model:
            raise ValueError(f"model_stage is {self.model_stage!r}, but no model is registered; set register_model")
        return self

    @property
    def alias(self) -> str | None:
        """What the registered version is called beside its number."""
        return STAGE_ALIASES.get(self.model_stage)


class MLflowSpecBuilder:
    """An `MLflowSpec`, set by set."""

    def __init__(self, experiment_name: str | None = None) -> None:
        self._values: dict[str, Any] = {} if experiment_name is None else {"experiment_name": experiment_name}

    def enable(self) -> Self:
        """Runs are tracked."""
        return self._set(enabled=True)

    def disable(self) -> Self:
        """Runs are not tracked."""
        return self._set(enabled=False)

    def set_experiment_name(self, name: str) -> Self:
        """What runs are kept under."""
        return self._set(experiment_name=name)

    def set_run_name(self, name: str) -> Self:
        """How the run is called."""
        return self._set(run_name=name)

    def set_tracking_uri(self, uri: str) -> Self:
        """Where runs are kept."""
        return self._set(tracking_uri=uri)

    def set_registry_uri(self, uri: str) -> Self:
        """Where registered models are."""
        return self._set(registry_uri=uri)

    def set_artifact_location(self, location: str) -> Self:
        """Where files of a new experiment go."""
        return self._set(artifact_location=location)

    def set_description(self, text: str) -> Self:
        """What the run is about."""
        return self._set(description=text)

    def set_model_format(self, model_format: str) -> Self:
        """skops, or cloudpickle."""
        return self._set(model_format=model_format)

    def enable_model_registry(self, name: str | None = None, stage: str = "None") -> Self:
        """Register the model, under its own name unless another is given."""
        return self._set(register_model=True, registered_model_name=name, model_stage=stage)

    def set_logging_options(
        self, signature: bool | None = None, input_example: bool | None = None, artifacts: bool | None = None
    ) -> Self:
        """What is logged; None leaves it as it is."""
        given = {"log_model_signature": signature, "log_input_example": input_example, "log_artifacts": artifacts}
        return self._set(**{name: value for name, value in given.items() if value is not None})

    def add_tag(self, name: str, value: str) -> Self:
        """A tag of the run."""
        return self.add_tags({name: value})

    def add_tags(self, tags: Mapping[str, str]) -> Self:
        """Tags of the run."""
        return self._set(tags={**self._values.get("tags", {}), **tags})

    def build(self) -> MLflowSpec:
        """The spec.

        Raises
        ------
        ConfigError
            Says all that is wrong with what was set.
        """
        return MLflowSpec.from_dict(dict(self._values), "MLflowSpecBuilder")

    def _set(self, **values: Any) -> Self:
        self._values.update(values)
        return self


def create_default_mlflow_spec(experiment_name: str = "ml_workflow_experiments", **settings: Any) -> MLflowSpec:
    """Runs are tracked; no model is registered."""
    return MLflowSpec.from_dict({"experiment_name": experiment_name, **settings}, "create_default_mlflow_spec")


def create_production_mlflow_spec(experiment_name: str, registered_model_name: str, **settings: Any) -> MLflowSpec:
    """Runs are tracked, and the model is registered as a challenger, to be promoted once it has shown to be better."""
    for name in (experiment_name, registered_model_name):
        if not name.strip():
            raise ConfigError("create_production_mlflow_spec: wanted the names of an experiment and of a model")
    tags = {"environment": "production", "auto_registered": "true", **settings.pop("tags", {})}
    made = {"register_model": True, "model_stage": "Staging", **settings, "tags": tags}
    names = {"experiment_name": experiment_name, "registered_model_name": registered_model_name}
    return MLflowSpec.from_dict({**made, **names}, "create_production_mlflow_spec")
