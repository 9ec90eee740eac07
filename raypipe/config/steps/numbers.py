"""Settings of steps on missing values and on numbers."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from raypipe.config.base import Share
from raypipe.config.steps.base import ColumnSteps, Names, NoneOrMore, NullWord, Plain


class DropMissingSettings(ColumnSteps):
    """Drop rows with missing values."""

    step: Literal["drop_missing"] = "drop_missing"
    columns: Names = ("kind:all",)
    """Columns that are looked at; see the rules above. The default looks at all, but for target and time column."""
    how: Literal["any", "all"] = "any"
    """any: a row goes if one of the columns is missing; all: if all are."""
    min_present: PositiveInt | None = None
    """Instead of `how`: a row stays if it has at least so many values."""


class FillMissingSettings(ColumnSteps):
    """Fill missing values."""

    step: Literal["fill_missing"] = "fill_missing"
    method: Literal["mean", "median", "mode", "constant", "forward", "backward", "interpolate"]
    """forward and backward take the nearest value above or below, interpolate lies on the line between both."""
    value: Plain | None = None
    """Of `constant`."""
    by: NoneOrMore = ()
    """Take the mean, median, mode or neighbour within rows that are equal in these columns."""
    along: str | None = None
    """Of `interpolate`: a number or time column that says how far apart rows are; null: each is one step."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if (self.method == "constant") != (self.value is not None):
            raise ValueError("`value` belongs to method constant, and method constant needs it")
        if self.along is not None and self.method != "interpolate":
            raise ValueError(f"`along` belongs to method interpolate, not to {self.method}")
        if self.by and self.method == "constant":
            raise ValueError("`by` has no meaning for method constant; leave it out")
        return self


class FlagMissingSettings(ColumnSteps):
    """Add a column `<column>_missing` that is true where the value is missing."""

    step: Literal["flag_missing"] = "flag_missing"


class OutlierSettings(ColumnSteps):
    """Find values far from the others, and act on them."""

    step: Literal["outliers"] = "outliers"
    method: Literal["iqr", "zscore", "mad", "percentile"] = "iqr"
    """iqr: beyond the quartiles by more than factor times their distance; zscore: from the mean by more than factor
    standard deviations; mad: from the median by more than factor times 1.4826 median deviations; percentile: outside
    `low` to `high`."""
    factor: PositiveFloat | None = None
    """null: 1.5 for iqr, 3 for zscore, 3.5 for mad."""
    low: Share = 0.01
    """Of `percentile`."""
    high: Share = 0.99
    """Of `percentile`."""
    action: Annotated[Literal["cap", "null", "drop", "quarantine", "none"], NullWord] = "cap"
    """cap brings a value back to the nearest end; drop and quarantine take the row; none only counts."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if self.method == "percentile" and self.factor is not None:
            raise ValueError("`factor` has no meaning for method percentile; set `low` and `high`")
        if self.low >= self.high:
            raise ValueError(f"`low` ({self.low:g}) must be below `high` ({self.high:g})")
        return self


class TransformSettings(ColumnSteps):
    """Bend numbers by a function, so that long tails become shorter."""

    step: Literal["transform"] = "transform"
    method: Literal["log", "log1p", "sqrt", "yeo_johnson"]
    """The power of yeo_johnson is the most likely one for a normal distribution."""


class ScaleSettings(ColumnSteps):
    """Bring numbers to a common scale."""

    step: Literal["scale"] = "scale"
    method: Literal["z_score", "min_max", "robust", "max_abs"] = "z_score"
    """z_score: mean 0 and standard deviation 1 (divisor n); min_max: from `low` to `high`; robust: median 0 and
    distance of quartiles 1; max_abs: largest absolute value 1. A constant column becomes 0 (min_max: `low`)."""
    low: float = 0.0
    """Of `min_max`."""
    high: float = 1.0
    """Of `min_max`."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"`low` ({self.low:g}) must be below `high` ({self.high:g})")
        return self


class BinSettings(ColumnSteps):
    """Replace numbers by the number of their bin, from 0."""

    step: Literal["bin"] = "bin"
    bins: int = Field(default=5, ge=2, le=1000)
    """How many."""
    method: Literal["quantile", "width"] = "quantile"
    """quantile: about as many rows in each; width: equally wide."""
