"""What every engine takes and gives: a pass over a plan, and its outcome."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from raypipe.config import EngineConfig
from raypipe.engine.collect import AsideFn, Collector, ReadFn
from raypipe.engine.events import EventLog
from raypipe.engine.frame import Frame, check_unchanged
from raypipe.engine.layout import Layout
from raypipe.engine.report import StageTally
from raypipe.errors import RunCancelledError
from raypipe.stage import MapStage, Plan


@dataclass
class StageProgress:
    """One stage of a running pass, for a bar or a line."""

    name: str
    rows_in: int = 0
    rows_out: int = 0
    rows_aside: int = 0
    bytes_out: int = 0
    busy_s: float = 0.0
    workers: int = 0


@dataclass
class PassProgress:
    """A running pass."""

    parts: int
    parts_done: int = 0
    bytes_read: int = 0
    elapsed_s: float = 0.0
    stages: list[StageProgress] = field(default_factory=list)
    waiting_for: str | None = None
    """What the stall detector says, while nothing moves."""

    @property
    def share(self) -> float:
        """Parts that are through, 0 to 1."""
        return self.parts_done / self.parts if self.parts else 1.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the pace so far; None before the first part is through."""
        return self.elapsed_s * (1 - self.share) / self.share if self.parts_done else None


@dataclass
class Pass:
    """One pass over all parts: the plan, and whom to tell."""

    plan: Plan
    frame: Frame | None = None
    """Blocks to start from; None reads the source."""
    keep: bool = False
    """Whether the blocks after the last stage are wanted afterwards (`Outcome.frame`)."""
    consume: bool = False
    """Whether each block of `frame` is let go of once it is used, which makes room for those that are kept; what is
    needed of them later is read again."""
    on_aside: AsideFn | None = None
    on_read: ReadFn | None = None
    on_progress: Callable[[PassProgress], None] | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    events: EventLog = field(default_factory=EventLog)

    def check_cancel(self) -> None:
        """Raise RunCancelledError once `cancel` is set."""
        if self.cancel.is_set():
            raise RunCancelledError("the run was cancelled")


@dataclass
class Outcome:
    """What a pass made."""

    results: dict[str, Any]
    """Reduce stage -> finished result."""
    tallies: dict[str, StageTally]
    """Source and stages, in order."""
    receipts: list[dict[str, Any]]
    """What sinks wrote, in order of parts."""
    frame: Frame | None
    rows_in: int
    rows_out: int
    bytes_read: int
    seconds: float
    peak_rss_bytes: int = 0
    """Largest resident memory that a worker reported."""
    worker_restarts: int = 0


class Engine(ABC):
    """Runs passes; `InlineEngine` in this process, `RayEngine` on actors."""

    name: str

    def __init__(self, config: EngineConfig) -> None:
        self.config = config

    @abstractmethod
    def layout(self, plan: Plan) -> Layout:
        """How the plan would run here, without running it."""

    @abstractmethod
    def run(self, work: Pass) -> Outcome:
        """Run one pass.

        Raises
        ------
        RaypipeError
            What a stage or the source raised, or StageFailedError in its words.
        RunCancelledError
            If `work.cancel` was set; nothing is left running.
        """

    def describe(self) -> str:
        """Where this engine runs, for the summary."""
        return self.name


class ProgressTeller:
    """Turns a collector's tallies into `PassProgress`, at most every `every_s` seconds."""

    def __init__(self, work: Pass, collector: Collector, workers: dict[str, int], every_s: float = 0.1) -> None:
        self._work = work
        self._collector = collector
        self._workers = workers
        self._every_s = every_s
        self._started = time.monotonic()
        self._last = 0.0

    def tell(self, *, final: bool = False, waiting_for: str | None = None) -> None:
        """Call `on_progress`, unless it was called a moment ago."""
        now = time.monotonic()
        if self._work.on_progress is None or (now - self._last < self._every_s and not final):
            return
        self._last = now
        stages = [
            StageProgress(
                name,
                tally.rows_in,
                tally.rows_out,
                tally.rows_aside,
                tally.bytes_out,
                tally.seconds,
                self._workers.get(name, 1),
            )
            for name, tally in self._collector.tallies.items()
        ]
        self._work.on_progress(
            PassProgress(
                parts=len(self._collector.parts),
                parts_done=self._collector.parts_done,
                bytes_read=self._collector.bytes_read,
                elapsed_s=now - self._started,
                stages=stages,
                waiting_for=waiting_for,
            )
        )


def rows_in(tallies: dict[str, StageTally]) -> int:
    """Rows that entered the pass."""
    return next(iter(tallies.values())).rows_in if tallies else 0


def check_rows(work: Pass, tallies: dict[str, StageTally]) -> None:
    """Raise ReadError where parts that were read again for this pass had other rows than before."""
    if work.frame is not None and tallies:
        check_unchanged(work.frame, rows_in(tallies))


def next_prefix(plan: Plan) -> tuple[MapStage, ...]:
    """The stages that rebuild the blocks after `plan` from a freshly read part."""
    return (*plan.prefix, *(stage for stage in plan.stages if isinstance(stage, MapStage)))


def stage_events(work: Pass, outcome: Outcome) -> None:
    """One event a stage: rows, bytes, seconds."""
    for name, tally in outcome.tallies.items():
        work.events.emit(
            "stage_done",
            stage=name,
            rows_in=tally.rows_in,
            rows_out=tally.rows_out,
            rows_aside=tally.rows_aside,
            rows_failed=tally.rows_failed,
            rows_dropped=tally.rows_dropped,
            bytes_out=tally.bytes_out,
            busy_s=round(tally.seconds, 4),
        )
