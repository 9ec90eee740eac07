"""What a cluster answers, as far as raypipe reads it."""

from __future__ import annotations

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
    entrypoint_num_cpus: float = 0.0
    entrypoint_num_gpus: float = 0.0
    entrypoint_memory: float = 0.0
    entrypoint_resources: dict[str, float] = Field(default_factory=dict)
    driver_exit_code: int | None = None
    driver_node_id: str | None = None

    @field_validator("metadata", "runtime_env", "entrypoint_resources", mode="before")
    @classmethod
    def _empty_for_none(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("entrypoint_num_cpus", "entrypoint_num_gpus", "entrypoint_memory", mode="before")
    @classmethod
    def _zero_for_none(cls, value: Any) -> Any:
        return 0.0 if value is None else value

    @property
    def is_over(self) -> bool:
        """Whether nothing will change about it any more."""
        return self.status in TERMINAL

    @property
    def is_ours(self) -> bool:
        """Whether `raypipe submit` made it."""
        return "raypipe" in self.metadata

    @property
    def demand(self) -> dict[str, float]:
        """What its driver asks for."""
        asked = {"CPU": self.entrypoint_num_cpus, "GPU": self.entrypoint_num_gpus, "memory": self.entrypoint_memory}
        return {name: amount for name, amount in {**asked, **self.entrypoint_resources}.items() if amount}


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
