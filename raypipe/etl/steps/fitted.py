"""What the steps of `processing.steps` are once they are fitted: values that apply to blocks, save, and may go back."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import ConfigDict, Field

from raypipe.blocks.frames import polars_type
from raypipe.etl.aside import Fault, numbered, set_aside
from raypipe.etl.steps.cells import Cell, array_of
from raypipe.etl.steps.step import ASIDE, CELLS, Step, cell_counts, cells_of
from raypipe.results import StepReport
from raypipe.stage import NONE_ASIDE, BlockStage, MapStage, ReduceStage, Sifted, require

ROWS = "rows"
"""The count of rows in which a step changed a cell."""
NULLED = "nulled:"
"""Before the name of a column: values that did not fit and became null."""


class FittedStep(Step, MapStage):
    """A step of the list, fitted: it knows its columns and all that had to be learned from the data."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kind: str
    """Name of the step in the settings, under which `processing.json` holds it."""
    label: str
    notes: Mapping[str, str] = Field(default_factory=dict)
    """Column -> what is to be known about it: why it is left alone, or how a value was estimated."""

    rewrites: ClassVar[bool] = False
    """Whether it writes what is there in another form, as it was told to, so that figures show no cleaning."""
    undoes: ClassVar[bool] = False
    """Whether `undo` brings the values back."""

    @property
    def name(self) -> str:
        return self.label

    @property
    def touched(self) -> tuple[str, ...]:
        """Columns that it changes, adds or drops."""
        return ()

    def needs(self) -> tuple[ReduceStage, ...]:
        """What must see all rows of every table that it is applied to; most steps are fitted once for all."""
        return ()

    def bind(self, results: Mapping[str, Any]) -> Step:
        """The step for the table that `needs` saw."""
        return self

    def training(self) -> Step:
        """The step for the rows that it was fitted on."""
        return self

    def undo(self, table: pa.Table) -> pa.Table:
        """The table before this step, as far as its columns are there."""
        return table

    def fitted_values(self) -> dict[str, Any]:
        """Column -> what was learned, in plain values for the report."""
        return {}

    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        cells, aside, nulled = (cell_counts(counts, prefix) for prefix in (CELLS, ASIDE, NULLED))
        values = self.fitted_values()
        detail: dict[str, Any] = {}
        for name in dict.fromkeys((*self.touched, *values)):
            known = values.get(name)
            entry = dict(known) if isinstance(known, Mapping) else {} if known is None else {"value": known}
            entry |= {"cells": cells[name]} if name in cells else {}
            entry |= {"rows_set_aside": aside[name]} if name in aside else {}
            entry |= {"became_null": nulled[name]} if name in nulled else {}
            if entry:
                detail[name] = entry
        if self.notes:
            detail["notes"] = dict(self.notes)
        return StepReport(
            step=self.label,
            columns=self.touched,
            rows_dropped=rows_dropped,
            rows_touched=counts.get(ROWS, 0),
            cells_changed=sum(cells.values()),
            columns_dropped=self.gone(),
            rewrites=self.rewrites,
            detail=detail,
        )

    def inputs(self) -> tuple[str, ...]:
        """Columns that must be there."""
        return self.touched

    def gone(self) -> tuple[str, ...]:
        """Columns that it drops."""
        return ()


@dataclass
class Edits:
    """What a step makes of a block."""

    columns: dict[str, pl.Series] = field(default_factory=dict)
    """Columns in place of those of the same names, or new ones."""
    aside: dict[str, tuple[pl.Series, str]] = field(default_factory=dict)
    """Column -> which rows hold a value that cannot stay, and why."""
    nulled: dict[str, int] = field(default_factory=dict)
    """Column -> values that did not fit and became null."""
    seen: dict[str, int] = field(default_factory=dict)
    """Column -> values that were found and left."""


class EditStep(FittedStep, BlockStage):
    """A step that changes, adds or drops columns, and keeps rows but for those that it sets aside."""

    @abstractmethod
    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        """Types of the columns that it changes or adds."""

    @abstractmethod
    def edit(self, block: pa.Table) -> Edits:
        """The columns that it changes or adds."""

    @property
    def idle(self) -> bool:
        return not self.touched

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.inputs(), by=self.name)
        for name, kind in self.types(schema).items():
            index = schema.get_field_index(name)
            known = pa.field(name, kind) if index < 0 else schema.field(index).with_type(kind)
            schema = schema.append(known) if index < 0 else schema.set(index, known)
        gone = set(self.gone())
        return pa.schema([one for one in schema if one.name not in gone], metadata=schema.metadata)

    def apply(self, block: pa.Table) -> pa.Table | Sifted:
        return block if self.idle else self.finished(block, self.edit(block))

    def finished(self, block: pa.Table, edits: Edits) -> Sifted:
        """The block with the edits made and counted."""
        counts: Counter[str] = Counter()
        touched = np.zeros(block.num_rows, np.bool_)
        after = block
        for name, kind in self.types(block.schema).items():
            cells = edits.columns.get(name)
            if cells is None:
                continue
            changed = _changed(block, name, cells, kind)
            counts[CELLS + name] = int(changed.sum())
            touched |= changed
            after = _put(after, name, cells, kind)
        gone = [name for name in self.gone() if name in after.column_names]
        after = after.drop_columns(gone) if gone else after
        counts[ROWS] = int(touched.sum())
        counts.update({NULLED + name: count for name, count in edits.nulled.items()})
        counts.update({CELLS + name: count for name, count in edits.seen.items()})
        kept, aside = sift(block, after, edits.aside, counts)
        return Sifted(kept, aside, +counts)


def sift(
    before: pa.Table, after: pa.Table, bad: Mapping[str, tuple[pl.Series, str]], counts: Counter[str]
) -> tuple[pa.Table, pa.Table]:
    """The rows of `after` that are not bad, and the others, as they were, with the first of their reasons."""
    found = {name: rows for name, (rows, _) in bad.items() if rows.any()}
    if not found:
        return after, NONE_ASIDE
    masks = pl.DataFrame([rows.alias(f"b{number}") for number, rows in enumerate(found.values())])
    any_bad = masks.select(pl.any_horizontal(pl.all())).to_series()
    picks = [pl.when(pl.col(name)).then(pl.lit(n, pl.UInt32)) for n, name in enumerate(masks.columns)]
    first = masks.filter(any_bad).select(pl.coalesce(picks).alias("first")).to_series()
    names = list(found)
    for number, rows in first.value_counts(name="rows").iter_rows():
        counts[ASIDE + names[number]] += rows
    faults = [Fault(name, bad[name][1]) for name in names]
    rows = numbered(before).filter(any_bad.to_arrow())
    return after.filter((~any_bad).to_arrow()), set_aside(rows, first, faults)


class RowStep(FittedStep):
    """A step that drops rows, and changes nothing else."""

    drops_rows: ClassVar[bool] = True

    @abstractmethod
    def keeps(self, block: pa.Table, part: str) -> pl.Series:
        """For each row, whether it stays; no nulls."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.inputs(), by=self.name)
        return schema

    def open(self) -> Callable[..., pa.Table]:
        return self.apply if self.needs_part else lambda block: self.apply(block, "")

    def apply(self, block: pa.Table, part: str = "") -> pa.Table:
        """The rows that stay."""
        keeps = self.keeps(block, part)
        return block if keeps.all() else block.filter(keeps.to_arrow())


def _changed(block: pa.Table, name: str, cells: pl.Series, kind: pa.DataType) -> np.ndarray[Any, np.dtype[np.bool_]]:
    index = block.schema.get_field_index(name)
    if index < 0 or block.schema.field(index).type != kind:
        return cells.is_not_null().to_numpy()
    return cells.ne_missing(cells_of(block, name)).to_numpy()


def _put(block: pa.Table, name: str, cells: pl.Series, kind: pa.DataType) -> pa.Table:
    array = cells.rechunk().to_arrow()
    array = array if array.type == kind else array.cast(kind)
    index = block.schema.get_field_index(name)
    if index < 0:
        return block.append_column(pa.field(name, kind), array)
    return block.set_column(index, block.schema.field(index).with_type(kind), array)


def missing(cells: pl.Series) -> pl.Series:
    """Which values are null or NaN."""
    return cells.is_null() | cells.is_nan().fill_null(False) if cells.dtype.is_float() else cells.is_null()


def series_of(cells: Sequence[Cell], kind: pa.DataType) -> pl.Series:
    """Values that JSON held, as a series of the column's type."""
    return pl.Series("", pl.from_arrow(array_of(cells, kind)), polars_type(kind))


def repeated(cell: Cell, kind: pa.DataType, rows: int) -> pl.Series:
    """One value that JSON held, in each of so many rows."""
    return series_of([cell], kind).new_from_index(0, rows)
