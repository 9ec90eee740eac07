"""Checks of Soda: files in SodaCL, and data contracts (see `raypipe.etl.interop.soda_contract`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from raypipe.errors import ConfigError
from raypipe.etl.interop import soda_metrics as metrics
from raypipe.etl.interop.drafts import (
    NO_RULE,
    Accepted,
    Check,
    Draft,
    Imported,
    UnmappedError,
    chosen,
    collect,
    dtype_named,
    items,
    mapping,
    needed,
    no_file,
    read_values,
)
from raypipe.etl.interop.soda_contract import contract_checks

CHECKS = re.compile(r"checks for (?P<table>\S+)(?:\s+\[(?P<filter>[^]]+)\])?\s*")
FILTER = re.compile(r"filter (?P<table>\S+)\s+\[(?P<filter>[^]]+)\]\s*")
NUMBER = r"[-+]?\d+(?:\.\d+)?"
METRIC = re.compile(r"\s*(?P<metric>\w+)\s*(?:\((?P<arguments>[^)]*)\))?\s*(?P<wanted>.*)", re.DOTALL)
COMPARED = re.compile(rf"(?P<sign><=|>=|!=|<>|=|<|>)\s*(?P<end>{NUMBER})\s*(?P<percent>%?)\s*")
BETWEEN = re.compile(
    rf"(?P<negated>not\s+)?between\s*(?P<first>[\[(]?)\s*(?P<low>{NUMBER})\s*%?\s*and\s*(?P<high>{NUMBER})\s*"
    r"(?P<percent>%?)\s*(?P<last>[\])]?)\s*"
)
AGE = re.compile(r"<=?\s*((?P<d>\d+)d)?\s*((?P<h>\d+)h)?\s*((?P<m>\d+)m)?\s*((?P<s>\d+)s)?\s*")
REFERENCE = re.compile(r"\s*values in \(([^)]*)\) must (?:not )?exist in (\S+).*", re.DOTALL)
PLAIN = ("name", "identity", "attributes", "title", "samples limit", "samples columns", "collect failed rows")
"""Fields of a check that change nothing about what it asks for."""
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "!=": "=", "<>": "=", "=": "!="}


def import_soda(path: Path, table: str | None = None) -> Imported:
    """Rules of the checks on one table of a file in SodaCL, or of a data contract of Soda.

    Raises
    ------
    ConfigError
        If the file is neither, or is about several tables and `table` names none of them.
    """
    content = mapping(read_values(path, "file of checks of Soda"), str(path))
    if "dataset" in content:
        name = str(content["dataset"]).rsplit("/", 1)[-1]
        _, one = chosen({name: content}, table, path, "table")
        return collect(name, contract_checks(one, path))
    found: dict[str, list[tuple[Any, str | None]]] = {}
    for key, checks in content.items():
        if (met := CHECKS.fullmatch(str(key))) is not None:
            where = _filter(content, met["table"], met["filter"], path)
            found.setdefault(met["table"], []).extend((one, where) for one in items(checks, f"{path}: {key}"))
    if not found:
        raise ConfigError(
            f"{path}: has no checks of Soda: wanted `checks for TABLE:`, or a contract with `dataset: …/TABLE`"
        )
    name, checks = chosen(found, table, path, "table")
    return collect(name, _checks(checks))


def _filter(content: Mapping[Any, Any], table: str, name: str | None, path: Path) -> str | None:
    """The condition of a filter that stands elsewhere in the file."""
    if name is None:
        return None
    for key, value in content.items():
        met = FILTER.fullmatch(str(key))
        if met is not None and (met["table"], met["filter"]) == (table, name):
            return str(mapping(value, f"{path}: {key}").get("where"))
    raise ConfigError(f"{path}: the filter [{name}] of {table} is not there; wanted `filter {table} [{name}]:`")


def _checks(checks: list[tuple[Any, str | None]]) -> Iterator[Check]:
    for one, where in checks:
        text = str(next(iter(one))) if isinstance(one, Mapping) and one else str(one)
        body = one[text] if isinstance(one, Mapping) and text in one else None
        columns = _columns(text)
        yield ", ".join(columns) or "table", text, partial(_drafts, text, body or {}, where)


def _columns(text: str) -> list[str]:
    met = METRIC.fullmatch(text)
    found = met["arguments"].split(",") if met is not None and met["arguments"] else []
    return [name.strip().strip('"') for name in found]


def _drafts(text: str, body: Any, where: str | None) -> list[Draft]:
    if REFERENCE.fullmatch(text):
        raise no_file(REFERENCE.fullmatch(text)[2])  # type: ignore[index]  # it matched a moment ago
    if not isinstance(body, Mapping):
        raise UnmappedError(f"wanted fields with values below it, got {body!r}")
    rest = {key: value for key, value in body.items() if key not in PLAIN}
    condition = rest.pop("filter", None)
    conditions = [metrics.refuse_templates(one) for one in (where, condition) if one is not None]
    joined = " AND ".join(f"({one})" for one in conditions) if len(conditions) > 1 else "".join(conditions)
    made = [draft | ({"where": joined} if joined else {}) for draft in _by_kind(text, rest)]
    return [draft | ({"description": str(body["name"])} if "name" in body else {}) for draft in made]


def _by_kind(text: str, body: dict[str, Any]) -> list[Draft]:
    if text == "schema":
        return _schema(body)
    if text == "failed rows":
        if set(body) != {"fail condition"}:
            raise UnmappedError("its query is in the SQL of a database")
        return metrics.failed_rows(metrics.refuse_templates(body["fail condition"]))
    met = METRIC.fullmatch(metrics.refuse_templates(text))
    if met is None:
        raise UnmappedError(NO_RULE)
    levels = [(name, body.pop(name)) for name in ("fail", "warn") if name in body]
    make = partial(_of_metric, met["metric"], _columns(text), body)
    if not levels:
        return make(met["wanted"], False)
    if met["wanted"].strip():
        raise UnmappedError("it has a bound of its own, and bounds under warn or fail")
    return _merged([(level, make(_when(wanted), True)) for level, wanted in levels])


def _when(wanted: Any) -> str:
    text = str(wanted).strip()
    if not text.startswith("when "):
        raise UnmappedError(f"wanted `when …` under warn or fail, got {wanted!r}")
    return text.removeprefix("when ")


def _merged(levels: list[tuple[str, list[Draft]]]) -> list[Draft]:
    """Bounds to warn and to fail at, on the same rules where they can have both."""
    if len(levels) == 1:
        return [draft | ({"severity": "warning"} if levels[0][0] == "warn" else {}) for draft in levels[0][1]]
    (_, fail), (_, warn) = levels
    if [_bare(draft) for draft in fail] == [_bare(draft) for draft in warn] and not any("min" in one for one in fail):
        pairs = zip(fail, warn, strict=True)
        return [{**one, "error": one.get("error", 0), "warn": other.get("error", 0)} for one, other in pairs]
    return [*fail, *({**draft, "severity": "warning"} for draft in warn)]


def _bare(draft: Draft) -> Draft:
    return {key: value for key, value in draft.items() if key != "error"}


def _of_metric(metric: str, columns: list[str], body: dict[str, Any], wanted: str, negated: bool) -> list[Draft]:
    if metric == "freshness":
        return metrics.freshness(needed(columns[0] if columns else None), _hours(wanted, negated))
    kind, _, unit = metric.rpartition("_")
    words = {key.replace(" ", "_"): value for key, value in body.items()}
    unknown = [key for key in words if key not in metrics.KNOWN_WORDS]
    if unknown:
        raise UnmappedError(f"{unknown[0].replace('_', ' ')!r} below it has no counterpart here")
    accepted = _accepted(wanted, negated)
    column = columns[0] if columns else None
    if unit in ("count", "percent") and kind in COUNTED:
        return COUNTED[kind](columns, accepted, unit == "percent", words)
    if metric == "percentile" and len(columns) == 2:
        bounds = accepted.bounds()
        return [{"rule": "quantile_between", "columns": columns[0], "probability": float(columns[1]), **bounds}]
    return metrics.figure(metric, column, accepted)


COUNTED: dict[str, Callable[[list[str], Accepted, bool, dict[str, Any]], list[Draft]]] = {
    "missing": lambda columns, accepted, percent, words: metrics.missing(_only(columns), accepted, percent, words),
    "invalid": lambda columns, accepted, percent, words: metrics.invalid(_only(columns), accepted, percent, words),
    "duplicate": lambda columns, accepted, percent, words: metrics.duplicates(columns, accepted),
}


def _only(columns: list[str]) -> str:
    if len(columns) != 1:
        raise UnmappedError("it names no column" if not columns else "it names several columns")
    return columns[0]


def _accepted(wanted: str, negated: bool) -> Accepted:
    """What a threshold accepts; one behind `when` says what it does not."""
    wanted = wanted.strip()
    if (met := COMPARED.fullmatch(wanted)) is not None:
        end = _number(met["end"])
        sign = OPPOSITE[met["sign"]] if negated else met["sign"]
        if sign in ("!=", "<>"):
            if end == 0:  # nothing that is counted is below it
                return Accepted(low=0, open_low=True)
            raise UnmappedError("all but one number is no range")
        ends = {"=": Accepted(end, end), "<": Accepted(high=end, open_high=True), "<=": Accepted(high=end)}
        return ends.get(sign) or Accepted(low=end, open_low=sign == ">")
    if (met := BETWEEN.fullmatch(wanted)) is not None:
        if (met["negated"] is not None) != negated:
            raise UnmappedError("what lies outside of two bounds is no range")
        first, last = met["first"] == "(", met["last"] == ")"
        return Accepted(
            _number(met["low"]), _number(met["high"]), first and bool(met["last"]), last and bool(met["first"])
        )
    raise UnmappedError(f"the threshold {wanted!r} is none that a rule can have")


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _hours(wanted: str, negated: bool) -> float:
    turned = re.sub(r"^>=?", "<", wanted.strip()) if negated else wanted.strip()
    met = AGE.fullmatch(turned)
    if met is None or not any(met.groupdict().values()) or (negated and turned == wanted.strip()):
        raise UnmappedError(f"the age {wanted.strip()!r} is none that a rule can have")
    units = {"d": 24.0, "h": 1.0, "m": 1 / 60, "s": 1 / 3600}
    return sum(int(met[unit] or 0) * hours for unit, hours in units.items())


def _schema(body: dict[str, Any]) -> list[Draft]:
    """Columns that must be there, and their types; under warn or fail."""
    found: list[Draft] = []
    for level in ("fail", "warn"):
        demands = body.pop(level, None) or {}
        if not isinstance(demands, Mapping):
            raise UnmappedError(f"wanted demands under {level}, got {demands!r}")
        severity = {"severity": "warning"} if level == "warn" else {}
        for demand, value in demands.items():
            if demand == "when required column missing":
                found.append({"rule": "columns_exist", "columns": list(value), **severity})
            elif demand == "when wrong column type":
                found += [
                    {"rule": "dtype_is", "columns": name, "dtype": dtype_named(str(kind)), **severity}
                    for name, kind in value.items()
                ]
            else:
                raise UnmappedError(f"{demand!r} has no rule of the same meaning")
    if body or not found:
        raise UnmappedError("it asks for nothing that is known here")
    return found
