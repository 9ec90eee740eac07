"""Several Ray nodes on this machine, added and taken away while runs work on them. For child processes only."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

from raypipe.engine.session import close_session

STORE_BYTES = 128 << 20
START_S = 60.0
TRIES = 3


class Nodes:
    """A head without CPUs, to which the driver is connected, and worker nodes that come and go."""

    def __init__(self) -> None:
        self._place = {"node_ip_address": os.environ["FAULTS_NODE_IP"]} if "FAULTS_NODE_IP" in os.environ else {}
        args = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False, **self._place}
        # No hooks of Ray at exit: they want the main thread, and the guard ends what is left.
        self._cluster = Cluster(initialize_head=True, head_node_args=args, shutdown_at_exit=False)
        self._up: list[Any] = []
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where a run connects to."""
        return str(self._cluster.address)

    def become(self, *cpus: int, **options: Any) -> None:
        """Have exactly one worker node for each number of CPUs; those that fit stay as they are."""
        wanted = list(cpus)
        for node in list(self._up):
            if not options and node.cpus in wanted:
                wanted.remove(node.cpus)
            else:
                self._remove(node)
        for count in wanted:
            self.add(count, **options)

    def add(self, cpus: int, **options: Any) -> str:
        """A further node; returns its id."""
        options = {"object_store_memory": STORE_BYTES, **options}
        node = self._started(num_cpus=cpus, **self._place, **options)
        node.cpus = -1 if options.keys() - {"object_store_memory"} else cpus
        self._up.append(node)
        return str(node.node_id)

    def _started(self, **options: Any) -> Any:
        """A node; Ray gives up after 30 seconds, which a machine with much to do may take."""
        for _ in range(TRIES):
            try:
                return self._cluster.add_node(**options)
            except Exception as error:
                if "timed out during startup" not in str(error):
                    raise
        raise TimeoutError(f"a node of Ray did not start in {TRIES} tries")

    def kill(self, node_id: str) -> None:
        """SIGKILL for all processes of a node."""
        node = next(node for node in self._up if node.node_id == node_id)
        self._remove(node)

    def kill_all(self) -> None:
        """SIGKILL for all worker nodes."""
        for node in list(self._up):
            self._remove(node)

    def kill_head(self) -> None:
        """SIGKILL for the head, on which the cluster depends."""
        self._cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)

    @property
    def ids(self) -> list[str]:
        """Ids of the worker nodes."""
        return [node.node_id for node in self._up]

    def _remove(self, node: Any) -> None:
        with self._lock:
            self._up.remove(node)
            self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        """End all nodes."""
        close_session()
        self._cluster.shutdown()


@contextlib.contextmanager
def once_sprung(folder: Path, act: Callable[[int, str], None]) -> Iterator[None]:
    """While the block runs: `act(pid, node id)` as soon as a trap in `folder` went off, and then let it go."""
    over, failed = threading.Event(), []

    def watch() -> None:
        mark = folder / "sprung-0"
        while not over.is_set():
            said = mark.read_text().split() if mark.exists() else []
            if len(said) == 2:
                try:
                    act(int(said[0]), said[1])
                except BaseException as error:  # noqa: BLE001 - raised again below
                    traceback.print_exc()  # the run may wait for what was to be done, until its time is up
                    failed.append(error)
                (folder / "go").touch()
                return
            time.sleep(0.02)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(START_S)
    if failed:
        raise failed[0]
    assert (folder / "go").exists(), "the trap never went off"
