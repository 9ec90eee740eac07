"""Cleaning a table: which steps run, fitted on what the first pass found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.blocks.profile import Profile
from raypipe.config import ProcessingConfig
from raypipe.errors import ConfigError
from raypipe.etl.steps.dates import ParseDates, fit_parse_dates
from raypipe.etl.steps.detect_dates import DetectDates, date_columns
from raypipe.etl.steps.duplicates import duplicate_finder, fit_drop_duplicates
from raypipe.etl.steps.empty import fit_drop_empty_columns, fit_drop_empty_rows
from raypipe.etl.steps.impute import check_impute, fit_impute
from raypipe.etl.steps.outliers import check_cap_outliers, fit_cap_outliers
from raypipe.etl.steps.step import Evidence, Step
from raypipe.etl.steps.trim import fit_trim_text
from raypipe.results import StepReport
from raypipe.stage import MapStage, ReduceStage, require


@dataclass(frozen=True)
class DataProcessor:
    """Fits the cleaning steps of a config, in the order in which the config names them.

    What must be known over all rows comes from the profile of the first pass and from `reduce_stages`, which run
    beside it; `fit` then gives steps for the second pass. Figures such as medians are those of the first pass, that
    is, of the rows before any were dropped here.
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

    def reduce_stages(self, schema: pa.Schema) -> tuple[ReduceStage, ...]:
        """What must see every row in the first pass; checks the settings as `check` does."""
        self.check(schema)
        stages: list[ReduceStage] = []
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
        schema = _visible(schema)
        self._require_evidence(schema, profile, results)
        evidence = Evidence(self.config, profile, self.target, self.time_column, results)
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
