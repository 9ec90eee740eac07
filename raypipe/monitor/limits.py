"""What limited a run, in plain words, by rules that are told with each sentence.

The rules look at one log and know nothing else; where a log does not tell, no sentence is made of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from raypipe.monitor.runlog import Mark, PassLog, RunLog
from raypipe.monitor.usage import PassUse, PoolUse, Span, total, use_of

BUSY_SHARE = 0.85
"""A pool is at its limit when its workers were busy for this share of the time that they were up."""
IDLE_SHARE = 0.6
"""Pools beside it waited when they were busy for less than this."""
TOLD_SHARE = 0.1
"""What took less than this share of the run is not told."""
TOLD_S = 1.0
"""What took less than this many seconds is not told either."""
HEAVY_SHARE = 0.4
"""A stage is named when it took this share of the busy time of its pass."""
SHORT_S = 2.0
"""A shorter run is mostly its start and its end."""
WORTH_SHARE = 0.02
FOUND = 12


@dataclass(frozen=True)
class Limit:
    """One sentence about what took the time, or went wrong."""

    kind: str
    text: str
    rule: str
    """When it is said."""
    seconds: float = 0.0
    """The time that it is about; the most comes first."""
    trouble: bool = False
    advice: str = ""


_ORDER = {"ended": 0, "resumed": 0}


def limits_of(log: RunLog) -> list[Limit]:
    """What limited the run: how it ended, then by the time that it took, then what went wrong."""
    uses = use_of(log)
    found = [*_trouble(log), *_ended(log)]
    for use in uses:
        found += [*_bottleneck(use, log), *_startup(use, log), *_held(use, log), *_tail(use, log)]
    found += [*_where(log), *_outside(log)]
    told = [limit for limit in found if limit.trouble or limit.seconds >= min(TOLD_S, 0.2 * log.seconds)]
    ranked = sorted(told, key=lambda limit: (_ORDER.get(limit.kind, 1 + limit.trouble), -limit.seconds))
    return ranked[:FOUND] or [_nothing(log)]


def _where(log: RunLog) -> list[Limit]:
    """The pass that took most of the time."""
    work = max(log.passes, key=lambda one: one.seconds, default=None)
    if work is None or len(log.passes) < 2 or not log.seconds or work.seconds < 0.5 * log.seconds:
        return []
    share = _p(work.seconds / log.seconds)
    text = f"{_cap(work.title)} took {duration(work.seconds)} of {duration(log.seconds)} ({share})."
    return [Limit("where", text, "a pass that took at least half of the time is named", work.seconds)]


def _bottleneck(use: PassUse, log: RunLog) -> list[Limit]:
    """A pool that worked while the others waited; or all that worked; or none."""
    work, pools = use.work, [pool for pool in use.pools if pool.calls]
    if not pools or work.seconds < TOLD_SHARE * log.seconds:
        return []
    top = max(pools, key=lambda pool: pool.busy_share)
    others = [pool for pool in pools if pool is not top]
    if others and top.busy_share >= BUSY_SHARE and all(pool.busy_share < IDLE_SHARE for pool in others):
        said = "; ".join(f"{_name(pool)} {_waited(pool)}" for pool in others[:3])
        return [
            Limit(
                "pool",
                f"In {work.title}, {_name(top)} was busy {_p(top.busy_share)} of the time of its {_workers(top)}, "
                f"while {said}.",
                f"a pool busy for at least {_p(BUSY_SHARE)} beside pools below {_p(IDLE_SHARE)} limits its pass",
                work.seconds,
                advice=f"More workers for this pool, or a faster stage in it, make the pass faster.{_heavy(work, top)}",
            )
        ]
    at_once = sum(pool.busy_s for pool in pools) / max(work.seconds, 1e-9)
    if work.cpus and len(pools) > 1 and at_once >= BUSY_SHARE * work.cpus:
        return [_crowded(use, pools, at_once)]
    if use.busy_share >= BUSY_SHARE:
        return [_all_busy(use, pools)]
    if work.engine != "inline" and use.busy_share < IDLE_SHARE and sum(pool.up_s for pool in pools) > TOLD_S:
        return [_idle(use, pools)]
    return []


def _all_busy(use: PassUse, pools: list[PoolUse]) -> Limit:
    work = use.work
    inline = work.engine == "inline"
    who = "this process was" if inline else f"the workers of {_all(pools)} were"
    more = "Ray would use all cores." if inline else "It runs faster with more CPUs."
    return Limit(
        "cpus",
        f"In {work.title}, {who} busy {_p(use.busy_share)} of the time: the work itself was the limit.",
        f"workers busy for at least {_p(BUSY_SHARE)} of the time that they were up",
        work.seconds,
        advice=more + _heavy(work, None),
    )


def _crowded(use: PassUse, pools: list[PoolUse], at_once: float) -> Limit:
    """Workers of several pools that share the CPUs."""
    work, cpus = use.work, use.work.cpus or 0.0
    heaviest = max(pools, key=lambda pool: pool.busy_s)
    return Limit(
        "cpus",
        f"In {work.title}, {at_once:.1f} workers of {len(pools)} pools worked at once on {cpus:g} CPUs: the CPUs were "
        "the limit.",
        f"workers at work, on average, for at least {_p(BUSY_SHARE)} of the CPUs",
        work.seconds,
        advice=f"It runs faster with more CPUs. {_cap(_name(heaviest))} took the most.{_heavy(work, None)}",
    )


def _idle(use: PassUse, pools: list[PoolUse]) -> Limit:
    work = use.work
    workers = sum(pool.workers for pool in pools)
    said = "; ".join(f"{_name(pool)} {_waited(pool)}" for pool in pools[:3])
    advice = "Reading, the driver, or CPUs that others use as well were the limit, not the number of workers."
    if work.bundles is not None and work.bundles < 2 * workers:
        advice = (
            f"There were {work.bundles:,} bundles for {workers:,} workers: smaller blocks (engine.block_mib) would "
            "share the work more evenly."
        )
    return Limit(
        "idle",
        f"In {work.title}, workers were busy {_p(use.busy_share)} of the time that they were up: {said}.",
        f"workers busy for less than {_p(IDLE_SHARE)} of the time that they were up",
        work.seconds * (1 - use.busy_share),
        advice=advice,
    )


def _startup(use: PassUse, log: RunLog) -> list[Limit]:
    if use.startup_s < TOLD_SHARE * log.seconds and use.startup_s < 5 * TOLD_S:
        return []
    waits = [change.waited_s for change in use.work.changes if change.waited_s is not None]
    longest = (
        f", the last of them after {duration(max(waits))}"
        if len(waits) > 1 and max(waits) > 1.2 * use.startup_s
        else ""
    )
    text = f"In {use.work.title}, workers took {duration(use.startup_s)} to start{longest}; nothing was done meanwhile."
    rule = f"no worker was up for {_p(TOLD_SHARE)} of the run, or for 5 s"
    advice = "Workers stay warm for later runs of one process; a small source is faster with --engine inline."
    return [Limit("startup", text, rule, use.startup_s, advice=advice)]


def _held(use: PassUse, log: RunLog) -> list[Limit]:
    """Queues that were full: by their budget where it is known, else by workers that had no room."""
    found = []
    budget = use.work.queue_budget_bytes
    if total(use.full) >= TOLD_SHARE * use.work.seconds and budget:
        text = (
            f"In {use.work.title}, blocks between pools filled their budget of {budget >> 20:,} MiB {_when(use.full)}."
        )
        rule = f"blocks that wait took at least 95 % of their budget for {_p(TOLD_SHARE)} of the pass"
        advice = "A larger budget (engine.memory_gib) only helps where the pool behind it catches up later."
        found.append(Limit("queue", text, rule, total(use.full), advice=advice))
        return found
    for pool in use.pools:
        held = total(pool.held_back)
        if held >= TOLD_SHARE * use.work.seconds and pool.share(pool.no_room_s) >= TOLD_SHARE:
            text = (
                f"In {use.work.title}, {_name(pool)} had work and no room for what it makes {_when(pool.held_back)}: "
                "the queue behind it was full."
            )
            rule = f"idle workers with work before them, for {_p(TOLD_SHARE)} of the pass"
            found.append(Limit("queue", text, rule, held))
    return found


def _tail(use: PassUse, log: RunLog) -> list[Limit]:
    if use.alone_s < TOLD_SHARE * use.work.seconds or use.alone_s < TOLD_SHARE * log.seconds / 2:
        return []
    text = f"In {use.work.title}, one worker worked alone for the last {duration(use.alone_s)}."
    rule = f"only one worker was busy for the last {_p(TOLD_SHARE)} of a pass"
    return [Limit("tail", text, rule, use.alone_s, advice="Smaller blocks (engine.block_mib) end closer together.")]


def _outside(log: RunLog) -> list[Limit]:
    """Time of the driver alone: before the first pass, between passes, and in stages without one."""
    found = []
    for number, session in enumerate(log.sessions, start=1):
        if session.passes:
            before = session.passes[0].start_s - session.start_s
            if before >= TOLD_SHARE * log.seconds:
                where = f" of session {number}" if len(log.sessions) > 1 else ""
                began = ", and Ray was started" if session.passes[0].engine != "inline" else ""
                text = f"{duration(before)} passed before the first pass{where}: the source was looked at{began}."
                found.append(Limit("before", text, f"more than {_p(TOLD_SHARE)} of the run", before))
    for band in log.bands:
        inside = sum(max(0.0, min(band.end_s, work.end_s) - max(band.start_s, work.start_s)) for work in log.passes)
        own = band.end_s - band.start_s - inside
        if own >= TOLD_SHARE * log.seconds and inside < own and band.stage not in ("initialization", "data_loading"):
            text = f"{duration(own)} went to {band.stage.replace('_', ' ')}, in the driver alone."
            found.append(Limit("driver", text, f"more than {_p(TOLD_SHARE)} of the run, outside of passes", own))
    return found


def _trouble(log: RunLog) -> list[Limit]:
    """What went wrong, counted."""
    marks = log.marks
    kinds = Counter(mark.kind for mark in marks)
    lost = [mark for mark in marks if mark.kind in ("worker_lost", "worker_stuck")]
    gone = max(len(lost), kinds["worker_restarted"])
    found: list[Limit] = []

    def add(kind: str, text: str, rule: str, seconds: float = 0.0, advice: str = "") -> None:
        found.append(Limit(kind, text, rule, seconds, True, advice))

    stalls = stall_seconds(marks)
    if stalls:
        last = next(mark for mark in reversed(marks) if mark.kind == "stall")
        add(
            "stall",
            f"Nothing moved for {duration(stalls)} in all. {_cap(last.text)}.",
            "each stall counts once",
            stalls,
        )
    if gone:
        add("workers", f"{_n(gone, 'worker')} lost or ended; the calls ran again.", "each loss counts once")
    if kinds["blocks_lost"]:
        bundles = sum(mark.count or 1 for mark in marks if mark.kind == "blocks_lost")
        add("blocks", f"Blocks of {_n(bundles, 'bundle')} were lost and made again.", "each loss counts once")
    probes = [mark for mark in marks if mark.kind in ("probe", "trial")]
    if probes:
        seconds = sum(mark.seconds for mark in probes)
        text = f"{_n(len(probes), 'trial')} looked for rows that end their worker, {duration(seconds)} in all."
        add("probes", text, "each trial counts once", seconds)
    if blamed := sum(mark.count for mark in marks if mark.kind == "rows_blamed"):
        add("rows", f"{_n(blamed, 'row')} set aside for ending their worker.", "each row counts once")
    if kinds["memory_low"]:
        often = kinds["memory_low"]
        text = f"Memory was low {'once' if often == 1 else f'{often:,} times'}; blocks were cut smaller."
        add("memory", text, "each event counts once", advice="A smaller engine.block_mib or fewer workers need less.")
    return found


def stall_seconds(marks: Iterable[Mark]) -> float:
    """How long nothing moved: a stall is told again while it lasts, each time with all its seconds."""
    seconds, held = 0.0, 0.0
    for mark in marks:
        if mark.kind == "stall":
            if mark.seconds <= held:
                seconds += held
            held = mark.seconds
    return seconds + held


def _ended(log: RunLog) -> list[Limit]:
    """A run that was cut short, or resumed."""
    found = []
    last = log.sessions[-1]
    if last.status in ("failed", "cancelled"):
        why = f": {last.error}" if last.error and last.status == "failed" else ""
        found.append(
            Limit("ended", f"The run {'failed' if why else 'was ' + last.status}{why}", "run_done tells it", 0, True)
        )
    elif not last.status:
        text = "The log ends without saying how the run ended: it is still at work, or its process was killed."
        found.append(Limit("ended", text, "no run_done at the end", 0, True))
    if len(log.sessions) > 1:
        away = [duration(session.away_s) for session in log.sessions[1:] if session.away_s is not None]
        lay = f"; it lay still for {', '.join(away[:5])}" if away else ""
        again = len(log.sessions) - 1
        text = f"The run was taken up again {'once' if again == 1 else f'{again:,} times'}{lay}."
        found.append(Limit("resumed", text, "sessions in the log", 0, True))
    return found


def _nothing(log: RunLog) -> Limit:
    if log.seconds < SHORT_S:
        text = f"The run took {duration(log.seconds)}; nothing stands out, and there is little to gain."
        return Limit("nothing", text, f"a run below {SHORT_S:g} s of which nothing else is told")
    return Limit("nothing", "Nothing stands out: no rule of this page found a limit.", "no other sentence was made")


def _heavy(work: PassLog, pool: PoolUse | None) -> str:
    """The stage that took most of the busy time, if it took much of it."""
    within = [stage for stage in work.stages if pool is None or not pool.plan.stages or stage.stage in pool.plan.stages]
    busy = sum(stage.busy_s for stage in within)
    top = max(within, key=lambda stage: stage.busy_s, default=None)
    if top is None or len(within) < 2 or top.busy_s < HEAVY_SHARE * busy:
        return ""
    return f" {top.stage} took {_p(top.busy_s / busy)} of the busy time."


def _waited(pool: PoolUse) -> str:
    """How a pool that was not busy spent its time."""
    waits = [
        f"{_p(pool.share(seconds))} for {what}"
        for what, seconds in (("work", pool.no_work_s), ("room", pool.no_room_s))
        if pool.share(seconds) >= WORTH_SHARE
    ]
    busy = f"was busy {_p(pool.busy_share)}"
    return f"{busy} and waited {' and '.join(waits)}" if waits else busy


def _when(spans: tuple[Span, ...]) -> str:
    """The longest time, and all of them together."""
    longest = max(spans, key=lambda span: span[1] - span[0])
    said = f"from {duration(longest[0])} to {duration(longest[1])}"
    return said if len(spans) == 1 else f"{said}, and {duration(total(spans))} in all"


def _name(pool: PoolUse) -> str:
    return pool.plan.title


def _all(pools: list[PoolUse]) -> str:
    return _name(pools[0]) if len(pools) == 1 else f"all {len(pools)} pools"


def _workers(pool: PoolUse) -> str:
    return f"{pool.workers:,} worker{'' if pool.workers == 1 else 's'}"


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")


def _p(share: float) -> str:
    return f"{share * 100:.0f} %"


def duration(seconds: float) -> str:
    """A duration in two figures.

    Examples
    --------
    >>> duration(0.42), duration(12.34), duration(185), duration(8000)
    ('0.42 s', '12 s', '3 min 5 s', '2 h 13 min')
    """
    if seconds < 9.95:
        return f"{seconds:.2g} s" if seconds >= 0.01 else "0 s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
