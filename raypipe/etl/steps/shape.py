"""Steps on the columns themselves: names, choice, types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.frames import ROW, polars_type
from raypipe.config.steps import (
    CastSettings,
    DowncastSettings,
    DropColumnsSettings,
    Misfit,
    RenameSettings,
    SelectColumnsSettings,
)
from raypipe.etl.aside import as_text
from raypipe.etl.rules.dtypes import INTEGERS, canonical_dtype, integer_range, is_text
from raypipe.etl.steps.cells import ArrowType
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep, missing
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.select import NUMBERS
from raypipe.etl.steps.step import cells_of
from raypipe.stage import BlockStage, ReduceStage, require

TYPES: dict[str, pa.DataType] = {
    **{name: getattr(pa, name)() for name in INTEGERS},
    "integer": pa.int64(), "float32": pa.float32(), "float64": pa.float64(), "number": pa.float64(),
    "boolean": pa.bool_(), "text": pa.large_string(), "category": pa.large_string(), "date": pa.date32(),
    "datetime": pa.timestamp("us"), "time": pa.time64("ns"), "duration": pa.duration("us"),
}  # fmt: skip
WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False, "t": True, "f": False,
         "y": True, "n": False}  # fmt: skip
"""What text may say for true and false, in lower case."""


class ArrangeColumns(FittedStep, BlockStage):
    """Keep some columns, in order, under their names or others."""

    kind: Literal["arrange"] = "arrange"
    rewrites: ClassVar[bool] = True
    undoes: ClassVar[bool] = True
    columns: tuple[tuple[str, str], ...]
    """(name, new name) of each that stays."""
    dropped: tuple[str, ...] = ()

    @property
    def touched(self) -> tuple[str, ...]:
        return (*(new for old, new in self.columns if old != new), *self.dropped)

    def gone(self) -> tuple[str, ...]:
        return self.dropped

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *(old for old, _ in self.columns), *self.dropped, by=self.name)
        return pa.schema([schema.field(old).with_name(new) for old, new in self.columns], metadata=schema.metadata)

    def apply(self, block: pa.Table) -> pa.Table:
        hidden = [(ROW, ROW)] if ROW in block.column_names else []
        pairs = [*self.columns, *hidden]
        return block.select([old for old, _ in pairs]).rename_columns([new for _, new in pairs])

    def undo(self, table: pa.Table) -> pa.Table:
        back = {new: old for old, new in self.columns}
        return table.rename_columns([back.get(name, name) for name in table.column_names])

    def fitted_values(self) -> dict[str, Any]:
        return {new: {"was": old} for old, new in self.columns if old != new}


class Cast(EditStep):
    """Give columns another type; what does not fit goes aside with its row, or becomes null."""

    kind: Literal["cast"] = "cast"
    rewrites: ClassVar[bool] = True
    columns: tuple[tuple[str, ArrowType], ...]
    """(column, its type before)."""
    to: ArrowType
    on_misfit: Misfit

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.columns)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, self.to)

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for name in self.touched:
            cells = cells_of(block, name)
            values = cast_cells(cells, self.to)
            bad = ~missing(cells) & values.is_null()
            if bad.any() and self.on_misfit == "quarantine":
                made.aside[name] = bad, f"is no value of type {self.to}"
            elif bad.any():
                made.nulled[name] = int(bad.sum())
            made.columns[name] = values
        return made


def cast_cells(cells: pl.Series, kind: pa.DataType) -> pl.Series:
    """The values in another type; null where one has no exact place in it (a float may lose digits to float32)."""
    target = polars_type(kind)
    if is_text(kind):
        return as_text(cells)
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars()
    if pt.is_boolean(kind) and cells.dtype == pl.String:
        return cells.str.to_lowercase().replace_strict(
            list(WORDS), list(WORDS.values()), default=None, return_dtype=pl.Boolean
        )
    if pt.is_integer(kind):
        return _whole(cells, target)
    if pt.is_boolean(kind):
        return cells.cast(pl.Boolean).set(~cells.is_in([0, 1]).fill_null(True), None)
    if kind == pa.date32() and isinstance(cells.dtype, pl.Datetime):
        return cells.dt.date()
    return cells.cast(target, strict=False)


def _whole(cells: pl.Series, target: pl.DataType) -> pl.Series:
    """Whole numbers; text such as `12.0` is one, 12.5 is none."""
    if cells.dtype == pl.String:
        direct = cells.cast(target, strict=False)
        floats = cells.cast(pl.Float64, strict=False)
        return direct.zip_with(direct.is_not_null(), _whole(floats, target))
    if cells.dtype.is_float() or cells.dtype.is_decimal():
        cells = cells.set((cells != cells.floor()).fill_null(False), None)
    return cells.cast(target, strict=False)


class Downcast(EditStep):
    """Give number columns the narrowest type that held every value; one that does not fit it later goes aside."""

    kind: Literal["downcast"] = "downcast"
    rewrites: ClassVar[bool] = True
    columns: tuple[tuple[str, ArrowType], ...]
    """(column, its type afterwards)."""

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.columns)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict(self.columns)

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for name, kind in self.columns:
            cells = cells_of(block, name)
            values = cells.cast(polars_type(kind), strict=False)
            if not cells.dtype.is_float():
                bad = cells.is_not_null() & values.is_null()
                made.aside[name] = bad, f"does not fit {kind}, which held every value when it was fitted"
            made.columns[name] = values
        return made

    def fitted_values(self) -> dict[str, Any]:
        return {name: {"type": str(kind)} for name, kind in self.columns}


class FindWidths(ReduceStage):
    """Smallest and largest whole number of each column, and whether float32 holds every float."""

    label: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"widths for {self.label}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> dict[str, tuple[Any, Any, bool]]:
        found: dict[str, tuple[Any, Any, bool]] = {}
        for name in self.columns:
            cells = cells_of(block, name)
            if cells.dtype.is_float():
                found[name] = (
                    None,
                    None,
                    bool(cells.cast(pl.Float32).cast(pl.Float64).eq_missing(cells.cast(pl.Float64)).all()),
                )
            elif cells.dtype.is_integer():
                found[name] = cells.min(), cells.max(), True
            else:
                found[name] = None, None, False
        return found

    def merge(self, a: dict[str, tuple[Any, Any, bool]], b: dict[str, tuple[Any, Any, bool]]) -> Any:
        merged = {}
        for name, (low, high, fits) in a.items():
            lows = [one for one in (low, b[name][0]) if one is not None]
            highs = [one for one in (high, b[name][1]) if one is not None]
            merged[name] = min(lows, default=None), max(highs, default=None), fits and b[name][2]
        return merged

    def finish(self, state: dict[str, tuple[Any, Any, bool]]) -> dict[str, tuple[Any, Any, bool]]:
        return state


# ---- fitting --------------------------------------------------------------------------------------------------------


def _fit_rename(settings: RenameSettings, place: Place) -> FittedStep:
    require(place.schema, *settings.names, by=f"step {place.label}")
    pairs = tuple((name, settings.names.get(name, name)) for name in place.schema.names)
    _check_pairs(pairs, place)
    return ArrangeColumns(label=place.label, columns=pairs)


def _check_pairs(pairs: tuple[tuple[str, str], ...], place: Place) -> None:
    new = [name for _, name in pairs]
    twice = sorted({name for name in new if new.count(name) > 1 or name == ROW})
    if twice:
        raise place.fail(f"two columns would have the name {twice[0]!r}; give them different ones")
    lost = [old for old, now in pairs if old in place.kept and old != now]
    if lost:
        raise place.fail(f"column {lost[0]!r} is the target or the time column, and keeps its name for the analysis")


def _fit_drop(settings: DropColumnsSettings, place: Place) -> FittedStep:
    named = [name for name in place.columns if name in place.kept]
    if named:
        raise place.fail(f"column {named[0]!r} is the target or the time column, and cannot be dropped")
    return _kept_only(tuple(name for name in place.schema.names if name not in place.columns), place)


def _fit_select(settings: SelectColumnsSettings, place: Place) -> FittedStep:
    kept = tuple(name for name in place.kept if name in place.schema.names and name not in place.columns)
    return _kept_only((*place.columns, *kept), place)


def _kept_only(names: tuple[str, ...], place: Place) -> FittedStep:
    if not names:
        raise place.fail("no column would be left")
    dropped = tuple(name for name in place.schema.names if name not in names)
    return ArrangeColumns(label=place.label, columns=tuple((name, name) for name in names), dropped=dropped)


def _fit_cast(settings: CastSettings, place: Place) -> FittedStep:
    try:
        name = canonical_dtype(settings.to)
    except ValueError as error:
        raise place.fail(str(error)) from None
    if name not in TYPES:
        raise place.fail(f"{name} is no type that a column can be cast to; there are: {', '.join(TYPES)}")
    to = TYPES[name]
    for column in place.columns:
        try:
            cast_cells(pl.Series("", [], polars_type(place.kind(column))), to)
        except pl.exceptions.PolarsError as error:
            said = " ".join(str(error).split())[:120]
            raise place.fail(f"column {column!r} of {place.kind(column)} cannot become {name}: {said}") from None
    columns = tuple((column, place.kind(column)) for column in place.columns if place.kind(column) != to)
    return Cast(label=place.label, columns=columns, to=to, on_misfit=settings.on_misfit)


def _downcast_needs(settings: DowncastSettings, place: Place) -> tuple[ReduceStage, ...]:
    return (FindWidths(label=place.label, columns=place.columns),)


def _fit_downcast(settings: DowncastSettings, place: Place) -> FittedStep:
    found: Mapping[str, tuple[Any, Any, bool]] = next(iter(place.results.values()))
    columns = []
    for name in place.columns:
        narrow = _narrowest(place.kind(name), *found[name])
        if narrow != place.kind(name):
            columns.append((name, narrow))
    return Downcast(label=place.label, columns=tuple(columns))


def _narrowest(kind: pa.DataType, low: Any, high: Any, fits: bool) -> pa.DataType:
    if pt.is_floating(kind):
        return pa.float32() if fits and kind == pa.float64() else kind
    if not pt.is_integer(kind) or low is None:
        return kind
    for name in ("int8", "int16", "int32", "int64"):
        least, most = integer_range(name)
        if least <= low and high <= most and TYPES[name].bit_width < kind.bit_width:
            return TYPES[name]
    return kind


RECIPES: dict[str, Recipe] = {
    "rename_columns": Recipe(
        undone=True, learn=_fit_rename, reshapes=True, touches=lambda settings, place: tuple(settings.names)
    ),
    "drop_columns": Recipe(learn=_fit_drop, reshapes=True),
    "select_columns": Recipe(learn=_fit_select, reshapes=True, touches=lambda settings, place: place.schema.names),
    "cast": Recipe(learn=_fit_cast, reshapes=True, drops_rows=lambda settings: settings.on_misfit == "quarantine"),
    "downcast": Recipe(
        learn=_fit_downcast, needs=_downcast_needs, accepts=lambda settings: NUMBERS, reshapes=True, by_data=True
    ),
}
FITTED: tuple[type[FittedStep], ...] = (ArrangeColumns, Cast, Downcast)
