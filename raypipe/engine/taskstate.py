"""What an execution of tasks starts from, where each task stands, and how that is put into words."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raypipe.engine.events import EventLog
from raypipe.engine.places import Call, ClusterPlace, Ledger
from raypipe.engine.retry import RetryPolicy
from raypipe.engine.tasks import Task, TaskResult, TaskStatus, Where, shown_name
from raypipe.engine.taskstore import TaskStore


@dataclass
class Setting:
    """What an execution needs besides its tasks."""

    name: str
    retry: RetryPolicy
    task_limit_s: float | None
    time_limit_s: float | None
    stall_warning_s: float
    events: EventLog
    cancel: threading.Event
    store: TaskStore | None
    places: Mapping[str, Where]
    """Task -> where it runs."""
    here: Ledger
    there: Ledger
    cluster: ClusterPlace | None


@dataclass(eq=False)
class State:
    """A task and where it stands; times by the monotonic clock."""

    task: Task
    where: Where
    place: int
    """In the order of adding."""
    missing: int
    """Tasks that it still waits for."""
    status: TaskStatus = TaskStatus.WAITING
    value: Any = None
    error: str = ""
    attempts: int = 0
    seconds: float = 0.0
    ready: float | None = None
    started: float | None = None
    ended: float | None = None
    resumed: bool = False
    call: Call | None = None
    key: bytes | None = None
    """Fingerprint of the call, where its result can be kept."""
    digest: bytes | None = None
    """Stands for the value in the fingerprints of those that get it."""

    @property
    def rank(self) -> tuple[float, int]:
        """Sorts ready tasks: higher priority first, then the order of adding."""
        return (-self.task.priority, self.place)

    def result(self, origin: float) -> TaskResult:
        """As it is told."""
        until = self.started or self.ended
        return TaskResult(
            name=self.task.name,
            status=self.status,
            value=self.value if self.status is TaskStatus.DONE else None,
            error=self.error,
            attempts=self.attempts,
            waited_s=max(0.0, until - self.ready) if until and self.ready else 0.0,
            seconds=self.seconds,
            started_s=None if self.started is None else self.started - origin,
            ended_s=None if self.ended is None else self.ended - origin,
            where=self.where,
            resumed=self.resumed,
        )


def why_skipped(ended: State) -> str:
    """Names the task at the root, also for those further down."""
    if ended.status is TaskStatus.SKIPPED:
        return ended.error
    words = {TaskStatus.FAILED: "failed", TaskStatus.TIMED_OUT: "ran past its time limit"}
    return f"{shown_name(ended.task.name)} {words.get(ended.status, 'was cancelled')}"


def why_no_place(task: Task, still_s: float, free: Mapping[str, float]) -> str:
    """Which resource a task on the cluster waits for, for how long, and what to change."""
    wanted = task.resources
    asked = {"CPU": wanted.cpus, "GPU": wanted.gpus, "memory": (wanted.memory_gib or 0.0) * (1 << 30)}
    short = [name for name, amount in asked.items() if amount > free.get(name, 0.0)]
    texts = []
    for name in short:
        size = (1 << 30) if name == "memory" else 1
        unit = "GiB of memory" if name == "memory" else name
        texts.append(f"{asked[name] / size:g} {unit} ({free.get(name, 0.0) / size:g} free)")
    for label, value in wanted.labels:
        texts.append(f"a node with {label}={value}")
    what = ", ".join(texts) or "a worker that starts"
    return (
        f"task {shown_name(task.name)} has waited {still_s:.0f} s for {what}. Add nodes, end what holds it, or ask for "
        "less in resources="
    )
