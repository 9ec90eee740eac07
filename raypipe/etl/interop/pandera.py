"""Schemas of pandera: its YAML and JSON, or a `DataFrameSchema` in Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from raypipe.errors import ConfigError
from raypipe.etl.interop.drafts import Draft, Imported, UnmappedError, between, collect, mapping, read_values
from raypipe.etl.rules.dtypes import canonical_dtype

Check = tuple[str, str, Callable[[], Sequence[Draft]]]
COLUMN_FIELDS = ("title", "description", "dtype", "nullable", "checks", "unique", "coerce", "required", "regex",
                 "metadata", "default", "report_duplicates", "drop_invalid_rows", "parsers")  # fmt: skip
"""What a column has beside its checks."""


def import_pandera(path: Path) -> Imported:
    """Rules of a schema that `to_yaml` or `to_json` wrote.

    Raises
    ------
    ConfigError
        If the file is none.
    """
    content = mapping(read_values(path, "schema of pandera"), str(path))
    if not isinstance(content.get("columns"), Mapping):
        raise ConfigError(f"{path}: is no schema of pandera; it has no `columns`")
    return collect(str(content.get("name") or path.stem), _checks(content))


def from_pandera(schema: Any) -> Imported:
    """Rules of a `DataFrameSchema`, or of a `DataFrameModel`.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    schema = schema.to_schema() if hasattr(schema, "to_schema") else schema
    if not hasattr(schema, "columns") or not hasattr(schema, "checks"):
        raise ConfigError(f"pandera: got {type(schema).__name__}; wanted a DataFrameSchema or a DataFrameModel")
    columns = {str(name): _column_values(column) for name, column in schema.columns.items()}
    content = {
        "columns": columns, "checks": _check_values(schema.checks), "strict": schema.strict, "unique": schema.unique,
        "ordered": schema.ordered, "index": None,
    }  # fmt: skip
    return collect(str(schema.name or "pandera"), _checks(content))


def _column_values(column: Any) -> dict[str, Any]:
    return {
        "dtype": str(column.dtype) if column.dtype is not None else None, "nullable": column.nullable,
        "unique": column.unique, "required": column.required, "regex": column.regex,
        "checks": _check_values(column.checks),
    }  # fmt: skip


def _check_values(checks: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, check in enumerate(checks or ()):
        name = str(check.name or f"check {number + 1}")
        values = dict(check.statistics or {})
        options = {"raise_warning": True} if check.raise_warning else {}
        key = name if name not in found else f"{name}#{number}"
        found[key] = {**values, "options": {"check_name": name, **options}}
    return found


def _checks(content: Mapping[str, Any]) -> Iterator[Check]:
    columns = content["columns"]
    required = [str(name) for name, one in columns.items() if (one or {}).get("required", True) and not _regex(one)]
    if required:
        yield "schema", "required", lambda: [{"rule": "columns_exist", "columns": required}]
    for name, one in columns.items():
        yield from _of_column(str(name), dict(one or {}))
    if content.get("strict") is True:
        yield "schema", "strict", lambda: [{"rule": "no_extra_columns", "columns": [str(name) for name in columns]}]
    if content.get("ordered") and len(columns) > 1:
        yield "schema", "ordered", lambda: [{"rule": "columns_ordered", "columns": [str(name) for name in columns]}]
    if content.get("unique"):
        yield "schema", "unique", lambda: _unique(content["unique"])
    for name, _ in _named(content.get("checks")):
        yield "schema", name, lambda: _refuse("a check of the whole frame is code of Python")
    if content.get("index"):
        yield "schema", "index", lambda: _refuse("tables have no index here; make it a column")


def _unique(names: Any) -> list[Draft]:
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    return [{"rule": "unique_together" if len(names) > 1 else "unique", "columns": names}]


def _of_column(name: str, one: dict[str, Any]) -> Iterator[Check]:
    if _regex(one):
        yield name, "regex", lambda: _refuse("its name is a pattern for several columns; write the rules for each")
        return
    if one.get("dtype"):
        yield name, "dtype", lambda: [{"rule": "dtype_is", "columns": name, "dtype": _dtype(str(one["dtype"]))}]
    if not one.get("nullable", False):
        yield name, "nullable", lambda: [{"rule": "not_null", "columns": name}]
    if one.get("unique"):
        yield name, "unique", lambda: [{"rule": "unique", "columns": name}]
    if one.get("parsers"):
        yield name, "parsers", lambda: _refuse("a parser changes values; see the processing steps")
    own = {key: value for key, value in one.items() if key not in COLUMN_FIELDS}
    for check, value in [*_named(one.get("checks")), *_named(own)]:
        yield name, check, partial(_made, name, check, value)


def _named(checks: Any) -> list[tuple[str, Any]]:
    """Checks by name, from a mapping or a list."""
    if isinstance(checks, list):
        return [(str((one.get("options") or {}).get("check_name")), one) for one in checks if isinstance(one, Mapping)]
    found = []
    for name, value in (checks or {}).items():
        options = value.get("options") if isinstance(value, Mapping) else None
        found.append((str((options or {}).get("check_name", name)), value))
    return found


def _regex(one: Any) -> bool:
    return bool((one or {}).get("regex"))


def _refuse(reason: str) -> list[Draft]:
    raise UnmappedError(reason)


def _dtype(text: str) -> str:
    plain = re.sub(r"\[.*\]$", "", text.lower()) if text.lower().startswith(("datetime64", "string")) else text
    try:
        return canonical_dtype(
            {"str": "text", "string": "text", "object": "text", "datetime64": "datetime"}.get(plain, plain)
        )
    except ValueError as error:
        raise UnmappedError(str(error)) from error


def _made(column: str, check: str, value: Any) -> list[Draft]:
    make = CHECKS.get(check)
    if make is None:
        raise UnmappedError("raypipe has no rule of this meaning; a check of your own is code of Python")
    options: Mapping[str, Any] = {}
    if isinstance(value, Mapping):
        options = value.get("options") or {}
        value = {key: held for key, held in value.items() if key != "options"}
        if set(value) == {"value"}:
            value = value["value"]
    if options.get("ignore_na") is False:
        raise UnmappedError("it counts nulls as at fault (ignore_na: false); add not_null by hand")
    drafts = make(column, value)
    return [draft | ({"severity": "warning"} if options.get("raise_warning") else {}) for draft in drafts]


def _value(value: Any, *names: str) -> Any:
    """The one argument of a check, which stands alone or under its name."""
    if not isinstance(value, Mapping):
        return value
    for name in names:
        if name in value:
            return value[name]
    raise UnmappedError(f"its arguments are {', '.join(map(str, value))}; wanted {names[0]}")


def _bound(side: str, strict: bool) -> Callable[[str, Any], list[Draft]]:
    def make(column: str, value: Any) -> list[Draft]:
        bound = _value(value, f"{side}_value", "value")
        low, high = (bound, None) if side == "min" else (None, bound)
        return between(column, low, high, strict and side == "min", strict and side == "max")

    return make


def _in_range(column: str, value: Any) -> list[Draft]:
    given = mapping(value, "in_range")
    open_low, open_high = not given.get("include_min", True), not given.get("include_max", True)
    return between(column, given.get("min_value"), given.get("max_value"), open_low, open_high)


def _length(column: str, value: Any) -> list[Draft]:
    given = value if isinstance(value, Mapping) else {"exact_value": value}
    if given.get("exact_value") is not None:
        return [{"rule": "length_is", "columns": column, "chars": given["exact_value"]}]
    return [
        {"rule": "length_between", "columns": column, "min": given.get("min_value") or 0, "max": given.get("max_value")}
    ]


def _listed(rule: str, *names: str) -> Callable[[str, Any], list[Draft]]:
    return lambda column, value: [{"rule": rule, "columns": column, "values": _value(value, *names)}]


def _pattern(column: str, value: Any) -> list[Draft]:
    # pandera matches from the beginning of the text, as re.match does.
    return [{"rule": "matches", "columns": column, "pattern": f"^(?:{_value(value, 'pattern')})", "anywhere": True}]


CHECKS: dict[str, Callable[[str, Any], list[Draft]]] = {
    "equal_to": lambda column, value: [{"rule": "in_set", "columns": column, "values": [_value(value, "value")]}],
    "not_equal_to": lambda column, value: [
        {"rule": "not_in_set", "columns": column, "values": [_value(value, "value")]}
    ],
    "greater_than": _bound("min", strict=True),
    "greater_than_or_equal_to": _bound("min", strict=False),
    "less_than": _bound("max", strict=True),
    "less_than_or_equal_to": _bound("max", strict=False),
    "in_range": _in_range,
    "isin": _listed("in_set", "allowed_values", "value"),
    "notin": _listed("not_in_set", "forbidden_values", "value"),
    "str_matches": _pattern,
    "str_contains": lambda column, value: [
        {"rule": "matches", "columns": column, "pattern": _value(value, "pattern"), "anywhere": True}
    ],
    "str_startswith": lambda column, value: [
        {"rule": "starts_with", "columns": column, "text": _value(value, "string", "value")}
    ],
    "str_endswith": lambda column, value: [
        {"rule": "ends_with", "columns": column, "text": _value(value, "string", "value")}
    ],
    "str_length": _length,
    "unique_values_eq": _listed("categories_exactly", "values", "value"),
}
