"""Simulated nodes on one machine: a head without CPUs and so many nodes with one CPU each."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from typing import Any

os.environ.update(  # read once, at the import of ray
    RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_TMPDIR=tempfile.mkdtemp(prefix="nodes-")
)

import psutil
from ray.cluster_utils import Cluster

from benchmarks.contenders.workload import make_block

STORE_BYTES = 80 << 20
WAIT_S = 0.005
"""What a block waits for, as for a disk or a service: nodes that share two cores can still wait in parallel."""


def start(nodes: int) -> Cluster:
    """A cluster of so many nodes; its address is `.address`."""
    common = {"object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **common})
    for _ in range(nodes):
        cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    cluster.wait_for_nodes()
    return cluster


def stop(cluster: Cluster) -> None:
    """End all nodes."""
    cluster.shutdown()
    shutil.rmtree(os.environ["RAY_TMPDIR"], ignore_errors=True)


def work(number: int, block_bytes: int) -> Any:
    """The block that the work is done on: made, and waited for."""
    time.sleep(WAIT_S)
    return make_block(number, block_bytes)


class DriverCost:
    """CPU and memory that the process of the driver takes from now on."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._cpu = self._cpu_s()
        self._rss = self._process.memory_info().rss

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def facts(self, blocks: int) -> dict[str, float]:
        """So far, for each block."""
        return {
            "driver_cpu_us_per_block": round(1e6 * (self._cpu_s() - self._cpu) / blocks, 2),
            "driver_bytes_per_block": round((self._process.memory_info().rss - self._rss) / blocks, 1),
        }
