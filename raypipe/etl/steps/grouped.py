"""Gaps filled with the mean, median or most frequent value of the rows that are equal in some columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from raypipe.blocks.counts import own_memory
from raypipe.config import Frozen
from raypipe.etl.aside import as_text
from raypipe.etl.steps.cells import ArrowType, Cell, cell_of
from raypipe.etl.steps.fills import in_type
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep, missing, repeated, series_of
from raypipe.etl.steps.learn import Place
from raypipe.etl.steps.step import cells_of
from raypipe.stage import ReduceStage, require

MAX_PAIRS = 5_000_000
"""Different pairs of group and value that are counted for medians and modes; groups, for means."""
PENDING = 1_000_000


def key_texts(block: pa.Table, by: Sequence[str]) -> list[pl.Series]:
    """The columns `by` as text, under the names k0, k1, …"""
    return [own_memory(as_text(cells_of(block, name))).alias(f"k{number}") for number, name in enumerate(by)]


@dataclass
class GroupTables:
    """Column -> frames with keys and either sum and count, or value and count."""

    frames: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    over: bool = False


class MeasureGroups(ReduceStage):
    """For each group of rows, the sums of some columns, or how often each value occurs, exactly."""

    label: str
    columns: tuple[str, ...]
    by: tuple[str, ...]
    method: Literal["mean", "median", "mode"]

    @property
    def name(self) -> str:
        return f"groups for {self.label}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, *self.by, by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> GroupTables:
        keys = key_texts(block, self.by)
        return GroupTables({name: [self._partial(keys, cells_of(block, name))] for name in self.columns})

    def _partial(self, keys: list[pl.Series], cells: pl.Series) -> pl.DataFrame:
        if self.method != "mode":
            cells = cells.to_physical().cast(pl.Float64)
        if cells.dtype.is_float():
            cells = cells.set(~cells.is_finite().fill_null(True), None) + 0.0
        frame = pl.DataFrame([*keys, cells.alias("value")]).drop_nulls("value")
        return self._added([frame.with_columns(pl.lit(1, pl.Int64).alias("count"))])

    def _added(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        names = [f"k{number}" for number in range(len(self.by))]
        frame = pl.concat(frames)
        if self.method == "mean":
            return frame.group_by(names, maintain_order=True).agg(pl.col("value").sum(), pl.col("count").sum())
        return frame.group_by([*names, "value"], maintain_order=True).agg(pl.col("count").sum())

    def merge(self, a: GroupTables, b: GroupTables) -> GroupTables:
        for name in self.columns:
            a.frames[name] = [*a.frames[name], *b.frames[name]]
            if sum(frame.height for frame in a.frames[name]) > PENDING:
                a.frames[name] = [self._added(a.frames[name])]
                a.over |= a.frames[name][0].height > MAX_PAIRS
        a.over |= b.over
        if a.over:
            a.frames = {name: [frames[0].clear()] for name, frames in a.frames.items()}
        return a

    def finish(self, state: GroupTables) -> dict[str, tuple[pl.DataFrame, Any]] | None:
        """Column -> (keys and fill of each group, fill of all rows); None where there are too many."""
        if state.over:
            return None
        return {name: self._finished(self._added(state.frames[name])) for name in self.columns}

    def _finished(self, table: pl.DataFrame) -> tuple[pl.DataFrame, Any]:
        names = [f"k{number}" for number in range(len(self.by))]
        if not table.height:
            return table.select(*names, pl.col("value").alias("fill")), None
        everything = table.with_columns([pl.lit("").alias(name) for name in names])
        groups = _fills(table, names, self.method)
        return groups.sort(names, nulls_last=True), _fills(everything, names, self.method)["fill"][0]


def _fills(table: pl.DataFrame, names: list[str], method: str) -> pl.DataFrame:
    """Keys and fill of each group of a table of sums or of counts."""
    if method == "mean":
        sums = table.group_by(names).agg(pl.col("value").sum(), pl.col("count").sum())
        return sums.select(*names, (pl.col("value") / pl.col("count")).alias("fill"))
    counts = table.group_by([*names, "value"]).agg(pl.col("count").sum()).sort(*names, "value", nulls_last=True)
    if method == "mode":
        best = counts.sort("count", descending=True, maintain_order=True)
        return best.group_by(names, maintain_order=True).agg(pl.col("value").first().alias("fill"))
    reached = pl.col("count").cum_sum().over(names)
    rows = pl.col("count").sum().over(names)
    counts = counts.with_columns(reached.alias("reached"), rows.alias("rows"))
    low = counts.filter(pl.col("reached") > (pl.col("rows") - 1) // 2).group_by(names, maintain_order=True)
    high = counts.filter(pl.col("reached") > pl.col("rows") // 2).group_by(names, maintain_order=True)
    both = low.agg(pl.col("value").first().alias("a")).join(
        high.agg(pl.col("value").first().alias("b")), on=names, nulls_equal=True
    )
    sum_ = pl.col("a") + pl.col("b")
    middle = pl.when(sum_.is_finite()).then(sum_ / 2).otherwise(pl.col("a") / 2 + pl.col("b") / 2)
    return both.select(*names, middle.alias("fill"))


class ColumnGroups(Frozen):
    """Fills of one column."""

    column: str
    type: ArrowType
    keys: tuple[tuple[str | None, ...], ...]
    """Of each group, as text."""
    values: tuple[Cell, ...]
    """Of each group."""
    otherwise: Cell
    """Of a group that the fitting did not see or that had no value: that of all rows."""


class GroupFills(EditStep):
    """Fill null, and NaN, with the value of the row's group."""

    kind: Literal["fill_missing_by_group"] = "fill_missing_by_group"
    by: tuple[str, ...]
    method: str
    fills: tuple[ColumnGroups, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(fill.column for fill in self.fills)

    def inputs(self) -> tuple[str, ...]:
        return (*self.touched, *self.by)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {fill.column: schema.field(fill.column).type for fill in self.fills}

    def edit(self, block: pa.Table) -> Edits:
        keys = pl.DataFrame(key_texts(block, self.by))
        made = Edits()
        for fill in self.fills:
            cells = cells_of(block, fill.column)
            gaps = missing(cells)
            if not gaps.any():
                continue
            found = keys.join(self._table(fill), on=keys.columns, how="left", nulls_equal=True, maintain_order="left")
            fills = found["fill"].alias("")
            fills = fills.zip_with(fills.is_not_null(), repeated(fill.otherwise, fill.type, len(cells)))
            made.columns[fill.column] = fills.zip_with(gaps, cells)
        return made

    def _table(self, fill: ColumnGroups) -> pl.DataFrame:
        columns = [
            pl.Series(f"k{number}", [key[number] for key in fill.keys], pl.String) for number in range(len(self.by))
        ]
        return pl.DataFrame([*columns, series_of(fill.values, fill.type).alias("fill")])

    def fitted_values(self) -> dict[str, Any]:
        return {fill.column: {"groups": len(fill.keys), "method": self.method} for fill in self.fills}


def group_needs(method: str, by: Sequence[str], place: Place) -> tuple[ReduceStage, ...]:
    """What fills by group must see."""
    for name in by:
        if name in place.columns:
            raise place.fail(f"column {name!r} stands in `columns` and in `by`; a group has one value of it")
    return (MeasureGroups.model_validate(
        {"label": place.label, "columns": place.columns, "by": tuple(by), "method": method}
    ),)  # fmt: skip


def fit_group_fill(method: str, by: Sequence[str], place: Place) -> FittedStep:
    """Fill with the value of each group."""
    found: dict[str, tuple[pl.DataFrame, Any]] | None = next(iter(place.results.values()))
    if found is None:
        raise place.fail(f"there are more than {MAX_PAIRS:,} groups or values in groups; group by fewer columns")
    fills: list[ColumnGroups] = []
    notes: dict[str, str] = {}
    for name in place.columns:
        table, overall = found[name]
        if overall is None:
            notes[name] = "every value is missing, so that there is nothing to take a value from"
            continue
        cells = _cells(table["fill"], place.kind(name), method)
        otherwise = _cells(pl.Series([overall], dtype=table["fill"].dtype), place.kind(name), method)[0]
        keys = table.drop("fill").rows()
        fills.append(
            ColumnGroups(column=name, type=place.kind(name), keys=tuple(keys), values=cells, otherwise=otherwise)
        )
    return GroupFills(label=place.label, by=tuple(by), method=method, fills=tuple(fills), notes=notes)


def _cells(fills: pl.Series, kind: pa.DataType, method: str) -> tuple[Cell, ...]:
    """The fills in the type of the column."""
    if method == "mode":
        return tuple(cell_of(value, kind) for value in fills.to_arrow().cast(kind))
    unit = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}.get(getattr(kind, "unit", ""), 1.0)
    if pa.types.is_date(kind):
        unit = 1 / 86400
    return tuple(cell_of(in_type(value / unit, kind, method)[0], kind) for value in fills)
