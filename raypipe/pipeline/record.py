"""The JSON files of a run. Each carries the version of its layout."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import psutil

import raypipe
from raypipe.blocks.profile import Profile
from raypipe.config import PipelineConfig
from raypipe.errors import RaypipeError
from raypipe.etl.pins import reading_facts
from raypipe.pipeline.state import RunState
from raypipe.pipeline.tracker import Tracker
from raypipe.results import ValidationResult

SUMMARY_VERSION = 1
VALIDATION_VERSION = 1
PACKAGES = ("ray", "pyarrow", "polars", "numpy", "pydantic", "bokeh")


def profile_json(profile: Profile) -> dict[str, Any]:
    """`profile.json`."""
    return profile.model_dump(mode="json")


def validation_json(validation: ValidationResult) -> dict[str, Any]:
    """`validation.json`."""
    return {"version": VALIDATION_VERSION, **validation.model_dump(mode="json")}


def summary_json(
    config: PipelineConfig, run_id: str, run: RunState | None, tracker: Tracker, error: BaseException | None
) -> dict[str, Any]:
    """`execution_summary.json`; after a failure, as much of it as is known."""
    summary: dict[str, Any] = {
        "version": SUMMARY_VERSION,
        "run_id": run_id,
        "pipeline_config": config.model_dump(mode="json"),
        "execution_status": tracker.status.value,
        "progress": tracker.progress.to_dict(),
        "error": error_json(error),
        "stage_seconds": {stage: round(seconds, 4) for stage, seconds in tracker.seconds.items()},
        "versions": versions(),
        "machine": machine(),
    }
    return summary if run is None else {**summary, **_run_json(run)}


def _run_json(run: RunState) -> dict[str, Any]:
    known = run.ingested is not None and run.frame is not None and run.profile is not None
    body: dict[str, Any] = {
        "engine": {
            "name": run.engine.name,
            "why": run.engine_reason,
            "peak_worker_rss_bytes": run.peak_rss_bytes,
            "worker_restarts": run.worker_restarts,
            "passes": run.passes,
        },
        "resumed": run.resumed,
        "analysis_tasks": run.analysis_tasks,
        "warnings": run.attempts.warnings,
        "output_files": [name for name in run.folder.files() if not name.startswith("resume/")],
    }
    if not known:
        return body
    frame, _ = run.data
    loaded = run.loaded
    body["rows"] = run.row_counts().to_dict()
    body["results_summary"] = {
        "data_shape": [len(frame), len(frame.schema)],
        "validation_passed": run.validation.is_valid if run.validation else None,
        "insights_generated": len(run.analysis.insights),
        "dashboard_generated": run.folder.file("dashboard.html").exists(),
    }
    body["reading"] = {
        "notes": list(run.source.notes),
        "promotions": [promotion.model_dump(mode="json") for promotion in loaded.promotions],
        "counts": loaded.notes,
        "found": reading_facts(run.source),
        "quarantined_by_stage_and_column": [
            {"stage": stage, "column": column, "rows": rows}
            for (stage, column), rows in loaded.quarantine.by_reason.most_common()
        ],
    }
    body["processing"] = [step.model_dump(mode="json") for step in run.steps]
    return body


def error_json(error: BaseException | None) -> dict[str, str] | None:
    """Code, class and text of what ended a run."""
    if error is None:
        return None
    if isinstance(error, RaypipeError):
        return error.to_dict()
    return {"code": "UNEXPECTED", "type": type(error).__name__, "message": str(error)}


def versions() -> dict[str, str]:
    """Of raypipe, Python and the packages that shape results."""
    return {
        "raypipe": raypipe.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def machine() -> dict[str, Any]:
    """What ran it: CPUs, memory, system; no host name."""
    return {
        "cpus": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30), 1),
        "system": f"{platform.system()} {platform.machine()}",
    }
