"""Distributions compared with those of a reference: a saved `profile.json`, or another table.

A rule is broken where the effect is larger than `max`, and where so large a difference is also improbable by chance
(below `alpha`, by the procedure of Benjamini and Hochberg over all rules of this group in a file). A large table alone
does not break one: the effect must matter. A small table does not either: its effect may be noise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from raypipe.blocks.chance import chi2_tail, kolmogorov_tail, normal_tail
from raypipe.blocks.column import ColumnSummary
from raypipe.blocks.distances import homogeneity_p, joined_bins, smoothed, stability_index, total_variation
from raypipe.blocks.profile import ColumnProfile, Histogram
from raypipe.blocks.report import column_profile
from raypipe.blocks.spec import SummarySpec
from raypipe.config.base import Share
from raypipe.etl.rules.cells import Cells, UnfitError
from raypipe.etl.rules.measures import SummaryOf, ValuesSeen
from raypipe.etl.rules.other import reference_profile
from raypipe.etl.rules.ranks import ranks
from raypipe.etl.rules.rule import Evidence, FigureRule, Judged, Measure, NotMeasuredError
from raypipe.etl.rules.values import Scalar
from raypipe.etl.wording import counted, listed, percent

MIN_BIN_SHARE = 0.01
"""Neighbouring bins of a reference are joined until each holds so much of it."""
Effect = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Against(FigureRule):
    """A column held against the same column of a reference."""

    GROUP = "distribution"
    reference: str
    """Path of a `profile.json`, or of a table."""

    def prepare(self) -> None:
        reference_profile(self.reference)

    def before(self) -> ColumnProfile | None:
        """The column of the reference, where there is one."""
        profile = reference_profile(self.reference)
        return next((column for column in profile.columns if column.name == self.columns[0]), None)


class Comparison(_Against):
    """Distributions of a column compared."""

    PROFILED = False
    NUMBERS: ClassVar[bool] = True
    """Whether it compares numbers and times, or categories."""
    alpha: Share = 0.001
    """Share of alarms that may be false, over all comparisons of the file."""
    min_rows: PositiveInt = 100
    """Fewer values on either side are not compared."""

    def measures(self) -> tuple[Measure, ...]:
        if self.NUMBERS:
            return (SummaryOf(column=self.columns[0], where=self.where),)
        before = self.before()
        values = _categories(before) if before is not None else ()
        return (ValuesSeen(column=self.columns[0], values=values, where=self.where),) if values else ()

    def check(self, schema: pa.Schema) -> None:
        super().check(schema)
        before = self.before()
        if before is None:
            raise UnfitError(f"the reference {self.reference} has no such column")
        if self.NUMBERS and before.number is None:
            raise UnfitError(f"the reference holds {before.dtype}, and the rule needs numbers or times")
        for measure in self.measures():
            measure.check(schema)

    def sides(self, evidence: Evidence) -> tuple[ColumnProfile, int, int]:
        """The column of the reference, and the values on either side; NotMeasuredError where there are too few."""
        before = self.before()
        if before is None or not self.measures():
            raise NotMeasuredError("the reference has no values of this column")
        found = evidence.measured[self.measures()[0]]
        now = found.finite if self.NUMBERS else int(found.counts.sum()) + found.others
        then = before.number.finite if self.NUMBERS and before.number else before.present
        if min(now, then) < self.min_rows:
            raise NotMeasuredError(
                f"there are {counted(now, 'value')} here and {then:,} there, below {self.min_rows:,}"
            )
        return before, then, now

    def weighed(self, name: str, effect: float, bound: float, p_value: float, error: float = 0.0) -> Judged:
        """The verdict on an effect; that on its probability is taken over all comparisons together."""
        passed = effect <= bound
        low, high = max(effect - error, 0.0), effect + error
        certain = error == 0.0 or (low > bound) == (high > bound)
        found = f"{name} {effect:.4g}" + (f" (between {low:.4g} and {high:.4g})" if error else "")
        found += "" if certain else ", so that the bound lies within the error"
        judged = Judged(passed, found, effect, certain=certain, p_value=p_value)
        return replace(judged, low=low, high=high) if error else judged


class Psi(Comparison):
    """The population stability index over the bins of the reference is at most `max`; 0.2 is a usual bound."""

    rule: Literal["psi"] = "psi"
    max: Effect = 0.2

    @property
    def wanted(self) -> str:
        return f"a PSI of at most {self.max:g} against {self.reference}"

    def judge(self, evidence: Evidence) -> Judged:
        before, then, now = self.sides(evidence)
        edges, shares = joined_bins(_histogram(before), MIN_BIN_SHARE)
        summary = evidence.measured[self.measures()[0]]
        found, error = ranks(summary, edges[1:-1])
        reached = np.array([0.0, *found, 1.0])
        counts = np.asarray(shares) * then, np.maximum(np.diff(reached), 0.0) * now
        index, p, q = stability_index(*counts), smoothed(counts[0]), smoothed(counts[1])
        off = 2 * error + _histogram(before).rank_error
        slope = float(np.sum(np.abs(np.log(p / q) + 1 - p / q))) * off
        p_value = chi2_tail(index / (1 / then + 1 / now), len(shares) - 1)
        return self.weighed("PSI", index, self.max, p_value, slope)


class KsDistance(Comparison):
    """The largest gap between the cumulative shares of both, at the bins of the reference, is at most `max`."""

    rule: Literal["ks_distance"] = "ks_distance"
    max: Effect = 0.1

    @property
    def wanted(self) -> str:
        return f"a KS distance of at most {self.max:g} from {self.reference}"

    def judge(self, evidence: Evidence) -> Judged:
        before, then, now = self.sides(evidence)
        distance, error = _ks(before, evidence.measured[self.measures()[0]])
        return self.weighed("KS distance", distance, self.max, kolmogorov_tail(distance, then, now), error)


class MeanShift(Comparison):
    """The mean differs by at most `max` standard deviations of the reference."""

    rule: Literal["mean_shift"] = "mean_shift"
    max: Effect = 0.1

    @property
    def wanted(self) -> str:
        return f"a mean at most {self.max:g} standard deviations from that of {self.reference}"

    def judge(self, evidence: Evidence) -> Judged:
        before, then, now = self.sides(evidence)
        was, sketch = before.number, evidence.measured[self.measures()[0]]
        mean, std = _mean_and_std(sketch)
        if was is None or was.mean is None or not was.std or mean is None:
            raise NotMeasuredError("the reference is constant, or a mean is beyond what a float can hold")
        shift = abs(mean - was.mean) / was.std
        spread = math.sqrt(was.std**2 / then + (std or 0.0) ** 2 / now)
        p_value = normal_tail((mean - was.mean) / spread) if spread else 1.0
        return self.weighed("a shift of", shift, self.max, p_value)


class TotalVariation(Comparison):
    """The share of rows that would have to change category to give the reference's shares is at most `max`."""

    NUMBERS = False
    rule: Literal["total_variation"] = "total_variation"
    max: Effect = 0.1

    @property
    def wanted(self) -> str:
        return f"a total variation of at most {self.max:g} from {self.reference}"

    def judge(self, evidence: Evidence) -> Judged:
        before, then, _ = self.sides(evidence)
        seen = evidence.measured[self.measures()[0]]
        was = np.array([value.count for value in before.top], float)
        slack = float(sum(value.count_upper - value.count for value in before.top))
        counts = np.array([*was, max(then - was.sum(), 0.0)]), np.array([*seen.counts, seen.others], float)
        distance, p_value = total_variation(*counts), homogeneity_p(*counts)
        return self.weighed("total variation", distance, self.max, p_value, slack / then)


class NoNewCategories(Comparison):
    """At most a share `max` of values is of none of the reference's categories; it must have at most 20."""

    NUMBERS = False
    rule: Literal["no_new_categories"] = "no_new_categories"
    max: Share = 0.0

    @property
    def wanted(self) -> str:
        most = f"at most {percent(self.max)} of values" if self.max else "no value"
        return f"{most} outside the categories of {self.reference}"

    def judge(self, evidence: Evidence) -> Judged:
        before, _, now = self.sides(evidence)
        _all_categories(before)
        new = evidence.measured[self.measures()[0]].others
        share = new / now
        found = f"{counted(new, 'value')} of {now:,} ({percent(share)}) of new categories"
        return Judged(share <= self.max, found, share, failing_rows=new, rows=now, share=share)


class NoMissingCategories(Comparison):
    """Every category of the reference occurs, but for those too rare to be expected among so many rows."""

    NUMBERS = False
    rule: Literal["no_missing_categories"] = "no_missing_categories"

    @property
    def wanted(self) -> str:
        return f"every category of {self.reference}"

    def judge(self, evidence: Evidence) -> Judged:
        before, then, now = self.sides(evidence)
        seen = evidence.measured[self.measures()[0]].counts
        known = len(before.top)
        missing = [
            value.value
            for value, count in zip(before.top, seen, strict=True)
            if not count and known * (1 - value.count / then) ** now < self.alpha
        ]
        found = f"{listed(missing)} {'does' if len(missing) == 1 else 'do'} not occur" if missing else "all occur"
        return Judged(not missing, found, figure=len(missing), examples=tuple(missing[:5]))


class Drift(Comparison):
    """No column drifts: numbers and times by KS distance, categories by total variation; no columns means all."""

    LEAST = 0
    rule: Literal["drift"] = "drift"
    max: Effect = 0.1

    @property
    def wanted(self) -> str:
        return self._chosen().wanted if len(self.columns) == 1 else f"no drift from {self.reference}"

    def each(self) -> Iterator[Self]:
        if self.columns:
            yield from super().each()
            return
        named = [c.name for c in reference_profile(self.reference).columns if c.kind not in ("null", "other")]
        yield from self.model_copy(update={"columns": tuple(named)}).each()

    def measures(self) -> tuple[Measure, ...]:
        return self._chosen().measures()

    def check(self, schema: pa.Schema) -> None:
        _ = Cells(schema)[self.columns[0]]
        self._chosen().check(schema)

    def judge(self, evidence: Evidence) -> Judged:
        return self._chosen().judge(evidence)

    def _chosen(self) -> Comparison:
        before = self.before()
        kind = KsDistance if before is not None and before.kind in ("number", "temporal") else TotalVariation
        shared = {name: getattr(self, name) for name in ("columns", "reference", "alpha", "min_rows", "max", "where")}
        return kind(**shared)


class NullShareShift(_Against):
    """The share of nulls differs by at most `max` from that of the reference."""

    rule: Literal["null_share_shift"] = "null_share_shift"
    max: Share = 0.05

    @property
    def wanted(self) -> str:
        return f"a share of nulls within {percent(self.max)} of that of {self.reference}"

    def judge(self, evidence: Evidence) -> Judged:
        now, then = evidence.profile.column(self.columns[0]), self.before()
        if then is None or not now.rows or not then.rows:
            raise NotMeasuredError("there are no rows here, or no such column there")
        shift = now.null_share - then.null_share
        spread = math.sqrt(sum(c.null_share * (1 - c.null_share) / c.rows for c in (now, then)))
        p_value = normal_tail(shift / spread) if spread else float(shift == 0)
        found = f"{percent(now.null_share)} null, and {percent(then.null_share)} there"
        return Judged(abs(shift) <= self.max, found, figure=abs(shift), p_value=p_value)


def _histogram(column: ColumnProfile) -> Histogram:
    found = column.number.histogram if column.number else None
    if found is None or sum(found.counts) == 0:
        raise NotMeasuredError("the reference has no histogram of this column")
    return found


def _ks(before: ColumnProfile, summary: ColumnSummary) -> tuple[float, float]:
    """Largest gap at the inner edges of the histogram and at the quantiles of the reference, and its error."""
    histogram = _histogram(before)
    total = sum(histogram.counts)
    reached = list(itertools.accumulate(histogram.counts))
    found, error = ranks(summary, list(histogram.edges[1:-1]))
    gaps = [abs(count / total - share) for count, share in zip(reached[:-1], found, strict=True)]
    error += histogram.rank_error
    quantiles = before.number.quantiles if before.number else None
    if quantiles is not None:
        points = [(float(p), value) for p, value in quantiles.values.items()]
        below, _ = ranks(summary, [value for _, value in points])
        upto, _ = ranks(summary, [value for _, value in points], inclusive=True)
        # Of the reference, at most p of the values lie below its quantile, and at least p at or below it.
        for (p, _), low, high in zip(points, below, upto, strict=True):
            gaps.append(max(low - p, p - high, 0.0) - quantiles.rank_error)
    return max([0.0, *gaps]), error


def _mean_and_std(summary: ColumnSummary) -> tuple[float | None, float | None]:
    number = column_profile(summary, SummarySpec()).number
    return (number.mean, number.std) if number else (None, None)


def _categories(column: ColumnProfile) -> tuple[Scalar, ...]:
    """The frequent values of a reference as a rule would write them."""
    if column.kind == "number":
        whole = column.dtype.startswith(("int", "uint"))
        numbers = [float(value.value) for value in column.top]
        return tuple(int(v.value) if whole else n for v, n in zip(column.top, numbers, strict=True) if math.isfinite(n))
    if column.kind == "boolean":
        return tuple(value.value == "true" for value in column.top)
    return tuple(value.value for value in column.top)


def _all_categories(column: ColumnProfile) -> None:
    distinct = column.distinct
    if distinct is None or not distinct.exact or distinct.count > len(column.top):
        raise NotMeasuredError(f"the reference has more than the {len(column.top)} categories that its profile tells")


RULES = (
    Psi,
    KsDistance,
    MeanShift,
    TotalVariation,
    NoNewCategories,
    NoMissingCategories,
    Drift,
    NullShareShift,
)
