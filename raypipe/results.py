"""What a run says of itself: stages, statuses, progress, validation and the result."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from raypipe.config import Frozen


class PipelineStage(enum.StrEnum):
    """The seven stages, in order."""

    INITIALIZATION = "initialization"
    DATA_LOADING = "data_loading"
    DATA_VALIDATION = "data_validation"
    DATA_PROCESSING = "data_processing"
    ANALYSIS = "analysis"
    DASHBOARD_GENERATION = "dashboard_generation"
    FINALIZATION = "finalization"


class PipelineStatus(enum.StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


Severity = Literal["info", "warning", "error", "critical"]
"""How much it matters that a rule is broken; `error` and `critical` make the data invalid."""


class FaultyRow(Frozen):
    """One row that broke a rule."""

    part: str
    """Id of the part of the source, which begins with the number and the name of its file."""
    row: int
    """Number of the row within the part, from 0."""
    value: str | None = None
    """The cell at fault as text, cut to 200 characters; cells of several columns as one JSON object."""


class SegmentOutcome(Frozen):
    """What a rule found among the rows with the same values of its `segments`."""

    values: tuple[str | None, ...]
    """One for each column of `segments`, as text."""
    rows: int
    """Rows that the rule looked at."""
    failing_rows: int | None = None
    figure: float | None = None
    """What was measured, for rules about one figure."""
    passed: bool = True


class RuleOutcome(Frozen):
    """What one validation rule found."""

    rule: str
    """Name of the rule, e.g. `missing_values`, `min_value`."""
    column: str | None = None
    severity: Severity
    passed: bool
    failing_rows: int | None = None
    """Rows at fault; None where the rule is about the whole column or table."""
    share: float | None = None
    """The measured share, where the rule is about one."""
    bound: str | None = None
    """The threshold, in words: "at most 50 % null"."""
    message: str
    """Says column, found and wanted."""
    examples: tuple[str, ...] = ()
    """A few values at fault."""
    id: str = ""
    """Which rule of a rule file; empty for the rules of quality and of a schema."""
    group: str = ""
    """Kind of rule, e.g. `completeness`; empty likewise."""
    columns: tuple[str, ...] = ()
    """The columns that a rule is about, where they are several."""
    rows: int | None = None
    """Rows that the rule looked at: all, or those of its `where`."""
    figure: float | None = None
    """What was measured, for rules about one figure."""
    figure_low: float | None = None
    figure_high: float | None = None
    """The interval that an estimated figure lies in; None where it is exact."""
    certain: bool = True
    """False where the bound lies within the error of the estimate, so that the verdict may be wrong."""
    first: tuple[FaultyRow, ...] = ()
    """The first few rows at fault, in the order of the source."""
    segments: tuple[SegmentOutcome, ...] = ()
    """The worst first."""
    segments_left_out: bool = False
    """Whether there are more segments than are told."""
    tags: tuple[str, ...] = ()
    description: str = ""

    @property
    def is_error(self) -> bool:
        """Whether it makes the data invalid."""
        return not self.passed and self.severity in ("error", "critical")


class ValidationResult(Frozen):
    """The verdict on a table, under the names of the older platform."""

    is_valid: bool
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    schema_name: str | None = None
    rows_validated: int = 0
    columns_validated: int = 0
    validation_details: dict[str, Any] = Field(default_factory=dict)
    outcomes: tuple[RuleOutcome, ...] = ()


class StepReport(Frozen):
    """What one processing step did."""

    step: str
    columns: tuple[str, ...] = ()
    rows_dropped: int = 0
    cells_changed: int = 0
    rows_touched: int = 0
    """Rows in which a cell was changed; 0 where a step does not count them."""
    columns_dropped: tuple[str, ...] = ()
    rewrites: bool = False
    """Whether it only writes values in another form, as it was told to."""
    figures: dict[str, dict[str, dict[str, float | int | None]]] = Field(default_factory=dict)
    """Column -> `before` and `after` -> rows, nulls, mean, std, min, max, distinct, as far as its type has them."""
    detail: dict[str, Any] = Field(default_factory=dict)
    """Fitted values, e.g. {"age": {"fill": 34.0, "cells": 12}}."""


class Insight(Frozen):
    """One finding about the data, with its evidence."""

    type: str
    """Kind of finding, e.g. `missing_values`, `skewed`, `strong_correlation`, `trend`."""
    category: str
    """One of data_distribution, correlation, data_quality, outliers, clustering, anomalies, trends, seasonality,
    change_points, feature_relationships, feature_importance, model_performance."""
    title: str
    description: str
    impact: str
    columns_affected: tuple[str, ...] = ()
    priority_score: int = Field(ge=1, le=10)
    evidence: dict[str, Any] = Field(default_factory=dict)
    """The figures behind it, with the threshold crossed."""
    recommendation: str | None = None
    effect_size: float | None = None
    """How large it is, in the measure that `effect_measure` names; None where the finding is a plain count."""
    effect_measure: str | None = None
    """E.g. `cramers_v`, `cohens_d`, `share_of_rows`, `eta_squared`."""
    interval: tuple[float, float] | None = None
    """Confidence interval of the effect, at 95 %."""
    p_value: float | None = None
    """After the correction for all that was tried beside it."""
    confidence: float | None = Field(default=None, ge=0, le=1)
    """How sure: 1 for what was counted on every row, less for what a test or a sample says."""
    chart: str | None = None
    """Anchor of the chart that shows it on the dashboard."""


class PipelineProgress(Frozen):
    """How far a run is; `to_dict()` is the progress dict of callbacks and results."""

    current_stage: PipelineStage | None = None
    stage_progress: dict[PipelineStage, float] = Field(default_factory=dict)
    """0 to 100."""
    stage_messages: dict[PipelineStage, str] = Field(default_factory=dict)
    start_time: datetime | None = None
    end_time: datetime | None = None
    elapsed_s: float = 0.0
    error: str | None = None

    @property
    def overall_progress(self) -> float:
        """Mean of the seven stages, 0 to 100."""
        return sum(self.stage_progress.get(stage, 0.0) for stage in PipelineStage) / len(PipelineStage)

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the names that users know."""
        return {
            "current_stage": self.current_stage.value if self.current_stage else None,
            "stage_progress": {stage.value: self.stage_progress.get(stage, 0.0) for stage in PipelineStage},
            "stage_messages": {stage.value: text for stage, text in self.stage_messages.items()},
            "overall_progress": self.overall_progress,
            "start_time": self.start_time.isoformat() if self.start_time else None,
            "end_time": self.end_time.isoformat() if self.end_time else None,
            "elapsed_time": self.elapsed_s,
            "error": self.error,
        }


class PipelineResult:
    """The result of a run: a mapping under the older names, and attributes under the same ones."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(
                f"PipelineResult has no {name!r}; it has: {', '.join(self.__dict__.get('_values', {}))}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def keys(self) -> Any:
        """Names of the entries, as of a dict."""
        return self._values.keys()

    def get(self, name: str, default: Any = None) -> Any:
        """The entry, or `default`."""
        return self._values.get(name, default)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={self._values.get(name)!r}" for name in ("status", "output_directory"))
        return f"PipelineResult({shown})"
