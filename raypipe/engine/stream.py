"""The streaming driver loop: sends bundles of parts through pools of actors, and never holds a block itself."""

from __future__ import annotations

import os
import pickle
import time
from typing import TYPE_CHECKING, Any

from raypipe.engine.chain import ChainSpec
from raypipe.engine.crew import Crew
from raypipe.engine.faults import last_of, say
from raypipe.engine.inquest import Care
from raypipe.engine.layout import bundled
from raypipe.engine.news import News
from raypipe.engine.pools import Call, Pool, new_pool
from raypipe.engine.rayframe import Kept, RayFrame
from raypipe.engine.report import BundleReport
from raypipe.engine.room import Room
from raypipe.engine.run import (
    Outcome,
    Pass,
    ProgressTeller,
    check_rows,
    commit_if_due,
    commit_the_rest,
    end_events,
    new_collector,
    rows_in,
)
from raypipe.engine.stalls import StallWatch
from raypipe.engine.suspects import Suspects
from raypipe.errors import StageFailedError
from raypipe.stage import Part

if TYPE_CHECKING:
    from raypipe.engine.rayengine import RayEngine

REORDER_BYTES = 64 << 20
"""Reports that wait for an earlier part; beyond it no further part is begun until that one is through."""
REPORT_BYTES = 2 << 10
"""What a report takes in memory beside what it holds."""
POLL_S = 0.1


class Stream:
    """One pass: the state of the driver loop. What it holds grows by a few counters a bundle, whatever the data."""

    def __init__(self, engine: RayEngine, work: Pass) -> None:
        self.engine = engine
        self.config = engine.config
        self.work = work
        self.session = engine.session
        self.ray = self.session.ray
        self.layout = engine.layout(work.plan)
        self.retries = engine.config.max_task_retries
        self.keeps = work.keep and not work.plan.is_quick
        """Whether blocks are kept; where they are not, a later pass makes them again."""
        frame = work.frame
        self.frame = frame if isinstance(frame, RayFrame) else None
        self.parts = tuple(frame.parts if frame is not None else work.plan.source.parts())
        groups = self.layout.groups
        schemas = [schema for group in groups for schema in group.schemas]
        self.collector = new_collector(work, schemas, self.parts, len(groups), engine.config)
        self.begun_at = self.collector.parts_done
        self.bundles = list(self.frame.kept.bundles) if self.frame is not None else self._bundled()
        self.kept = Kept(self.session, self.bundles, [None] * len(self.bundles), [0] * len(self.bundles))
        self.todo = [number for number, bundle in enumerate(self.bundles) if bundle.stop > self.begun_at]
        self.room = Room(self.session, engine.config, len(groups))
        self.crew = Crew(self.session, engine.config, work.events)
        self.pools = self.crew.pools
        self.suspects = Suspects(self.session, self.pools, work.events, engine.config, self._take_one)
        self.news = News(work, self.crew, self.room, self.collector)
        self.calls: dict[Any, Call] = {}
        self.care: dict[tuple[int, int], dict[int, Care]] = {}
        """Pool and bundle -> how to run it, where some of its rows kill."""
        self.lost: dict[int, int] = {}
        """Bundle -> how often its blocks were lost."""
        self.peak_rss = 0
        self.restarts = 0
        self.teller = ProgressTeller(work, self.collector, self._workers)
        self.stalls = StallWatch(work.events, engine.config.stall_warning_s)

    def _bundled(self) -> list[range]:
        width = self.layout.width(self.session.cpus)
        return bundled(self.parts, self.layout.block_bytes, width, self.begun_at)

    def _take_one(self, pool: Pool) -> Any:
        return self.crew.take(pool, 1)[0]

    def _workers(self) -> dict[str, int]:
        """Stage -> workers that run it now."""
        found = {name: len(pool.workers) for pool in self.pools for name in pool.group.names}
        return {self.work.plan.source.name: len(self.pools[0].workers), **found} if self.pools else {}

    # ---- a pass from its start to its end -----------------------------------------------------------------------

    def run(self) -> Outcome:
        started = time.perf_counter()
        try:
            for number in range(len(self.layout.groups)):
                self._open_pool(number)
            self.news.begin(len(self.parts), len(self.todo))
            self._fill_queue()
            self._loop()
            results = self.collector.finish()
            check_rows(self.work, self.collector.tallies)
        except BaseException:
            self._stop(failed=True)
            commit_the_rest(self.work, self.collector)
            raise
        self.news.end()
        self._stop(failed=False)
        outcome = self._outcome(results, time.perf_counter() - started)
        end_events(self.work, outcome, self.collector)
        self.teller.tell(final=True)
        return outcome

    def _fill_queue(self) -> None:
        """All bundles wait for the first pool; nothing else here holds the blocks that they begin with."""
        refs = self.frame.refs if self.frame is not None else self.kept.refs
        self.pools[0].queue.extend((bundle, refs[bundle]) for bundle in self.todo)

    def _outcome(self, results: dict[str, Any], seconds: float) -> Outcome:
        found = self.collector
        frame = None
        if self.work.keep:
            frame = RayFrame(self.engine, self.work.plan, self.parts, self.kept, found.rows_out, found.spared)
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
            store_peak_bytes=self.room.peak,
        )

    def _open_pool(self, number: int) -> None:
        plan, group = self.work.plan, self.layout.groups[number]
        last = number + 1 == len(self.layout.groups)
        spec = ChainSpec(
            source=plan.source if number == 0 else None,
            prefix=plan.prefix if number == 0 else (),
            stages=group.stages,
            schemas=group.schemas,
            block_rows=self.config.block_rows,
            hands_on=not last or self.keeps,
            reads_again=self.work.frame is not None,
            folder=_here(),
        )
        pool = new_pool(self.session, number, group, spec, len(self.todo))
        self.crew.check_possible(pool)
        self.pools.append(pool)

    def _stop(self, *, failed: bool) -> None:
        """End what runs; idle workers stay warm."""
        witness = self.suspects.end()
        if witness is not None:
            self.session.abandon([witness])
        self.crew.stop([(call.group, call.worker) for call in self.calls.values()], failed=failed)
        self.calls.clear()

    # ---- the loop -----------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while self.calls or self.suspects or any(pool.queue for pool in self.pools):
            self.work.check_cancel()
            self.crew.scale(self._to_come, self._is_blocked)
            self._dispatch()
            self._receive()
            self._end_stuck()
            self.stalls.watch(self._why_stalled)
            self.crew.check_start(self.config.start_timeout_s)
            self.teller.tell(waiting_for=self.stalls.text)
            self.news.sample()
            commit_if_due(self.work, self.collector)

    def _to_come(self, number: int) -> int:
        """Bundles that have yet to reach the queue of a pool."""
        before = self.pools[:number]
        return sum(len(pool.queue) for pool in before) + sum(call.group < number for call in self.calls.values())

    def _is_blocked(self, number: int) -> bool:
        return bool(self.pools[number].queue) and not self._has_room(number)

    def _dispatch(self) -> None:
        """Send waiting bundles to workers with room; the last pool first, so that work drains before more starts."""
        for number in range(len(self.pools) - 1, -1, -1):
            pool = self.pools[number]
            to_come = self._to_come(number) if pool.queue else 0
            while pool.queue and (worker := pool.free_worker(to_come)) is not None and self._has_room(number):
                self._send(number, worker, *pool.queue.popleft())

    def _has_room(self, number: int) -> bool:
        """Whether blocks and reports of another bundle find room; with nothing under way from here on, always."""
        busy = any(call.group >= number for call in self.calls.values())
        if not busy and not any(pool.queue for pool in self.pools[number + 1 :]):
            return True
        if number == 0 and self.collector.held_bytes > REORDER_BYTES:
            return False
        return self.room.is_free(number)

    def _send(self, number: int, worker: int, bundle: int, inputs: Any | None) -> None:
        pool, last = self.pools[number], number + 1 == len(self.pools)
        parts = self._parts_of(bundle)
        planned = sum(part.bytes or self.layout.block_bytes for part in parts)
        expected = pool.expected_bytes(planned)
        hand_on = not last or (self.keeps and self.room.keep_left >= expected)
        if hand_on:
            self.room.set_apart(number, expected)
        handle = pool.workers[worker].handle
        method = handle.run.options(num_returns=2, max_task_retries=self.retries)
        blocks, report = method.remote(pool.key, pool.spec, parts, inputs, hand_on, self.care.get((number, bundle)))
        pool.begin(worker)
        made = blocks if hand_on else None
        apart = expected if hand_on else 0
        self.calls[report] = Call(number, worker, bundle, made, inputs, apart, handle._actor_id.hex())

    def _parts_of(self, bundle: int) -> list[Part]:
        return [self.parts[index] for index in self.bundles[bundle]]

    def _first_of(self, bundle: int) -> Part:
        return self.parts[self.bundles[bundle].start]

    def _receive(self) -> None:
        inquest = self.suspects.refs()
        waited_for = [*self.calls, *self.crew.hellos, *inquest]
        if not waited_for:
            time.sleep(POLL_S)
            return
        ready, rest = self.ray.wait(waited_for, num_returns=1, timeout=POLL_S)
        if ready and rest:
            ready += self.ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        for ref in ready:
            if ref in self.crew.hellos:
                self.crew.welcome(ref)
                self.stalls.moved()
            elif ref in self.calls:
                self._end_call(ref)
            elif ref in inquest:
                self._end_step(stuck=False)

    def _end_call(self, ref: Any) -> None:
        call = self.calls[ref]
        packed = self._packed_report(ref, call)
        del self.calls[ref]
        self.pools[call.group].end(call.worker)
        self.room.settle(call)
        if packed is not None:
            self._take_in(call, self._read_report(packed, call), len(packed))

    def _end_step(self, *, stuck: bool) -> None:
        """A step of an inquest has ended; its last one brings the report of the bundle."""
        self.stalls.moved()
        survived = self.suspects.receive(stuck=stuck)
        if survived is not None:
            call, packed = survived.call, survived.report
            self._remember(call, survived.care)
            self._take_in(call, self._read_report(packed, call), len(packed))

    def _remember(self, call: Call, care: dict[int, Care]) -> None:
        """Keep how a bundle is to be run, for when its blocks have to be made again, in this pass or a later one."""
        self.care[call.group, call.bundle] = care
        names, parts = self.pools[call.group].group.names, self._parts_of(call.bundle)
        for index, how in care.items():
            for stage, rows in how.skip.items():
                self.collector.spared.setdefault(names[stage], {})[parts[index].id] = rows

    # ---- what may go wrong with a call --------------------------------------------------------------------------

    def _packed_report(self, ref: Any, call: Call) -> bytes | None:
        """The report as it came; None where the call's blocks or its worker were lost, and something is done for it."""
        known = self.ray.exceptions
        try:
            packed: bytes = self.ray.get(ref)
        except known.RayError as error:
            cause = getattr(error, "cause", None) or error
            if call.inputs is not None and self._lost_its_blocks(cause, call):
                self._make_again(call, last_of(error))
                return None
            if isinstance(error, known.RayTaskError):
                raise self._failure(call, f"its worker could not answer: {last_of(error)}") from error
            text = f"its worker was lost {self.retries + 1} times, the last time with: {_first_line(error)}"
            self.crew.lose(self.pools[call.group], call.worker, "lost")
            self.suspects.add(call, self._parts_of(call.bundle), text)
            return None
        return packed

    def _lost_its_blocks(self, error: Any, call: Call) -> bool:
        """Whether the blocks that a call takes were lost, and not the worker that ran it."""
        known = self.ray.exceptions
        if isinstance(error, known.ObjectLostError):
            return True
        died = getattr(error, "actor_id", None)  # to make lost blocks again, Ray asks the worker that made them
        return bool(died) and died != call.actor

    def _make_again(self, call: Call, text: str) -> None:
        """Make lost blocks again from their parts. Reports that come twice are dropped by the collector."""
        self.lost[call.bundle] = self.lost.get(call.bundle, 0) + 1
        if self.lost[call.bundle] > self.retries + 1:
            raise self._failure(call, f"its blocks were lost {self.lost[call.bundle]} times: {text}")
        if call.group == 0 and self.frame is not None:
            self.room.keep_left += self.frame.kept.drop(call.bundle)
        self.pools[0].queue.appendleft((call.bundle, None))
        self.work.events.emit("blocks_lost", pool=call.group, part=self._first_of(call.bundle).id)

    def _end_stuck(self) -> None:
        """Part with workers that work on one call for too long; what they had begun is put under inquest."""
        limit = self.config.call_timeout_s
        if limit is None:
            return
        if self.suspects.is_stuck():
            self._end_step(stuck=True)
        for pool in self.pools:
            worker = pool.stuck_worker(limit)
            if worker is None:
                continue
            self.crew.lose(pool, worker, "stuck")
            begun = [ref for ref, call in self.calls.items() if (call.group, call.worker) == (pool.number, worker)]
            for turn, ref in enumerate(begun):  # in the order in which they were sent
                call = self.calls.pop(ref)
                self.room.settle(call)
                if turn == 0:
                    text = f"its worker did not return for {limit:g} s (engine.call_timeout_s)"
                    self.suspects.add(call, self._parts_of(call.bundle), text)
                else:  # it never ran
                    pool.queue.appendleft((call.bundle, call.inputs))

    def _read_report(self, packed: bytes, call: Call) -> BundleReport:
        try:
            report: BundleReport = pickle.loads(packed)
        except Exception as error:
            raise self._failure(call, f"what it reports cannot be read by the driver: {say(error)}") from error
        return report

    def _failure(self, call: Call, text: str) -> StageFailedError:
        first = self._first_of(call.bundle)
        return StageFailedError(self.pools[call.group].name, first.id, f"{first.file}: {text}")

    # ---- what calls bring ---------------------------------------------------------------------------------------

    def _take_in(self, call: Call, report: BundleReport, packed_bytes: int) -> None:
        self.stalls.moved()
        pool = self.pools[call.group]
        self._note_worker(call, report)
        weight = packed_bytes // max(1, len(report.parts)) + REPORT_BYTES
        for part in report.parts:
            self.collector.add(call.group, part, weight)
        if report.error is not None:
            raise report.error
        size = sum(part.bytes_out for part in report.parts)
        pool.bundles_done += 1
        pool.seconds += report.seconds
        if call.blocks is not None:
            pool.note(size)
            self.room.take(call.group, call.bundle, size)
        if call.group + 1 < len(self.pools):
            self.pools[call.group + 1].queue.append((call.bundle, call.blocks))
        elif call.blocks is not None:
            self.kept.refs[call.bundle], self.kept.sizes[call.bundle] = call.blocks, size
        if self.work.consume and self.frame is not None and call.group == 0:
            self.room.keep_left += self.frame.kept.drop(call.bundle)
        self.news.bundle_done(call, self._first_of(call.bundle), report)

    def _note_worker(self, call: Call, report: BundleReport) -> None:
        self.peak_rss = max(self.peak_rss, report.rss_bytes)
        worker = self.pools[call.group].workers.get(call.worker)
        if worker is not None:
            worker.rss_bytes = report.rss_bytes
        if worker is not None and worker.pid != report.pid:
            self.restarts += 1
            self.work.events.emit(
                "worker_restarted", pool=call.group, worker=call.worker, old_pid=worker.pid, new_pid=report.pid
            )
            worker.pid = report.pid

    def _why_stalled(self, still_s: float) -> str:
        return self.news.why_stalled(still_s, [(call, self._first_of(call.bundle)) for call in self.calls.values()])


def _here() -> str | None:
    """The folder of this process, which Ray's workers are not in; None where it was removed, as a job's may be."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _first_line(error: BaseException) -> str:
    return say(error).splitlines()[0]
