"""Manifests for KubeRay: a cluster that stays, one for a single job, and one for a job by the clock."""

from __future__ import annotations

from typing import Any

from raypipe.cluster.render.pods import JOB_FOLDER, container_security, head_template, worker_template
from raypipe.cluster.spec import ClusterSpec, Pool

API = "ray.io/v1"
ENTRYPOINT = f"raypipe run --config {JOB_FOLDER}/raypipe.yaml --address auto --quiet"
DAY_S = 86_400


def ray_cluster(spec: ClusterSpec) -> dict[str, Any]:
    """A RayCluster that stays until it is deleted; its pools come and go."""
    return {"apiVersion": API, "kind": "RayCluster", "metadata": _meta(spec, spec.name), "spec": cluster_spec(spec)}


def ray_job(spec: ClusterSpec) -> dict[str, Any]:
    """A RayJob: a cluster for one run, that goes when the run has ended."""
    return {"apiVersion": API, "kind": "RayJob", "metadata": _meta(spec, f"{spec.name}-job"), "spec": job_spec(spec)}


def ray_cron_job(spec: ClusterSpec) -> dict[str, Any]:
    """A RayCronJob: such a job, by the clock."""
    place = spec.kubernetes
    made = {"schedule": place.cron_schedule, "timeZone": place.cron_time_zone, "jobTemplate": job_spec(spec)}
    return {"apiVersion": API, "kind": "RayCronJob", "metadata": _meta(spec, f"{spec.name}-nightly"), "spec": made}


def cluster_spec(spec: ClusterSpec) -> dict[str, Any]:
    """The `spec` of a RayCluster: token, autoscaler, head, one group for each pool."""
    made: dict[str, Any] = {
        "rayVersion": spec.versions.ray,
        "authOptions": {"mode": "token", "secretName": spec.token.secret},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": _autoscaler(spec),
    }
    if spec.kubernetes.gcs_fault_tolerance:
        made["gcsFaultToleranceOptions"] = {"backend": "rocksdb", "storage": {"size": "10Gi"}}
    return {
        **made,
        "headGroupSpec": {
            "serviceType": "ClusterIP",
            "rayStartParams": {"num-cpus": "0", **_start_params(spec)},
            "template": head_template(spec),
        },
        "workerGroupSpecs": [_group(spec, pool) for pool in spec.pools],
    }


def _autoscaler(spec: ClusterSpec) -> dict[str, Any]:
    """The sidecar that asks for pods. KubeRay's default of half a CPU makes it lag behind a burst of work."""
    amounts = {"cpu": "1", "memory": "1Gi"}
    return {
        "version": "v2",
        "upscalingMode": "Default",
        "idleTimeoutSeconds": max(pool.idle_timeout_s for pool in spec.pools),
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": container_security(),
    }


def _group(spec: ClusterSpec, pool: Pool) -> dict[str, Any]:
    return {
        "groupName": pool.name,
        "replicas": pool.min_workers,
        "minReplicas": pool.min_workers,
        "maxReplicas": pool.max_workers,
        "idleTimeoutSeconds": pool.idle_timeout_s,
        "priority": pool.priority,
        "labels": pool.node_labels,
        "rayStartParams": _start_params(spec),
        "template": worker_template(spec, pool),
    }


def _start_params(spec: ClusterSpec) -> dict[str, str]:
    """Texts, all of them: they become flags of `ray start`."""
    return {
        "metrics-export-port": str(spec.ports.metrics),
        "dashboard-agent-listen-port": str(spec.ports.agent),
        "disable-usage-stats": "true",
    }


def job_spec(spec: ClusterSpec) -> dict[str, Any]:
    """The `spec` of a RayJob. Its driver asks for a CPU, so that it runs on a worker, which may use the bucket."""
    return {
        "entrypoint": ENTRYPOINT,
        "entrypointNumCpus": 1,
        "submissionMode": "SidecarMode",
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 600,
        "preRunningDeadlineSeconds": 1_800,
        "activeDeadlineSeconds": DAY_S,
        "backoffLimit": 0,
        "rayClusterSpec": cluster_spec(spec),
    }


def _meta(spec: ClusterSpec, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": spec.kubernetes.namespace}
