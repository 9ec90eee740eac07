"""One execution of a graph of tasks: what starts when, what is tried again, what is given up."""

from __future__ import annotations

import bisect
import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from raypipe.engine.dag import followers_of
from raypipe.engine.faults import say
from raypipe.engine.fingerprint import fingerprint
from raypipe.engine.places import Call, HerePlace, Ledger, Notice, Outcome
from raypipe.engine.retry import RetryPolicy
from raypipe.engine.stalls import StallWatch
from raypipe.engine.tasks import Task, TaskResult, TaskStatus, shown_name
from raypipe.engine.taskstate import Setting, State, why_no_place, why_skipped
from raypipe.errors import RunCancelledError

logger = logging.getLogger(__name__)

TICK_S = 0.05
"""How often the loop looks at a cancel that nothing else wakes it for."""
MIXED_TICK_S = 0.01
"""The same while threads and workers of Ray are waited for in turns."""
LINGER_S = 1.0
"""How long a cancel waits for threads that were asked to end."""
GRACE_S = 30.0
"""How long tasks that always run may take once the others were cancelled or had no time left."""
LOOK_AHEAD = 64
"""Ready tasks beyond the first without room that are looked at for one that fits."""


@dataclass
class Execution:
    """Runs every task once, after those that it waits for; `run` is the loop, in the thread that calls it."""

    setting: Setting
    tasks: Mapping[str, Task]
    states: dict[str, State] = field(default_factory=dict)
    origin: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        for place, (name, task) in enumerate(self.tasks.items()):
            self.states[name] = State(task, self.setting.places[name], place, len(task.waits_for))
        self._followers = followers_of(self.tasks)
        self._here = HerePlace()
        self._ready: list[tuple[tuple[float, int], State]] = []
        self._paused: list[tuple[float, State]] = []
        self._settled: deque[State] = deque()
        self._unsent: list[Notice] = []
        """Calls that could not be sent to the cluster."""
        self._calls: dict[Call, State] = {}
        """What runs now."""
        self._overrun: list[Call] = []
        """Threads past their time limit that still run, and still hold what they reserved."""
        self._open = len(self.states)
        self._stopped = ""
        """Why nothing but tasks that always run is started any more."""
        self._grace_until = float("inf")
        self._stall = StallWatch(self.setting.events, self.setting.stall_warning_s)

    def results(self) -> dict[str, TaskResult]:
        """What became of each task so far."""
        return {name: state.result(self.origin) for name, state in self.states.items()}

    def run(self) -> None:
        """Until every task has ended.

        Raises
        ------
        RunCancelledError
            After a cancel, once what can be ended has ended.
        """
        self._emit("tasks_started", tasks=len(self.states))
        try:
            self._start_over()
            while self._open:
                self._check_stop()
                self._start_ready()
                for notice in self._poll():
                    self._take(notice)
                self._check_limits()
        except BaseException as error:  # Ctrl-C, or a task that asks for the end of everything
            self.setting.cancel.set()
            self._give_up(f"ended by {say(error)}")
            raise
        finally:
            self._conclude()
        if self._stopped and self.setting.cancel.is_set():
            raise RunCancelledError(f"{self.setting.name}: the tasks were cancelled")

    def _start_over(self) -> None:
        for state in self.states.values():
            if not state.missing:
                self._make_ready(state)
        self._settle()

    def _conclude(self) -> None:
        if self._stopped:
            self._here.linger(LINGER_S)
        counts = Counter(state.status.value for state in self.states.values())
        resumed = sum(state.resumed for state in self.states.values())
        self._emit("tasks_done", seconds=round(time.monotonic() - self.origin, 4), resumed=resumed, **counts)

    # ---- from waiting to ready ----------------------------------------------------------------------------------

    def _make_ready(self, state: State) -> None:
        """All that it waits for has ended: it may start, or its result may be there already."""
        state.ready = time.monotonic()
        kept = self._recall(state)
        if not kept:
            bisect.insort(self._ready, (state.rank, state), key=lambda entry: entry[0])

    def _recall(self, state: State) -> bool:
        store, task = self.setting.store, state.task
        if store is None or task.always:
            return False
        inputs = [(name, self.states[name].digest) for name in task.waits_for]
        if any(digest is None for _, digest in inputs):
            return False
        try:
            state.key = fingerprint(task.name, task.fn, task.args, dict(task.kwargs), task.dependencies, inputs)
        except Exception as error:
            logger.warning("task %r is not kept for a later run: %s", task.name, say(error))
            return False
        found = store.find(task.name, state.key)
        if found is None:
            return False
        state.digest, state.resumed = found.digest, True
        self._end(state, TaskStatus.DONE, value=found.value)
        return True

    def _settle(self) -> None:
        """Tell those that wait for tasks that have ended; a loop, since chains may be long."""
        while self._settled:
            ended = self._settled.popleft()
            for name in self._followers[ended.task.name]:
                state = self.states[name]
                state.missing -= 1
                if state.status.is_final:
                    continue
                if ended.status.is_bad and not state.task.always:
                    self._end(state, TaskStatus.SKIPPED, error=why_skipped(ended))
                elif not state.missing:
                    self._make_ready(state)

    # ---- from ready to running ----------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        """Start what there is room for: a task that finds none holds those of lower priority back."""
        self._unpause()
        held: dict[int, float] = {}
        started: list[int] = []
        misses = 0
        for number, (_, state) in enumerate(self._ready):
            ledger, priority = self._ledger(state), state.task.priority
            if priority < held.get(id(ledger), priority) or self._must_queue(state):
                misses += 1
            elif ledger.take(state.task.resources):
                started.append(number)
                self._start(state)
            else:
                misses += 1
                held.setdefault(id(ledger), priority)
            if misses > LOOK_AHEAD:
                break
        for number in reversed(started):
            del self._ready[number]
        if self._ready and not started and not self._calls and not self._paused:
            self._take_room_back()

    def _must_queue(self, state: State) -> bool:
        return state.where == "caller" and self._here.is_busy()

    def _start(self, state: State) -> None:
        state.attempts += 1
        values = [self.states[name].value for name in state.task.dependencies] if state.task.takes_values else []
        call = Call(state.task, values, self._policy(state), state.where, state.attempts)
        state.call, state.status, self._calls[call] = call, TaskStatus.RUNNING, state
        if state.where != "cluster":
            self._begin(state)
            self._here.start(call)
            return
        assert self.setting.cluster is not None
        failed = self.setting.cluster.start(call)
        if failed is not None:
            self._unsent.append(Notice(call, failed))

    def _begin(self, state: State) -> None:
        """The function is entered now."""
        state.started = state.started or time.monotonic()
        waited = state.started - (state.ready or state.started)
        self._emit(
            "task_started",
            task=state.task.name,
            where=state.where,
            attempt=state.attempts,
            waited_s=round(waited, 4),
        )

    def _unpause(self) -> None:
        now = time.monotonic()
        due = [state for until, state in self._paused if until <= now]
        self._paused = [(until, state) for until, state in self._paused if until > now]
        for state in due:
            bisect.insort(self._ready, (state.rank, state), key=lambda entry: entry[0])

    def _take_room_back(self) -> None:
        """Nothing but threads past their limit stands in the way: rather use more than is there than wait forever."""
        for call in self._overrun:
            text = f"task {shown_name(call.task.name)} still runs past its time limit; what it reserved is used again"
            logger.warning("%s: %s", self.setting.name, text)
            self._emit("task_overrun", task=call.task.name, text=text)
            self._ledger(self.states[call.task.name]).give(call.task.resources)
        self._overrun.clear()

    # ---- from running to an end ---------------------------------------------------------------------------------

    def _poll(self) -> Iterator[Notice]:
        wait_s = min([TICK_S, *(until - time.monotonic() for until, _ in self._paused)])
        while self._unsent:
            yield self._unsent.pop()
        self._stall.watch(self._why_still)
        cluster = self.setting.cluster
        if cluster is None or not cluster.running:
            yield from self._here.poll(max(0.0, wait_s))
            return
        yield from self._here.poll(0.0)
        here = len(self._calls) > cluster.running
        yield from cluster.poll(max(0.0, MIXED_TICK_S if here else wait_s))

    def _take(self, notice: Notice) -> None:
        call, outcome = notice.call, notice.outcome
        state = self.states[call.task.name]
        self._stall.moved()
        if call.dropped:
            if call in self._overrun:
                self._overrun.remove(call)
                self._ledger(state).give(call.task.resources)
            return
        if outcome is None:
            self._begin(state)
            return
        state.call = None
        del self._calls[call]
        state.seconds += outcome.seconds
        self._ledger(state).give(call.task.resources)
        if outcome.stop is not None:
            raise outcome.stop
        if not outcome.error:
            self._keep(state, outcome.value)
            self._end(state, TaskStatus.DONE, value=outcome.value)
        elif not self._try_again(state, outcome):
            text = outcome.error + (f" ({state.attempts} tries)" if state.attempts > 1 else "")
            logger.warning("%s: task %r: %s\n%s", self.setting.name, state.task.name, text, outcome.trace)
            self._end(state, TaskStatus.FAILED, error=text)
        self._settle()

    def _try_again(self, state: State, outcome: Outcome) -> bool:
        policy = self._policy(state)
        if not outcome.worth_another or state.attempts >= policy.attempts:
            return False
        pause_s = policy.pause_s(state.task.name, state.attempts)
        state.status = TaskStatus.WAITING
        self._paused.append((time.monotonic() + pause_s, state))
        logger.info("task %r is tried again in %.2f s: %s", state.task.name, pause_s, outcome.error)
        self._emit(
            "task_retry",
            task=state.task.name,
            attempt=state.attempts,
            pause_s=round(pause_s, 4),
            why=outcome.error,
        )
        return True

    def _keep(self, state: State, value: Any) -> None:
        store = self.setting.store
        if store is not None and state.key is not None:
            state.digest = store.keep(state.task.name, state.key, value)
        elif store is not None:
            state.digest = store.digest_of(value)

    def _check_limits(self) -> None:
        now = time.monotonic()
        for call, state in list(self._calls.items()):
            limit_s = self._limit_s(call.task)
            if limit_s is None or call.begun is None or now - call.begun < limit_s or call.where == "caller":
                continue
            text = f"it ran longer than its {limit_s:g} s"
            spent = Outcome(now - call.begun, error=text, worth_another=self._policy(state).on_time_limit)
            if self._drop(state):
                state.seconds += spent.seconds
                if self._try_again(state, spent):
                    continue
            else:
                state.seconds += spent.seconds
                text += ", and still runs: a thread cannot be ended"
            logger.warning("%s: task %r: %s", self.setting.name, state.task.name, text)
            self._end(state, TaskStatus.TIMED_OUT, error=text)
        self._settle()

    def _drop(self, state: State) -> bool:
        """Wait no longer for the running call; whether it has really ended."""
        call, state.call = state.call, None
        assert call is not None
        del self._calls[call]
        call.dropped = True
        if call.where == "cluster" and self.setting.cluster is not None:
            self.setting.cluster.end(call)
            self._ledger(state).give(call.task.resources)
            return True
        self._overrun.append(call)
        return self._here.end(call)

    def _end(self, state: State, status: TaskStatus, error: str = "", value: Any = None) -> None:
        state.value, state.error, state.ended = value, error, time.monotonic()
        state.status = status
        self._open -= 1
        self._settled.append(state)
        if status is TaskStatus.DONE:
            self._emit(
                "task_done",
                task=state.task.name,
                seconds=round(state.seconds, 4),
                attempts=state.attempts,
                resumed=state.resumed,
            )
            return
        self._emit(f"task_{status.value}", task=state.task.name, attempts=state.attempts, why=error)

    # ---- stopping before the end --------------------------------------------------------------------------------

    def _check_stop(self) -> None:
        now = time.monotonic()
        if self._stopped:
            if now > self._grace_until:
                self._give_up(f"{self._stopped}; tasks that always run had {GRACE_S:g} s more")
            return
        limit_s = self.setting.time_limit_s
        if self.setting.cancel.is_set():
            self._stop("cancelled", TaskStatus.CANCELLED)
        elif limit_s is not None and now - self.origin > limit_s:
            self._stop(f"the tasks together had {limit_s:g} s", TaskStatus.TIMED_OUT)

    def _stop(self, why: str, of_running: TaskStatus) -> None:
        """End what runs and start nothing more, but for tasks that always run: those have a while."""
        self._stopped, self._grace_until = why, time.monotonic() + GRACE_S
        self._end_unfinished(why, of_running, spare_always=True)

    def _give_up(self, why: str) -> None:
        """End everything now."""
        self._stopped = why
        self._end_unfinished(why, TaskStatus.CANCELLED, spare_always=False)

    def _end_unfinished(self, why: str, of_running: TaskStatus, spare_always: bool) -> None:
        self._paused = [(until, state) for until, state in self._paused if spare_always and state.task.always]
        self._ready = [entry for entry in self._ready if spare_always and entry[1].task.always]
        for state in self.states.values():
            if state.status.is_final or (spare_always and state.task.always):
                continue
            if state.call is None:
                self._end(state, TaskStatus.CANCELLED, error=f"not run: {why}")
            else:
                begun = state.call.begun
                state.seconds += 0.0 if begun is None else time.monotonic() - begun
                ended = self._drop(state)
                self._end(state, of_running, error=why if ended else f"{why}; it still runs in its thread")
        self._settle()

    # ---- what the parts above share -----------------------------------------------------------------------------

    def _policy(self, state: State) -> RetryPolicy:
        return state.task.retry or self.setting.retry

    def _limit_s(self, task: Task) -> float | None:
        return self.setting.task_limit_s if task.time_limit_s is None else task.time_limit_s

    def _ledger(self, state: State) -> Ledger:
        return self.setting.there if state.where == "cluster" else self.setting.here

    def _why_still(self, still_s: float) -> str:
        cluster = self.setting.cluster
        waiting = cluster.waiting() if cluster is not None else []
        if cluster is not None and waiting:
            text = why_no_place(waiting[0].task, still_s, cluster.free())
            logger.warning("%s: %s", self.setting.name, text)
            return text
        running = ", ".join(shown_name(call.task.name) for call in list(self._calls)[:5])
        return f"nothing ended for {still_s:.0f} s; running: {running or 'none, a pause before the next try'}"

    def _emit(self, event: str, **fields: Any) -> None:
        self.setting.events.emit(event, graph=self.setting.name, **fields)
