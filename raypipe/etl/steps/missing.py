"""Steps on missing values: rows dropped, gaps flagged, gaps filled with one value a column or a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.config import Frozen
from raypipe.config.steps import DropMissingSettings, FillMissingSettings, FlagMissingSettings
from raypipe.etl.rules.values import fit_value, fit_word
from raypipe.etl.steps.cells import ArrowType, Cell, cell_of, scalar_of
from raypipe.etl.steps.fills import in_type
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep, RowStep, missing, repeated
from raypipe.etl.steps.grouped import GroupFills, fit_group_fill, group_needs
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.measure import Categories, CountValues, Measure, Numbers
from raypipe.etl.steps.neighbours import FillFromNeighbours, fit_neighbours
from raypipe.etl.steps.select import ANY, Accepts, check_type, is_date, is_number
from raypipe.etl.steps.step import cells_of
from raypipe.stage import ReduceStage

MODE_VALUES = 100_000
"""Different values up to which the most frequent one is found."""
MEASURABLE = Accepts(
    lambda kind: is_number(kind) or is_date(kind), "numbers or dates", "method mode and constant take other types"
)


class DropMissing(RowStep):
    """Drop rows that have fewer values in some columns than they must have."""

    kind: Literal["drop_missing"] = "drop_missing"
    columns: tuple[str, ...]
    min_present: int
    nan_is_missing: bool = True

    def inputs(self) -> tuple[str, ...]:
        return self.columns

    def keeps(self, block: pa.Table, part: str) -> pl.Series:
        present = pl.zeros(block.num_rows, pl.Int32, eager=True)
        for name in self.columns:
            cells = cells_of(block, name)
            present = present + (~(missing(cells) if self.nan_is_missing else cells.is_null())).cast(pl.Int32)
        return present >= self.min_present

    def fitted_values(self) -> dict[str, Any]:
        return {"columns looked at": len(self.columns), "values that a row must have": self.min_present}


class FlagMissing(EditStep):
    """Add `<column>_missing`, true where the value is null or NaN."""

    kind: Literal["flag_missing"] = "flag_missing"
    rewrites: ClassVar[bool] = True
    columns: tuple[str, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(f"{name}_missing" for name in self.columns)

    def inputs(self) -> tuple[str, ...]:
        return self.columns

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, pa.bool_())

    def edit(self, block: pa.Table) -> Edits:
        return Edits({f"{name}_missing": missing(cells_of(block, name)) for name in self.columns})


class ColumnFill(Frozen):
    """What the missing values of one column become."""

    column: str
    type: ArrowType
    value: Cell
    method: str


class FillValues(EditStep):
    """Fill null, and NaN, with one value a column."""

    kind: Literal["fill_missing"] = "fill_missing"
    fills: tuple[ColumnFill, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(fill.column for fill in self.fills)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {fill.column: schema.field(fill.column).type for fill in self.fills}

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for fill in self.fills:
            cells = cells_of(block, fill.column)
            gaps = missing(cells)
            if gaps.any():
                made.columns[fill.column] = repeated(fill.value, fill.type, len(cells)).zip_with(gaps, cells)
        return made

    def fitted_values(self) -> dict[str, Any]:
        return {
            fill.column: {"fill": _plain(scalar_of(fill.value, fill.type).as_py()), "method": fill.method}
            for fill in self.fills
        }


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)


# ---- fitting --------------------------------------------------------------------------------------------------------


def _fit_drop(settings: DropMissingSettings, place: Place) -> FittedStep:
    wanted = settings.min_present
    if wanted is None:
        wanted = len(place.columns) if settings.how == "any" else min(1, len(place.columns))
    if wanted > len(place.columns):
        raise place.fail(f"min_present is {wanted}, and it looks at {len(place.columns)} columns; take fewer")
    return DropMissing(label=place.label, columns=place.columns, min_present=wanted)


def _fit_flag(settings: FlagMissingSettings, place: Place) -> FittedStep:
    step = FlagMissing(label=place.label, columns=place.columns)
    place.refuse_taken(*step.touched)
    return step


def _fill_accepts(settings: FillMissingSettings) -> Accepts:
    return MEASURABLE if settings.method in ("mean", "median", "interpolate") else ANY


def _fill_reads(settings: FillMissingSettings, place: Place) -> tuple[str, ...]:
    return (*settings.by, *((settings.along,) if settings.along else ()))


def _fill_needs(settings: FillMissingSettings, place: Place) -> tuple[ReduceStage, ...]:
    if settings.along is not None:
        check_type(place.schema, settings.along, MEASURABLE, f"step {place.label}")
    if settings.method not in ("mean", "median", "mode"):
        return ()
    if settings.by:
        return group_needs(settings.method, settings.by, place)
    if settings.method == "mode":
        return (CountValues(label=place.label, columns=place.columns, most=MODE_VALUES),)
    return (Measure(label=place.label, columns=place.columns),)


def _fit_fill(settings: FillMissingSettings, place: Place) -> FittedStep:
    if settings.method in ("forward", "backward", "interpolate"):
        return fit_neighbours(settings, place)
    if settings.by:
        return fit_group_fill(settings.method, settings.by, place)
    fills: list[ColumnFill] = []
    notes: dict[str, str] = {}
    found: Mapping[str, Any] = next(iter(place.results.values()), {})
    for name in place.columns:
        kind = place.kind(name)
        if settings.method == "constant":
            value, note = _constant(settings.value, kind, name, place), None
        elif pt.is_null(kind):
            value, note = None, "every value is null, so that there is nothing to take a value from"
        elif settings.method == "mode":
            value, note = mode_of(found[name])
        else:
            value, note = _measured(settings.method, found[name], kind)
        if note:
            notes[name] = note
        if value is not None:
            fills.append(ColumnFill(column=name, type=kind, value=cell_of(value, kind), method=settings.method))
    return FillValues(label=place.label, fills=tuple(fills), notes=notes)


def _constant(value: Any, kind: pa.DataType, column: str, place: Place) -> Any:
    if pt.is_null(kind):
        raise place.fail(f"column {column!r} is empty and has no type; give it one with the step cast first")
    try:
        return fit_word(value, kind) if isinstance(value, str) else fit_value(value, kind)
    except ValueError as error:
        raise place.fail(f"column {column!r}: {error}") from None


def _measured(method: str, numbers: Numbers, kind: pa.DataType) -> tuple[Any, str | None]:
    """The mean or median in the type of the column, and a note."""
    number = numbers.mean if method == "mean" else numbers.quantile(0.5)
    if number is None:
        return None, "it has no finite value, so that there is nothing to take a value from"
    value, note = in_type(number, kind, method)
    estimate = numbers.note if method == "median" else None
    return value, "; ".join(text for text in (note, estimate) if text) or None


def mode_of(counts: Categories) -> tuple[Any, str | None]:
    """The most frequent value, the first in order of several, and a note."""
    table = counts.table
    if table is None:
        return None, f"it has more than {counts.most:,} different values, so that none stands for it"
    if not table.height:
        return None, "every value is missing, so that there is nothing to take a value from"
    best = table["count"].arg_max()
    assert best is not None
    if table["count"][best] == 1 and table.height > 1:
        return None, "no value occurs twice, so that none is the most frequent"
    return table["value"].slice(best, 1).to_arrow()[0], None


RECIPES: dict[str, Recipe] = {
    "drop_missing": Recipe(learn=_fit_drop, drops_rows=lambda settings: True),
    "fill_missing": Recipe(learn=_fit_fill, needs=_fill_needs, accepts=_fill_accepts, reads=_fill_reads),
    "flag_missing": Recipe(learn=_fit_flag, reshapes=True, touches=lambda settings, place: ()),
}
FITTED: tuple[type[FittedStep], ...] = (DropMissing, FlagMissing, FillValues, GroupFills, FillFromNeighbours)
