"""Schemas to and from JSON Schema 2020-12: the schema of one row as an object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from raypipe.errors import ConfigError
from raypipe.etl.rules.dtypes import INTEGERS, integer_range
from raypipe.etl.rules.schema import ColumnSchema, DataSchema
from raypipe.etl.schemas.conversion import (
    REMARK,
    Converted,
    about,
    column_remark,
    restored,
    schema_of,
    schema_remark,
    table_notes,
)  # fmt: skip
from raypipe.etl.wording import shown

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TYPES: dict[str, dict[str, Any]] = {
    **{name: {"type": "integer"} for name in (*INTEGERS, "integer")},
    **{name: {"type": "number"} for name in ("float32", "float64", "number", "decimal")},
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "category": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "duration": {"type": "string", "format": "duration"},
    "binary": {"type": "string", "contentEncoding": "base64"},
}
_NAMED = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "text"}
_FORMATS = {"date": "date", "date-time": "datetime", "time": "time", "duration": "duration", "binary": "binary"}
_MEANINGS = {"email": "email", "uri": "url", "uuid": "uuid", "ipv4": "ip_address", "ipv6": "ip_address"}
"""Formats that say what a text means rather than what type it has -> semantic."""
_READ = frozenset(
    ("type", "format", "contentEncoding", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
     "pattern", "description", "title", "anyOf", "oneOf", "default", "examples", "$comment", "deprecated", REMARK)
)  # fmt: skip


def to_json_schema(schema: DataSchema) -> Converted[dict[str, Any]]:
    """The schema of one row, as an object with a property a column."""
    properties = {}
    notes = table_notes(schema, keys=True)
    for column in schema.columns:
        held = column.replace(nullable=False) if column.name in schema.primary_key else column
        properties[column.name] = {**json_property(held), REMARK: column_remark(column)}
        notes += _unchecked(column)
    document: dict[str, Any] = {
        "$schema": DIALECT,
        "title": schema.name,
        **({"description": schema.description} if schema.description else {}),
        "type": "object",
        "properties": properties,
        "required": [column.name for column in schema.columns if column.required],
        REMARK: schema_remark(schema),
    }
    return Converted(document, tuple(notes))


def from_json_schema(document: Mapping[str, Any], name: str = "table") -> Converted[DataSchema]:
    """A schema from the JSON Schema of an object; keywords without a counterpart are listed.

    Raises
    ------
    ConfigError
        If it is no schema of an object with properties, or a property cannot be a column.
    """
    properties = document.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        raise ConfigError("JSON Schema: wanted the schema of an object, with at least one entry under `properties`")
    remark = document.get(REMARK)
    key = remark.get("primary_key", ()) if isinstance(remark, Mapping) else ()
    required = set(document.get("required", ()))
    notes = [
        f"keyword {keyword!r} of the object: not taken over"
        for keyword in document
        if keyword not in ("$schema", "$id", "title", "description", "type", "properties", "required", "$defs", REMARK)
    ]
    columns = []
    for column, found in properties.items():
        plain = resolved(found, document)
        columns.append(_column(column, plain, column in required, column in key, notes))
    title = str(document.get("title", name))
    return Converted(schema_of(remark, columns, title, str(document.get("description", ""))), tuple(notes))


def json_property(column: ColumnSchema) -> dict[str, Any]:
    """The property of a column, without the remark."""
    found: dict[str, Any] = dict(_TYPES[column.dtype]) if column.dtype else {}
    if column.dtype in ("integer", *INTEGERS, "float32", "float64", "number", "decimal"):
        low, high = column.min_value, column.max_value
        if column.dtype in INTEGERS:
            least, most = integer_range(column.dtype)
            low, high = max(_number(low, least), least), min(_number(high, most), most)
        found |= {name: value for name, value in (("minimum", low), ("maximum", high)) if value is not None}
    if column.regex_pattern is not None:
        found["pattern"] = f"^(?:{column.regex_pattern})$"
    if column.allowed_values is not None:
        found["enum"] = [*column.allowed_values, *([None] if column.nullable else [])]
    if column.nullable and "type" in found:
        found["type"] = [found["type"], "null"]
    if not column.nullable and not column.dtype:
        found["not"] = {"type": "null"}
    if column.description:
        found["description"] = column.description
    return found


def resolved(found: Any, document: Mapping[str, Any]) -> dict[str, Any]:
    """A property with a reference into the same document replaced by what it names."""
    if not isinstance(found, Mapping):
        return {}
    reference = found.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        target = document.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
        return {**target, **{key: value for key, value in found.items() if key != "$ref"}}
    return dict(found)


def _column(name: str, found: dict[str, Any], required: bool, in_key: bool, notes: list[str]) -> ColumnSchema:
    plain = {key: value for key, value in found.items() if key != REMARK}

    def still_so(column: ColumnSchema) -> bool:
        held = column.replace(nullable=False) if in_key else column
        return json_property(held) == plain and column.required == required

    def read() -> dict[str, Any]:
        return {"name": name, "required": required, **read_property(name, plain, notes)}

    try:
        return restored(found.get(REMARK), name, still_so, read)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise ConfigError(f"JSON Schema: property {shown(name)} cannot be a column: {reason}") from None


def read_property(name: str, found: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Fields of a column from the keywords of a property; what has no counterpart goes to `notes`."""
    found, nullable = _without_null(found)
    kinds = found.get("type")
    kind = kinds[0] if isinstance(kinds, list) and len(kinds) == 1 else kinds
    dtype = _NAMED.get(kind) if isinstance(kind, str) else None
    if kind is not None and dtype is None:
        notes.append(f"column {name!r}: type {kind!r} has no counterpart; any type will do")
    fields: dict[str, Any] = {"description": str(found.get("description", ""))}
    layout = found.get("format")
    if dtype == "text" and found.get("contentEncoding") == "base64":
        dtype = "binary"
    elif dtype == "text" and layout in _FORMATS:
        dtype = _FORMATS[layout]
    elif layout in _MEANINGS:
        fields["semantic"] = _MEANINGS[layout]
    elif layout is not None:
        notes.append(f"column {name!r}: format {layout!r} not taken over")
    fields |= {"dtype": dtype, "nullable": nullable or (kind is None and "not" not in found)}
    fields |= _limits(name, found, dtype, notes)
    if "enum" in found or "const" in found:  # null must pass both the type and the list
        fields["nullable"] &= None in found.get("enum", [found.get("const")])
    unread = [keyword for keyword in found if keyword not in _READ and not (keyword == "not" and kind is None)]
    notes += [f"column {name!r}: keyword {keyword!r} not taken over" for keyword in unread]
    return fields


def _limits(name: str, found: dict[str, Any], dtype: str | None, notes: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field, keyword, step in (("min_value", "minimum", 1), ("max_value", "maximum", -1)):
        open_end = found.get("exclusive" + keyword.capitalize())
        if keyword in found:
            fields[field] = found[keyword]
        elif open_end is not None and dtype == "integer" and open_end == int(open_end):
            fields[field] = int(open_end) + step
        elif open_end is not None:
            notes.append(f"column {name!r}: the open bound {open_end} not taken over; bounds of a schema are closed")
    values = found.get("enum", [found["const"]] if "const" in found else None)
    if values is not None:
        fields["allowed_values"] = tuple(value for value in values if value is not None)
    if "pattern" in found:
        fields["regex_pattern"] = _whole(str(found["pattern"]))
    return fields


def _whole(pattern: str) -> str:
    """A pattern that searches, as one for the whole value."""
    inner = pattern.removeprefix("^(?:").removesuffix(")$")
    if pattern == f"^(?:{inner})$":
        return inner
    front = "" if pattern.startswith("^") else "(?s:.*)"
    back = "" if pattern.endswith("$") and not pattern.endswith("\\$") else "(?s:.*)"
    return f"{front}(?:{pattern}){back}" if front or back else f"(?:{pattern})"


def _without_null(found: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """A property without its branch for null, and whether there was one."""
    for keyword in ("anyOf", "oneOf"):
        branches = found.get(keyword)
        if isinstance(branches, list):
            others = [branch for branch in branches if branch != {"type": "null"}]
            if len(others) == 1:
                rest = {key: value for key, value in found.items() if key != keyword}
                return {**others[0], **rest}, len(others) < len(branches)
    kinds = found.get("type")
    if isinstance(kinds, list) and "null" in kinds:
        return {**found, "type": [kind for kind in kinds if kind != "null"]}, True
    return found, False


def _number(value: Any, otherwise: float) -> Any:
    return otherwise if value is None else value


def _unchecked(column: ColumnSchema) -> list[str]:
    """What a validator of JSON Schema does not check of a column."""
    notes = []
    if column.unique:
        notes.append(about(column, "unique: rows are not compared with each other"))
    timed = column.dtype in ("date", "datetime")
    if timed and (column.min_value is not None or column.max_value is not None):
        notes.append(about(column, "bounds of dates: JSON Schema has none"))
    if column.dtype is None and (column.min_value is not None or column.max_value is not None):
        notes.append(about(column, "bounds without a dtype: JSON Schema has none"))
    if column.regex_pattern is not None and re.search(r"\(\?[a-zA-Z-]+[:)]|\\[AzpP]|\[\[:", column.regex_pattern):
        notes.append(
            about(column, "regex_pattern: written for Rust's regex, which JSON Schema (ECMA 262) may not read")
        )
    if column.dtype == "datetime":
        notes.append(about(column, "datetime: format date-time wants an offset, which a datetime may lack"))
    return notes
