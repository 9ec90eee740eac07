"""Columns of one row compared with each other."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, Self

import polars as pl
import pyarrow.types as pt
from pydantic import ConfigDict, Field, NonNegativeFloat, field_validator, model_validator

from raypipe.etl.rules.cells import Cell, Cells, UnfitError
from raypipe.etl.rules.comparing import is_number, not_finite, number_cell
from raypipe.etl.rules.conditions import Condition, named_columns
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.rules.kinds.sets import known_values
from raypipe.etl.rules.rule import RowRule
from raypipe.etl.rules.values import Scalar, plain_scalar
from raypipe.etl.wording import listed, shown


class ColumnsAscend(RowRule):
    """Each column is less than the next one; rows with a null in a pair keep it."""

    GROUP = "across columns"
    EACH = False
    LEAST = 2
    rule: Literal["columns_ascend"] = "columns_ascend"
    or_equal: bool = False

    @property
    def wanted(self) -> str:
        return ("each at most" if self.or_equal else "each less than") + " the next"

    def breaks(self, cells: Cells) -> pl.Expr:
        found = [cells[name] for name in self.columns]
        _require_alike(found)
        pairs = itertools.pairwise(found)
        return pl.any_horizontal(self._pair(a, b).fill_null(False) for a, b in pairs)

    def _pair(self, a: Cell, b: Cell) -> pl.Expr:
        wrong = a.expr > b.expr if self.or_equal else a.expr >= b.expr
        both = a.expr.is_not_null() & b.expr.is_not_null()
        return both & (wrong | _nan(a) | _nan(b))


class ColumnsEqual(RowRule):
    """The columns have the same value; null equals null, and nothing else."""

    GROUP = "across columns"
    EACH = False
    LEAST = 2
    rule: Literal["columns_equal"] = "columns_equal"

    @property
    def wanted(self) -> str:
        return "the same value in each"

    def breaks(self, cells: Cells) -> pl.Expr:
        first, *rest = (cells[name] for name in self.columns)
        _require_alike([first, *rest])
        return pl.any_horizontal(first.expr.ne_missing(other.expr) for other in rest)


class ColumnsDiffer(RowRule):
    """No two of the columns have the same value; nulls do not count."""

    GROUP = "across columns"
    EACH = False
    LEAST = 2
    rule: Literal["columns_differ"] = "columns_differ"

    @property
    def wanted(self) -> str:
        return "different values"

    def breaks(self, cells: Cells) -> pl.Expr:
        found = [cells[name] for name in self.columns]
        _require_alike(found)
        pairs = itertools.combinations(found, 2)
        return pl.any_horizontal((a.expr == b.expr).fill_null(False) for a, b in pairs)


class SumEquals(RowRule):
    """The columns add up to another one, within a tolerance; rows with a null in one of them keep it."""

    GROUP = "across columns"
    EACH = False
    rule: Literal["sum_equals"] = "sum_equals"
    total: str
    """Column with the total."""
    tolerance: NonNegativeFloat = Field(default=1e-9, allow_inf_nan=False)
    """Largest difference allowed, in the unit of the columns."""

    @property
    def wanted(self) -> str:
        return f"a sum equal to {shown(self.total)}, within {self.tolerance:g}"

    def looks_at(self) -> tuple[str, ...]:
        return (self.total, *self.columns)

    def breaks(self, cells: Cells) -> pl.Expr:
        found = [cells[name] for name in self.columns]
        total = cells[self.total]
        parts = [number_cell(cell) for cell in found]
        if all(pt.is_integer(cell.kind) for cell in (*found, total)):
            gap = sum((part.cast(pl.Int128) for part in parts[1:]), parts[0].cast(pl.Int128))
            return (gap - total.expr.cast(pl.Int128)).abs() > self.tolerance
        floats = [part.cast(pl.Float64) for part in parts]
        gap = sum(floats[1:], floats[0]) - number_cell(total).cast(pl.Float64)
        broken = pl.any_horizontal(not_finite(cell) for cell in (*found, total))
        return (gap.abs() > self.tolerance) | broken


class PairsIn(RowRule):
    """The values of the columns together are one of the combinations listed; rows with a null keep it."""

    GROUP = "across columns"
    EACH = False
    LEAST = 2
    rule: Literal["pairs_in"] = "pairs_in"
    values: tuple[tuple[Scalar, ...], ...] = Field(min_length=1)
    """Lists with a value for each column."""

    @field_validator("values", mode="before")
    @classmethod
    def _plain(cls, values: object) -> object:
        if isinstance(values, list | tuple):
            return tuple(tuple(map(plain_scalar, row)) if isinstance(row, list | tuple) else row for row in values)
        return values

    @model_validator(mode="after")
    def _wide_enough(self) -> Self:
        wrong = [row for row in self.values if len(row) != len(self.columns)]
        if wrong:
            raise ValueError(f"values: {listed(wrong[:1])} has not a value for each of {len(self.columns)} columns")
        return self

    @property
    def wanted(self) -> str:
        return f"one of {listed([' + '.join(map(str, row)) for row in self.values])}"

    def breaks(self, cells: Cells) -> pl.Expr:
        found = [cells[name] for name in self.columns]
        allowed = [
            pl.all_horizontal(known_values(cell, (value,)) for cell, value in zip(found, row, strict=True))
            for row in self.values
        ]
        complete = pl.all_horizontal(cell.expr.is_not_null() for cell in found)
        return complete & ~pl.any_horizontal(allowed)


class Implies(RowRule):
    """Where one condition is true, another one is true as well."""

    GROUP = "across columns"
    EACH = False
    LEAST = 0
    rule: Literal["implies"] = "implies"
    condition: Annotated[Condition, Field(alias="if")]
    """SQL condition."""
    then: Condition
    """SQL condition; what is unknown, since a value is null, is not true."""
    model_config = ConfigDict(populate_by_name=True)

    @property
    def wanted(self) -> str:
        return f"{self.then} where {self.condition}"

    def looks_at(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(named_columns(self.then) + named_columns(self.condition)))

    def breaks(self, cells: Cells) -> pl.Expr:
        return cells.condition(self.condition) & ~cells.condition(self.then)


class Sql(RowRule):
    """A condition of your own is true; what is unknown, since a value is null, keeps it."""

    GROUP = "custom"
    EACH = False
    LEAST = 0
    rule: Literal["sql"] = "sql"
    condition: Condition
    """SQL expression over the columns of one row, in the dialect of Polars."""

    @property
    def wanted(self) -> str:
        return self.condition

    def looks_at(self) -> tuple[str, ...]:
        return named_columns(self.condition)

    def breaks(self, cells: Cells) -> pl.Expr:
        return ~cells.condition(self.condition, unknown=True)


def _nan(cell: Cell) -> pl.Expr:
    return cell.expr.is_nan() if pt.is_floating(cell.kind) else pl.lit(False)


def _require_alike(cells: list[Cell]) -> None:
    """Raise unless values of all columns can be compared with those of the first."""
    families = {_family(cell): cell for cell in cells if not pt.is_null(cell.kind)}
    if len(families) > 1:
        a, b = list(families.values())[:2]
        raise UnfitError(f"{shown(a.name)} holds {a.called} and {shown(b.name)} {b.called}, which cannot be compared")


def _family(cell: Cell) -> str:
    kind = cell.kind
    if pt.is_date(kind) or (pt.is_timestamp(kind) and kind.tz is None):
        return "time"
    return "number" if is_number(kind) else "text" if is_text(kind) else str(kind)


RULES = (ColumnsAscend, ColumnsEqual, ColumnsDiffer, SumEquals, PairsIn, Implies, Sql)
