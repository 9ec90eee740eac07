"""Ray Data doing the same: a range whose numbers become blocks, two maps, a sum.

The maps are callable classes, which Ray Data runs in pools of actors, or plain functions, which it fuses into tasks.
The source is a function either way, since Ray Data's own readers are. The sum is taken per block by a last map and
added up in the driver: `Dataset.sum` shuffles, which costs seconds more.
Actors reserve a tenth of a CPU each: at the default of a whole one, two pools on two cores leave none for the tasks
that feed them, and the pass never ends.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from typing import Any

os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))  # read once, at import; as raypipe does

import pyarrow as pa
import ray

from benchmarks.contenders.workload import combine, make_block, scale, total

ACTOR_CPUS = 0.1
_folder = tempfile.TemporaryDirectory(prefix="raydata-")


class Apply:
    """A function of the workload."""

    def __init__(self, fn: Callable[[pa.Table], pa.Table]) -> None:
        self.fn = fn

    def __call__(self, block: pa.Table) -> pa.Table:
        return self.fn(block)


def partial_total(block: pa.Table) -> pa.Table:
    """Rows and sum of one block."""
    return pa.table({"rows": [block.num_rows], "total": [total(block)]})


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray; no actor yet."""
    store = {"object_store_memory": task["store_mib"] << 20} if task.get("store_mib") else {}
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=_folder.name,
        **store,
    )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    resources = ray.cluster_resources()
    return {"cpus": resources["CPU"], "store_mib": int(resources["object_store_memory"]) >> 20}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """One pass."""
    blocks = ray.data.range(task["blocks"], override_num_blocks=task["blocks"])
    rows = _maps(blocks, task).take_all()
    return {"rows": sum(row["rows"] for row in rows), "total": sum(row["total"] for row in rows)}


def _maps(blocks: Any, task: dict[str, Any]) -> Any:
    whole: dict[str, Any] = {"batch_format": "pyarrow", "batch_size": None}
    block_bytes = task["block_bytes"]
    made = blocks.map_batches(lambda numbers: make_block(numbers["id"][0].as_py(), block_bytes), **whole)
    workers = int(ray.cluster_resources()["CPU"])
    for fn in (scale, combine):
        if task["actors"]:
            pool = {"num_cpus": ACTOR_CPUS, "compute": ray.data.ActorPoolStrategy(size=workers)}
            made = made.map_batches(Apply, fn_constructor_args=(fn,), **pool, **whole)
        else:
            made = made.map_batches(fn, **whole)
    return made.map_batches(partial_total, **whole)


def finish() -> None:
    """End Ray."""
    ray.shutdown()
    _folder.cleanup()
