"""All measures of one pair of columns, from its rows in a sample or from sums over all rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.blocks.chance import normal_tail
from raypipe.config import Frozen
from raypipe.insights.chance import f_tail, t_tails
from raypipe.insights.effects import fisher_interval
from raypipe.insights.statistics.coding import COARSE_BINS, ColumnCode, coarser
from raypipe.insights.statistics.groups import (
    GroupSums,
    epsilon_squared,
    eta_interval,
    eta_interval_of_sums,
    eta_squared,
)
from raypipe.insights.statistics.models import Interval, Measure, PairStatistics
from raypipe.insights.statistics.ranks import (
    correlations,
    kendall,
    kendall_interval,
    kendall_of_table,
    ranks,
    spearman_interval,
)
from raypipe.insights.statistics.tables import cramers_v, mutual_information, phi_k
from raypipe.stage import ReduceStage, require

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class PairPlan(Frozen):
    """Two columns to measure, and what the screening said of them."""

    a: ColumnCode
    b: ColumnCode
    strength: float
    adjusted_p: float
    centers: tuple[float, float] = (0.0, 0.0)
    scales: tuple[float, float] = (1.0, 1.0)
    """Numbers enter sums as (value - center) / scale."""


@dataclass
class PairSums:
    """What is added up of one pair."""

    table: Ints
    """Rows by code of either; the last row and column hold those where it is unknown."""
    moments: Floats
    """Two numbers: n, u, v, uu, vv, uv."""
    groups: GroupSums | None = None
    """A category and a number: the number by values of the category."""

    def merge(self, other: PairSums) -> PairSums:
        """Both together."""
        groups = self.groups.merge(other.groups) if self.groups and other.groups else None
        return PairSums(self.table + other.table, self.moments + other.moments, groups)


class MeasurePairs(ReduceStage):
    """Measures of a few pairs of columns over all rows; blocks pass through unchanged."""

    plans: tuple[PairPlan, ...] = ()

    @property
    def reads(self) -> frozenset[str]:
        return frozenset(code.column for plan in self.plans for code in (plan.a, plan.b))

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *(code.column for plan in self.plans for code in (plan.a, plan.b)), by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> list[PairSums]:
        coded = {code.column: code.encode(block) for plan in self.plans for code in (plan.a, plan.b)}
        return [_sums(plan, coded[plan.a.column], coded[plan.b.column]) for plan in self.plans]

    def merge(self, a: list[PairSums], b: list[PairSums]) -> list[PairSums]:
        return [x.merge(y) for x, y in zip(a, b, strict=True)]

    def finish(self, state: list[PairSums] | None) -> tuple[PairStatistics, ...]:
        found = (_statistics(plan, sums) for plan, sums in zip(self.plans, state or (), strict=False))
        return tuple(one for one in found if one is not None)


def measure_on(sample: pa.Table, plans: Sequence[PairPlan], *, exact: bool) -> tuple[PairStatistics, ...]:
    """Measures of pairs over the rows of a sample, or of the whole table where that is `exact`."""
    stage = MeasurePairs(plans=tuple(plans))
    coded = {code.column: code.encode(sample) for plan in plans for code in (plan.a, plan.b)}
    found = []
    for plan, sums in zip(plans, stage.partial(sample, ""), strict=True):
        one = _statistics(plan, sums, exact)
        if one is not None:
            found.append(_with_ranks(one, coded[plan.a.column], coded[plan.b.column]))
    return tuple(found)


def _with_ranks(found: PairStatistics, a: tuple[Ints, Floats | None], b: tuple[Ints, Floats | None]) -> PairStatistics:
    """The same with what rows give and sums do not: ranks without bins, and the interval of a correlation ratio."""
    (i, x), (j, y) = a, b
    both = (i >= 0) & (j >= 0)
    if x is not None and y is not None:
        return found.replace(measures=_replaced(found.measures, _of_ranks(x[both], y[both])))
    codes, values = (i, y) if y is not None else (j, x)
    if values is None or found.measure("correlation_ratio_squared") is None:
        return found
    kept = np.unique(codes[both], return_inverse=True)[1]
    eta = eta_squared(GroupSums.of(kept, values[both], int(kept.max()) + 1))
    interval = None if eta is None else eta_interval(kept, values[both], eta)
    measures = [
        one.replace(interval=interval) if one.measure == "correlation_ratio_squared" else one for one in found.measures
    ]
    return found.replace(measures=tuple(measures))


def _of_ranks(x: Floats, y: Floats) -> Iterator[Measure]:
    n = len(x)
    rho = float(correlations(np.array([ranks(x), ranks(y)]))[0][0, 1])
    if not math.isnan(rho):
        yield correlation_measure("spearman", rho, n, spearman_interval(rho, n))
    tau = kendall(x, y)
    if not math.isnan(tau):
        yield _tau_measure(tau, n)


def _replaced(measures: Sequence[Measure], better: Iterator[Measure]) -> tuple[Measure, ...]:
    by_name = {one.measure: one for one in better}
    return tuple(by_name.get(one.measure, one) for one in measures)


def _tau_measure(tau: float, n: int) -> Measure:
    p = normal_tail(3 * tau * math.sqrt(n * (n - 1)) / math.sqrt(2 * (2 * n + 5)))
    return Measure(measure="kendall", value=tau, interval=kendall_interval(tau, n), p_value=p)


def _sums(plan: PairPlan, a: tuple[Ints, Floats | None], b: tuple[Ints, Floats | None]) -> PairSums:
    (i, x), (j, y) = a, b
    rows, columns = plan.a.size + 1, plan.b.size + 1
    cells = np.where(i < 0, rows - 1, i) * columns + np.where(j < 0, columns - 1, j)
    sums = PairSums(np.bincount(cells, minlength=rows * columns).reshape(rows, columns), np.zeros(6))
    both = (i >= 0) & (j >= 0)
    if x is not None and y is not None:
        u, v = ((values[both] - c) / s for values, c, s in zip((x, y), plan.centers, plan.scales, strict=True))
        # No dot products: OpenBLAS would wake a thread for each core, see `Moments`.
        sums.moments = np.array([len(u), u.sum(), v.sum(), (u * u).sum(), (v * v).sum(), (u * v).sum()])
    elif x is not None or y is not None:
        codes, values, size = (i, y, rows - 1) if y is not None else (j, x, columns - 1)
        assert values is not None
        at = 1 if y is not None else 0
        sums.groups = GroupSums.of(codes[both], (values[both] - plan.centers[at]) / plan.scales[at], size)
    return sums


def _statistics(plan: PairPlan, sums: PairSums, exact: bool = True) -> PairStatistics | None:
    """Every measure that suits the pair; None where too few rows know both."""
    table = sums.table[:-1, :-1]
    rows = int(table.sum())
    if rows < 3:
        return None
    coarse = _coarse(plan, table)
    measures = [*_of_table(coarse)]
    if plan.a.kind == plan.b.kind == "number":
        measures = [*_of_numbers(sums.moments, table), *measures]
    elif sums.groups is not None:
        measures = [*_of_groups(sums.groups), *measures]
    return PairStatistics(
        columns=(plan.a.column, plan.b.column),
        kinds=(plan.a.kind, plan.b.kind),
        strength=plan.strength,
        adjusted_p=plan.adjusted_p,
        rows=rows,
        exact=exact,
        measures=tuple(measures),
    )


def _coarse(plan: PairPlan, table: Ints) -> Floats:
    """The table with at most ten bins of numbers."""
    rows = coarser(plan.a, table.sum(axis=1), COARSE_BINS) if plan.a.kind == "number" else np.arange(plan.a.size)
    columns = coarser(plan.b, table.sum(axis=0), COARSE_BINS) if plan.b.kind == "number" else np.arange(plan.b.size)
    found = np.zeros((int(rows.max()) + 1, int(columns.max()) + 1))
    np.add.at(found, (rows[:, None], columns[None, :]), table)
    return found


def _of_table(table: Floats) -> Iterator[Measure]:
    if (found := cramers_v(table)) is not None:
        v, interval, p = found
        yield Measure(measure="cramers_v", value=v, interval=interval, p_value=p)
    if (information := mutual_information(table)) is not None:
        bits, interval, share = information
        yield Measure(measure="mutual_information_bits", value=bits, interval=interval)
        yield Measure(measure="mutual_information_share", value=share)
    if (phi := phi_k(table)) is not None:
        yield Measure(measure="phi_k", value=phi)


def _of_numbers(moments: Floats, table: Ints) -> Iterator[Measure]:
    n, u, v, uu, vv, uv = (float(x) for x in moments)
    x, y = uu - u * u / n, vv - v * v / n
    if x > 1e-12 * uu and y > 1e-12 * vv:
        r = min(max((uv - u * v / n) / math.sqrt(x) / math.sqrt(y), -1.0), 1.0)
        yield correlation_measure("pearson", r, int(n), fisher_interval(r, int(n)))
    rho = grade_correlation(table.astype(np.float64))
    yield correlation_measure("spearman", rho, int(n), spearman_interval(rho, int(n)))
    tau = kendall_of_table(table.astype(np.float64))
    if not math.isnan(tau):
        yield _tau_measure(tau, int(n))


def correlation_measure(name: str, r: float, n: int, interval: Interval | None) -> Measure:
    """A correlation with the p-value of its t-test."""
    t = abs(r) * math.sqrt(max(n - 2, 1) / max(1 - r * r, 1e-15))
    return Measure(measure=name, value=r, interval=interval, p_value=float(t_tails(t, max(n - 2, 1))))


def grade_correlation(table: Floats) -> float:
    """Spearman's rho from the counts of two ordered columns, ties sharing their mean rank; 0 where one is constant."""
    n = table.sum()
    a, b = (np.cumsum(counts) - counts / 2 - n / 2 for counts in (table.sum(axis=1), table.sum(axis=0)))
    spread = math.sqrt(float((table.sum(axis=1) * a * a).sum()) * float((table.sum(axis=0) * b * b).sum()))
    return float(np.clip((a @ table @ b) / spread, -1.0, 1.0)) if spread > 0 else 0.0


def _of_groups(sums: GroupSums) -> Iterator[Measure]:
    eta = eta_squared(sums)
    if eta is None:
        return
    n, groups = float(sums.n.sum()), int((sums.n > 0).sum())
    corrected, interval = epsilon_squared(eta, groups, n), eta_interval_of_sums(eta, groups, n)
    p = float(f_tail(eta / (groups - 1) / max((1 - eta) / (n - groups), 1e-300), groups - 1, n - groups))
    yield Measure(measure="correlation_ratio_squared", value=corrected, interval=interval, p_value=p)
