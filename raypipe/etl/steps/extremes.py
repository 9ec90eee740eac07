"""Values far from the others: found by a fence that is fitted over all rows, and acted on."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.chance import MAD_TO_STD
from raypipe.config import Frozen
from raypipe.config.steps import OutlierSettings
from raypipe.etl.steps.cells import ArrowType, Cell, cell_of, scalar_of
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep, RowStep, repeated
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.measure import Measure, Numbers
from raypipe.etl.steps.outliers import Fence, fence_in_type
from raypipe.etl.steps.select import NUMBERS
from raypipe.etl.steps.step import cells_of
from raypipe.stage import ReduceStage

FACTORS = {"iqr": 1.5, "zscore": 3.0, "mad": 3.5}
"""By method, how far a value may lie from the middle (mad: Iglewicz and Hoaglin 1993)."""


class ColumnFence(Frozen):
    """Where the values of one column end."""

    column: str
    type: ArrowType
    low: Cell
    high: Cell

    def outside(self, cells: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Which values lie below, and which above; null and NaN do neither."""
        low, high = (scalar_of(end, self.type).as_py() for end in (self.low, self.high))
        below, above = (cells < low).fill_null(False), (cells > high).fill_null(False)
        if cells.dtype.is_float():  # Polars counts NaN as larger than every number
            above = above & ~cells.is_nan().fill_null(False)
        return below, above


def _described(fences: tuple[ColumnFence, ...]) -> dict[str, Any]:
    def plain(cell: Cell) -> Any:
        return float(Decimal(cell)) if isinstance(cell, str) else cell

    return {fence.column: {"low": plain(fence.low), "high": plain(fence.high)} for fence in fences}


class ActOnOutliers(EditStep):
    """Bring values outside their fence back to it, or take them away, or set their rows aside, or count them."""

    kind: Literal["outliers"] = "outliers"
    action: Literal["cap", "null", "quarantine", "none"]
    fences: tuple[ColumnFence, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(fence.column for fence in self.fences)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {fence.column: schema.field(fence.column).type for fence in self.fences}

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for fence in self.fences:
            cells = cells_of(block, fence.column)
            below, above = fence.outside(cells)
            if not (below | above).any():
                continue
            if self.action == "quarantine":
                made.aside[fence.column] = below | above, "is an outlier"
            elif self.action == "none":
                made.seen[fence.column] = int((below | above).sum())
            elif self.action == "null":
                made.columns[fence.column] = cells.set(below | above, None)
            else:
                ends = [repeated(end, fence.type, len(cells)) for end in (fence.low, fence.high)]
                made.columns[fence.column] = ends[0].zip_with(below, ends[1].zip_with(above, cells))
        return made

    def fitted_values(self) -> dict[str, Any]:
        return _described(self.fences)


class DropOutliers(RowStep):
    """Drop rows with a value outside its column's fence."""

    kind: Literal["drop_outliers"] = "drop_outliers"
    fences: tuple[ColumnFence, ...]

    @property
    def idle(self) -> bool:
        return not self.fences

    def inputs(self) -> tuple[str, ...]:
        return tuple(fence.column for fence in self.fences)

    def keeps(self, block: pa.Table, part: str) -> pl.Series:
        far = pl.repeat(False, block.num_rows, eager=True)
        for fence in self.fences:
            below, above = fence.outside(cells_of(block, fence.column))
            far = far | below | above
        return ~far

    def fitted_values(self) -> dict[str, Any]:
        return _described(self.fences)


# ---- fitting --------------------------------------------------------------------------------------------------------


def _needs(settings: OutlierSettings, place: Place) -> tuple[ReduceStage, ...]:
    return (Measure(label=place.label, columns=place.columns),)


def _fit(settings: OutlierSettings, place: Place) -> FittedStep:
    found: dict[str, Numbers] = next(iter(place.results.values()))
    fences: list[ColumnFence] = []
    notes: dict[str, str] = {}
    for name in place.columns:
        numbers, kind = found[name], place.kind(name)
        ends = _ends(settings, numbers)
        if isinstance(ends, str):
            notes[name] = ends
            continue
        fence = fence_in_type(Fence(column=name, low=ends[0], high=ends[1]), kind)
        if fence.low > fence.high:
            notes[name] = "no value of its type lies within the fence"
            continue
        low, high = (cell_of(_typed(end, kind), kind) for end in (fence.low, fence.high))
        fences.append(ColumnFence(column=name, type=kind, low=low, high=high))
        if numbers.note and settings.method != "zscore":
            notes[name] = numbers.note
    if settings.action == "drop":
        return DropOutliers(label=place.label, fences=tuple(fences), notes=notes)
    return ActOnOutliers(label=place.label, fences=tuple(fences), notes=notes, action=settings.action)


def _ends(settings: OutlierSettings, numbers: Numbers) -> tuple[float, float] | str:
    """Where the fence stands, or why there is none."""
    if numbers.low is None or numbers.mean is None:
        return "it has no finite value"
    if numbers.constant:
        return "it is constant"
    if settings.method == "percentile":
        low, high = numbers.quantile(settings.low), numbers.quantile(settings.high)
    else:
        middle, spread = _middle(settings.method, numbers)
        reach = (settings.factor or FACTORS[settings.method]) * spread
        if not reach:
            return "more than half of its values are one, so that its quartiles are no measure of spread"
        q = numbers.quantile
        low, high = (q(0.25), q(0.75)) if settings.method == "iqr" else (middle, middle)
        low, high = (None if end is None else end + way * reach for end, way in ((low, -1), (high, 1)))
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "its values are too far apart for a float"
    return low, high


def _middle(method: str, numbers: Numbers) -> tuple[float, float]:
    if method == "zscore":
        return numbers.mean or 0.0, numbers.std or 0.0
    if method == "mad":
        return numbers.quantile(0.5) or 0.0, MAD_TO_STD * (numbers.mad() or 0.0)
    return 0.0, (numbers.quantile(0.75) or 0.0) - (numbers.quantile(0.25) or 0.0)


def _typed(end: Any, kind: pa.DataType) -> Any:
    return float(end) if pt.is_floating(kind) else end


RECIPES: dict[str, Recipe] = {
    "outliers": Recipe(
        learn=_fit,
        needs=_needs,
        accepts=lambda settings: NUMBERS,
        drops_rows=lambda settings: settings.action in ("drop", "quarantine"),
    ),
}
FITTED: tuple[type[FittedStep], ...] = (ActOnOutliers, DropOutliers)
