"""From a run to the input of the dashboard. Imported only when a page is drawn: Bokeh is slow to load."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import raypipe
from raypipe.config import PipelineConfig
from raypipe.dashboard.generator import DashboardGenerator
from raypipe.dashboard.inputs import DashboardInput, Provenance
from raypipe.pipeline.state import RunState


def write_dashboard(config: PipelineConfig, run: RunState, seconds: float) -> Path:
    """Draw `dashboard.html` of the run.

    Parameters
    ----------
    seconds : float
        Time since the run began.
    """
    found = run.analysis
    _, profile = run.data
    title = config.dashboard_title or f"Analytics Dashboard - {Path(str(config.data_source)).stem}"
    given = DashboardInput(
        profile=profile,
        provenance=provenance(config, run, seconds),
        validation=run.validation,
        steps=run.steps,
        insights=found.insights,
        quality=found.quality,
        target=found.target,
        timeline=found.timeline,
        series=found.series,
        patterns=found.patterns,
        statistics=found.statistics,
        head=found.head,
        points=found.points,
        reasons={**found.reasons, **({} if run.validation else {"validation": "validation was switched off"})},
    )
    path = run.folder.file("dashboard.html")
    DashboardGenerator(config.dashboard, config.dashboard_theme, title).write(given, path)
    return path


def provenance(config: PipelineConfig, run: RunState, seconds: float) -> Provenance:
    """Where the numbers come from."""
    counts = run.row_counts()
    return Provenance(
        run_id=run.run_id,
        version=raypipe.__version__,
        engine=f"{run.engine.name} ({run.engine_reason})",
        source=str(config.data_source),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        rows_read=counts.read,
        rows_kept=counts.kept,
        rows_quarantined=counts.quarantined,
        rows_dropped=sum(counts.dropped.values()),
        seconds=round(seconds, 2),
        seed=config.seed,
        further={f"reading note {number}": note for number, note in enumerate(run.source.notes, start=1)},
    )
