"""What rules about figures measure beyond the profile of a column; each keeps the laws of a `ReduceStage`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.column import ColumnSummary
from raypipe.blocks.spec import SummarySpec
from raypipe.blocks.table import summarise
from raypipe.etl.aside import numbered
from raypipe.etl.processing.repeats import FindRepeats, Repeats, RowHashes
from raypipe.etl.rules.cells import Cells, UnfitError
from raypipe.etl.rules.comparing import is_number, time_cell
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.rules.kinds.sets import known_values
from raypipe.etl.rules.rule import Measure
from raypipe.etl.rules.values import Scalar
from raypipe.results import FaultyRow

_SPEC = SummarySpec()
EXAMPLES = 5
MAX_SLOTS = 2_000_000
"""Days or hours between the first and the last that a grid may span: 228 years of hours."""


class RowsSeen(Measure):
    """How many rows there are."""

    def check(self, schema: pa.Schema) -> None:
        if self.where is not None:
            Cells(schema).condition(self.where)

    def partial(self, block: pa.Table, part: str) -> int:
        rows: int = block.num_rows
        return rows

    def merge(self, a: int, b: int) -> int:
        return a + b

    def finish(self, state: int) -> int:
        return state


class SummaryOf(Measure):
    """The whole summary of a column of numbers or times, with ranks of any value."""

    column: str

    def check(self, schema: pa.Schema) -> None:
        cell = Cells(schema)[self.column]
        if not (is_number(cell.kind) or pt.is_null(cell.kind) or pt.is_date(cell.kind) or pt.is_timestamp(cell.kind)):
            raise UnfitError(f"holds {cell.called}, and the rule needs numbers or times")

    def partial(self, block: pa.Table, part: str) -> ColumnSummary:
        (column,) = summarise(block.select([self.column]), _SPEC).columns
        assert isinstance(column, ColumnSummary)
        return column

    def merge(self, a: ColumnSummary, b: ColumnSummary) -> ColumnSummary:
        return a.merge(b, _SPEC)

    def finish(self, state: ColumnSummary) -> ColumnSummary:
        return state.settled(_SPEC)


class RepeatsOf(Measure):
    """Rows whose values in some columns repeat those of an earlier row; rows with a null do not count."""

    columns: tuple[str, ...]

    def check(self, schema: pa.Schema) -> None:
        cells = Cells(schema)
        for name in self.columns:
            _ = cells[name]

    def partial(self, block: pa.Table, part: str) -> RowHashes:
        return self._stage().partial(block, part)

    def merge(self, a: RowHashes, b: RowHashes) -> RowHashes:
        return self._stage().merge(a, b)

    def finish(self, state: RowHashes) -> Repeats:
        return self._stage().finish(state)

    def _stage(self) -> FindRepeats:
        return FindRepeats(columns=self.columns, skip_nulls=True)


@dataclass
class Tally:
    """How often each listed value occurs."""

    counts: npt.NDArray[np.int64]
    others: int = 0
    """Rows with any other value."""


class ValuesSeen(Measure):
    """How often each of some values occurs in a column, and how many rows have another."""

    column: str
    values: tuple[Scalar, ...]

    def check(self, schema: pa.Schema) -> None:
        known_values(Cells(schema)[self.column], self.values)

    def partial(self, block: pa.Table, part: str) -> Tally:
        cells = Cells(block.schema)
        cell = cells[self.column]
        hits = [known_values(cell, (value,)).sum().alias(f"v{n}") for n, value in enumerate(self.values)]
        found = cells.frame(block).lazy().select([*hits, cell.expr.count().alias("n")]).collect().row(0)
        counts = np.array([int(count or 0) for count in found[:-1]], np.int64)
        return Tally(counts, int(found[-1]) - int(counts.sum()))

    def merge(self, a: Tally, b: Tally) -> Tally:
        return Tally(a.counts + b.counts, a.others + b.others)

    def finish(self, state: Tally) -> Tally:
        return state


@dataclass
class Course:
    """How the values of a column went on from row to row."""

    rows: int = 0
    """Rows with a value."""
    first: Any = None
    last: Any = None
    breaks: int = 0
    """Rows whose value is not as it should be after the one before."""
    places: list[FaultyRow] = field(default_factory=list)
    begins: FaultyRow | None = None
    """The first row with a value."""


class SourceOrder(Measure):
    """Whether values only rise, or only fall, in the order of the source; nulls are passed over."""

    column: str
    direction: Literal["increasing", "decreasing"]
    strictly: bool = False

    def check(self, schema: pa.Schema) -> None:
        cell = Cells(schema)[self.column]
        kind = cell.kind
        if not (is_number(kind) or is_text(kind) or pt.is_date(kind) or pt.is_timestamp(kind) or pt.is_null(kind)):
            raise UnfitError(f"holds {cell.called}, which the rule knows no order of")

    def partial(self, block: pa.Table, part: str) -> Course:
        cells = Cells(block.schema)
        cell = cells[self.column]
        frame = cells.frame(block).select(cell.expr.alias("v"))
        rows = numbered(block).column("__row__")
        values = frame.get_column("v")
        known = values.is_not_null()
        if not known.any():
            return Course()
        kept = values.filter(known)
        if kept.dtype == pl.Null:
            return Course()
        places = pl.Series(pl.from_arrow(rows)).filter(known)
        wrong = self._wrong(kept.shift(1), kept).fill_null(False)
        at = wrong.arg_true()
        told = [FaultyRow(part=part, row=places[i], value=_text(kept[i])) for i in at.head(EXAMPLES)]
        begins = FaultyRow(part=part, row=places[0], value=_text(kept[0]))
        return Course(len(kept), kept[0], kept[-1], len(at), told, begins)

    def merge(self, a: Course, b: Course) -> Course:
        if not a.rows or not b.rows:
            return a if a.rows else b
        breaks, places = a.breaks + b.breaks, [*a.places]
        pair = pl.DataFrame({"a": [a.last], "b": [b.first]}, strict=False)
        if b.begins is not None and self._wrong(pair["a"], pair["b"]).fill_null(False)[0]:
            breaks += 1
            places.append(b.begins)
        return Course(a.rows + b.rows, a.first, b.last, breaks, [*places, *b.places][:EXAMPLES], a.begins)

    def finish(self, state: Course) -> Course:
        return state

    def _wrong(self, before: pl.Series, after: pl.Series) -> pl.Series:
        up = self.direction == "increasing"
        wrong = (after < before) if up else (after > before)
        if self.strictly:
            wrong = wrong | (after == before)
        if after.dtype.is_float():
            wrong = (wrong | before.is_nan() | after.is_nan()) & before.is_not_null()
        return wrong


class Slots(Measure):
    """The days or hours in which a column of times has a value."""

    column: str
    every: Literal["day", "hour"]

    def check(self, schema: pa.Schema) -> None:
        time_cell(Cells(schema)[self.column])

    def partial(self, block: pa.Table, part: str) -> npt.NDArray[np.int64]:
        cells = Cells(block.schema)
        cell = cells[self.column]
        time = time_cell(cell)
        if pt.is_timestamp(cell.kind) and cell.kind.tz is not None:
            # Days and hours are those of the column's own zone.
            time = time.dt.replace_time_zone(None, ambiguous="earliest")
        length = 86_400_000_000 if self.every == "day" else 3_600_000_000
        slot = time.cast(pl.Datetime("us")).cast(pl.Int64).floordiv(length)
        found = cells.frame(block).lazy().select(slot.alias("s")).collect().get_column("s")
        return found.drop_nulls().unique().sort().to_numpy().astype(np.int64)

    def merge(self, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.union1d(a, b)

    def finish(self, state: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return state


def _text(value: object) -> str:
    return str(value)[:200]
