"""What stands around the pods in Kubernetes: namespace, identity, who may talk to whom, who may read the metrics."""

from __future__ import annotations

from typing import Any

from raypipe.cluster.render.pods import CLUSTER_LABEL, worker_account
from raypipe.cluster.spec import ClusterSpec

METADATA = "169.254.169.254/32"
"""Where clouds hand out the credentials of the machine itself."""
API_SERVER_PORTS = (443, 6443)
AUTOSCALER_METRICS, DASHBOARD_METRICS = 44217, 44227
"""Ports of Ray that ask for no token."""


def namespace(spec: ClusterSpec) -> dict[str, Any]:
    """The namespace, which refuses privileged pods and warns of those that ask for more than they need."""
    levels = {"enforce": "baseline", "warn": "restricted"}
    labels = {f"pod-security.kubernetes.io/{name}": level for name, level in levels.items()}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": spec.kubernetes.namespace, "labels": labels},
    }


def service_account(spec: ClusterSpec) -> dict[str, Any]:
    """Identity of worker pods; annotations bind it to one of the cloud that may use the bucket."""
    meta: dict[str, Any] = {"name": worker_account(spec), "namespace": spec.kubernetes.namespace}
    if spec.kubernetes.service_account_annotations:
        meta["annotations"] = dict(spec.kubernetes.service_account_annotations)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta, "automountServiceAccountToken": False}


def network_policy(spec: ClusterSpec) -> dict[str, Any]:
    """Pods of the cluster talk to each other, to names, to HTTPS outside; the operator may reach the dashboard."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": spec.name, "namespace": spec.kubernetes.namespace},
        "spec": {
            "podSelector": {"matchLabels": {CLUSTER_LABEL: spec.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": _ingress(spec),
            "egress": _egress(spec),
        },
    }


def _ingress(spec: ClusterSpec) -> list[dict[str, Any]]:
    place, ports = spec.kubernetes, spec.ports
    rules = [
        {"from": [_own_pods(spec)]},
        {"from": [_namespace(place.operator_namespace)], "ports": _tcp(ports.dashboard)},
    ]
    if place.monitoring_namespace is not None:
        metrics = _tcp(ports.metrics, AUTOSCALER_METRICS, DASHBOARD_METRICS)
        rules.append({"from": [_namespace(place.monitoring_namespace)], "ports": metrics})
    return rules


def _egress(spec: ClusterSpec) -> list[dict[str, Any]]:
    names = {**_namespace("kube-system"), "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    outside = {"ipBlock": {"cidr": "0.0.0.0/0", "except": [METADATA]}}
    return [
        {"to": [_own_pods(spec)]},
        {"to": [names], "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
        # Object storage, and the API server that the autoscaler asks for pods.
        {"to": [outside], "ports": _tcp(*API_SERVER_PORTS)},
    ]


def pod_monitor(spec: ClusterSpec) -> dict[str, Any]:
    """How the Prometheus operator finds the metrics of the pods."""
    ports = ("metrics", "as-metrics", "dash-metrics")
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": spec.name, "namespace": spec.kubernetes.namespace},
        "spec": {
            "selector": {"matchLabels": {CLUSTER_LABEL: spec.name}},
            "podMetricsEndpoints": [{"port": port, "interval": "30s", "scrapeTimeout": "10s"} for port in ports],
        },
    }


def kustomization(spec: ClusterSpec) -> dict[str, Any]:
    """What `kubectl apply -k` makes: the cluster that stays, and what stands around it."""
    names = ["namespace.yaml", "serviceaccount.yaml", "networkpolicy.yaml", "raycluster.yaml"]
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": spec.kubernetes.namespace,
        "resources": names,
    }


def _own_pods(spec: ClusterSpec) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {CLUSTER_LABEL: spec.name}}}


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]
