"""Expectations of Great Expectations, of releases 0.18 and 1.x, and those that dbt_expectations made of them."""

from __future__ import annotations

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
    collect,
    dtype_named,
    items,
    mapping,
    quoted,
    read_values,
    share,
)

Arguments = Mapping[str, Any]
SEVERITIES = {"critical": "critical", "warning": "warning", "info": "info"}


def import_gx(path: Path) -> Imported:
    """Rules of an expectation suite in JSON.

    Raises
    ------
    ConfigError
        If the file is none.
    """
    suite = mapping(read_values(path, "expectation suite"), str(path))
    if "expectations" not in suite:
        raise ConfigError(f"{path}: is no suite of Great Expectations; it has no list `expectations`")
    name = str(suite.get("name") or suite.get("expectation_suite_name") or path.stem)
    return collect(name, _found(list(items(suite["expectations"], f"{path}: expectations")), path))


def _found(expectations: list[Any], path: Path) -> Iterator[Check]:
    for number, one in enumerate(expectations):
        entry = mapping(one, f"{path}: expectation {number + 1}")
        kind = str(entry.get("type") or entry.get("expectation_type"))
        arguments = {**mapping(entry.get("kwargs") or {}, f"{path}: {kind}")}
        if "severity" in entry:
            arguments["severity"] = entry["severity"]
        where = str(arguments.get("column") or arguments.get("column_A") or "table")
        yield where, kind, partial(draft_of, kind, arguments)


def draft_of(kind: str, arguments: Arguments, condition: str | None = None) -> list[Draft]:
    """Rules of one expectation; UnmappedError where there is none of the same meaning."""
    make = EXPECTATIONS.get(kind)
    if make is None:
        raise UnmappedError(NO_RULE)
    if arguments.get("row_condition") and condition is None:
        raise UnmappedError("its row_condition is written for another engine; add `where` in SQL by hand")
    drafts = make({name: value for name, value in arguments.items() if value is not None})
    mostly = arguments.get("mostly")
    for draft in drafts:
        if mostly is not None and float(mostly) < 1 and draft["rule"] not in ("null_share", "within_stddevs"):
            if draft["rule"] not in ROW_KINDS:
                raise UnmappedError("`mostly` makes no sense for a rule about a whole column")
            draft["error"] = share(1 - float(mostly))
        if condition is not None:
            draft["where"] = condition
        if str(arguments.get("severity")) in SEVERITIES:
            draft["severity"] = SEVERITIES[str(arguments["severity"])]
    if not drafts:
        raise UnmappedError("it asks for nothing: neither bound is given")
    return drafts


ROW_KINDS = ("not_null", "between", "in_set", "not_in_set", "matches", "not_matches", "length_between", "length_is",
             "unique", "unique_together", "columns_ascend", "columns_equal", "columns_differ", "pairs_in", "json",
             "parses_as_date", "sql", "increasing", "decreasing")  # fmt: skip


def _column(a: Arguments) -> str:
    if "column" not in a:
        raise UnmappedError("it names no column")
    return str(a["column"])


def _simple(rule: str, **fields: Any) -> Callable[[Arguments], list[Draft]]:
    return lambda a: [{"rule": rule, "columns": _column(a), **fields}]


def _listed(rule: str) -> Callable[[Arguments], list[Draft]]:
    def make(a: Arguments) -> list[Draft]:
        values = a.get("value_set")
        if not isinstance(values, list) or not values:
            raise UnmappedError("its value_set is no list with a value; it may be a parameter of a run")
        return [{"rule": rule, "columns": _column(a), "values": values}]

    return make


def _range(a: Arguments) -> list[Draft]:
    low, high = _bounds(a)
    strict = [bool(a.get(f"strict_{side}") or a.get("strictly")) for side in ("min", "max")]
    return between(_column(a), low, high, strict[0] and low is not None, strict[1] and high is not None)


def _bounds(a: Arguments) -> tuple[Any, Any]:
    low, high = a.get("min_value"), a.get("max_value")
    if any(isinstance(value, dict) for value in (low, high)):
        raise UnmappedError("a bound is a parameter of a run")
    return low, high


def _figure(rule: str, **fields: Any) -> Callable[[Arguments], list[Draft]]:
    def make(a: Arguments) -> list[Draft]:
        low, high = _bounds(a)
        if a.get("strict_min") or a.get("strict_max"):
            raise UnmappedError("its bounds are open, and those of a figure are closed here")
        if low is None and high is None:
            return []
        return [{"rule": rule, "columns": a.get("column"), "min": low, "max": high, **fields}]

    return make


def _length(a: Arguments) -> list[Draft]:
    low, high = _bounds(a)
    if low is None and high is None:
        return []
    return [{"rule": "length_between", "columns": _column(a), "min": low or 0, "max": high}]


def _regex(rule: str, **fields: Any) -> Callable[[Arguments], list[Draft]]:
    return lambda a: [{"rule": rule, "columns": _column(a), "pattern": a.get("regex"), **fields}]


def _regexes(a: Arguments) -> list[Draft]:
    patterns = [str(one) for one in a.get("regex_list", [])]
    if a.get("match_on", "any") == "all":
        return [{"rule": "matches", "columns": _column(a), "pattern": one, "anywhere": True} for one in patterns]
    joined = "|".join(f"(?:{one})" for one in patterns)
    return [{"rule": "matches", "columns": _column(a), "pattern": joined, "anywhere": True}]


def _no_regexes(a: Arguments) -> list[Draft]:
    return [{"rule": "not_matches", "columns": _column(a), "pattern": str(one)} for one in a.get("regex_list", [])]


def _type(a: Arguments) -> list[Draft]:
    types = a.get("type_list") or [a.get("type_") or a.get("column_type")]
    return [{"rule": "dtype_in", "columns": _column(a), "dtypes": [dtype_named(str(one)) for one in types]}]


def _exist(a: Arguments) -> list[Draft]:
    if "column_index" in a:
        raise UnmappedError("it fixes the place of a column; columns_ordered says an order")
    return [{"rule": "columns_exist", "columns": _column(a)}]


def _column_set(a: Arguments) -> list[Draft]:
    names = a.get("column_set") or a.get("column_list")
    return [{"rule": "columns_exactly" if a.get("exact_match", True) else "columns_exist", "columns": names}]


def _column_list(a: Arguments) -> list[Draft]:
    names = list(a.get("column_list", []))
    ordered: list[Draft] = [{"rule": "columns_ordered", "columns": names}] if len(names) > 1 else []
    return [{"rule": "columns_exactly", "columns": names}, *ordered]


def _equal(rule: str) -> Callable[[Arguments], list[Draft]]:
    return lambda a: [{"rule": rule, "min": a.get("value"), "max": a.get("value")}]


def _quantiles(a: Arguments) -> list[Draft]:
    ranges = mapping(a.get("quantile_ranges", {}), "quantile_ranges")
    pairs = zip(ranges.get("quantiles", []), ranges.get("value_ranges", []), strict=True)
    rule = {"rule": "quantile_between", "columns": _column(a)}
    return [{**rule, "probability": at, "min": low, "max": high} for at, (low, high) in pairs]


def _pair(rule: str, turned: bool = False) -> Callable[[Arguments], list[Draft]]:
    def make(a: Arguments) -> list[Draft]:
        names = [str(a.get("column_A")), str(a.get("column_B"))]
        _refuse_ignored(a)
        draft: Draft = {"rule": rule, "columns": names[::-1] if turned else names}
        return [draft | ({"or_equal": True} if turned and a.get("or_equal") else {})]

    return make


def _refuse_ignored(a: Arguments) -> None:
    wanted = a.get("ignore_row_if") or a.get("row_condition")
    if wanted == "never":
        raise UnmappedError("it counts rows with a null as at fault; here they keep the rule")


def _pair_set(a: Arguments) -> list[Draft]:
    names = [str(a.get("column_A")), str(a.get("column_B"))]
    return [{"rule": "pairs_in", "columns": names, "values": a.get("value_pairs_set")}]


def _sum(a: Arguments) -> list[Draft]:
    names = [str(name) for name in a.get("column_list", [])]
    total = " + ".join(map(quoted, names))
    return [{"rule": "sql", "condition": f"{total} = {float(a['sum_total']):.17g}"}]


def _ordered(rule: str) -> Callable[[Arguments], list[Draft]]:
    return lambda a: [{"rule": rule, "columns": _column(a), "strictly": True if a.get("strictly") else None}]


def _null(a: Arguments) -> list[Draft]:
    return [{"rule": "null_share", "columns": _column(a), "min": float(a.get("mostly", 1)), "max": 1.0}]


def _deviations(a: Arguments) -> list[Draft]:
    if not a.get("double_sided", True):
        raise UnmappedError("it looks at one side only; within_stddevs looks at both")
    most = 1 - float(a.get("mostly", 1))
    return [{"rule": "within_stddevs", "columns": _column(a), "stddevs": a.get("threshold"), "max": most}]


def _together(a: Arguments) -> list[Draft]:
    return [{"rule": "unique_together", "columns": list(a.get("column_list", []))}]


EXPECTATIONS: dict[str, Callable[[Arguments], list[Draft]]] = {
    "expect_column_values_to_not_be_null": _simple("not_null"),
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_unique": _simple("unique"),
    "expect_compound_columns_to_be_unique": _together,
    "expect_multicolumn_values_to_be_unique": _together,
    "expect_select_column_values_to_be_unique_within_record": lambda a: [
        {"rule": "columns_differ", "columns": list(a.get("column_list", []))}
    ],
    "expect_column_values_to_be_in_set": _listed("in_set"),
    "expect_column_values_to_not_be_in_set": _listed("not_in_set"),
    "expect_column_distinct_values_to_be_in_set": _listed("in_set"),
    "expect_column_distinct_values_to_contain_set": _listed("contains_all"),
    "expect_column_distinct_values_to_equal_set": _listed("categories_exactly"),
    "expect_column_values_to_be_between": _range,
    "expect_column_value_lengths_to_be_between": _length,
    "expect_column_value_lengths_to_equal": lambda a: [
        {"rule": "length_is", "columns": _column(a), "chars": a.get("value")}
    ],
    "expect_column_values_to_match_regex": _regex("matches", anywhere=True),
    "expect_column_values_to_not_match_regex": _regex("not_matches"),
    "expect_column_values_to_match_regex_list": _regexes,
    "expect_column_values_to_not_match_regex_list": _no_regexes,
    "expect_column_values_to_match_strftime_format": lambda a: [
        {"rule": "parses_as_date", "columns": _column(a), "format": a.get("strftime_format")}
    ],
    "expect_column_values_to_be_json_parseable": _simple("json"),
    "expect_column_values_to_be_of_type": _type,
    "expect_column_values_to_be_in_type_list": _type,
    "expect_column_to_exist": _exist,
    "expect_table_columns_to_match_set": _column_set,
    "expect_table_columns_to_contain_set": lambda a: [
        {"rule": "columns_exist", "columns": list(a.get("column_list", []))}
    ],
    "expect_table_columns_to_match_ordered_list": _column_list,
    "expect_table_column_count_to_equal": _equal("column_count"),
    "expect_table_column_count_to_be_between": _figure("column_count"),
    "expect_table_row_count_to_equal": _equal("row_count"),
    "expect_table_row_count_to_be_between": _figure("row_count"),
    "expect_column_mean_to_be_between": _figure("mean_between"),
    "expect_column_median_to_be_between": _figure("median_between"),
    "expect_column_stdev_to_be_between": _figure("stddev_between"),
    "expect_column_sum_to_be_between": _figure("sum_between"),
    "expect_column_min_to_be_between": _figure("min_between"),
    "expect_column_max_to_be_between": _figure("max_between"),
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_unique_value_count_to_be_between": _figure("distinct_count"),
    "expect_column_proportion_of_unique_values_to_be_between": _figure("unique_share"),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair("columns_ascend", turned=True),
    "expect_column_pair_values_to_be_equal": _pair("columns_equal"),
    "expect_column_pair_values_to_be_in_set": _pair_set,
    "expect_multicolumn_sum_to_equal": _sum,
    "expect_column_values_to_be_increasing": _ordered("increasing"),
    "expect_column_values_to_be_decreasing": _ordered("decreasing"),
    "expect_column_value_z_scores_to_be_less_than": _deviations,
}
