"""Data contracts of the Open Data Contract Standard (Bitol), version 3: what they say of quality, read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from raypipe.errors import ConfigError
from raypipe.etl.interop.drafts import (
    NO_RULE,
    Accepted,
    Check,
    Draft,
    Imported,
    UnmappedError,
    anywhere,
    between,
    chosen,
    collect,
    items,
    mapping,
    needed,
    read_values,
)
from raypipe.etl.rules.rule import Rule
from raypipe.etl.rules.ruleset import RuleSet, written

TYPES = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean", "date": "date",
         "timestamp": "datetime"}  # fmt: skip
SEVERITIES = {"error": "error", "warning": "warning", "info": "info"}
VERSION = "v3.1.0"


def import_odcs(path: Path, table: str | None = None) -> Imported:
    """Rules of one table of a contract.

    Raises
    ------
    ConfigError
        If the file is none, or has several tables and `table` names none of them.
    """
    content = mapping(read_values(path, "data contract"), str(path))
    if content.get("kind") != "DataContract" or not str(content.get("apiVersion", "")).startswith("v3"):
        raise ConfigError(f"{path}: is no data contract of ODCS 3: wanted `kind: DataContract` and `apiVersion: v3.…`")
    found = {
        str(mapping(one, f"{path}: schema").get("name")): one for one in items(content.get("schema"), f"{path}: schema")
    }
    if not found:
        raise ConfigError(f"{path}: has no table in `schema`")
    name, one = chosen(found, table, path, "table")
    return collect(name, _checks(one, path))


def _checks(table: Mapping[str, Any], path: Path) -> Iterator[Check]:
    properties = [mapping(one, f"{path}: properties") for one in items(table.get("properties"), f"{path}: properties")]
    names = [str(one.get("name")) for one in properties]
    if names:
        yield "table", "properties", lambda: [{"rule": "columns_exist", "columns": names}]
    keys = [one for one in properties if one.get("primaryKey")]
    if keys:
        ordered = sorted(keys, key=lambda one: one.get("primaryKeyPosition") or 0)
        yield "table", "primaryKey", lambda: [{"rule": "primary_key", "columns": [str(one["name"]) for one in ordered]}]
    for one in properties:
        yield from _of_property(one, path)
    for quality in items(table.get("quality"), f"{path}: quality"):
        yield "table", _called(quality), partial(_quality, None, mapping(quality, "quality"))


def _of_property(one: Mapping[str, Any], path: Path) -> Iterator[Check]:
    name, kind = str(one.get("name")), one.get("logicalType")
    if kind is not None:
        yield name, "logicalType", lambda: _type(name, str(kind))
    if one.get("required"):
        yield name, "required", lambda: [{"rule": "not_null", "columns": name}]
    if one.get("unique"):
        yield name, "unique", lambda: [{"rule": "unique", "columns": name}]
    options = mapping(one.get("logicalTypeOptions") or {}, f"{path}: logicalTypeOptions")
    yield from _options(name, options)
    for quality in items(one.get("quality"), f"{path}: quality"):
        yield name, _called(quality), partial(_quality, name, mapping(quality, "quality"))


def _type(name: str, kind: str) -> list[Draft]:
    if kind not in TYPES:
        raise UnmappedError(f"columns of type {kind} are not told apart here")
    return [{"rule": "dtype_is", "columns": name, "dtype": TYPES[kind]}]


def _options(name: str, o: Mapping[str, Any]) -> Iterator[Check]:
    low, high = o.get("minimum"), o.get("maximum")
    open_low, open_high = o.get("exclusiveMinimum"), o.get("exclusiveMaximum")
    # In 3.0 these are flags beside the bound, in JSON Schema bounds by themselves.
    sides = [open_low is True, open_high is True]
    if open_low is not None and not isinstance(open_low, bool):
        low, sides[0] = open_low, True
    if open_high is not None and not isinstance(open_high, bool):
        high, sides[1] = open_high, True
    if low is not None or high is not None:
        yield name, "minimum, maximum", lambda: between(name, low, high, *sides)
    if "minLength" in o or "maxLength" in o:
        limits = {"min": o.get("minLength", 0), "max": o.get("maxLength")}
        yield name, "minLength, maxLength", lambda: [{"rule": "length_between", "columns": name, **limits}]
    if "pattern" in o:
        yield name, "pattern", lambda: [{"rule": "matches", "columns": name, "pattern": o["pattern"], "anywhere": True}]
    if "multipleOf" in o:
        yield name, "multipleOf", lambda: [{"rule": "multiple_of", "columns": name, "step": o["multipleOf"]}]
    known = {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "pattern",
        "multipleOf",
    }
    for option in [option for option in o if option not in known]:
        yield name, option, lambda: _refuse(NO_RULE)


def _refuse(reason: str) -> list[Draft]:
    raise UnmappedError(reason)


def _called(quality: Any) -> str:
    if not isinstance(quality, Mapping):
        return str(quality)
    kind = quality.get("type", "library")
    return str(quality.get("name") or quality.get("metric") or quality.get("rule") or kind)


def _quality(column: str | None, q: Mapping[str, Any]) -> list[Draft]:
    kind = q.get("type", "library")
    if kind != "library":
        raise UnmappedError({"sql": "its query is in the SQL of a database", "text": "it is prose"}.get(
            str(kind), f"quality of type {kind} is for another engine"
        ))  # fmt: skip
    metric = str(q.get("metric") or q.get("rule"))
    make = METRICS.get(metric)
    if make is None:
        raise UnmappedError(f"raypipe has no rule of the meaning of {metric}")
    drafts = make(column, q, mapping(q.get("arguments") or {}, "arguments"))
    severity = SEVERITIES.get(str(q.get("severity")))
    return [draft | ({"severity": severity} if severity and severity != "error" else {}) for draft in drafts]


def _allowed(q: Mapping[str, Any]) -> dict[str, Any]:
    """How many rows may be at fault, from an operator and a unit; nothing where none may."""
    bound = _accepted(q).rows_at_fault(str(q.get("unit", "rows")) == "percent")
    return {"error": bound} if bound else {}


def _accepted(q: Mapping[str, Any]) -> Accepted:
    for name, make in OPERATORS.items():
        if name in q:
            return make(q[name])
    raise UnmappedError("its operator is none that has a rule here")


OPERATORS: dict[str, Callable[[Any], Accepted]] = {
    "mustBe": lambda value: Accepted(value, value),
    "mustBeLessThan": lambda value: Accepted(high=value, open_high=True),
    "mustBeLessOrEqualTo": lambda value: Accepted(high=value),
    "mustBeLessThanOrEqualTo": lambda value: Accepted(high=value),
    "mustBeGreaterThan": lambda value: Accepted(low=value, open_low=True),
    "mustBeGreaterOrEqualTo": lambda value: Accepted(low=value),
    "mustBeGreaterThanOrEqualTo": lambda value: Accepted(low=value),
    "mustBeBetween": lambda value: Accepted(*value),
}


def _nulls(column: str | None, q: Mapping[str, Any], a: Mapping[str, Any]) -> list[Draft]:
    return [{"rule": "not_null", "columns": needed(column), **_allowed(q)}]


def _missing(column: str | None, q: Mapping[str, Any], a: Mapping[str, Any]) -> list[Draft]:
    values = [value for value in a.get("missingValues", [None]) if value is not None]
    bound = _allowed(q)
    if values and bound:
        raise UnmappedError("nulls and other missing values have one bound together; write a rule `sql` by hand")
    others: list[Draft] = [{"rule": "not_in_set", "columns": needed(column), "values": values}] if values else []
    return [{"rule": "not_null", "columns": needed(column), **bound}, *others]


def _invalid(column: str | None, q: Mapping[str, Any], a: Mapping[str, Any]) -> list[Draft]:
    bound, name = _allowed(q), needed(column)
    found: list[Draft] = []
    if "validValues" in a:
        found.append({"rule": "in_set", "columns": name, "values": a["validValues"], **bound})
    if "pattern" in a:
        found.append({"rule": "matches", "columns": name, "pattern": a["pattern"], "anywhere": True, **bound})
    found += [draft | bound for draft in between(name, a.get("min"), a.get("max"))]
    if not found:
        raise UnmappedError("its arguments name neither valid values nor a pattern")
    return found


def _duplicates(column: str | None, q: Mapping[str, Any], a: Mapping[str, Any]) -> list[Draft]:
    names = a.get("properties") or ([column] if column else None)
    if not names:
        raise UnmappedError("it names no properties")
    return [{"rule": "unique_together" if len(names) > 1 else "unique", "columns": list(names), **_allowed(q)}]


def _rows(column: str | None, q: Mapping[str, Any], a: Mapping[str, Any]) -> list[Draft]:
    return [{"rule": "row_count", **_accepted(q).bounds(whole=True)}]


METRICS: dict[str, Callable[[str | None, Mapping[str, Any], Mapping[str, Any]], list[Draft]]] = {
    "nullValues": _nulls,
    "missingValues": _missing,
    "invalidValues": _invalid,
    "duplicateValues": _duplicates,
    "rowCount": _rows,
    "duplicateCount": _duplicates,  # the names of 3.0
    "nullCount": _nulls,
    "validValues": lambda column, q, a: [
        {"rule": "in_set", "columns": needed(column), "values": q.get("validValues") or a.get("validValues")}
    ],
}


def export_odcs(rules: RuleSet) -> tuple[str, list[str]]:
    """A contract with the quality that the rules ask for, as YAML, and the rules that it cannot hold, with reasons."""
    properties: dict[str, dict[str, Any]] = {}
    table: list[dict[str, Any]] = []
    left: list[str] = []
    for rule in (one for whole in rules.rules for one in whole.each()):
        made = _exported(rule)
        if made is None:
            left.append(f"{rule.id}: ODCS has no metric of this meaning")
        elif rule.column is not None and rule.rule != "row_count":
            properties.setdefault(rule.column, {"name": rule.column}).setdefault("quality", []).append(made)
        else:
            table.append(made)
    body: dict[str, Any] = {"name": rules.name or "table", "properties": list(properties.values())}
    contract = {
        "kind": "DataContract", "apiVersion": VERSION, "id": rules.name or "table", "version": "1.0.0",
        "status": "draft", "schema": [body | ({"quality": table} if table else {})],
    }  # fmt: skip
    return yaml.safe_dump(contract, sort_keys=False, allow_unicode=True, width=100), left


def _exported(rule: Rule) -> dict[str, Any] | None:
    plain = written(rule)
    if plain.get("where") or plain.get("segments") or plain.get("warn") is not None:
        return None
    bound: dict[str, Any] = {"mustBe": 0}
    error = plain.get("error")
    if isinstance(error, int) and error:
        bound = {"mustBeLessOrEqualTo": error}
    elif isinstance(error, str):
        bound = {"mustBeLessOrEqualTo": float(error.rstrip("%")), "unit": "percent"}
    made: dict[str, Any] | None = None
    if rule.rule == "not_null":
        made = {"metric": "nullValues", **bound}
    elif rule.rule == "unique":
        made = {"metric": "duplicateValues", **bound}
    elif rule.rule == "unique_together":
        made = {"metric": "duplicateValues", "arguments": {"properties": list(rule.columns)}, **bound}
    elif rule.rule == "in_set":
        made = {"metric": "invalidValues", "arguments": {"validValues": plain["values"]}, **bound}
    elif rule.rule == "matches":
        made = {"metric": "invalidValues", "arguments": {"pattern": anywhere(plain)}, **bound}
    elif rule.rule == "row_count":
        low, high = plain.get("min"), plain.get("max")
        operators = {"mustBeGreaterOrEqualTo": low} if high is None else {"mustBeLessOrEqualTo": high}
        made = {"metric": "rowCount", **({"mustBeBetween": [low, high]} if None not in (low, high) else operators)}
    severity = {"severity": rule.severity} if rule.severity in ("warning", "info") else {}
    return None if made is None else {"type": "library", **made, **severity}
