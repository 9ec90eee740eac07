"""Pass 1: read, check and summarise, until every column has one type that holds for the whole source."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from raypipe.blocks.profile import Profile
from raypipe.blocks.spec import SummarySpec
from raypipe.config import PipelineConfig
from raypipe.engine.journal import told_to
from raypipe.engine.report import PartReport
from raypipe.engine.run import Engine, Outcome, Pass
from raypipe.errors import StageFailedError
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.quarantine.writer import QuarantineWriter
from raypipe.etl.reader import DataReader
from raypipe.etl.settling import PartNotes, until_settled
from raypipe.etl.source import TableSource
from raypipe.etl.summarise import Summarise
from raypipe.etl.types import Promotion
from raypipe.etl.validate import DataValidator
from raypipe.pipeline.looks import LookStages
from raypipe.stage import Plan, ReduceStage, Stage

SUMMARY = "Summarise"
"""Name of the stage that profiles a pass."""


MIN_PARTS = 32
"""A source is cut into at least about this many parts, so that all cores work on one file."""
MIN_PART_BYTES = 4 << 20


def open_source(config: PipelineConfig) -> TableSource:
    """Look at the source of a config, and cut it into parts.

    Parts depend on the source and on `block_mib`, and not on the engine or the number of workers, so that results do
    not either.
    """
    reader = DataReader(config.data_source, config.data_format, config.read_options, config.storage)
    most = int(config.engine.block_mib * (1 << 20))
    part_bytes = min(most, max(MIN_PART_BYTES, reader.memory_bytes // MIN_PARTS))
    return reader.source(
        seed=config.seed, sample_size=config.sample_size, target_part_bytes=part_bytes, most_part_bytes=most
    )


@dataclass
class Ingested:
    """What pass 1 made."""

    source: TableSource
    outcome: Outcome
    profile: Profile
    quarantine: QuarantineWriter
    promotions: list[Promotion] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    """Counts that parts reported, e.g. blank lines."""


@dataclass
class Ingest:
    """Runs pass 1 over a source, again where a later block widened the type of a column."""

    config: PipelineConfig
    engine: Engine
    validator: DataValidator | None
    processor: DataProcessor
    quarantine_path: Path
    new_pass: Callable[..., Pass]
    """Makes a pass that reports and can be cancelled as the pipeline wants."""
    keep: bool = True
    """Whether later passes want the blocks."""
    looks: Callable[[TableSource], LookStages] | None = None
    """Makes the stages that take rows themselves, where somebody wants those."""

    def plan(self, source: TableSource) -> Plan:
        """Read, check rows, summarise, and whatever the processing steps need to know beforehand."""
        stages: list[Stage] = []
        if self.validator is not None:
            stages += self.validator.stages(source.schema())
        schema = source.schema()
        stages += [summary_of(schema), *self.processor.reduce_stages(schema), *self._looks(source, schema)]
        return Plan(source=source, stages=tuple(stages))

    def _looks(self, source: TableSource, schema: pa.Schema) -> tuple[ReduceStage, ...]:
        return () if self.looks is None else self.looks(source)(schema)

    def on_part(self, report: PartReport) -> None:
        """Hear of each part that went through the pool that reads, in their order."""

    def run(self, source: TableSource) -> Ingested:
        """Run until types are settled; then once more where rows are to be set aside that only all together name."""
        opened: list[QuarantineWriter] = []

        def read(source: TableSource, notes: PartNotes) -> Outcome:
            opened.append(QuarantineWriter(self.quarantine_path))
            return self.engine.run(self._first_pass(source, notes, opened[-1]))

        def drop(outcome: Outcome) -> None:
            opened[-1].discard()
            if outcome.frame is not None:
                outcome.frame.release()  # room for the blocks of the next round

        try:
            done = until_settled(source, read, drop, self.config.validation.max_bad_cell_share)
            outcome = self._without_repeats(done.source, done.made, opened[-1])
        except BaseException as error:
            if opened:
                end_quarantine(opened[-1], error)
            raise
        profile = outcome.results.get(SUMMARY) or Profile(rows=outcome.rows_out, columns=())
        return Ingested(done.source, outcome, profile, opened[-1], done.promotions, dict(done.notes.counts))

    def _first_pass(self, source: TableSource, notes: PartNotes, quarantine: QuarantineWriter) -> Pass:
        def on_read(report: PartReport) -> None:
            quarantine.begin_part(report)
            notes.on_read(report)

        plan = self.plan(source)
        keep = self.keep or self._acts_later
        return self.new_pass(
            plan,
            name="load",
            keep=keep,
            on_read=told_to(on_read, self.on_part),
            on_aside=quarantine.add,
        )

    @property
    def _acts_later(self) -> bool:
        return self.validator is not None and self.validator.acts_later

    def _without_repeats(self, source: TableSource, done: Outcome, quarantine: QuarantineWriter) -> Outcome:
        """What both passes made, where rules set rows aside that only all rows together could name."""
        if self.validator is None or done.frame is None or not self._acts_later:
            return done
        stage, frame = self.validator.repeats_stage(done.results), done.frame
        if stage is None:
            if not self.keep:
                frame.release()
            return done if self.keep else replace(done, frame=None)
        schema = frame.schema
        again = (*self.validator.reduce_stages(schema), summary_of(schema), *self.processor.reduce_stages(schema))
        again = (*again, *self._looks(source, schema))
        plan = Plan(source=frame.source, prefix=frame.prefix, stages=(stage, *again))
        tell = quarantine.add
        made = self.engine.run(
            self.new_pass(plan, name="repeats", frame=frame, keep=self.keep, consume=True, on_aside=tell)
        )
        frame.release()
        return replace(
            done,
            results=self.validator.joined(done.results, made.results),
            tallies={**done.tallies, stage.name: made.tallies[stage.name]},
            frame=made.frame,
            rows_out=made.rows_out,
            bytes_read=done.bytes_read + made.bytes_read,
            seconds=done.seconds + made.seconds,
            peak_rss_bytes=max(done.peak_rss_bytes, made.peak_rss_bytes),
            worker_restarts=done.worker_restarts + made.worker_restarts,
            store_peak_bytes=max(done.store_peak_bytes, made.store_peak_bytes),
        )


def end_quarantine(quarantine: QuarantineWriter, error: BaseException) -> None:
    """Keep the file of a run that a stage ended, since the error sends its reader there; else drop it.

    What goes wrong here is not told: the error that ended the run is.
    """
    with contextlib.suppress(Exception):
        if isinstance(error, StageFailedError) and quarantine.rows:
            quarantine.close()
        else:
            quarantine.discard()


def summary_of(schema: pa.Schema, only: frozenset[str] | None = None) -> Summarise:
    """The stage that profiles blocks of this schema, in bounded memory however many columns there are."""
    return Summarise(spec=SummarySpec().for_width(len(schema)), only=only)
