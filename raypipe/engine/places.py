"""Where tasks run: in threads of this process, in the thread that calls, or on Ray; and what may run at once."""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raypipe.config import Resources
from raypipe.engine.dag import plain_name
from raypipe.engine.faults import last_of, say
from raypipe.engine.retry import RetryPolicy
from raypipe.engine.session import Session
from raypipe.engine.tasks import Task, Where, _stop
from raypipe.errors import RunCancelledError

logger = logging.getLogger(__name__)

STOPS = (RunCancelledError, KeyboardInterrupt)
"""A task that raises one of these asks for the end of everything."""
TRACE_CHARS = 10_000
UNITS = 10_000
"""Resources are counted in ten-thousandths, as Ray does, so that sums are exact."""
IDLE_HOLD_S = 1.0
"""A task on the cluster that waits longer than this gets the places of idle workers that are kept warm."""


class Ledger:
    """What tasks may take together, and what is left of it.

    Parameters
    ----------
    total : mapping of str to float, optional
        CPU, GPU and memory (bytes); None leaves the bounds to Ray.
    """

    def __init__(self, total: Mapping[str, float] | None) -> None:
        self._total = None if total is None else _units(total)
        self._free = dict(self._total or {})

    def too_much(self, wanted: Resources) -> str:
        """What the task asks for beyond all that there is, in words; empty if it fits."""
        if self._total is None:
            return ""
        asked = _units(_amounts(wanted))
        over = [name for name, amount in asked.items() if amount > self._total.get(name, 0)]
        return ", ".join(f"{_words(name, asked[name])} of {_words(name, self._total.get(name, 0))}" for name in over)

    def take(self, wanted: Resources) -> bool:
        """Reserve it, if it is free."""
        asked = _units(_amounts(wanted))
        if self._total is None:
            return True
        if any(amount > self._free.get(name, 0) for name, amount in asked.items()):
            return False
        for name, amount in asked.items():
            self._free[name] -= amount
        return True

    def give(self, wanted: Resources) -> None:
        """Give back what was taken."""
        if self._total is not None:
            for name, amount in _units(_amounts(wanted)).items():
                self._free[name] += amount


def _amounts(wanted: Resources) -> dict[str, float]:
    """Only what is asked for: a task that asks for no GPU fits where there is none."""
    memory = (wanted.memory_gib or 0.0) * (1 << 30)
    asked = {"CPU": wanted.cpus, "GPU": wanted.gpus, "memory": memory}
    return {name: amount for name, amount in asked.items() if amount}


def _units(amounts: Mapping[str, float]) -> dict[str, int]:
    return {name: round(amount * UNITS) for name, amount in amounts.items()}


def _words(name: str, units: int) -> str:
    amount = units / UNITS
    return f"{amount / (1 << 30):.3g} GiB of memory" if name == "memory" else f"{amount:g} {name}"


@dataclass
class Outcome:
    """How one try ended."""

    seconds: float = 0.0
    value: Any = None
    error: str = ""
    """Why it failed; empty if it did not."""
    trace: str = ""
    """Where it failed, for the log."""
    worth_another: bool = False
    stop: BaseException | None = None
    """The task asked for the end of everything."""


@dataclass(eq=False)
class Call:
    """One try of a task."""

    task: Task
    values: list[Any]
    """Of its dependencies."""
    retry: RetryPolicy
    where: Where
    number: int
    begun: float | None = None
    """When the function was entered, by the monotonic clock."""
    dropped: bool = False
    """Nobody waits for its end any more."""
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Notice:
    """A place tells that a call began, or ended (`outcome`)."""

    call: Call
    outcome: Outcome | None = None


def attempt(call: Callable[[], Any], retry: RetryPolicy, stops: tuple[type[BaseException], ...] = STOPS) -> Outcome:
    """Call, and put into words what it raised: errors may not survive the way between processes."""
    started = time.perf_counter()
    try:
        return Outcome(value=call(), seconds=time.perf_counter() - started)
    except stops as request:
        return Outcome(time.perf_counter() - started, error=say(request), stop=request)
    except BaseException as error:  # also SystemExit: a thread or a worker does not end the process
        seconds, trace = time.perf_counter() - started, traceback.format_exc(chain=True)[-TRACE_CHARS:]
        return Outcome(seconds, error=say(error), trace=trace, worth_another=retry.is_worth_it(error))


def run_here(call: Call) -> Outcome:
    """Run the call in this thread; its function may ask `stop_requested`."""
    task = call.task

    def enter() -> Any:
        _stop.set(call.stop)
        return task.fn(*call.values, *task.args, **task.kwargs)

    # A handler of signals raises in the thread that calls, so what it raises there is meant for the process.
    stops = (*STOPS, SystemExit) if call.where == "caller" else STOPS
    # A copy of the context, so that what the function sets in it is gone afterwards.
    return attempt(lambda: contextvars.copy_context().run(enter), call.retry, stops)


class HerePlace:
    """Threads of this process, and the thread that calls. Threads cannot be ended, only not be waited for."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        self._threads: dict[Call, threading.Thread] = {}
        self._queued: deque[Call] = deque()

    def start(self, call: Call) -> None:
        """Start a thread, or queue the call for the thread that polls."""
        call.begun = time.monotonic()
        if call.where == "caller":
            self._queued.append(call)
            return

        def work() -> None:
            self._ended.put(Notice(call, run_here(call)))

        # A daemon: one that never ends must not keep the process.
        thread = threading.Thread(target=work, name=f"task {plain_name(call.task.name)}", daemon=True)
        self._threads[call] = thread
        thread.start()

    def poll(self, wait_s: float) -> Iterator[Notice]:
        """What ended, waiting at most `wait_s` for the first; runs what is queued for this thread."""
        if self._queued:
            call = self._queued.popleft()
            call.begun = time.monotonic()
            yield Notice(call, run_here(call))
            wait_s = 0.0
        try:
            notice = self._ended.get(timeout=wait_s) if wait_s > 0 else self._ended.get_nowait()
            while True:
                self._threads.pop(notice.call, None)
                yield notice
                notice = self._ended.get_nowait()
        except queue.Empty:
            return

    def is_busy(self) -> bool:
        """Whether a call is queued for the thread that polls: only one of them at a time is started."""
        return bool(self._queued)

    def end(self, call: Call) -> Literal[False]:
        """Ask the function to end; it runs on until it does."""
        call.stop.set()
        return False

    def linger(self, seconds: float) -> None:
        """Wait a little for threads that were asked to end."""
        until = time.monotonic() + seconds
        for call, thread in list(self._threads.items()):
            if call.stop.is_set():
                thread.join(max(0.0, until - time.monotonic()))


class ClusterPlace:
    """Remote tasks of Ray, each with its resources. Ray itself never tries again, so that every try is counted."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ray = session.ray
        self._remote = self._ray.remote(run_there)
        self._calls: dict[Any, Call] = {}
        """Generator of Ray -> call. It gives two values: one when the function is entered, one when it returned."""
        self._since: dict[Call, float] = {}
        """When calls were sent whose function was not entered yet."""
        self._put: dict[int, Any] = {}
        """Identity of a value -> its copy in the object store, made once for all who get it."""

    def start(self, call: Call) -> Outcome | None:
        """Send the call; an outcome if that failed."""
        task = call.task
        try:
            values = [None if value is None else self._stored(value) for value in call.values]
            generator = self._remote.options(**options_of(task)).remote(
                task.fn, call.retry, task.args, dict(task.kwargs), *values
            )
        except Exception as error:  # what cannot be pickled, mostly
            text = f'it cannot be sent to a worker: {say(error)}; where="driver" runs it in this process'
            return Outcome(error=text)
        self._calls[generator] = call
        self._since[call] = time.monotonic()
        return None

    def _stored(self, value: Any) -> Any:
        # The driver holds every value until the end, so that the loss of a node loses none, and identities stay.
        if id(value) not in self._put:
            self._put[id(value)] = self._ray.put(value)
        return self._put[id(value)]

    def poll(self, wait_s: float) -> Iterator[Notice]:
        """What began or ended, waiting at most `wait_s` for the first."""
        self._make_room()
        generators = list(self._calls)
        ready, _ = self._ray.wait(generators, num_returns=1, timeout=wait_s)
        if ready:
            ready, _ = self._ray.wait(generators, num_returns=len(generators), timeout=0)
        for generator in ready:
            call = self._calls[generator]
            told = self._next(generator, call)
            self._since.pop(call, None)
            if isinstance(told, Outcome):
                del self._calls[generator]
                yield Notice(call, told)
            else:
                call.begun = time.monotonic()
                yield Notice(call)

    def _next(self, generator: Any, call: Call) -> Outcome | str:
        from ray.exceptions import RayError, RayTaskError

        try:
            told: Outcome | str = self._ray.get(next(generator))
            return told
        except RayTaskError as error:  # outside of the function: its arguments or its value do not pickle
            return Outcome(error=last_of(error))
        except RayError as error:
            spent = 0.0 if call.begun is None else time.monotonic() - call.begun
            return Outcome(spent, error=f"its worker was lost: {say(error)}", worth_another=True)

    def _make_room(self) -> None:
        """Idle workers of the engine that are kept warm take places that tasks wait for."""
        now = time.monotonic()
        if any(now - since > IDLE_HOLD_S for since in self._since.values()):
            self._session.let_go()

    def waiting(self) -> list[Call]:
        """Calls that Ray has found no place for yet."""
        return list(self._since)

    def end(self, call: Call) -> Literal[True]:
        """End the call by force, and do not wait for it."""
        for generator, one in list(self._calls.items()):
            if one is call:
                del self._calls[generator]
                self._since.pop(call, None)
                self._ray.cancel(generator, force=True)
        return True

    def free(self) -> dict[str, float]:
        """What Ray says is free."""
        found: dict[str, float] = self._ray.available_resources()
        return found

    @property
    def running(self) -> int:
        """Calls that were sent and have not ended."""
        return len(self._calls)


def run_there(
    fn: Callable[..., Any], retry: RetryPolicy, args: tuple[Any, ...], kwargs: dict[str, Any], *values: Any
) -> Iterator[str | Outcome]:
    """In a worker of Ray: tells that it enters the function, so that waiting and work are told apart."""
    yield "begun"
    yield attempt(lambda: fn(*values, *args, **kwargs), retry)


def options_of(task: Task) -> dict[str, Any]:
    """Of the remote task."""
    wanted = task.resources
    options: dict[str, Any] = {
        "num_returns": "streaming",
        "num_cpus": wanted.cpus,
        "num_gpus": wanted.gpus,
        "max_retries": 0,
        "name": f"task {plain_name(task.name)}",
    }
    if wanted.memory_gib:
        options["memory"] = int(wanted.memory_gib * (1 << 30))
    if wanted.labels:
        options["label_selector"] = dict(wanted.labels)
    return options
