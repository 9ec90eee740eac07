"""Rows of a database as Python gives them, as typed columns: for databases that give no Arrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars
from raypipe.etl.aside import raw_json, shortened
from raypipe.etl.types import kind_of
from raypipe.stage import ASIDE_SCHEMA, PartRead

_EXACT = 2**53
_LOW, _HIGH = -(2**63), 2**63 - 1


def kind_for(values: Sequence[Any]) -> pa.DataType:
    """The type that holds the values of a sample; text where nothing else does.

    Examples
    --------
    >>> kind_for([1, None, 2]), kind_for([1, 0.5]), kind_for([])
    (DataType(int64), DataType(double), DataType(large_string))
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return pa.int64() if all(_LOW <= value <= _HIGH for value in values if value is not None) else pa.large_string()
    if kinds and kinds <= {int, float}:
        fine = all(abs(value) <= _EXACT for value in values if type(value) is int)
        return pa.float64() if fine else pa.large_string()
    plain = {
        bool: pa.bool_(), date: pa.date32(), datetime: pa.timestamp("us"), time: pa.time64("ns"),
        bytes: pa.large_binary(), timedelta: pa.duration("us"),
    }  # fmt: skip
    if kinds == {datetime}:
        zones = {value.tzinfo is not None for value in values if value is not None}
        return pa.large_string() if len(zones) > 1 else pa.timestamp("us", "UTC" if zones.pop() else None)
    if kinds and kinds <= {Decimal, int}:
        return _decimal(values)
    return plain.get(kinds.pop(), pa.large_string()) if len(kinds) == 1 else pa.large_string()


def _decimal(values: Sequence[Any]) -> pa.DataType:
    tuples = [Decimal(value).as_tuple() for value in values if value is not None]
    if any(not isinstance(found.exponent, int) for found in tuples):
        return pa.large_string()
    exponents = [int(found.exponent) for found in tuples]
    scale = max(0, *(-exponent for exponent in exponents)) if exponents else 0
    whole = max(len(found.digits) + exponent for found, exponent in zip(tuples, exponents, strict=True))
    # What a sample does not show may still come: room for more digits before the point.
    return pa.decimal128(38, scale) if max(whole, 1) + scale <= 38 else pa.large_string()


def table_of(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> PartRead:
    """Rows as a block of this schema; rows with a value that does not fit are set aside, as with text.

    Notes are those that `settle_types` reads: values and misfits by column.
    """
    columns, wrong = [], []
    notes: dict[str, Any] = {"values": {}}
    values = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    for field, given in zip(schema, values, strict=True):
        column, bad = _column(list(given), field.type)
        columns.append(column.alias(field.name))
        if kind_of(field.type) not in (None, "text"):
            count = 0 if bad is None else int(bad.sum())
            notes["values"][field.name] = column.len() - column.null_count() + count
            if field.type == pa.int64() and (wide := _wide(column)):
                notes.setdefault("wide", {})[field.name] = wide
        if bad is not None:
            wrong.append((field, bad))
            notes.setdefault("misfits", {})[field.name] = _misfit(field, given, bad, column)
    frame = pl.DataFrame(columns)
    if not wrong:
        return PartRead(from_polars(frame).cast(schema), notes=notes)
    lost = np.logical_or.reduce([bad for _, bad in wrong])
    kept = np.flatnonzero(~lost).astype(np.int64)
    block = from_polars(frame.filter(pl.Series(~lost))).cast(schema)
    return PartRead(block, _aside(rows, schema, wrong), pa.array(kept), notes=notes)


def _column(values: list[Any], kind: pa.DataType) -> tuple[pl.Series, np.ndarray[Any, Any] | None]:
    """The values as a column, and which of them do not fit; None: all do."""
    quick = _quick(values, kind)
    if quick is not None:
        return quick, None
    plain = _as_text if kind == pa.large_string() else _arrow_fits(kind)
    fits: Callable[[Any], Any] = _FITS.get(str(kind), plain)
    good: list[Any] = []
    bad = np.zeros(len(values), bool)
    for at, value in enumerate(values):
        fitted = None if value is None else fits(value)
        bad[at] = value is not None and fitted is None
        good.append(fitted)
    return _series(pa.array(good, kind)), bad if bad.any() else None


def _quick(values: list[Any], kind: pa.DataType) -> pl.Series | None:
    """The column, if every value is of the type itself; None if one is not."""
    wanted = _TYPES.get(str(kind))
    if wanted is None or not set(map(type, values)) <= wanted:
        return None
    try:
        return _series(pa.array(values, kind))
    except (OverflowError, pa.ArrowException):
        return None


def _series(values: pa.Array) -> pl.Series:
    return cast(pl.Series, pl.from_arrow(values))


def _boolean(value: Any) -> bool | None:
    return bool(value) if isinstance(value, (bool, int)) and value in (0, 1) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value if type(value) is int and _LOW <= value <= _HIGH else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if isinstance(value, float) or abs(value) <= _EXACT else None


def _day(value: Any) -> date | None:
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str) and len(value) >= 10 and value[4] == "-":
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value if isinstance(value, datetime) and value.tzinfo is None else None


def _instant(value: Any) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else None


def _arrow_fits(kind: pa.DataType) -> Callable[[Any], Any]:
    """Whatever Arrow itself takes as a value of the type."""
    is_decimal = pa.types.is_decimal(kind)

    def fits(value: Any) -> Any:
        if is_decimal and (isinstance(value, bool) or not isinstance(value, (Decimal, int))):
            return None
        try:
            return pa.scalar(Decimal(value) if is_decimal else value, kind).as_py()
        except (pa.ArrowException, ValueError, TypeError):
            return None

    return fits


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


_NONE = type(None)
_TYPES: dict[str, set[type]] = {
    "int64": {int, _NONE}, "double": {float, _NONE}, "large_string": {str, _NONE}, "bool": {bool, _NONE},
    "large_binary": {bytes, _NONE}, "date32[day]": {date, _NONE},
}  # fmt: skip
_FITS: dict[str, Callable[[Any], Any]] = {
    "int64": _integer, "double": _number, "bool": _boolean, "date32[day]": _day, "timestamp[us]": _moment,
    "timestamp[us, tz=UTC]": _instant,
}  # fmt: skip


def _wide(column: pl.Series) -> int:
    return int(((column > _EXACT) | (column < -_EXACT)).sum())


def _misfit(field: pa.Field, given: Sequence[Any], bad: np.ndarray[Any, Any], column: pl.Series) -> dict[str, Any]:
    values = [given[at] for at in np.flatnonzero(bad).tolist()]
    kinds = [kind_of(kind_for([value])) or "text" for value in values]
    return {
        "count": len(values),
        "as": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "codes": 0,
        "values": column.len() - column.null_count() + len(values),
        "example": _as_text(values[0]),
    }


def _aside(
    rows: Sequence[Sequence[Any]], schema: pa.Schema, wrong: Sequence[tuple[pa.Field, np.ndarray[Any, Any]]]
) -> pa.Table:
    lost = np.logical_or.reduce([bad for _, bad in wrong])
    places = np.flatnonzero(lost).tolist()
    texts = pa.table(
        {
            field.name: pa.array(
                [None if rows[at][index] is None else _as_text(rows[at][index]) for at in places], pa.large_string()
            )
            for index, field in enumerate(schema)
        }
    )
    first = [next(field for field, bad in wrong if bad[at]) for at in places]
    wanted = [(field.name, str(kind_of(field.type) or field.type)) for field in first]
    return rows_aside(texts, places, wanted)


def rows_aside(rows: pa.Table, places: Sequence[int], wanted: Sequence[tuple[str, str]]) -> pa.Table:
    """Rows of a database as rows set aside.

    Parameters
    ----------
    rows : pa.Table
        The rows at fault, as text.
    places : sequence of int
        Their numbers within the part.
    wanted : sequence of tuple of str
        For each of them the column at fault, and the kind that it should be of.
    """
    values = shortened(pl.Series([rows[name][at].as_py() for at, (name, _) in enumerate(wanted)], dtype=pl.String))
    reasons = [
        f"column {name!r} wants {kind}, got {value!r}"
        for (name, kind), value in zip(wanted, values.to_list(), strict=True)
    ]
    frame = pl.DataFrame(
        {
            "row": pl.Series(places, dtype=pl.Int64),
            "line": pl.Series([None] * len(wanted), dtype=pl.Int64),
            "column": pl.Series([name for name, _ in wanted], dtype=pl.String),
            "value": values,
            "reason": pl.Series(reasons, dtype=pl.String),
            "raw": raw_json(rows),
        }
    )
    return from_polars(frame).cast(ASIDE_SCHEMA)
