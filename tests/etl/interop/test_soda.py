"""Checks of Soda, brought over: SodaCL and contracts, each keeping its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from raypipe.blocks.frames import from_polars
from raypipe.blocks.table import finish, summarise
from raypipe.config import ValidationConfig
from raypipe.errors import ConfigError
from raypipe.etl.interop.drafts import Accepted, Imported, UnmappedError
from raypipe.etl.interop.soda_metrics import FORMATS
from raypipe.etl.interop.tools import import_from
from raypipe.etl.rules.ruleset import RuleSet, written
from raypipe.etl.validate import DataValidator

CHECKS = """
filter orders [new]:
  where: units > 0
checks for orders:
  - row_count between 1 and 10
  - row_count > 5
  - missing_count(city) = 0
  - missing_percent(city) < 30%
  - missing_count(units) = 0:
      missing values: [99]
  - duplicate_count(id) = 0
  - duplicate_count(id, city) < 1
  - invalid_count(city) = 0:
      name: cities that we know
      valid values: [Ulm, Bonn]
  - invalid_percent(units) <= 20:
      valid min: 0
  - invalid_count(city) = 0:
      valid regex: ^[A-Z]
      valid min length: 4
      filter: units > 1
  - avg(units) between 1 and 100
  - max_length(city) <= 3
  - percentile(units, 0.5) > 0
  - percentile(units, 0.5) >= 0
  - missing_count(city):
      warn: when > 0
      fail: when > 2
  - row_count:
      warn: when < 6
      fail: when = 0
  - freshness(day) < 1d12h
  - schema:
      fail:
        when required column missing: [id, nope]
        when wrong column type: {id: bigint}
  - failed rows:
      fail condition: units < 0
  - failed rows:
      fail query: SELECT 1
  - values in (city) must exist in cities (name)
  - duplicate_percent(id) < 5
  - invalid_count(city) = 0:
      valid format: money
  - avg_surface between 1 and 2:
      avg_surface expression: AVG(a)
  - missing_count(units) > ${MOST}
  - anomaly detection for row_count
checks for orders [new]:
  - missing_count(city) = 0
checks for other:
  - row_count > 0
"""
TABLE = pl.DataFrame({"id": [1, 2, 3, 4, 4], "city": ["Ulm", "Bonn", None, "Rom", "Ulm"], "units": [1, -2, 3, 40, 5]})


def soda(folder: Path, text: str, table: str | None = None) -> Imported:
    path = folder / "checks.yml"
    path.write_text(text, encoding="utf-8")
    return import_from(path, "soda", table)


def rules(found: Imported) -> list[dict[str, Any]]:
    assert found.rules is not None
    assert RuleSet.parse(found.text) == found.rules
    return [written(rule) for rule in found.rules.rules]


def failing(found: Imported) -> dict[str, tuple[int | None, str]]:
    block = from_polars(TABLE)
    verdict = DataValidator(ValidationConfig(), rules=found.rules).validate(block, finish(summarise(block)))
    return {one.id: (one.failing_rows, one.severity) for one in verdict.outcomes if one.id and not one.passed}


def test_checks_in_sodacl_keep_thresholds_conditions_and_levels(tmp_path: Path) -> None:
    found = soda(tmp_path, CHECKS, "orders")
    assert rules(found) == [
        {"rule": "row_count", "min": 1, "max": 10},
        {"rule": "row_count", "min": 6},
        {"rule": "not_null", "columns": "city"},
        {"rule": "not_null", "columns": "city", "error": "29.9999999999%"},
        {"rule": "not_null", "columns": "units"},
        {"rule": "not_in_set", "columns": "units", "values": [99]},
        {"rule": "unique", "columns": "id"},
        {"rule": "unique_together", "columns": ["id", "city"]},
        {"rule": "in_set", "columns": "city", "values": ["Ulm", "Bonn"], "description": "cities that we know"},
        {"rule": "between", "columns": "units", "min": 0, "error": "20%"},
        {"rule": "matches", "columns": "city", "pattern": "^[A-Z]", "anywhere": True, "where": "units > 1"},
        {"rule": "length_between", "columns": "city", "min": 4, "where": "units > 1"},
        {"rule": "mean_between", "columns": "units", "min": 1, "max": 100},
        {"rule": "length_between", "columns": "city", "max": 3},
        {"rule": "quantile_between", "columns": "units", "probability": 0.5, "min": 0},
        {"rule": "not_null", "columns": "city", "error": 2, "warn": 0},
        {"rule": "row_count", "min": 1},
        {"rule": "row_count", "min": 6, "severity": "warning"},
        {"rule": "freshness", "columns": "day", "max_age_hours": 36},
        {"rule": "columns_exist", "columns": ["id", "nope"]},
        {"rule": "dtype_is", "columns": "id", "dtype": "integer"},
        {"rule": "sql", "condition": "NOT (units < 0)"},
        {"rule": "not_null", "columns": "city", "where": "units > 0"},
    ] or "\n".join(map(str, rules(found)))


def test_what_has_no_rule_of_the_same_meaning_is_told(tmp_path: Path) -> None:
    told = {one.check: one.reason for one in soda(tmp_path, CHECKS, "orders").skipped}
    assert told == {
        "percentile(units, 0.5) > 0": "its bounds are open, and those of a figure are closed here",
        "failed rows": "its query is in the SQL of a database",
        "values in (city) must exist in cities (name)": "cities is a table of a database and no file; write in_table "
        "with the path of its rows",
        "duplicate_percent(id) < 5": "it counts values that occur more than once, and a rule the rows that repeat one",
        "invalid_count(city) = 0": "raypipe has no rule for the format 'money'",
        "avg_surface between 1 and 2": "'avg surface expression' below it has no counterpart here",
        "missing_count(units) > ${MOST}": "a variable of a scan stands in it",
        "anomaly detection for row_count": "the threshold 'detection for row_count' is none that a rule can have",
    }


def test_checks_find_on_a_table_what_soda_finds(tmp_path: Path) -> None:
    text = CHECKS[CHECKS.index("checks for orders:") : CHECKS.index("  - freshness")]
    assert failing(soda(tmp_path, text)) == {
        "row_count#2": (None, "error"),
        "not_null:city": (1, "error"),
        "unique:id": (1, "error"),
        "in_set:city": (1, "error"),
        "length_between:city": (2, "error"),
        "length_between:city#2": (1, "error"),
        "not_null:city#3": (1, "warning"),
        "row_count#4": (None, "warning"),
    }


CONTRACT = """
dataset: source/db/public/orders
filter: units > -5
columns:
  - name: id
    data_type: BIGINT
    checks:
      - missing:
      - duplicate:
  - name: city
    data_type: character varying(20)
    valid_values: [Ulm, Bonn]
    checks:
      - invalid:
          threshold: {metric: percent, must_be_less_than_or_equal: 10}
      - missing:
          threshold: {level: warn, must_be_less_than: 3}
      - invalid:
          valid_format: {name: capital, regex: "^[A-Z]"}
  - name: units
    checks:
      - aggregate:
          function: avg
          threshold: {must_be_between: {greater_than_or_equal: 1, less_than_or_equal: 2}}
      - aggregate:
          function: avg
          threshold: {must_be_between: {greater_than: 1, less_than: 2}}
      - metric:
          query: SELECT 1
      - invalid:
          valid_reference_data: {dataset: a/b/c, column: d}
      - type: avg
        must_be_between: [1, 50]
checks:
  - schema:
      allow_extra_columns: true
  - row_count:
  - duplicate:
      columns: [id, city]
  - freshness:
      column: day
      threshold: {unit: day, must_be_less_than: 2}
"""


def test_a_contract_of_soda_comes_over(tmp_path: Path) -> None:
    found = soda(tmp_path, CONTRACT)
    where = {"where": "units > -5"}
    made = rules(found)
    assert made[0] == {"rule": "columns_exist", "columns": ["id", "city", "units"]}
    assert {"rule": "columns_ordered", "columns": ["id", "city", "units"]} in made
    assert {"rule": "dtype_is", "columns": "city", "dtype": "text"} in made
    assert [one for one in made if one.get("where")] == [
        {"rule": "row_count", "min": 1, **where},
        {"rule": "unique_together", "columns": ["id", "city"], **where},
        {"rule": "freshness", "columns": "day", "max_age_hours": 48, **where},
        {"rule": "not_null", "columns": "id", **where},
        {"rule": "unique", "columns": "id", **where},
        {"rule": "in_set", "columns": "city", "values": ["Ulm", "Bonn"], "error": "10%", **where},
        {"rule": "not_null", "columns": "city", "severity": "warning", "error": 2, **where},
        {"rule": "in_set", "columns": "city", "values": ["Ulm", "Bonn"], **where},
        {"rule": "matches", "columns": "city", "pattern": "^[A-Z]", "anywhere": True, **where},
        {"rule": "mean_between", "columns": "units", "min": 1, "max": 2, **where},
        {"rule": "mean_between", "columns": "units", "min": 1, "max": 50, **where},
    ] or str(made)
    assert [one.check for one in found.skipped] == ["aggregate", "metric", "invalid"]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_each_format_that_has_a_name_makes_a_rule(tmp_path: Path, name: str) -> None:
    found = soda(tmp_path, f"checks for t:\n- invalid_count(a) = 0:\n    valid format: {name}\n")
    assert [one["rule"] for one in rules(found)] == [FORMATS[name]["rule"]]


def test_one_of_several_tables_is_to_be_chosen_and_a_filter_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has several tables: orders, other. Choose one with --model"):
        soda(tmp_path, CHECKS)
    with pytest.raises(ConfigError, match=r"the filter \[x\] of t is not there; wanted `filter t \[x\]:`"):
        soda(tmp_path, "checks for t [x]:\n- row_count > 0\n")
    with pytest.raises(ConfigError, match="has no checks of Soda: wanted `checks for TABLE:`"):
        soda(tmp_path, "models: []\n")


@pytest.mark.parametrize(
    ("accepted", "percent", "wanted"),
    [
        (Accepted(0, 0), False, 0), (Accepted(high=5, open_high=True), False, 4), (Accepted(0, 2.5), False, 2),
        (Accepted(high=5), True, "5%"), (Accepted(high=0.5, open_high=True), True, "0.4999999999%"),
    ],
)  # fmt: skip
def test_a_bound_on_rows_at_fault_is_said_as_a_tolerance(accepted: Accepted, percent: bool, wanted: int | str) -> None:
    assert accepted.rows_at_fault(percent) == wanted


def test_bounds_that_want_faults_are_refused() -> None:
    with pytest.raises(UnmappedError, match="exactly 3 rows at fault"):
        Accepted(3, 3).rows_at_fault()
    with pytest.raises(UnmappedError, match="wants some rows at fault"):
        Accepted(low=0, open_low=True).rows_at_fault()
    with pytest.raises(UnmappedError, match="its operator is none"):
        Accepted(high=0, open_high=True).rows_at_fault()
