"""Random graphs of tasks, and what watches them run."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from raypipe import RetryPolicy, SchedulerConfig
from raypipe.config import Resources

HERE = SchedulerConfig(where="driver", retry=RetryPolicy(attempts=1))


def here(**changes: Any) -> SchedulerConfig:
    """Threads of this process, one try each, with `changes`."""
    return HERE.replace(**changes)


Graph = dict[str, list[str]]


@st.composite
def graphs(draw: st.DrawFn, largest: int = 12) -> Graph:
    """Task -> those that it depends on, added in an order that has nothing to do with that."""
    count = draw(st.integers(1, largest))
    rows = [draw(st.lists(st.integers(0, n - 1), unique=True, max_size=4)) if n else [] for n in range(count)]
    found = {f"t{n}": [f"t{needed}" for needed in row] for n, row in enumerate(rows)}
    return {name: found[name] for name in draw(st.permutations(sorted(found)))}


def descendants(graph: Graph, roots: set[str]) -> set[str]:
    """Tasks that wait for one of `roots`, over however many others."""
    found: set[str] = set()
    while True:
        more = {name for name, needed in graph.items() if (set(needed) & (roots | found))} - found
        if not more:
            return found
        found |= more


class Watch:
    """What runs at the moment, and the most of each resource that did."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        self.ended: list[str] = []
        self.begun: list[str] = []
        self.now = {"cpus": 0.0, "gpus": 0.0, "memory_gib": 0.0}
        self.peak = dict(self.now)
        self.early: list[str] = []

    def task(self, name: str, needed: list[str], resources: Resources, fails: bool = False) -> Callable[..., int]:
        def work(*values: int) -> int:
            with self.lock:
                self.calls[name] += 1
                self.begun.append(name)
                self.early += [f"{name} before {one}" for one in needed if one not in self.ended]
                for kind in self.now:
                    self.now[kind] += getattr(resources, kind) or 0.0
                    self.peak[kind] = max(self.peak[kind], self.now[kind])
            time.sleep(0.001)
            with self.lock:
                for kind in self.now:
                    self.now[kind] -= getattr(resources, kind) or 0.0
                self.ended.append(name)
            if fails:
                raise ValueError(name)
            return 1 + sum(values)

        return work


def never() -> None:
    """A task that must not start."""
    raise AssertionError("nothing may start")
