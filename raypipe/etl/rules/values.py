"""Values that a user wrote (a bound, an allowed value, a fill) turned into values of a column's type."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated

import pyarrow as pa
import pyarrow.types as pt
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from raypipe.etl.rules.dtypes import dtype_of, integer_range, is_text
from raypipe.etl.wording import shown

Scalar = StrictBool | StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)] | StrictStr
"""A value as it stands in a file; dates and times as ISO 8601 text."""

Fitted = bool | int | float | str | Decimal | dt.date | dt.datetime


def plain_scalar(value: object) -> object:
    """Dates, times and decimals, which YAML and Python users write as such, as text; anything else as it is."""
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def fit_value(value: Scalar, kind: pa.DataType) -> Fitted:
    """The value as one of the Arrow type, without loss.

    Raises
    ------
    ValueError
        If the type cannot hold it; the text says why, without naming the column.
    """
    if pt.is_boolean(kind):
        return _boolean(value)
    if isinstance(value, bool):
        hint = "; in YAML, put quotes around words such as no, yes, on, off" if is_text(kind) else ""
        raise ValueError(f"{shown(value)} is a boolean, and the column holds {_called(kind)}{hint}")
    if pt.is_integer(kind):
        return _integer(value, kind)
    if pt.is_floating(kind):
        return _float(value)
    if pt.is_decimal(kind):
        return _within_scale(_decimal(value), kind)
    if pt.is_date(kind):
        return _moment(value, kind).date()
    if pt.is_timestamp(kind):
        return _moment(value, kind)
    if is_text(kind):
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is a number, and the column holds text; put quotes around it")
        return value
    raise ValueError(f"a column of type {kind} cannot be compared with {shown(value)}")


def why_unfit(fit: Callable[[Scalar, pa.DataType], Fitted], value: Scalar, kind: pa.DataType) -> str | None:
    """Why `fit` (`fit_value` or `fit_bound`) finds no place for the value in the type; None if it does."""
    try:
        fit(value, kind)
    except ValueError as error:
        return str(error)
    return None


def fit_word(word: str, kind: pa.DataType) -> Fitted:
    """As `fit_value`, for a value that always arrives as text, such as that of `constant:VALUE`."""
    if is_text(kind):
        return word
    word = word.strip()
    if pt.is_boolean(kind):
        if word.lower() not in ("true", "false"):
            raise ValueError(f"{shown(word)} is neither true nor false")
        return word.lower() == "true"
    if pt.is_integer(kind) or pt.is_floating(kind):
        try:
            return fit_value(int(word) if pt.is_integer(kind) else float(word), kind)
        except ValueError:
            raise ValueError(f"{shown(word)} is no value of type {_called(kind)}") from None
    return fit_value(word, kind)


def fit_bound(value: Scalar, kind: pa.DataType) -> Fitted:
    """As `fit_value`, but a bound may lie between the values of its column (0.5) or beyond its type (300 for int8)."""
    if pt.is_integer(kind) and not isinstance(value, bool | str):
        return value
    if is_text(kind) or pt.is_boolean(kind):
        raise ValueError(f"a column of type {_called(kind)} has no smallest or largest value")
    if pt.is_date(kind):
        moment = _moment(value, kind)
        return moment if moment.time() != dt.time() else moment.date()
    if pt.is_decimal(kind):
        return _decimal(value)
    return fit_value(value, kind)


def _boolean(value: Scalar) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")
    return value


def _integer(value: Scalar, kind: pa.DataType) -> int:
    if isinstance(value, float) and value == math.floor(value):
        value = int(value)
    if not isinstance(value, int):
        raise ValueError(f"{shown(value)} is no whole number")
    low, high = integer_range(str(kind))
    if not low <= value <= high:
        raise ValueError(f"{value} is outside the range of {kind}, {low} to {high}")
    return value


def _float(value: Scalar) -> float:
    if isinstance(value, str):
        raise ValueError(f"{shown(value)} is no number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{shown(value)} is not finite")
    return number


def _decimal(value: Scalar) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{shown(value)} is no number") from None
    if not number.is_finite():
        raise ValueError(f"{shown(value)} is not finite")
    return number


def _within_scale(number: Decimal, kind: pa.DataType) -> Decimal:
    written = number.as_tuple()  # `normalize` would round to 28 digits
    zeros = len(written.digits) - len("".join(map(str, written.digits)).rstrip("0"))
    if number and -int(written.exponent) - zeros > kind.scale:
        raise ValueError(f"{number} has more digits after the point than the column holds ({kind.scale})")
    return number


def _moment(value: Scalar, kind: pa.DataType) -> dt.datetime:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is no date; write it as '2024-12-31'")
    try:
        moment = dt.datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(f"{shown(value)} is no date; write it as '2024-12-31' or '2024-12-31T18:00:00'") from None
    zoned = pt.is_timestamp(kind) and kind.tz is not None
    if not zoned and moment.tzinfo is not None:
        raise ValueError(f"{shown(value)} has a time zone, and the column has none")
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC).astimezone(dt.UTC) if zoned else moment


def _called(kind: pa.DataType) -> str:
    return dtype_of(kind) or str(kind)
