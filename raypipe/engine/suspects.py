"""Bundles whose worker was lost again and again: run alone, one after the other, until no worker dies of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from raypipe.config import EngineConfig
from raypipe.engine.events import EventLog
from raypipe.engine.faults import last_of, say
from raypipe.engine.inquest import MAX_DEATHS, Answer, CannotSurviveError, Care, Probe, Steps, Trial, inquest
from raypipe.engine.pools import Call, Pool
from raypipe.engine.session import Session
from raypipe.errors import StageFailedError
from raypipe.stage import Part


@dataclass
class Suspect:
    """A bundle under inquest."""

    call: Call
    parts: list[Part]
    why: str
    steps: Steps
    step: Probe | Trial
    deaths: int = 0


@dataclass(frozen=True)
class Acquitted:
    """A bundle that was run without the rows at fault."""

    call: Call
    report: bytes
    """As the worker packed it."""
    care: dict[int, Care]
    """Index of a part within the bundle -> how it is to be run."""


@dataclass
class Suspects:
    """Suspects that wait, and the one whose turn it is, on a worker of its own."""

    session: Session
    pools: list[Pool]
    events: EventLog
    config: EngineConfig
    take_worker: Callable[[Pool], Any]
    _waiting: deque[Suspect] = field(default_factory=deque)
    _current: Suspect | None = None
    _worker: Any = None
    _ref: Any = None
    _is_up: bool = False
    """Whether the worker has answered; a time limit counts from then on."""
    _blocks: Any = None
    _sent_at: float = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting) or self._current is not None

    @property
    def workers(self) -> int:
        """Workers that an inquest has."""
        return int(self._worker is not None)

    def add(self, call: Call, parts: list[Part], why: str) -> None:
        """Put a bundle under inquest."""
        stages = len(self.pools[call.group].group.stages)
        steps = inquest(len(parts), stages, why)
        self._waiting.append(Suspect(call, parts, why, steps, next(steps)))
        self.events.emit("suspect", pool=call.group, part=parts[0].id, why=why)

    def refs(self) -> list[Any]:
        """What to wait for; begins the next step if none is under way."""
        if self._current is None and self._waiting:
            self._current = self._waiting.popleft()
        if self._current is not None and self._ref is None:
            self._send(self._current)
        return [self._ref] if self._ref is not None else []

    def _send(self, suspect: Suspect) -> None:
        pool = self.pools[suspect.call.group]
        step, call = suspect.step, suspect.call
        self._sent_at = time.monotonic()
        if self._worker is None:
            self._worker, self._is_up = self.take_worker(pool), False
        if not self._is_up:
            hello = self._worker.hello.options(max_task_retries=self.config.max_task_retries)
            self._ref = hello.remote()
            return
        if isinstance(step, Trial):
            method = self._worker.run.options(num_returns=2, max_task_retries=0)
            wanted = call.blocks is not None
            self._blocks, self._ref = method.remote(
                pool.key, pool.spec, suspect.parts, call.inputs, wanted, dict(step.care)
            )
        else:
            probe = self._worker.probe.options(max_task_retries=0)
            self._ref = probe.remote(pool.key, pool.spec, suspect.parts, call.inputs, step)

    def is_stuck(self) -> bool:
        """Whether the step under way takes longer than a call may."""
        limit = self.config.call_timeout_s
        return limit is not None and self._ref is not None and self._is_up and time.monotonic() - self._sent_at > limit

    def receive(self, *, stuck: bool = False) -> Acquitted | None:
        """Take in the answer of the step under way.

        Returns
        -------
        Acquitted or None
            The bundle once a trial was survived; None while the inquest goes on.

        Raises
        ------
        StageFailedError
            If no way was found to run the bundle.
        """
        suspect, known = self._current, self.session.ray.exceptions
        assert suspect is not None
        ref, self._ref = self._ref, None
        died, text = stuck, "it did not return in time"
        value: Any = None
        if stuck:
            self.session.abandon([self._worker])
        else:
            try:
                value = self.session.ray.get(ref)
            except known.RayTaskError as error:
                raise self._failure(suspect, f"its worker could not answer: {last_of(error)}") from error
            except known.RayError as error:
                died, text = True, say(error).splitlines()[0]
        greeting, self._is_up = not self._is_up, not died
        if died:
            self._worker = None
            suspect.deaths += 1
        if greeting and suspect.deaths <= MAX_DEATHS:
            return None
        self._tell(suspect, died, value)
        if suspect.deaths > MAX_DEATHS:
            raise self._failure(suspect, f"{suspect.why}; given up after {suspect.deaths} workers, the last: {text}")
        if isinstance(suspect.step, Trial) and not died:
            return self._survived(suspect, value)
        try:
            suspect.step = suspect.steps.send(Answer(True) if died else self._answer(value))
        except CannotSurviveError as error:
            raise self._failure(suspect, str(error)) from error
        return None

    def _answer(self, value: Any) -> Answer:
        return value if isinstance(value, Answer) else Answer(died=False)

    def _survived(self, suspect: Suspect, report: bytes) -> Acquitted:
        assert isinstance(suspect.step, Trial)
        names = self.pools[suspect.call.group].group.names
        for index, care in suspect.step.care.items():
            for stage, rows in care.skip.items():
                self.events.emit(
                    "rows_blamed", part=suspect.parts[index].id, stage=names[stage], rows=len(rows), why=care.why
                )
        suspect.steps.close()
        self._current = None
        call = suspect.call
        blocks = self._blocks if call.blocks is not None else None
        return Acquitted(Call(call.group, -1, call.bundle, blocks, call.inputs), report, dict(suspect.step.care))

    def _tell(self, suspect: Suspect, died: bool, value: Any) -> None:
        step, seconds = suspect.step, round(time.monotonic() - self._sent_at, 4)
        fields: dict[str, Any] = {"pool": suspect.call.group, "died": died, "seconds": seconds}
        if isinstance(step, Trial):
            pieces = sorted({care.block_rows for care in step.care.values() if care.block_rows})
            self.events.emit("trial", part=suspect.parts[0].id, parts=len(suspect.parts), block_rows=pieces, **fields)
            return
        rows = None if step.first is None or step.stop is None else step.stop - step.first
        part = suspect.parts[step.part].id
        self.events.emit("probe", part=part, first_row=step.first, rows=rows, stages=step.stages, **fields)

    def _failure(self, suspect: Suspect, text: str) -> StageFailedError:
        first = suspect.parts[0]
        return StageFailedError(self.pools[suspect.call.group].name, first.id, f"{first.file}: {text}")

    def end(self) -> Any | None:
        """The worker, which nobody needs any more; None if there is none."""
        worker, self._worker = self._worker, None
        return worker
