"""All files of a cluster: what they hold, writing them, and whether those on disk are still what the spec renders."""

from __future__ import annotations

import difflib
from pathlib import Path

from raypipe.cluster.render.aws import render_aws
from raypipe.cluster.render.azure import render_azure
from raypipe.cluster.render.docker import compose, dockerfile, dockerignore
from raypipe.cluster.render.gcp import render_gcp
from raypipe.cluster.render.isolation import kustomization, namespace, network_policy, pod_monitor, service_account
from raypipe.cluster.render.kuberay import ray_cluster, ray_cron_job, ray_job
from raypipe.cluster.render.onprem import render_onprem
from raypipe.cluster.render.text import yaml_text
from raypipe.cluster.spec import ClusterSpec
from raypipe.config import Frozen
from raypipe.errors import OutputError


def rendered(spec: ClusterSpec) -> dict[str, str]:
    """Path below the folder of the spec -> text of the file; clouds that the spec does not name are left out."""
    made: dict[str, str] = {}
    if spec.aws is not None:
        made["aws.yaml"] = yaml_text(render_aws(spec, spec.aws))
    if spec.gcp is not None:
        made["gcp.yaml"] = yaml_text(render_gcp(spec, spec.gcp))
    if spec.azure is not None:
        made["azure.yaml"] = yaml_text(render_azure(spec, spec.azure))
    if spec.onprem is not None:
        made["onprem.yaml"] = yaml_text(render_onprem(spec, spec.onprem))
    return {
        **made,
        **_kuberay(spec),
        "docker/Dockerfile": dockerfile(spec),
        "docker/Dockerfile.dockerignore": dockerignore(),
        "docker/compose.yaml": yaml_text(compose(spec)),
    }


def _kuberay(spec: ClusterSpec) -> dict[str, str]:
    documents = {
        "namespace": namespace(spec),
        "serviceaccount": service_account(spec),
        "networkpolicy": network_policy(spec),
        "raycluster": ray_cluster(spec),
        "rayjob": ray_job(spec),
        "raycronjob": ray_cron_job(spec),
        "kustomization": kustomization(spec),
    }
    if spec.kubernetes.pod_monitor:
        documents["podmonitor"] = pod_monitor(spec)
    return {f"kuberay/{name}.yaml": yaml_text(document) for name, document in documents.items()}


class Drift(Frozen):
    """A file that is not what the spec renders."""

    path: str
    state: str
    """missing, or differs."""
    line: int | None = None
    """First line that differs."""
    found: str = ""
    wanted: str = ""


def drift(spec: ClusterSpec, folder: Path) -> list[Drift]:
    """Files below `folder` that are missing, or differ from what the spec renders."""
    found = []
    for name, text in rendered(spec).items():
        path = folder / name
        if not path.is_file():
            found.append(Drift(path=name, state="missing"))
        elif (there := path.read_text(encoding="utf-8")) != text:
            found.append(_difference(name, there.splitlines(), text.splitlines()))
    return found


def _difference(name: str, there: list[str], wanted: list[str]) -> Drift:
    matcher = difflib.SequenceMatcher(None, there, wanted, autojunk=False)
    _, first, last, start, end = next(code for code in matcher.get_opcodes() if code[0] != "equal")
    return Drift(
        path=name,
        state="differs",
        line=first + 1,
        found="\n".join(there[first:last][:3]),
        wanted="\n".join(wanted[start:end][:3]),
    )


def write(spec: ClusterSpec, folder: Path) -> list[Path]:
    """Write every file of the spec below `folder`; returns their paths.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    written = []
    for name, text in rendered(spec).items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
        written.append(path)
    return written
