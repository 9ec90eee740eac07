"""Two nodes in network namespaces of their own, as two machines on one cable: a job uses both, and one is lost."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.local_head import LocalHead, local_head
from tests.faults.command import print_of_file
from tests.faults.family import QUICK_TO_NOTICE, Family
from tests.faults.namespaces import FAR_IP, NEAR_IP, joined_namespaces
from tests.submit.conftest import ROOT, Cli, await_that, client_of

CLONE_NEWNET = 0x40000000
ENGINE = {"engine": "ray", "block_mib": 0.2, "checkpoint_s": 1.0}


@contextlib.contextmanager
def inside(space: str) -> Iterator[None]:
    """This thread, and all that it starts, in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{space}") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            pytest.skip(f"no way into a network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), CLONE_NEWNET) == 0


def second_node(head: LocalHead, space: str) -> Family:
    """`ray start` in another namespace, in processes that end together."""
    command = [
        "ip", "netns", "exec", space, str(Path(sys.executable).parent / "ray"), "start", "--block",
        f"--address={head.address}", f"--node-ip-address={FAR_IP}", "--num-cpus=2", "--object-store-memory=200000000",
        "--min-worker-port=0", "--max-worker-port=0",
    ]  # fmt: skip
    return Family(command, {"RAY_AUTH_TOKEN": head.token, "PATH": head.env["PATH"], **QUICK_TO_NOTICE})


def events(run: Path) -> list[dict[str, Any]]:
    path = run / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def nodes_of(run: Path) -> set[str]:
    """The nodes that workers of a run were on."""
    return {str(one["node"]) for one in events(run) if one["event"] == "worker_up"}


def prints(run: Path) -> dict[str, str]:
    rows = json.loads((run / "execution_summary.json").read_text())["rows"]
    names = ("profile.json", "validation.json", "quarantine.parquet")
    files = [run / name for name in names] + sorted((run / "processed").iterdir())
    report = (run / "insights_report.md").read_text().replace(f"- run: {run.name}\n", "")
    hashes = {path.name: print_of_file(path) for path in files}
    return hashes | {"rows": json.dumps(rows, sort_keys=True), "report": report}


@pytest.mark.slow
def test_a_job_uses_both_nodes_and_ends_with_the_same_results_when_one_is_lost_midway(
    job: Callable[..., Path], tmp_path: Path
) -> None:
    config = job(rows=250_000, engine=ENGINE, save_intermediate=True)
    runs = tmp_path / "runs"
    with joined_namespaces() as cable, inside(cable.near):
        env = {"PYTHONPATH": str(ROOT), **QUICK_TO_NOTICE}
        with local_head(cpus=3, env=env, ip=NEAR_IP) as head, second_node(head, cable.far) as other:
            cli, client = Cli(head, tmp_path), client_of(head)
            await_that(lambda: len(client.nodes()) == 2)
            cli("submit", config, "--shared", tmp_path, "--run-id", "quiet", "--cpus", 0, timeout_s=400)
            assert len(nodes_of(runs / "quiet")) == 2
            with cli.begin_submit(config, "--run-id", "struck", "--cpus", 0, "--json") as running:
                await_that(lambda: len(nodes_of(runs / "struck")) == 2)
                await_that(lambda: any(one.get("parts_done", 0) > 0 for one in events(runs / "struck")))
                other.close()
                assert running.code(400) == 0, running.out[-3000:]
    assert [
        one for one in events(runs / "struck") if one["event"] in ("worker_restarted", "worker_gone", "blocks_lost")
    ]
    assert prints(runs / "struck") == prints(runs / "quiet")
