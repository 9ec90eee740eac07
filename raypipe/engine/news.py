"""What a pass on Ray tells while it runs: its events, and the words of the stall detector."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil

from raypipe.engine.collect import Collector
from raypipe.engine.crew import Crew
from raypipe.engine.events import Repeated
from raypipe.engine.pools import Call
from raypipe.engine.report import BundleReport
from raypipe.engine.room import Room
from raypipe.engine.run import Pass
from raypipe.stage import Part

SAMPLE_S = 1.0
SAMPLES = 5_000
"""Samples that a pass writes before it takes them half as often, then a third, and so on."""


class News:
    """Events of one pass."""

    def __init__(self, work: Pass, crew: Crew, room: Room, collector: Collector) -> None:
        self._work = work
        self._crew = crew
        self._room = room
        self._collector = collector
        self._told: Repeated | None = None
        self._next_sample = time.monotonic() + SAMPLE_S
        self._samples = 0

    def begin(self, parts: int, bundles: int) -> None:
        """The pass begins."""
        pools = [
            {
                "pool": pool.number, "stages": list(pool.group.names), **pool.group.resources.model_dump(),
                "min": pool.minimum, "max": pool.maximum,
            }
            for pool in self._crew.pools
        ]  # fmt: skip
        pools[0]["stages"].insert(0, self._work.plan.source.name)
        counts = ("parts", "rows_out", "seconds")
        self._told = Repeated(self._work.events, "bundle_done", bundles * len(pools), counts)
        self._work.events.emit(
            "pass_started", name=self._work.name, engine="ray", parts=parts, bundles=bundles, pools=pools,
            cpus=self._crew.session.cpus,
            queue_budget_bytes=self._room.queue_budget, keep_budget_bytes=self._room.keep_budget,
        )  # fmt: skip

    def bundle_done(self, call: Call, first: Part, report: BundleReport) -> None:
        """A call has ended well."""
        if report.pieces > 1:
            self._work.events.emit("memory_low", pool=call.group, part=first.id, pieces=report.pieces)
        assert self._told is not None
        self._told.emit(
            pool=call.group, worker=call.worker, part=first.id, parts=len(report.parts),
            rows_out=sum(part.rows_out for part in report.parts), seconds=round(report.seconds, 4),
            rss_bytes=report.rss_bytes, pid=report.pid, queued_bytes=self._room.queue_bytes,
        )  # fmt: skip

    def end(self) -> None:
        """The pass has ended; what was held back is written."""
        if self._crew.pools:
            self._next_sample = 0.0
            self.sample()
        if self._told is not None:
            self._told.flush()

    def sample(self) -> None:
        """One line about queues, workers and memory, about once a second."""
        now = time.monotonic()
        if now < self._next_sample:
            return
        self._samples += 1
        self._next_sample = now + SAMPLE_S * (1 + self._samples // SAMPLES)
        if not self._crew.session.private:
            self._crew.session.refresh()  # nodes, and so room, come and go
        sizes = self._room.sizes
        pools = []
        for pool in self._crew.pools:
            load = pool.load(0, blocked=False)
            queued = sum(sizes.get((pool.number, bundle), 0) for bundle, _ in pool.queue) if pool.number else 0
            pools.append(
                {
                    "pool": pool.number, "up": load.up, "starting": load.starting, "busy": load.busy,
                    "queued": load.queued, "queued_bytes": queued, "done": pool.bundles_done,
                }
            )  # fmt: skip
        self._work.events.emit(
            "sample", pools=pools, queued_bytes=self._room.queue_bytes, kept_bytes=self._room.kept_bytes,
            held_bytes=self._collector.held_bytes, driver_rss_bytes=psutil.Process().memory_info().rss,
            parts_done=self._collector.parts_done,
        )  # fmt: skip

    def why_stalled(self, still_s: float, calls: Sequence[tuple[Call, Part]]) -> str:
        """What waits, and for what; `calls` in the order in which they were sent, each with its first part."""
        busy = {call.group for call, _ in calls}
        for pool in self._crew.pools:
            starting = any(worker.pid is None for worker in pool.workers.values())
            if starting and pool.queue and pool.number not in busy:
                return self._crew.why_it_waits(pool, still_s)
        if not calls:
            return f"no call is under way for {still_s:.0f} s"
        call, part = calls[0]
        return (
            f"{self._crew.pools[call.group].name}: no block finished for {still_s:.0f} s; the oldest call works on "
            f"part {part.id} of {part.file}; engine.call_timeout_s would end it and set aside the rows that never "
            "return"
        )
