"""Figures of the columns that steps change, before and after each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.blocks.distinct import HyperLogLog
from raypipe.blocks.hashing import hash_values
from raypipe.blocks.moments import Moments
from raypipe.etl.steps.fitted import FittedStep
from raypipe.etl.steps.step import cells_of
from raypipe.results import StepReport
from raypipe.stage import MapStage, ReduceStage, Stage

MOST_COLUMNS = 200
"""Columns of one step that figures are taken of."""
Figure = dict[str, float | int | None]


@dataclass
class ColumnFigures:
    """Of one column, so far."""

    rows: int = 0
    nulls: int = 0
    """NaN included."""
    moments: Moments = field(default_factory=Moments)
    low: float | None = None
    high: float | None = None
    distinct: HyperLogLog | None = None

    @classmethod
    def of(cls, cells: pl.Series) -> ColumnFigures:
        """Of one block."""
        found = cls(len(cells), cells.null_count())
        if cells.dtype.is_numeric():
            numbers = cells.drop_nulls().cast(pl.Float64).to_numpy()
            found.nulls += int(np.isnan(numbers).sum())
            numbers = numbers[np.isfinite(numbers)]
            found.moments = Moments.of(numbers)
            if len(numbers):
                found.low, found.high = float(numbers.min()), float(numbers.max())
        elif cells.dtype in (pl.String, pl.Boolean):
            found.distinct = HyperLogLog.of(hash_values(cells.drop_nulls()))
        return found

    def merge(self, other: ColumnFigures) -> ColumnFigures:
        """Both together."""
        lows = [end for end in (self.low, other.low) if end is not None]
        highs = [end for end in (self.high, other.high) if end is not None]
        distinct = self.distinct.merge(other.distinct) if self.distinct and other.distinct else None
        return ColumnFigures(
            self.rows + other.rows, self.nulls + other.nulls, self.moments.merge(other.moments),
            min(lows, default=None), max(highs, default=None), distinct,
        )  # fmt: skip

    def figure(self) -> Figure:
        """For the report; of text the number of different values, which is estimated within 1 %."""
        found: Figure = {"rows": self.rows, "nulls": self.nulls}
        if self.distinct is not None:
            return {**found, "distinct": round(self.distinct.estimate())}
        if self.low is None:
            return found
        mean, std = _finite(self.moments.mean), _finite(self.moments.std)
        return {**found, "mean": mean, "std": std, "min": self.low, "max": self.high}


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


class TakeFigures(ReduceStage):
    """Figures of some columns between two steps."""

    after: str = ""
    """The step before; empty where none of the list is."""
    after_columns: tuple[str, ...] = ()
    before: str = ""
    """The step that follows."""
    before_columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        places = (f"after {self.after}" if self.after else "", f"before {self.before}" if self.before else "")
        return f"figures {' and '.join(filter(None, places))}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of both."""
        return tuple(dict.fromkeys((*self.after_columns, *self.before_columns)))

    def partial(self, block: pa.Table, part: str) -> dict[str, ColumnFigures]:
        return {name: ColumnFigures.of(cells_of(block, name)) for name in self.columns}

    def merge(self, a: dict[str, ColumnFigures], b: dict[str, ColumnFigures]) -> dict[str, ColumnFigures]:
        return {name: one.merge(b[name]) for name, one in a.items()}

    def finish(self, state: dict[str, ColumnFigures]) -> dict[str, Figure]:
        return {name: one.figure() for name, one in state.items()}


def with_figures(steps: Sequence[MapStage], schema: pa.Schema) -> list[Stage]:
    """The steps, with figures taken before and after each of the list.

    Parameters
    ----------
    schema : pa.Schema
        Of the blocks that come.
    """
    stages: list[Stage] = []
    after, after_columns = "", tuple[str, ...]()
    for step in [*steps, None]:
        before_columns = _shown(step, schema)
        if after_columns or before_columns:
            before = step.name if step is not None and before_columns else ""
            taken = TakeFigures(after=after, after_columns=after_columns, before=before, before_columns=before_columns)
            stages.append(taken)
        if step is not None:
            stages.append(step)
            schema = step.output_schema(schema)
            after_columns = _shown(step, schema)
            after = step.name if after_columns else ""
    return stages


def _shown(step: MapStage | None, schema: pa.Schema) -> tuple[str, ...]:
    """Columns of which figures show what the step does: those that it changes, or by which it drops rows."""
    if not isinstance(step, FittedStep) or step.idle:
        return ()
    return tuple(name for name in step.touched or step.inputs() if name in schema.names)[:MOST_COLUMNS]


def with_ends(reports: Sequence[StepReport], stages: Sequence[Stage], results: Mapping[str, Any]) -> list[StepReport]:
    """The reports with the figures that the stages of `with_figures` found."""
    found: dict[str, dict[str, dict[str, Figure]]] = {report.step: {} for report in reports}
    for stage in stages:
        if isinstance(stage, TakeFigures):
            figures = results[stage.name]
            for end, step, columns in (
                ("before", stage.before, stage.before_columns),
                ("after", stage.after, stage.after_columns),
            ):
                for column in columns:
                    found.get(step, {}).setdefault(column, {})[end] = figures[column]
    return [report.replace(figures=found[report.step]) if found[report.step] else report for report in reports]
