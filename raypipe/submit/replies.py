"""What a cluster answers, as far as raypipe reads it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

TERMINAL = ("SUCCEEDED", "FAILED", "STOPPED")


class Reply(BaseModel):
    """An answer; names that a later Ray adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class ClusterVersion(Reply):
    """What runs on the cluster."""

    ray_version: str
    python_version: str | None = None
    """None where the cluster does not tell."""


class JobState(Reply):
    """A job as the cluster sees it."""

    submission_id: str | None = None
    status: str
    message: str | None = None
    error_type: str | None = None
    start_time: int | None = None
    """Milliseconds since 1970."""
    end_time: int | None = None
    entrypoint: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    runtime_env: dict[str, Any] = Field(default_factory=dict)
    driver_exit_code: int | None = None
    driver_node_id: str | None = None

    @field_validator("metadata", "runtime_env", mode="before")
    @classmethod
    def _empty_for_none(cls, value: Any) -> Any:
        return {} if value is None else value

    @property
    def is_over(self) -> bool:
        """Whether nothing will change about it any more."""
        return self.status in TERMINAL

    @property
    def demand(self) -> dict[str, float]:
        """What its driver asks for; empty where that is not known, since Ray itself does not tell."""
        try:
            found = json.loads(self.metadata.get("demand", "{}"))
            return {str(name): float(amount) for name, amount in found.items()}
        except (ValueError, TypeError, AttributeError):
            return {}


class Node(Reply):
    """A node of the cluster."""

    node_id: str
    node_ip: str = ""
    is_head_node: bool = False
    state: str = "ALIVE"
    resources_total: dict[str, float] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("resources_total", "labels", mode="before")
    @classmethod
    def _empty_for_none(cls, value: Any) -> Any:
        return {} if value is None else value


class Autoscaling(Reply):
    """What the autoscaler says; all empty where there is none."""

    usage: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Resource -> in use, of how much."""
    pending: tuple[str, ...] = ()
    """Nodes that are on their way, in words."""
    failed: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    """Names of the types of nodes that are up or on their way."""
    error: str | None = None


class RuntimeEnvState(Reply):
    """A runtime environment that some node was asked to make."""

    runtime_env: dict[str, Any] = Field(default_factory=dict)
    success: bool | None = None
    error: str | None = None
