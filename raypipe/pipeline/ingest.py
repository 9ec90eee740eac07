"""Pass 1: read, check and summarise, until every column has one type that holds for the whole source."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from raypipe.blocks.profile import Profile
from raypipe.blocks.spec import SummarySpec
from raypipe.config import PipelineConfig
from raypipe.engine.journal import told_to
from raypipe.engine.report import PartReport
from raypipe.engine.run import Engine, Outcome, Pass
from raypipe.errors import SchemaError, StageFailedError
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.quarantine.writer import QuarantineWriter
from raypipe.etl.reader import DataReader
from raypipe.etl.source import MISCUT, TableSource, cut_exactly, settle_types
from raypipe.etl.summarise import Summarise
from raypipe.etl.types import Misfits, Promotion, gather_misfits
from raypipe.etl.validate import DataValidator
from raypipe.stage import Plan, Stage

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 4
"""Types only ever widen (integer, float, text), so that more rounds than this mean a defect; one more may be needed for
cuts that were guessed wrongly."""


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
    return reader.source(seed=config.seed, sample_size=config.sample_size, target_part_bytes=part_bytes)


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
class _Notes:
    """What parts say beside their rows, added up in the order of parts: it does not grow with them."""

    quarantine: QuarantineWriter
    counts: Counter[str] = field(default_factory=Counter)
    _values: Counter[str] = field(default_factory=Counter)
    _wide: Counter[str] = field(default_factory=Counter)
    _misfits: Misfits = field(default_factory=dict)

    def on_read(self, report: PartReport) -> None:
        self.quarantine.begin_part(report.part, report.file, report.lines)
        note = report.notes
        self.counts.update({key: value for key, value in note.items() if isinstance(value, int)})
        self._values.update(note.get("values", {}))
        self._wide.update(note.get("wide", {}))
        if note.get("misfits"):
            self._misfits = gather_misfits([{"misfits": self._misfits}, {"misfits": note["misfits"]}])

    def misfits(self) -> Misfits:
        """Of all parts so far."""
        return gather_misfits([{"values": self._values, "wide": self._wide, "misfits": self._misfits}])


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

    def plan(self, source: TableSource) -> Plan:
        """Read, check rows, summarise, and whatever the processing steps need to know beforehand."""
        stages: list[Stage] = []
        if self.validator is not None:
            stages += self.validator.stages(source.schema())
        schema = source.schema()
        stages += [summary_of(schema), *self.processor.reduce_stages(schema)]
        return Plan(source=source, stages=tuple(stages))

    def on_part(self, report: PartReport) -> None:
        """Hear of each part that went through the pool that reads, in their order."""

    def run(self, source: TableSource) -> Ingested:
        """Run until types are settled."""
        promotions: list[Promotion] = []
        for _ in range(MAX_ATTEMPTS + 1):
            quarantine = QuarantineWriter(self.quarantine_path)
            notes = _Notes(quarantine)
            try:
                outcome = self.engine.run(
                    self.new_pass(
                        self.plan(source),
                        name="load",
                        keep=self.keep,
                        on_read=told_to(notes.on_read, self.on_part),
                        on_aside=quarantine.add,
                    )
                )
                misfits = notes.misfits()
                miscut = notes.counts[MISCUT] > 0
                settled, found = settle_types(source, misfits, self.config.validation.max_bad_cell_share)
            except BaseException as error:
                end_quarantine(quarantine, error)
                raise
            if not found and not miscut:
                profile = outcome.results.get(SUMMARY) or Profile(rows=outcome.rows_out, columns=())
                return Ingested(source, outcome, profile, quarantine, promotions, dict(notes.counts))
            quarantine.discard()
            if outcome.frame is not None:
                outcome.frame.release()  # room for the blocks of the next round
            for promotion in [] if miscut else found:
                logger.warning("%s; reading again", promotion.reason)
            promotions += [] if miscut else found
            source = cut_exactly(source) if miscut else settled
        raise SchemaError(
            f"read: types did not settle after {MAX_ATTEMPTS} rounds, the last for {promotions[-1].reason}"
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


def summary_of(schema: pa.Schema) -> Summarise:
    """The stage that profiles blocks of this schema, in bounded memory however many columns there are."""
    return Summarise(spec=SummarySpec().for_width(len(schema)))
