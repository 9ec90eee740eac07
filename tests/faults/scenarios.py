"""What child processes do when they are asked to: runs on a cluster of several nodes, some of which are lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from raypipe.config import EngineConfig, Resources
from raypipe.engine.events import EventLog
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Pass, PassProgress
from raypipe.engine.session import close_session
from raypipe.errors import RaypipeError
from raypipe.stage import Plan
from tests.faults.nodes import STORE_BYTES, Nodes, once_sprung
from tests.faults.stages import Digest, Rows, Score, Sift, Trap
from tests.faults.work import Made, Work, do

_nodes: list[Nodes] = []


def nodes() -> Nodes:
    """The cluster of this process, started when first needed."""
    if not _nodes:
        _nodes.append(Nodes())
    return _nodes[0]


def close_all() -> None:
    """End the cluster."""
    close_session()
    for one in _nodes:
        one.close()


@contextlib.contextmanager
def engine(folder: Path, **config: Any) -> Iterator[tuple[RayEngine, EventLog]]:
    """An engine that is connected to the cluster, and its log; disconnected afterwards, so that no worker stays."""
    try:
        with EventLog(folder / "events.jsonl") as events:
            yield RayEngine(EngineConfig(address=nodes().address, **config)), events
    finally:
        close_session()


def answer(made: Made, **more: Any) -> dict[str, Any]:
    """What a test gets to see."""
    return {**asdict(made), **more}


def run_in_peace(folder: str) -> dict[str, Any]:
    """A run that nothing happens to."""
    nodes().become(2, 2)
    place = Path(folder)
    with engine(place, workers=1) as (ray, events):
        return answer(do(ray, Work(place, cpus=0.5), events=events))


def lose_the_node_of(kind: str, at: int, folder: str) -> dict[str, Any]:
    """Kill the node on which a stage of `kind` has come to row `at`."""
    nodes().become(2, 2)
    place = Path(folder)
    work = Work(place, kind, Trap(folder=place, at=at, does="wait"), cpus=0.5)
    lost: list[str] = []

    def kill(pid: int, node_id: str) -> None:
        nodes().kill(node_id)
        lost.append(node_id)

    with engine(place, workers=1) as (ray, events), once_sprung(place, kill):
        made = do(ray, work, events=events)
    return answer(made, lost=lost)


def lose_all_finished_blocks(folder: str) -> dict[str, Any]:
    """Kill the only node, which holds all blocks of the first pass, between the passes; another one takes over."""
    nodes().become(2)
    place = Path(folder)
    [first] = nodes().ids

    def replace() -> None:
        nodes().kill(first)
        nodes().add(2)

    with engine(place, workers=1) as (ray, events):
        made = do(ray, Work(place, cpus=0.5), between=replace, events=events)
    return answer(made, lost=[first])


def lose_blocks_between_pools(folder: str) -> dict[str, Any]:
    """Kill the node that holds what the first pool made, while the model, on another node, is at its first block."""
    nodes().become()
    holder = nodes().add(2, labels={"side": "left"})
    nodes().add(2, labels={"side": "right"})
    place = Path(folder)
    trap = Trap(folder=place, at=0, does="wait")
    work = Work(place, "model", trap, cpus=0.5, labels=({"side": "left"}, {"side": "right"}))

    def kill(pid: int, node_id: str) -> None:
        assert node_id != holder
        time.sleep(1.0)  # until the source has read all there is
        nodes().kill(holder)
        nodes().add(2, labels={"side": "left"})

    with engine(place, workers=1) as (ray, events), once_sprung(place, kill):
        made = do(ray, work, events=events)
    return answer(made)


def lose_a_node_for_good(folder: str) -> dict[str, Any]:
    """Lose one of two nodes; some of the workers find no other place."""
    nodes().become(2, 2)
    place = Path(folder)
    work = Work(place, "model", Trap(folder=place, at=312, does="wait"), {"pause_s": 0.2}, cpus=0.25)

    def kill(pid: int, node_id: str) -> None:
        nodes().kill(node_id)

    with engine(place, max_workers=2, fuse=False, idle_worker_s=2.0) as (ray, events), once_sprung(place, kill):
        made = do(ray, work, events=events)
    return answer(made)


def wait_for_another_node(folder: str, call_timeout_s: float, wait_s: float) -> dict[str, Any]:
    """Lose the only node; another one comes much later than a call may take."""
    nodes().become(2)
    place = Path(folder)
    work = Work(place, "model", Trap(folder=place, at=312, does="wait"), cpus=0.5)

    def kill(pid: int, node_id: str) -> None:
        nodes().kill(node_id)
        time.sleep(wait_s)
        nodes().add(2)

    config = {"workers": 1, "call_timeout_s": call_timeout_s, "stall_warning_s": 5.0}
    with engine(place, **config) as (ray, events), once_sprung(place, kill):
        made = do(ray, work, events=events)
    return answer(made)


def lose_half_of_a_pool(folder: str) -> dict[str, Any]:
    """Lose one of two nodes, with half of the workers of the only pool, for good."""
    nodes().become(2, 2)
    place = Path(folder)
    work = Work(place, "map", Trap(folder=place, at=312, does="wait"), {"pause_s": 0.3}, model_gib=None)

    def kill(pid: int, node_id: str) -> None:
        nodes().kill(node_id)

    with engine(place, workers=4) as (ray, events), once_sprung(place, kill):
        made = do(ray, work, events=events)
    return answer(made)


def change_shape_between_passes(folder: str) -> dict[str, Any]:
    """The second pass asks for all CPUs of a cluster, whose CPUs the workers of the first pass have."""
    nodes().become(2)
    place = Path(folder)
    with engine(place, workers=1) as (ray, events):
        return answer(do(ray, Work(place, cpus=1.0, later_cpus=2.0), events=events))


def wait_in_vain(folder: str, wants: dict[str, Any], **config: Any) -> dict[str, Any]:
    """A run whose model wants what the cluster does not have, cancelled once it has said so."""
    nodes().become(2, 2)
    said: list[str] = []
    stage = Score(resources=Resources(**wants))
    with engine(Path(folder), workers=1, stall_warning_s=0.5, **config) as (ray, events):
        work = Pass(Plan(source=Rows(), stages=(Sift(), stage)), events=events)

        def on_progress(progress: PassProgress) -> None:
            if progress.waiting_for and progress.waiting_for.startswith(stage.name):
                said.append(progress.waiting_for)
                if not config:
                    work.cancel.set()

        work.on_progress = on_progress
        try:
            ray.run(work)
        except RaypipeError as error:
            return {"said": said[-1] if said else "", "error": type(error).__name__, "text": str(error)}
    return {"said": said, "error": "none", "text": ""}


def place_by_label(folder: str) -> dict[str, Any]:
    """A run whose model wants nodes of one label; tells that node, and where the workers of each pool came up."""
    nodes().become(1)
    wanted = nodes().add(1, labels={"market": "spot"})
    log = Path(folder) / "events.jsonl"
    with engine(Path(folder), workers=1) as (ray, events):
        stage = Score(resources=Resources(cpus=0.5, labels={"market": "spot"}))
        ray.run(Pass(Plan(source=Rows(resources=Resources(cpus=0.5)), stages=(stage,)), events=events))
    told = [json.loads(line) for line in log.read_text().splitlines()]
    return {"wanted": wanted, "up": [[one["pool"], one["node"]] for one in told if one["event"] == "worker_up"]}


def wait_for_room(folder: str) -> dict[str, Any]:
    """A run on a cluster whose only CPU somebody else has, until it is told so."""
    nodes().become(1)
    said: list[str] = []
    with engine(Path(folder), workers=1, stall_warning_s=0.5) as (ray, events):
        others = [ray.session.ray.remote(num_cpus=1)(Busy).remote()]
        ray.session.ray.get(others[0].hold.remote())

        def on_progress(progress: PassProgress) -> None:
            if progress.waiting_for:
                said.append(progress.waiting_for)
                others.clear()

        plan = Plan(source=Rows(), stages=(Digest(column="x"),))
        made = ray.run(Pass(plan, on_progress=on_progress, events=events))
    return {"said": said[0], "rows_out": made.rows_out}


class Busy:
    """An actor of somebody else."""

    def hold(self) -> bool:
        """Answers once it has its place."""
        return True


def endure(folder: str, kills: list[tuple[float, str, float]], count: int, source: dict[str, Any]) -> dict[str, Any]:
    """A run on `count` nodes from which workers and nodes are taken away: (seconds after the start, what, which)."""
    nodes().become(*[2] * count)
    place = Path(folder)
    over = threading.Event()
    done: list[dict[str, Any]] = []
    begun = time.monotonic()

    def kill_all() -> None:
        for at_s, what, share in kills:
            if over.wait(max(0.0, begun + at_s - time.monotonic())):
                done.append({"what": what, "at_s": at_s, "hit": False})
            else:
                done.append({"what": what, "at_s": at_s, "hit": take_away(what, share)})

    killer = threading.Thread(target=kill_all, daemon=True)
    with engine(place, workers=2) as (ray, events):
        killer.start()
        made = do(ray, Work(place, source=source, cpus=0.5), events=events)
        over.set()
        killer.join(60.0)
    return answer(made, kills=done)


def take_away(what: str, share: float) -> bool:
    """Kill a worker, or a node in whose place another one comes; `share`, from 0 to 1, says which."""
    if what == "node":
        nodes().kill(nodes().ids[int(share * len(nodes().ids))])
        nodes().add(2)
        return True
    workers = worker_pids()
    if not workers:
        return False
    os.kill(workers[int(share * len(workers))], signal.SIGKILL)
    return True


def cut_the_cable(kind: str, folder: str, far: str, end: str, ip: str) -> dict[str, Any]:
    """Pull the cable to the only node while it works; another node comes, and the first one stays cut off."""
    place = Path(folder)
    nodes().become()
    start_beyond(nodes().address, far, ip)
    work = Work(place, kind, Trap(folder=place, at=312, does="wait"), cpus=0.5)
    cut_at: list[float] = []

    def cut(pid: int, node_id: str) -> None:
        subprocess.run(["ip", "-n", far, "link", "set", end, "down"], check=True)
        cut_at.append(time.monotonic())
        nodes().add(2)

    with engine(place, workers=1) as (ray, events), once_sprung(place, cut):
        made = do(ray, work, events=events)
    return answer(made, noticed_s=round(time.monotonic() - cut_at[0], 1))


def start_beyond(address: str, namespace: str, ip: str) -> None:
    """A node of two CPUs in another network namespace."""
    command = [
        "ip", "netns", "exec", namespace, sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}",
        f"--node-ip-address={ip}", "--num-cpus=2", f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats",
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
    ray_nodes = RayEngine(EngineConfig(address=address)).session.ray.nodes
    until = time.monotonic() + 60
    while sum(node["Alive"] for node in ray_nodes()) < 2:
        if time.monotonic() > until:
            raise TimeoutError("the node beyond the cable did not come up")
        time.sleep(0.2)


def give_address(cpus: int) -> str:
    """A cluster with one worker node, for others to use."""
    nodes().become(cpus)
    return nodes().address


def lose_the_head() -> None:
    """Kill the head of the cluster; its nodes are left."""
    nodes().kill_head()


def worker_pids() -> list[int]:
    """Processes of workers of raypipe on the nodes of this cluster."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "ray::WorkerCore" in " ".join(process.cmdline()):
                found.append(process.pid)
    return sorted(found)
