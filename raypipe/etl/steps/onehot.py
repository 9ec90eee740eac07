"""A column of categories as one column of 0 and 1 for each."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.config import Frozen
from raypipe.config.steps import EncodeOneHotSettings
from raypipe.etl.aside import as_text
from raypipe.etl.steps.cells import ArrowType, Cell, array_of
from raypipe.etl.steps.encoding import mapped, typed
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.measure import Categories, CountValues
from raypipe.etl.steps.select import CATEGORIES
from raypipe.etl.steps.step import cells_of
from raypipe.stage import ReduceStage

MOST = 1_000_000
"""Different values up to which the most frequent ones are found."""


class OneHotColumn(Frozen):
    """The columns that stand for one."""

    column: str
    type: ArrowType
    texts: tuple[str, ...]
    """Categories with a column, in their order."""
    cells: tuple[Cell, ...]
    """The same as values of the column's type."""
    into: tuple[str, ...]
    """Their columns."""
    first: str | None = None
    """The category that all zeros stand for, under `drop_first`."""
    first_cell: Cell = None
    other: str | None = None
    """Column of all further categories, where there were some."""


class EncodeOneHot(EditStep):
    """Replace a column by columns of 0 and 1; null is 0 in all of them, and so is a category that was not seen."""

    kind: Literal["encode_one_hot"] = "encode_one_hot"
    undoes: ClassVar[bool] = True
    rewrites: ClassVar[bool] = True
    columns: tuple[OneHotColumn, ...]
    keep_column: bool = False

    @property
    def touched(self) -> tuple[str, ...]:
        made = [name for one in self.columns for name in (*one.into, *((one.other,) if one.other else ()))]
        return (*made, *self.gone())

    def inputs(self) -> tuple[str, ...]:
        return tuple(one.column for one in self.columns)

    def gone(self) -> tuple[str, ...]:
        return () if self.keep_column else self.inputs()

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {name: pa.int8() for name in self.touched if name not in self.gone()}

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for one in self.columns:
            texts = as_text(cells_of(block, one.column))
            known = (*one.texts, *((one.first,) if one.first is not None else ()))
            codes = mapped(texts, known, list(range(len(known))), pl.Int32())
            unseen = texts.is_not_null() & codes.is_null()
            for number, name in enumerate(one.into):
                made.columns[name] = (codes == number).fill_null(False).cast(pl.Int8)
            if one.other is not None:
                made.columns[one.other] = unseen.cast(pl.Int8)
            elif unseen.any() and one.into:
                made.nulled[one.column] = int(unseen.sum())
        return made

    def undo(self, table: pa.Table) -> pa.Table:
        """The column from its parts: null where it was merged with others, or no part is 1."""
        for one in self.columns:
            parts = [name for name in (*one.into, *((one.other,) if one.other else ())) if name in table.column_names]
            if len(parts) < len(one.into) or not one.into:
                continue
            place = np.full(table.num_rows, len(one.cells) + (one.first is None), np.int64)
            for number, name in enumerate(one.into):
                place[cells_of(table, name).cast(pl.Float64).fill_null(0.0).to_numpy() > 0.5] = number
            if one.other is not None and one.other in table.column_names:
                place[cells_of(table, one.other).fill_null(0).to_numpy() > 0] = len(one.cells) + 1
            values = array_of([*one.cells, one.first_cell, None], one.type).take(pa.array(place))
            if one.column not in table.column_names:
                at = table.schema.get_field_index(parts[0])
                table = table.add_column(at, pa.field(one.column, one.type), values)
            table = table.drop_columns(parts)
        return table

    def fitted_values(self) -> dict[str, Any]:
        return {one.column: {"categories": len(one.texts) + (one.first is not None)} for one in self.columns}


def _needs(settings: EncodeOneHotSettings, place: Place) -> tuple[ReduceStage, ...]:
    return (CountValues(label=place.label, columns=place.columns, most=MOST),)


def _fit(settings: EncodeOneHotSettings, place: Place) -> FittedStep:
    found: dict[str, Categories] = next(iter(place.results.values()))
    columns: list[OneHotColumn] = []
    notes: dict[str, str] = {}
    taken: list[str] = []
    for name in place.columns:
        if found[name].table is None:
            raise place.fail(f"column {name!r} has more than {MOST:,} different values; use encode_hash")
        one = _column(settings, name, found[name], place)
        columns.append(one)
        taken += [*one.into, *((one.other,) if one.other else ())]
        if not one.texts:
            notes[name] = "it has no category but the first" if one.first is not None else "every value is missing"
        elif one.other:
            notes[name] = f"the {settings.max_categories} most frequent of {len(found[name].texts):,} have a column"
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        raise place.fail(f"two categories would have the column {twice[0]!r}; map one of them to another word first")
    place.refuse_taken(*taken)
    return EncodeOneHot(label=place.label, columns=tuple(columns), keep_column=settings.keep_column, notes=notes)


def _column(settings: EncodeOneHotSettings, name: str, counts: Categories, place: Place) -> OneHotColumn:
    kind = place.kind(name)
    frequent = {text for text, _ in counts.by_frequency()[: settings.max_categories]}
    kept = [pair for pair in zip(counts.texts, typed(counts, kind), strict=True) if pair[0] in frequent]
    other = f"{name}_other" if len(frequent) < len(counts.texts) else None
    first, first_cell = kept.pop(0) if settings.drop_first and kept else (None, None)
    return OneHotColumn(
        column=name,
        type=kind,
        texts=tuple(text for text, _ in kept),
        cells=tuple(cell for _, cell in kept),
        into=tuple(f"{name}_{text}" for text, _ in kept),
        first=first,
        first_cell=first_cell,
        other=other,
    )


RECIPES: dict[str, Recipe] = {
    "encode_one_hot": Recipe(
        undone=True,
        learn=_fit,
        needs=_needs,
        accepts=lambda settings: CATEGORIES,
        reshapes=True,
        by_data=True,
        touches=lambda settings, place: () if settings.keep_column else place.columns,
    ),
}
FITTED: tuple[type[FittedStep], ...] = (EncodeOneHot,)
