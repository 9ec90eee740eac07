"""Importers and exporters by the name of the tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from raypipe.errors import ConfigError
from raypipe.etl.interop.dbt import import_dbt
from raypipe.etl.interop.drafts import Imported, anywhere
from raypipe.etl.interop.gx import import_gx
from raypipe.etl.interop.odcs import export_odcs, import_odcs
from raypipe.etl.interop.pandera import import_pandera
from raypipe.etl.interop.soda import import_soda
from raypipe.etl.rules.rule import Rule
from raypipe.etl.rules.ruleset import RuleSet, written

FROM = ("gx", "dbt", "pandera", "odcs", "soda")
TO = ("odcs", "gx")
SEVERAL = {"dbt": import_dbt, "odcs": import_odcs, "soda": import_soda}
"""Importers of files that may be about several tables."""


def import_from(path: Path, tool: str, model: str | None = None) -> Imported:
    """Rules of a file of another tool.

    Raises
    ------
    ConfigError
        If the tool is not known, the file is none of it, or `model` makes no sense.
    """
    if tool in SEVERAL:
        return SEVERAL[tool](path, model)
    if model is not None:
        raise ConfigError(f"rules import: --model is for {', '.join(SEVERAL)}, whose files hold several tables")
    if tool == "gx":
        return import_gx(path)
    if tool == "pandera":
        return import_pandera(path)
    raise ConfigError(f"--from: got {tool!r}; it takes {', '.join(FROM)}")


def export_to(rules: RuleSet, tool: str) -> tuple[str, list[str]]:
    """The rules in the form of another tool, and those that it has no place for, with the reason."""
    if tool == "odcs":
        return export_odcs(rules)
    if tool == "gx":
        return _export_gx(rules)
    raise ConfigError(f"--to: got {tool!r}; it takes {', '.join(TO)}")


def _export_gx(rules: RuleSet) -> tuple[str, list[str]]:
    """A suite of Great Expectations 1.x."""
    made, left = [], []
    for rule in (one for whole in rules.rules for one in whole.each()):
        found = _expectation(rule)
        if found is None:
            left.append(f"{rule.id}: Great Expectations has no expectation of this meaning")
        else:
            made.append(found)
    suite = {"name": rules.name or "raypipe", "expectations": made, "meta": {}}
    return json.dumps(suite, indent=2, ensure_ascii=False) + "\n", left


def _expectation(rule: Rule) -> dict[str, Any] | None:
    plain = written(rule)
    if plain.get("where") or plain.get("segments") or plain.get("warn") is not None:
        return None
    column = {"column": rule.column} if rule.column is not None else {}
    bounds = {f"{side}_value": plain[side] for side in ("min", "max") if side in plain}
    kwargs: dict[str, Any] | None = None
    name = GX_NAMES.get(rule.rule)
    if rule.rule in ("in_set", "not_in_set"):
        kwargs = {**column, "value_set": plain["values"]}
    elif rule.rule == "matches":
        kwargs = {**column, "regex": anywhere(plain)}
    elif rule.rule == "between":
        open_ = plain.get("inclusive", "both")
        strict = {"strict_min": open_ in ("max", "neither"), "strict_max": open_ in ("min", "neither")}
        kwargs = {**column, **bounds, **{key: True for key, value in strict.items() if value}}
    elif rule.rule == "unique_together":
        kwargs = {"column_list": list(rule.columns)}
    elif name is not None:
        kwargs = {**column, **bounds}
    if name is None or kwargs is None:
        return None
    error = plain.get("error")
    if isinstance(error, int) and error:
        return None  # `mostly` is a share, and a number of rows is none
    mostly = {"mostly": round(1 - float(error.rstrip("%")) / 100, 12)} if isinstance(error, str) else {}
    return {"type": name, "kwargs": {**kwargs, **mostly}, "meta": {}}


GX_NAMES = {
    "not_null": "expect_column_values_to_not_be_null",
    "unique": "expect_column_values_to_be_unique",
    "unique_together": "expect_compound_columns_to_be_unique",
    "in_set": "expect_column_values_to_be_in_set",
    "not_in_set": "expect_column_values_to_not_be_in_set",
    "between": "expect_column_values_to_be_between",
    "length_between": "expect_column_value_lengths_to_be_between",
    "matches": "expect_column_values_to_match_regex",
    "row_count": "expect_table_row_count_to_be_between",
    "mean_between": "expect_column_mean_to_be_between",
    "median_between": "expect_column_median_to_be_between",
    "stddev_between": "expect_column_stdev_to_be_between",
    "sum_between": "expect_column_sum_to_be_between",
    "min_between": "expect_column_min_to_be_between",
    "max_between": "expect_column_max_to_be_between",
    "distinct_count": "expect_column_unique_value_count_to_be_between",
}
