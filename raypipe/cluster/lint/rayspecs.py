"""Keys of KubeRay's resources (ray.io/v1), as typed models; values of lesser parts are left to the API server."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Whole = Annotated[int, Field(ge=0)]
Texts = dict[str, str]


class Resource(BaseModel):
    """A part of a resource: keys in camel case, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class AuthOptions(Resource):
    """Who may talk to the cluster."""

    mode: Literal["disabled", "token"] | None = None
    secret_name: str | None = None
    enable_k8s_token_auth: bool | None = Field(default=None, alias="enableK8sTokenAuth")


class AutoscalerOptions(Resource):
    """The sidecar that asks for pods."""

    version: Literal["v1", "v2"] | None = None
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] | None = None
    idle_timeout_seconds: Whole | None = None
    resources: dict[str, Any] | None = None
    image: str | None = None
    image_pull_policy: str | None = None
    security_context: dict[str, Any] | None = None
    env: list[Any] | None = None
    env_from: list[Any] | None = None
    volume_mounts: list[Any] | None = None
    command: list[str] | None = None
    args: list[str] | None = None


class HeadGroup(Resource):
    """The head."""

    template: dict[str, Any]
    ray_start_params: Texts | None = None
    service_type: str | None = None
    head_service: dict[str, Any] | None = None
    enable_ingress: bool | None = None
    ingress_options: dict[str, Any] | None = None
    labels: Texts | None = None
    resources: Texts | None = None


class WorkerGroup(Resource):
    """Pods of one kind."""

    group_name: str
    template: dict[str, Any]
    replicas: Whole | None = None
    min_replicas: Whole | None = None
    max_replicas: Whole | None = None
    num_of_hosts: Whole | None = None
    idle_timeout_seconds: Whole | None = None
    priority: int | None = None
    labels: Texts | None = None
    resources: Texts | None = None
    ray_start_params: Texts | None = None
    scale_strategy: dict[str, Any] | None = None
    suspend: bool | None = None


class Storage(Resource):
    """Where the head keeps its state."""

    access_modes: list[str] | None = None
    claim_name: str | None = None
    deletion_policy: Literal["DeleteWithCluster", "Retain"] | None = None
    size: str | int | None = None
    storage_class_name: str | None = None
    sub_path: str | None = None


class FaultTolerance(Resource):
    """How a new head finds the state of the old one."""

    backend: Literal["redis", "rocksdb"] | None = None
    external_storage_namespace: str | None = None
    redis_address: str | None = None
    redis_password: dict[str, Any] | None = None
    redis_username: dict[str, Any] | None = None
    storage: Storage | None = None


class RayClusterSpec(Resource):
    """A cluster."""

    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup] | None = None
    ray_version: str | None = None
    auth_options: AuthOptions | None = None
    autoscaler_options: AutoscalerOptions | None = None
    enable_in_tree_autoscaling: bool | None = None
    gcs_fault_tolerance_options: FaultTolerance | None = None
    head_service_annotations: Texts | None = None
    history_server_options: dict[str, Any] | None = None
    network_policy: dict[str, Any] | None = None
    tls_options: dict[str, Any] | None = None
    upgrade_strategy: dict[str, Any] | None = None
    managed_by: str | None = None
    suspend: bool | None = None


class RayJobSpec(Resource):
    """A job, and the cluster that is made for it."""

    entrypoint: str | None = None
    entrypoint_num_cpus: float | int | None = None
    entrypoint_num_gpus: float | int | None = None
    entrypoint_resources: str | None = None
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"] | None = None
    submitter_config: dict[str, Any] | None = None
    submitter_pod_template: dict[str, Any] | None = None
    runtime_env_yaml: str | None = Field(default=None, alias="runtimeEnvYAML")
    metadata: Texts | None = None
    job_id: str | None = None
    backoff_limit: Whole | None = None
    active_deadline_seconds: Whole | None = None
    pre_running_deadline_seconds: Whole | None = None
    ttl_seconds_after_finished: Whole | None = None
    shutdown_after_job_finishes: bool | None = None
    deletion_strategy: dict[str, Any] | None = None
    cluster_selector: Texts | None = None
    ray_cluster_spec: RayClusterSpec | None = None
    managed_by: str | None = None
    suspend: bool | None = None


class RayCronJobSpec(Resource):
    """A job by the clock."""

    schedule: str
    job_template: RayJobSpec
    time_zone: str | None = None
    suspend: bool | None = None


SPECS: dict[str, type[Resource]] = {"RayCluster": RayClusterSpec, "RayJob": RayJobSpec, "RayCronJob": RayCronJobSpec}
"""Kind -> model of its `spec`."""
TOP = ("apiVersion", "kind", "metadata", "spec", "status")
