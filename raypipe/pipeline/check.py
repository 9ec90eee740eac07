"""One pass without a run folder: for `raypipe profile` and `raypipe validate`, and for use in code."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raypipe.blocks.profile import Profile
from raypipe.config import PipelineConfig, ProcessingConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.run import Pass, PassProgress
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.validate import DataValidator
from raypipe.pipeline.ingest import Ingest, open_source
from raypipe.results import ValidationResult
from raypipe.stage import Plan

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


def check_source(
    config: PipelineConfig,
    quarantine: Path | None = None,
    on_progress: Callable[[PassProgress], None] | None = None,
) -> Checked:
    """Read, check and summarise a source in one pass.

    Parameters
    ----------
    quarantine : Path, optional
        Where rows that were set aside are written (Parquet); None only counts them.
    """
    source = open_source(config)
    engine, _ = choose_engine(config.engine, source.size_bytes)
    validator = DataValidator.of(config.validation, config.strict_validation) if config.validate_data else None

    def new_pass(plan: Plan, **options: Any) -> Pass:
        return Pass(plan, on_progress=on_progress, **options)

    with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
        path = quarantine or Path(folder) / "quarantine.parquet"
        work = Ingest(config, engine, validator, DataProcessor(NO_STEPS, None, None), path, new_pass, keep=False)
        done = work.run(source)
        done.quarantine.close()
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
        seconds=done.outcome.seconds,
    )
