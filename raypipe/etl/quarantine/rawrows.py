"""Rows that were set aside, as text one can edit, and such text turned back into values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.etl.formats.cells import iso_days, parse
from raypipe.etl.formats.decimal_cells import decimals
from raypipe.etl.types import kind_of

TRUTHS = {True: "true", False: "false"}


def texts_of(raw: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
    """The fields of rows in the form of `raw_json`, each as text; null where a row has no such field or it is null.

    Raises
    ------
    ValueError
        If a row is no JSON object; the text says which.

    Examples
    --------
    >>> texts_of(pl.Series(['{"n": 1.50, "t": "a"}']), ["n", "t"]).rows()
    [('1.50', 'a')]
    """
    # Row by row: rows set aside are few, and digits must come through as they stand, which no parser of columns does.
    found: list[list[str | None]] = [[] for _ in columns]
    for number, text in enumerate(raw):
        fields = _fields(text, number)
        for cells, name in zip(found, columns, strict=True):
            cells.append(_text(fields.get(name)))
    return pl.DataFrame([pl.Series(name, cells, pl.String) for name, cells in zip(columns, found, strict=True)])


def is_object(text: str | None) -> bool:
    """Whether a raw row is a whole JSON object."""
    try:
        _fields(text, 0)
    except ValueError:
        return False
    return True


def _fields(text: str | None, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(text or "", parse_int=_Digits, parse_float=_Digits, parse_constant=_Digits)
    except ValueError as error:
        raise ValueError(f"row {number} is no JSON object: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"row {number} is no JSON object")
    return fields


class _Digits(str):
    """A number as it stood in the text."""

    __slots__ = ()


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, bool):
        return TRUTHS[value]
    return _nested(value)


def _nested(value: object) -> str:
    """JSON again, with the digits of its numbers as they were."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_nested(held)}" for key, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_nested, value)) + "]"
    return str(value) if isinstance(value, _Digits) else json.dumps(value, ensure_ascii=False)


def values_of(texts: pl.Series, kind: pa.DataType) -> tuple[pl.Series, pl.Series]:
    """Values of texts as `as_text` writes them, and which texts are none of this type.

    Parameters
    ----------
    texts : pl.Series
        Text; null stays null.
    kind : pa.DataType
        Of the column, as it travels between stages.
    """
    dtype = _polars(kind)
    texts = texts.alias("")  # Polars takes a name such as `^a$` for a pattern, in methods of a series too
    # It raises in functions of JSON and of dates where there is no text at all.
    values = _reader(kind, dtype)(texts).alias("") if texts.count() else pl.Series([None] * len(texts), dtype=dtype)
    wrong = texts.is_not_null() & values.is_null()
    return values.cast(dtype) if values.dtype != dtype else values, wrong


def _polars(kind: pa.DataType) -> pl.DataType:
    made = pl.from_arrow(pa.array([], kind))
    assert isinstance(made, pl.Series)
    return made.dtype


def _reader(kind: pa.DataType, dtype: pl.DataType) -> Callable[[pl.Series], pl.Series]:
    """How texts of a column of this type are read."""
    known = kind_of(kind)
    if known == "text":
        return lambda texts: texts
    if known is not None:
        return lambda texts: parse(texts.str.strip_chars(), known)
    if isinstance(dtype, pl.Decimal):
        return lambda texts: decimals(texts.str.strip_chars(), dtype)
    if isinstance(dtype, pl.Datetime):
        name = "datetime_utc" if dtype.time_zone else "datetime"
        return lambda texts: parse(texts.str.strip_chars(), name)
    if dtype == pl.Binary:
        return lambda texts: texts.str.decode("base64", strict=False)
    if dtype.is_nested():
        return lambda texts: _nested_values(texts, dtype)
    if dtype == pl.Date:
        return lambda texts: iso_days(texts.str.strip_chars())
    if dtype == pl.Time:
        return lambda texts: texts.str.strip_chars().str.to_time("%H:%M:%S%.f", strict=False)
    if dtype == pl.Duration:  # nothing reads it back, so that such a value stays set aside
        return lambda texts: pl.Series([None] * len(texts), dtype=dtype)
    return lambda texts: texts.str.strip_chars().cast(dtype, strict=False)


def _nested_values(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    try:
        return texts.str.json_decode(dtype)
    except pl.exceptions.ComputeError:  # it says not which, so that each is tried by itself
        pieces = [_one_nested(texts.slice(at, 1), dtype) for at in range(len(texts))]
        return pl.concat(pieces) if pieces else pl.Series([], dtype=dtype)


def _one_nested(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    try:
        return text.str.json_decode(dtype)
    except pl.exceptions.ComputeError:
        return pl.Series([None], dtype=dtype)
