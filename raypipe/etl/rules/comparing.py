"""Cells compared with values that a user wrote: exact for every type of column."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.frames import polars_type
from raypipe.etl.rules.cells import Cell, UnfitError
from raypipe.etl.rules.dtypes import NUMBERS, dtype_of, integer_range, is_text
from raypipe.etl.rules.values import Scalar, fit_bound, fit_value

Comparison = Literal["<", "<=", ">", ">="]


def keeps_bound(cell: pl.Expr, kind: pa.DataType, comparison: Comparison, bound: Scalar) -> pl.Expr:
    """Whether the cell compares so with the bound: false for NaN, null for null.

    Raises
    ------
    ValueError
        If a column of this type cannot be compared with it.
    """
    fitted = fit_bound(bound, kind)
    if pt.is_integer(kind):
        return _whole(cell, kind, comparison, fitted)  # type: ignore[arg-type]  # fit_bound gives a number here
    if pt.is_date(kind) and isinstance(fitted, dt.datetime):
        cell = cell.cast(pl.Datetime("us"))
    if pt.is_timestamp(kind) and kind.tz is not None:
        cell = cell.dt.convert_time_zone("UTC")
    found = _compared(cell, comparison, pl.lit(fitted))
    return found & ~cell.is_nan() if pt.is_floating(kind) else found


def keeps_values(cell: pl.Expr, kind: pa.DataType, values: Sequence[Scalar]) -> pl.Expr:
    """Whether the cell is one of the values; null for null. ValueError if the column cannot hold one of them."""
    known = series_of([fit_value(value, kind) for value in values], kind)
    return pl.when(cell.is_not_null()).then(cell.is_in(pl.lit(known.implode())))


def series_of(values: Sequence[object], kind: pa.DataType) -> pl.Series:
    """The values as a Polars series of the type that a column of `kind` has there."""
    if pt.is_decimal(kind):
        return pl.Series("", values, dtype=pl.Decimal(38, kind.scale))
    return pl.Series("", values, dtype=polars_type(kind))


def number_cell(cell: Cell) -> pl.Expr:
    """The cell, if its column holds numbers; UnfitError if not. A column of nulls only holds any type."""
    return _of(cell, "numbers", dtype_of(cell.kind) in NUMBERS)


def text_cell(cell: Cell) -> pl.Expr:
    """The cell, if its column holds text; UnfitError if not."""
    return _of(cell, "text", is_text(cell.kind)).cast(pl.String)


def written_cell(cell: Cell) -> pl.Expr:
    """The cell as it would be written: text as it is, whole numbers as text; UnfitError for other types."""
    return _of(cell, "text", is_text(cell.kind) or pt.is_integer(cell.kind)).cast(pl.String)


def time_cell(cell: Cell) -> pl.Expr:
    """The cell, if its column holds dates or times; UnfitError if not."""
    fits = pt.is_date(cell.kind) or pt.is_timestamp(cell.kind)
    return _of(cell, "dates or times", fits) if not pt.is_null(cell.kind) else cell.expr.cast(pl.Datetime("us"))


def is_number(kind: pa.DataType) -> bool:
    """Whether it is a type of numbers."""
    return dtype_of(kind) in NUMBERS


def not_finite(cell: Cell) -> pl.Expr:
    """Whether the cell is NaN or infinite; false for types that hold neither."""
    return ~cell.expr.is_finite() if pt.is_floating(cell.kind) else cell.expr.is_null() & pl.lit(False)


def _of(cell: Cell, wanted: str, fits: bool) -> pl.Expr:
    if pt.is_null(cell.kind):
        return cell.expr.cast(pl.String if wanted == "text" else pl.Float64)
    if not fits:
        raise UnfitError(f"holds {cell.called}, and the rule needs {wanted}")
    return cell.expr


def _compared(cell: pl.Expr, comparison: Comparison, other: pl.Expr) -> pl.Expr:
    match comparison:
        case "<":
            return cell < other
        case "<=":
            return cell <= other
        case ">":
            return cell > other
        case ">=":
            return cell >= other


def _whole(cell: pl.Expr, kind: pa.DataType, comparison: Comparison, bound: float) -> pl.Expr:
    """Exact beyond 2⁵³: the bound is rounded to the nearest whole number inside, never the column to a float."""
    least, most = integer_range(str(kind))
    if comparison in (">", ">="):
        low = math.floor(bound) + 1 if comparison == ">" else math.ceil(bound)
        never, always = low > most, low <= least
    else:
        low = math.ceil(bound) - 1 if comparison == "<" else math.floor(bound)
        never, always = low < least, low >= most
    if never or always:
        return pl.when(cell.is_not_null()).then(pl.lit(always))
    limit = pl.lit(low, dtype=polars_type(kind))
    return cell >= limit if comparison in (">", ">=") else cell <= limit
