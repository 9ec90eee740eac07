"""The analysis stage: one pass for relations, time and samples, then the findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import raypipe
from raypipe.config import PipelineConfig
from raypipe.insights.calendar import is_calendar
from raypipe.insights.facts import InsightContext
from raypipe.insights.generator import InsightGenerator
from raypipe.insights.quality import quality_score
from raypipe.insights.relations import RelateTarget, plan_relations
from raypipe.insights.report import Overview, write_report
from raypipe.insights.sample import FirstRows, SampleRows
from raypipe.insights.timeline import CourseOverTime, plan_timeline
from raypipe.pipeline.state import Analysis, RunState
from raypipe.stage import Stage

RunPass = Callable[[tuple[Stage, ...]], Mapping[str, Any]]
POINT_COLUMNS = 30
"""Number columns in the sample for scatter charts."""


def analyse(config: PipelineConfig, run: RunState, run_pass: RunPass) -> Analysis:
    """Measure and word what the processed rows say; what fails stands in `run.attempts` and `reasons`."""
    _, profile = run.data
    attempt = run.attempts.attempt
    found = Analysis()
    stages = _stages(config, run, found)
    results = attempt("relations and course over time", lambda: run_pass(stages)) or {}
    found.target = results.get(RelateTarget.__name__)
    found.timeline = results.get(CourseOverTime.__name__)
    found.head = results.get(FirstRows.__name__)
    found.points = results.get(SampleRows.__name__)
    quarantined = run.loaded.quarantine.rows
    found.quality = attempt("quality score", lambda: quality_score(profile, run.validation, quarantined))
    generator = InsightGenerator()
    context = InsightContext(
        business=config.business_context,
        target=config.target_column,
        rows_read=run.loaded.outcome.rows_in,
        rows_quarantined=quarantined,
        type_changes={promotion.column: promotion.reason for promotion in run.loaded.promotions},
    )
    insights = attempt(
        "insights",
        lambda: generator.generate(profile, run.validation, found.target, found.timeline, run.steps, context),
    )
    found.insights = insights or ()
    found.report = attempt("report", lambda: _report(config, run, found)) or ""
    return found


def _stages(config: PipelineConfig, run: RunState, found: Analysis) -> tuple[Stage, ...]:
    frame, profile = run.data
    stages: list[Stage] = [FirstRows(rows=config.dashboard.max_table_rows)]
    numbers = [column.name for column in profile.columns if column.kind == "number"][:POINT_COLUMNS]
    wanted = [config.target_column] if config.target_column in frame.schema.names else []
    columns = tuple(dict.fromkeys([*(name for name in wanted if name), *numbers]))
    if columns:
        stages.append(SampleRows(rows=config.dashboard.max_points, columns=columns, seed=config.seed))
    if config.target_column is None:
        found.reasons["target"] = "no target column was named (--target)"
    else:
        target = config.target_column
        planned = run.attempts.attempt("target", lambda: plan_relations(profile, frame.schema, target))
        stages += [planned] if planned else []
    if config.time_column is None:
        found.reasons["timeline"] = "no time column was named (--time)"
    elif not is_calendar(frame.schema.field(config.time_column).type):
        kind = frame.schema.field(config.time_column).type
        found.reasons["timeline"] = _no_dates(run, config.time_column, str(kind))
        run.attempts.warnings.append(found.reasons["timeline"])
    else:
        time_column = config.time_column
        course = run.attempts.attempt(
            "course over time", lambda: plan_timeline(profile, frame.schema, time_column, config.target_column)
        )
        stages += [course] if course else []
    return tuple(stages)


def _no_dates(run: RunState, column: str, kind: str) -> str:
    """Why a time column cannot be used, with what the step that parses dates says of it, and what to type."""
    reasons = [step.detail.get("left_as_text", {}) for step in run.steps if step.step == "ParseDates"]
    why = next((f" ({found[column]})" for found in reasons if column in found), "")
    advice = f"--set read_options.dtypes.{column}=datetime reads it as dates, and sets other rows aside"
    return f"the time column {column!r} holds {kind}, which is no date{why}; {advice}"


def _report(config: PipelineConfig, run: RunState, found: Analysis) -> str:
    counts = run.row_counts()
    return write_report(
        Overview(
            profile=run.data[1],
            title=config.dashboard_title or f"Insights - {Path(str(config.data_source)).stem}",
            insights=found.insights,
            quality=found.quality,
            validation=run.validation,
            target=found.target,
            timeline=found.timeline,
            steps=run.steps,
            not_computed={
                **found.reasons,
                **{f"warning {number}": text for number, text in enumerate(run.attempts.warnings, start=1)},
            },
            provenance={
                "run": run.run_id,
                "raypipe": raypipe.__version__,
                "source": str(config.data_source),
                "engine": f"{run.engine.name} ({run.engine_reason})",
                "rows read": counts.read,
                "rows kept": counts.kept,
                "rows quarantined": counts.quarantined,
                "rows dropped": sum(counts.dropped.values()),
                "seed": config.seed,
            },
        )
    )
