"""How a finished run used its workers: seconds up, busy, without work, without room, per pool and pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from raypipe.monitor.runlog import PassLog, PoolPlan, RunLog, Sample

SAMPLE_S = 5.0
"""A sample stands for the time until the next one, but for no longer than this."""
FULL_SHARE = 0.95
"""A queue that holds this share of its budget is full."""
NEAR_SHARE = 0.8
"""From this share of the budget on, a worker may have to wait for room: samples come a moment late."""
Span = tuple[float, float]


@dataclass(frozen=True)
class PoolUse:
    """What became of the time of one pool's workers, in worker-seconds."""

    plan: PoolPlan
    workers: int
    """Most of them at once."""
    up_s: float
    busy_s: float
    no_work_s: float | None
    """Idle, and nothing waited in the queue; None where no sample tells."""
    no_room_s: float | None
    """Idle although work waited: there was no room for what would come out."""
    first_up_s: float | None
    """From the start of the pass to the first worker that was up."""
    calls: int
    rows_out: int
    peak_rss_bytes: int
    most_queued: int
    most_queued_bytes: int
    held_back: tuple[Span, ...]
    """When its workers had work and no room."""

    @property
    def busy_share(self) -> float:
        """Of the time that its workers were up, 0 to 1."""
        return min(1.0, self.busy_s / self.up_s) if self.up_s > 0 else 0.0

    def share(self, seconds: float | None) -> float:
        """`seconds` as a share of the time that its workers were up."""
        return min(1.0, seconds / self.up_s) if seconds and self.up_s > 0 else 0.0


@dataclass(frozen=True)
class PassUse:
    """What became of the time of one pass."""

    work: PassLog
    pools: tuple[PoolUse, ...]
    alone_s: float
    """At its end, how long a single worker was busy although more had been."""
    full: tuple[Span, ...]
    """When blocks between pools filled the budget for queues, where the log has it."""

    @property
    def startup_s(self) -> float:
        """How long there was no worker at all."""
        return min((pool.first_up_s for pool in self.pools if pool.first_up_s is not None), default=0.0)

    @property
    def busy_share(self) -> float:
        """Of the time of all workers of all pools."""
        up = sum(pool.up_s for pool in self.pools)
        return min(1.0, sum(pool.busy_s for pool in self.pools) / up) if up > 0 else 0.0


def use_of(log: RunLog) -> list[PassUse]:
    """The use of every pass, in order."""
    return [pass_use(work) for work in log.passes]


def pass_use(work: PassLog) -> PassUse:
    """The use of one pass."""
    plans = work.pools()
    pools = tuple(_pool_use(work, plan, is_last=plan is plans[-1]) for plan in plans)
    budget = work.queue_budget_bytes
    full = _spans(work, lambda sample: bool(budget) and sample.queued_bytes >= FULL_SHARE * (budget or 0))
    return PassUse(work, pools, _alone_s(work), full)


def up_spans(work: PassLog, pool: int) -> dict[int, list[Span]]:
    """Worker -> when it was up. Where no event tells, from its first call on."""
    spans: dict[int, list[Span]] = {}
    since: dict[int, float] = {}
    for change in sorted((one for one in work.changes if one.pool == pool), key=lambda one: one.t_s):
        at = min(max(change.t_s, work.start_s), work.end_s)
        if change.up:
            since.setdefault(change.worker, at)
        elif change.worker in since:
            spans.setdefault(change.worker, []).append((since.pop(change.worker), at))
    for worker, start in since.items():
        spans.setdefault(worker, []).append((start, work.end_s))
    for call in work.calls:
        if call.pool == pool and call.worker not in spans:
            spans[call.worker] = [(call.start_s, work.end_s)]
    if work.engine == "inline" and spans:
        spans = {0: [(work.start_s, work.end_s)]}
    return spans


def steps_up(spans: Iterable[Span]) -> list[tuple[float, int]]:
    """Moments at which the number of open spans changes, with the number from then on."""
    moves: dict[float, int] = {}
    for start, end in spans:
        moves[start] = moves.get(start, 0) + 1
        moves[end] = moves.get(end, 0) - 1
    steps, count = [], 0
    for at in sorted(moves):
        if moves[at]:
            count += moves[at]
            steps.append((at, count))
    return steps


def _pool_use(work: PassLog, plan: PoolPlan, is_last: bool) -> PoolUse:
    spans = [span for worker in up_spans(work, plan.pool).values() for span in worker]
    calls = [call for call in work.calls if call.pool == plan.pool]
    up_s = sum(end - start for start, end in spans)
    busy_s = sum(call.busy_s for call in calls)
    idle_s = max(0.0, up_s - busy_s)
    waits = _idle(work, plan.pool, is_last)
    samples = [pool for sample in work.samples for pool in sample.pools if pool.pool == plan.pool]
    held = _spans(work, lambda sample: _no_room(work, sample, plan.pool, is_last) > 0)
    return PoolUse(
        plan=plan,
        workers=max((count for _, count in steps_up(spans)), default=0),
        up_s=up_s,
        busy_s=busy_s,
        # Samples tell why workers were idle, calls how long they were.
        no_work_s=None if waits is None else idle_s * waits[0],
        no_room_s=None if waits is None else idle_s * waits[1],
        first_up_s=min((start for start, _ in spans), default=work.start_s) - work.start_s if spans else None,
        calls=sum(call.bundles for call in calls),
        rows_out=sum(call.rows_out for call in calls),
        peak_rss_bytes=max((call.rss_bytes for call in calls), default=0),
        most_queued=max((pool.queued for pool in samples), default=0),
        most_queued_bytes=max((pool.queued_bytes for pool in samples), default=0),
        held_back=held,
    )


def _idle(work: PassLog, pool: int, is_last: bool) -> tuple[float, float] | None:
    """Shares of the idle time without work, and without room, as samples saw them; None without samples."""
    if not work.samples:
        return None
    idle = no_work = no_room = 0.0
    for sample, seconds in _weighed(work):
        for one in sample.pools:
            if one.pool == pool:
                free = max(0, one.up - one.busy) * seconds
                idle += free
                no_work += 0.0 if one.queued else free
        no_room += _no_room(work, sample, pool, is_last) * seconds
    return (no_work / idle, min(1.0, no_room / idle)) if idle else (0.0, 0.0)


def _no_room(work: PassLog, sample: Sample, pool: int, is_last: bool) -> int:
    """Idle workers of a pool that had work; those of the last pool wait for nobody's room, only for the driver.

    Where the log has the budget for queues, they wait for room only while it is about used up.
    """
    budget = work.queue_budget_bytes
    if is_last or (budget and sample.queued_bytes < NEAR_SHARE * budget):
        return 0
    return sum(max(0, one.up - one.busy) for one in sample.pools if one.pool == pool and one.queued)


def _weighed(work: PassLog) -> list[tuple[Sample, float]]:
    """Each sample with the seconds that it stands for."""
    ends = [*(sample.t_s for sample in work.samples[1:]), work.end_s]
    return [
        (sample, min(max(0.0, end - sample.t_s), SAMPLE_S)) for sample, end in zip(work.samples, ends, strict=False)
    ]


def _spans(work: PassLog, holds: Callable[[Sample], bool]) -> tuple[Span, ...]:
    """When something held, sample after sample, joined."""
    found: list[Span] = []
    for sample, seconds in _weighed(work):
        if not holds(sample):
            continue
        if found and sample.t_s - found[-1][1] < 1e-6:
            found[-1] = (found[-1][0], sample.t_s + seconds)
        else:
            found.append((sample.t_s, sample.t_s + seconds))
    return tuple(found)


def _alone_s(work: PassLog) -> float:
    """From the last moment at which two workers were busy to the end of the last call."""
    if len({(call.pool, call.worker) for call in work.calls}) < 2 or any(call.bundles > 1 for call in work.calls):
        return 0.0
    steps = steps_up((call.start_s, call.end_s) for call in work.calls)
    together = [at for (_, before), (at, _) in itertools.pairwise(steps) if before > 1]
    return max(0.0, steps[-1][0] - together[-1]) if together else 0.0


def total(spans: Sequence[Span]) -> float:
    """Seconds that they cover together; they do not overlap."""
    return sum(end - start for start, end in spans)
