"""What the files of Ray's cluster launcher have in common, whatever the cloud."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from raypipe.cluster.render.starting import TOKEN_PATH, check_command, environment, own_token_command, start_commands
from raypipe.cluster.spec import HEAD, Cloud, ClusterSpec, Head, Pool
from raypipe.errors import ConfigError

WORK_SHARE = 0.6
"""Of a machine's memory, what work may reserve; Ray's object store takes 0.3, the system the rest."""
NodeConfig = Callable[[Head | Pool], dict[str, Any]]


def launcher_config(spec: ClusterSpec, provider: dict[str, Any], auth: dict[str, Any]) -> dict[str, Any]:
    """The part of a launcher file that is the same everywhere; node types are not in it yet."""
    return {
        "cluster_name": spec.name,
        "provider": provider,
        "auth": auth,
        "docker": docker(spec),
        "file_mounts": {TOKEN_PATH: spec.token.file},
        "initialization_commands": list(spec.image.login_commands),
        # None of Ray's defaults: they install a nightly wheel where they find no Ray.
        "setup_commands": [check_command(spec), own_token_command()],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        **start_commands(spec),
    }


def docker(spec: ClusterSpec) -> dict[str, Any]:
    """The container that runs Ray on a machine."""
    given = environment(TOKEN_PATH)
    return {
        "image": spec.image_for("cpu"),
        "container_name": "raypipe",
        "pull_before_run": True,
        # Also for what is run there later: `ray exec FILE 'ray status'`.
        "run_options": ["--ulimit nofile=65536:65536", *(f"--env {name}={value}" for name, value in given.items())],
    }


def with_pools(spec: ClusterSpec, cloud: Cloud, config: dict[str, Any], node_config: NodeConfig) -> dict[str, Any]:
    """A launcher file with the head and the pools that have a machine on `cloud`.

    Raises
    ------
    ConfigError
        If the head or every pool has none.
    """
    pools = spec.pools_on(cloud)
    if getattr(spec.head.machine, cloud) is None or not pools:
        raise ConfigError(
            f"cluster spec: {cloud}: the head or every pool lacks machine.{cloud}; name a type of machine"
        )
    types = {HEAD: head_type(node_config(spec.head))}
    types |= {pool.name: pool_type(spec, pool, node_config(pool)) for pool in pools}
    return {
        **config,
        "max_workers": sum(pool.max_workers for pool in pools),
        "upscaling_speed": 2.0,
        "idle_timeout_minutes": math.ceil(max(pool.idle_timeout_s for pool in pools) / 60),
        "available_node_types": types,
        "head_node_type": HEAD,
    }


def head_type(node_config: dict[str, Any]) -> dict[str, Any]:
    """The head: no CPUs, so that no work lands where Ray's own processes run."""
    return {"resources": {"CPU": 0}, "min_workers": 0, "max_workers": 0, "node_config": node_config}


def pool_type(spec: ClusterSpec, pool: Pool, node_config: dict[str, Any]) -> dict[str, Any]:
    """A pool as a node type of the launcher."""
    made = {
        "resources": resources(pool),
        "labels": pool.node_labels,
        "min_workers": pool.min_workers,
        "max_workers": pool.max_workers,
        "idle_timeout_s": pool.idle_timeout_s,
        "priority": pool.priority,
        "node_config": node_config,
    }
    if pool.kind == "gpu":
        made["docker"] = {"worker_image": spec.image_for("gpu"), "pull_before_run": True}
    return made


def resources(pool: Pool) -> dict[str, int]:
    """What Ray may give to work on a node of the pool: whole numbers, memory in bytes."""
    memory = int(pool.memory_gib * WORK_SHARE) << 30
    return {"CPU": pool.cpus, **({"GPU": pool.gpus} if pool.gpus else {}), "memory": memory}
