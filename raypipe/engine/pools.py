"""Pools of workers as the driver sees them: who is up, who is busy, what waits."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raypipe.engine.chain import ChainSpec
from raypipe.engine.faults import say
from raypipe.engine.layout import IN_FLIGHT, Group
from raypipe.engine.scaling import PoolLoad
from raypipe.engine.session import Session
from raypipe.errors import ConfigError

GIB = 1 << 30
INLINE_SPEC_BYTES = 64 << 10
"""A larger spec is put into the object store once, since an argument would be put there by every call."""


@dataclass
class Call:
    """A bundle on its way through a pool."""

    group: int
    worker: int
    bundle: int
    blocks: Any | None
    """Reference to the blocks that it makes, where they are wanted."""
    inputs: Any | None
    """Reference to the blocks that it takes; held so that a lost call can be run again."""
    expected: int = 0
    """Bytes set apart for the blocks that it makes."""
    actor: Any = None
    """Ray's id of the worker."""


@dataclass
class Worker:
    """One actor, as the driver sees it."""

    handle: Any
    asked_at: float
    """When it was asked for; all times are of the monotonic clock."""
    pid: int | None = None
    rss_bytes: int = 0
    """Resident memory at the end of its last call."""
    """None until it has answered; it gets no work before."""
    node: str = ""
    load: int = 0
    """Calls in flight."""
    since: float = 0.0
    """When it began the call that it works on, or was left with nothing to do."""


@dataclass
class Pool:
    """Workers that run one group of fused stages."""

    group: Group
    number: int
    name: str
    """Its stages, as errors and the stall detector call it."""
    key: str
    spec: Any
    """The pickled `ChainSpec`, or a reference to it."""
    minimum: int
    maximum: int
    workers: dict[int, Worker] = field(default_factory=dict)
    """By a number that is given once."""
    queue: deque[tuple[int, Any | None]] = field(default_factory=deque)
    """Bundles that wait, with the reference to their blocks."""
    queued_bytes: int = 0
    bundles_made: int = 0
    bytes_made: int = 0
    bundles_done: int = 0
    seconds: float = 0.0
    """Of work for all of `bundles_done`."""
    hired: int = 0

    def hire(self, handles: Iterable[Any]) -> list[int]:
        """Take workers on; they get work once they are welcomed."""
        numbers = []
        for handle in handles:
            self.workers[self.hired] = Worker(handle, time.monotonic())
            numbers.append(self.hired)
            self.hired += 1
        return numbers

    def welcome(self, number: int, pid: int, node: str) -> float:
        """The worker is up; returns the seconds that this took."""
        worker = self.workers[number]
        worker.pid, worker.node, worker.since = pid, node, time.monotonic()
        return worker.since - worker.asked_at

    def free_worker(self, to_come: int) -> int | None:
        """The worker that is up and has the least to do, unless all have enough.

        A worker gets a second call only while there is more work than workers, those on their way included: towards
        the end it would wait there while another worker has nothing to do.
        """
        most = IN_FLIGHT if len(self.queue) + to_come > len(self.workers) else 1
        free = (number for number, worker in self.workers.items() if worker.pid is not None and worker.load < most)
        return min(free, key=lambda number: self.workers[number].load, default=None)

    def idle_workers(self) -> list[int]:
        """Workers that are up and have nothing to do, the longest idle first."""
        idle = [number for number, worker in self.workers.items() if worker.pid is not None and not worker.load]
        return sorted(idle, key=lambda number: self.workers[number].since)

    def begin(self, number: int) -> None:
        """A call was sent to a worker."""
        worker = self.workers[number]
        if not worker.load:
            worker.since = time.monotonic()
        worker.load += 1

    def end(self, number: int) -> None:
        """A call of a worker has ended."""
        worker = self.workers.get(number)
        if worker is not None:
            worker.load -= 1
            worker.since = time.monotonic()

    def stuck_worker(self, timeout_s: float) -> int | None:
        """A worker that has worked on one call for longer than that."""
        now = time.monotonic()
        for number, worker in self.workers.items():
            if worker.load and now - worker.since > timeout_s:
                return number
        return None

    def load(self, to_come: int, blocked: bool) -> PoolLoad:
        """What it has to do, for the decision how many workers it should have."""
        idle = self.idle_workers()
        up = sum(worker.pid is not None for worker in self.workers.values())
        return PoolLoad(
            self.minimum, self.maximum, up, len(self.workers) - up, up - len(idle),
            sum(worker.load for worker in self.workers.values()), len(self.queue), to_come, blocked,
            self.seconds / self.bundles_done if self.bundles_done else None,
            time.monotonic() - self.workers[idle[0]].since if idle else 0.0,
        )  # fmt: skip

    def note(self, size: int) -> None:
        """A bundle of `size` bytes came out."""
        self.bundles_made += 1
        self.bytes_made += size

    def expected_bytes(self, planned: int) -> int:
        """What the next bundle will take: the mean so far, or what was planned before the first one."""
        return self.bytes_made // self.bundles_made if self.bundles_made else planned

    def longest_wait(self) -> float | None:
        """Seconds that it has waited for its first worker; None where it has one, or asked for none."""
        if not self.workers or any(worker.pid is not None for worker in self.workers.values()):
            return None
        return time.monotonic() - min(worker.asked_at for worker in self.workers.values())

    def _wants(self) -> dict[str, float]:
        wants = self.group.resources
        asked = {"CPU": wants.cpus, "GPU": wants.gpus, "memory": (wants.memory_gib or 0.0) * GIB}
        return {name: amount for name, amount in asked.items() if amount or name == "CPU"}

    def why_it_waits(self, still_s: float, free: Mapping[str, float], lack: str | None) -> str:
        """What workers that are not up want, beside what Ray has left, and what to change.

        Parameters
        ----------
        free : mapping
            Resource -> amount that the cluster has left.
        lack : str or None
            Why no node could ever hold such a worker, as the nodes are now.
        """
        wants = self._wants()
        silent = sum(worker.pid is None for worker in self.workers.values())
        labels = "".join(f" on a node with {name}={value}" for name, value in self.group.resources.labels)
        if lack:
            advice = f"{lack}: add such a node, or change `resources` of the stage"
        elif all(free.get(name, 0.0) >= amount for name, amount in wants.items()):
            advice = "their processes are starting"
        else:
            advice = "wait for other work to end, add nodes, or lower engine.max_workers"
        return (
            f"{self.name}: {silent} of {len(self.workers)} workers have not started for {still_s:.0f} s; each wants "
            f"{_amounts(wants, wants)}{labels}, and {_amounts(wants, free)} are free; {advice}"
        )


def _amounts(names: Iterable[str], amounts: Mapping[str, float]) -> str:
    units = {"memory": ("GiB", GIB)}
    told = [(amounts.get(name, 0.0), *units.get(name, (name, 1))) for name in names]
    return " and ".join(f"{round(amount / size, 2):g} {unit}" for amount, unit, size in told)


def new_pool(session: Session, number: int, group: Group, spec: ChainSpec, bundles: int) -> Pool:
    """A pool without workers, for so many bundles.

    Raises
    ------
    ConfigError
        If a stage cannot be sent to another process.
    """
    read = spec.source.name if spec.source is not None else ""
    name = " > ".join(group.names) or read
    try:
        packed: bytes = session.ray.cloudpickle.dumps(spec)
    except Exception as error:
        raise ConfigError(
            f"{name}: cannot be sent to a worker: {say(error)}. A stage holds settings only; open files, locks and "
            "connections in its open()"
        ) from error
    key = hashlib.blake2b(packed, digest_size=16).hexdigest()
    sent = packed if len(packed) <= INLINE_SPEC_BYTES else session.ray.put(packed)
    most = min(bundles, group.max_workers or bundles)
    return Pool(group, number, name, key, sent, min(group.min_workers, most), most)
