"""What steps learn from all rows: figures of number columns, and counts of categories."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.blocks.arrays import Floats
from raypipe.blocks.column import ColumnSummary
from raypipe.blocks.counts import own_memory
from raypipe.blocks.kinds import BlockColumn, ColumnType
from raypipe.blocks.moments import Moments
from raypipe.blocks.quantiles import exact_quantiles
from raypipe.blocks.spec import SummarySpec
from raypipe.etl.aside import as_text
from raypipe.etl.steps.step import cells_of
from raypipe.etl.wording import percent
from raypipe.stage import ReduceStage, require

SPEC = SummarySpec(exact_values=65536, quantile_k=4096, frequent_values=65536)
"""Finer than a profile: the figures change data. About 3 MB a column at most."""
PENDING = 200_000
"""Rows of counts that are added up before more are gathered."""


class Measure(ReduceStage):
    """Figures of number columns over all rows: moments, ends, quantiles, exact while there are few values."""

    label: str
    columns: tuple[str, ...]
    spec: SummarySpec = SPEC

    @property
    def name(self) -> str:
        return f"measure for {self.label}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> dict[str, ColumnSummary]:
        """A summary of each column."""
        spec = self.spec.for_width(len(self.columns))
        kinds = {name: ColumnType.of(block.schema.field(name)) for name in self.columns}
        return {name: ColumnSummary.of(BlockColumn(kind, block[name]), spec) for name, kind in kinds.items()}

    def merge(self, a: dict[str, ColumnSummary], b: dict[str, ColumnSummary]) -> dict[str, ColumnSummary]:
        spec = self.spec.for_width(len(self.columns))
        return {name: summary.merge(b[name], spec) for name, summary in a.items()}

    def finish(self, state: dict[str, ColumnSummary]) -> dict[str, Numbers]:
        spec = self.spec.for_width(len(self.columns))
        return {name: Numbers.of(summary.settled(spec)) for name, summary in state.items()}


@dataclass(frozen=True)
class Numbers:
    """Figures of the finite values of one column."""

    rows: int
    missing: int
    """Nulls and NaN."""
    values: Floats
    """Ascending: each different value, or what stands for the values between its neighbours."""
    weights: Floats
    """Rows of each."""
    mean: float | None = None
    std: float | None = None
    """Of the sample (divisor n - 1)."""
    deviation: float | None = None
    """Of these values alone (divisor n)."""
    low: float | None = None
    high: float | None = None
    rank_error: float = 0.0
    """Of quantiles; 0 where they are exact."""

    @classmethod
    def of(cls, summary: ColumnSummary) -> Numbers:
        """From a settled summary."""
        missing = summary.nulls + summary.nan
        kind = summary.type
        none = np.zeros(0, np.float64)
        if not summary.finite or kind.kind not in ("number", "temporal"):
            return cls(summary.rows, missing, none, none)
        factor, divisor = kind.ratio
        unit = float(factor) / float(divisor)
        if summary.sketched is not None and summary.sketched.number is not None:
            number = summary.sketched.number
            values, weights = number.quantiles.weighted()
            ends = [float(end) if kind.storage == pl.Decimal else end for end in _ends(summary)]
            low, high = (float(end) for end in kind.floats(np.array(ends)))
            figures = _moments(number.moments, unit)
            return cls(summary.rows, missing, values, weights, *figures, low, high, number.quantiles.rank_error)
        table = summary.tables[0]
        wide = isinstance(table.values.dtype, pl.Decimal)
        stored = (table.values.cast(pl.Float64) if wide else table.values).to_numpy()
        values = kind.floats(stored)
        figures = _moments(Moments.of(stored, table.counts), unit)
        low, high = float(values[0]), float(values[-1])
        return cls(summary.rows, missing, values, table.counts.astype(np.float64), *figures, low, high)

    @property
    def finite(self) -> int:
        """How many values they are of."""
        return round(float(self.weights.sum()))

    @property
    def constant(self) -> bool:
        """Whether all values are one."""
        return self.low is not None and self.low == self.high

    def quantile(self, share: float) -> float | None:
        """The value at this share of the rows, exact or within `rank_error`; None without values."""
        return weighted_quantile(self.values, self.weights, share, exact=not self.rank_error)

    def mad(self) -> float | None:
        """Median distance from the median."""
        middle = self.quantile(0.5)
        if middle is None:
            return None
        gaps = np.abs(self.values - middle)
        order = np.argsort(gaps, kind="stable")
        return weighted_quantile(gaps[order], self.weights[order], 0.5, exact=not self.rank_error)

    @property
    def note(self) -> str | None:
        """How a quantile was estimated, where it was."""
        return f"from estimated quantiles, rank error {percent(self.rank_error)}" if self.rank_error else None


def weighted_quantile(values: Floats, weights: Floats, share: float, *, exact: bool) -> float | None:
    """The quantile of ascending values with weights; interpolated as NumPy does where the weights are exact counts."""
    if not len(values):
        return None
    if exact:
        return exact_quantiles(values, np.round(weights).astype(np.int64), [share])[0]
    reached = np.cumsum(weights)
    return float(values[min(int(np.searchsorted(reached, share * reached[-1], side="left")), len(values) - 1)])


def _ends(summary: ColumnSummary) -> tuple[float, float]:
    assert summary.sketched is not None
    return summary.sketched.low, summary.sketched.high


def _moments(moments: Moments, unit: float) -> tuple[float | None, float | None, float | None]:
    """Mean, and deviation with divisors n - 1 and n."""
    mean, std, variance, n = moments.mean, moments.std, moments.variance, moments.count
    mean = None if mean is None or not math.isfinite(mean) else mean * unit
    if std is None:
        return mean, None, 0.0 if n == 1 else None
    own = std * math.sqrt((n - 1) / n) if variance is None else math.sqrt(variance * (n - 1) / n)
    return mean, std * unit, own * unit


@dataclass
class Tallies:
    """Counts of values seen so far, for each column; None where there are too many different ones."""

    frames: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)


class CountValues(ReduceStage):
    """How often each value of some columns occurs, as text, exactly; given up where there are too many."""

    label: str
    columns: tuple[str, ...]
    most: int
    """Different values, at most; past it the counts of a column are dropped."""

    @property
    def name(self) -> str:
        return f"count for {self.label}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> Tallies:
        tallies = Tallies()
        for name in self.columns:
            cells = cells_of(block, name)
            tallies.nulls[name] = cells.null_count()
            tallies.frames[name] = [counted_values(cells)]
        return tallies

    def merge(self, a: Tallies, b: Tallies) -> Tallies:
        for name in self.columns:
            a.nulls[name] += b.nulls[name]
            if name in a.over or name in b.over:
                a.over.add(name)
                a.frames[name] = []
                continue
            a.frames[name] = [*a.frames[name], *b.frames[name]]
            if sum(frame.height for frame in a.frames[name]) > max(PENDING, 2 * self.most):
                a.frames[name] = [added(a.frames[name])]
                if a.frames[name][0].height > self.most:
                    a.over.add(name)
                    a.frames[name] = []
        return a

    def finish(self, state: Tallies) -> dict[str, Categories]:
        found: dict[str, Categories] = {}
        for name in self.columns:
            table = None if name in state.over else added(state.frames[name])
            if table is not None and table.height > self.most:
                table = None
            if table is not None:
                texts = as_text(table["value"].alias("")).alias("text")
                table = pl.DataFrame([table["value"], texts, table["count"]])
            found[name] = Categories(table, state.nulls[name], self.most)
        return found


@dataclass(frozen=True)
class Categories:
    """Values of one column in their order, with how often each occurs."""

    table: pl.DataFrame | None
    """Columns value, text, count, in the order of values; None where there are more than `most`."""
    nulls: int
    most: int

    @property
    def texts(self) -> list[str]:
        """The values as text, in their order."""
        return [] if self.table is None else self.table["text"].to_list()

    @property
    def counts(self) -> list[int]:
        """Of each."""
        return [] if self.table is None else self.table["count"].to_list()

    def by_frequency(self) -> list[tuple[str, int]]:
        """Texts and counts, the most frequent first; ties in the order of values."""
        return sorted(zip(self.texts, self.counts, strict=True), key=lambda pair: -pair[1])


def counted_values(cells: pl.Series) -> pl.DataFrame:
    """Values without nulls and NaN, and how often each occurs."""
    if cells.dtype.is_float():
        cells = cells.fill_nan(None) + 0.0  # one zero
    frame = pl.DataFrame([cells.alias("value")]).drop_nulls()
    counts = frame.group_by("value").len("count").with_columns(pl.col("count").cast(pl.Int64))
    return pl.DataFrame([own_memory(counts["value"]), counts["count"]])


def added(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """The counts of several frames as one, in the order of values."""
    return pl.concat(frames).group_by("value").agg(pl.col("count").sum()).sort("value")
