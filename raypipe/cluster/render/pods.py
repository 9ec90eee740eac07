"""Pod templates of the head and of a pool: what Kubernetes has to know about one node of Ray."""

from __future__ import annotations

from typing import Any

from raypipe.cluster.render.starting import EARLY_EXIT
from raypipe.cluster.spec import ClusterSpec, Head, Pool

CLUSTER_LABEL = "raypipe-cluster"
"""Label of every pod of a cluster, by which network policies and monitors find it."""
USER, GROUP = 1000, 100
"""Of Ray's images."""
JOB_FOLDER = "/home/ray/job"
SPOT_TOLERATIONS = [
    {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
    {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
]
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def worker_account(spec: ClusterSpec) -> str:
    """Name of the ServiceAccount of worker pods."""
    return f"{spec.name}-worker"


def head_template(spec: ClusterSpec) -> dict[str, Any]:
    """Template of the head pod.

    It names no ServiceAccount: the operator makes one that lets the autoscaler ask for pods, and nothing else.
    """
    ports = [
        _port("gcs", spec.ports.gcs), _port("dashboard", spec.ports.dashboard), _port("metrics", spec.ports.metrics),
        _port("as-metrics", 44217), _port("dash-metrics", 44227),
    ]  # fmt: skip
    return _template(spec, spec.head, {}, ports)


def worker_template(spec: ClusterSpec, pool: Pool) -> dict[str, Any]:
    """Template of the pods of a pool."""
    selector: dict[str, str] = {}
    tolerations: list[dict[str, str]] = []
    if pool.spot:
        selector |= dict(spec.kubernetes.spot_node_selector)
        tolerations += SPOT_TOLERATIONS
    if pool.kind == "gpu":
        selector |= dict(spec.kubernetes.gpu_node_selector)
        tolerations.append(GPU_TOLERATION)
    special: dict[str, Any] = {"serviceAccountName": worker_account(spec), "automountServiceAccountToken": False}
    special |= {"nodeSelector": selector} if selector else {}
    special |= {"tolerations": tolerations} if tolerations else {}
    return _template(spec, pool, special, [_port("metrics", spec.ports.metrics)])


def _template(
    spec: ClusterSpec, node: Head | Pool, special: dict[str, Any], ports: list[dict[str, Any]]
) -> dict[str, Any]:
    pull = [{"name": name} for name in spec.kubernetes.pull_secrets]
    return {
        "metadata": {"labels": {CLUSTER_LABEL: spec.name}},
        "spec": {
            **special,
            **({"imagePullSecrets": pull} if pull else {}),
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 60,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": GROUP,
                "fsGroup": GROUP,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(spec, node, ports)],
            "volumes": [
                {"name": "ray-logs", "emptyDir": {}},
                {"name": "job", "configMap": {"name": spec.kubernetes.job_config_map, "optional": True}},
            ],
        },
    }


def _container(spec: ClusterSpec, node: Head | Pool, ports: list[dict[str, Any]]) -> dict[str, Any]:
    gpu = isinstance(node, Pool) and node.kind == "gpu"
    return {
        "name": "ray-head" if isinstance(node, Head) else "ray-worker",
        "image": spec.image_for("gpu" if gpu else "cpu"),
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": EARLY_EXIT, "value": "true"}],
        "ports": ports,
        "resources": {"requests": _amounts(node), "limits": _amounts(node)},
        "securityContext": container_security(),
        "startupProbe": _probe(spec, period_s=5, failures=60),
        "livenessProbe": _probe(spec, period_s=10, failures=12),
        "readinessProbe": _probe(spec, period_s=10, failures=3),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "ray stop"]}}},
        "volumeMounts": [
            {"name": "ray-logs", "mountPath": "/tmp/ray"},
            {"name": "job", "mountPath": JOB_FOLDER, "readOnly": True},
        ],
    }


def container_security() -> dict[str, Any]:
    """What a container of ours may do: nothing beyond running."""
    return {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _amounts(node: Head | Pool) -> dict[str, str]:
    """Requests equal limits: Ray counts the limit, and Kubernetes must have set it aside."""
    gpus = {"nvidia.com/gpu": str(node.gpus)} if isinstance(node, Pool) and node.gpus else {}
    return {"cpu": str(node.pod.cpus), "memory": f"{node.pod.memory_gib}Gi", **gpus}


def _probe(spec: ClusterSpec, period_s: int, failures: int) -> dict[str, Any]:
    """Health of the node by Ray's agent, which answers without a token."""
    return {
        "httpGet": {"path": "/api/healthz", "port": spec.ports.agent},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "containerPort": number}
