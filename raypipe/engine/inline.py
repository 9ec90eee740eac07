"""Runs a plan in this process: the reference that Ray is held to, and the debugger's friend."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import psutil
import pyarrow as pa
from pydantic import ConfigDict

from raypipe.blocks.frames import ROW, from_polars, to_polars
from raypipe.config import EngineConfig
from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.collect import Collector
from raypipe.engine.events import Repeated
from raypipe.engine.frame import Frame, MapFunction
from raypipe.engine.layout import Layout, lay_out
from raypipe.engine.run import Engine, Outcome, Pass, ProgressTeller, check_rows, next_prefix, rows_in, stage_events
from raypipe.errors import SchemaError
from raypipe.stage import MapStage, Part, PartRead, Plan, SourceStage

KEEP_BYTES = 512 << 20
"""Blocks kept in memory between passes, in bytes, unless `memory_gib` says otherwise."""


class LocalFrame(Frame):
    """A frame whose kept blocks lie in this process."""

    def __init__(
        self,
        source: SourceStage,
        parts: Sequence[Part],
        prefix: tuple[MapStage, ...],
        schema: pa.Schema,
        blocks: Sequence[pa.Table | None],
        num_rows: int,
    ) -> None:
        super().__init__(source, parts, prefix, schema, num_rows)
        self._blocks = list(blocks)

    def kept(self, index: int) -> pa.Table | None:
        """The block of a part, if it was kept."""
        return self._blocks[index]

    def _block(self, index: int) -> pa.Table:
        kept = self._blocks[index]
        return kept if kept is not None else self._made_again(index)

    def let_go(self, index: int) -> None:
        """Forget the block of a part."""
        self._blocks[index] = None

    def map_blocks(self, fn: Callable[[pa.Table], pa.Table]) -> Frame:
        """See `Frame.map_blocks`; runs at once."""
        plan = Plan(source=self.source, prefix=self.prefix, stages=(MapFunction(fn=fn),))
        outcome = InlineEngine(EngineConfig()).run(Pass(plan, frame=self, keep=True))
        assert outcome.frame is not None
        return outcome.frame

    def release(self) -> None:
        """See `Frame.release`."""
        self._blocks = [None] * len(self.parts)


class MemorySource(SourceStage):
    """A table that is here already, as one part."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    table: pa.Table

    def schema(self) -> pa.Schema:  # type: ignore[override]  # pydantic's deprecated BaseModel.schema is none of ours
        """See `SourceStage.schema`."""
        return self.table.schema

    def parts(self) -> Sequence[Part]:
        """See `SourceStage.parts`."""
        return [Part(id="00000/memory", file="(memory)", rows=self.table.num_rows, bytes=self.table.nbytes)]

    def open(self) -> Callable[[Part], PartRead]:
        """See `SourceStage.open`."""
        return lambda part: PartRead(self.table)


def as_frame(value: Any) -> Frame:
    """A frame of what a user's code may hand back: a Frame, or an Arrow, Polars or pandas table.

    Raises
    ------
    SchemaError
        If it is none of these.
    """
    if isinstance(value, Frame):
        return value
    if isinstance(value, pl.DataFrame):
        table = from_polars(value)
    elif isinstance(value, pa.Table):
        table = from_polars(to_polars(value))
    elif type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "columns"):
        table = from_polars(to_polars(pa.Table.from_pandas(value, preserve_index=False)))
    else:
        raise SchemaError(
            f"frame: got {type(value).__name__}; wanted a raypipe Frame, or a pyarrow, Polars or pandas table"
        )
    if ROW in table.column_names:
        raise SchemaError(f"frame: the table has a column {ROW!r}, a name that raypipe keeps for itself; rename it")
    source = MemorySource(table=table)
    numbers = pa.array(np.arange(table.num_rows, dtype=np.int64))
    return LocalFrame(source, source.parts(), (), table.schema, [table.append_column(ROW, numbers)], table.num_rows)


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
        work.events.emit("pass_started", engine="inline", parts=len(parts))
        spec = ChainSpec(plan.source, plan.prefix, plan.stages, schemas[1:], self.config.block_rows, work.keep)
        chain = Chain(replace(spec, reads_again=work.frame is not None))
        share = self.config.max_failed_share
        collector = Collector(plan.stages, schemas[1:], parts, 1, work.on_aside, work.on_read, share)
        teller = ProgressTeller(work, collector, {})
        blocks = self._run_parts(work, chain, collector, teller)
        results = collector.finish()
        check_rows(work, collector.tallies)
        frame = None
        if work.keep:
            frame = LocalFrame(plan.source, parts, next_prefix(plan), schemas[-1], blocks, collector.rows_out)
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
        stage_events(work, outcome)
        teller.tell(final=True)
        return outcome

    def _run_parts(
        self, work: Pass, chain: Chain, collector: Collector, teller: ProgressTeller
    ) -> list[pa.Table | None]:
        budget = int(self.config.memory_gib * (1 << 30)) if self.config.memory_gib else KEEP_BYTES
        frame = work.frame if isinstance(work.frame, LocalFrame) else None
        told = Repeated(work.events, "part_done", len(collector.parts), ("rows_out",))
        blocks: list[pa.Table | None] = []
        for index, part in enumerate(collector.parts):
            work.check_cancel()
            block = frame.kept(index) if frame is not None else None
            made, report = chain.run(part, block, work.keep and budget > 0)
            collector.add(0, report)
            budget -= report.bytes_out
            blocks.append(made)
            if frame is not None and work.consume:
                frame.let_go(index)
            told.emit(part=part.id, rows_out=report.rows_out)
            teller.tell()
        told.flush()
        return blocks

    def describe(self) -> str:
        """See `Engine.describe`."""
        return "in this process"
