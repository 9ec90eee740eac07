"""Figures and the bounds that they are held to, with what an estimate leaves open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

import pyarrow as pa
import pyarrow.types as pt
from pydantic import Field, model_validator

from raypipe.blocks.chance import NORMAL_99
from raypipe.blocks.profile import ColumnProfile, DistinctCount, NumberSummary
from raypipe.etl.rules.cells import Cells, UnfitError
from raypipe.etl.rules.comparing import is_number
from raypipe.etl.rules.rule import Evidence, FigureRule, Judged, NotMeasuredError

Bound = Annotated[float, Field(allow_inf_nan=False)]


class BoundedFigure(FigureRule):
    """A figure that lies between `min` and `max`, or on one side of the one that is given."""

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("wanted min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    def bounds(self, noun: str, show: Callable[[float], str] = lambda value: f"{value:g}") -> str:
        """The bounds in words."""
        told = [f"at least {show(self.min)}"] if self.min is not None else []
        return f"{noun} of " + " and ".join([*told, f"at most {show(self.max)}"] if self.max is not None else told)

    def held(
        self,
        figure: float,
        low: float | None = None,
        high: float | None = None,
        show: Callable[[float], str] = lambda value: f"{value:.6g}",
    ) -> Judged:
        """The verdict on a figure, known to lie between `low` and `high` where it is an estimate."""
        passed = self._inside(figure)
        if low is None or high is None or low == high:
            return Judged(passed, show(figure), figure=figure)
        certain = self._inside(low) == self._inside(high) == passed and not self._within_both(low, high)
        found = f"about {show(figure)} (between {show(low)} and {show(high)})"
        if not certain:
            found += ", so that the bound lies within the error"
        return Judged(passed, found, figure=figure, low=low, high=high, certain=certain)

    def _inside(self, value: float) -> bool:
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def _within_both(self, low: float, high: float) -> bool:
        """Whether both ends are outside, on either side of the bounds."""
        return self.min is not None and self.max is not None and low < self.min and high > self.max


class NumberFigure(BoundedFigure):
    """A figure of a column of numbers, over its finite values."""

    def check(self, schema: pa.Schema) -> None:
        cells = Cells(schema)
        for name in self.columns:
            cell = cells[name]
            if not (is_number(cell.kind) or pt.is_null(cell.kind)):
                raise UnfitError(f"holds {cell.called}, and the rule needs numbers")


def numbers_of(evidence: Evidence, name: str) -> NumberSummary:
    """The summary of a column's numbers; NotMeasuredError where there is none."""
    number = evidence.profile.column(name).number
    if number is None or not number.finite:
        raise NotMeasuredError("there is no finite value")
    return number


def present(column: ColumnProfile) -> int:
    """Values of a column; NotMeasuredError where there is none."""
    if not column.present:
        raise NotMeasuredError("there is no value")
    return column.present


def distinct_of(column: ColumnProfile) -> tuple[DistinctCount, float, float]:
    """How many different values, and the interval of 99 % that it lies in; NotMeasuredError where it is unknown."""
    distinct = column.distinct
    if distinct is None:
        raise NotMeasuredError("different values were not counted")
    wide = 0.0 if distinct.exact else NORMAL_99 * distinct.relative_error * distinct.count
    return distinct, max(distinct.count - wide, 0.0), min(distinct.count + wide, float(column.present))
