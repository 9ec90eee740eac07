"""The Dockerfile of both images, and a compose file for a small cluster on one machine."""

from __future__ import annotations

from typing import Any, Literal

from raypipe.cluster.places import Pod
from raypipe.cluster.render.pods import GROUP, USER
from raypipe.cluster.render.starting import environment, head_flags, node_flags
from raypipe.cluster.render.text import HEADER
from raypipe.cluster.spec import ClusterSpec, Pool

TOKEN_SECRET = "/run/secrets/ray_token"
HEALTH = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/api/healthz', timeout=4)"
SOURCES = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE")
"""Files beside the package from which it is built."""
STORE_SHARE = 0.35
"""Shared memory of a container, of its memory: a little more than Ray's object store takes of it."""


def dockerfile(spec: ClusterSpec) -> str:
    """A Dockerfile with the targets `cpu` and `gpu`; build it in the folder of the repository."""
    return "\n".join([HEADER.rstrip(), _target(spec, "cpu"), _target(spec, "gpu")]) + "\n"


def dockerignore() -> str:
    """What goes to the builder: only what the Dockerfile copies, and so no environment, no output and no secret."""
    return HEADER + "".join(
        f"{line}\n" for line in ("*", *(f"!{name}" for name in (*SOURCES, "raypipe")), "**/__pycache__")
    )


def _target(spec: ClusterSpec, kind: Literal["cpu", "gpu"]) -> str:
    health = HEALTH.format(port=spec.ports.agent)
    return f"""
FROM {spec.base_for(kind)} AS {kind}
USER {USER}:{GROUP}
COPY {" ".join(SOURCES)} /opt/raypipe/
COPY raypipe /opt/raypipe/raypipe
# Built in a copy: the folder above belongs to root.
RUN cp -r /opt/raypipe /tmp/raypipe \\
 && pip install --no-cache-dir --constraint /tmp/raypipe/constraints.txt /tmp/raypipe \\
 && rm -rf /tmp/raypipe
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 CMD ["python", "-c", "{health}"]
CMD ["raypipe", "--help"]"""


def compose(spec: ClusterSpec) -> dict[str, Any]:
    """A head and workers on one machine. Only the dashboard is published, and only to that machine."""
    pools = {f"worker-{pool.name}": _worker(spec, pool) for pool in spec.pools if not pool.spot}
    return {
        "name": spec.name,
        "services": {"head": _head(spec), **pools},
        "networks": {"cluster": {}},
        "secrets": {"ray_token": {"file": "${RAYPIPE_TOKEN_FILE:?set it to the file that holds the token}"}},
    }


def _head(spec: ClusterSpec) -> dict[str, Any]:
    # Inside of the container the dashboard listens to its own network, since nothing could be published otherwise.
    flags = head_flags(spec, "0.0.0.0")
    port = spec.ports.dashboard
    return {
        **_service(spec, spec.compose.head, "cpu"),
        "command": ["ray", "start", *flags, "--block"],
        "ports": [f"127.0.0.1:{port}:{port}"],
    }


def _worker(spec: ClusterSpec, pool: Pool) -> dict[str, Any]:
    labels = ",".join(f"{name}={value}" for name, value in pool.node_labels.items())
    own = [f"--num-cpus={spec.compose.worker.cpus}", f"--labels={labels}", "--block"]
    made = {
        **_service(spec, spec.compose.worker, pool.kind),
        "command": ["ray", "start", f"--address=head:{spec.ports.gcs}", *node_flags(spec), *own],
        "depends_on": {"head": {"condition": "service_healthy"}},
    }
    if pool.kind == "gpu":
        device = {"driver": "nvidia", "count": pool.gpus, "capabilities": ["gpu"]}
        made |= {"profiles": ["gpu"], "deploy": {"resources": {"reservations": {"devices": [device]}}}}
    return made


def _service(spec: ClusterSpec, size: Pod, kind: Literal["cpu", "gpu"]) -> dict[str, Any]:
    health = HEALTH.format(port=spec.ports.agent)
    return {
        "image": spec.image_for(kind),
        "build": {"context": "../..", "dockerfile": "cluster/docker/Dockerfile", "target": kind},
        "user": f"{USER}:{GROUP}",
        "init": True,
        "environment": environment(TOKEN_SECRET),
        "secrets": ["ray_token"],
        "networks": ["cluster"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "cpus": size.cpus,
        "mem_limit": f"{size.memory_gib}g",
        "shm_size": f"{int(size.memory_gib * STORE_SHARE * 1024)}m",
        "healthcheck": {
            "test": ["CMD", "python", "-c", health],
            "interval": "10s",
            "timeout": "5s",
            "start_period": "60s",
            "retries": 6,
        },
    }
