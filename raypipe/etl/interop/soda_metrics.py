"""What checks of Soda count and measure, of SodaCL and of its contracts alike: rules for each metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raypipe.etl.interop.drafts import NO_RULE, Accepted, Draft, UnmappedError, between, needed, no_file

Words = Mapping[str, Any]
"""How a check says what is missing or valid, with `_` between words, such as `valid_min_length`."""
FORMATS: dict[str, Draft] = {
    "email": {"rule": "email"},
    "integer": {"rule": "parses_as_integer"},
    "ip address": {"rule": "ip_address"},
    "ipv4 address": {"rule": "ip_address", "version": "4"},
    "ipv6 address": {"rule": "ip_address", "version": "6"},
    "number": {"rule": "parses_as_number"},
    "phone number": {"rule": "phone"},
    "uuid": {"rule": "uuid"},
}
"""Formats that Soda knows by name, and the rules for the same thing."""
FIGURES = {
    "avg": "mean_between",
    "max": "max_between",
    "min": "min_between",
    "stddev": "stddev_between",
    "stddev_samp": "stddev_between",
    "sum": "sum_between",
}


def missing(column: str, accepted: Accepted, percent: bool, words: Words) -> list[Draft]:
    """So many values may be missing: null, or one of the words for it."""
    bound = _bound(accepted, percent)
    others: list[Draft] = []
    if words.get("missing_values"):
        others.append({"rule": "not_in_set", "columns": column, "values": list(words["missing_values"])})
    if words.get("missing_regex"):
        others.append({"rule": "not_matches", "columns": column, "pattern": f"^(?:{words['missing_regex']})$"})
    if others and bound:
        raise UnmappedError("nulls and other missing values have one bound together; write a rule `sql` by hand")
    return [{"rule": "not_null", "columns": column, **bound}, *others]


def invalid(column: str, accepted: Accepted, percent: bool, words: Words) -> list[Draft]:
    """So many values may be invalid; those that are missing do not count."""
    if words.get("missing_values") or words.get("missing_regex"):
        raise UnmappedError("values that count as missing would be invalid here; have them read as null")
    bound = _bound(accepted, percent)
    made = _valid(column, words)
    if not made:
        raise UnmappedError("it does not say what is valid")
    if bound and len(made) > 1:
        raise UnmappedError("several demands have one bound together; write a rule `sql` by hand")
    return [draft | bound for draft in made]


def duplicates(columns: list[str], accepted: Accepted) -> list[Draft]:
    """No value may occur twice."""
    if not columns:
        raise UnmappedError("it names no column")
    if accepted.rows_at_fault():
        raise UnmappedError("it counts values that occur more than once, and a rule the rows that repeat one")
    return [{"rule": "unique_together" if len(columns) > 1 else "unique", "columns": columns}]


def figure(metric: str, column: str | None, accepted: Accepted) -> list[Draft]:
    """A figure of the table or of a column."""
    if metric == "row_count":
        return [{"rule": "row_count", **accepted.bounds(whole=True)}]
    if metric in ("min_length", "max_length"):
        bounds = accepted.bounds(whole=True)
        wanted, other = ("min", "max") if metric == "min_length" else ("max", "min")
        if bounds[other] is not None:
            raise UnmappedError("it wants some text to be so long, which no rule about rows says")
        return [{"rule": "length_between", "columns": needed(column), wanted: bounds[wanted]}]
    if metric not in FIGURES:
        raise UnmappedError(NO_RULE)
    return [{"rule": FIGURES[metric], "columns": needed(column), **accepted.bounds()}]


def freshness(column: str, hours: float) -> list[Draft]:
    """The latest value is at most so old."""
    return [{"rule": "freshness", "columns": column, "max_age_hours": hours}]


def failed_rows(condition: str) -> list[Draft]:
    """No row for which the condition is true."""
    return [{"rule": "sql", "condition": f"NOT ({condition})"}]


def refuse_templates(text: object) -> str:
    """The text, unless a variable of a scan stands in it."""
    if "${" in str(text):
        raise UnmappedError("a variable of a scan stands in it")
    return str(text)


def _bound(accepted: Accepted, percent: bool) -> dict[str, Any]:
    rows = accepted.rows_at_fault(percent)
    return {"error": rows} if rows else {}


def _valid(column: str, words: Words) -> list[Draft]:
    found: list[Draft] = []
    for word, make in VALID.items():
        if words.get(word) is not None:
            found.append({"columns": column, **make(words[word])})
    low, high = words.get("valid_min_length"), words.get("valid_max_length")
    if low is not None or high is not None:
        found.append({"rule": "length_between", "columns": column, "min": low or 0, "max": high})
    return found + between(column, words.get("valid_min"), words.get("valid_max"))


def _format(value: Any) -> Draft:
    if isinstance(value, Mapping):  # of a contract: a name for readers, and the pattern
        if not value.get("regex"):
            raise UnmappedError("its format has no regex")
        return {"rule": "matches", "pattern": str(value["regex"]), "anywhere": True}
    if str(value).lower() not in FORMATS:
        raise UnmappedError(f"raypipe has no rule for the format {value!r}")
    return FORMATS[str(value).lower()]


def _no_format(value: Any) -> Draft:
    raise UnmappedError(f"raypipe has no rule against the format {value!r}")


def _reference(value: Any) -> Draft:
    raise no_file(value.get("dataset") if isinstance(value, Mapping) else value)


VALID: dict[str, Callable[[Any], Draft]] = {
    "valid_values": lambda value: {"rule": "in_set", "values": list(value)},
    "invalid_values": lambda value: {"rule": "not_in_set", "values": list(value)},
    "valid_regex": lambda value: {"rule": "matches", "pattern": str(value), "anywhere": True},
    "invalid_regex": lambda value: {"rule": "not_matches", "pattern": str(value)},
    "valid_length": lambda value: {"rule": "length_is", "chars": value},
    "valid_format": _format,
    "invalid_format": _no_format,
    "valid_reference_data": _reference,
}
LENGTHS_AND_ENDS = ("valid_min_length", "valid_max_length", "valid_min", "valid_max")
KNOWN_WORDS = (*VALID, *LENGTHS_AND_ENDS, "missing_values", "missing_regex")
