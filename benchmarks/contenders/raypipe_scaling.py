"""raypipe on a cluster of simulated nodes: a source that waits, a map, a reduce."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.contenders import nodes
from benchmarks.contenders.raypipe_engine import MakeBlocks, Scale, Total
from raypipe.config import EngineConfig
from raypipe.engine import session
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Pass
from raypipe.stage import Part, PartRead, Plan

_cluster: Any = None


class WaitForBlocks(MakeBlocks):
    """Blocks that take a while to come."""

    planned_bytes: int
    """What parts are said to have: large ones travel one a call."""

    def parts(self) -> Sequence[Part]:
        return [part.replace(bytes=self.planned_bytes) for part in super().parts()]

    def open(self) -> Callable[[Part], PartRead]:
        return lambda part: PartRead(nodes.work(int(part.id), self.block_bytes))


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start the nodes and the workers."""
    global _cluster
    _cluster = nodes.start(task["nodes"])
    run({**task, "blocks": 64 * task["nodes"]})
    return {"nodes": task["nodes"]}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """One pass, with workers that are up."""
    source = WaitForBlocks(
        blocks=task["blocks"],
        block_bytes=task["block_bytes"],
        planned_bytes=task["block_bytes"] if task["bundled"] else 64 << 20,
    )
    workers = task["nodes"]
    engine = RayEngine(EngineConfig(engine="ray", address=_cluster.address, min_workers=workers, max_workers=workers))
    cost = nodes.DriverCost()
    outcome = engine.run(Pass(Plan(source=source, stages=(Scale(), Total()))))
    return {**outcome.results["Total"], **cost.facts(task["blocks"])}


def finish() -> None:
    """End all."""
    session.close_session()
    if _cluster is not None:
        nodes.stop(_cluster)
