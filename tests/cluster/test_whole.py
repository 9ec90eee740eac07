"""From the rendered commands to a finished run: a head and a worker as compose starts them, and raypipe on them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ray.util import get_node_ip_address

from raypipe.cluster.render.docker import compose
from raypipe.cluster.spec import POOL
from tests.cluster.head import Head, free_ports, head_with_token, ray_start
from tests.cluster.shipped import ROOT

pytestmark = pytest.mark.slow


def worker_flags(head: Head) -> list[str]:
    """The command of compose's worker, but for the address of the head and ports that are taken on this machine."""
    spec = head.spec.replace(ports=free_ports())
    words = compose(spec)["services"]["worker-cpu"]["command"]
    assert words[:2] == ["ray", "start"]
    address = f"--address={get_node_ip_address()}:{head.spec.ports.gcs}"
    return [address if word.startswith("--address=") else word for word in words[2:]]


def test_a_run_finishes_on_a_cluster_that_the_rendered_commands_started(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs/examples/sales.csv", tmp_path)
    with (
        head_with_token(tmp_path, dashboard=False) as head,
        ray_start(worker_flags(head), head.env, tmp_path / "w.log"),
    ):
        address = f"{get_node_ip_address()}:{head.spec.ports.gcs}"
        done = raypipe(tmp_path, head.env, "--address", address, "--run-id", "cluster")
        assert done.returncode == 0, done.stderr + (tmp_path / "w.log").read_text()[-2000:]
        inline = raypipe(tmp_path, head.env, "--engine", "inline", "--run-id", "inline")
        assert json.loads(done.stdout)["rows"] == json.loads(inline.stdout)["rows"]
        told = [json.loads(line) for line in (tmp_path / "output/cluster/events.jsonl").read_text().splitlines()]
        assert any(event["event"] == "worker_up" for event in told)
        stranger = {name: value for name, value in head.env.items() if not name.startswith("RAY_")}
        refused = raypipe(tmp_path, {**stranger, "HOME": str(tmp_path)}, "--address", address)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert "token" in refused.stderr


def test_work_lands_on_the_worker_with_the_labels_of_its_pool_and_never_on_the_head(tmp_path: Path) -> None:
    script = """
import json, ray, sys, time
ray.init(address=sys.argv[1], log_to_driver=False)
where = ray.remote(lambda: ray.get_runtime_context().get_node_id())
wanted = where.options(num_cpus=1, label_selector={sys.argv[2]: "cpu"})
landed = ray.get([wanted.remote() for _ in range(4)], timeout=60)
nodes = {node["NodeID"]: node["Resources"].get("CPU", 0) for node in ray.nodes()}
print(json.dumps({"landed": sorted(set(landed)), "nodes": nodes}))
"""
    with (
        head_with_token(tmp_path, dashboard=False) as head,
        ray_start(worker_flags(head), head.env, tmp_path / "w.log"),
    ):
        address = f"{get_node_ip_address()}:{head.spec.ports.gcs}"
        command = [sys.executable, "-c", script, address, POOL]
        done = subprocess.run(command, env=head.env, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert sorted(told["nodes"].values()) == [0, head.spec.compose.worker.cpus]
    assert [told["nodes"][node] for node in told["landed"]] == [head.spec.compose.worker.cpus]


def raypipe(folder: Path, env: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    """`raypipe run` on the example."""
    command = [
        sys.executable,
        "-m",
        "raypipe",
        "run",
        "sales.csv",  # a relative path counts from the driver's folder, on workers too
        "--json",
        "--quiet",
        "--no-dashboard",
        *flags,
    ]
    env = {**env, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False)
