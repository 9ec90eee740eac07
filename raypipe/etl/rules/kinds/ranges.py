"""Ranges: numbers, dates and times within bounds, and what kind of numbers they are. NaN is within none."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self

import polars as pl
import pyarrow.types as pt
from pydantic import Field, PositiveFloat, field_validator, model_validator

from raypipe.blocks.frames import polars_type
from raypipe.etl.rules.cells import Cells, UnfitError
from raypipe.etl.rules.comparing import Comparison, keeps_bound, not_finite, number_cell
from raypipe.etl.rules.dtypes import integer_range
from raypipe.etl.rules.rule import RowRule
from raypipe.etl.rules.values import Scalar, plain_scalar
from raypipe.etl.wording import shown

EPSILON = 1e-9
"""By how much a quotient of floats may miss a whole number, of its size."""


def _break_bound(rule: RowRule, cells: Cells, comparison: Comparison, bound: Scalar) -> pl.Expr:
    cell = cells[rule.columns[0]]
    if pt.is_null(cell.kind):
        return cell.expr.is_not_null()
    try:
        return ~keeps_bound(cell.expr, cell.kind, comparison, bound)
    except ValueError as error:
        raise UnfitError(str(error)) from None


class Between(RowRule):
    """Values lie between `min` and `max`, or on one side of the one that is given."""

    GROUP = "ranges"
    rule: Literal["between"] = "between"
    min: Scalar | None = None
    max: Scalar | None = None
    inclusive: Literal["both", "min", "max", "neither"] = "both"
    """Which of the bounds are allowed values themselves."""

    @field_validator("min", "max", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        return plain_scalar(value)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("wanted min, max or both")
        if isinstance(self.min, bool) or isinstance(self.max, bool):
            raise ValueError("min and max are numbers, dates or times, not true or false")
        if self.min is not None and self.max is not None:
            if isinstance(self.min, str) is not isinstance(self.max, str):
                raise ValueError(f"min {shown(self.min)} and max {shown(self.max)} are of different types")
            if self.min > self.max:  # type: ignore[operator]  # both text (ISO 8601, which sorts) or both numbers
                raise ValueError(f"min {shown(self.min)} is above max {shown(self.max)}")
        return self

    @property
    def wanted(self) -> str:
        low = "at least" if self.inclusive in ("both", "min") else "more than"
        high = "at most" if self.inclusive in ("both", "max") else "less than"
        told = [f"{low} {shown(self.min)}"] if self.min is not None else []
        return " and ".join([*told, f"{high} {shown(self.max)}"] if self.max is not None else told)

    def breaks(self, cells: Cells) -> pl.Expr:
        found = []
        if self.min is not None:
            found.append(_break_bound(self, cells, ">=" if self.inclusive in ("both", "min") else ">", self.min))
        if self.max is not None:
            found.append(_break_bound(self, cells, "<=" if self.inclusive in ("both", "max") else "<", self.max))
        return found[0] | found[1] if len(found) == 2 else found[0]


class _Compared(RowRule):
    """Values that stand in one relation to a bound."""

    GROUP = "ranges"
    SIGN: ClassVar[Comparison]
    WORDS: ClassVar[str]

    @property
    def bound(self) -> Scalar:
        """What values are compared with."""
        return 0

    @property
    def wanted(self) -> str:
        return f"{self.WORDS} {shown(self.bound)}"

    def breaks(self, cells: Cells) -> pl.Expr:
        return _break_bound(self, cells, self.SIGN, self.bound)


class _Bounded(_Compared):
    """Values compared with a bound of the user."""

    value: Scalar

    @field_validator("value", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        return plain_scalar(value)

    @field_validator("value")
    @classmethod
    def _no_boolean(cls, value: Scalar) -> Scalar:
        if isinstance(value, bool):
            raise ValueError("value is a number, a date or a time, not true or false")
        return value

    @property
    def bound(self) -> Scalar:
        return self.value


class AtLeast(_Bounded):
    """Values are `value` or more."""

    SIGN, WORDS = ">=", "at least"
    rule: Literal["at_least"] = "at_least"


class MoreThan(_Bounded):
    """Values are more than `value`."""

    SIGN, WORDS = ">", "more than"
    rule: Literal["more_than"] = "more_than"


class AtMost(_Bounded):
    """Values are `value` or less."""

    SIGN, WORDS = "<=", "at most"
    rule: Literal["at_most"] = "at_most"


class LessThan(_Bounded):
    """Values are less than `value`."""

    SIGN, WORDS = "<", "less than"
    rule: Literal["less_than"] = "less_than"


class Positive(_Compared):
    """Numbers are more than 0."""

    SIGN, WORDS = ">", "more than"
    rule: Literal["positive"] = "positive"


class NonNegative(_Compared):
    """Numbers are 0 or more."""

    SIGN, WORDS = ">=", "at least"
    rule: Literal["non_negative"] = "non_negative"


class Finite(RowRule):
    """Numbers are neither NaN nor infinite."""

    GROUP = "ranges"
    rule: Literal["finite"] = "finite"

    @property
    def wanted(self) -> str:
        return "finite numbers"

    def breaks(self, cells: Cells) -> pl.Expr:
        cell = cells[self.columns[0]]
        number_cell(cell)
        return not_finite(cell)


class WholeNumber(RowRule):
    """Numbers have nothing after the decimal point."""

    GROUP = "ranges"
    rule: Literal["whole_number"] = "whole_number"

    @property
    def wanted(self) -> str:
        return "whole numbers"

    def breaks(self, cells: Cells) -> pl.Expr:
        cell = cells[self.columns[0]]
        number = number_cell(cell)
        if pt.is_decimal(cell.kind) or pt.is_floating(cell.kind):
            return not_finite(cell) | (number.floor() != number)
        return cell.expr.is_null() & pl.lit(False)


class MultipleOf(RowRule):
    """Numbers are whole multiples of `step`; floats may miss one by a billionth of the quotient."""

    GROUP = "ranges"
    rule: Literal["multiple_of"] = "multiple_of"
    step: PositiveFloat = Field(allow_inf_nan=False)

    @property
    def wanted(self) -> str:
        return f"a multiple of {self.step:g}"

    def breaks(self, cells: Cells) -> pl.Expr:
        cell = cells[self.columns[0]]
        number = number_cell(cell)
        if pt.is_integer(cell.kind) and self.step == math.floor(self.step):
            if self.step > integer_range(str(cell.kind))[1]:
                return number != 0
            return number % pl.lit(int(self.step), dtype=polars_type(cell.kind)) != 0
        quotient = number.cast(pl.Float64) / self.step
        # A quotient beyond what a float can hold is one of a float so large that it has no fraction.
        misses = (quotient - quotient.round()).fill_nan(0.0).abs() > EPSILON * pl.max_horizontal(
            quotient.abs(), pl.lit(1.0)
        )
        return misses | not_finite(cell)


RULES = (Between, AtLeast, MoreThan, AtMost, LessThan, Positive, NonNegative, Finite, WholeNumber, MultipleOf)
