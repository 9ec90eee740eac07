"""The mergeable summary of one column: exact counts of its values while they are few, sketches past that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from raypipe.blocks.arrays import Array, Counts
from raypipe.blocks.counts import ValueCounts, sorted_runs
from raypipe.blocks.distinct import HyperLogLog
from raypipe.blocks.frequent import FrequentItems, heavy_numbers, heavy_values
from raypipe.blocks.hashing import hash_values
from raypipe.blocks.kinds import BlockColumn, ColumnType
from raypipe.blocks.moments import Moments
from raypipe.blocks.quantiles import QuantileSketch
from raypipe.blocks.runs import distinct_in
from raypipe.blocks.spec import SummarySpec
from raypipe.blocks.text import TextCounts

_HEAD = 16384
_FEW = 32
"""Different texts that are counted by comparing with each."""
_MAX_PENDING = 4


@dataclass(frozen=True, slots=True)
class NumberSketch:
    """Moments and quantiles of finite numbers."""

    moments: Moments
    """In the counted form (see `ColumnType.ratio`)."""
    quantiles: QuantileSketch
    """In the user's unit."""
    zeros: int
    negatives: int

    @classmethod
    def of_sorted(cls, values: Array, counts: Counts | None, kind: ColumnType, spec: SummarySpec) -> NumberSketch:
        """From ascending values, each taken `counts` times."""
        below, upto = (int(np.searchsorted(values, 0, side=side)) for side in ("left", "right"))
        negatives, nonpositive = (below, upto) if counts is None else (counts[:below].sum(), counts[:upto].sum())
        return cls(
            moments=Moments.of(values, counts),
            quantiles=QuantileSketch.of_sorted(values, counts, spec.quantile_k, kind.floats),
            zeros=int(nonpositive - negatives),
            negatives=int(negatives),
        )

    def merge(self, other: NumberSketch) -> NumberSketch:
        """Both together."""
        return NumberSketch(
            self.moments.merge(other.moments),
            self.quantiles.merge(other.quantiles),
            self.zeros + other.zeros,
            self.negatives + other.negatives,
        )


@dataclass(frozen=True, slots=True)
class Sketched:
    """What is kept of a column with too many distinct values to count each."""

    distinct: HyperLogLog
    frequent: FrequentItems
    low: Any
    high: Any
    number: NumberSketch | None = None
    text: TextCounts | None = None

    @classmethod
    def of_table(cls, table: ValueCounts, kind: ColumnType, spec: SummarySpec) -> Sketched:
        """From exact counts."""
        values, numeric = table.values, kind.kind in ("number", "temporal")
        return cls(
            distinct=HyperLogLog.of(hash_values(values)),
            frequent=FrequentItems.exact(table, spec.frequent_values, spec.exact_text_bytes),
            low=values[0],
            high=values[-1],
            number=NumberSketch.of_sorted(_numbers(values), table.counts, kind, spec) if numeric else None,
            text=TextCounts.of(values, table.counts) if kind.kind == "text" else None,
        )

    @classmethod
    def of_sorted(cls, values: Array, kind: ColumnType, spec: SummarySpec) -> Sketched:
        """From ascending numbers, repeats included."""
        heavy, slack = heavy_numbers(values)
        return cls(
            distinct=HyperLogLog.of(hash_values(pl.Series(values))),
            frequent=FrequentItems.heavy(heavy, slack, spec.frequent_values, spec.exact_text_bytes),
            low=values[0].item(),
            high=values[-1].item(),
            number=NumberSketch.of_sorted(values, None, kind, spec) if kind.kind in ("number", "temporal") else None,
        )

    @classmethod
    def of_column(cls, column: BlockColumn, spec: SummarySpec) -> Sketched:
        """From values that NumPy cannot sort, repeats included."""
        values, hashes, kind = column.present, column.present_hashes, column.type
        ordered = np.sort(hashes)
        heavy, slack = heavy_values(values, hashes, ordered)
        laid = None if kind.kind == "number" else column.text_bytes
        low, high = (values.min(), values.max()) if laid is None else laid.extent(values)
        return cls(
            distinct=HyperLogLog.of_sorted(ordered),
            frequent=FrequentItems.heavy(heavy, slack, spec.frequent_values, spec.exact_text_bytes),
            low=low,
            high=high,
            number=None if laid else NumberSketch.of_sorted(np.sort(_numbers(values)), None, kind, spec),
            text=TextCounts.of(values, laid=laid) if laid else None,
        )

    def merge(self, other: Sketched, spec: SummarySpec) -> Sketched:
        """Both together."""
        return Sketched(
            distinct=self.distinct.merge(other.distinct),
            frequent=self.frequent.merge(other.frequent, spec.frequent_values, spec.exact_text_bytes),
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            number=self.number.merge(other.number) if self.number and other.number else None,
            text=self.text.merge(other.text) if self.text and other.text else None,
        )


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """Everything kept of one column.

    While `sketched` is None, `tables` together hold the count of every value. Whether a finished column is exact
    depends on its distinct values alone, not on how its rows were cut: a part with too many makes the whole have too
    many.
    """

    type: ColumnType
    rows: int
    nulls: int
    nan: int = 0
    positive_infinite: int = 0
    negative_infinite: int = 0
    tables: tuple[ValueCounts, ...] = ()
    """Added up only when they have grown, so that merging costs little."""
    sketched: Sketched | None = None

    @classmethod
    def of(cls, column: BlockColumn, spec: SummarySpec) -> ColumnSummary:
        """Summary of one column of a block."""
        empty = cls(column.type, column.rows, column.nulls)
        if not len(column.present):
            return empty
        if column.type.ordered:
            return _of_numbers(empty, column.present.to_numpy(), spec)
        return _of_series(empty, column, spec)

    def merge(self, other: ColumnSummary, spec: SummarySpec) -> ColumnSummary:
        """Both together."""
        both = ColumnSummary(
            self.type,
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.nan + other.nan,
            self.positive_infinite + other.positive_infinite,
            self.negative_infinite + other.negative_infinite,
            self.tables + other.tables,
            _merged(self.sketched, other.sketched, spec),
        )
        large = sum(map(len, both.tables)) > _MAX_PENDING * spec.exact_values
        heavy = sum(table.text_bytes for table in both.tables) > _MAX_PENDING * spec.exact_text_bytes
        return both.settled(spec) if large or heavy else both

    def settled(self, spec: SummarySpec) -> ColumnSummary:
        """The same with either one table and no sketch, or no table."""
        if not self.tables:
            return self
        table = ValueCounts.concat(self.tables)
        if self.sketched is None and _is_small(table, spec):
            return replace(self, tables=(table,))
        return replace(
            self, tables=(), sketched=_merged(self.sketched, Sketched.of_table(table, self.type, spec), spec)
        )

    @property
    def finite(self) -> int:
        """Values that are neither null, NaN nor infinite."""
        return self.rows - self.nulls - self.nan - self.positive_infinite - self.negative_infinite

    def extent(self) -> tuple[int | float, int | float, int | float] | None:
        """Smallest number, one near the middle and largest, in the counted form; None without any.

        For the summary of one block of a number column.
        """
        if self.sketched is not None and self.sketched.number is not None:
            sketch = self.sketched
            if isinstance(sketch.low, (int, float)):
                return sketch.low, self.sketched.number.moments.pivot, sketch.high
            return float(sketch.low), self.sketched.number.moments.pivot, float(sketch.high)
        if not self.tables:
            return None
        values, counts = _numbers(self.tables[0].values), self.tables[0].counts
        reached = np.cumsum(counts)
        middle = values[int(np.searchsorted(reached, reached[-1] // 2, side="right"))]
        return values[0].item(), middle.item(), values[-1].item()


def _of_numbers(summary: ColumnSummary, numbers: Array, spec: SummarySpec) -> ColumnSummary:
    """`summary` with the numbers of a block."""
    if numbers.dtype.kind == "f":
        finite = np.isfinite(numbers)
        if not finite.all():
            summary = replace(
                summary,
                nan=int(np.isnan(numbers).sum()),
                positive_infinite=int(np.isposinf(numbers).sum()),
                negative_infinite=int(np.isneginf(numbers).sum()),
            )
            numbers = numbers[finite]
            if not len(numbers):
                return summary
        # Adding zero turns -0.0 into 0.0.
        numbers = numbers + 0.0
    values, counts = sorted_runs(numbers, spec.exact_values)
    if counts is None:
        return replace(summary, sketched=Sketched.of_sorted(values, summary.type, spec))
    return _of_table(summary, ValueCounts(pl.Series(values), counts), spec)


def _of_series(summary: ColumnSummary, column: BlockColumn, spec: SummarySpec) -> ColumnSummary:
    """`summary` with the values of a block; whether most differ is seen on its first rows before all are counted."""
    values = column.present
    head = distinct_in(column.present_hashes[:_HEAD]) if len(values) > _HEAD else None
    if head is None or len(head) <= spec.exact_values:
        table = None
        if head is not None and len(head) <= _FEW and column.type.kind == "text":
            table = ValueCounts.of_few(values, column.present_hashes, head)
        table = table or ValueCounts.of(values)
        if _is_small(table, spec) or len(table) <= len(values) // 4:
            return _of_table(summary, table, spec)
    return replace(summary, sketched=Sketched.of_column(column, spec))


def _of_table(summary: ColumnSummary, table: ValueCounts, spec: SummarySpec) -> ColumnSummary:
    if _is_small(table, spec):
        return replace(summary, tables=(table,))
    return replace(summary, sketched=Sketched.of_table(table, summary.type, spec))


def _is_small(table: ValueCounts, spec: SummarySpec) -> bool:
    return len(table) <= spec.exact_values and table.text_bytes <= spec.exact_text_bytes


def _merged(a: Sketched | None, b: Sketched | None, spec: SummarySpec) -> Sketched | None:
    return a.merge(b, spec) if a and b else a or b


def _numbers(values: pl.Series) -> Array:
    """Values as NumPy numbers; decimals too wide for int64 as float64."""
    return (values.cast(pl.Float64) if isinstance(values.dtype, pl.Decimal) else values).to_numpy()
