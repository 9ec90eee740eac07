"""Fitted steps applied to a new source: for `raypipe process`, and for use in code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from raypipe.config import PipelineConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.frame import Frame
from raypipe.engine.run import Engine, Outcome, Pass, PassProgress
from raypipe.etl.processing.course import rehearse
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.processing.processor import FittedProcessor
from raypipe.etl.processing.walk import Walked, walk
from raypipe.etl.quarantine.writer import QuarantineWriter
from raypipe.etl.writers.choose import open_target
from raypipe.etl.writers.target import Target
from raypipe.pipeline.convert import NO_STEPS, beside
from raypipe.pipeline.ingest import Ingest, Ingested, end_quarantine, open_source
from raypipe.pipeline.state import RowCounts
from raypipe.results import StepReport
from raypipe.stage import Plan, Stage

Progress = Callable[[PassProgress], None]


@dataclass(frozen=True)
class Reprocessed:
    """What became of the rows."""

    output: str
    quarantine: Path | None
    """Where rows that were set aside are; None where there were none."""
    rows: RowCounts
    steps: tuple[StepReport, ...]
    engine: str
    passes: int
    """After loading."""


def reprocess(
    config: PipelineConfig,
    steps: str | Path,
    dest: str | Path,
    quarantine: Path | None = None,
    on_progress: Progress | None = None,
) -> Reprocessed:
    """Apply the steps of a `processing.json` to the source of a config, and write the rows that are left.

    Parameters
    ----------
    config : PipelineConfig
        Its source, `read_options`, `engine`, `storage` and `write` are heeded; validation and processing are not.
    dest : str or Path
        See `open_target`.
    quarantine : Path, optional
        Where rows go that were set aside (Parquet); None names it after `dest`.

    Raises
    ------
    ConfigError, ReadError
        If the steps cannot be loaded, or source, destination and options do not go together.
    MissingColumnsError, SchemaError
        If the source does not have the columns that the steps were fitted on.
    """
    processor = FittedProcessor.load(steps)
    source = open_source(config)
    processor.alignment(source.schema())
    with open_target(dest, config.write, config.storage) as target:
        target.check(rehearse(processor.course().wishes, processor.schema).schema)
        engine, _ = choose_engine(config.engine, source.size_bytes)
        work = _Work(config, engine, processor, target, on_progress)
        try:
            loaded = work.load(source, quarantine or beside(dest))
            try:
                done = work.apply(loaded)
                aside = _closed(loaded.quarantine)
            except BaseException as error:
                end_quarantine(loaded.quarantine, error)
                raise
        finally:
            engine.release()
    dropped = {name: tally.rows_dropped for name, tally in done.tallies.items() if tally.rows_dropped}
    rows = RowCounts(loaded.outcome.rows_in, len(done.frame), loaded.quarantine.rows, dropped)
    rows.check()
    return Reprocessed(target.name, aside, rows, tuple(done.reports), engine.name, work.passes)


@dataclass
class _Work:
    """The passes: one that loads, and those of the steps, the last of which writes."""

    config: PipelineConfig
    engine: Engine
    processor: FittedProcessor
    target: Target
    on_progress: Progress | None
    passes: int = 0

    def load(self, source: Any, quarantine: Path) -> Ingested:
        """Read the source until its types are settled."""
        return Ingest(self.config, self.engine, None, DataProcessor(NO_STEPS), quarantine, self._pass).run(source)

    def apply(self, loaded: Ingested) -> Walked:
        """Apply the steps, write what is left, and commit it."""
        frame = loaded.outcome.frame
        assert frame is not None

        def run(blocks: Frame, stages: tuple[Stage, ...]) -> Outcome:
            self.passes += 1
            plan = Plan(source=blocks.source, prefix=blocks.prefix, stages=stages)
            aside = loaded.quarantine.add
            return self.engine.run(
                self._pass(plan, name="process", frame=blocks, keep=True, consume=True, on_aside=aside)
            )

        align = self.processor.alignment(frame.schema)
        done = walk(self.processor.course(), frame, run, (align,) if align is not None else (), self._sink)
        receipts = done.last.receipts if done.last is not None else []
        self.target.commit(done.frame.schema, receipts, done.frame.iter_blocks)
        return done

    def _sink(self, schema: pa.Schema) -> tuple[Stage, ...]:
        sink = self.target.sink(schema)
        return () if sink is None else (sink,)

    def _pass(self, plan: Plan, **options: Any) -> Pass:
        return Pass(plan, on_progress=self.on_progress, **options)


def _closed(quarantine: QuarantineWriter) -> Path | None:
    if quarantine.rows:
        return quarantine.close()
    quarantine.discard()
    return None
