"""Ray Data doing the same on a cluster of simulated nodes, as plain functions, which it fuses into tasks."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import nodes  # first: it decides how ray authenticates

import ray  # isort: skip

from benchmarks.contenders.raydata_engine import partial_total
from benchmarks.contenders.workload import scale

_cluster: Any = None


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start the nodes, and a first pass."""
    global _cluster
    _cluster = nodes.start(task["nodes"])
    ray.init(address=_cluster.address, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    run({**task, "blocks": 16 * task["nodes"]})
    return {"nodes": task["nodes"]}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """One pass."""
    block_bytes = task["block_bytes"]
    whole: dict[str, Any] = {"batch_format": "pyarrow", "batch_size": None}
    cost = nodes.DriverCost()
    blocks = ray.data.range(task["blocks"], override_num_blocks=task["blocks"])
    made = blocks.map_batches(lambda numbers: nodes.work(numbers["id"][0].as_py(), block_bytes), **whole)
    rows = made.map_batches(scale, **whole).map_batches(partial_total, **whole).take_all()
    total = {"rows": sum(row["rows"] for row in rows), "total": sum(row["total"] for row in rows)}
    return {**total, **cost.facts(task["blocks"])}


def finish() -> None:
    """End all."""
    ray.shutdown()
    if _cluster is not None:
        nodes.stop(_cluster)
