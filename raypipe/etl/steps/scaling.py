"""Numbers brought to a common scale, and put into bins."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.config import Frozen
from raypipe.config.steps import BinSettings, ScaleSettings
from raypipe.etl.steps.cells import ArrowType
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.measure import Measure, Numbers
from raypipe.etl.steps.select import NUMBERS
from raypipe.etl.steps.step import cells_of
from raypipe.stage import ReduceStage

FLOAT = pa.float64()


class ColumnScale(Frozen):
    """scaled = (value - centre) / spread * gain + base."""

    column: str
    type: ArrowType
    """Of the column before."""
    centre: float
    spread: float
    gain: float = 1.0
    base: float = 0.0


class Scale(EditStep):
    """Bring numbers to a common scale, as float64; null and NaN stay."""

    kind: Literal["scale"] = "scale"
    rewrites: ClassVar[bool] = True
    undoes: ClassVar[bool] = True
    method: str
    scales: tuple[ColumnScale, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(scale.column for scale in self.scales)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, FLOAT)

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for scale in self.scales:
            cells = cells_of(block, scale.column).cast(pl.Float64)
            made.columns[scale.column] = (cells - scale.centre) / scale.spread * scale.gain + scale.base
        return made

    def undo(self, table: pa.Table) -> pa.Table:
        for scale in self.scales:
            if scale.column in table.column_names:
                cells = cells_of(table, scale.column).cast(pl.Float64)
                cells = (cells - scale.base) / scale.gain * scale.spread + scale.centre
                table = put_back(table, scale.column, cells, scale.type)
        return table

    def fitted_values(self) -> dict[str, Any]:
        return {scale.column: {"centre": scale.centre, "spread": scale.spread} for scale in self.scales}


def put_back(table: pa.Table, column: str, cells: pl.Series, kind: pa.DataType) -> pa.Table:
    """The table with the floats of a column in its former type; whole numbers and decimals are rounded."""
    if pt.is_integer(kind):
        cells = cells.round(0)
    array = cells.to_arrow()
    if pt.is_decimal(kind):
        array = cells.round(kind.scale).to_arrow().cast(kind, safe=False)
    elif array.type != kind:
        array = array.cast(kind, safe=False)
    index = table.schema.get_field_index(column)
    return table.set_column(index, table.schema.field(index).with_type(kind), array)


class ColumnBins(Frozen):
    """Edges between the bins of one column."""

    column: str
    edges: tuple[float, ...]


class Bin(EditStep):
    """Replace numbers by the number of their bin, from 0; a value on an edge belongs to the bin above it."""

    kind: Literal["bin"] = "bin"
    rewrites: ClassVar[bool] = True
    bins: tuple[ColumnBins, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(one.column for one in self.bins)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, pa.int64())

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for one in self.bins:
            cells = cells_of(block, one.column).cast(pl.Float64).fill_nan(None)
            codes = pl.Series(np.searchsorted(np.array(one.edges), cells.fill_null(0.0).to_numpy(), side="right"))
            made.columns[one.column] = codes.cast(pl.Int64).set(cells.is_null(), None)
        return made

    def fitted_values(self) -> dict[str, Any]:
        return {one.column: {"edges": list(one.edges)} for one in self.bins}


# ---- fitting --------------------------------------------------------------------------------------------------------


def _needs(settings: Any, place: Place) -> tuple[ReduceStage, ...]:
    return (Measure(label=place.label, columns=place.columns),)


def _fit_scale(settings: ScaleSettings, place: Place) -> FittedStep:
    found: dict[str, Numbers] = next(iter(place.results.values()))
    scales: list[ColumnScale] = []
    notes: dict[str, str] = {}
    for name in place.columns:
        scale, note = _scale_of(settings, found[name])
        scales.append(ColumnScale(column=name, type=place.kind(name), **scale))
        if note:
            notes[name] = note
    return Scale(label=place.label, method=settings.method, scales=tuple(scales), notes=notes)


def _scale_of(settings: ScaleSettings, numbers: Numbers) -> tuple[dict[str, float], str | None]:
    """Fields of a `ColumnScale`, and a note; a spread of 0 becomes 1, as scikit-learn does."""
    low, high, mean = numbers.low, numbers.high, numbers.mean
    if low is None or high is None or mean is None:
        return {"centre": 0.0, "spread": 1.0}, "it has no finite value, and stays as it is"
    note = None
    if settings.method == "z_score":
        centre, spread = mean, numbers.deviation or 0.0
    elif settings.method == "min_max":
        centre, spread = low, high - low
    elif settings.method == "max_abs":
        centre, spread = 0.0, max(abs(low), abs(high))
    else:
        centre = numbers.quantile(0.5) or 0.0
        spread = (numbers.quantile(0.75) or 0.0) - (numbers.quantile(0.25) or 0.0)
        note = numbers.note
    if numbers.constant and settings.method != "max_abs":
        spread, note = 0.0, "it is constant"
    if not spread or not math.isfinite(spread):
        why = note if numbers.constant and note else "its spread is 0 or beyond a float"
        spread, note = 1.0, f"{why}, so that it was moved and not stretched"
    scale = {"centre": centre, "spread": spread}
    if settings.method == "min_max":
        scale |= {"gain": settings.high - settings.low, "base": settings.low}
    return scale, note


def _fit_bin(settings: BinSettings, place: Place) -> FittedStep:
    found: dict[str, Numbers] = next(iter(place.results.values()))
    bins: list[ColumnBins] = []
    notes: dict[str, str] = {}
    for name in place.columns:
        numbers = found[name]
        edges = _edges(settings, numbers)
        bins.append(ColumnBins(column=name, edges=edges))
        if len(edges) < settings.bins - 1:
            notes[name] = f"{len(edges) + 1} bins, since it has too few different values for {settings.bins}"
        elif numbers.note and settings.method == "quantile":
            notes[name] = numbers.note
    return Bin(label=place.label, bins=tuple(bins), notes=notes)


def _edges(settings: BinSettings, numbers: Numbers) -> tuple[float, ...]:
    if numbers.low is None or numbers.high is None or numbers.constant:
        return ()
    shares = [number / settings.bins for number in range(1, settings.bins)]
    if settings.method == "width":
        return tuple(dict.fromkeys(numbers.low * (1 - share) + numbers.high * share for share in shares))
    found = dict.fromkeys(value for share in shares if (value := numbers.quantile(share)) is not None)
    return tuple(value for value in found if value > numbers.low)


RECIPES: dict[str, Recipe] = {
    "scale": Recipe(undone=True, learn=_fit_scale, needs=_needs, accepts=lambda settings: NUMBERS, reshapes=True),
    "bin": Recipe(learn=_fit_bin, needs=_needs, accepts=lambda settings: NUMBERS, reshapes=True),
}
FITTED: tuple[type[FittedStep], ...] = (Scale, Bin)
