"""Data contracts of Soda: the checks on a table and on each of its columns, of release 4 and, where alike, of 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from raypipe.etl.interop import soda_metrics as metrics
from raypipe.etl.interop.drafts import (
    NO_RULE,
    Accepted,
    Check,
    Draft,
    UnmappedError,
    dtype_named,
    items,
    mapping,
    needed,
)

PLAIN = ("name", "attributes", "qualifier", "type", "columns", "column", "expression", "function", "unit")
HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0}
OPERATORS = {
    "must_be": ("low", "high"),
    "must_be_greater_than": ("low",),
    "must_be_greater_than_or_equal": ("low",),
    "must_be_less_than": ("high",),
    "must_be_less_than_or_equal": ("high",),
}
ENDS = {"greater_than": ("low", True), "greater_than_or_equal": ("low", False), "less_than": ("high", True),
        "less_than_or_equal": ("high", False)}  # fmt: skip
OLDER = {
    "no_missing_values": "missing", "missing_count": "missing", "missing_percent": "missing",
    "no_invalid_values": "invalid", "invalid_count": "invalid", "invalid_percent": "invalid",
    "no_duplicate_values": "duplicate", "duplicate_count": "duplicate", "duplicate_percent": "duplicate",
    "unique": "duplicate", "rows_exist": "row_count",
}  # fmt: skip
"""Names of release 3."""


def contract_checks(contract: Mapping[str, Any], path: Path) -> Iterator[Check]:
    """The checks of a contract."""
    columns = [mapping(one, f"{path}: columns") for one in items(contract.get("columns"), f"{path}: columns")]
    where = contract.get("filter") or contract.get("sql_filter")
    for check in items(contract.get("checks"), f"{path}: checks"):
        kind, body = _taken_apart(check)
        make = partial(_schema, columns, body) if kind == "schema" else partial(_drafts, kind, None, body, where)
        yield "table", kind, make
    for column in columns:
        name = str(column.get("name"))
        shared = {key: value for key, value in column.items() if key in metrics.KNOWN_WORDS}
        for check in items(column.get("checks"), f"{path}: checks of {name}"):
            kind, body = _taken_apart(check)
            if kind in ("missing", "invalid") and isinstance(body, Mapping):
                body = {**shared, **body}
            yield name, kind, partial(_drafts, kind, name, body, where)


def _taken_apart(check: Any) -> tuple[str, Any]:
    """Kind and fields of a check: `- missing:` of release 4, or `- type: missing_count` of 3."""
    if not isinstance(check, Mapping):
        return str(check), {}
    if "type" not in check:
        kind = str(next(iter(check), ""))
        return kind, check.get(kind) or {}
    kind = str(check["type"])
    rest = {key: value for key, value in check.items() if key != "type"}
    threshold = {key: rest.pop(key) for key in list(rest) if key.startswith("must_")}
    if kind.endswith("_percent"):
        threshold["metric"] = "percent"
    if kind == "freshness_in_hours":
        return "freshness", {**rest, "threshold": {"unit": "hour", **threshold}}
    if kind in metrics.FIGURES:
        return "aggregate", {**rest, "function": kind, "threshold": threshold}
    return OLDER.get(kind, kind), {**rest, **({"threshold": threshold} if threshold else {})}


def _drafts(kind: str, column: str | None, body: Any, where: Any) -> list[Draft]:
    if not isinstance(body, Mapping):
        raise UnmappedError(f"wanted fields with values below it, got {body!r}")
    rest = {key: value for key, value in body.items() if key not in PLAIN}
    threshold = dict(rest.pop("threshold", None) or {})
    conditions = [metrics.refuse_templates(one) for one in (where, rest.pop("filter", None)) if one]
    unknown = [key for key in rest if key not in metrics.KNOWN_WORDS]
    if unknown:
        raise UnmappedError(f"{unknown[0]!r} below it has no counterpart here")
    level = {"severity": "warning"} if threshold.pop("level", "fail") == "warn" else {}
    joined = " AND ".join(f"({one})" for one in conditions) if len(conditions) > 1 else "".join(conditions)
    more = level | ({"where": joined} if joined else {})
    return [draft | more for draft in _of_kind(kind, column, (body, rest), threshold)]


def _of_kind(
    kind: str, column: str | None, fields: tuple[Mapping[str, Any], dict[str, Any]], threshold: dict[str, Any]
) -> list[Draft]:
    body, words = fields
    percent = threshold.pop("metric", "count") == "percent"
    if kind == "failed_rows":
        if "expression" not in body:
            raise UnmappedError("its query is in the SQL of a database")
        return metrics.failed_rows(metrics.refuse_templates(body["expression"]))
    if kind == "freshness":
        return _freshness(str(body.get("column") or needed(column)), threshold, body)
    if kind == "row_count":
        return metrics.figure(kind, None, _accepted(threshold) or Accepted(low=0, open_low=True))
    accepted = _accepted(threshold) or Accepted(0, 0)
    if kind == "missing":
        return metrics.missing(needed(column), accepted, percent, words)
    if kind == "invalid":
        return metrics.invalid(needed(column), accepted, percent, words)
    if kind == "duplicate":
        return metrics.duplicates([str(name) for name in body.get("columns") or [needed(column)]], accepted)
    if kind == "aggregate":
        return metrics.figure(str(body.get("function")), column, accepted)
    raise UnmappedError(NO_RULE)


def _accepted(threshold: dict[str, Any]) -> Accepted | None:
    """What a threshold accepts; None where there is none."""
    if not threshold:
        return None
    operator, value = next(iter(threshold.items()))
    if len(threshold) > 1 or operator not in (*OPERATORS, "must_be_between"):
        raise UnmappedError(f"the threshold {', '.join(threshold)} is none that a rule can have")
    if operator != "must_be_between":
        strict = operator in ("must_be_greater_than", "must_be_less_than")
        ends = dict.fromkeys(OPERATORS[operator], value)
        return Accepted(**ends, **({f"open_{next(iter(ends))}": True} if strict else {}))
    if isinstance(value, list):
        return Accepted(*value)
    found: dict[str, Any] = {}
    for name, end in value.items():
        if name not in ENDS:
            raise UnmappedError(f"the threshold {name} is none that a rule can have")
        side, is_open = ENDS[name]
        found |= {side: end, f"open_{side}": is_open}
    return Accepted(**found)


def _freshness(column: str, threshold: dict[str, Any], body: Mapping[str, Any]) -> list[Draft]:
    unit = str(threshold.pop("unit", None) or body.get("unit") or "hour")
    accepted = _accepted(threshold)
    if unit not in HOURS or accepted is None or accepted.high is None or accepted.low is not None:
        raise UnmappedError("its threshold is none that an age can have here")
    return metrics.freshness(column, accepted.high * HOURS[unit])


def _schema(columns: list[Mapping[str, Any]], body: Any) -> list[Draft]:
    options = body if isinstance(body, Mapping) else {}
    names = [str(one.get("name")) for one in columns]
    if not names:
        raise UnmappedError("the contract names no columns")
    found: list[Draft] = [
        {"rule": "columns_exist" if options.get("allow_extra_columns") else "columns_exactly", "columns": names}
    ]
    if len(names) > 1 and not options.get("allow_other_column_order"):
        found.append({"rule": "columns_ordered", "columns": names})
    typed = [(name, one["data_type"]) for name, one in zip(names, columns, strict=True) if one.get("data_type")]
    return found + [{"rule": "dtype_is", "columns": name, "dtype": dtype_named(str(kind))} for name, kind in typed]
