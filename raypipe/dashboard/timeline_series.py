"""Lines over time: workers up, queues, memory, throughput."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bokeh.layouts import column

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import Chart, DataTable, item_of
from raypipe.dashboard.timeline_course import is_inline, pool_keys
from raypipe.dashboard.timeline_figures import MIN_WIDTH, Clock, Column, Key, TimeChart, bars_figure, lines_figure, look
from raypipe.dashboard.timeline_lanes import NAN, Line, rate_of, table_of, thinned
from raypipe.monitor.runlog import PoolSample, RunLog, Sample
from raypipe.monitor.usage import steps_up, up_spans

MAX_POOLS = 12
"""Pools with a line of their own."""
TABLE_ROWS = 200
RATE_STEPS = 160
MIN_POINTS = 3
"""A line through one sample and the end of its pass says nothing."""
MIN_RATE_S = 0.05
LEAST_SHARE = 0.01
"""A line that stays below this share of the highest one would only lie on the axis."""
MB = 1e6


@dataclass(frozen=True)
class Series:
    """A line over time, and how its values are told."""

    word: str
    line: Line
    say: Callable[[float], str]
    look: int = 0

    @property
    def highest(self) -> float:
        """The largest value; 0 where there is none."""
        return max((value for _, value in self.line if not math.isnan(value)), default=0.0)


def up_chart(log: RunLog, clock: Clock) -> TimeChart | None:
    """Workers that were up, by pool; growth and shrinkage are steps of it. None where all ran in one process."""
    if is_inline(log):
        return None
    series: list[Series] = []
    for at, pool in enumerate(_pools(log)):
        line: Line = []
        for work in log.passes:
            spans = [span for worker in up_spans(work, pool).values() for span in worker]
            if spans:
                line += [(work.start_s, 0.0), *((at, float(count)) for at, count in steps_up(spans))]
                line.append((work.end_s, 0.0))
        series.append(Series(f"pool {pool + 1}", _ordered(line), _whole, at))
    if not any(one.line for one in series):
        return None
    grew = sum(mark.kind == "pool_grew" for mark in log.marks)
    shrank = sum(mark.kind == "pool_shrank" for mark in log.marks)
    note = f"Pools grew {_times(grew)}" + (f" and shrank {_times(shrank)}." if shrank else ".") if grew else ""
    figure, table = _figure(clock, "Workers that were up", series, step=True)
    names = ("up", "Workers up", "Workers that were up, by pool")
    return _chart(names, [figure], table, pool_keys(log, dashes=True), clock, note)


def queue_chart(log: RunLog, clock: Clock) -> TimeChart | None:
    """Bundles that waited before each pool, and the bytes of blocks between pools; None without samples."""
    pools = _pools(log)
    waiting = [
        Series(f"pool {pool + 1}", _of_pool(log, pool, lambda one: float(one.queued)), _whole, at)
        for at, pool in enumerate(pools)
    ]
    if max((len(one.line) for one in waiting), default=0) < MIN_POINTS:
        return None
    figure, table = _figure(clock, "Bundles that waited for a worker", waiting, step=True)
    figures = [figure]
    sized = [
        replace(one, line=_of_pool(log, pool, lambda one: one.queued_bytes / MB), say=_mb)
        for one, pool in zip(waiting, pools, strict=True)
    ]
    if heavy := [one for one in sized if one.highest > 0]:
        figures.append(_figure(clock, "Blocks that waited, in MB", heavy, step=True)[0])
    note = "What waits before the first pool is the source: parts that are not begun."
    label = "Bundles that waited before each pool"
    return _chart(("queues", "Queues", label), figures, table, pool_keys(log, dashes=True), clock, note)


def memory_chart(log: RunLog, clock: Clock) -> TimeChart | None:
    """Memory of the driver, of the largest worker, and of blocks in the object store."""
    made: list[tuple[str, str, Line]] = [
        ("driver", "driver", _of_sample(log, lambda sample: sample.driver_rss_bytes / MB)),
        ("worker", "largest worker at work", _worker_memory(log)),
        ("store", "object store: blocks that wait or are kept", _of_sample(log, _stored)),
        ("held", "reports that wait for an earlier part", _of_sample(log, lambda sample: sample.held_bytes / MB)),
    ]
    known = [Series(word, line, _mb, at) for at, (word, _, line) in enumerate(made)]
    most = max(one.highest for one in known)
    series = [one for one in known if one.highest > most * LEAST_SHARE]
    if not series:
        return None
    figure, table = _figure(clock, "Memory in MB", series, height=230)
    keys = tuple(Key(*look(one.look), made[one.look][1]) for one in series)
    peak = max((work.store_peak_bytes or 0 for work in log.passes), default=0)
    note = f"The object store held at most {numbers.size(peak)}." if peak else ""
    return _chart(("memory", "Memory", "Memory over time"), [figure], table, keys, clock, note)


def rate_chart(log: RunLog, clock: Clock) -> TimeChart | None:
    """Rows a second out of the last pool of each pass, as bars."""
    width = max(MIN_RATE_S, log.end_s / RATE_STEPS)
    line: Line = []
    for work in log.passes:
        last = max((call.pool for call in work.calls), default=0)
        calls = [call for call in work.calls if call.pool == last]
        line += [(at, value) for at, value in rate_of(calls, work.start_s, work.end_s, width) if value > 0]
    if not line:
        return None
    texts = [f"{numbers.compact(value)} rows/s" for _, value in line]
    figure = bars_figure(clock, "Rows a second out of the last pool", line, texts, width)
    every = max(1, -(-len(line) // TABLE_ROWS))
    rows = tuple((numbers.seconds(line[at][0]), texts[at]) for at in range(0, len(line), every))
    table = DataTable(("At", "Rows a second"), rows, (0, 1), f"One of {every:,} moments." if every > 1 else "")
    note = f"A call's rows are spread over its time, in steps of {numbers.seconds(width)}."
    return _chart(("rate", "Throughput", "Rows a second over time"), [figure], table, (), clock, note)


def _pools(log: RunLog) -> list[int]:
    return sorted({plan.pool for work in log.passes for plan in work.pools()})[:MAX_POOLS]


def _of_sample(log: RunLog, value: Callable[[Sample], float]) -> Line:
    """A line through the samples, with a gap after each pass."""
    line: Line = []
    for work in log.passes:
        if work.samples:
            line += [(sample.t_s, value(sample)) for sample in work.samples]
            line.append((max(work.end_s, work.samples[-1].t_s), NAN))
    return thinned(line)


def _of_pool(log: RunLog, pool: int, value: Callable[[PoolSample], float]) -> Line:
    line: Line = []
    for work in log.passes:
        own = [(sample.t_s, value(one)) for sample in work.samples for one in sample.pools if one.pool == pool]
        if own:
            line += [*own, (max(work.end_s, own[-1][0]), NAN)]
    return thinned(line)


def _worker_memory(log: RunLog) -> Line:
    """The largest worker that finished a call, step by step."""
    width = max(MIN_RATE_S, log.end_s / RATE_STEPS)
    line: Line = []
    for work in log.passes:
        most: dict[int, int] = {}
        for call in work.calls:
            step = int((call.end_s - work.start_s) / width)
            most[step] = max(most.get(step, 0), call.rss_bytes)
        if any(most.values()):
            line += [(min(work.start_s + (at + 0.5) * width, work.end_s), most[at] / MB) for at in sorted(most)]
            line.append((work.end_s, NAN))
    return line


def _stored(sample: Sample) -> float:
    return (sample.queued_bytes + sample.kept_bytes) / MB


def _figure(
    clock: Clock, title: str, series: Sequence[Series], *, step: bool = False, height: int = 190
) -> tuple[Any, DataTable]:
    moments, columns = table_of([thinned(one.line) for one in series])
    told = [
        Column(one.word, values, ["–" if math.isnan(value) else one.say(value) for value in values], one.look)
        for one, values in zip(series, columns, strict=True)
    ]
    figure = lines_figure(clock, title, moments, told, step=step, height=height)
    every = max(1, -(-len(moments) // TABLE_ROWS))
    places = range(0, len(moments), every)
    rows = tuple((numbers.seconds(moments[at]), *(one.texts[at] for one in told)) for at in places)
    heads = ("At", *(one.word for one in told))
    note = f"One of {every:,} moments." if every > 1 else ""
    return figure, DataTable(heads, rows, tuple(range(len(heads))), note)


def _chart(
    names: tuple[str, str, str],
    figures: list[Any],
    table: DataTable,
    keys: tuple[Key, ...],
    clock: Clock,
    note: str = "",
) -> TimeChart:
    """The figures as one chart; `names` are its key, its title and what a screen reader says."""
    key, title, label = names
    shown = figures[0] if len(figures) == 1 else column(*figures, sizing_mode="stretch_width", spacing=4)
    for other in figures[1:]:
        other.x_range = figures[0].x_range
    height = sum(figure.height for figure in figures) + 4 * (len(figures) - 1)
    span = {"span": list(clock.span)}
    chart = Chart(
        key, title, label, item_of(shown), height, table, note, extra=span, figures=len(figures), min_width=MIN_WIDTH
    )
    return TimeChart(chart, keys)


def _ordered(line: Line) -> Line:
    """Of several values at one moment the last one stands."""
    return sorted(dict(line).items())


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _mb(value: float) -> str:
    return numbers.size(int(value * MB))
