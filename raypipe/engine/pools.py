"""Pools of workers as the driver sees them: who is up, who is busy, what waits."""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from raypipe.engine.chain import ChainSpec
from raypipe.engine.faults import say
from raypipe.engine.layout import IN_FLIGHT, Group
from raypipe.engine.session import Session
from raypipe.errors import ConfigError

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


@dataclass
class Pool:
    """Workers that run one group of fused stages."""

    group: Group
    name: str
    """Its stages, as errors and the stall detector call it."""
    key: str
    spec: Any
    """The pickled `ChainSpec`, or a reference to it."""
    workers: list[Any] = field(default_factory=list)
    load: list[int] = field(default_factory=list)
    """Calls in flight, by worker."""
    pids: dict[int, int] = field(default_factory=dict)
    """Process of each worker that is up; the others get no work yet."""
    queue: deque[tuple[int, Any | None]] = field(default_factory=deque)
    """Bundles that wait, with the reference to their blocks."""
    bundles_made: int = 0
    bytes_made: int = 0

    def free_worker(self) -> int | None:
        """The worker that is up and has the least to do, unless all have enough."""
        free = (index for index in self.pids if self.load[index] < IN_FLIGHT)
        return min(free, key=self.load.__getitem__, default=None)

    def note(self, size: int) -> None:
        """A bundle of `size` bytes came out."""
        self.bundles_made += 1
        self.bytes_made += size

    def expected_bytes(self, planned: int) -> int:
        """What the next bundle will take: the mean so far, or what was planned before the first one."""
        return self.bytes_made // self.bundles_made if self.bundles_made else planned

    def why_it_waits(self, still_s: float, free: Mapping[str, float]) -> str:
        """What workers that are not up want, beside what Ray has left."""
        wants, silent = self.group.resources, len(self.workers) - len(self.pids)
        wanted = f"{wants.cpus:g} CPU and {wants.gpus:g} GPU"
        left = f"{free.get('CPU', 0.0):g} CPU and {free.get('GPU', 0.0):g} GPU"
        if wants.memory_gib:
            wanted += f" and {wants.memory_gib:g} GiB"
            left += f" and {free.get('memory', 0.0) / (1 << 30):.1f} GiB"
        return (
            f"{self.name}: {silent} of {len(self.workers)} workers have not started for {still_s:.0f} s; each wants "
            f"{wanted}, and {left} are free"
        )


def new_pool(session: Session, group: Group, spec: ChainSpec) -> Pool:
    """A pool without workers.

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
    return Pool(group, name, key, packed if len(packed) <= INLINE_SPEC_BYTES else session.ray.put(packed))


def await_end(pids: Iterable[int], timeout_s: float) -> None:
    """Wait until processes of this machine are gone, so that nothing is written behind our back."""
    left = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.append(psutil.Process(pid))
    psutil.wait_procs(left, timeout=timeout_s)
