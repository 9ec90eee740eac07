"""What every engine takes and gives: a pass over a plan, and its outcome."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raypipe.config import EngineConfig
from raypipe.engine.collect import AsideFn, Collector, ReadFn
from raypipe.engine.events import EventLog
from raypipe.engine.frame import Frame, check_unchanged
from raypipe.engine.journal import PassJournal, told_to
from raypipe.engine.layout import Layout
from raypipe.engine.report import StageTally
from raypipe.engine.spare import Spared, SpareRows
from raypipe.errors import RunCancelledError
from raypipe.stage import MapStage, Part, Plan


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
    name: str = "pass"
    """How events and the journal call it."""
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
    journal: PassJournal | None = None
    """Where what is done is committed, and gone on from; None keeps no record."""

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
    store_peak_bytes: int = 0
    """Most bytes of blocks that lay in the object store at one time, by the driver's count."""


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

    def release(self) -> None:  # noqa: B027  # most engines keep nothing that others could use
        """Let go of what was kept warm on machines that others use, too; called when a run has ended."""


class ProgressTeller:
    """Turns a collector's tallies into `PassProgress`, at most every `every_s` seconds."""

    def __init__(
        self, work: Pass, collector: Collector, workers: Callable[[], dict[str, int]], every_s: float = 0.1
    ) -> None:
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
        workers = self._workers()
        stages = [
            StageProgress(
                name,
                tally.rows_in,
                tally.rows_out,
                tally.rows_aside,
                tally.bytes_out,
                tally.seconds,
                workers.get(name, 1),
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


def next_prefix(plan: Plan, spared: Spared) -> tuple[MapStage, ...]:
    """The stages that rebuild the blocks after `plan` from a freshly read part.

    Rows of `spared` are left out before the stage that they would kill.
    """
    made: list[MapStage] = list(plan.prefix)
    for stage in plan.stages:
        if stage.name in spared:
            made.append(SpareRows(rows=spared[stage.name]))
        if isinstance(stage, MapStage):
            made.append(stage)
    return tuple(made)


def new_collector(
    work: Pass, schemas: Sequence[pa.Schema], parts: Sequence[Part], groups: int, config: EngineConfig
) -> Collector:
    """The collector of a pass; where the pass has a journal, it goes on from the last commit."""
    journal = work.journal
    on_aside = told_to(work.on_aside, journal.on_aside if journal else None)
    on_read = told_to(work.on_read, journal.on_read if journal else None)
    made = Collector(work.plan.stages, schemas, parts, groups, on_aside, on_read, config.max_failed_share)
    state = journal.restore(work.on_read, work.on_aside) if journal else None
    if state is not None:
        made.restore(state)
    return made


def commit_if_due(work: Pass, collector: Collector) -> None:
    """Commit what is done, if it is time."""
    if work.journal is not None and work.journal.is_due(collector.parts_done):
        work.journal.commit(collector.state())


def commit_the_rest(work: Pass, collector: Collector) -> None:
    """Commit what is done when a pass is broken off, unless it was in the middle of adding up."""
    if work.journal is not None and collector.is_sound and collector.parts_done:
        work.journal.commit_the_rest(collector.state())


def end_events(work: Pass, outcome: Outcome, collector: Collector) -> None:
    """The end of a pass: its journal concluded, an event for each stage and one for the pass."""
    if work.journal is not None:
        work.journal.conclude(collector.state(), outcome.seconds)
    for name, tally in outcome.tallies.items():
        work.events.emit(
            "stage_done", stage=name, rows_in=tally.rows_in, rows_out=tally.rows_out, rows_aside=tally.rows_aside,
            rows_failed=tally.rows_failed, rows_dropped=tally.rows_dropped, bytes_out=tally.bytes_out,
            busy_s=round(tally.seconds, 4), peak_rss_bytes=tally.peak_rss_bytes,
        )  # fmt: skip
    work.events.emit(
        "pass_done", name=work.name, seconds=round(outcome.seconds, 4), rows_in=outcome.rows_in,
        rows_out=outcome.rows_out, bytes_read=outcome.bytes_read, peak_rss_bytes=outcome.peak_rss_bytes,
        store_peak_bytes=outcome.store_peak_bytes, worker_restarts=outcome.worker_restarts,
    )  # fmt: skip
