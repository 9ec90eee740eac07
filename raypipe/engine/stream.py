"""The streaming driver loop: sends bundles of parts through pools of actors, and never holds a block itself."""

from __future__ import annotations

import os
import pickle
import threading
import time
from typing import Any

from raypipe.config import EngineConfig
from raypipe.engine.chain import ChainSpec
from raypipe.engine.collect import Collector
from raypipe.engine.events import Repeated
from raypipe.engine.faults import last_of, say
from raypipe.engine.layout import Group, Layout, lay_out, parts_in_bundles
from raypipe.engine.pools import Call, Pool, await_end, new_pool
from raypipe.engine.rayframe import Kept, RayFrame, held_bytes, is_live
from raypipe.engine.report import BundleReport
from raypipe.engine.run import Engine, Outcome, Pass, ProgressTeller, check_rows, rows_in, stage_events
from raypipe.engine.session import Session, close_session, open_session
from raypipe.engine.stalls import StallWatch
from raypipe.errors import StageFailedError
from raypipe.stage import Plan

BUNDLE_PARTS = 64
BUNDLE_SHARE = 0.25
"""Small parts travel together up to this share of a block."""
QUEUE_SHARE = 0.25
"""Share of the object store that blocks between pools may take."""
KEEP_SHARE = 0.5
"""Share of the object store that blocks kept for a later pass may take."""
REORDER_BYTES = 64 << 20
"""Reports that wait for an earlier part; beyond it no further part is begun until that one is through."""
REPORT_BYTES = 2 << 10
"""What a report takes in memory beside what it holds."""
POLL_S = 0.1
END_S = 5.0
"""How long to wait for the end of workers that were told to end."""
_session_lock = threading.RLock()
"""Passes in several threads of a process share one session and its idle workers."""


class RayEngine(Engine):
    """Pools of Ray actors, one for each group of fused stages."""

    name = "ray"

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session, opened when first needed, and again where it or its Ray was closed."""
        with _session_lock:
            if self._session is None or not is_live(self._session):
                self._session = open_session(self.config.address)
                if not is_live(self._session):
                    close_session()
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
    """One pass: the state of the driver loop. What it holds grows by a few counters a bundle, whatever the data."""

    def __init__(self, engine: RayEngine, work: Pass) -> None:
        self.engine = engine
        self.work = work
        self.session = engine.session
        self.ray = self.session.ray
        self.layout = engine.layout(work.plan)
        self.retries = engine.config.max_task_retries
        frame = work.frame
        self.frame = frame if isinstance(frame, RayFrame) else None
        self.parts = tuple(frame.parts if frame is not None else work.plan.source.parts())
        self.bundles = list(self.frame.kept.bundles) if self.frame is not None else self._bundled()
        groups = self.layout.groups
        schemas = [schema for group in groups for schema in group.schemas]
        self.collector = Collector(
            work.plan.stages, schemas, self.parts, len(groups), work.on_aside, work.on_read,
            engine.config.max_failed_share,
        )  # fmt: skip
        self.kept = Kept(self.session, self.bundles, [None] * len(self.bundles), [0] * len(self.bundles))
        self.keep_left = self._budget(KEEP_SHARE) - held_bytes(self.session)
        self.queue_bytes = 0
        """Blocks between pools: those that wait, and those that calls in flight are going to make."""
        self.sizes: dict[tuple[int, int], int] = {}
        self.pools: list[Pool] = []
        self.calls: dict[Any, Call] = {}
        self.hellos: dict[Any, tuple[int, int]] = {}
        """Reference -> pool and worker that was asked whether it is up."""
        self.lost: dict[int, int] = {}
        """Bundle -> how often its blocks were lost."""
        self.peak_rss = 0
        self.restarts = 0
        self.stillborn = 0
        counts = ("parts", "rows_out", "seconds")
        self.told = Repeated(work.events, "bundle_done", len(self.bundles) * len(groups), counts)
        workers = {name: group.workers for group in groups for name in group.names}
        workers[work.plan.source.name] = groups[0].workers
        self.teller = ProgressTeller(work, self.collector, workers)
        self.stalls = StallWatch(work.events, engine.config.stall_warning_s)

    def _bundled(self) -> list[range]:
        """Small parts travel together, but so that each worker gets several bundles."""
        workers = max(group.workers for group in self.layout.groups)
        most = max(1, min(BUNDLE_PARTS, len(self.parts) // (workers * 4) or 1))
        sizes = [part.bytes or self.layout.block_bytes for part in self.parts]
        return parts_in_bundles(sizes, int(self.layout.block_bytes * BUNDLE_SHARE), most)

    def _budget(self, share: float) -> int:
        if self.engine.config.memory_gib is not None:
            return int(self.engine.config.memory_gib * (1 << 30) * share / (KEEP_SHARE + QUEUE_SHARE))
        return int(self.session.store_bytes * share)

    # ---- a pass from its start to its end -----------------------------------------------------------------------

    def run(self) -> Outcome:
        started = time.perf_counter()
        try:
            self.work.events.emit("pass_started", engine="ray", parts=len(self.parts), bundles=len(self.bundles))
            for number, group in enumerate(self.layout.groups):
                self._open_pool(number, group)
            self.pools[0].queue.extend(enumerate(self.frame.refs if self.frame is not None else self.kept.refs))
            self._loop()
            results = self.collector.finish()
            check_rows(self.work, self.collector.tallies)
        except BaseException:
            self._stop(failed=True)
            raise
        self._stop(failed=False)
        self.told.flush()
        outcome = self._outcome(results, time.perf_counter() - started)
        stage_events(self.work, outcome)
        self.teller.tell(final=True)
        return outcome

    def _outcome(self, results: dict[str, Any], seconds: float) -> Outcome:
        found = self.collector
        frame = None
        if self.work.keep:
            frame = RayFrame(self.engine, self.work.plan, self.parts, self.kept, found.rows_out)
        return Outcome(
            results=results,
            tallies=found.tallies,
            receipts=found.receipts,
            frame=frame,
            rows_in=rows_in(found.tallies),
            rows_out=found.rows_out,
            bytes_read=found.bytes_read,
            seconds=seconds,
            peak_rss_bytes=self.peak_rss,
            worker_restarts=self.restarts,
        )

    def _open_pool(self, number: int, group: Group) -> None:
        plan, last = self.work.plan, number + 1 == len(self.layout.groups)
        spec = ChainSpec(
            source=plan.source if number == 0 else None,
            prefix=plan.prefix if number == 0 else (),
            stages=group.stages,
            schemas=group.schemas,
            block_rows=self.engine.config.block_rows,
            hands_on=not last or self.work.keep,
            reads_again=self.work.frame is not None,
            # A Ray of our own was started in the folder that this process was in then.
            folder=os.getcwd() if self.session.private else None,
        )
        pool = new_pool(self.session, group, spec)
        self.pools.append(pool)
        count = min(group.workers, len(self.bundles))
        pool.workers += self._take_workers(count, group)
        pool.load += [0] * count
        for index in range(count):
            self._greet(number, index)

    def _take_workers(self, count: int, group: Group) -> list[Any]:
        with _session_lock:
            return self.session.take_workers(count, group.resources, self.retries)

    def _greet(self, number: int, index: int) -> None:
        """Ask a worker whether it is up; until it answers it gets no work, which another one could do meanwhile."""
        hello = self.pools[number].workers[index].hello.options(max_task_retries=self.retries)
        self.hellos[hello.remote()] = number, index

    def _stop(self, *, failed: bool) -> None:
        """End what runs; idle workers stay warm."""
        ended: list[int] = []
        for number, pool in enumerate(self.pools):
            doomed = {call.worker for call in self.calls.values() if call.group == number}
            if (
                failed or not self.session.private
            ):  # on a cluster, a worker that waits for its place asks for more nodes
                doomed |= set(range(len(pool.workers))) - set(pool.pids)
            self.session.abandon([pool.workers[index] for index in doomed])
            idle = [worker for index, worker in enumerate(pool.workers) if index not in doomed]
            with _session_lock:
                self.session.give_back(idle, pool.group.resources)
            ended += [pool.pids[index] for index in doomed if index in pool.pids]
            pool.workers.clear()
        self.calls.clear()
        self.hellos.clear()
        if self.session.private:
            await_end(ended, END_S)

    # ---- the loop -----------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while self.calls or any(pool.queue for pool in self.pools):
            self.work.check_cancel()
            self._dispatch()
            self._receive()
            self.stalls.watch(self._why_stalled)
            self.teller.tell(waiting_for=self.stalls.text)

    def _dispatch(self) -> None:
        """Send waiting bundles to workers with room; the last pool first, so that work drains before more starts."""
        for number in range(len(self.pools) - 1, -1, -1):
            pool = self.pools[number]
            while pool.queue and (worker := pool.free_worker()) is not None and self._has_room(number):
                self._send(number, worker, *pool.queue.popleft())

    def _has_room(self, number: int) -> bool:
        """Whether blocks and reports of another bundle find room; with nothing under way from here on, always."""
        busy = any(call.group >= number for call in self.calls.values())
        if not busy and not any(pool.queue for pool in self.pools[number + 1 :]):
            return True
        if number == 0 and self.collector.held_bytes > REORDER_BYTES:
            return False
        return number + 1 == len(self.pools) or self.queue_bytes < self._budget(QUEUE_SHARE)

    def _send(self, number: int, worker: int, bundle: int, inputs: Any | None) -> None:
        pool, last = self.pools[number], number + 1 == len(self.pools)
        parts = [self.parts[index] for index in self.bundles[bundle]]
        planned = sum(part.bytes or self.layout.block_bytes for part in parts)
        expected = pool.expected_bytes(planned)
        hand_on = not last or (self.work.keep and self.keep_left >= expected)
        if not last:
            self.queue_bytes += expected
        elif hand_on:
            self.keep_left -= expected
        method = pool.workers[worker].run.options(num_returns=2, max_task_retries=self.retries)
        blocks, report = method.remote(pool.key, pool.spec, parts, inputs, hand_on)
        pool.load[worker] += 1
        made = blocks if hand_on else None
        self.calls[report] = Call(number, worker, bundle, made, inputs, expected if hand_on else 0)

    def _receive(self) -> None:
        ready, rest = self.ray.wait([*self.calls, *self.hellos], num_returns=1, timeout=POLL_S)
        if ready and rest:
            ready += self.ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        for ref in ready:
            if ref in self.hellos:
                self._welcome(ref)
                continue
            call = self.calls[ref]
            packed = self._packed_report(ref, call)
            del self.calls[ref]
            self.pools[call.group].load[call.worker] -= 1
            self._settle(call)
            if packed is None:
                self._send_again(call)
            else:
                self._take_in(call, self._read_report(packed, call), len(packed))

    def _welcome(self, ref: Any) -> None:
        """A worker is up, or never will be: then another one takes its place, a finite number of times."""
        number, index = self.hellos[ref]
        pool = self.pools[number]
        try:
            pool.pids[index] = self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            self.stillborn += 1
            if self.stillborn > len(pool.workers) + self.retries:
                text = f"its workers cannot be started: {last_of(error)}"
                raise StageFailedError(pool.name, "(none yet)", text) from error
            pool.workers[index] = self._take_workers(1, pool.group)[0]
            self._greet(number, index)
        del self.hellos[ref]
        self.stalls.moved()

    def _settle(self, call: Call) -> None:
        """Give back what was set apart for the blocks of a call that has ended, and what its inputs took."""
        self.queue_bytes -= self.sizes.pop((call.group, call.bundle), 0)
        if call.group + 1 < len(self.pools):
            self.queue_bytes -= call.expected
        else:
            self.keep_left += call.expected

    def _packed_report(self, ref: Any, call: Call) -> bytes | None:
        """The report as it came; None where the call's blocks were lost on their way in."""
        known = self.ray.exceptions
        try:
            packed: bytes = self.ray.get(ref)
        except known.RayError as error:
            cause = getattr(error, "cause", None)
            if call.inputs is not None and isinstance(cause or error, known.ObjectLostError):
                self.lost[call.bundle] = self.lost.get(call.bundle, 0) + 1
                if self.lost[call.bundle] <= self.retries:
                    return None
                raise self._failure(call, f"its blocks were lost {self.retries + 1} times: {last_of(error)}") from error
            if isinstance(error, known.RayTaskError):
                raise self._failure(call, f"its worker could not answer: {last_of(error)}") from error
            text = f"its worker was lost {self.retries + 1} times, the last time with: {_first_line(error)}"
            raise self._failure(call, text) from error
        return packed

    def _read_report(self, packed: bytes, call: Call) -> BundleReport:
        try:
            report: BundleReport = pickle.loads(packed)
        except Exception as error:
            raise self._failure(call, f"what it reports cannot be read by the driver: {say(error)}") from error
        return report

    def _failure(self, call: Call, text: str) -> StageFailedError:
        first = self.parts[self.bundles[call.bundle].start]
        return StageFailedError(self.pools[call.group].name, first.id, f"{first.file}: {text}")

    def _send_again(self, call: Call) -> None:
        """Make lost blocks again from their parts. Reports that come twice are dropped by the collector."""
        if call.group == 0 and self.frame is not None:
            self.keep_left += self.frame.kept.drop(call.bundle)
        self.pools[0].queue.appendleft((call.bundle, None))
        self.work.events.emit("blocks_lost", pool=call.group, part=self.parts[self.bundles[call.bundle].start].id)

    def _take_in(self, call: Call, report: BundleReport, packed_bytes: int) -> None:
        self.stalls.moved()
        self._note_worker(call, report)
        weight = packed_bytes // max(1, len(report.parts)) + REPORT_BYTES
        for part in report.parts:
            self.collector.add(call.group, part, weight)
        if report.error is not None:
            raise report.error
        size = sum(part.bytes_out for part in report.parts)
        if call.blocks is not None:
            self.pools[call.group].note(size)
        if call.group + 1 < len(self.pools):
            self.pools[call.group + 1].queue.append((call.bundle, call.blocks))
            self.sizes[call.group + 1, call.bundle] = size
            self.queue_bytes += size
        elif call.blocks is not None:
            self.kept.refs[call.bundle], self.kept.sizes[call.bundle] = call.blocks, size
            self.keep_left -= size
        if self.work.consume and self.frame is not None and call.group == 0:
            self.keep_left += self.frame.kept.drop(call.bundle)
        self.told.emit(
            pool=call.group, part=self.parts[self.bundles[call.bundle].start].id, parts=len(report.parts),
            rows_out=sum(part.rows_out for part in report.parts), seconds=round(report.seconds, 4),
            rss_bytes=report.rss_bytes, pid=report.pid, queued_bytes=self.queue_bytes,
        )  # fmt: skip

    def _note_worker(self, call: Call, report: BundleReport) -> None:
        self.peak_rss = max(self.peak_rss, report.rss_bytes)
        pids = self.pools[call.group].pids
        known = pids[call.worker]
        if known != report.pid:
            pids[call.worker] = report.pid
            self.restarts += 1
            self.work.events.emit("worker_restarted", pool=call.group, old_pid=known, new_pid=report.pid)

    def _why_stalled(self, still_s: float) -> str:
        busy = {call.group for call in self.calls.values()}
        for number, pool in enumerate(self.pools):
            if len(pool.pids) < len(pool.workers) and pool.queue and number not in busy:
                return pool.why_it_waits(still_s, self.ray.available_resources())
        if not self.calls:
            return f"no call is under way for {still_s:.0f} s"
        call = next(iter(self.calls.values()))
        part = self.parts[self.bundles[call.bundle].start]
        return (
            f"{self.pools[call.group].name}: no block finished for {still_s:.0f} s; the oldest call works on part "
            f"{part.id} of {part.file}"
        )


def _first_line(error: BaseException) -> str:
    return say(error).splitlines()[0]
