"""`TaskScheduler`: functions with dependencies, run in parallel, each with its resources, retries and time limit."""

from __future__ import annotations

import inspect
import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import psutil
from pydantic import PositiveFloat

from raypipe.config import Frozen, Resources
from raypipe.engine import session as sessions
from raypipe.engine.dag import TaskGraph, TaskNode, checked_order, levels_of
from raypipe.engine.drawing import draw
from raypipe.engine.events import EventLog
from raypipe.engine.execution import Execution
from raypipe.engine.journal import resume_key
from raypipe.engine.places import ClusterPlace, Ledger
from raypipe.engine.rayframe import is_live
from raypipe.engine.retry import RetryPolicy
from raypipe.engine.tasks import Task, TaskResult, TaskResults, Where, shown_name
from raypipe.engine.taskstate import Setting
from raypipe.engine.taskstore import TaskStore
from raypipe.errors import ConfigError

logger = logging.getLogger(__name__)


class SchedulerConfig(Frozen):
    """Where tasks run, what they may take together, and when they are given up."""

    where: Literal["auto", "cluster", "driver"] = "auto"
    """cluster: remote tasks of Ray. driver: threads of this process. auto: the cluster where this process is connected
    to one, or `address` names one, else the driver."""
    address: str | None = None
    """Ray cluster to connect to; None uses the one that this process has, or starts a private one."""
    capacity: Resources | None = None
    """What all tasks together may reserve at any time. None: the CPUs and memory of this machine, or of a private Ray;
    on a cluster Ray decides, so that an autoscaler sees what is wanted."""
    retry: RetryPolicy = RetryPolicy()
    """For tasks without a policy of their own."""
    task_limit_s: PositiveFloat | None = None
    """For tasks without a time limit of their own, from the moment when their function is entered."""
    time_limit_s: PositiveFloat | None = None
    """For all tasks together."""
    resume: Path | None = None
    """Folder that keeps results of finished tasks, so that the next execution need not compute them again."""
    stall_warning_s: PositiveFloat = 30.0
    """Say what a task on the cluster waits for after this long without news."""


class TaskScheduler:
    """Runs functions in the order of their dependencies, as many at once as there is room for.

    Parameters
    ----------
    name : str
        For messages and events.
    config : SchedulerConfig, optional
        Where tasks run, limits, retries, resume.
    events : EventLog, optional
        Gets an event for each start, end, retry and skip.
    cancel : threading.Event, optional
        Ends the execution when set, as `cancel()` does; Ctrl-C sets it too.

    Examples
    --------
    >>> tasks = TaskScheduler("shop")
    >>> tasks.add_task("orders", fn=lambda: [30, 12])
    >>> tasks.add_task("rate", fn=lambda: 0.19)
    >>> tasks.add_task("tax", fn=lambda orders, rate: sum(orders) * rate, dependencies=["orders", "rate"])
    >>> results = tasks.execute_dag()
    >>> results["tax"].value, results["tax"].status.value
    (7.98, 'done')
    """

    def __init__(
        self,
        name: str = "tasks",
        config: SchedulerConfig | None = None,
        *,
        events: EventLog | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self.name = name
        self.config = config or SchedulerConfig()
        self._events = events or EventLog()
        self._own_cancel = cancel is None
        self._cancel = cancel or threading.Event()
        self._executing = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._execution: Execution | None = None

    def add_task(  # noqa: PLR0913 - one flat call, as users know it; all but the first three go by name
        self,
        name: str,
        fn: Callable[..., Any],
        dependencies: Sequence[str] = (),
        *,
        after: Sequence[str] = (),
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        resources: Resources | None = None,
        priority: float = 0,
        retry: RetryPolicy | None = None,
        time_limit_s: float | None = None,
        where: Where | None = None,
        always: bool = False,
    ) -> None:
        """Add a function to run.

        Parameters
        ----------
        name : str
            Unique among the tasks.
        fn : callable
            Called as `fn(*values, *args, **kwargs)`, where `values` are those of `dependencies`, in that order. A
            function without parameters gets none: it only waits.
        dependencies : sequence of str
            Tasks that must be done first, and whose values `fn` gets. They may be added later.
        after : sequence of str
            Tasks that must be done first, and whose values `fn` does not get.
        args, kwargs : sequence, mapping
            Further arguments.
        resources : Resources, optional
            What it reserves while it runs; one CPU by default.
        priority : float
            Among tasks that may start, higher ones do first; one that finds no room holds back all below it.
        retry : RetryPolicy, optional
            Instead of that of the config.
        time_limit_s : float, optional
            Instead of that of the config; for each try.
        where : {"cluster", "driver", "caller"}, optional
            Instead of that of the config. caller: in the thread that calls `execute_dag`, one such task at a time.
        always : bool
            Run it whatever became of the tasks before it, also after a cancel; values that there are none of are None.

        Raises
        ------
        ConfigError
            If the name is taken, or `fn` cannot be called so.
        """
        who = f"{self.name}: task {shown_name(name)}" if isinstance(name, str) else f"{self.name}: task"
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{who}: got {name!r} as its name; wanted a text that is not empty")
        if name in self._tasks:
            raise ConfigError(f"{who}: a task of this name was added already; names are unique")
        if where is not None and where not in get_args(Where):
            raise ConfigError(f"{who}: where={where!r}; wanted one of {', '.join(get_args(Where))}")
        if where == "caller" and time_limit_s is not None:
            raise ConfigError(f'{who}: where="caller" cannot have a time limit, since nothing else runs in that thread')
        if time_limit_s is not None and not 0 < time_limit_s < math.inf:
            raise ConfigError(f"{who}: time_limit_s={time_limit_s!r}; wanted seconds above 0, or None for no limit")
        if not isinstance(priority, (int, float)) or math.isnan(priority):
            raise ConfigError(f"{who}: priority={priority!r}; wanted a number, higher ones start first")
        task = Task(
            name=name,
            fn=fn,
            dependencies=_names(who, "dependencies", dependencies),
            after=_names(who, "after", after),
            args=_listed(who, "args", args),
            kwargs=dict(kwargs or {}),
            resources=resources or Resources(),
            priority=priority,
            retry=retry,
            time_limit_s=time_limit_s,
            where=where,
            always=always,
            takes_values=_takes_values(who, fn, args, kwargs or {}),
        )
        _check_call(who, task)
        self._tasks[name] = task

    def execute_dag(self) -> TaskResults:
        """Run all tasks, and wait until each has ended.

        A task that fails does not end the others: those that wait for it are skipped, and its result says why. Call
        `check()` on the results to turn failures into an error.

        Returns
        -------
        TaskResults
            Name -> `TaskResult`.

        Raises
        ------
        ConfigError
            If tasks wait for each other in a circle or for one that was not added, or one asks for more than there
            is; nothing was started.
        RunCancelledError
            After `cancel()`; `results` has what was done until then.
        """
        if not self._executing.acquire(blocking=False):
            raise ConfigError(f"{self.name}: the tasks are being executed already; wait for the end, or cancel()")
        try:
            checked_order(self.name, self._tasks)
            self._execution = Execution(self._setting(), dict(self._tasks))
            self._execution.run()
            return self.results
        finally:
            if self._own_cancel:
                self._cancel.clear()
            self._executing.release()

    def cancel(self) -> None:
        """End the execution within seconds; from any thread, also before `execute_dag`, whose next call it ends."""
        self._cancel.set()

    @property
    def results(self) -> TaskResults:
        """What became of each task so far, also while they are executed."""
        known = self._execution.results() if self._execution else {}
        return TaskResults(self.name, {name: known.get(name) or TaskResult(name) for name in self._tasks})

    def graph(self) -> TaskGraph:
        """The tasks with what became of them so far, for drawing; ConfigError as for `execute_dag`."""
        order = checked_order(self.name, self._tasks)
        levels, results = levels_of(order, self._tasks), self.results
        nodes = (TaskNode(name, self._tasks[name].waits_for, levels[name], results[name]) for name in order)
        return TaskGraph(self.name, tuple(nodes))

    def draw(self) -> str:
        """The graph as text: a line a task, with its state and time, below those that it waits for."""
        return draw(self.graph())

    # ---- what an execution needs --------------------------------------------------------------------------------

    def _setting(self) -> Setting:
        """Everything that can be checked is, before anything starts."""
        config = self.config
        places = {name: task.where or self._default_place() for name, task in self._tasks.items()}
        session = _session(config.address) if "cluster" in places.values() else None
        here, there = _ledgers(config.capacity, session)
        for name, task in self._tasks.items():
            over = (there if places[name] == "cluster" else here).too_much(task.resources)
            if over:
                raise ConfigError(
                    f"{self.name}: task {shown_name(name)} asks for {over} that there are. Ask for less in "
                    "resources=, or say in SchedulerConfig(capacity=...) what there is"
                )
        return Setting(
            name=self.name,
            retry=config.retry,
            task_limit_s=config.task_limit_s,
            time_limit_s=config.time_limit_s,
            stall_warning_s=config.stall_warning_s,
            events=self._events,
            cancel=self._cancel,
            store=None if config.resume is None else TaskStore(config.resume.expanduser(), resume_key()),
            places=places,
            here=here,
            there=there,
            cluster=None if session is None else ClusterPlace(session),
        )

    def _default_place(self) -> Where:
        if self.config.where != "auto":
            return self.config.where
        return "cluster" if self.config.address is not None or ray_is_up() else "driver"


def _session(address: str | None) -> sessions.Session:
    """The session of this process, opened again where its Ray was shut down behind its back."""
    with sessions.session_lock:
        session = sessions.open_session(address)
        if not is_live(session):
            sessions.close_session()
            session = sessions.open_session(address)
        return session


def ray_is_up() -> bool:
    """Whether this process is connected to a Ray, ours or the user's."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _ledgers(capacity: Resources | None, session: sessions.Session | None) -> tuple[Ledger, Ledger]:
    """For this process and for the cluster; one for both where they share a machine, or a given capacity."""
    found = session.ray.cluster_resources() if session is not None else {}
    memory = max(float(psutil.virtual_memory().total), float(found.get("memory", 0.0)))
    if capacity is not None:
        given = memory if capacity.memory_gib is None else capacity.memory_gib * (1 << 30)
        both = Ledger({"CPU": capacity.cpus, "GPU": capacity.gpus, "memory": given})
        return both, both
    if session is not None and session.private:
        both = Ledger({name: float(found.get(name, 0.0)) for name in ("CPU", "GPU", "memory")})
        return both, both
    own = Ledger({"CPU": float(len(os.sched_getaffinity(0))), "memory": float(psutil.virtual_memory().total)})
    return own, Ledger(None)


def _listed(who: str, what: str, given: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise ConfigError(f"{who}: {what}={given!r}; wanted a list: {what}=[{given!r}]")
    return tuple(given)


def _names(who: str, what: str, given: Iterable[Any]) -> tuple[str, ...]:
    names = _listed(who, what, given)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise ConfigError(f"{who}: {what} holds {wrong[0]!r}; wanted names of tasks")
    return names


def _takes_values(who: str, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    if not callable(fn):
        raise ConfigError(f"{who}: fn={fn!r}; wanted a function (without calling it: fn=load, not fn=load())")
    if inspect.iscoroutinefunction(fn):
        raise ConfigError(f"{who}: fn is async; wrap it: fn=lambda: asyncio.run({getattr(fn, '__name__', 'main')}())")
    try:
        return bool(inspect.signature(fn).parameters) or bool(args) or bool(kwargs)
    except (ValueError, TypeError):  # some functions written in C do not tell
        return True


def _check_call(who: str, task: Task) -> None:
    """Raise ConfigError if the function cannot take what it will get."""
    try:
        signature = inspect.signature(task.fn)
    except (ValueError, TypeError):
        return
    values = [None] * len(task.dependencies) if task.takes_values else []
    try:
        signature.bind(*values, *task.args, **task.kwargs)
    except TypeError as error:
        function = f"{getattr(task.fn, '__name__', type(task.fn).__name__)}{signature}"
        gets = ", ".join([f"the value of {shown_name(one)}" for one in task.dependencies] if values else [])
        given = [gets] if gets else []
        given += [f"args of {len(task.args)}"] if task.args else []
        given += [f"kwargs {', '.join(task.kwargs)}"] if task.kwargs else []
        raise ConfigError(
            f"{who}: {function} cannot be called with {' and '.join(given) or 'nothing'}: {error}. Name tasks that it "
            "only waits for in after=[...]"
        ) from error
