"""raypipe's engine on a private Ray: source, two maps and a reduce."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from benchmarks.contenders.workload import combine, make_block, scale, total
from raypipe.config import EngineConfig
from raypipe.engine import session
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Pass
from raypipe.stage import BlockStage, Part, PartRead, Plan, ReduceStage, SourceStage


class MakeBlocks(SourceStage):
    """`blocks` blocks of `block_bytes`, made in the workers."""

    blocks: int
    block_bytes: int

    def schema(self) -> pa.Schema:
        return make_block(0, 0).schema

    def parts(self) -> Sequence[Part]:
        return [Part(id=f"{n:06d}", file="made", bytes=self.block_bytes) for n in range(self.blocks)]

    def open(self) -> Callable[[Part], PartRead]:
        return lambda part: PartRead(make_block(int(part.id), self.block_bytes))


class Scale(BlockStage):
    """The first map."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        return scale(block)


class Combine(BlockStage):
    """The second map."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        return combine(block)


class Total(ReduceStage):
    """The sum."""

    def partial(self, block: pa.Table, part: str) -> Any:
        return {"rows": block.num_rows, "total": total(block)}

    def merge(self, a: Any, b: Any) -> Any:
        return {key: a[key] + b[key] for key in a}

    def finish(self, state: Any | None) -> Any:
        return state or {"rows": 0, "total": 0.0}


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray; no worker yet."""
    if task.get("store_mib"):
        session.MAX_STORE_BYTES = task["store_mib"] << 20
    opened = session.open_session(None)
    return {"cpus": opened.cpus, "store_mib": opened.store_bytes >> 20}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """One pass."""
    source = MakeBlocks(blocks=task["blocks"], block_bytes=task["block_bytes"])
    engine = RayEngine(EngineConfig(engine="ray", fuse=task["fuse"]))
    outcome = engine.run(Pass(Plan(source=source, stages=(Scale(), Combine(), Total()))))
    return dict(outcome.results["Total"])


def finish() -> None:
    """End Ray."""
    session.close_session()
