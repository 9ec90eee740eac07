"""What the machine or the cluster below an engine has, and whether a worker's wishes can ever be met by it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raypipe.config import Resources
from raypipe.engine.memory import free_memory
from raypipe.engine.run import Engine
from raypipe.engine.session import Session

GIB = 1 << 30


@dataclass(frozen=True)
class Node:
    """One machine of a cluster, or this one."""

    cpus: float
    gpus: float
    memory_bytes: int
    """What Ray hands out on it."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Supply:
    """All that an engine can draw on now."""

    where: str
    """The engine's own words for it."""
    nodes: tuple[Node, ...]
    store_bytes: int | None
    """Object store, together; None where there is none."""
    free_bytes: int | None
    """Memory left on this machine; None where workers run elsewhere."""
    private: bool
    """Whether the Ray is our own, where workers reserve next to nothing."""

    @property
    def cpus(self) -> float:
        """Of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """Of all nodes."""
        return sum(node.gpus for node in self.nodes)

    @classmethod
    def of(cls, engine: Engine) -> Supply:
        """The supply of an engine; for Ray, of the session that `layout()` has opened."""
        session = getattr(engine, "session", None)
        if session is None:
            own = Node(float(len(os.sched_getaffinity(0))), 0.0, free_memory())
            return cls(engine.describe(), (own,), None, free_memory(), True)
        return cls.of_session(session)

    @classmethod
    def of_session(cls, session: Session) -> Supply:
        """The supply of the nodes that a session has now."""
        nodes = tuple(_node(node) for node in session.ray.nodes() if node.get("Alive"))
        free = free_memory() if session.private else None
        return cls(session.describe(), nodes, session.store_bytes, free, session.private)

    def places(self, wanted: Resources) -> int:
        """How many workers that reserve this could be up at the same time, on the nodes that are there now."""
        return sum(_places(node, wanted) for node in self.nodes)

    def lack(self, wanted: Resources) -> str | None:
        """Why no node could ever hold such a worker, as the nodes are now; None where one could."""
        if self.places(wanted):
            return None
        wishes = said(wanted)
        labelled = [node for node in self.nodes if _has_labels(node, wanted)]
        if not labelled:
            return f"no node has the labels {_labels(wanted)}"
        if wanted.gpus and not any(node.gpus for node in labelled):
            return f"it wants {wanted.gpus:g} GPU, and there is none"
        largest = max(labelled, key=lambda node: (node.gpus, node.cpus, node.memory_bytes))
        return f"it wants {wishes}, and the largest node has {_said_of(largest)}"


def said(wanted: Resources) -> str:
    """What one worker reserves, in words."""
    parts = [f"{wanted.cpus:g} CPU"] if wanted.cpus else []
    parts += [f"{wanted.gpus:g} GPU"] if wanted.gpus else []
    parts += [f"{wanted.memory_gib:g} GiB"] if wanted.memory_gib else []
    parts += [f"label {_labels(wanted)}"] if wanted.labels else []
    return ", ".join(parts) or "nothing"


def _labels(wanted: Resources) -> str:
    return ", ".join(f"{name}={value}" for name, value in wanted.labels)


def _said_of(node: Node) -> str:
    gpus = f", {node.gpus:g} GPU" if node.gpus else ""
    return f"{node.cpus:g} CPU{gpus}, {node.memory_bytes / GIB:.1f} GiB"


def _node(found: Mapping[str, Any]) -> Node:
    has = found.get("Resources", {})
    return Node(
        cpus=float(has.get("CPU", 0.0)),
        gpus=float(has.get("GPU", 0.0)),
        memory_bytes=int(has.get("memory", 0)),
        labels={str(name): str(value) for name, value in (found.get("Labels") or {}).items()},
    )


def _has_labels(node: Node, wanted: Resources) -> bool:
    return all(node.labels.get(name) == value for name, value in wanted.labels)


def _places(node: Node, wanted: Resources) -> int:
    if not _has_labels(node, wanted):
        return 0
    has: Sequence[tuple[float, float]] = (
        (node.cpus, wanted.cpus),
        (node.gpus, wanted.gpus),
        (node.memory_bytes, (wanted.memory_gib or 0.0) * GIB),
    )
    rooms = [int(have / want + 1e-9) for have, want in has if want]
    return min(rooms, default=1_000_000)
