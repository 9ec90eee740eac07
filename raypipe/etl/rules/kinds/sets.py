"""Sets of values, row by row."""

from __future__ import annotations

from typing import Literal

import polars as pl
import pyarrow.types as pt
from pydantic import Field, field_validator

from raypipe.etl.rules.cells import Cell, Cells, UnfitError
from raypipe.etl.rules.comparing import keeps_values
from raypipe.etl.rules.rule import RowRule
from raypipe.etl.rules.values import Scalar, plain_scalar
from raypipe.etl.wording import listed


def plain_values(values: object) -> object:
    """Values of a list as they stand in a file."""
    if isinstance(values, list | tuple | set | frozenset):
        return tuple(plain_scalar(value) for value in values)
    return values


class _Listed(RowRule):
    """Values compared with a list."""

    GROUP = "sets"
    values: tuple[Scalar, ...] = Field(min_length=1)

    @field_validator("values", mode="before")
    @classmethod
    def _plain(cls, values: object) -> object:
        return plain_values(values)


class InSet(_Listed):
    """Values are among those listed."""

    rule: Literal["in_set"] = "in_set"

    @property
    def wanted(self) -> str:
        return f"one of {listed(self.values)}"

    def breaks(self, cells: Cells) -> pl.Expr:
        return ~known_values(cells[self.columns[0]], self.values)


class NotInSet(_Listed):
    """Values are none of those listed."""

    rule: Literal["not_in_set"] = "not_in_set"

    @property
    def wanted(self) -> str:
        return f"none of {listed(self.values)}"

    def breaks(self, cells: Cells) -> pl.Expr:
        return known_values(cells[self.columns[0]], self.values)


def known_values(cell: Cell, values: tuple[Scalar, ...]) -> pl.Expr:
    """Whether the cell is one of the values, null for null; UnfitError if the column cannot hold one."""
    if pt.is_null(cell.kind):
        return cell.expr.cast(pl.Boolean)
    try:
        return keeps_values(cell.expr, cell.kind, values)
    except ValueError as error:
        raise UnfitError(str(error)) from None


RULES = (InSet, NotInSet)
