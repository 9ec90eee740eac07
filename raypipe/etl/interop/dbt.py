"""Data tests of dbt: those built in, and those of dbt_utils and dbt_expectations that have a rule of one meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from raypipe.errors import ConfigError
from raypipe.etl.interop.drafts import (
    NO_RULE,
    Check,
    Draft,
    Imported,
    UnmappedError,
    between,
    chosen,
    collect,
    items,
    mapping,
    needed,
    no_file,
    quoted,
    read_values,
    share,
)
from raypipe.etl.interop.gx import EXPECTATIONS, draft_of

CONFIG = ("severity", "where", "error_if", "warn_if", "limit", "store_failures", "tags", "enabled", "fail_calc")
LIMIT = re.compile(r"\s*(>=|>|!=)\s*(\d+)\s*")
HOURS = {"hour": 1, "day": 24, "week": 168}


def import_dbt(path: Path, model: str | None = None) -> Imported:
    """Rules of one model, seed, snapshot or source table of a schema file of dbt.

    Raises
    ------
    ConfigError
        If the file is none, or has several models and `model` names none of them.
    """
    content = mapping(read_values(path, "schema file of dbt"), str(path))
    found = dict(_models(content, path))
    if not found:
        raise ConfigError(f"{path}: is no schema file of dbt; it has no models, seeds, snapshots or sources")
    name, one = chosen(found, model, path, "model")
    return collect(name, _checks(one, path))


def _models(content: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in ("models", "seeds", "snapshots"):
        for one in items(content.get(kind), f"{path}: {kind}"):
            yield str(mapping(one, f"{path}: {kind}").get("name")), one
    for source in items(content.get("sources"), f"{path}: sources"):
        for table in items(mapping(source, f"{path}: sources").get("tables"), f"{path}: tables"):
            yield f"{source.get('name')}.{mapping(table, f'{path}: tables').get('name')}", table


def _checks(model: Mapping[str, Any], path: Path) -> Iterator[Check]:
    for test in _tests(model, path):
        yield "model", _called(test), partial(_drafts, test, None)
    for one in items(model.get("columns"), f"{path}: columns"):
        column = mapping(one, f"{path}: columns")
        name = str(column.get("name"))
        for test in _tests(column, path):
            yield name, _called(test), partial(_drafts, test, name)


def _tests(entry: Mapping[str, Any], path: Path) -> list[Any]:
    return [test for key in ("tests", "data_tests") for test in items(entry.get(key), f"{path}: {key}")]


def _called(test: Any) -> str:
    return str(test) if not isinstance(test, Mapping) else str(test.get("test_name") or next(iter(test), ""))


def _drafts(test: Any, column: str | None) -> list[Draft]:
    name, arguments, config = _taken_apart(test)
    if config.get("enabled") is False:
        raise UnmappedError("it is switched off")
    if config.get("fail_calc"):
        raise UnmappedError("its fail_calc is SQL of a database")
    package, _, short = name.rpartition(".")
    if package in ("dbt_expectations", "metaplane/dbt_expectations") and short in EXPECTATIONS:
        condition = arguments.pop("row_condition", None)
        given = {**arguments, **({"column": column} if column else {})}
        drafts = draft_of(short, given, str(condition) if condition else None)
    else:
        make = TESTS.get(name)
        if make is None:
            raise UnmappedError(NO_RULE)
        drafts = make(column, arguments)
    return [_configured(draft, config) for draft in drafts]


def _taken_apart(test: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Name, arguments and configuration of a test."""
    if not isinstance(test, Mapping):
        return str(test), {}, {}
    if "test_name" in test:
        name, body = str(test["test_name"]), {key: value for key, value in test.items() if key != "test_name"}
    else:
        name = str(next(iter(test)))
        body = dict(test[name] or {}) | {key: value for key, value in test.items() if key != name}
    config = {**{key: body.pop(key) for key in CONFIG if key in body}, **(body.pop("config", None) or {})}
    arguments = {**body, **(body.pop("arguments", None) or {})}
    return (
        name,
        {key: value for key, value in arguments.items() if key not in ("name", "description", "arguments")},
        config,
    )


def _configured(draft: Draft, config: Mapping[str, Any]) -> Draft:
    """The draft with severity, condition and bounds of the test's configuration."""
    found = dict(draft)
    if str(config.get("severity", "")).lower() in ("warn", "warning"):
        found["severity"] = "warning"
    if config.get("where"):
        if "{{" in str(config["where"]):
            raise UnmappedError("its condition is a template of dbt")
        found["where"] = str(config["where"])
    for key, name in (("error_if", "error"), ("warn_if", "warn")):
        if config.get(key):
            found[name] = _limit(str(config[key]))
    return found


def _limit(text: str) -> int:
    met = LIMIT.fullmatch(text)
    if met is None or (met[1] == "!=" and met[2] != "0"):
        raise UnmappedError(f"the bound {text!r} is none that a count of rows can have here")
    return int(met[2]) - (1 if met[1] == ">=" else 0)


def _relationships(column: str | None, a: dict[str, Any]) -> list[Draft]:
    raise no_file(a.get("to"))


def _expression(column: str | None, a: dict[str, Any]) -> list[Draft]:
    text = str(a.get("expression", ""))
    return [{"rule": "sql", "condition": f"{quoted(column)} {text}" if column else text}]


def _accepted_range(column: str | None, a: dict[str, Any]) -> list[Draft]:
    low, high, closed = a.get("min_value"), a.get("max_value"), bool(a.get("inclusive", True))
    for bound in (low, high):
        if isinstance(bound, str) and not re.fullmatch(r"'?\d{4}-\d\d-\d\d'?", bound):
            raise UnmappedError(f"the bound {bound!r} is SQL of a database")
    low, high = (bound.strip("'") if isinstance(bound, str) else bound for bound in (low, high))
    found = between(needed(column), low, high, not closed and low is not None, not closed and high is not None)
    if not found:
        raise UnmappedError("neither bound is given")
    return found


def _recency(column: str | None, a: dict[str, Any]) -> list[Draft]:
    part = str(a.get("datepart"))
    if part not in HOURS or not isinstance(a.get("interval"), int):
        raise UnmappedError(f"the unit {part!r} is not of a fixed length")
    return [{"rule": "freshness", "columns": str(a.get("field")), "max_age_hours": HOURS[part] * int(a["interval"])}]


def _one(rule: str, **fields: Any) -> Callable[[str | None, dict[str, Any]], list[Draft]]:
    return lambda column, a: [{"rule": rule, "columns": needed(column), **fields}]


TESTS: dict[str, Callable[[str | None, dict[str, Any]], list[Draft]]] = {
    "not_null": _one("not_null"),
    "unique": _one("unique"),
    "accepted_values": lambda column, a: [{"rule": "in_set", "columns": needed(column), "values": a.get("values")}],
    "relationships": _relationships,
    "dbt_utils.accepted_range": _accepted_range,
    "dbt_utils.not_accepted_values": lambda column, a: [
        {"rule": "not_in_set", "columns": needed(column), "values": a.get("values")}
    ],
    "dbt_utils.not_null_proportion": lambda column, a: [
        {"rule": "not_null", "columns": needed(column), "error": share(1 - float(a.get("at_least", 1)))}
    ],
    "dbt_utils.not_empty_string": _one("not_blank"),
    "dbt_utils.not_constant": _one("distinct_count", min=2),
    "dbt_utils.at_least_one": _one("distinct_count", min=1),
    "dbt_utils.unique_combination_of_columns": lambda column, a: [
        {"rule": "unique_together", "columns": a.get("combination_of_columns")}
    ],
    "dbt_utils.expression_is_true": _expression,
    "dbt_utils.recency": _recency,
}
"""Tests by the name under which a project calls them."""
