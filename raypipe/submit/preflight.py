"""What is looked at before anything is sent: all that is wrong is told at once."""

from __future__ import annotations

import re
from importlib import metadata
from platform import python_version_tuple
from typing import Literal

import raypipe
from raypipe.config import Frozen
from raypipe.errors import ClusterError, ConfigError, TokenError, UnreachableError
from raypipe.submit.client import JobsClient
from raypipe.submit.replies import Autoscaling, ClusterVersion, Node
from raypipe.submit.resources import lacking, nodes_in_words, room

_NO_TYPE = re.compile(r"node_?[0-9a-f]{20,}\Z", re.IGNORECASE)
"""What Ray calls the type of a node that no autoscaler started."""


class Finding(Frozen):
    """One thing that was looked at."""

    state: Literal["ok", "warning", "wrong"]
    text: str
    is_cluster: bool = False
    """Whether it is about reaching the cluster, rather than about what was asked for."""


class Preflight(Frozen):
    """All that was looked at."""

    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd, and no reason to stop."""
        return tuple(one.text for one in self.findings if one.state == "warning")

    def refuse(self, more: tuple[str, ...] = ()) -> None:
        """Raise for all that is wrong at once: ClusterError if the cluster cannot be spoken to, else ConfigError."""
        wrong = [*more, *(one.text for one in self.findings if one.state == "wrong")]
        if wrong:
            text = wrong[0] if len(wrong) == 1 else "".join(f"\n  - {one}" for one in wrong)
            unreachable = any(one.is_cluster and one.state == "wrong" for one in self.findings)
            raise (ClusterError if unreachable else ConfigError)(f"submit: nothing was sent: {text}")


DRIVER, WORKER = "the driver", "a worker"


class Wanted(Frozen):
    """What a job asks of a cluster."""

    driver: dict[str, float]
    worker: dict[str, float]
    """Of each worker of a pool."""
    workers: int = 1
    """That a pool should have; the job runs with one, and slower."""


def look(client: JobsClient, wanted: Wanted, *, any_version: bool = False) -> Preflight:
    """Reach the cluster, and hold its versions and its nodes to what the job wants.

    Parameters
    ----------
    client : JobsClient
        The cluster.
    wanted : Wanted
        What the driver and its workers ask for.
    any_version : bool
        Other versions of Ray and Python than here are odd, and no reason to stop.
    """
    found: list[Finding] = []
    if client.target.token is not None and client.target.token.note:
        found.append(Finding(state="warning", text=client.target.token.note))
    try:
        mode = client.authentication_mode()
        version = client.version()
    except (UnreachableError, TokenError, ClusterError) as error:
        return Preflight(findings=(*found, Finding(state="wrong", text=str(error), is_cluster=True)))
    found.append(Finding(state="ok", text=f"{client.target.url} answers: Ray {version.ray_version}"))
    if mode != "token":
        text = (
            f"{client.target.url} asks for no token: whoever reaches it runs code. Start Ray with RAY_AUTH_MODE=token"
        )
        found.append(Finding(state="warning", text=text))
    found += [Finding(state="warning" if any_version else "wrong", text=text) for text in other_versions(version)]
    try:
        found += _about_resources(client.nodes(), client.autoscaling(), wanted)
    except ClusterError as error:
        text = f"what the cluster has could not be found out, so whether the job fits is not known: {error}"
        found.append(Finding(state="warning", text=text))
    return Preflight(findings=tuple(found))


def other_versions(version: ClusterVersion) -> list[str]:
    """Where the cluster differs from this machine, in words; raypipe's own version is checked by the job."""
    here = versions_here()
    found = []
    if version.ray_version != here["ray"]:
        found.append(
            f"Ray {version.ray_version} on the cluster, and {here['ray']} here: what works here may not there. Install "
            "the same, or say --any-version"
        )
    theirs = ".".join((version.python_version or "").split(".")[:2])
    if theirs and theirs != here["python"]:
        found.append(
            f"Python {version.python_version} on the cluster, and {here['python']} here. Use an image with the same, "
            "or say --any-version"
        )
    return found


def versions_here() -> dict[str, str]:
    """Versions of Python (major and minor), Ray and raypipe on this machine."""
    python = ".".join(python_version_tuple()[:2])
    return {"python": python, "ray": metadata.version("ray"), "raypipe": raypipe.__version__}


def _about_resources(nodes: tuple[Node, ...], autoscaling: Autoscaling, wanted: Wanted) -> list[Finding]:
    missing = lacking({DRIVER: wanted.driver, WORKER: wanted.worker}, nodes)
    if not missing:
        fit = Finding(state="ok", text=f"the job fits: the nodes are {nodes_in_words(nodes)}")
        return [fit, *_about_workers(nodes, autoscaling, wanted)]
    if has_autoscaler(autoscaling):
        return [
            Finding(
                state="warning",
                text=f"{text}. The autoscaler may start a node that has; which types it knows is not told over HTTP",
            )
            for text in missing
        ]
    advice = "Ask for less with --cpus, --gpus, --memory-gib or --resource, or add nodes"
    return [Finding(state="wrong", text=f"{text}. {advice}") for text in missing]


def _about_workers(nodes: tuple[Node, ...], autoscaling: Autoscaling, wanted: Wanted) -> list[Finding]:
    """A warning where pools stay smaller than the settings say."""
    places = room(wanted.driver, wanted.worker, nodes)
    if places >= wanted.workers or has_autoscaler(autoscaling):
        return []
    text = (
        f"engine: {wanted.workers} workers a pool are wanted, and beside the driver {places} find a place on the nodes "
        f"({nodes_in_words(nodes)}). Add nodes, or ask for less: --set engine.workers={places}"
    )
    return [Finding(state="warning", text=text)]


def has_autoscaler(autoscaling: Autoscaling) -> bool:
    """Whether something starts nodes by itself: without it, nodes have no type but their own id."""
    return any(not _NO_TYPE.match(name) for name in autoscaling.types) or bool(autoscaling.pending)
