"""Quality checks of data contracts: the five library metrics of ODCS 3.1, as far as a schema has words for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raypipe.etl.rules.schema import ColumnSchema

_OPERATORS = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
    "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip
METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")


def values_check(column: ColumnSchema) -> dict[str, Any]:
    """The check that a column holds nothing but its allowed values."""
    values = {"validValues": list(column.allowed_values or ())}
    return {"metric": "invalidValues", "arguments": values, "mustBe": 0, "unit": "rows"}


def read_quality(checks: Sequence[Mapping[str, Any]], column: str | None) -> tuple[dict[str, Any], list[str]]:
    """What checks say in the fields of a schema, and in words what they say beyond.

    Parameters
    ----------
    checks : sequence of mapping
        The `quality` of a property, or of a table.
    column : str or None
        Name of the property; None for a table.

    Returns
    -------
    tuple of dict and list of str
        `not_null`, `unique`, `allowed_values`, `regex_pattern` of a property, `composite` (columns) of a table; and a
        sentence for each check that has no field.
    """
    fields: dict[str, Any] = {}
    rest = []
    for check in checks:
        found = _read(check, column)
        if found is None:
            rest.append(f"quality check {_told(check)}: not taken over; write it as a rule of raypipe validate")
        else:
            fields |= found
    return fields, rest


def _read(check: Mapping[str, Any], column: str | None) -> dict[str, Any] | None:
    """The fields that one check stands for; None if there are none."""
    metric = check.get("metric", check.get("rule"))
    if check.get("type", "library") != "library" or not _never(check):
        return None
    arguments = dict(check.get("arguments") or {})
    if column is None:
        whole = metric == "duplicateValues" and list(arguments) == ["properties"]
        return {"composite": tuple(arguments["properties"])} if whole else None
    if metric == "nullValues" and not arguments:
        return {"not_null": True}
    if metric == "missingValues" and arguments.get("missingValues") in ([None], None):
        return {"not_null": True}
    if metric == "duplicateValues" and not arguments:
        return {"unique": True}
    if metric == "invalidValues" and set(arguments) <= {"validValues", "pattern"} and arguments:
        words = {"validValues": "allowed_values", "pattern": "regex_pattern"}
        return {words[word]: tuple(v) if word == "validValues" else v for word, v in arguments.items()}
    return None


def _never(check: Mapping[str, Any]) -> bool:
    """Whether a check allows no row at all."""
    given = {word: check[word] for word in _OPERATORS if word in check}
    return given in ({"mustBe": 0}, {"mustBeLessThan": 1}, {"mustBeLessOrEqualTo": 0})


def _told(check: Mapping[str, Any]) -> str:
    name = check.get("name") or check.get("metric") or check.get("rule") or check.get("type") or "without a name"
    bounds = " ".join(f"{word} {check[word]}" for word in _OPERATORS if word in check)
    return f"{name} {bounds}".strip()
