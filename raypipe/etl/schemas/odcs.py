"""Schemas to and from data contracts: the Open Data Contract Standard (ODCS) 3.1, one table a contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from raypipe.errors import ConfigError
from raypipe.etl.rules.dtypes import INTEGERS, canonical_dtype
from raypipe.etl.rules.schema import ColumnSchema, DataSchema
from raypipe.etl.schemas.conversion import (
    Converted,
    about,
    column_remark,
    restored,
    schema_of,
    schema_remark,
    table_notes,
)
from raypipe.etl.schemas.odcs_quality import read_quality, values_check
from raypipe.etl.wording import shown

API_VERSION = "v3.1.0"
_REMARK = "raypipe"

_TYPES: dict[str, tuple[str, str | None]] = {
    **{name: ("integer", name.replace("uint", "u").replace("int", "i")) for name in INTEGERS},
    "integer": ("integer", None),
    "float32": ("number", "f32"),
    "float64": ("number", "f64"),
    "number": ("number", None),
    "decimal": ("number", None),
    "boolean": ("boolean", None),
    "text": ("string", None),
    "category": ("string", None),
    "date": ("date", None),
    "datetime": ("timestamp", None),
    "time": ("time", None),
    "duration": ("string", "duration"),
    "binary": ("string", "binary"),
}
"""dtype -> logical type and the format in its options."""
_NAMED = {
    "integer": "integer", "number": "number", "boolean": "boolean", "string": "text",
    "date": "date", "timestamp": "datetime", "time": "time",
}  # fmt: skip
_FORMATS = {
    **{name.replace("uint", "u").replace("int", "i"): name for name in INTEGERS},
    "f32": "float32", "f64": "float64", "duration": "duration", "binary": "binary",
}  # fmt: skip
_MEANINGS = {"email": "email", "uuid": "uuid", "uri": "url", "ipv4": "ip_address", "ipv6": "ip_address"}
_OPTIONS = {"minimum": "min_value", "maximum": "max_value", "pattern": "regex_pattern"}
_PROPERTY = frozenset(
    ("name", "logicalType", "physicalType", "logicalTypeOptions", "required", "unique", "primaryKey",
     "primaryKeyPosition", "description", "quality", "customProperties")
)  # fmt: skip
_TABLE = frozenset(("name", "logicalType", "physicalType", "description", "properties", "quality", "customProperties"))
_CONTRACT = frozenset(("apiVersion", "kind", "id", "name", "version", "status", "description", "schema"))


def to_odcs(schema: DataSchema, contract_id: str | None = None, status: str = "draft") -> Converted[dict[str, Any]]:
    """A contract with this table, as plain values to be written as YAML."""
    notes = table_notes(schema, keys=False)
    for column in schema.columns:
        notes += _unsaid(column)
    table: dict[str, Any] = {
        "name": schema.name,
        "logicalType": "object",
        "physicalType": "table",
        **({"description": schema.description} if schema.description else {}),
        "properties": [_with_remark(column, schema.primary_key) for column in schema.columns],
        "customProperties": [{"property": _REMARK, "value": schema_remark(schema)}],
    }
    if len(schema.primary_key) > 1:
        keys = {"properties": list(schema.primary_key)}
        table["quality"] = [{"metric": "duplicateValues", "arguments": keys, "mustBe": 0, "unit": "rows"}]
    contract = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": contract_id or schema.name,
        "name": schema.name,
        "version": schema.version,
        "status": status,
        "schema": [table],
    }
    return Converted(contract, tuple(notes))


def from_odcs(contract: Mapping[str, Any], table: str | None = None) -> Converted[DataSchema]:
    """The schema of one table of a contract.

    Parameters
    ----------
    contract : mapping
        Content of the YAML file.
    table : str, optional
        Which table, where the contract has several.

    Raises
    ------
    ConfigError
        If it is no contract, has no such table, or several and none was named.
    """
    found = _table(contract, table)
    notes = [f"{key}: of the contract, not taken over" for key in contract if key not in _CONTRACT]
    notes += [f"{key}: of the table, not taken over" for key in found if key not in _TABLE]
    properties = found.get("properties") or []
    marked = [one for one in properties if one.get("primaryKey")]
    key = tuple(one["name"] for one in sorted(marked, key=lambda one: one.get("primaryKeyPosition", -1)))
    columns = [_column(one, key, notes) for one in properties]
    if not columns:
        raise ConfigError(f"data contract: table {shown(found['name'])} has no properties; a schema wants at least one")
    fields, rest = read_quality(found.get("quality") or [], None)
    if fields.get("composite") and not key:
        key = fields["composite"]
    elif fields.get("composite") and set(fields["composite"]) != set(key):
        notes.append(f"duplicateValues of {', '.join(map(shown, fields['composite']))}: a schema has one key")
    notes += [f"table {shown(found['name'])}: {text}" for text in rest]
    remark = {**_remark(found), "version": str(contract.get("version", "1.0.0"))}
    return Converted(schema_of(remark, columns, found["name"], found.get("description", ""), key), tuple(notes))


def _table(contract: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    if not isinstance(contract, Mapping) or contract.get("kind") != "DataContract":
        raise ConfigError("data contract: wanted `kind: DataContract`, as in the Open Data Contract Standard 3.x")
    if not str(contract.get("apiVersion", "")).startswith("v3."):
        raise ConfigError(
            f"data contract: apiVersion is {shown(contract.get('apiVersion'))}; wanted {API_VERSION} or another v3"
        )
    tables = contract.get("schema") or []
    names = [one.get("name") for one in tables]
    if name is None and len(tables) == 1:
        return dict(tables[0])
    if name in names:
        return dict(tables[names.index(name)])
    asked = f"no table {shown(name)}" if name is not None else f"{len(tables)} tables, and none was named"
    raise ConfigError(f"data contract: {asked}; it has: {', '.join(map(str, names)) or 'none'}")


def _with_remark(column: ColumnSchema, key: tuple[str, ...]) -> dict[str, Any]:
    return {**_property(column, key), "customProperties": [{"property": _REMARK, "value": column_remark(column)}]}


def _property(column: ColumnSchema, key: tuple[str, ...]) -> dict[str, Any]:
    logical, layout = _TYPES[column.dtype] if column.dtype else (None, None)
    options = {"format": layout} if layout else {}
    if logical not in (None, "boolean"):
        options |= {
            word: getattr(column, field) for word, field in _OPTIONS.items() if getattr(column, field) is not None
        }
    found: dict[str, Any] = {"name": column.name}
    if logical:
        found |= {"logicalType": logical, "physicalType": column.dtype}
    if options:
        found["logicalTypeOptions"] = options
    found["required"] = not column.nullable or column.name in key
    if column.unique or key == (column.name,):
        found["unique"] = True
    if column.name in key:
        found |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    if column.description:
        found["description"] = column.description
    if column.allowed_values is not None:
        found["quality"] = [values_check(column)]
    return found


def _column(found: Mapping[str, Any], key: tuple[str, ...], notes: list[str]) -> ColumnSchema:
    plain = {word: value for word, value in found.items() if word != "customProperties"}

    def still_so(column: ColumnSchema) -> bool:
        return _property(column, key) == plain

    try:
        return restored(_remark(found), found["name"], still_so, lambda: _read(found, key, notes))
    except KeyError:
        raise ConfigError("data contract: a property has no name") from None
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise ConfigError(f"data contract: property {shown(found['name'])} cannot be a column: {reason}") from None


def _read(found: Mapping[str, Any], key: tuple[str, ...], notes: list[str]) -> dict[str, Any]:
    """Fields of a column by the words of the standard alone."""
    name, options = found["name"], dict(found.get("logicalTypeOptions") or {})
    fields: dict[str, Any] = {"name": name, "dtype": _dtype(found, options, notes)}
    layout = options.pop("format", None)
    if layout in _MEANINGS:
        fields["semantic"] = _MEANINGS[layout]
    elif layout is not None and layout not in _FORMATS:
        notes.append(f"column {name!r}: format {layout!r} not taken over")
    for word, value in options.items():
        if word in _OPTIONS:
            fields[_OPTIONS[word]] = value
        else:
            notes.append(f"column {name!r}: option {word!r} not taken over")
    checks, rest = read_quality(found.get("quality") or [], name)
    fields |= {
        "nullable": not (found.get("required", False) or checks.pop("not_null", False)) or name in key,
        "unique": bool(found.get("unique", False) or checks.pop("unique", False)) and key != (name,),
        "description": found.get("description", ""),
    }
    notes += [f"column {name!r}: {text}" for text in rest]
    notes += [f"column {name!r}: {word} not taken over" for word in found if word not in _PROPERTY]
    return fields | checks


def _dtype(found: Mapping[str, Any], options: Mapping[str, Any], notes: list[str]) -> str | None:
    logical, layout = found.get("logicalType"), options.get("format")
    if layout in _FORMATS and logical in ("integer", "number", "string"):
        return _FORMATS[layout]
    if logical in _NAMED:
        try:  # a narrower word of ours, such as decimal or category
            physical = canonical_dtype(str(found.get("physicalType", "")))
        except ValueError:
            return _NAMED[logical]
        return physical if _TYPES[physical][0] == logical else _NAMED[logical]
    if logical is not None:
        notes.append(f"column {found['name']!r}: logicalType {logical!r} has no counterpart; any type will do")
    return None


def _remark(found: Mapping[str, Any]) -> dict[str, Any]:
    for one in found.get("customProperties") or []:
        if one.get("property") == _REMARK and isinstance(one.get("value"), Mapping):
            return dict(one["value"])
    return {}


def _unsaid(column: ColumnSchema) -> Iterator[str]:
    """What a contract has no words for."""
    if not column.required:
        yield about(column, "not required: a contract wants every column; kept as a custom property")
    limits = (column.min_value, column.max_value, column.regex_pattern)
    if column.dtype in (None, "boolean") and any(limit is not None for limit in limits):
        yield about(column, "bounds or pattern without a logical type: kept as a custom property")
    if column.regex_pattern is not None:
        yield about(column, "regex_pattern: for the whole value here; a contract does not say whether a part will do")
    if column.semantic or column.unit or column.pii:
        yield about(column, "semantic, unit, pii: kept as custom properties")
