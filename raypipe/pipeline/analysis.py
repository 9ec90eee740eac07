"""The analysis stage: what the sample of rows says, one pass over all rows for the rest, then the findings."""

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
from raypipe.insights.actions import Run
from raypipe.insights.calendar import is_calendar
from raypipe.insights.document import document
from raypipe.insights.facts import InsightContext, looks_like_id, names_things
from raypipe.insights.generator import InsightGenerator
from raypipe.insights.models import TargetReport
from raypipe.insights.overview import Overview
from raypipe.insights.patterns.detector import PatternDetector
from raypipe.insights.patterns.models import PatternsReport
from raypipe.insights.quality import QualityScore, quality_score
from raypipe.insights.relations import RelateTarget, plan_relations
from raypipe.insights.report import write_report
from raypipe.insights.series.measure import measure_series
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.statistics.coding import TOO_MANY
from raypipe.insights.statistics.engine import Draft, StatisticsEngine
from raypipe.insights.statistics.models import Statistics
from raypipe.insights.statistics.pairs import MeasurePairs
from raypipe.insights.statistics.tails import CountTails, plan_tails
from raypipe.insights.target.analysis import analyse_target
from raypipe.insights.timeline import CourseOverTime, plan_timeline
from raypipe.insights.wording.catalogue import catalogue_of
from raypipe.pipeline.looks import Looks, seen
from raypipe.pipeline.manifest import masked_config
from raypipe.pipeline.state import Analysis, RunState
from raypipe.results import Insight
from raypipe.stage import Stage

RunPass = Callable[[tuple[Stage, ...]], Mapping[str, Any]]
LOOK = "first rows and sample"
TARGET, COURSE, PASS = "target", "course over time", "pass over all rows"
SERIES = "time series"
SCREENING, STATISTICS = "statistics of the sample", "statistics"
PATTERNS, CLOSER = "patterns", "target analysis"
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
        # In the thread that executes: the engine looks at the cancel itself, and callbacks come from this thread.
        self.tasks.add_task(LOOK, self._look, where="caller")
        planned = [*self._plan_statistics(), *self._plan_target(), *self._plan_course()]
        self.tasks.add_task(PASS, self._measure, planned, where="caller", always=True)
        self.tasks.add_task(QUALITY, self._quality)
        sampled = self._plan_samples(target_planned=TARGET in planned)
        measured = []
        if SCREENING in planned:
            self.tasks.add_task(STATISTICS, self._statistics, [SCREENING, PASS], always=True)
            measured.append(STATISTICS)
        if COURSE in planned:
            self.tasks.add_task(SERIES, self._series, [PASS], always=True)
            sampled.append(SERIES)
        self.tasks.add_task(INSIGHTS, self._insights, [PASS, *measured], after=sampled, always=True)
        self.tasks.add_task(REPORT, self._report, after=[QUALITY, INSIGHTS], always=True)

    def _plan_samples(self, *, target_planned: bool) -> list[str]:
        """The tasks that work on the sample of rows."""
        planned: list[str] = []
        if self.config.analysis.patterns.enabled:
            self.tasks.add_task(PATTERNS, self._patterns, [LOOK], always=True)
            planned.append(PATTERNS)
        else:
            self.reasons["patterns"] = "switched off (analysis.patterns.enabled: false)"
        if target_planned:
            self.tasks.add_task(CLOSER, self._closer, [PASS, LOOK], always=True)
            planned.append(CLOSER)
        return planned

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

    def _plan_statistics(self) -> list[str]:
        if not self.config.analysis.statistics.enabled:
            self.reasons[STATISTICS] = "switched off (analysis.statistics.enabled: false)"
            return []
        self.tasks.add_task(SCREENING, self._screen, [LOOK], always=True)
        return [SCREENING]

    def _look(self) -> Looks:
        """The rows that earlier passes took; they are taken now where those could not."""
        frame, profile = self.run.data
        return seen(self.config, profile, frame.schema, self.run.looks, self.run_pass)

    def _screen(self, looks: Looks | None) -> Draft:
        engine, sample = StatisticsEngine(self.config.analysis.statistics, self.config.seed), looks and looks.sample
        return engine.draft(self.run.data[1], sample, self.config.target_column)

    def _measure(self, *planned: Stage | Draft | None) -> Mapping[str, Any]:
        """One pass over the rows, for all that needs to see every one of them."""
        stages = [stage for stage in planned if isinstance(stage, Stage)]
        if self.config.analysis.statistics.enabled:
            stages.append(plan_tails(self.run.data[1]))
        pairs = [draft.exact_stage() for draft in planned if isinstance(draft, Draft)]
        stages += [stage for stage in pairs if stage is not None]
        return self.run_pass(tuple(stages)) if stages else {}

    def _statistics(self, draft: Draft | None, measured: Mapping[str, Any] | None) -> Statistics | None:
        if draft is None:
            return None
        found = measured or {}
        return draft.finished(found.get(MeasurePairs.__name__), found.get(CountTails.__name__))

    def _quality(self) -> QualityScore:
        return quality_score(self.run.data[1], self.run.validation, self.run.loaded.quarantine.rows)

    def _patterns(self, looks: Looks | None) -> PatternsReport | None:
        """Clusters, anomalies, rules, dependencies and the map, of the sample without the target."""
        if looks is None:  # Its own warning says why.
            return None
        sample = pa.table({}) if looks.sample is None else looks.sample
        ids = frozenset(column.name for column in self.run.data[1].columns if looks_like_id(column))
        naming = frozenset(column.name for column in self.run.data[1].columns if names_things(column))
        return PatternDetector(self.config.analysis.patterns.replace(seed=self.config.seed)).detect(sample, ids, naming)

    def _closer(self, measured: Mapping[str, Any] | None, looks: Looks | None) -> TargetReport | None:
        """The target by the sample of rows: leaks, baselines, segments, drift."""
        report = (measured or {}).get(RelateTarget.__name__)
        if looks is None or report is None:
            return None
        settings = self.config.analysis.target.replace(seed=self.config.seed)
        return analyse_target(report, looks.sample, settings, self.config.time_column)

    def _found(self, name: str) -> Any:
        """What a task that is planned and done has found, else None."""
        result = self.tasks.results.get(name)
        return result.value if result is not None else None

    def _series(self, measured: Mapping[str, Any] | None) -> SeriesReport | None:
        """The course over time taken apart: on the sums that the pass made, never on rows."""
        line, settings = (measured or {}).get(CourseOverTime.__name__), self.config.analysis.series
        if line is None or line.course is None:
            return None
        if not settings.enabled:
            self.reasons[SERIES] = "switched off (analysis.series.enabled: false)"
            return None
        report = measure_series(line.course, settings)
        self.reasons.update({f"{SERIES}: {what}": why for what, why in report.not_computed.items()})
        return report

    def _insights(
        self, measured: Mapping[str, Any] | None, statistics: Statistics | None = None
    ) -> tuple[Insight, ...]:
        found, run = measured or {}, self.run
        return InsightGenerator(self.config.analysis.report).generate(
            run.data[1],
            run.validation,
            self._found(CLOSER) or found.get(RelateTarget.__name__),
            found.get(CourseOverTime.__name__),
            run.steps,
            _context(self.config, run),
            statistics=statistics,
            patterns=self._found(PATTERNS),
            series_report=self._found(SERIES),
        )

    def _report(self) -> tuple[str, dict[str, Any]]:
        """The report, and the same for programs."""
        results = self.tasks.results
        overview = _overview(self.config, self.run, self.gathered(results), _warnings(results))
        return write_report(overview, self.config.analysis.report.template), document(overview)

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
        measured, looks = results[PASS].value or {}, results[LOOK].value or Looks()
        report, told = results[REPORT].value or ("", {})
        return Analysis(
            insights=results[INSIGHTS].value or (),
            quality=results[QUALITY].value,
            target=self._found(CLOSER) or measured.get(RelateTarget.__name__),
            patterns=self._found(PATTERNS),
            timeline=measured.get(CourseOverTime.__name__),
            series=self._found(SERIES),
            statistics=results[STATISTICS].value if STATISTICS in results else None,
            head=looks.head,
            points=self._points(looks.sample),
            sample=looks.sample,
            report=report,
            document=told,
            reasons=_told(self.reasons, results[STATISTICS].value if STATISTICS in results else None),
        )


def _told(reasons: dict[str, str], statistics: Statistics | None) -> dict[str, str]:
    """The reasons, with that for columns that are in no pair because there are too many."""
    many = [why for why in statistics.skipped.values() if why.startswith(TOO_MANY)] if statistics else []
    if not many:
        return reasons
    setting = "analysis.statistics.max_pair_columns pairs more"
    return {**reasons, "pairs of columns": f"{len(many):,} further columns are in no pair; {setting}"}


def _warnings(results: TaskResults) -> list[str]:
    return [not_available(result.name, result.error) for result in results.failed]


def _no_dates(run: RunState, column: str, kind: str) -> str:
    """Why a time column cannot be used, with what the step that parses dates says of it, and what to type."""
    reasons = [step.detail.get("left_as_text", {}) for step in run.steps if step.step == "ParseDates"]
    why = next((f" ({found[column]})" for found in reasons if column in found), "")
    advice = f"--set read_options.dtypes.{column}=datetime reads it as dates, and sets other rows aside"
    return f"the time column {column!r} holds {kind}, which is no date{why}; {advice}"


def _context(config: PipelineConfig, run: RunState) -> InsightContext:
    """What the run knows beside the data."""
    return InsightContext(
        business=config.business_context,
        target=config.target_column,
        rows_read=run.loaded.outcome.rows_in,
        rows_quarantined=run.loaded.quarantine.rows,
        type_changes={one.column: one.reason for one in run.loaded.promotions if one.from_type != APPEARED},
    )


def _overview(config: PipelineConfig, run: RunState, found: Analysis, warnings: list[str]) -> Overview:
    counts = run.row_counts()
    known = enumerate([*run.attempts.warnings, *warnings], start=1)
    source, words = masked_config(str(config.data_source)), config.analysis.report
    return Overview(
        profile=run.data[1],
        title=config.dashboard_title or f"Insights - {Path(source).stem}",
        insights=found.insights,
        quality=found.quality,
        validation=run.validation,
        target=found.target,
        timeline=found.timeline,
        series=found.series,
        steps=run.steps,
        not_computed={**found.reasons, **{f"warning {number}": text for number, text in known}},
        context=_context(config, run),
        run=Run(source, run.run_id, str(config.output_dir), config.target_column, config.time_column),
        words=catalogue_of(words.language, words.catalogue),
        provenance={
            "run": run.run_id,
            "raypipe": raypipe.__version__,
            "source": source,
            "engine": f"{run.engine.name} ({run.engine_reason})",
            "rows read": counts.read,
            "rows kept": counts.kept,
            "rows quarantined": counts.quarantined,
            "rows dropped": sum(counts.dropped.values()),
            "seed": config.seed,
        },
    )
