"""Calls and series of a log, bounded for a page: lanes of workers, joined bars, thinned lines. Numbers only."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from raypipe.monitor.runlog import Call, PassLog, RunLog
from raypipe.monitor.usage import Span, up_spans

MAX_BARS = 3_000
MAX_LANES = 48
MIN_LANES = 2
"""Lanes that each pool keeps of its own, however many pools there are."""
MAX_POINTS = 900
MAX_SPANS = 2_000
_PID_FROM = 10_000
"""Older logs number workers by their process."""
NAN = math.nan


@dataclass
class Lane:
    """One worker of one pool, over all passes; or the rest of a pool that has too many."""

    pool: int
    label: str
    workers: tuple[int, ...]
    up: list[Span] = field(default_factory=list)
    calls: int = 0
    busy_s: float = 0.0
    peak_rss_bytes: int = 0
    rows_out: int = 0


@dataclass
class Bar:
    """Calls of one lane that are drawn as one."""

    lane: int
    work: PassLog
    start_s: float
    end_s: float
    busy_s: float
    bundles: int
    rows_out: int
    rss_bytes: int
    part: str
    """The first of them."""
    workers: int = 1

    @property
    def busy_share(self) -> float:
        """Of its span, 0 to 1."""
        span = (self.end_s - self.start_s) * self.workers
        return min(1.0, self.busy_s / span) if span > 0 else 1.0


@dataclass
class Lanes:
    """All lanes with their bars, and what was joined to bound them."""

    lanes: list[Lane]
    bars: list[Bar]
    joined_s: float
    """Calls of a lane that lie within so many seconds are one bar; 0 where each call has its own."""
    calls: int

    def place(self, pool: int | None, worker: int | None) -> int | None:
        """The lane of a worker."""
        return next((at for at, lane in enumerate(self.lanes) if lane.pool == pool and worker in lane.workers), None)


def lanes_of(log: RunLog, max_bars: int = MAX_BARS, max_lanes: int = MAX_LANES) -> Lanes:
    """One lane a worker, where they fit; the calls as bars, at most `max_bars`."""
    lanes = _lanes(log, max_lanes)
    place = {(lane.pool, worker): at for at, lane in enumerate(lanes) for worker in lane.workers}
    found: list[tuple[int, PassLog, Call]] = []
    for work in log.passes:
        for call in work.calls:
            at = place[call.pool, call.worker]
            lane = lanes[at]
            lane.calls += call.bundles
            lane.busy_s += call.busy_s
            lane.rows_out += call.rows_out
            lane.peak_rss_bytes = max(lane.peak_rss_bytes, call.rss_bytes)
            found.append((at, work, call))
        for pool in {lane.pool for lane in lanes}:
            for worker, spans in up_spans(work, pool).items():
                if (pool, worker) in place:
                    lanes[place[pool, worker]].up += spans
    for lane in lanes:
        lane.up = _joined(lane.up)
    within = 0.0
    bars = _bars(found, lanes, within)
    step = max(log.end_s, 1e-3) / max(1, max_bars // max(1, len(lanes)))
    while len(bars) > max_bars or (within == 0 and any(len(lane.workers) > 1 for lane in lanes)):
        within = step if within == 0 else within * 1.6
        bars = _bars(found, lanes, within)
    return Lanes(lanes, bars, within, sum(lane.calls for lane in lanes))


def _lanes(log: RunLog, most: int) -> list[Lane]:
    workers: dict[int, set[int]] = defaultdict(set)
    for work in log.passes:
        for call in work.calls:
            workers[call.pool].add(call.worker)
        for change in work.changes:
            workers[change.pool].add(change.worker)
    lanes: list[Lane] = []
    room = max(MIN_LANES, most // max(1, len(workers)))
    for pool in sorted(workers):
        ids = sorted(workers[pool])
        by_pid = ids[-1] >= _PID_FROM
        shown = ids if len(ids) <= room else ids[: room - 1]
        lanes += [Lane(pool, _label(at if by_pid else worker), (worker,)) for at, worker in enumerate(shown)]
        if rest := ids[len(shown) :]:
            lanes.append(Lane(pool, f"{len(rest):,} further", tuple(rest)))
    return lanes


def _label(worker: int) -> str:
    return f"worker {worker + 1}" if worker >= 0 else "on trial"


def _bars(found: Sequence[tuple[int, PassLog, Call]], lanes: Sequence[Lane], within: float) -> list[Bar]:
    """One bar a call, or one for all calls of a lane and pass whose middles lie in one step of `within` seconds."""
    made: dict[tuple[int, int, float], Bar] = {}
    last: dict[int, float] = {}
    for number, (lane, work, call) in enumerate(found):
        alone = len(lanes[lane].workers) == 1
        # A worker does one thing at a time; the driver hears of it a little later.
        start = max(call.start_s, min(last.get(lane, 0.0), call.end_s)) if alone else call.start_s
        last[lane] = call.end_s
        step = (start + call.end_s) / 2 // within if within else float(number)
        bar = made.get((lane, work.number, step))
        if bar is None:
            made[lane, work.number, step] = Bar(
                lane, work, start, call.end_s, call.busy_s, call.bundles, call.rows_out, call.rss_bytes, call.part,
                len(lanes[lane].workers),
            )  # fmt: skip
            continue
        bar.start_s, bar.end_s = min(bar.start_s, start), max(bar.end_s, call.end_s)
        bar.busy_s += call.busy_s
        bar.bundles += call.bundles
        bar.rows_out += call.rows_out
        bar.rss_bytes = max(bar.rss_bytes, call.rss_bytes)
    return list(made.values())


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch or overlap as one, and no more than can be drawn."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1] + 1e-9:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined[:MAX_SPANS]


Line = list[tuple[float, float]]


def thinned(points: Line, most: int = MAX_POINTS) -> Line:
    """At most about `most` points of a line; of each stretch the highest one stays, and every gap (NaN)."""
    if len(points) <= most:
        return points
    start, end = points[0][0], points[-1][0]
    width = (end - start) / most or 1.0
    kept: dict[int, tuple[float, float]] = {}
    gaps: dict[int, tuple[float, float]] = {}
    for at, value in points:
        step = int((at - start) / width)
        if math.isnan(value):
            gaps[step] = (at, value)
        elif step not in kept or value > kept[step][1]:
            kept[step] = (at, value)
    return sorted([*kept.values(), *gaps.values()], key=lambda point: point[0])


def table_of(lines: Sequence[Line]) -> tuple[list[float], list[list[float]]]:
    """Lines on common moments: each holds its last value until its next one."""
    moments = sorted({at for line in lines for at, _ in line})
    columns = []
    for line in lines:
        values, place, now = [], 0, NAN
        for at in moments:
            while place < len(line) and line[place][0] <= at:
                now = line[place][1]
                place += 1
            values.append(now)
        columns.append(values)
    return moments, columns


def rate_of(calls: Sequence[Call], start: float, end: float, width: float) -> Line:
    """Rows a second in steps of `width` seconds: a call's rows are spread over its time."""
    steps = max(1, math.ceil((end - start) / width))
    rows = [0.0] * steps
    for call in calls:
        first, last = call.start_s - start, call.end_s - start
        a, b = int(max(0.0, first) / width), min(steps - 1, int(max(0.0, last) / width))
        span = max(last - first, 1e-9)
        if b - a > 200:  # a line of a long log may stand for much of the run; its ends are enough
            a = b
        for step in range(a, b + 1):
            inside = min(last, (step + 1) * width) - max(first, step * width)
            rows[step] += call.rows_out * (max(0.0, inside) / span if a < b else 1.0)
    return [(start + (step + 0.5) * width, rows[step] / width) for step in range(steps)]
