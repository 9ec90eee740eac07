"""The streaming driver loop: sends bundles of parts through pools of actors, and never holds a block itself."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.config import EngineConfig
from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.collect import Collector
from raypipe.engine.frame import Frame
from raypipe.engine.layout import IN_FLIGHT, Group, Layout, lay_out, parts_in_bundles
from raypipe.engine.report import BundleReport
from raypipe.engine.run import Engine, Outcome, Pass, ProgressTeller, next_prefix, rows_in, stage_events
from raypipe.engine.session import Session, open_session
from raypipe.errors import StageFailedError
from raypipe.stage import BlockStage, Part, Plan

BUNDLE_PARTS = 64
BUNDLE_SHARE = 0.25
"""Small parts travel together up to this share of a block."""
QUEUE_SHARE = 0.25
"""Share of the object store that blocks between pools may take."""
KEEP_SHARE = 0.5
"""Share of the object store that blocks kept for a later pass may take."""
POLL_S = 0.1


class RayFrame(Frame):
    """A frame whose kept blocks lie in Ray's object store, a list of them for each bundle of parts."""

    def __init__(
        self,
        engine: RayEngine,
        plan: Plan,
        parts: Sequence[Part],
        bundles: Sequence[range],
        refs: Sequence[Any | None],
        num_rows: int,
    ) -> None:
        super().__init__(plan.source, parts, next_prefix(plan), plan.schemas()[-1], num_rows)
        self._engine = engine
        self.bundles = tuple(bundles)
        self.refs = list(refs)

    def _block(self, index: int) -> pa.Table:
        for bundle, ref in zip(self.bundles, self.refs, strict=True):
            if index in bundle and ref is not None:
                block: pa.Table = self._engine.session.ray.get(ref)[index - bundle.start]
                return block
        rebuilt, _ = Chain(ChainSpec(self.source, self.prefix, hands_on=True)).run(self.parts[index], None, True)
        assert rebuilt is not None
        return rebuilt

    def map_blocks(self, fn: Callable[[pa.Table], pa.Table]) -> Frame:
        """See `Frame.map_blocks`; runs on the workers."""
        plan = Plan(source=self.source, prefix=self.prefix, stages=(MapFunction(fn=fn),))
        outcome = self._engine.run(Pass(plan, frame=self, keep=True))
        assert outcome.frame is not None
        return outcome.frame

    def release(self) -> None:
        """See `Frame.release`."""
        self.refs = [None] * len(self.refs)


class MapFunction(BlockStage):
    """A user's function over blocks; its schema is what it makes of an empty block."""

    fn: Callable[[pa.Table], pa.Table]

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return self.fn(schema.empty_table()).schema

    def apply(self, block: pa.Table) -> pa.Table:
        made = self.fn(block.drop_columns([ROW]) if ROW in block.column_names else block)
        return made.append_column(ROW, block[ROW]) if ROW in block.column_names else made


@dataclass
class _Call:
    group: int
    worker: int
    bundle: int
    blocks: Any | None
    """Reference to the blocks that it makes."""
    inputs: Any | None
    """Reference to the blocks that it takes; held so that a lost call can be run again."""


@dataclass
class _Pool:
    group: Group
    spec: bytes
    workers: list[Any]
    load: list[int]
    pids: dict[int, int] = field(default_factory=dict)
    queue: deque[tuple[int, Any | None]] = field(default_factory=deque)
    """Bundles that wait, with the reference to their blocks."""


class RayEngine(Engine):
    """Pools of Ray actors, one for each group of fused stages."""

    name = "ray"

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The Ray session, started when first needed."""
        if self._session is None or not self._session.is_open:
            self._session = open_session(self.config.address)
        return self._session

    def layout(self, plan: Plan) -> Layout:
        """See `Engine.layout`."""
        session = self.session
        return lay_out(plan, self.config, session.cpus, own_cluster=session.private)

    def run(self, work: Pass) -> Outcome:
        """See `Engine.run`."""
        return _Stream(self, work).run()

    def describe(self) -> str:
        """See `Engine.describe`."""
        return self.session.describe()


class _Stream:
    """One pass: the state of the driver loop."""

    def __init__(self, engine: RayEngine, work: Pass) -> None:
        self.engine = engine
        self.work = work
        self.session = engine.session
        self.ray = self.session.ray
        self.layout = engine.layout(work.plan)
        frame = work.frame
        self.parts = tuple(frame.parts if frame is not None else work.plan.source.parts())
        if isinstance(frame, RayFrame):
            self.bundles, kept = list(frame.bundles), list(frame.refs)
        else:
            sizes = [part.bytes or self.layout.block_bytes for part in self.parts]
            limit = int(self.layout.block_bytes * BUNDLE_SHARE)
            self.bundles = parts_in_bundles(sizes, limit, self._parts_per_bundle())
            kept = [None] * len(self.bundles)
        schemas = [schema for group in self.layout.groups for schema in group.schemas]
        groups = len(self.layout.groups)
        self.collector = Collector(work.plan.stages, schemas, self.parts, groups, work.on_aside, work.on_read)
        self.made: list[Any | None] = [None] * len(self.bundles)
        self.keep_bytes = self._budget(KEEP_SHARE)
        self.queue_bytes = 0
        self.sizes: dict[tuple[int, int], int] = {}
        self.calls: dict[Any, _Call] = {}
        self.peak_rss = 0
        self.restarts = 0
        self.pools = [self._pool(number, group) for number, group in enumerate(self.layout.groups)]
        self.pools[0].queue.extend(enumerate(kept))
        workers = {name: group.workers for group in self.layout.groups for name in group.names}
        workers[work.plan.source.name] = self.layout.groups[0].workers
        self.teller = ProgressTeller(work, self.collector, workers)
        self.moved_at = time.monotonic()
        self.warn_after_s = engine.config.stall_warning_s
        self.stalled: str | None = None

    def _parts_per_bundle(self) -> int:
        """Enough bundles that each worker gets several, however small the parts."""
        workers = max(group.workers for group in self.layout.groups)
        return max(1, min(BUNDLE_PARTS, len(self.parts) // (workers * 4) or 1))

    def _budget(self, share: float) -> int:
        if self.engine.config.memory_gib is not None:
            return int(self.engine.config.memory_gib * (1 << 30) * share / (KEEP_SHARE + QUEUE_SHARE))
        return int(self.session.store_bytes * share)

    def _pool(self, number: int, group: Group) -> _Pool:
        plan, last = self.work.plan, number + 1 == len(self.layout.groups)
        spec = ChainSpec(
            source=plan.source if number == 0 else None,
            prefix=plan.prefix if number == 0 else (),
            stages=group.stages,
            schemas=group.schemas,
            block_rows=self.engine.config.block_rows,
            hands_on=not last or self.work.keep,
        )
        count = max(1, min(group.workers, len(self.bundles)))
        workers = self.session.take_workers(count, group.resources, self.engine.config.max_task_retries)
        return _Pool(group, self.ray.cloudpickle.dumps(spec), workers, [0] * count)

    def run(self) -> Outcome:
        started = time.perf_counter()
        self.work.events.emit("pass_started", engine="ray", parts=len(self.parts), bundles=len(self.bundles))
        try:
            self._loop()
            results = self.collector.finish(self.engine.config.max_failed_share)
        except BaseException:
            self._stop()
            raise
        for pool in self.pools:
            self.session.give_back(pool.workers, pool.group.resources)
        frame = None
        if self.work.keep:
            frame = RayFrame(self.engine, self.work.plan, self.parts, self.bundles, self.made, self.collector.rows_out)
        outcome = Outcome(
            results=results,
            tallies=self.collector.tallies,
            receipts=self.collector.receipts,
            frame=frame,
            rows_in=rows_in(self.collector.tallies),
            rows_out=self.collector.rows_out,
            bytes_read=self.collector.bytes_read,
            seconds=time.perf_counter() - started,
            peak_rss_bytes=self.peak_rss,
            worker_restarts=self.restarts,
        )
        stage_events(self.work, outcome)
        self.teller.tell(final=True)
        return outcome

    def _stop(self) -> None:
        """End what runs; idle workers stay warm."""
        for number, pool in enumerate(self.pools):
            busy = {call.worker for call in self.calls.values() if call.group == number}
            self.session.abandon([pool.workers[index] for index in busy])
            idle = [worker for index, worker in enumerate(pool.workers) if index not in busy]
            self.session.give_back(idle, pool.group.resources)
        self.calls.clear()

    def _loop(self) -> None:
        while True:
            self.work.check_cancel()
            self._dispatch()
            if not self.calls:
                return
            self._receive()
            self._watch()
            self.teller.tell(waiting_for=self.stalled)

    def _dispatch(self) -> None:
        """Send waiting bundles to workers with room; the last pool first, so that work drains before more starts."""
        for number in range(len(self.pools) - 1, -1, -1):
            pool = self.pools[number]
            while pool.queue and self._has_room(number):
                worker = min(range(len(pool.workers)), key=pool.load.__getitem__)
                if pool.load[worker] >= IN_FLIGHT:
                    break
                self._send(number, worker, *pool.queue.popleft())

    def _has_room(self, number: int) -> bool:
        """Whether blocks that this pool makes find room; a pool whose successors are idle always may send one."""
        if number + 1 == len(self.pools) or self.queue_bytes < self._budget(QUEUE_SHARE):
            return True
        later = any(pool.queue for pool in self.pools[number + 1 :])
        return not later and not any(call.group >= number for call in self.calls.values())

    def _send(self, number: int, worker: int, bundle: int, inputs: Any | None) -> None:
        pool = self.pools[number]
        last = number + 1 == len(self.pools)
        hand_on = not last or (self.work.keep and self.keep_bytes > 0)
        parts = [self.parts[index] for index in self.bundles[bundle]]
        method = pool.workers[worker].run.options(num_returns=2)
        blocks, report = method.remote(pool.spec, parts, inputs, hand_on)
        pool.load[worker] += 1
        self.calls[report] = _Call(number, worker, bundle, blocks if hand_on else None, inputs)

    def _receive(self) -> None:
        ready, rest = self.ray.wait(list(self.calls), num_returns=1, timeout=POLL_S)
        if ready and rest:
            ready += self.ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        for ref in ready:
            call = self.calls.pop(ref)
            self.pools[call.group].load[call.worker] -= 1
            self._take_in(call, self._report_of(ref, call))

    def _report_of(self, ref: Any, call: _Call) -> BundleReport:
        try:
            report: BundleReport = self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            group = self.pools[call.group].group
            first = self.parts[self.bundles[call.bundle].start]
            tries = self.engine.config.max_task_retries + 1
            name = " > ".join(group.names) or self.work.plan.source.name
            text = f"{first.file}: its worker was lost {tries} times, the last time with: {_first_line(error)}"
            raise StageFailedError(name, first.id, text) from error
        return report

    def _take_in(self, call: _Call, report: BundleReport) -> None:
        self._moved()
        self._note_worker(call, report)
        for part in report.parts:
            self.collector.add(call.group, part)
        if report.error is not None:
            raise report.error
        size = sum(part.bytes_out for part in report.parts)
        self.queue_bytes -= self.sizes.pop((call.group, call.bundle), 0)
        if call.group + 1 < len(self.pools):
            self.pools[call.group + 1].queue.append((call.bundle, call.blocks))
            self.sizes[call.group + 1, call.bundle] = size
            self.queue_bytes += size
        else:
            self.made[call.bundle] = call.blocks
            self.keep_bytes -= size
        rows = sum(part.rows_out for part in report.parts)
        self.work.events.emit(
            "bundle_done", pool=call.group, parts=[part.part for part in report.parts], rows_out=rows,
            seconds=round(report.seconds, 4), rss_bytes=report.rss_bytes, pid=report.pid, queued_bytes=self.queue_bytes,
        )  # fmt: skip

    def _note_worker(self, call: _Call, report: BundleReport) -> None:
        self.peak_rss = max(self.peak_rss, report.rss_bytes)
        pids = self.pools[call.group].pids
        known = pids.setdefault(call.worker, report.pid)
        if known != report.pid:
            pids[call.worker] = report.pid
            self.restarts += 1
            self.work.events.emit("worker_restarted", pool=call.group, old_pid=known, new_pid=report.pid)

    def _moved(self) -> None:
        self.moved_at = time.monotonic()
        self.warn_after_s = self.engine.config.stall_warning_s
        self.stalled = None

    def _watch(self) -> None:
        """Name the stage that waits, and the resource it waits for, when nothing has moved for long."""
        still_s = time.monotonic() - self.moved_at
        if still_s < self.warn_after_s:
            return
        self.warn_after_s *= 2
        self.stalled = self._why_stalled(still_s)
        self.work.events.emit("stall", seconds=round(still_s, 1), text=self.stalled)

    def _why_stalled(self, still_s: float) -> str:
        free = self.ray.available_resources()
        for number in sorted({call.group for call in self.calls.values()}):
            pool = self.pools[number]
            stage = " > ".join(pool.group.names) or self.work.plan.source.name
            wants = pool.group.resources
            silent = len(pool.workers) - len(pool.pids)
            cpus, gpus = free.get("CPU", 0.0), free.get("GPU", 0.0)
            if silent and (cpus < wants.cpus or gpus < wants.gpus):
                return (
                    f"{stage}: {silent} of {len(pool.workers)} workers have not started for {still_s:.0f} s; each "
                    f"wants {wants.cpus:g} CPU and {wants.gpus:g} GPU, and {cpus:g} CPU and {gpus:g} GPU are free"
                )
        call = next(iter(self.calls.values()))
        stage = " > ".join(self.pools[call.group].group.names) or self.work.plan.source.name
        part = self.parts[self.bundles[call.bundle].start]
        return f"{stage}: no block finished for {still_s:.0f} s; the oldest call works on part {part.id} of {part.file}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
