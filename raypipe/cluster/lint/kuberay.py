"""Checks of KubeRay manifests: their keys, the token, the autoscaler, the head and every group of pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from raypipe.cluster.lint.context import Context
from raypipe.cluster.lint.documents import Document, Finding, Path, at, items, mapping
from raypipe.cluster.lint.images import check_ray
from raypipe.cluster.lint.network import has_policy
from raypipe.cluster.lint.pods import check_pod
from raypipe.cluster.lint.rayspecs import SPECS, TOP
from raypipe.cluster.names import did_you_mean
from raypipe.cluster.problems import problems_of
from raypipe.cluster.spec import MARKET, MIN_IDLE_S

CLUSTER_AT: dict[str, Path] = {
    "RayCluster": ("spec",),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayCronJob": ("spec", "jobTemplate", "rayClusterSpec"),
}
SPOT_KEYS = ("gke-spot", "gke-preemptible", "scalesetpriority", "capacity-type", "capacityType")
"""What the keys of taints and labels of spot machines contain, on the clouds that name them."""
GPU = "nvidia.com/gpu"


def check_kuberay(document: Document, context: Context) -> Iterator[Finding]:
    """All findings about a RayCluster, RayJob or RayCronJob."""
    kind = str(document.data.get("kind"))
    if kind not in SPECS:
        yield document.found(
            "kuberay-kind", ("kind",), f"there is no kind {kind!r} here", did_you_mean(str(kind), SPECS)
        )
        return
    if document.data.get("apiVersion") != "ray.io/v1":
        yield document.found("kuberay-kind", ("apiVersion",), f"is {document.data.get('apiVersion')!r}", "ray.io/v1")
    yield from _check_keys(document, kind)
    root = CLUSTER_AT[kind]
    cluster = mapping(document.data, *root)
    if not cluster:
        return
    yield from _check_cluster(document, root, cluster, context)
    if "headGroupSpec" in cluster:  # that it is missing is told already
        yield from _check_head(document, (*root, "headGroupSpec"), mapping(cluster, "headGroupSpec"), context)
    for index, group in enumerate(items(cluster, "workerGroupSpecs")):
        yield from _check_group(document, (*root, "workerGroupSpecs", index), group, context)
    yield from _check_job(document, kind)


def _check_keys(document: Document, kind: str) -> Iterator[Finding]:
    for name in document.data:
        if name not in TOP:
            yield document.found("kuberay-key", (name,), f"{kind} has no key {name!r}", did_you_mean(name, TOP))
    try:
        SPECS[kind].model_validate(document.data.get("spec"))
    except ValidationError as error:
        for problem in problems_of(SPECS[kind], error):
            rule = "kuberay-key" if problem.unknown else "kuberay-value"
            advice = problem.advice or "see the reference of KubeRay's API"
            yield document.found(rule, ("spec", *problem.place), problem.what, advice)


def _check_cluster(document: Document, root: Path, cluster: dict[str, Any], context: Context) -> Iterator[Finding]:
    if at(cluster, "authOptions", "mode") != "token":
        what = "nobody is asked who he is: authOptions.mode is not token"
        yield document.found(
            "token-missing", (*root, "authOptions", "mode"), what, "authOptions: {mode: token, secretName: …}"
        )
    version = cluster.get("rayVersion")
    if isinstance(version, str) and version[:1].isdigit():
        yield from check_ray(document, (*root, "rayVersion"), version, context, "rayVersion")
    else:
        yield document.found("ray-unpinned", (*root, "rayVersion"), f"rayVersion is {version!r}", "rayVersion: 2.60.0")
    if not has_policy(document, root, cluster, context):
        what = "no NetworkPolicy covers its pods; metrics, GCS and workers listen on every address"
        yield document.found("no-network-policy", root, what, "add one; see kuberay/networkpolicy.yaml")
    yield from _check_autoscaler(document, (*root, "autoscalerOptions"), cluster)


def _check_autoscaler(document: Document, path: Path, cluster: dict[str, Any]) -> Iterator[Finding]:
    if cluster.get("enableInTreeAutoscaling") is not True:
        return
    options = mapping(cluster, "autoscalerOptions")
    if options.get("version") != "v2":
        what = f"version is {options.get('version')!r}; the older autoscaler knows no idle times of a group"
        yield document.found("autoscaler-version", (*path, "version"), what, "version: v2")
    if at(options, "resources", "limits") is None:
        what = "the autoscaler has KubeRay's default of half a CPU, and lags behind"
        instead = "resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}"
        yield document.found("autoscaler-resources", (*path, "resources"), what, instead, "warning")
    yield from _check_idle(document, (*path, "idleTimeoutSeconds"), options.get("idleTimeoutSeconds", 60))


def _check_idle(document: Document, path: Path, seconds: object) -> Iterator[Finding]:
    if isinstance(seconds, int) and seconds < MIN_IDLE_S:
        what = f"a pod goes after {seconds} seconds without work, perhaps before its image is pulled"
        yield document.found("idle-too-short", path, what, f"{MIN_IDLE_S} or more")


def _check_head(document: Document, path: Path, head: dict[str, Any], context: Context) -> Iterator[Finding]:
    params = mapping(head, "rayStartParams")
    if params.get("num-cpus") != "0":
        what = "the head offers CPUs to work, beside Ray's own processes"
        yield document.found(
            "head-cpus", (*path, "rayStartParams", "num-cpus"), what, 'rayStartParams: {num-cpus: "0"}'
        )
    service = head.get("serviceType") or at(head, "headService", "spec", "type")
    if service not in (None, "ClusterIP"):
        what = f"a service of type {service} lets the network outside reach the dashboard and Ray itself"
        yield document.found(
            "service-public", (*path, "serviceType"), what, "serviceType: ClusterIP, and kubectl port-forward"
        )
    if head.get("enableIngress") is True:
        what = "an ingress lets the network outside reach the dashboard"
        yield document.found(
            "service-public", (*path, "enableIngress"), what, "leave it out, and use kubectl port-forward"
        )
    yield from check_pod(document, (*path, "template"), mapping(head, "template"), context)


def _check_group(document: Document, path: Path, group: object, context: Context) -> Iterator[Finding]:
    least, most, now = at(group, "minReplicas") or 0, at(group, "maxReplicas"), at(group, "replicas")
    if isinstance(most, int) and isinstance(least, int) and least > most:
        what = f"minReplicas is {least}, more than maxReplicas ({most})"
        yield document.found("min-over-max", (*path, "minReplicas"), what, f"minReplicas: {most} or fewer")
    elif isinstance(least, int) and isinstance(most, int) and isinstance(now, int) and not least <= now <= most:
        what = f"replicas is {now}, not within {least} and {most}"
        yield document.found("min-over-max", (*path, "replicas"), what, f"replicas: {least}")
    yield from _check_idle(document, (*path, "idleTimeoutSeconds"), at(group, "idleTimeoutSeconds"))
    template = mapping(group, "template")
    yield from check_pod(document, (*path, "template"), template, context)
    yield from _check_special(document, path, group, template)


def _check_special(document: Document, path: Path, group: object, template: dict[str, Any]) -> Iterator[Finding]:
    pod: Path = (*path, "template", "spec")
    tolerations = [str(at(one, "key")) for one in items(template, "spec", "tolerations")]
    limits = [mapping(one, "resources", "limits") for one in items(template, "spec", "containers")]
    requests = [mapping(one, "resources", "requests") for one in items(template, "spec", "containers")]
    wants_gpu = any(GPU in amounts for amounts in (*limits, *requests)) or "gpu" in str(at(group, "groupName"))
    if wants_gpu and not any(GPU in amounts for amounts in limits):
        place = (*pod, "containers", 0, "resources", "limits")
        yield document.found("gpu-limit", place, "a pool of GPUs asks for none", f"limits: {{{GPU}: 1}}")
    if wants_gpu and GPU not in tolerations:
        what = "machines with GPUs are tainted, and these pods do not tolerate it, so that none ever starts"
        yield document.found(
            "gpu-toleration", (*pod, "tolerations"), what, f"tolerations: [{{key: {GPU}, operator: Exists}}]"
        )
    keys = [*tolerations, *mapping(template, "spec", "nodeSelector")]
    if any(mark in key for key in keys for mark in SPOT_KEYS) and at(group, "labels", MARKET) != "spot":
        what = "machines of this group may be taken back, and no label says so, so that no stage can avoid them"
        yield document.found("spot-label", (*path, "labels"), what, f"labels: {{{MARKET}: spot}}")


def _check_job(document: Document, kind: str) -> Iterator[Finding]:
    if kind == "RayCluster":
        return
    path: Path = CLUSTER_AT[kind][:-1]
    job = mapping(document.data, *path)
    if job.get("shutdownAfterJobFinishes") is not True:
        what = "the cluster stays, and costs, when the job has ended"
        yield document.found(
            "job-cluster-stays", (*path, "shutdownAfterJobFinishes"), what, "shutdownAfterJobFinishes: true"
        )
    if not job.get("entrypointNumCpus"):
        what = "the driver asks for no CPU, so that it runs on the head"
        yield document.found("job-on-head", (*path, "entrypointNumCpus"), what, "entrypointNumCpus: 1", "warning")
