"""Reads `events.jsonl` of a run into a `RunLog`, however it was cut, whichever version wrote it.

A line that cannot be read is counted and left out; a field that is absent or of another kind takes its default; an
event that this version does not know is counted by name. A resumed run appends to the log of the first one, with
seconds that start anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from raypipe.errors import ReadError
from raypipe.monitor.markwords import mark_of
from raypipe.monitor.runlog import (
    Band,
    Call,
    PassLog,
    PoolPlan,
    PoolSample,
    RunLog,
    Sample,
    Session,
    StageCount,
    TaskSpan,
    WorkerChange,
)

MAX_LINE_BYTES = 4 << 20
"""A longer line is none that a run wrote."""
MAX_T_S = 10 * 365 * 86400.0
BREAK_SHARE = 0.03
"""Width of the break between two sessions on the axis, as a share of the time at work before it."""
SAME_START_S = 1.0
"""Seconds that go back by more than this, without `run_started`, begin another session as well."""

MAX_OPEN_TASKS = 64
TASK_ENDS = ("task_done", "task_failed", "task_timed_out", "task_cancelled", "task_skipped")
QUIET = ("tasks_started", "tasks_done")
"""Events that tell nothing beside others."""

Fields = Mapping[str, Any]


def read_events(path: Path | str) -> RunLog:
    """The log of a run.

    Raises
    ------
    ReadError
        If the file cannot be opened, or holds no event at all.
    """
    path = Path(path)
    reader = _Reader(RunLog(path))
    try:
        with path.open("rb") as file:
            while raw := file.readline(MAX_LINE_BYTES):
                reader.line(raw)
    except OSError as error:
        raise ReadError(f"timeline: {path} cannot be read: {error.strerror or error}") from error
    if not reader.log.sessions:
        what = f"{reader.log.lines:,} lines, and none of them is an event" if reader.log.lines else "nothing"
        raise ReadError(f"timeline: {path} holds {what}; wanted the events.jsonl that a run writes")
    return reader.log


class _Reader:
    """Takes in one line after the other."""

    def __init__(self, log: RunLog) -> None:
        self.log = log
        self._pass: PassLog | None = None
        self._band: Band | None = None
        self._axis_start = 0.0
        """Where the session under way begins on the axis: its seconds count from the opening of the log."""
        self._last_t = 0.0
        self._processes: dict[tuple[int, int], int] = {}
        """(pool, process) -> worker."""
        self._take: dict[str, Callable[[float, Fields], None]] = {
            "run_started": self._run_started,
            "run_done": self._run_done,
            "pipeline_stage_started": self._stage_started,
            "pipeline_stage_done": self._stage_done,
            "pass_started": self._pass_started,
            "pass_done": self._pass_done,
            "bundle_done": self._bundle_done,
            "part_done": self._part_done,
            "sample": self._sample,
            "stage_done": self._stage_count,
            "worker_up": self._worker_up,
            "worker_gone": self._worker_gone,
            "task_started": self._task_started,
            **dict.fromkeys(TASK_ENDS, self._task_ended),
            **dict.fromkeys(QUIET, lambda at, fields: None),
        }

    def line(self, raw: bytes) -> None:
        if not raw.strip():
            return
        self.log.lines += 1
        fields = _parsed(raw)
        if fields is None:
            self.log.cut_lines += 1
            fields = _parsed(_after_the_cut(raw))
        if fields is not None:
            self._event(fields)

    def _event(self, fields: Fields) -> None:
        name = text(fields, "event")
        own = number(fields, "t_s", math.nan)
        begins = name == "run_started" or not self.log.sessions
        if math.isfinite(own) and 0 <= own <= MAX_T_S:
            begins = begins or own < self._last_t - SAME_START_S
            self._last_t = own if begins else max(own, self._last_t)
        elif begins:
            self._last_t = 0.0
        if begins:
            self._begin_session(fields)
        session = self.log.sessions[-1]
        session.ended = _moment(fields) or session.ended
        at = self._axis_start + self._last_t
        session.end_s = max(session.end_s, at)
        self._stretch(at, name)
        take = self._take.get(name)
        if take is not None:
            take(at, fields)
        if name == "worker_restarted" and "worker" not in fields:
            fields = {**fields, **self._worker_of(fields)}
        mark = mark_of(name, at, fields)
        if mark is not None:
            (self._pass.marks if self._pass is not None else session.marks).append(mark)
        elif take is None:
            self.log.unknown[name[:80]] += 1

    def _stretch(self, at: float, name: str) -> None:
        """What is under way lasts until now."""
        if self._band is not None:
            self._band.end_s = at
        for task in self.log.sessions[-1].tasks[-MAX_OPEN_TASKS:]:
            if not task.status:
                task.end_s = at
        if self._pass is None:
            return
        if name.startswith("pipeline_") and self._pass.stages:  # older logs do not say that a pass is done
            self._pass.finished = True
            self._pass = None
        elif not name.startswith("pipeline_"):
            self._pass.end_s = at

    def _begin_session(self, fields: Fields) -> None:
        before = self.log.sessions[-1] if self.log.sessions else None
        started = _moment(fields)
        made = Session(0.0, 0.0, started=started)
        if before is not None:
            made.break_s = max(self.log.seconds * BREAK_SHARE, 0.01)
            made.start_s = made.end_s = before.end_s + made.break_s
            if started is not None and before.ended is not None:
                made.away_s = max(0.0, (started - before.ended).total_seconds())
        self._axis_start = made.start_s
        self._pass, self._band = None, None
        self.log.sessions.append(made)

    # ---- the run and its stages ---------------------------------------------------------------------------------

    def _run_started(self, at: float, fields: Fields) -> None:
        session = self.log.sessions[-1]
        session.run_id, session.source = text(fields, "run_id"), text(fields, "source")
        session.engine, session.why = text(fields, "engine"), text(fields, "why")

    def _run_done(self, at: float, fields: Fields) -> None:
        session = self.log.sessions[-1]
        session.status, session.error = text(fields, "status"), text(fields, "error")
        for name in ("read", "kept", "quarantined"):
            if name in fields:
                session.rows[name] = whole(fields, name)
        if isinstance(dropped := fields.get("dropped"), Mapping):
            session.rows["dropped"] = sum(whole(dropped, name) for name in dropped)
        self._pass = None

    def _stage_started(self, at: float, fields: Fields) -> None:
        self._band = Band(text(fields, "stage"), at, at)
        self.log.sessions[-1].bands.append(self._band)

    def _stage_done(self, at: float, fields: Fields) -> None:
        stage = text(fields, "stage")
        bands = self.log.sessions[-1].bands
        found = next((band for band in reversed(bands) if band.stage == stage and not band.finished), None)
        if found is None:  # the log is opened in the midst of the first stage, which says how long it took
            session, seconds = self.log.sessions[-1], min(max(0.0, number(fields, "seconds")), MAX_T_S)
            early = seconds - (at - session.start_s)
            if early > 0 and not bands and not session.passes:
                self._axis_start += early
                session.end_s += early
                at += early
            found = Band(stage, max(session.start_s, at - seconds), at)
            bands.append(found)
        found.end_s, found.finished, found.message = at, True, text(fields, "message")
        if found is self._band:
            self._band = None

    # ---- passes -------------------------------------------------------------------------------------------------

    def _pass_started(self, at: float, fields: Fields) -> None:
        passes = self.log.sessions[-1].passes
        self._pass = PassLog(len(self.log.passes) + 1, text(fields, "name"), text(fields, "engine"), at, at)
        for name in ("parts", "bundles", "queue_budget_bytes", "keep_budget_bytes"):
            if isinstance(fields.get(name), int):
                setattr(self._pass, name, whole(fields, name))
        self._pass.cpus = number(fields, "cpus") or None
        pools = fields.get("pools")
        for given in pools if isinstance(pools, list) else []:
            if isinstance(given, Mapping):
                plan = _pool_plan(given, len(self._pass.plans))
                self._pass.plans[plan.pool] = plan
        passes.append(self._pass)

    def _pass_done(self, at: float, fields: Fields) -> None:
        work = self._now(at)
        work.name = work.name or text(fields, "name")
        work.end_s, work.finished = at, True
        for name in ("rows_in", "rows_out", "peak_rss_bytes", "store_peak_bytes"):
            if isinstance(fields.get(name), int):
                setattr(work, name, whole(fields, name))
        work.worker_restarts = whole(fields, "worker_restarts")
        self._pass = None

    def _now(self, at: float) -> PassLog:
        """The pass under way, or the last one, of which something came late; else one without a name."""
        if self._pass is not None:
            return self._pass
        passes = self.log.sessions[-1].passes
        if not passes:
            self._pass_started(at, {})
        return passes[-1]

    def _bundle_done(self, at: float, fields: Fields) -> None:
        seconds = max(0.0, number(fields, "seconds"))
        pool = whole(fields, "pool")
        # Logs of older versions name the process only.
        worker = whole(fields, "worker") if "worker" in fields else whole(fields, "pid")
        start = max(self._now(at).start_s, at - seconds)
        made = Call(
            pool, worker, start, at, seconds, max(1, whole(fields, "bundles", 1)), whole(fields, "parts", 1),
            whole(fields, "rows_out"), whole(fields, "rss_bytes"), text(fields, "part"),
        )  # fmt: skip
        self._now(at).calls.append(made)

    def _part_done(self, at: float, fields: Fields) -> None:
        """A part of the inline engine: one worker, which is this process; older logs tell no duration."""
        work = self._now(at)
        before = work.calls[-1].end_s if work.calls else work.start_s
        seconds = max(0.0, number(fields, "seconds")) if "seconds" in fields else at - before
        parts = max(1, whole(fields, "parts", 1))
        work.calls.append(
            Call(
                0,
                0,
                max(before, at - seconds),
                at,
                seconds,
                parts,
                parts,
                whole(fields, "rows_out"),
                whole(fields, "rss_bytes"),
                text(fields, "part"),
            )
        )

    def _sample(self, at: float, fields: Fields) -> None:
        pools = fields.get("pools")
        given = [pool for pool in pools if isinstance(pool, Mapping)] if isinstance(pools, list) else []
        names = ("up", "starting", "busy", "queued", "queued_bytes", "done")
        made = tuple(
            PoolSample(whole(pool, "pool", place), **{name: whole(pool, name) for name in names})
            for place, pool in enumerate(given)
        )
        sums = ("queued_bytes", "kept_bytes", "held_bytes", "driver_rss_bytes", "parts_done")
        self._now(at).samples.append(Sample(at, made, **{name: whole(fields, name) for name in sums}))

    def _stage_count(self, at: float, fields: Fields) -> None:
        names = ("rows_in", "rows_out", "rows_aside", "rows_failed", "rows_dropped", "bytes_out")
        counts = {name: whole(fields, name) for name in names}
        peak = whole(fields, "peak_rss_bytes") or None
        made = StageCount(text(fields, "stage"), **counts, busy_s=number(fields, "busy_s"), peak_rss_bytes=peak)
        self._now(at).stages.append(made)

    def _worker_up(self, at: float, fields: Fields) -> None:
        waited = number(fields, "waited_s") if "waited_s" in fields else None
        pool, worker, pid = whole(fields, "pool"), whole(fields, "worker"), whole(fields, "pid")
        self._processes[pool, pid] = worker
        change = WorkerChange(at, pool, worker, True, pid, text(fields, "node"), waited_s=waited)
        self._now(at).changes.append(change)

    def _worker_gone(self, at: float, fields: Fields) -> None:
        pool, worker, pid = whole(fields, "pool"), whole(fields, "worker"), whole(fields, "pid")
        change = WorkerChange(at, pool, worker, False, pid, why=text(fields, "why"))
        self._now(at).changes.append(change)

    def _worker_of(self, fields: Fields) -> dict[str, int]:
        """The worker whose process was restarted, by its old process; its new one is known from now on."""
        pool, old, new = (whole(fields, name, -1) for name in ("pool", "old_pid", "new_pid"))
        worker = self._processes.pop((pool, old), None)
        if worker is None:
            return {}
        self._processes[pool, new] = worker
        return {"worker": worker}

    # ---- tasks --------------------------------------------------------------------------------------------------

    def _task_started(self, at: float, fields: Fields) -> None:
        name, tasks = text(fields, "task"), self.log.sessions[-1].tasks
        known = next((task for task in reversed(tasks) if task.task == name and not task.status), None)
        if known is None:
            waited = number(fields, "waited_s")
            tasks.append(TaskSpan(name, at, at, at, waited, where=text(fields, "where")))
        else:
            known.attempts += 1
            known.last_start_s = at

    def _task_ended(self, at: float, fields: Fields) -> None:
        name, event = text(fields, "task"), text(fields, "event")
        tasks = self.log.sessions[-1].tasks
        known = next((task for task in reversed(tasks) if task.task == name and not task.status), None)
        if known is not None:
            # The driver may hear of an end late, when it has ended a task of its own.
            seconds = max(0.0, number(fields, "seconds", math.inf))
            known.end_s, known.status = min(at, known.last_start_s + seconds), event.removeprefix("task_")


def text(fields: Fields, name: str) -> str:
    """A text, or what stands in its place as one; empty where absent."""
    value = fields.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)[:2000]


def number(fields: Fields, name: str, default: float = 0.0) -> float:
    """A finite number, or the default."""
    value = fields.get(name)
    if not isinstance(value, (int, float)):
        return default
    try:
        found = float(value)
    except OverflowError:
        return default
    return found if math.isfinite(found) else default


def whole(fields: Fields, name: str, default: int = 0) -> int:
    """A whole number that fits 64 bits, or the default."""
    found = number(fields, name, math.nan)
    return default if math.isnan(found) or abs(found) > 2**62 else int(found)


def _parsed(raw: bytes) -> Fields | None:
    """The object in a line, if it is one with an event."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("event"), str) else None


def _after_the_cut(raw: bytes) -> bytes:
    """What a later session appended to a line that the killed one had not finished."""
    place = raw.rfind(b'{"v":')
    return raw[place:] if place > 0 else b""


def _moment(fields: Fields) -> datetime | None:
    try:
        found = datetime.fromisoformat(text(fields, "time"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _pool_plan(given: Fields, place: int) -> PoolPlan:
    stages, labels = given.get("stages"), given.get("labels")
    memory = number(given, "memory_gib")
    bounds = [whole(given, name) if isinstance(given.get(name), int) else None for name in ("min", "max")]
    return PoolPlan(
        pool=whole(given, "pool", place),
        stages=tuple(str(stage)[:200] for stage in stages) if isinstance(stages, list) else (),
        cpus=number(given, "cpus") if "cpus" in given else None,
        gpus=number(given, "gpus"),
        memory_gib=memory or None,
        labels={str(name): str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {},
        min_workers=bounds[0],
        max_workers=bounds[1],
    )
