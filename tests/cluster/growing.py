"""The pools of the shipped spec under Ray's real autoscaler, whose machines are processes of this one.

Run as a program, in a family of processes that its test ends: `python -m tests.cluster.growing FOLDER`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from raypipe.cluster.spec import MARKET, POOL, Pool
from raypipe.config import EngineConfig, Resources
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.session import close_session
from tests.cluster.shipped import FOLDER, shipped
from tests.faults.autoscaler import STORE_BYTES, start_head

IDLE_S = 4
"""In place of the ten minutes of the spec."""
UP_S, DOWN_S = 120.0, 120.0


def node_types() -> dict[str, Any]:
    """The pools of the rendered launcher file, but for what only real machines have.

    Ray gives its processes the memory that a node has, so that the figure of a large machine has no place here.
    """
    config = yaml.safe_load((FOLDER / "aws.yaml").read_text(encoding="utf-8"))
    types = {
        name: dict(kind) for name, kind in config["available_node_types"].items() if name != config["head_node_type"]
    }
    for kind in types.values():
        amounts = {name: amount for name, amount in kind["resources"].items() if name != "memory"}
        kind |= {
            "resources": {**amounts, "object_store_memory": STORE_BYTES},
            "idle_timeout_s": IDLE_S,
            "node_config": {},
        }
        kind.pop("docker", None)
    return types


def grow(folder: Path) -> dict[str, Any]:
    """Ask for one worker of each pool, as a stage of raypipe would, and see its node come and go."""
    address = start_head(folder, sum(pool.max_workers for pool in shipped().pools), node_types())
    session = RayEngine(EngineConfig(address=address)).session
    seen = {pool.name: _one_pool(session, pool) for pool in shipped().pools}
    seen["anything"] = _one(session, Resources(cpus=1))
    close_session()
    return seen


def _one_pool(session: Any, pool: Pool) -> dict[str, Any]:
    market = "spot" if pool.spot else "on-demand"
    wanted = Resources(cpus=pool.cpus, gpus=pool.gpus, labels={POOL: pool.name, MARKET: market})
    return _one(session, wanted)


def _one(session: Any, wanted: Resources) -> dict[str, Any]:
    before = len(_nodes(session.ray))
    begun = time.monotonic()
    workers = session.take_workers(1, wanted, 0)
    session.ray.get(workers[0].hello.remote(), timeout=UP_S)
    up_s = time.monotonic() - begun
    nodes = _nodes(session.ray)
    workers.clear()  # the handle is dropped, as the engine does; nothing is killed
    begun = time.monotonic()
    while _nodes(session.ray) and time.monotonic() < begun + DOWN_S:
        time.sleep(0.25)
    return {
        "before": before,
        "nodes": nodes,
        "up_s": round(up_s, 1),
        "left": len(_nodes(session.ray)),
        "down_s": round(time.monotonic() - begun, 1),
    }


def _nodes(ray: Any) -> list[dict[str, Any]]:
    """Nodes beside the head: resources and labels."""
    alive = [node for node in ray.nodes() if node["Alive"] and "node:__internal_head__" not in node["Resources"]]
    return [{"resources": node["Resources"], "labels": node["Labels"]} for node in alive]


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "seen.json").write_text(json.dumps(grow(place)))
