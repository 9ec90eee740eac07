"""A Ray head whose autoscaler starts and ends worker nodes on this machine, as one on a cloud would start machines.

For child processes only: what it starts becomes an orphan by design, and the guard of the child ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from raypipe.config import EngineConfig
from raypipe.engine.events import EventLog
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Pass
from raypipe.engine.session import close_session
from raypipe.stage import Plan
from tests.faults.stages import Digest, Rows

HEAD_ID = "f" * 51 + "00000"
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
STORE_BYTES = 128 << 20
IDLE_S = 5.0
START_S = 90.0
EMPTY_LISTS = (
    "cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands",
    "head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands",
)  # fmt: skip


def start_head(folder: Path, most: int, types: dict[str, Any] | None = None) -> str:
    """Start a head without CPUs that may add `most` nodes, of one CPU or of `types`; returns its address."""
    from ray.util import get_node_ip_address

    port = _free_port()
    address = f"{get_node_ip_address()}:{port}"
    config = folder / "autoscaler.json"
    config.write_text(json.dumps(autoscaling_config(address, most, types)))
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={port}", "--num-cpus=0",
        f"--object-store-memory={STORE_BYTES}", f"--temp-dir={tempfile.gettempdir()}", "--include-dashboard=false",
        "--disable-usage-stats", "--dashboard-agent-listen-port=0",
        f"--autoscaling-config={config}",
    ]  # fmt: skip
    env = {
        "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        "RAY_NODE_TYPE_NAME": "ray.head.default",
    }  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=START_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the head did not start: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return address


def autoscaling_config(address: str, most: int, types: dict[str, Any] | None = None) -> dict[str, Any]:
    """A cluster of a head without CPUs and 0 to `most` nodes, of one CPU or of `types`."""
    provider = {
        "type": "external", "module": PROVIDER, "use_node_id_as_ip": True, "disable_node_updaters": True,
        "disable_launch_config_check": True, "foreground_node_launch": True, "gcs_address": address,
        "launch_multiple": True, "head_node_id": HEAD_ID,
    }  # fmt: skip
    node = {"CPU": 1, "object_store_memory": STORE_BYTES}
    return {
        "cluster_name": "fake",
        "max_workers": most,
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": IDLE_S / 60,
        "provider": provider,
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            **(types or {"worker": {"resources": node, "node_config": {}, "min_workers": 0, "max_workers": most}}),
        },
        "head_node_type": "ray.head.default",
        "docker": {},
        "auth": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in EMPTY_LISTS},
    }


def _free_port() -> int:
    """A port outside of the range from which Ray takes those of its workers."""
    for port in range(20_500 + os.getpid() % 3_000, 32_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise RuntimeError("no port is free")


def grow_and_shrink(folder: str, most: int, parts: int, pause_s: float, end_s: float) -> dict[str, Any]:
    """A run that asks an autoscaler for whole CPUs, from no node to `most` and back to none."""
    place = Path(folder)
    address = start_head(place, most)
    begun = time.monotonic()
    course: list[dict[str, Any]] = []
    over = threading.Event()
    ray = RayEngine(EngineConfig(address=address, idle_worker_s=2.0))
    api = ray.session.ray

    def look() -> dict[str, Any]:
        alive = [node for node in api.nodes() if node["Alive"]]
        cpus = sum(node["Resources"].get("CPU", 0) for node in alive)
        return {"t_s": round(time.monotonic() - begun, 1), "nodes": len(alive) - 1, "cpus": cpus}

    def watch() -> None:
        while not over.wait(0.25):
            course.append(look())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with EventLog(place / "events.jsonl") as events:
        source = Rows(rows=parts * 50, pause_s=pause_s)
        run_from = round(time.monotonic() - begun, 1)
        made = ray.run(Pass(Plan(source=source, stages=(Digest(column="x"),)), events=events))
        run_to = round(time.monotonic() - begun, 1)
    ray.release()
    until = time.monotonic() + end_s
    while look()["nodes"] and time.monotonic() < until:
        time.sleep(0.25)
    over.set()
    watcher.join()
    course.append(look())
    close_session()
    return {
        "course": changes(course), "run_from_s": run_from, "run_to_s": run_to, "most": most,
        "results": made.results["Digest"], "nodes_left": course[-1]["nodes"],
    }  # fmt: skip


def changes(course: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The moments at which the number of nodes became another one."""
    return [
        now for before, now in zip([{"nodes": None}, *course], course, strict=False) if now["nodes"] != before["nodes"]
    ]
