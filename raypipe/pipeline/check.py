"""One pass, or two, without a run folder: for `raypipe profile` and `raypipe validate`, and for use in code."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from raypipe.blocks.profile import Profile
from raypipe.config import PipelineConfig, ProcessingConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.run import Engine, Pass, PassProgress
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.validate import DataValidator
from raypipe.insights.statistics.engine import StatisticsEngine
from raypipe.insights.statistics.models import Statistics
from raypipe.insights.statistics.pairs import MeasurePairs
from raypipe.insights.statistics.tails import CountTails, plan_tails
from raypipe.pipeline.ingest import Ingest, Ingested, open_source
from raypipe.pipeline.looks import Looks, looks_at, seen
from raypipe.results import ValidationResult
from raypipe.stage import Plan, Stage

NO_STEPS = ProcessingConfig(trim_text=False, parse_dates=False, drop_empty_columns=False, drop_empty_rows=False)


@dataclass(frozen=True)
class Checked:
    """What one pass says about a source."""

    profile: Profile
    validation: ValidationResult | None
    rows_read: int
    rows_quarantined: int
    notes: tuple[str, ...]
    """What the reader found or decided, in words."""
    engine: str
    seconds: float
    """Of all passes, and of what was measured between them."""
    statistics: Statistics | None = None
    """Where they were asked for."""


def check_source(
    config: PipelineConfig,
    quarantine: Path | None = None,
    on_progress: Callable[[PassProgress], None] | None = None,
    *,
    statistics: bool = False,
) -> Checked:
    """Read, check and summarise a source in one pass.

    Parameters
    ----------
    quarantine : Path, optional
        Where rows that were set aside are written (Parquet); None only counts them.
    statistics : bool
        Whether to measure what `StatisticsEngine` measures, too, in a second pass.
    """
    started = time.perf_counter()
    source = open_source(config)
    engine, _ = choose_engine(config.engine, source.size_bytes, columns=len(source.schema()))
    validator = DataValidator.of(config.validation, config.strict_validation) if config.validate_data else None

    def new_pass(plan: Plan, **options: Any) -> Pass:
        return Pass(plan, on_progress=on_progress, **options)

    with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
        path = quarantine or Path(folder) / "quarantine.parquet"
        looks = partial(looks_at, config) if statistics else None
        processor = DataProcessor(NO_STEPS, None, None)
        work = Ingest(config, engine, validator, processor, path, new_pass, keep=statistics, looks=looks)
        done = work.run(source)
        done.quarantine.close()
        measured = _statistics(config, engine, done, new_pass) if statistics else None
    validation = None
    if validator is not None:
        notes = {"notes": list(done.source.notes), "rows_set_aside": done.quarantine.rows}
        counts = validator.counts(done.outcome.tallies)
        validation = validator.verdict(done.profile, counts, notes, done.source.schema(), done.outcome.results)
    said = (*done.source.notes, *(promotion.reason for promotion in done.promotions))
    return Checked(
        profile=done.profile,
        validation=validation,
        rows_read=done.outcome.rows_in,
        rows_quarantined=done.quarantine.rows,
        notes=said,
        engine=engine.name,
        seconds=time.perf_counter() - started,
        statistics=measured,
    )


def _statistics(config: PipelineConfig, engine: Engine, done: Ingested, new_pass: Callable[..., Pass]) -> Statistics:
    """The statistics of what the first pass left, whose blocks are let go of."""
    frame = done.outcome.frame
    assert frame is not None

    def run_pass(stages: tuple[Stage, ...]) -> dict[str, Any]:
        plan = Plan(source=frame.source, prefix=frame.prefix, stages=stages).narrowed()
        return engine.run(new_pass(plan, name="statistics", frame=frame)).results

    looks = seen(config, done.profile, frame.schema, Looks.of(done.outcome.results), run_pass)
    draft = StatisticsEngine(config.analysis.statistics, config.seed).draft(
        done.profile, looks.sample, config.target_column
    )
    stages = (plan_tails(done.profile), draft.exact_stage())
    found = run_pass(tuple(stage for stage in stages if stage is not None))
    frame.release()
    return draft.finished(found.get(MeasurePairs.__name__), found[CountTails.__name__])
