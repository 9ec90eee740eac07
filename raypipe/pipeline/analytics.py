"""`AnalyticsPipeline`: a source turned into checked data, findings and a dashboard, in seven stages."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from raypipe.config import PipelineConfig, StorageConfig, merge_settings
from raypipe.engine.choose import choose_engine
from raypipe.engine.events import EventLog
from raypipe.engine.explain import explain_plan
from raypipe.engine.explain_words import PlanWords
from raypipe.engine.frame import Frame
from raypipe.engine.inline import InlineEngine
from raypipe.engine.layout import explain
from raypipe.engine.localframe import LocalFrame, as_frame
from raypipe.engine.run import Engine, Outcome, Pass, PassProgress
from raypipe.errors import ConfigError, DataInvalidError, MissingColumnsError, RunCancelledError
from raypipe.etl.outputs import RunFolder
from raypipe.etl.pins import PINS_FILE, pins_of
from raypipe.etl.processing.course import Rehearsal
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.validate import DataValidator
from raypipe.etl.wording import counted
from raypipe.etl.writers.choose import check_parts
from raypipe.insights.document import INSIGHTS_FILE
from raypipe.insights.report import check_report
from raypipe.monitor.logs import log_to_file
from raypipe.pipeline.analysis import analyse
from raypipe.pipeline.ending import result_of, write_down
from raypipe.pipeline.folder import new_run_id, open_folder, record_of
from raypipe.pipeline.ingest import SUMMARY, Ingest, open_source, summary_of
from raypipe.pipeline.looks import Looks, look_stages, looks_at
from raypipe.pipeline.manifest import keep_manifest
from raypipe.pipeline.processing import apply_steps
from raypipe.pipeline.record import profile_json, summary_json
from raypipe.pipeline.replayable import REPLAY, ReplayRecord
from raypipe.pipeline.resume import RunRecord, as_it_was_read, begin_journal, refuse_changes, reopen_journal
from raypipe.pipeline.state import RunState
from raypipe.pipeline.tracker import ProgressCallback, Tracker
from raypipe.pipeline.verdict import judge, refuse_columns
from raypipe.results import PipelineResult, PipelineStage, PipelineStatus, StepReport
from raypipe.stage import Plan, Stage

logger = logging.getLogger(__name__)

LOADING = (PipelineStage.DATA_LOADING, PipelineStage.DATA_VALIDATION)


class AnalyticsPipeline:
    """Runs a `PipelineConfig`. A subclass may override the stage methods, each named after its stage.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "tiny.csv").write_text("city,price\\nUlm,3\\nBonn,4\\n")
    >>> config = PipelineConfig(data_source=folder / "tiny.csv", output_dir=folder / "output")
    >>> results = AnalyticsPipeline(config).execute()
    >>> results["status"], results["data_shape"]
    ('completed', (2, 2))
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self.tracker = Tracker()
        self.run_id = config.run_id or new_run_id()
        self._cancel = threading.Event()
        self._executing = threading.Lock()
        self._run: RunState | None = None
        self._folder: RunFolder | None = None
        self._results: PipelineResult | None = None

    def add_progress_callback(self, callback: ProgressCallback) -> None:
        """Call `callback({"status", "progress", "detail"})` at every change, from the thread that executes."""
        self.tracker.add_callback(callback)

    def cancel(self) -> None:
        """Stop within seconds; may be called from any thread, before or during `execute()`."""
        self._cancel.set()

    def get_status(self) -> dict[str, Any]:
        """Status and progress, as callbacks get them."""
        return {"status": self.tracker.status.value, "progress": self.tracker.progress.to_dict()}

    def get_results(self) -> PipelineResult:
        """The result of `execute()`; ConfigError before it."""
        if self._results is None:
            raise ConfigError("pipeline: there is no result yet; call execute() first")
        return self._results

    @classmethod
    def resumed(cls, run_id: str, output_dir: Path | str | None = None, **settings: Any) -> Self:
        """The pipeline of a run that was cut off, with the settings that it had; then call `execute(resume=run_id)`.

        Parameters
        ----------
        run_id : str
            Name of the run's folder.
        output_dir : Path or str, optional
            Where that folder is, also the address of a bucket; None looks in the default, `output`.
        settings
            Settings given again, or those that may differ: `engine`.

        Raises
        ------
        ResumeError
            If no unfinished run of this name is there.
        """
        folder = output_dir or PipelineConfig.model_fields["output_dir"].default
        record = record_of(folder, run_id, StorageConfig.model_validate(settings.get("storage", {})))
        given = merge_settings(record.config, {**settings, "output_dir": folder})
        return cls(PipelineConfig.of(given, origin=f"run {run_id}"))

    def execute(self, *, resume: str | None = None) -> PipelineResult:
        """Run the seven stages.

        Parameters
        ----------
        resume : str, optional
            A run that was cut off: what it had committed is not done again, and it ends with the same files.

        Raises
        ------
        ResumeError
            If that run is not there, still running or completed, or its source, settings or code have changed.
        RaypipeError
            What went wrong, in words; `execution_summary.json` has it too.
        RunCancelledError
            After `cancel()`.
        """
        if not self._executing.acquire(blocking=False):
            raise ConfigError(f"run {self.run_id}: it is executing already; make a pipeline for each run of its own")
        try:
            return self._execute(resume)
        finally:
            self._cancel.clear()
            self._executing.release()

    def _execute(self, resume: str | None) -> PipelineResult:
        if resume is not None:
            self.run_id = resume
        elif self.tracker.status is not PipelineStatus.PENDING and self.config.run_id is None:
            self.run_id = new_run_id()  # another run of the same pipeline has a folder of its own
        self._run = self._folder = None
        self.tracker.start()
        with ExitStack() as stack:
            try:
                run = self._run = self._initialize(stack, resume is not None)
                self._load_and_validate(run)
                self._process(run)
                self._analyze(run)
                self._generate_dashboard(run)
                return self._finalize(run)
            except (RunCancelledError, KeyboardInterrupt) as error:
                self._end_badly(PipelineStatus.CANCELLED, error)
                raise
            except BaseException as error:
                self._end_badly(PipelineStatus.FAILED, error)
                raise

    def plan(self) -> str:
        """What would run, in words, without running it; starts Ray only where the engine is Ray."""
        engine, why, plan = self._planned()
        passes = f"\nsteps   {self._rehearsed(plan).words()}" if self._has_list else ""
        return f"engine  {engine.name}: {why}\n{explain(engine.layout(plan))}{passes}"

    def explained(self) -> PlanWords:
        """What would run, stage by stage: columns, pools, memory, limits, and what could be resumed."""
        engine, why, plan = self._planned()
        words = explain_plan(engine, why, plan)
        return replace(words, steps=self._rehearsed(plan).words()) if self._has_list else words

    @property
    def _has_list(self) -> bool:
        return bool(self.config.processing.steps or self.config.processing.fitted)

    def _rehearsed(self, plan: Plan) -> Rehearsal:
        return self._processor().rehearse(plan.source.schema())

    def _planned(self) -> tuple[Engine, str, Plan]:
        source = open_source(self.config)
        self._check_columns(source.schema())
        engine, why = choose_engine(self.config.engine, source.size_bytes, columns=len(source.schema()))
        looks = partial(looks_at, self.config)
        ingest = Ingest(self.config, engine, self._validator(), self._processor(), Path(), Pass, looks=looks)
        return engine, why, ingest.plan(source)

    # ---- the seven stages ---------------------------------------------------------------------------------------

    def _initialize(self, stack: ExitStack, resume: bool) -> RunState:
        """Everything that can be known before the data is read."""
        self.tracker.begin(PipelineStage.INITIALIZATION, "checking the source and the settings")
        self._check_cancel()
        source = open_source(self._source_config(resume))
        self._check_columns(source.schema())
        validator, processor = self._validator(), self._processor()
        processor.check(source.schema())
        check_report(self.config.analysis.report)
        if self.config.save_intermediate:
            check_parts(self.config.write)
        if validator is not None and self.config.strict_validation:
            refuse_columns(validator, source.schema())
        folder = open_folder(stack, self.config, self.run_id, resume=resume)
        record = RunRecord.of(self.run_id, self.config, source, type(self))
        if resume:
            refuse_changes(folder, record)
        self._folder = folder
        events = self.tracker.events = stack.enter_context(EventLog(folder.file("events.jsonl")))
        stack.enter_context(log_to_file(folder.file("pipeline.log")))
        engine, why = choose_engine(self.config.engine, source.size_bytes, columns=len(source.schema()))
        stack.callback(engine.release)
        events.emit(
            "run_started", run_id=self.run_id, source=str(self.config.data_source), engine=engine.name, why=why,
            resumed=resume,
        )  # fmt: skip
        journal = (reopen_journal if resume else begin_journal)(folder, record, self.config.engine.checkpoint_s, events)
        self.tracker.end(PipelineStage.INITIALIZATION, f"engine {engine.name}: {why}")
        return RunState(self.run_id, folder, engine, why, source, validator, processor, journal=journal, resumed=resume)

    def _source_config(self, resume: bool) -> PipelineConfig:
        """The config to open the source with: a run that goes on reads the version that it began with."""
        if not resume:
            return self.config
        return as_it_was_read(self.config, record_of(self.config.output_dir, self.run_id, self.config.storage))

    def _load_and_validate(self, run: RunState) -> None:
        """Data loading and data validation: one streaming pass, then the verdict."""
        self.tracker.begin(PipelineStage.DATA_LOADING, f"reading {self.config.data_source}")

        def new_pass(plan: Plan, **options: Any) -> Pass:
            return self._pass(plan, LOADING, **options)

        path = run.folder.file("quarantine.parquet")
        looks = partial(looks_at, self.config)
        ingest = Ingest(self.config, run.engine, run.validator, run.processor, path, new_pass, looks=looks)
        ingested = ingest.run(run.source)
        run.ingested, run.source = ingested, ingested.source
        run.frame, run.profile = ingested.outcome.frame, ingested.profile
        run.looks = Looks.of(ingested.outcome.results)
        run.account("load", ingested.outcome)
        read = f"{ingested.outcome.rows_in:,} rows read, {ingested.quarantine.rows:,} set aside"
        self.tracker.end(PipelineStage.DATA_LOADING, read)
        self.tracker.begin(PipelineStage.DATA_VALIDATION, "weighing the rules")
        self.tracker.end(PipelineStage.DATA_VALIDATION, judge(run))
        if self.config.strict_validation and run.validation is not None and not run.validation.is_valid:
            ingested.quarantine.close()
            shown = "; ".join(run.validation.errors[:3])
            raise DataInvalidError(f"validation failed: {shown}. See {run.folder.shown('validation.json')}")

    def _process(self, run: RunState) -> None:
        """Data processing: the user's override if there is one, else the fitted steps."""
        self.tracker.begin(PipelineStage.DATA_PROCESSING, "fitting the steps")
        before, _ = run.data
        frame = as_frame(self._process_data(before))
        if frame is not run.frame:  # an override made it
            if isinstance(frame, LocalFrame):
                run.engine = InlineEngine(self.config.engine)
            # An override that calls super() starts from what the steps left, else from what was read.
            known = len(run.data[0])
            name = f"{type(self).__name__}._process_data"
            run.steps = (*run.steps, StepReport(step=name, rows_dropped=max(0, known - len(frame))))
            run.rows_added = {name: len(frame) - known} if len(frame) > known else {}
            stages = (summary_of(frame.schema), *look_stages(self.config, frame.schema, rows=len(frame)))
            outcome = run.engine.run(self._pass_over(frame, stages, PipelineStage.DATA_PROCESSING))
            run.frame, run.profile, run.looks = frame, outcome.results[SUMMARY], Looks.of(outcome.results)
        done = ", ".join(step.step for step in run.steps)
        self.tracker.end(PipelineStage.DATA_PROCESSING, done or "nothing to do")

    def _process_data(self, frame: Frame) -> Any:
        """The rows to analyse: a Frame, or an Arrow, Polars or pandas table. Override it to process data your own way.

        The default fits the steps of `config.processing` on the summaries of the first pass and applies them in one
        second pass. Call it from an override (`super()._process_data(frame)`) to have both.
        """
        run = self._run
        assert run is not None
        steps = run.processor.fit(frame.schema, run.data[1], run.loaded.outcome.results)

        def run_pass(blocks: Frame, stages: tuple[Stage, ...]) -> Outcome:
            work = self._pass_over(blocks, stages, PipelineStage.DATA_PROCESSING)
            work.keep, work.consume, work.on_aside = True, True, run.loaded.quarantine.add
            outcome = run.engine.run(work)
            run.account("process", outcome)
            blocks.release()
            return outcome

        return apply_steps(self.config, run, frame, steps, run_pass)

    def _analyze(self, run: RunState) -> None:
        """Analysis: relations to the target, the course over time, findings. A task that fails becomes a warning."""
        self.tracker.begin(PipelineStage.ANALYSIS, "looking for findings")

        def run_pass(stages: tuple[Stage, ...]) -> dict[str, Any]:
            outcome = run.engine.run(self._pass_over(run.data[0], stages, PipelineStage.ANALYSIS))
            run.account("analyse", outcome)
            return outcome.results

        run.analysis = analyse(self.config, run, run_pass, events=self.tracker.events, cancel=self._cancel)
        self.tracker.end(PipelineStage.ANALYSIS, counted(len(run.analysis.insights), "finding"))

    def _generate_dashboard(self, run: RunState) -> None:
        """Dashboard generation: one offline page; if it fails, the result says so and the run goes on."""
        stage = PipelineStage.DASHBOARD_GENERATION
        self.tracker.begin(stage, "drawing")
        self._check_cancel()
        if not self.config.generate_dashboard:
            self.tracker.end(stage, "switched off (generate_dashboard: false)")
            return
        from raypipe.pipeline.page import write_dashboard

        elapsed = self.tracker.elapsed_s
        path = run.attempts.attempt("dashboard", lambda: write_dashboard(self.config, run, elapsed))
        self.tracker.end(stage, path.name if path else run.attempts.warnings[-1])

    def _finalize(self, run: RunState) -> PipelineResult:
        """Finalization: the law of conservation checked, the files of the run written."""
        self.tracker.begin(PipelineStage.FINALIZATION, "writing the results")
        run.loaded.quarantine.close()
        counts = run.row_counts()
        counts.check()
        if run.loaded.quarantine.rows:
            run.folder.write_json(REPLAY, ReplayRecord.of(run, self.config.write).model_dump(mode="json"))
        run.folder.write_json("profile.json", profile_json(run.data[1]))
        by_name = {
            "patterns": run.analysis.patterns, "target": run.analysis.target, "series": run.analysis.series,
            "models": run.analysis.models,
        }  # fmt: skip
        for name, found in by_name.items():
            if found is not None:
                run.folder.write_json(f"{name}.json", found.model_dump(mode="json"))
        if run.analysis.statistics is not None:
            run.folder.write_json("statistics.json", run.analysis.statistics.model_dump(mode="json"))
        if run.loaded.profile is not run.profile:
            run.folder.write_json("profile_before.json", profile_json(run.loaded.profile))
        if run.analysis.document:
            run.folder.write_json(INSIGHTS_FILE, run.analysis.document)
        run.folder.write_text("insights_report.md", run.analysis.report)
        if (pins := pins_of(run.source, self.config.read_options)) is not None:
            run.folder.write_text(PINS_FILE, pins)
        self.tracker.end(PipelineStage.FINALIZATION, run.folder.location)
        self.tracker.conclude(PipelineStatus.COMPLETED)
        summary = summary_json(self.config, self.run_id, run, self.tracker, None)
        run.folder.write_json("execution_summary.json", summary)
        self.tracker.events.emit("run_done", status="completed", **counts.to_dict())
        keep_manifest(self.config, run.folder, run, self.tracker, None)
        self._results = result_of(self.config, run, self.tracker, summary)
        self.tracker.announce()
        return self._results

    # ---- what the stages share ----------------------------------------------------------------------------------

    def _check_columns(self, schema: pa.Schema) -> None:
        for role, column in (("target column", self.config.target_column), ("time column", self.config.time_column)):
            if column is not None and column not in schema.names:
                raise MissingColumnsError(role, [column], schema.names)

    def _validator(self) -> DataValidator | None:
        if not self.config.validate_data:
            return None
        return DataValidator.of(self.config.validation, self.config.strict_validation)

    def _processor(self) -> DataProcessor:
        return DataProcessor(self.config.processing, self.config.target_column, self.config.time_column)

    def _pass(self, plan: Plan, stages: tuple[PipelineStage, ...], **options: Any) -> Pass:
        def tell(progress: PassProgress) -> None:
            # A stage is at 100 when it ends, not when its last block does.
            self.tracker.advance(stages, min(99.0, 100.0 * progress.share), progress)

        journal = self._run.journal if self._run is not None else None
        recorded = journal.next_pass(options["name"]) if journal is not None else None
        cancel, events = self._cancel, self.tracker.events
        return Pass(plan, on_progress=tell, cancel=cancel, events=events, journal=recorded, **options)

    def _pass_over(self, frame: Frame, stages: tuple[Stage, ...], stage: PipelineStage) -> Pass:
        plan = Plan(source=frame.source, prefix=frame.prefix, stages=stages).narrowed()
        return self._pass(plan, (stage,), name=stage.value.removeprefix("data_"), frame=frame)

    def _check_cancel(self) -> None:
        if self._cancel.is_set():
            raise RunCancelledError("the run was cancelled")

    def _end_badly(self, status: PipelineStatus, error: BaseException) -> None:
        """Write down what is known, and leave nothing half-written behind."""
        self.tracker.conclude(status, str(error) or type(error).__name__)
        if self._run is not None:
            write_down(self.config, self._run, self.tracker, status, error)
        elif self._folder is not None:
            keep_manifest(self.config, self._folder, None, self.tracker, error)
        self.tracker.announce()
