"""From a log to the values that the template of the timeline prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raypipe.dashboard import numbers
from raypipe.dashboard.overview import Card
from raypipe.dashboard.timeline_course import KINDS, course_chart, is_inline, shown_marks
from raypipe.dashboard.timeline_figures import Clock, TimeChart
from raypipe.dashboard.timeline_lanes import lanes_of
from raypipe.dashboard.timeline_series import memory_chart, queue_chart, rate_chart, up_chart
from raypipe.dashboard.timeline_workers import lanes_chart
from raypipe.monitor.limits import Limit, limits_of
from raypipe.monitor.runlog import PassLog, RunLog
from raypipe.monitor.usage import PassUse, PoolUse, use_of

MAX_PASSES = 40
MAX_STAGES = 40
"""Stages listed a pass."""
STAGE_SHADES = 7
MIN_TOLD_S = 0.1
MB = 1e6


@dataclass(frozen=True)
class Share:
    """A stretch of a pool's bar."""

    kind: str
    word: str
    text: str
    share: float


def sections_of(log: RunLog) -> dict[str, Any]:
    """All sections of the page."""
    clock = Clock(max(log.end_s, 1e-3))
    uses = use_of(log)
    limits = limits_of(log)
    lanes = lanes_of(log)
    charts: dict[str, TimeChart | None] = {
        "course": course_chart(log, clock),
        "lanes": lanes_chart(lanes, log, clock),
        "up": up_chart(log, clock),
        "queues": queue_chart(log, clock),
        "memory": memory_chart(log, clock),
        "rate": rate_chart(log, clock),
    }
    return {
        "verdict": verdict_of(log, limits),
        "cards": cards_of(log, uses),
        "went": _went(log),
        "limits": limits,
        "figures": charts,
        "why_no": why_no(log),
        "pools": [_pool_line(use, pool) for use in uses[:MAX_PASSES] for pool in use.pools],
        "passes": [_pass_section(use) for use in uses[:MAX_PASSES]],
        "passes_hidden": max(0, len(uses) - MAX_PASSES),
        "events": _events(log),
        "about": _about(log),
        "charts": [made.chart for made in charts.values() if made is not None],
    }


def verdict_of(log: RunLog, limits: list[Limit]) -> tuple[str, str, str]:
    """Level, word and sentence: how the run went, and the first thing that limited it."""
    main = next((limit.text for limit in limits if not limit.trouble), "")
    trouble = [mark for mark in log.marks if mark.is_trouble]
    if log.status == "failed":
        return "critical", "Failed", numbers.clip(log.sessions[-1].error or "the log does not say why", 400)
    if log.status == "cancelled":
        return "medium", "Cancelled", f"after {numbers.seconds(log.seconds)}. {main}"
    if log.status != "completed":
        return "medium", "Unfinished", "The log ends without saying how: at work still, or its process was killed."
    if trouble:
        return "low", "Completed, with trouble", main
    return "good", "Completed", main


def _went(log: RunLog) -> list[Share]:
    """How the time splits into the stages of the run, in their order."""
    spent: dict[str, float] = {}
    for band in log.bands:
        spent[band.stage] = spent.get(band.stage, 0.0) + band.end_s - band.start_s
    whole = sum(spent.values())
    if not whole:
        return []
    return [
        Share(f"s{at % STAGE_SHADES}", stage.replace("_", " "), numbers.seconds(seconds), seconds / whole)
        for at, (stage, seconds) in enumerate(list(spent.items())[:MAX_STAGES])
    ]


def cards_of(log: RunLog, uses: list[PassUse]) -> list[Card]:
    """The key figures in reading order."""
    sessions = (("Sessions", str(len(log.sessions))),) if len(log.sessions) > 1 else ()
    before = log.sessions[0].passes[0].start_s - log.sessions[0].start_s if log.sessions[0].passes else 0.0
    start = (("Before the first pass", numbers.seconds(before)),) if before >= MIN_TOLD_S else ()
    longest = sorted(log.passes, key=lambda work: -work.seconds)[:3]
    return [
        Card(
            "duration", "Duration", numbers.seconds(log.seconds), "",
            _engine(log), (*start, *sessions),
        ),
        Card(
            "passes", "Passes over the data", str(len(log.passes)), "", "",
            tuple((work.title, numbers.seconds(work.seconds)) for work in longest),
        ),
        _rows_card(log),
        _workers_card(uses),
        _memory_card(log),
        _trouble_card(log),
    ]  # fmt: skip


def why_no(log: RunLog) -> dict[str, str]:
    """Why a figure is absent."""
    inline = is_inline(log)
    no_pass = "no pass began"
    too_short = "no pass lasted long enough for samples, which are taken about once a second"
    return {
        "lanes": no_pass if not log.passes else "no call came to its end",
        "up": no_pass if not log.passes else "the inline engine has none" if inline else "no worker came up",
        "queues": "the inline engine has no queues" if inline else too_short,
        "memory": "the inline engine takes no samples of it; its peak stands above" if inline else too_short,
        "rate": "no rows came through",
    }


def _engine(log: RunLog) -> str:
    last = log.sessions[-1]
    return f"{last.engine}: {last.why.removeprefix('engine: ')}" if last.engine and last.why else last.engine


def _rows_card(log: RunLog) -> Card:
    rows = next((session.rows for session in reversed(log.sessions) if session.rows), {})
    read = rows.get("read")
    if read is None:
        read = next((work.rows_in for work in log.passes if work.rows_in is not None), None)
    if read is None:
        read = next((stage.rows_in for work in log.passes for stage in work.stages[:1]), None)
    if read is None:
        return Card("rows", "Rows read", numbers.NOT_AVAILABLE, "", "no pass came to its end")
    pace = f"{numbers.compact(read / log.seconds)} rows a second" if log.seconds > 0 else ""
    named = [("Kept", "kept"), ("Quarantined", "quarantined"), ("Dropped", "dropped")]
    return Card(
        "rows", "Rows read", numbers.compact(read), "", pace,
        tuple((word, numbers.count(rows[name])) for word, name in named if name in rows),
    )  # fmt: skip


def _workers_card(uses: list[PassUse]) -> Card:
    most = max((sum(pool.workers for pool in use.pools) for use in uses), default=0)
    up = sum(pool.up_s for use in uses for pool in use.pools)
    busy = sum(pool.busy_s for use in uses for pool in use.pools)
    if not up:
        return Card("workers", "Workers", numbers.NOT_AVAILABLE, "", "no worker came up")
    lines = (("Worked", numbers.seconds(busy)), ("Were up", numbers.seconds(up)))
    return Card(
        "workers", "Workers at most", numbers.count(most), "", f"busy {numbers.share(min(1.0, busy / up))}", lines
    )


def _memory_card(log: RunLog) -> Card:
    worker = max(
        (
            *(work.peak_rss_bytes or 0 for work in log.passes),
            *(call.rss_bytes for work in log.passes for call in work.calls),
        ),
        default=0,
    )
    samples = [sample for work in log.passes for sample in work.samples]
    driver = max((sample.driver_rss_bytes for sample in samples), default=0)
    sampled = max((sample.queued_bytes + sample.kept_bytes for sample in samples), default=0)
    store = max([sampled, *(work.store_peak_bytes or 0 for work in log.passes)])
    if not worker and not driver:
        return Card("memory", "Memory", numbers.NOT_AVAILABLE, "", "the log does not tell of it")
    lines = (("Driver", driver), ("Object store", store))
    return Card(
        "memory", "Largest worker", numbers.size(worker), "", "resident memory at its peak",
        tuple((word, numbers.size(value)) for word, value in lines if value),
    )  # fmt: skip


def _trouble_card(log: RunLog) -> Card:
    marks = [mark for mark in log.marks if mark.is_trouble]
    counted: dict[str, int] = {}
    for mark in marks:
        counted[KINDS[mark.kind]] = counted.get(KINDS[mark.kind], 0) + 1
    aside = sum(stage.rows_aside for work in log.passes for stage in work.stages)
    top = sorted(counted.items(), key=lambda pair: -pair[1])[:2]
    lines = [(word.capitalize(), numbers.count(count)) for word, count in top]
    lines += [("Rows set aside", numbers.count(aside))] if aside else []
    text = "nothing was lost, nothing stalled" if not marks else "stalls, losses and repairs"
    unit = "event" if len(marks) == 1 else "events"
    return Card("trouble", "Trouble", numbers.count(len(marks)), unit, text, tuple(lines))


def _pool_line(use: PassUse, pool: PoolUse) -> dict[str, Any]:
    """A line of the table of pools, with the bar of where its time went."""
    work = use.work
    known = pool.no_work_s is not None and pool.no_room_s is not None
    busy = pool.busy_share
    no_work, no_room = pool.share(pool.no_work_s), pool.share(pool.no_room_s)
    rest = max(0.0, 1 - busy - no_work - no_room)
    shares = [Share("busy", "worked", numbers.share(busy), busy)]
    if known:
        shares += [
            Share("nowork", "waited for work", numbers.share(no_work), no_work),
            Share("noroom", "waited for room", numbers.share(no_room), no_room),
        ]
    shares.append(Share("rest", "between calls" if known else "idle", numbers.share(rest), rest))
    plan = pool.plan
    wants = [f"{plan.cpus:g} CPU"] if plan.cpus is not None else []
    wants += [f"{plan.gpus:g} GPU"] if plan.gpus else []
    wants += [f"{plan.memory_gib:g} GiB"] if plan.memory_gib else []
    wants += [f"{name}={value}" for name, value in plan.labels.items()]
    bounds = f"{plan.min_workers or 1:,} to {plan.max_workers:,}" if plan.max_workers else ""
    return {
        "pass": f"{work.number} {work.name}".strip(),
        "pool": "this process" if work.engine == "inline" else f"pool {plan.pool + 1}",
        "stages": " > ".join(plan.stages),
        "wants": ", ".join(wants),
        "bounds": bounds,
        "workers": pool.workers,
        "calls": pool.calls,
        "rows": pool.rows_out,
        "busy": numbers.seconds(pool.busy_s),
        "shares": [share for share in shares if share.share >= 0.0005],
        "first_up": numbers.seconds(pool.first_up_s) if pool.first_up_s and pool.first_up_s >= 0.01 else "",
        "queued": pool.most_queued,
        "queued_bytes": numbers.size(pool.most_queued_bytes) if pool.most_queued_bytes else "–",
        "rss": numbers.size(pool.peak_rss_bytes) if pool.peak_rss_bytes else "n/a",
    }


def _pass_section(use: PassUse) -> dict[str, Any]:
    """One pass: its facts, and a line a stage."""
    work = use.work
    facts = [
        ("Took", numbers.seconds(work.seconds)),
        ("Engine", work.engine),
        ("Parts", numbers.count(work.parts) if work.parts is not None else ""),
        ("Bundles", numbers.count(work.bundles) if work.bundles is not None else ""),
        ("Rows in", numbers.count(work.rows_in) if work.rows_in is not None else ""),
        ("Rows out", numbers.count(work.rows_out) if work.rows_out is not None else ""),
        ("Workers restarted", numbers.count(work.worker_restarts) if work.worker_restarts else ""),
        ("Object store at most", numbers.size(work.store_peak_bytes) if work.store_peak_bytes else ""),
    ]
    return {
        "title": work.title,
        "finished": work.finished,
        "facts": [(name, value) for name, value in facts if value],
        "stages": _stage_lines(work),
        "hidden": max(0, len(work.stages) - MAX_STAGES),
    }


def _stage_lines(work: PassLog) -> list[dict[str, Any]]:
    busy = sum(stage.busy_s for stage in work.stages)
    return [
        {
            "stage": stage.stage,
            "rows_in": stage.rows_in,
            "rows_out": stage.rows_out,
            "aside": stage.rows_aside,
            "failed": stage.rows_failed,
            "dropped": stage.rows_dropped,
            "busy_s": stage.busy_s,
            "busy": numbers.seconds(stage.busy_s),
            "share": stage.busy_s / busy if busy else 0.0,
            "speed": numbers.number(stage.bytes_out / MB / stage.busy_s, 3) if stage.busy_s > 0 else "–",
            "rss": numbers.size(stage.peak_rss_bytes) if stage.peak_rss_bytes else "–",
        }
        for stage in work.stages[:MAX_STAGES]
    ]


def _events(log: RunLog) -> dict[str, Any]:
    marks, hidden = shown_marks(log)
    lines = [
        {
            "t_s": mark.t_s,
            "when": numbers.seconds(mark.t_s),
            "kind": KINDS.get(mark.kind, mark.kind),
            "text": mark.text,
            "trouble": mark.is_trouble,
        }
        for mark in marks
    ]
    return {"lines": lines, "hidden": hidden}


def _about(log: RunLog) -> list[tuple[str, str]]:
    facts = [
        ("Run", log.run_id),
        ("Source", log.source),
        ("Engine", _engine(log)),
        ("Lines of the log", numbers.count(log.lines)),
        ("Lines that could not be read", numbers.count(log.cut_lines) if log.cut_lines else ""),
    ]
    for number, session in enumerate(log.sessions, start=1):
        if len(log.sessions) > 1:
            lay = f", after {numbers.seconds(session.away_s)} of rest" if session.away_s is not None else ""
            facts.append(
                (f"Session {number}", f"{numbers.seconds(session.seconds)}, {session.status or 'cut off'}{lay}")
            )
    unknown = log.unknown.most_common(8)
    if unknown:
        said = ", ".join(f"{name} ({count:,})" for name, count in unknown)
        facts.append(("Events without a place here", said))
    return [(name, value) for name, value in facts if value]
