"""Cleaning a table: which steps run, fitted on what the first pass found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.blocks.profile import Profile
from raypipe.config import ProcessingConfig
from raypipe.engine.localframe import as_frame
from raypipe.errors import ConfigError
from raypipe.etl.processing.course import Course, Rehearsal, rehearse, wishes_of
from raypipe.etl.processing.named import likely_schema, named_columns
from raypipe.etl.processing.processor import FittedProcessor, InProcess, InputColumn
from raypipe.etl.processing.saved import saved_switches
from raypipe.etl.processing.walk import walk
from raypipe.etl.steps.dates import ParseDates, fit_parse_dates
from raypipe.etl.steps.detect_dates import DetectDates, date_columns
from raypipe.etl.steps.duplicates import duplicate_finder, fit_drop_duplicates
from raypipe.etl.steps.empty import fit_drop_empty_columns, fit_drop_empty_rows
from raypipe.etl.steps.fitted import FittedStep
from raypipe.etl.steps.impute import check_impute, fit_impute
from raypipe.etl.steps.outliers import check_cap_outliers, fit_cap_outliers
from raypipe.etl.steps.step import Evidence, Step
from raypipe.etl.steps.trim import fit_trim_text
from raypipe.etl.summarise import Summarise
from raypipe.results import StepReport
from raypipe.stage import MapStage, ReduceStage, require

RESERVED = (
    "TrimText", "ParseDates", "DropEmptyColumns", "DropEmptyRows", "DropDuplicates", "Impute", "CapOutliers",
    "AlignColumns", "Summarise",
)  # fmt: skip
"""Names that steps of the list may not have."""


@dataclass(frozen=True)
class DataProcessor:
    """Fits the cleaning steps of a config, in the order in which the config names them.

    What the switches must know over all rows comes from the profile of the first pass and from `reduce_stages`, which
    run beside it; `fit` then gives their steps for the second pass. Their figures, such as medians, are those of the
    first pass, that is, of the rows before any were dropped here. The steps of `processing.steps` follow: `course`
    fits each of them on the table that the steps before it leave, in further passes where that takes some.
    """

    config: ProcessingConfig
    target: str | None = None
    """Never dropped, and neither imputed nor capped unless named."""
    time_column: str | None = None
    """Never dropped, never imputed."""

    def check(self, schema: pa.Schema) -> None:
        """Hold the settings against the columns of the source, before anything is read.

        Raises
        ------
        MissingColumnsError
            If a setting names a column that is not there.
        ConfigError
            If a setting does not suit its column.
        """
        schema = _visible(schema)
        require(schema, *(name for name in (self.target, self.time_column) if name), by="DataProcessor")
        check_impute(self.config, schema, self.time_column)
        check_cap_outliers(self.config, schema)
        left = self.rehearse(schema)
        for role, name in (("target column", self.target), ("time column", self.time_column)):
            if name is not None and left.open_from is None and name not in left.schema.names:
                raise ConfigError(
                    f"processing: the steps leave no column {name!r}, which is the {role} of the analysis"
                )

    def rehearse(self, schema: pa.Schema) -> Rehearsal:
        """The passes that the list of steps takes over a source of this schema; raises as `check` does."""
        schema = _visible(schema)
        if self.config.fitted is not None:
            loaded = FittedProcessor.load(self.config.fitted)
            loaded.alignment(schema)
            return rehearse(loaded.course().wishes, loaded.schema)
        schema = likely_schema(schema, self.config)
        return rehearse(wishes_of(self.config.steps, RESERVED), schema, self.target, self.time_column)

    def course(self, schema: pa.Schema) -> Course:
        """The list of steps, to be fitted on a table of this schema: what the steps of `fit` leave."""
        if self.config.fitted is not None:
            return FittedProcessor.load(self.config.fitted).course()
        return Course(wishes_of(self.config.steps, RESERVED), _visible(schema), self.target, self.time_column)

    def saved(self, schema: pa.Schema, switches: Sequence[Step], steps: Sequence[FittedStep]) -> FittedProcessor:
        """What was fitted, to be saved.

        Parameters
        ----------
        schema : pa.Schema
            Of the blocks of the first pass.
        switches : sequence of Step
            From `fit`.
        steps : sequence of FittedStep
            Of the course.
        """
        if self.config.fitted is not None:
            return FittedProcessor.load(self.config.fitted)
        schema = _visible(schema)
        columns = tuple(InputColumn(name=one.name, type=one.type) for one in schema)
        return FittedProcessor(columns=columns, steps=(*saved_switches(self.config, switches, schema), *steps))

    def reduce_stages(self, schema: pa.Schema) -> tuple[ReduceStage, ...]:
        """What must see every row in the first pass; checks the settings as `check` does."""
        self.check(schema)
        stages: list[ReduceStage] = []
        if self.config.fitted is not None:
            return ()
        detector = self._detector(_visible(schema))
        if detector is not None:
            stages.append(detector)
        if self.config.drop_duplicates:
            stages.append(duplicate_finder(self.config.trim_text))
        return tuple(stages)

    def fit(self, schema: pa.Schema, profile: Profile, results: Mapping[str, Any]) -> tuple[Step, ...]:
        """The steps that have something to do, or to say, in the order in which they run.

        A step that is `idle` need not run; it stands among them so that `report` tells its reasons.

        Parameters
        ----------
        schema : pa.Schema
            Of the blocks of the first pass.
        profile : Profile
            Of the first pass.
        results : mapping
            Stage name -> result of `reduce_stages`.

        Raises
        ------
        ConfigError
            If a result or a column of the profile is missing, or a setting does not suit its column.
        """
        self.check(schema)
        if self.config.fitted is not None:
            return ()
        schema = _visible(schema)
        self._require_evidence(schema, profile, results)
        wanted = named_columns(self.config.steps)
        evidence = Evidence(self.config, profile, self.target, self.time_column, results, wanted)
        steps: list[Step] = []

        def add(step: Step | None) -> None:
            nonlocal schema
            if step is not None:
                schema = step.output_schema(schema)
                steps.append(step)

        detector = self._detector(schema)
        add(fit_trim_text(schema, evidence))
        dates = fit_parse_dates(evidence, detector)
        add(dates)
        add(fit_drop_empty_columns(evidence))
        add(fit_drop_empty_rows(evidence, schema.names))
        add(fit_drop_duplicates(evidence))
        add(fit_impute(schema, evidence, _writings(dates)))
        add(fit_cap_outliers(schema, evidence))
        return tuple(steps)

    def report(
        self,
        steps: Sequence[MapStage],
        stage_counts: Mapping[str, Mapping[str, int]],
        dropped: Mapping[str, int],
    ) -> tuple[StepReport, ...]:
        """What each step did.

        Parameters
        ----------
        steps : sequence of Step
            From `fit`; stages of other kinds are passed over.
        stage_counts : mapping
            Stage name -> its `Sifted.counts`, added up over all blocks.
        dropped : mapping
            Stage name -> rows that vanished in it.
        """
        return tuple(
            step.describe(stage_counts.get(step.name, {}), dropped.get(step.name, 0))
            for step in steps
            if isinstance(step, Step)
        )

    def _detector(self, schema: pa.Schema) -> DetectDates | None:
        columns = date_columns(schema, self.target) if self.config.parse_dates else ()
        return DetectDates(columns=columns, trim=self.config.trim_text) if columns else None

    def _require_evidence(self, schema: pa.Schema, profile: Profile, results: Mapping[str, Any]) -> None:
        profiled = {column.name for column in profile.columns}
        unseen = [name for name in schema.names if name not in profiled]
        absent = [stage.name for stage in self.reduce_stages(schema) if stage.name not in results]
        if unseen or absent:
            raise ConfigError(
                f"DataProcessor.fit: the profile lacks columns {unseen} and the results lack stages {absent}; "
                "run Summarise and every stage of reduce_stages over the blocks first"
            )


def _writings(dates: ParseDates | None) -> dict[str, Any]:
    return {writing.column: writing for writing in dates.columns} if dates else {}


def _visible(schema: pa.Schema) -> pa.Schema:
    index = schema.get_field_index(ROW)
    return schema.remove(index) if index >= 0 else schema


def fit_processor(
    table: Any, config: ProcessingConfig, target: str | None = None, time_column: str | None = None
) -> FittedProcessor:
    """Fit the steps of a config on a table in memory, in this process.

    Parameters
    ----------
    table : Frame, or an Arrow, Polars or pandas table
    config : ProcessingConfig
    target, time_column : str, optional
        See `DataProcessor`.
    """
    processor = DataProcessor(config, target, time_column)
    frame, run = as_frame(table), InProcess()
    outcome = run(frame, (Summarise.of(frame.schema), *processor.reduce_stages(frame.schema)))
    switches = processor.fit(frame.schema, outcome.results[Summarise.STAGE_NAME], outcome.results)
    schema = frame.schema
    for step in switches:
        schema = step.output_schema(schema)
    course = processor.course(schema)
    walk(course, frame, run, switches)
    return processor.saved(frame.schema, switches, course.fitted)
