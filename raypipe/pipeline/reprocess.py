"""Fitted steps applied to a new source: for `raypipe process`, and for use in code."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from raypipe.blocks.frames import without_row_numbers
from raypipe.config import PipelineConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.frame import Frame
from raypipe.engine.run import Outcome, Pass, PassProgress
from raypipe.errors import ConfigError
from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.etl.process import DataProcessor
from raypipe.etl.processor import FittedProcessor
from raypipe.etl.quarantine import QuarantineWriter
from raypipe.etl.walk import walk
from raypipe.etl.write import WriteParquet
from raypipe.pipeline.check import NO_STEPS
from raypipe.pipeline.ingest import Ingest, end_quarantine, open_source
from raypipe.pipeline.state import RowCounts
from raypipe.results import StepReport
from raypipe.stage import Plan, Stage

FILES = (".parquet", ".csv")
"""Endings of outputs that are one file; any other name is a folder of Parquet files, one a part."""


@dataclass(frozen=True)
class Reprocessed:
    """What became of the rows."""

    output: Path
    quarantine: Path | None
    """Where rows that were set aside are; None where there were none."""
    rows: RowCounts
    steps: tuple[StepReport, ...]
    engine: str
    passes: int
    """After loading."""


def reprocess(
    config: PipelineConfig,
    steps: Path,
    output: Path,
    on_progress: Callable[[PassProgress], None] | None = None,
) -> Reprocessed:
    """Apply the steps of a `processing.json` to the source of a config, and write the rows that are left.

    Rows that are set aside go to `<output>.quarantine.parquet`.

    Raises
    ------
    ConfigError, ReadError
        If the steps cannot be loaded, or the output is there already.
    MissingColumnsError, SchemaError
        If the source does not have the columns that the steps were fitted on.
    """
    processor = FittedProcessor.load(steps)
    if output.exists() and (output.is_file() or any(output.iterdir())):
        raise ConfigError(f"{output} is there already; choose another name with --output, or remove it")
    source = open_source(config)
    processor.alignment(source.schema())
    engine, _ = choose_engine(config.engine, source.size_bytes)
    path = output.with_name(f"{output.name}.quarantine.parquet")
    passes: list[Outcome] = []

    def new_pass(plan: Plan, **options: Any) -> Pass:
        return Pass(plan, on_progress=on_progress, **options)

    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    loaded = Ingest(config, engine, None, DataProcessor(NO_STEPS), path, new_pass).run(source)
    quarantine = loaded.quarantine

    def run(frame: Frame, stages: tuple[Stage, ...]) -> Outcome:
        plan = Plan(source=frame.source, prefix=frame.prefix, stages=stages)
        work = new_pass(plan, name="process", frame=frame, keep=True, consume=True, on_aside=quarantine.add)
        passes.append(engine.run(work))
        return passes[-1]

    frame = loaded.outcome.frame
    assert frame is not None
    try:
        align = processor.alignment(frame.schema)
        single = output.suffix in FILES
        ends: tuple[Stage, ...] = () if single else (WriteParquet(folder=output),)
        done = walk(processor.course(), frame, run, (align,) if align is not None else (), lambda schema: ends)
        if single:
            _write_file(done.frame, output)
        aside = _close(quarantine)
    except BaseException as error:
        end_quarantine(quarantine, error)
        raise
    finally:
        engine.release()
    dropped = {name: tally.rows_dropped for name, tally in done.tallies.items() if tally.rows_dropped}
    rows = RowCounts(loaded.outcome.rows_in, len(done.frame), quarantine.rows, dropped)
    rows.check()
    return Reprocessed(output, aside, rows, tuple(done.reports), engine.name, len(passes))


def _close(quarantine: QuarantineWriter) -> Path | None:
    if quarantine.rows:
        return quarantine.close()
    quarantine.discard()
    return None


def _write_file(frame: Frame, output: Path) -> None:
    """The blocks one after the other, under a temporary name first."""
    temp = output.with_name(f"{TEMP_MARK}{output.name}")
    with writing(output):
        try:
            with _writer(temp, output.suffix, frame.schema) as writer:
                for block in frame.iter_blocks():
                    writer.write_table(without_row_numbers(block))
            os.replace(temp, output)
        finally:
            temp.unlink(missing_ok=True)


def _writer(path: Path, suffix: str, schema: pa.Schema) -> Any:
    return pq.ParquetWriter(path, schema, compression="zstd") if suffix == ".parquet" else pc.CSVWriter(path, schema)
