"""The value that stands for a column: its median, mean or most frequent value, in the column's own type."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.profile import ColumnProfile
from raypipe.etl.rules.dtypes import integer_range, is_text
from raypipe.etl.rules.values import fit_word
from raypipe.etl.steps.detect_dates import DateWriting
from raypipe.etl.steps.layouts import BY_NAME, as_kind, read_dates
from raypipe.etl.wording import percent, shown

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

FillValue = tuple[Any, str | None]
"""A value of the column's type, and a note about it."""


class NoFill(Exception):  # noqa: N818  # a reason, not a fault: it never leaves the fitting of Impute
    """There is no value to fill this column with; the text says why."""


def median_of(column: ColumnProfile, kind: pa.DataType) -> FillValue:
    """The median of the finite values."""
    quantiles = column.number.quantiles if column.number else None
    middle = quantiles.at(0.5) if quantiles else None
    if quantiles is None or middle is None:
        raise NoFill("its median was not computed" if column.number and column.number.finite else _no_number(column))
    value, note = in_type(middle, kind, "median")
    if not quantiles.exact:
        estimate = f"estimated, rank error {percent(quantiles.rank_error)}"
        note = f"{note}; {estimate}" if note else estimate
    return value, note


def mean_of(column: ColumnProfile, kind: pa.DataType) -> FillValue:
    """The mean of the finite values."""
    if column.number is None or column.number.mean is None:
        raise NoFill(_no_number(column))
    return in_type(column.number.mean, kind, "mean")


def mode_of(column: ColumnProfile, kind: pa.DataType, trim: bool, writing: DateWriting | None) -> FillValue:
    """The most frequent value; of equally frequent ones the first in order.

    Parameters
    ----------
    column : ColumnProfile
        As the first pass saw it.
    kind : pa.DataType
        Of the column when it is filled.
    trim : bool
        Whether spellings of a text that differ by white space around them are one.
    writing : DateWriting or None
        How its dates were written, if the column was text in the first pass.
    """
    if pt.is_boolean(kind):
        return _boolean_mode(column)
    frequent = _frequent(column, trim and (is_text(kind) or writing is not None))
    if not frequent:
        raise NoFill("its most frequent value was not counted")
    word, count = frequent[0]
    if count <= 1 and column.present > 1:
        raise NoFill("no value is seen to occur twice, so that none is the most frequent")
    note = None if column.top_exact else f"estimated: {shown(word)} occurs at least {count:,} times"
    if writing is not None:
        day = as_kind(read_dates(pl.Series([word]), BY_NAME[writing.layout]), writing.kind)[0]
        if day is None:
            raise NoFill(f"its most frequent value {shown(word)} is no date written as {writing.layout}")
        return day, note
    try:
        return fit_word(word, kind), note
    except ValueError:
        raise NoFill(f"its most frequent value {shown(word)} is no value of type {kind}") from None


def _boolean_mode(column: ColumnProfile) -> FillValue:
    if column.true_count is None:
        raise NoFill("its true values were not counted")
    return 2 * column.true_count > column.present, None


def _frequent(column: ColumnProfile, trim: bool) -> list[tuple[str, int]]:
    """Values with their counts, most frequent first; spellings that differ by white space around them are one."""
    counts: Counter[str] = Counter()
    for value in column.top:
        word = pl.Series([value.value]).str.strip_chars()[0] if trim else value.value
        if word or not trim:
            counts[word] += value.count
    return sorted(counts.items(), key=lambda pair: -pair[1])


def in_type(number: float, kind: pa.DataType, called: str) -> FillValue:
    """The number in the column's type, and how it was rounded; times are seconds since 1970."""
    if pt.is_integer(kind):
        low, high = integer_range(str(kind))
        nearest = min(max(round(number), low), high)
        note = f"{called} {number:g} rounded to the nearest whole number, half to even"
        return nearest, None if nearest == number else note
    if pt.is_floating(kind):
        return float(number), None
    if pt.is_decimal(kind):
        step = Decimal(1).scaleb(-kind.scale)
        exact = Decimal(repr(number))
        cut = exact.quantize(step)
        return cut, None if cut == exact else f"{called} rounded to {kind.scale} digits after the point"
    moment = EPOCH + dt.timedelta(microseconds=round(number * 1e6))
    if pt.is_date(kind):
        day = (moment + dt.timedelta(hours=12)).date()
        return day, None if moment.time() == dt.time() else f"{called} rounded to the nearest day"
    return (moment if kind.tz is not None else moment.replace(tzinfo=None)), None


def _no_number(column: ColumnProfile) -> str:
    return "it has no finite value" if column.number else f"a column of {column.dtype} has none"
