"""What a task is, what became of it, and tasks outside of a graph whose failure is only a warning."""

from __future__ import annotations

import difflib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeVar

from raypipe.config import Resources
from raypipe.engine.faults import is_fault, say
from raypipe.engine.retry import RetryPolicy
from raypipe.errors import RaypipeError, RunCancelledError

logger = logging.getLogger(__name__)
T = TypeVar("T")

Where = Literal["cluster", "driver", "caller"]
"""cluster: a task of Ray. driver: a thread of this process. caller: the thread that called `execute_dag`."""

_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


def stop_requested() -> bool:
    """Whether the task that asks is to end: past its time limit, or cancelled.

    A thread cannot be ended from outside, so a task that runs long in one should ask now and then, and return. A task
    on the cluster is ended by force, and never gets to see True.
    """
    event = _stop.get()
    return event is not None and event.is_set()


@dataclass(frozen=True)
class Task:
    """One step of a graph, described but not yet run."""

    name: str
    fn: Callable[..., Any]
    dependencies: tuple[str, ...] = ()
    """Tasks whose values `fn` gets, in this order, before `args`."""
    after: tuple[str, ...] = ()
    """Tasks to wait for without getting their values."""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    priority: float = 0
    retry: RetryPolicy | None = None
    """None: the policy of the scheduler."""
    time_limit_s: float | None = None
    where: Where | None = None
    """None: where the scheduler runs tasks."""
    always: bool = False
    takes_values: bool = True
    """False for a function without parameters: it only waits."""

    @property
    def waits_for(self) -> tuple[str, ...]:
        """All tasks that must have ended before this one starts, each once."""
        return tuple(dict.fromkeys((*self.dependencies, *self.after)))


class TaskStatus(StrEnum):
    """Where a task stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to the task."""
        return self not in (TaskStatus.WAITING, TaskStatus.RUNNING)

    @property
    def is_bad(self) -> bool:
        """Whether the task ended without a value."""
        return self.is_final and self is not TaskStatus.DONE


@dataclass(frozen=True)
class TaskResult:
    """What became of a task. Times are seconds of a clock that never jumps."""

    name: str
    status: TaskStatus = TaskStatus.WAITING
    value: Any = None
    """What the function returned; None unless `status` is done."""
    error: str = ""
    """Why there is no value."""
    attempts: int = 0
    """How often the function was called."""
    waited_s: float = 0.0
    """From the moment when all that it waits for had ended, to its first start."""
    seconds: float = 0.0
    """Spent in the function, over all tries, without the pauses between them."""
    started_s: float | None = None
    """First start, since `execute_dag` began; None if it never started."""
    ended_s: float | None = None
    """End, since `execute_dag` began."""
    where: Where | None = None
    resumed: bool = False
    """The value was kept by an earlier run."""

    @property
    def is_done(self) -> bool:
        """Whether there is a value."""
        return self.status is TaskStatus.DONE

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the value itself."""
        return {
            "name": self.name,
            "status": self.status.value,
            "error": self.error,
            "attempts": self.attempts,
            "waited_s": round(self.waited_s, 4),
            "seconds": round(self.seconds, 4),
            "started_s": None if self.started_s is None else round(self.started_s, 4),
            "ended_s": None if self.ended_s is None else round(self.ended_s, 4),
            "where": self.where,
            "resumed": self.resumed,
        }


class TaskResults(Mapping[str, TaskResult]):
    """Name -> `TaskResult`, in the order in which the tasks were added."""

    def __init__(self, who: str, results: Mapping[str, TaskResult]) -> None:
        self._who = who
        self._results = dict(results)

    def __getitem__(self, name: str) -> TaskResult:
        try:
            return self._results[name]
        except KeyError:
            raise KeyError(f"{self._who}: there is no task {name!r}{nearest(name, self._results)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return f"TaskResults({self._who!r}, { ({name: str(one.status) for name, one in self._results.items()}) })"

    @property
    def failed(self) -> tuple[TaskResult, ...]:
        """Those that ended without a value: failed, timed out, skipped or cancelled."""
        return tuple(result for result in self._results.values() if result.status.is_bad)

    def check(self) -> TaskResults:
        """These results, if every task is done.

        Raises
        ------
        RaypipeError
            Names the tasks without a value, and says why there is none.
        """
        bad = self.failed
        if bad:
            causes = [one for one in bad if one.status is not TaskStatus.SKIPPED] or list(bad)
            shown = "; ".join(f"{shown_name(one.name)} {one.status.value}: {one.error}" for one in causes[:5])
            raise RaypipeError(f"{self._who}: {len(bad)} of {len(self)} tasks have no result. {shown}")
        return self


@dataclass
class Attempts:
    """Runs tasks one after the other, and keeps what failed."""

    warnings: list[str] = field(default_factory=list)

    def attempt(self, name: str, task: Callable[[], T]) -> T | None:
        """The task's result; None if it raised, with a warning that says why."""
        try:
            return task()
        except RunCancelledError:
            raise
        except BaseException as error:
            if not is_fault(error):
                raise
            logger.warning("%s failed", name, exc_info=True)
            self.warnings.append(not_available(name, say(error)))
            return None


def not_available(name: str, why: str) -> str:
    """The warning of a task that failed."""
    return f"{name} is not available: {why}"


def shown_name(name: str) -> str:
    """A name in quotes, on one line whatever it holds."""
    return repr(name if len(name) <= 60 else name[:60] + "…")


def nearest(name: str, names: Mapping[str, Any]) -> str:
    """A hint at the name that was meant, or nothing."""
    close = difflib.get_close_matches(name, names, n=1)
    return f". Did you mean {shown_name(close[0])}?" if close else ""
