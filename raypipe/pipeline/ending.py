"""How a run ends: with its result, or with what is known when something went wrong."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from raypipe.config import PipelineConfig
from raypipe.errors import DataInvalidError
from raypipe.pipeline.ingest import end_quarantine
from raypipe.pipeline.manifest import keep_manifest
from raypipe.pipeline.modelling import models_told
from raypipe.pipeline.record import summary_json
from raypipe.pipeline.state import RunState
from raypipe.pipeline.tracker import Tracker
from raypipe.results import PipelineResult, PipelineStatus

logger = logging.getLogger(__name__)


def write_down(
    config: PipelineConfig, run: RunState, tracker: Tracker, status: PipelineStatus, error: BaseException
) -> None:
    """Write down what is known of a run that was broken off, keep what it committed, and leave nothing half-written."""
    logger.error("run %s %s: %s", run.run_id, status.value, error)
    tracker.events.emit("run_done", status=status.value, error=str(error))
    if run.ingested is not None and not run.folder.file("quarantine.parquet").exists():
        end_quarantine(run.ingested.quarantine, error)
    _keep_journal(run, error)
    with contextlib.suppress(Exception):  # the error that ended the run is the one to tell
        summary = summary_json(config, run.run_id, run, tracker, error)
        run.folder.write_json("execution_summary.json", summary)
    keep_manifest(config, run.folder, run, tracker, error)


def _keep_journal(run: RunState, error: BaseException) -> None:
    """Keep what is committed, and say how to go on from it; where nothing is, nothing stays."""
    if run.journal is None:
        return
    if run.journal.is_empty or isinstance(error, DataInvalidError):
        run.journal.remove()
        return
    command = f"raypipe run --resume {run.run_id} --output {run.folder.parent}"
    error.add_note(f"what was done until then is kept; to go on from there: {command}")


def result_of(config: PipelineConfig, run: RunState, tracker: Tracker, summary: Mapping[str, Any]) -> PipelineResult:
    """What `execute()` returns."""
    frame, profile = run.data
    return PipelineResult(
        status=tracker.status.value,
        progress=tracker.progress.to_dict(),
        config=config,
        run_id=run.run_id,
        data_shape=(len(frame), len(frame.schema)),
        processed_data=frame,
        profile=profile,
        validation_results=run.validation.model_dump() if run.validation else None,
        validation=run.validation,
        analysis_results={
            "target": run.analysis.target,
            "timeline": run.analysis.timeline,
            "patterns": run.analysis.patterns,
            "series": run.analysis.series,
            "statistics": run.analysis.statistics,
        },
        insights=run.analysis.insights,
        insights_report=run.analysis.report,
        quality=run.analysis.quality,
        models=models_told(run.analysis, config),
        rows=summary["rows"],
        steps=run.steps,
        warnings=tuple(run.attempts.warnings),
        dashboard_generated=run.folder.file("dashboard.html").exists(),
        output_directory=run.folder.location,
        summary=summary,
    )
