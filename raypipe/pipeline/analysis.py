"""The analysis stage: one pass for relations, time and samples, then the findings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

import raypipe
from raypipe.config import PipelineConfig
from raypipe.engine.events import EventLog
from raypipe.engine.retry import RetryPolicy
from raypipe.engine.scheduler import SchedulerConfig, TaskScheduler
from raypipe.engine.tasks import TaskResults, not_available
from raypipe.etl.types import APPEARED
from raypipe.insights.calendar import is_calendar
from raypipe.insights.facts import InsightContext
from raypipe.insights.generator import InsightGenerator
from raypipe.insights.quality import QualityScore, quality_score
from raypipe.insights.relations import RelateTarget, plan_relations
from raypipe.insights.report import Overview, write_report
from raypipe.insights.sample import FirstRows, SampleRows
from raypipe.insights.series.measure import measure_series
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.timeline import CourseOverTime, plan_timeline
from raypipe.pipeline.state import Analysis, RunState
from raypipe.results import Insight
from raypipe.stage import Stage

RunPass = Callable[[tuple[Stage, ...]], Mapping[str, Any]]
TARGET, COURSE, PASS = "target", "course over time", "relations and course over time"
SERIES = "time series"
QUALITY, INSIGHTS, REPORT = "quality score", "insights", "report"
TASK_LIMIT_S = 600.0
"""For tasks that work on summaries. The pass over the rows has none: it takes as long as there are rows."""
TASKS = SchedulerConfig(where="driver", retry=RetryPolicy(attempts=1), task_limit_s=TASK_LIMIT_S)
"""In this process, where the engine is, which tries again itself."""
POINT_COLUMNS = 30
"""Number columns in the sample for scatter charts."""


def analyse(
    config: PipelineConfig,
    run: RunState,
    run_pass: RunPass,
    *,
    events: EventLog | None = None,
    cancel: threading.Event | None = None,
) -> Analysis:
    """Measure and word what the processed rows say, as a graph of tasks.

    A task that fails becomes a warning in `run.attempts`, and the others go on without it. `run.analysis_tasks` tells
    the time of each.
    """
    work = _Work(config, run, run_pass, TaskScheduler("analysis", TASKS, events=events, cancel=cancel))
    work.plan()
    try:
        results = work.tasks.execute_dag()
    finally:
        run.analysis_tasks = [result.to_dict() for result in work.tasks.results.values()]
    run.attempts.warnings += _warnings(results)
    return work.gathered(results)


@dataclass
class _Work:
    """The tasks of the analysis. Each but the pass over the rows is short, and works on small summaries."""

    config: PipelineConfig
    run: RunState
    run_pass: RunPass
    tasks: TaskScheduler
    reasons: dict[str, str] = field(default_factory=dict)

    def plan(self) -> None:
        """Add the tasks; what the settings or the columns rule out is a reason instead."""
        planned = [*self._plan_target(), *self._plan_course()]
        # In the thread that executes: the engine looks at the cancel itself, and callbacks come from this thread.
        self.tasks.add_task(PASS, self._measure, planned, where="caller", always=True)
        self.tasks.add_task(QUALITY, self._quality)
        self.tasks.add_task(SERIES, self._series, [PASS])
        self.tasks.add_task(INSIGHTS, self._insights, [PASS], after=[SERIES], always=True)
        self.tasks.add_task(REPORT, self._report, after=[QUALITY, INSIGHTS], always=True)

    def _plan_target(self) -> list[str]:
        frame, profile = self.run.data
        target = self.config.target_column
        if target is None:
            self.reasons["target"] = "no target column was named (--target)"
            return []
        self.tasks.add_task(TARGET, plan_relations, args=[profile, frame.schema, target])
        return [TARGET]

    def _plan_course(self) -> list[str]:
        frame, profile = self.run.data
        time = self.config.time_column
        if time is None:
            self.reasons["timeline"] = "no time column was named (--time)"
            return []
        kind = frame.schema.field(time).type
        if not is_calendar(kind):
            self.reasons["timeline"] = _no_dates(self.run, time, str(kind))
            self.run.attempts.warnings.append(self.reasons["timeline"])
            return []
        settings = self.config.analysis.series
        given = [profile, frame.schema, time, self.config.target_column, settings]
        self.tasks.add_task(COURSE, plan_timeline, args=given)
        return [COURSE]

    def _measure(self, *planned: Stage | None) -> Mapping[str, Any]:
        """One pass over the rows, for all that needs to see them."""
        frame, profile = self.run.data
        stages: list[Stage] = [FirstRows(rows=self.config.dashboard.max_table_rows)]
        if frame.schema.names:
            limits = self.config.analysis
            rows = max(1, min(limits.sample_rows, limits.sample_cells // len(frame.schema.names)))
            stages.append(
                SampleRows(rows=rows, columns=tuple(frame.schema.names), seed=self.config.seed, of=profile.rows)
            )
        return self.run_pass((*stages, *(stage for stage in planned if stage is not None)))

    def _quality(self) -> QualityScore:
        return quality_score(self.run.data[1], self.run.validation, self.run.loaded.quarantine.rows)

    def _series(self, measured: Mapping[str, Any]) -> SeriesReport | None:
        """The course over time taken apart: on the sums that the pass made, never on rows."""
        line, settings = measured.get(CourseOverTime.__name__), self.config.analysis.series
        if line is None or line.course is None:
            return None
        if not settings.enabled:
            self.reasons["time series"] = "switched off (analysis.series.enabled: false)"
            return None
        report = measure_series(line.course, settings)
        self.reasons.update({f"time series: {what}": why for what, why in report.not_computed.items()})
        return report

    def _insights(self, measured: Mapping[str, Any] | None) -> tuple[Insight, ...]:
        found, run = measured or {}, self.run
        context = InsightContext(
            business=self.config.business_context,
            target=self.config.target_column,
            rows_read=run.loaded.outcome.rows_in,
            rows_quarantined=run.loaded.quarantine.rows,
            type_changes={one.column: one.reason for one in run.loaded.promotions if one.from_type != APPEARED},
        )
        target, course = found.get(RelateTarget.__name__), found.get(CourseOverTime.__name__)
        generator = InsightGenerator(self.config.analysis.report)
        series = self.tasks.results[SERIES].value
        return generator.generate(run.data[1], run.validation, target, course, run.steps, context, series)

    def _report(self) -> str:
        results = self.tasks.results
        return _report(self.config, self.run, self.gathered(results), _warnings(results))

    def _points(self, sample: pa.Table | None) -> pa.Table | None:
        """Rows for scatter charts: the first of the sample, which are a sample themselves."""
        if sample is None:
            return None
        numbers = [column.name for column in self.run.data[1].columns if column.kind == "number"][:POINT_COLUMNS]
        wanted = [name for name in sample.column_names if name == self.config.target_column]
        columns = list(dict.fromkeys([*wanted, *numbers]))
        return sample.select(columns).slice(0, self.config.dashboard.max_points) if columns else None

    def gathered(self, results: TaskResults) -> Analysis:
        """What the tasks found so far."""
        measured = results[PASS].value or {}
        return Analysis(
            insights=results[INSIGHTS].value or (),
            quality=results[QUALITY].value,
            target=measured.get(RelateTarget.__name__),
            timeline=measured.get(CourseOverTime.__name__),
            series=results[SERIES].value,
            head=measured.get(FirstRows.__name__),
            points=self._points(measured.get(SampleRows.__name__)),
            sample=measured.get(SampleRows.__name__),
            report=results[REPORT].value or "",
            reasons=self.reasons,
        )


def _warnings(results: TaskResults) -> list[str]:
    return [not_available(result.name, result.error) for result in results.failed]


def _no_dates(run: RunState, column: str, kind: str) -> str:
    """Why a time column cannot be used, with what the step that parses dates says of it, and what to type."""
    reasons = [step.detail.get("left_as_text", {}) for step in run.steps if step.step == "ParseDates"]
    why = next((f" ({found[column]})" for found in reasons if column in found), "")
    advice = f"--set read_options.dtypes.{column}=datetime reads it as dates, and sets other rows aside"
    return f"the time column {column!r} holds {kind}, which is no date{why}; {advice}"


def _report(config: PipelineConfig, run: RunState, found: Analysis, warnings: list[str]) -> str:
    counts = run.row_counts()
    known = enumerate([*run.attempts.warnings, *warnings], start=1)
    return write_report(
        Overview(
            profile=run.data[1],
            title=config.dashboard_title or f"Insights - {Path(str(config.data_source)).stem}",
            insights=found.insights,
            quality=found.quality,
            validation=run.validation,
            target=found.target,
            timeline=found.timeline,
            series=found.series,
            steps=run.steps,
            not_computed={**found.reasons, **{f"warning {number}": text for number, text in known}},
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
