"""Checks of pod templates: keys, images, and what a pod may do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from raypipe.cluster.lint.context import Context
from raypipe.cluster.lint.documents import Document, Finding, Path, at, items, mapping
from raypipe.cluster.lint.images import check_image
from raypipe.cluster.names import did_you_mean, words

POD = words(
    "activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy "
    "enableServiceLinks ephemeralContainers evictionResponders hostAliases hostIPC hostNetwork hostPID "
    "hostUsers hostname hostnameOverride imagePullSecrets initContainers nodeName nodeSelector os "
    "overhead preemptionPolicy priority priorityClassName readinessGates resourceClaims resources "
    "restartPolicy runtimeClassName schedulerName schedulingGates schedulingGroup securityContext "
    "serviceAccount serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain "
    "terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes"
)
CONTAINER = words(
    "args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports readinessProbe "
    "resizePolicy resources restartPolicy restartPolicyRules securityContext startupProbe stdin stdinOnce "
    "terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir"
)
CONTAINER_SECURITY = words(
    "allowPrivilegeEscalation appArmorProfile capabilities privileged procMount readOnlyRootFilesystem "
    "runAsGroup runAsNonRoot runAsUser seLinuxOptions seccompProfile windowsOptions"
)
POD_SECURITY = words(
    "appArmorProfile fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxChangePolicy "
    "seLinuxOptions seccompProfile supplementalGroups supplementalGroupsPolicy sysctls windowsOptions"
)
PROBE = words(
    "exec failureThreshold grpc httpGet initialDelaySeconds periodSeconds successThreshold tcpSocket "
    "terminationGracePeriodSeconds timeoutSeconds"
)
_CPU = re.compile(r"^(\d+(?:\.\d+)?)(m?)$")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def check_pod(document: Document, path: Path, template: dict[str, Any], context: Context) -> Iterator[Finding]:
    """All findings about the template of a pod of Ray."""
    spec = mapping(template, "spec")
    path = (*path, "spec")
    yield from _keys(document, path, spec, POD)
    yield from _keys(document, (*path, "securityContext"), mapping(spec, "securityContext"), POD_SECURITY)
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name) is True:
            what = f"{name} takes the pod out of its own walls, past every NetworkPolicy"
            yield document.found("host-namespace", (*path, name), what, "leave it out")
    if spec.get("restartPolicy") != "Never":
        what = "a pod that is started again would join as another node under the same name"
        yield document.found("restart-policy", (*path, "restartPolicy"), what, "restartPolicy: Never")
    for index, volume in enumerate(items(spec, "volumes")):
        if "hostPath" in mapping(volume):
            what = "the pod reads and writes the disk of its machine"
            yield document.found("host-path", (*path, "volumes", index, "hostPath"), what, "emptyDir, or a claim")
    for index, container in enumerate(items(spec, "containers")):
        if isinstance(container, dict):
            yield from _check_container(document, (*path, "containers", index), container, spec, context)


def _check_container(
    document: Document, path: Path, container: dict[str, Any], pod: dict[str, Any], context: Context
) -> Iterator[Finding]:
    yield from _keys(document, path, container, CONTAINER)
    yield from check_image(document, (*path, "image"), container.get("image"), context)
    yield from _check_rights(document, path, mapping(container, "securityContext"), pod)
    yield from _check_amounts(document, (*path, "resources"), mapping(container, "resources"))
    for name in PROBES:
        yield from _keys(document, (*path, name), mapping(container, name), PROBE)
    if not any(name in container for name in PROBES):
        what = "no probe is written; only those count that KubeRay adds, unless its operator was told not to"
        yield document.found(
            "no-probe", path, what, "livenessProbe: {httpGet: {path: /api/healthz, port: 52365}}", "warning"
        )
    for index, variable in enumerate(items(container, "env")):
        if at(variable, "name") == "RAY_AUTH_MODE" and at(variable, "value") == "disabled":
            what = "RAY_AUTH_MODE is disabled: nobody is asked who he is"
            yield document.found("token-missing", (*path, "env", index), what, "leave it out; authOptions sets it")


def _check_rights(document: Document, path: Path, own: dict[str, Any], pod: dict[str, Any]) -> Iterator[Finding]:
    place = (*path, "securityContext")
    yield from _keys(document, place, own, CONTAINER_SECURITY)
    around = mapping(pod, "securityContext")
    if own.get("privileged") is True:
        yield document.found(
            "privileged", (*place, "privileged"), "the container may do anything to its machine", "leave it out"
        )
    root = 0 in (own.get("runAsUser"), around.get("runAsUser"))
    if root or True not in (own.get("runAsNonRoot"), around.get("runAsNonRoot")) or own.get("runAsNonRoot") is False:
        yield document.found(
            "root-container", (*place, "runAsNonRoot"), "the container may run as root", "runAsNonRoot: true"
        )
    if own.get("allowPrivilegeEscalation") is not False:
        what = "a process may gain rights that its parent does not have"
        yield document.found(
            "privilege-escalation", (*place, "allowPrivilegeEscalation"), what, "allowPrivilegeEscalation: false"
        )
    if "ALL" not in items(own, "capabilities", "drop"):
        yield document.found(
            "capabilities", (*place, "capabilities"), "the container keeps capabilities of root", "drop: [ALL]"
        )


def _check_amounts(document: Document, path: Path, resources: dict[str, Any]) -> Iterator[Finding]:
    yield from _keys(document, path, resources, {"limits", "requests", "claims"})
    limits = mapping(resources, "limits")
    for name in ("cpu", "memory"):
        if name not in limits:
            what = f"no limit of {name}: Ray counts the whole machine as its own"
            yield document.found("resource-limit", (*path, "limits"), what, f"limits: {{{name}: …}}")
    cpu = str(limits.get("cpu", "1"))
    match = _CPU.match(cpu)
    if match and float(match.group(1)) / (1000 if match.group(2) else 1) % 1:
        what = f"cpu is {cpu}; Ray rounds it, and counts another number than Kubernetes"
        yield document.found("resource-fraction", (*path, "limits", "cpu"), what, "a whole number")


def _keys(document: Document, path: Path, given: dict[str, Any], known: Collection[str]) -> Iterator[Finding]:
    for name in given:
        if name not in known:
            yield document.found("pod-key", (*path, name), f"there is no key {name!r}", did_you_mean(name, known))
