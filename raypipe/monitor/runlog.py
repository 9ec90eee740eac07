"""What a finished run left in `events.jsonl`, as typed values: sessions, passes, calls, samples and marks.

Every time is in seconds on one axis: the time that the run was at work. A run that was resumed has several sessions;
the axis joins them, with `Session.break_s` between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

TROUBLE = frozenset(
    {
        "stall",
        "worker_lost",
        "worker_stuck",
        "worker_restarted",
        "blocks_lost",
        "suspect",
        "probe",
        "trial",
        "rows_blamed",
        "memory_low",
        "not_committed",
        "task_retry",
        "task_failed",
        "task_timed_out",
        "task_overrun",
    }
)
"""Kinds of mark that tell of something that went wrong."""


@dataclass(frozen=True)
class PoolPlan:
    """A pool as its pass began."""

    pool: int
    stages: tuple[str, ...] = ()
    cpus: float | None = None
    gpus: float = 0.0
    memory_gib: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    min_workers: int | None = None
    max_workers: int | None = None

    @property
    def brief(self) -> str:
        """Its stages; of many the first and the last: `read > … > Summarise`."""
        shown = self.stages if len(self.stages) <= 3 else (self.stages[0], "…", self.stages[-1])
        return " > ".join(shown)

    @property
    def title(self) -> str:
        """The pool as people count, with its stages: `pool 1 (read > Summarise)`."""
        return f"pool {self.pool + 1}" + (f" ({self.brief})" if self.stages else "")


@dataclass(frozen=True)
class Call:
    """A bundle that a worker is through with; in a long log, several of them in one line."""

    pool: int
    worker: int
    start_s: float
    end_s: float
    busy_s: float
    """Seconds of work; less than the span where one line stands for several bundles."""
    bundles: int = 1
    parts: int = 1
    rows_out: int = 0
    rss_bytes: int = 0
    part: str = ""


@dataclass(frozen=True)
class PoolSample:
    """One pool at one moment."""

    pool: int
    up: int = 0
    starting: int = 0
    busy: int = 0
    queued: int = 0
    queued_bytes: int = 0
    done: int = 0


@dataclass(frozen=True)
class Sample:
    """All pools of a pass at one moment."""

    t_s: float
    pools: tuple[PoolSample, ...] = ()
    queued_bytes: int = 0
    kept_bytes: int = 0
    held_bytes: int = 0
    driver_rss_bytes: int = 0
    parts_done: int = 0


@dataclass(frozen=True)
class StageCount:
    """What one stage did in one pass."""

    stage: str
    rows_in: int = 0
    rows_out: int = 0
    rows_aside: int = 0
    rows_failed: int = 0
    rows_dropped: int = 0
    bytes_out: int = 0
    busy_s: float = 0.0
    peak_rss_bytes: int | None = None


@dataclass(frozen=True)
class WorkerChange:
    """A worker that came up, or went."""

    t_s: float
    pool: int
    worker: int
    up: bool
    pid: int = 0
    node: str = ""
    why: str = ""
    """Of one that went: idle, lost, stuck or end."""
    waited_s: float | None = None
    """Of one that came: how long it was waited for."""


@dataclass(frozen=True)
class Mark:
    """Something that happened at a moment, in words."""

    t_s: float
    kind: str
    text: str
    pool: int | None = None
    worker: int | None = None
    seconds: float = 0.0
    count: int = 0
    """Rows, bundles or workers that it is about."""

    @property
    def is_trouble(self) -> bool:
        """Whether it tells of something that went wrong."""
        return self.kind in TROUBLE


@dataclass
class PassLog:
    """One pass over the data."""

    number: int
    """From 1, over the whole log."""
    name: str
    engine: str
    start_s: float
    end_s: float
    finished: bool = False
    """Whether the log says that it came to its end."""
    parts: int | None = None
    bundles: int | None = None
    cpus: float | None = None
    """Of the machine or the cluster, as the pass began."""
    rows_in: int | None = None
    rows_out: int | None = None
    worker_restarts: int = 0
    peak_rss_bytes: int | None = None
    store_peak_bytes: int | None = None
    queue_budget_bytes: int | None = None
    keep_budget_bytes: int | None = None
    plans: dict[int, PoolPlan] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    stages: list[StageCount] = field(default_factory=list)
    changes: list[WorkerChange] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end_s - self.start_s

    @property
    def title(self) -> str:
        """As people count: `pass 1 (load)`."""
        return f"pass {self.number}" + (f" ({self.name})" if self.name else "")

    def pools(self) -> tuple[PoolPlan, ...]:
        """Its pools in order, those too that only calls tell of."""
        known = {*self.plans, *(call.pool for call in self.calls), *(change.pool for change in self.changes)}
        return tuple(self.plans.get(pool) or PoolPlan(pool) for pool in sorted(known))


@dataclass
class Band:
    """One of the seven stages of a run."""

    stage: str
    start_s: float
    end_s: float
    finished: bool = False
    message: str = ""


@dataclass
class TaskSpan:
    """A task of the scheduler, from its first start to its end."""

    task: str
    start_s: float
    end_s: float
    last_start_s: float
    """Of its last attempt."""
    waited_s: float = 0.0
    attempts: int = 1
    status: str = ""
    """done, failed, timed_out, cancelled, skipped; empty while the log does not say."""
    where: str = ""


@dataclass
class Session:
    """One execution: from its start to its end, or to where its process died."""

    start_s: float
    end_s: float
    run_id: str = ""
    source: str = ""
    engine: str = ""
    why: str = ""
    started: datetime | None = None
    """By the wall clock, in UTC."""
    ended: datetime | None = None
    status: str = ""
    """completed, failed, cancelled; empty where the log ends without saying."""
    error: str = ""
    break_s: float = 0.0
    """Width on the axis between the session before and this one."""
    away_s: float | None = None
    """By the wall clock, how long the run lay still before this session."""
    passes: list[PassLog] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    tasks: list[TaskSpan] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    """Those outside of passes."""
    rows: dict[str, int] = field(default_factory=dict)
    """Read, kept, quarantined, dropped; as far as the log says."""

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end_s - self.start_s


@dataclass
class RunLog:
    """All that the log of one run says."""

    path: Path
    sessions: list[Session] = field(default_factory=list)
    lines: int = 0
    cut_lines: int = 0
    """Lines that could not be read."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Events that this version does not know, by name."""

    @property
    def seconds(self) -> float:
        """Time at work, over all sessions."""
        return sum(session.seconds for session in self.sessions)

    @property
    def end_s(self) -> float:
        """Where the axis ends."""
        return self.sessions[-1].end_s if self.sessions else 0.0

    @property
    def passes(self) -> list[PassLog]:
        """Of all sessions, in order."""
        return [work for session in self.sessions for work in session.passes]

    @property
    def bands(self) -> list[Band]:
        """Of all sessions, in order."""
        return [band for session in self.sessions for band in session.bands]

    @property
    def tasks(self) -> list[TaskSpan]:
        """Of all sessions, in order."""
        return [task for session in self.sessions for task in session.tasks]

    @property
    def marks(self) -> list[Mark]:
        """Of all sessions and passes, in the order of time."""
        found = [mark for session in self.sessions for mark in session.marks]
        found += [mark for work in self.passes for mark in work.marks]
        return sorted(found, key=lambda mark: mark.t_s)

    @property
    def status(self) -> str:
        """How the last session ended: completed, failed, cancelled, or unfinished."""
        return (self.sessions[-1].status if self.sessions else "") or "unfinished"

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return next((session.run_id for session in reversed(self.sessions) if session.run_id), "")

    @property
    def source(self) -> str:
        """What was read."""
        return next((session.source for session in reversed(self.sessions) if session.source), "")
