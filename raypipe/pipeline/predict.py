"""Rows of a source scored by a model: read, scored block by block, set aside where they cannot be, and written."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from raypipe.config import PipelineConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.report import PartReport
from raypipe.engine.run import Pass
from raypipe.errors import ConservationError
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.source import TableSource
from raypipe.etl.writers.choose import open_target
from raypipe.etl.writers.target import Blocks, Target, Written
from raypipe.ml.predicting import ScoreRows
from raypipe.pipeline.convert import NO_STEPS, Progress, beside
from raypipe.pipeline.ingest import Ingest, Ingested, end_quarantine, open_source
from raypipe.stage import Plan


@dataclass(frozen=True)
class Predicted:
    """What was written, and what became of every row."""

    source: str
    model: str
    destination: str
    rows_read: int
    rows_written: int
    rows_quarantined: int
    engine: str
    seconds: float
    columns: tuple[str, ...]
    """Those that were added."""
    quarantine: str | None = None
    """Where the rows are that could not be read or scored; None where there are none."""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.rows_read != self.rows_written + self.rows_quarantined:
            raise ConservationError(
                f"rows read ({self.rows_read:,}) are not rows scored ({self.rows_written:,}) + quarantined"
                f" ({self.rows_quarantined:,}); this is a defect of raypipe"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def predict(
    config: PipelineConfig,
    stage: ScoreRows,
    dest: str | Path,
    *,
    quarantine: Path | None = None,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Predicted:
    """Score the source of a config in one pass, and write its rows with what the model says of them.

    Parameters
    ----------
    config : PipelineConfig
        Its source, `read_options`, `engine`, `storage` and `write` are heeded; nothing is cleaned. See `reading_as`.
    dest : str or Path
        See `open_target`.
    quarantine : Path, optional
        Where rows go that cannot be read or scored (Parquet); None names it after `dest`.

    Raises
    ------
    MissingColumnsError, SchemaError
        The source lacks a column that the model looks at, or has it of another kind; known before a row is read.
    """
    started = time.perf_counter()
    source = open_source(config)
    with open_target(dest, config.write, config.storage) as target:
        target.check(stage.output_schema(source.schema()))
        engine, _ = choose_engine(config.engine, source.size_bytes, (stage,))

        def new_pass(plan: Plan, **options: Any) -> Pass:
            return Pass(plan, on_progress=on_progress, cancel=cancel or threading.Event(), **options)

        work = _ScorePass(
            config, engine, None, DataProcessor(NO_STEPS, None, None), quarantine or beside(dest), new_pass,
            target=target, stage=stage,
        )  # fmt: skip
        try:
            done = work.run(source)
            try:
                written = work.commit(done)
            except BaseException as error:
                end_quarantine(done.quarantine, error)
                raise
        finally:
            engine.release()
    return Predicted(
        source=str(config.data_source),
        model=stage.card.name,
        destination=target.name,
        rows_read=done.outcome.rows_in,
        rows_written=written.rows,
        rows_quarantined=done.quarantine.rows,
        engine=engine.name,
        seconds=round(time.perf_counter() - started, 3),
        columns=tuple(stage.added().names),
        quarantine=str(done.quarantine.path) if done.quarantine.rows else None,
        notes=(*done.source.notes, *(promotion.reason for promotion in done.promotions)),
    )


def reading_as(config: PipelineConfig, stage: ScoreRows) -> PipelineConfig:
    """The config with the types of text files that the model was learnt from, where it says nothing else.

    Without them a file whose numbers are all missing, or whose codes are all digits, would be read otherwise than the
    one that the model knows.
    """
    reading: dict[str, Any] = dict(stage.card.reading)
    if not reading or not _is_text(config):
        return config
    given = config.read_options
    asked = given.model_dump(exclude_unset=True)
    by_column = {name: {**reading.get(name, {}), **asked.get(name, {})} for name in ("dtypes", "formats")}
    return config.replace(read_options=given.replace(**{**reading, **asked, **by_column}))


def _is_text(config: PipelineConfig) -> bool:
    from raypipe.etl.reader import DataReader

    return DataReader(config.data_source, config.data_format, config.read_options, config.storage).format == "csv"


@dataclass(kw_only=True)
class _ScorePass(Ingest):
    """Pass 1 with the model and the writer at its end."""

    target: Target
    stage: ScoreRows
    keep: bool = False

    def plan(self, source: TableSource) -> Plan:
        sink = self.target.sink(self.stage.output_schema(source.schema()))
        self.keep = sink is None
        return Plan(source=source, stages=(self.stage,) if sink is None else (self.stage, sink))

    def on_part(self, report: PartReport) -> None:
        for receipt in report.receipts:
            self.target.take(receipt)

    def commit(self, done: Ingested) -> Written:
        """Close the quarantine, then let the rows appear."""
        outcome, aside = done.outcome, done.quarantine
        if aside.rows:
            aside.close()
        else:
            aside.discard()
        frame = outcome.frame
        blocks: Blocks = frame.iter_blocks if frame is not None else tuple
        return self.target.commit(self.stage.output_schema(done.source.schema()), outcome.receipts, blocks)
