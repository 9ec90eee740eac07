"""Records of a JSON text one by one: the exact way, in which no number is rounded and no key is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raypipe.etl.formats.json_scan import Records
from raypipe.etl.formats.names import safe_name

DEEPEST = 64
"""Fields are flattened to this depth; what is below is JSON text."""
NOT_A_NUMBER = "NaN"


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class NoRecordError(ValueError):
    """Why a text is no record."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise NoRecordError(f"key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return made


DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=_pairs)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NAMES = {dict: "an object", list: "an array", str: "a text", Number: "a number", bool: "true or false"}


def record_of(text: str) -> dict[str, Any]:
    """The record that a text is; NoRecordError with the reason if it is none."""
    try:
        found = DECODER.decode(text)
        if _SURROGATE.search(text):
            as_json(found).encode()
    except NoRecordError:
        raise
    except RecursionError as error:
        raise NoRecordError("is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise NoRecordError("has half of a surrogate pair") from error
    except ValueError as error:
        raise NoRecordError(f"is no JSON: {str(error).partition(': line')[0]}") from error
    if not isinstance(found, dict):
        raise NoRecordError(f"is {_NAMES.get(type(found), 'null')}, not an object")
    return found


def flat(record: dict[str, Any], nested: str) -> dict[str, Any]:
    """Column -> value; NoRecordError if two fields have the same dotted name. Nulls are left out."""
    cells: dict[str, Any] = {}
    for name, value in _leaves(record, nested == "flatten"):
        if name in cells:
            raise NoRecordError(f"field {name!r} stands there twice, once as a field of a field")
        cells[name] = value
    return cells


def _leaves(record: dict[str, Any], flatten: bool) -> Iterator[tuple[str, Any]]:
    waiting = [(name, value, 1) for name, value in reversed(record.items())]
    while waiting:
        name, value, depth = waiting.pop()
        if isinstance(value, dict) and flatten and depth < DEEPEST:
            waiting += [(f"{name}.{inner}", below, depth + 1) for inner, below in reversed(value.items())]
        elif value is not None and not (isinstance(value, Number) and value == NOT_A_NUMBER):
            yield (safe_name(name, 1)[0] if name else name), value


def names_in(record: dict[str, Any], nested: str) -> Iterator[str]:
    """Columns of a record, those without a value included."""
    waiting = [(name, value, 1) for name, value in reversed(record.items())]
    while waiting:
        name, value, depth = waiting.pop()
        if isinstance(value, dict) and nested == "flatten" and depth < DEEPEST:
            waiting += [(f"{name}.{inner}", below, depth + 1) for inner, below in reversed(value.items())]
        else:
            yield safe_name(name, 1)[0] if name else name


def as_json(value: Any) -> str:
    """A value as JSON text, numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(name)}:{as_json(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    return _quoted(value) if isinstance(value, str) else {True: "true", False: "false", None: "null"}[value]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def token_of(value: Any) -> str:
    """What kind of thing a value is: n(umber), s(tring), b(oolean), l(ist), o(bject)."""
    if isinstance(value, Number):
        return "n"
    return {str: "s", bool: "b", list: "l", dict: "o"}[type(value)]


def text_of(value: Any) -> str:
    """A value as a cell of a text column."""
    return str(value) if isinstance(value, str) else as_json(value)


@dataclass
class Column:
    """Values of one column, with the rows that they stand in."""

    rows: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def tokens(self) -> list[str]:
        """What kind of thing each value is."""
        return [token_of(value) for value in self.values]


@dataclass
class Exact:
    """Records taken apart one by one."""

    columns: dict[str, Column] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    """Record -> why it is none."""


def take_apart(records: Records, nested: str, mark: bytes | None = None) -> Exact:
    """Each record as cells of columns.

    Parameters
    ----------
    mark : bytes, optional
        Stands in front of bytes that do not belong to the encoding.
    """
    found = Exact()
    for index in range(records.count):
        text = records.text(index)
        try:
            if mark is not None and mark in text:
                raise NoRecordError("has bytes that do not belong to the encoding")
            cells = flat(record_of(text.decode()), nested)
        except NoRecordError as error:
            found.bad[index] = str(error)
            continue
        except RecursionError:
            found.bad[index] = "is nested too deeply"
            continue
        for name, value in cells.items():
            column = found.columns.get(name)
            if column is None:
                column = found.columns[name] = Column()
            column.rows.append(index)
            column.values.append(value)
    return found


def natural(value: Any) -> Any:
    """A value of a list as Python has it; ValueError where a number would be rounded or is too long."""
    if isinstance(value, Number):
        return _number(value)
    if isinstance(value, list):
        return [natural(inner) for inner in value]
    if isinstance(value, dict):
        raise ValueError("an object")
    return value


def _number(text: Number) -> int | float | None:
    if text.lstrip("-").isdigit():
        whole = int(text)
        if not -(2**63) <= whole < 2**63:
            raise ValueError("too long")
        return whole
    if text == NOT_A_NUMBER:
        return None
    if significant(text) > MOST_DIGITS:
        raise ValueError("too exact")
    value = float(text)
    if value in (float("inf"), float("-inf")) and "nf" not in text:
        raise ValueError("too large")
    return value


MOST_DIGITS = 17
"""Digits that a float64 holds so that the shortest text of a float is read back as the same float."""


def significant(text: str) -> int:
    """Digits of a number that count.

    Examples
    --------
    >>> significant("-0.00120e5"), significant("123000")
    (2, 3)
    """
    body = text.lower().partition("e")[0].replace(".", "").strip("-").lstrip("0").rstrip("0")
    return len(body)


def list_type(values: list[Any]) -> pa.DataType | None:
    """The type of lists of plain values that are all of one kind; None where there is none."""
    try:
        kind = pa.array([natural(value) for value in values]).type
    except (ValueError, TypeError, pa.ArrowException, RecursionError):
        return None
    return _large(kind)


def _large(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_list(kind):
        inner = _large(kind.value_type)
        return pa.large_list(inner) if inner is not None else None
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return pa.large_string()
    return kind if kind in (pa.int64(), pa.float64(), pa.bool_()) else None


def list_or_none(value: Any, kind: pa.DataType) -> Any:
    """The list as Python has it if it is of this type; ValueError if it is not."""
    if not isinstance(value, list):
        raise ValueError("no list")
    made = natural(value)
    _check(made, kind)
    return made


def _check(value: Any, kind: pa.DataType) -> None:
    if value is None:
        return
    if pa.types.is_large_list(kind):
        if not isinstance(value, list):
            raise ValueError("no list")
        for inner in value:
            _check(inner, kind.value_type)
        return
    wanted: dict[pa.DataType, tuple[type, ...]] = {
        pa.int64(): (int,), pa.float64(): (int, float), pa.bool_(): (bool,), pa.large_string(): (str,)
    }  # fmt: skip
    if not isinstance(value, wanted[kind]) or (isinstance(value, bool) and kind != pa.bool_()):
        raise ValueError("another kind")
    if kind == pa.float64() and isinstance(value, int) and abs(value) > 2**53:
        raise ValueError("too long")
