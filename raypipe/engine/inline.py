"""Runs a plan in this process: the reference that Ray is held to, and the debugger's friend."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import psutil
import pyarrow as pa

from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.collect import Collector
from raypipe.engine.events import Repeated
from raypipe.engine.layout import Layout, lay_out
from raypipe.engine.localframe import LocalFrame
from raypipe.engine.run import (
    Engine,
    Outcome,
    Pass,
    ProgressTeller,
    check_rows,
    commit_if_due,
    commit_the_rest,
    end_events,
    new_collector,
    next_prefix,
    rows_in,
)
from raypipe.stage import Plan

KEEP_BYTES = 512 << 20
"""Blocks kept in memory between passes, in bytes, unless `memory_gib` says otherwise."""


class InlineEngine(Engine):
    """One part after the other, each through all stages, in the calling thread."""

    name = "inline"

    def layout(self, plan: Plan) -> Layout:
        """See `Engine.layout`."""
        return lay_out(plan, self.config.model_copy(update={"workers": 1, "fuse": True}), os.cpu_count() or 1)

    def run(self, work: Pass) -> Outcome:
        """See `Engine.run`."""
        started = time.perf_counter()
        plan = work.plan
        schemas = plan.schemas()
        parts = tuple(work.frame.parts if work.frame is not None else plan.source.parts())
        work.events.emit("pass_started", name=work.name, engine="inline", parts=len(parts), pools=[])
        spec = ChainSpec(plan.source, plan.prefix, plan.stages, schemas[1:], self.config.block_rows, work.keep)
        chain = Chain(replace(spec, reads_again=work.frame is not None))
        collector = new_collector(work, schemas[1:], parts, 1, self.config)
        teller = ProgressTeller(work, collector, dict)
        try:
            blocks = self._run_parts(work, chain, collector, teller)
        except BaseException:
            commit_the_rest(work, collector)
            raise
        results = collector.finish()
        check_rows(work, collector.tallies)
        frame = None
        if work.keep:
            frame = LocalFrame(
                plan.source, parts, next_prefix(plan, collector.spared), schemas[-1], blocks, collector.rows_out
            )
        outcome = Outcome(
            results=results,
            tallies=collector.tallies,
            receipts=collector.receipts,
            frame=frame,
            rows_in=rows_in(collector.tallies),
            rows_out=collector.rows_out,
            bytes_read=collector.bytes_read,
            seconds=time.perf_counter() - started,
            peak_rss_bytes=psutil.Process().memory_info().rss,
        )
        end_events(work, outcome, collector)
        teller.tell(final=True)
        return outcome

    def _run_parts(
        self, work: Pass, chain: Chain, collector: Collector, teller: ProgressTeller
    ) -> list[pa.Table | None]:
        budget = int(self.config.memory_gib * (1 << 30)) if self.config.memory_gib else KEEP_BYTES
        frame = work.frame if isinstance(work.frame, LocalFrame) else None
        told = Repeated(work.events, "part_done", len(collector.parts), ("rows_out", "seconds"))
        done = collector.parts_done
        blocks: list[pa.Table | None] = [None] * done
        for index, part in enumerate(collector.parts[done:], start=done):
            work.check_cancel()
            started = time.perf_counter()
            block = frame.kept(index) if frame is not None else None
            made, report = chain.run(part, block, work.keep and budget > 0)
            collector.add(0, report)
            budget -= report.bytes_out
            blocks.append(made)
            if frame is not None and work.consume:
                frame.let_go(index)
            told.emit(part=part.id, rows_out=report.rows_out, seconds=round(time.perf_counter() - started, 4))
            teller.tell()
            commit_if_due(work, collector)
        told.flush()
        return blocks

    def describe(self) -> str:
        """See `Engine.describe`."""
        return "in this process"
