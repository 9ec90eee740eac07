"""Statistics of a column: its mean, spread, quantiles and outliers, and how two columns go together."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from raypipe.config.base import Share
from raypipe.etl.rules.figures import Bound, BoundedFigure, NumberFigure, numbers_of
from raypipe.etl.rules.measures import SummaryOf
from raypipe.etl.rules.measuring import ProfileOf
from raypipe.etl.rules.ranks import outside, quantile
from raypipe.etl.rules.rule import Evidence, Judged, Measure, NotMeasuredError
from raypipe.etl.wording import percent


class MeanBetween(NumberFigure):
    """The mean lies between bounds."""

    GROUP = "statistics"
    rule: Literal["mean_between"] = "mean_between"

    @property
    def wanted(self) -> str:
        return self.bounds("a mean")

    def judge(self, evidence: Evidence) -> Judged:
        return self.held(told(numbers_of(evidence, self.columns[0]).mean, "mean"))


class SumBetween(NumberFigure):
    """The sum lies between bounds."""

    GROUP = "statistics"
    rule: Literal["sum_between"] = "sum_between"

    @property
    def wanted(self) -> str:
        return self.bounds("a sum")

    def judge(self, evidence: Evidence) -> Judged:
        return self.held(told(numbers_of(evidence, self.columns[0]).sum, "sum"))


class StddevBetween(NumberFigure):
    """The sample standard deviation lies between bounds."""

    GROUP = "statistics"
    rule: Literal["stddev_between"] = "stddev_between"

    @property
    def wanted(self) -> str:
        return self.bounds("a standard deviation")

    def judge(self, evidence: Evidence) -> Judged:
        return self.held(told(numbers_of(evidence, self.columns[0]).std, "standard deviation"))


class MinBetween(NumberFigure):
    """The smallest value lies between bounds."""

    GROUP = "statistics"
    rule: Literal["min_between"] = "min_between"

    @property
    def wanted(self) -> str:
        return self.bounds("a smallest value")

    def judge(self, evidence: Evidence) -> Judged:
        return self.held(told(numbers_of(evidence, self.columns[0]).min, "smallest value"))


class MaxBetween(NumberFigure):
    """The largest value lies between bounds."""

    GROUP = "statistics"
    rule: Literal["max_between"] = "max_between"

    @property
    def wanted(self) -> str:
        return self.bounds("a largest value")

    def judge(self, evidence: Evidence) -> Judged:
        return self.held(told(numbers_of(evidence, self.columns[0]).max, "largest value"))


class _Quantile(NumberFigure):
    """A quantile between bounds."""

    GROUP = "statistics"
    PROFILED = False

    @property
    @abstractmethod
    def at(self) -> float:
        """Its probability."""

    def measures(self) -> tuple[Measure, ...]:
        return (SummaryOf(column=self.columns[0], where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        return self.held(*quantile(evidence.measured[self.measures()[0]], self.at))


class QuantileBetween(_Quantile):
    """A quantile lies between bounds; over many different values it is an estimate with its error."""

    rule: Literal["quantile_between"] = "quantile_between"
    probability: Share

    @property
    def at(self) -> float:
        return self.probability

    @property
    def wanted(self) -> str:
        return self.bounds(f"a quantile at {self.probability:g}")


class MedianBetween(_Quantile):
    """The median lies between bounds; over many different values it is an estimate with its error."""

    rule: Literal["median_between"] = "median_between"

    @property
    def at(self) -> float:
        return 0.5

    @property
    def wanted(self) -> str:
        return self.bounds("a median")


class OutlierShare(NumberFigure):
    """The share of values beyond `iqr` interquartile ranges of the quartiles lies between bounds."""

    GROUP = "statistics"
    PROFILED = False
    rule: Literal["outlier_share"] = "outlier_share"
    iqr: PositiveFloat = Field(default=1.5, allow_inf_nan=False)

    @property
    def wanted(self) -> str:
        return self.bounds(f"a share beyond {self.iqr:g} IQR of the quartiles", percent)

    def measures(self) -> tuple[Measure, ...]:
        return (SummaryOf(column=self.columns[0], where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        summary = evidence.measured[self.measures()[0]]
        (low, _, _), (high, _, _) = quantile(summary, 0.25), quantile(summary, 0.75)
        reach = self.iqr * (high - low)
        return self.held(*outside(summary, low - reach, high + reach), show=percent)


class WithinStddevs(NumberFigure):
    """The share of values further than `stddevs` standard deviations from the mean is at most `max`, by default 0."""

    GROUP = "ranges"
    rule: Literal["within_stddevs"] = "within_stddevs"
    stddevs: PositiveFloat = Field(allow_inf_nan=False)
    max: Bound | None = 0.0

    @property
    def wanted(self) -> str:
        return self.bounds(f"a share further than {self.stddevs:g} standard deviations from the mean", percent)

    def measures(self) -> tuple[Measure, ...]:
        return (SummaryOf(column=self.columns[0], where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        number = numbers_of(evidence, self.columns[0])
        if number.mean is None or number.std is None:
            raise NotMeasuredError("there are fewer than two finite values")
        reach = self.stddevs * number.std
        summary = evidence.measured[self.measures()[0]]
        share, low, high = outside(summary, number.mean - reach, number.mean + reach)
        return self.held(share, low, high, show=percent)


class CorrelationBetween(BoundedFigure):
    """Pearson's correlation of two columns lies between bounds, over rows where both have a finite value."""

    GROUP = "statistics"
    EACH = False
    LEAST = 2
    PROFILED = False
    rule: Literal["correlation_between"] = "correlation_between"
    columns: Annotated[tuple[str, ...], Field(max_length=2)]

    @property
    def wanted(self) -> str:
        return self.bounds("a correlation")

    def measures(self) -> tuple[Measure, ...]:
        return (ProfileOf(columns=self.columns, where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        found = evidence.measured[self.measures()[0]].correlation
        if len(found.columns) != 2:
            raise NotMeasuredError("both columns must hold numbers")
        r = found.r[0][1]
        if r is None:
            raise NotMeasuredError("a column is constant, or fewer than three rows have both values")
        return self.held(r, show=lambda value: f"{value:.4f}")


def told(value: float | None, name: str) -> float:
    """The figure; NotMeasuredError where too few values are there, or it is beyond what a float can hold."""
    if value is None:
        raise NotMeasuredError(f"the {name} cannot be told of so few, or so large, values")
    return value


RULES = (
    MeanBetween,
    MedianBetween,
    QuantileBetween,
    StddevBetween,
    SumBetween,
    MinBetween,
    MaxBetween,
    OutlierShare,
    WithinStddevs,
    CorrelationBetween,
)
