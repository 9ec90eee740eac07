"""Avro schemas as Arrow's, and what becomes of values that Arrow has no type for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from raypipe.errors import SchemaError

Convert = Callable[[Any], Any]
"""A value as fastavro gives it -> one that Arrow takes for the type; None where it already does."""

_TEXT = pa.large_string()
_PLAIN: dict[str, pa.DataType] = {
    "null": pa.null(), "boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(),
    "double": pa.float64(), "bytes": pa.large_binary(), "string": _TEXT, "enum": _TEXT,
}  # fmt: skip
_LOGICAL: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("ms", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "timestamp-nanos": pa.timestamp("ns", "UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
    "local-timestamp-nanos": pa.timestamp("ns"),
}
_MOST_DIGITS = 38
_WIDER = (("int", "long"), ("int", "long", "float", "double"))


def fields_of(schema: Mapping[str, Any], named: dict[str, Any]) -> dict[str, tuple[pa.DataType, Convert | None]]:
    """The type of each field of a record, and how its values are converted."""
    return {field["name"]: arrow_of(field["type"], named) for field in schema["fields"]}


def arrow_of(kind: Any, named: dict[str, Any]) -> tuple[pa.DataType, Convert | None]:
    """The Arrow type of an Avro type, and how its values are converted.

    Parameters
    ----------
    kind : str, list or mapping
        As the parsed schema has it.
    named : dict
        Types that were named so far; those within `kind` are added.

    Examples
    --------
    >>> arrow_of(["null", {"type": "int", "logicalType": "date"}], {})[0]
    DataType(date32[day])
    """
    if isinstance(kind, list):
        return _union(kind, named)
    if isinstance(kind, str):
        if kind in _PLAIN:
            return _PLAIN[kind], None
        if named.get(kind) is None:
            raise SchemaError(f"type {kind!r} holds itself, which no column can. Leave that field out when writing.")
        return arrow_of(named[kind], named)
    name, logical = kind.get("type"), kind.get("logicalType")
    if isinstance(name, (dict, list)):
        return arrow_of(name, named)
    if "name" in kind:
        named[kind["name"]] = None if name == "record" else kind
    found = _logical(kind, str(name), logical) or _complex(kind, str(name), named)
    if "name" in kind:
        named[kind["name"]] = kind
    return found


def _logical(kind: Mapping[str, Any], name: str, logical: Any) -> tuple[pa.DataType, Convert | None] | None:
    if logical == "decimal" and name in ("bytes", "fixed"):
        precision, scale = int(kind["precision"]), int(kind.get("scale", 0))
        return (pa.decimal128(precision, scale), None) if precision <= _MOST_DIGITS else (_TEXT, str)
    if logical == "uuid":
        return _TEXT, str
    if logical in _LOGICAL and name in ("int", "long"):
        return _LOGICAL[logical], None
    return None


def _complex(kind: Mapping[str, Any], name: str, named: dict[str, Any]) -> tuple[pa.DataType, Convert | None]:
    if name in _PLAIN:
        return _PLAIN[name], None
    if name == "fixed":
        return pa.large_binary(), None
    if name in ("record", "error"):
        fields = fields_of(kind, named)
        changed = {field: convert for field, (_, convert) in fields.items() if convert}
        made = pa.struct([(field, inner) for field, (inner, _) in fields.items()])
        return made, _record(changed) if changed else None
    if name == "array":
        inner, convert = arrow_of(kind["items"], named)
        return pa.large_list(inner), _each(convert) if convert else None
    if name == "map":
        inner, convert = arrow_of(kind["values"], named)
        return pa.large_list(pa.struct([("key", _TEXT), ("value", inner)])), _pairs(convert)
    return arrow_of(name, named)


def _union(kinds: list[Any], named: dict[str, Any]) -> tuple[pa.DataType, Convert | None]:
    """One type beside null is that type; numbers are the widest; anything else is text."""
    left = [kind for kind in kinds if kind != "null"]
    if not left:
        return pa.null(), None
    if len(left) == 1:
        inner, convert = arrow_of(left[0], named)
        return inner, _unless_null(convert) if convert else None
    for group in _WIDER:
        if all(isinstance(kind, str) and kind in group for kind in left):
            if group[-1] == "double" and "long" in left:
                break  # a long may not fit a double
            return _PLAIN[max(left, key=group.index) if group[-1] == "long" else "double"], None
    for kind in left:
        arrow_of(kind, named)
    return _TEXT, _as_text


def _record(changed: Mapping[str, Convert]) -> Convert:
    def convert(value: Any) -> Any:
        return value | {name: _unless_null(change)(value.get(name)) for name, change in changed.items()}

    return _unless_null(convert)


def _each(change: Convert) -> Convert:
    return _unless_null(lambda values: [_unless_null(change)(value) for value in values])


def _pairs(change: Convert | None) -> Convert:
    inner = _unless_null(change) if change else None
    return _unless_null(
        lambda values: [{"key": key, "value": inner(value) if inner else value} for key, value in values.items()]
    )


def _unless_null(change: Convert) -> Convert:
    return lambda value: None if value is None else change(value)


def _as_text(value: Any) -> str | None:
    """A value of a union of several types as text: as it is printed, records and lists as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str, ensure_ascii=False)
    return value.hex() if isinstance(value, bytes) else str(value)
