"""Rules of other tools, brought over: each keeps its meaning, and what does not map is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from raypipe.blocks.frames import from_polars
from raypipe.blocks.table import finish, summarise
from raypipe.cli.main import app
from raypipe.config import ValidationConfig
from raypipe.errors import ConfigError
from raypipe.etl.interop.drafts import Imported
from raypipe.etl.interop.gx import EXPECTATIONS
from raypipe.etl.interop.pandera import from_pandera, import_pandera
from raypipe.etl.interop.tools import export_to, import_from
from raypipe.etl.rules.ruleset import RuleSet, written
from raypipe.etl.validate import DataValidator

TABLE = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 4], "city": ["Ulm", "Bonn", None, "Rom", "Ulm"], "units": [1, -2, 3, 40, 5],
        "start": [1.0, 2.0, 3.0, 4.0, 9.0], "end": [2.0, 2.0, 4.0, 5.0, 6.0],
    }
)  # fmt: skip


def put(path: Path, content: Any) -> Path:
    text = json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return path


def rules(found: Imported) -> list[dict[str, Any]]:
    assert found.rules is not None
    assert RuleSet.parse(found.text) == found.rules  # what is written reads back, comments and all
    return [written(rule) for rule in found.rules.rules]


def failing(found: Imported) -> dict[str, int | None]:
    """Kinds of rules that the table breaks, and rows at fault."""
    block = from_polars(TABLE)
    verdict = DataValidator(ValidationConfig(), rules=found.rules).validate(block, finish(summarise(block)))
    return {one.id: one.failing_rows for one in verdict.outcomes if one.id and not one.passed}


def gx(path: Path, *expectations: tuple[str, dict[str, Any]], old: bool = False) -> Imported:
    key = "expectation_type" if old else "type"
    body = [{key: kind, "kwargs": kwargs, "meta": {}} for kind, kwargs in expectations]
    return import_from(put(path / "suite.json", {"name": "sales", "expectations": body}), "gx")


@pytest.mark.parametrize("old", [False, True], ids=["1.x", "0.18"])
def test_a_suite_of_great_expectations_finds_what_it_found_there(tmp_path: Path, old: bool) -> None:
    found = gx(
        tmp_path,
        ("expect_column_values_to_not_be_null", {"column": "city", "mostly": 0.9}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
        (
            "expect_column_values_to_be_between",
            {"column": "units", "min_value": 0, "max_value": 40, "strict_max": True},
        ),
        ("expect_column_values_to_be_in_set", {"column": "city", "value_set": ["Ulm", "Bonn"], "mostly": 0.5}),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            {"column_A": "end", "column_B": "start", "or_equal": True},
        ),
        ("expect_column_values_to_match_regex", {"column": "city", "regex": "^[A-Z]"}),
        ("expect_table_row_count_to_be_between", {"min_value": 6}),
        ("expect_table_columns_to_match_ordered_list", {"column_list": TABLE.columns}),
        ("expect_column_mean_to_be_between", {"column": "start", "min_value": 3, "max_value": 4}),
        old=old,
    )
    assert found.skipped == ()
    assert failing(found) == {
        "not_null:city": 1, "unique:id": 1, "between:units": 2, "columns_ascend:start+end": 1, "row_count": None,
    }  # fmt: skip
    assert {rule["error"] for rule in rules(found) if "error" in rule} == {"10%", "50%"}


def test_each_expectation_that_is_known_makes_rules_that_there_are(tmp_path: Path) -> None:
    arguments = {
        "column": "units", "column_A": "start", "column_B": "end", "column_list": ["start", "end"],
        "column_set": ["start", "end"], "min_value": 1, "max_value": 2, "value": 3, "value_set": [1, 2],
        "value_pairs_set": [[1, 2]], "regex": "a", "regex_list": ["a", "b"], "strftime_format": "%Y", "type_": "int",
        "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, 2]]}, "sum_total": 3, "threshold": 3,
    }  # fmt: skip
    found = gx(tmp_path, *((kind, arguments) for kind in EXPECTATIONS))
    assert found.skipped == ()
    assert found.checks == len(EXPECTATIONS) > 40


def test_what_does_not_map_is_told_with_the_reason_and_stands_in_the_file(tmp_path: Path) -> None:
    found = gx(
        tmp_path,
        ("expect_column_kl_divergence_to_be_less_than", {"column": "a", "threshold": 0.1}),
        ("expect_column_values_to_not_be_null", {"column": "a", "row_condition": "b==1", "condition_parser": "pandas"}),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": {"$PARAMETER": "x"}}),
        ("expect_column_values_to_match_regex", {"column": "a", "regex": "(?=x)"}),
        ("expect_column_mean_to_be_between", {"column": "a", "min_value": 1, "strict_min": True}),
        ("expect_column_values_to_be_between", {"column": "a"}),
        ("expect_column_values_to_be_unique", {"column": "a"}),
    )
    assert found.checks == len(found.skipped) + 1 == 7
    reasons = [one.reason for one in found.skipped]
    assert "no rule of this meaning" in reasons[0]
    assert "row_condition" in reasons[1]
    assert "parameter of a run" in reasons[2]
    assert "is no regular expression" in reasons[3]
    assert "bounds are open" in reasons[4]
    assert "neither bound" in reasons[5]
    assert found.text.count("# not brought over: a: ") == 6
    assert rules(found) == [{"rule": "unique", "columns": "a"}]


DBT = """
version: 2
models:
- name: orders
  tests:
  - dbt_utils.unique_combination_of_columns: {combination_of_columns: [id, city]}
  - dbt_utils.expression_is_true: {expression: "start <= 'end'"}
  columns:
  - name: id
    tests:
    - unique
    - not_null: {severity: warn}
    - relationships: {to: ref('customers'), field: id}
  - name: city
    data_tests:
    - accepted_values: {values: [Ulm, Bonn], config: {error_if: ">1", where: "units > 0"}}
    - dbt_utils.not_null_proportion: {at_least: 0.95}
    - dbt_expectations.expect_column_values_to_match_regex: {regex: "^[A-Z]", row_condition: units > 1}
  - name: units
    data_tests:
    - dbt_utils.accepted_range: {arguments: {min_value: 0, inclusive: false}}
    - dbt_utils.accepted_range: {min_value: "current_date - 1"}
    - my_project.odd_test
"""


def test_data_tests_of_dbt_keep_severity_condition_and_bounds(tmp_path: Path) -> None:
    path = tmp_path / "schema.yml"
    path.write_text(DBT.replace("'end'", '\\"end\\"'))
    found = import_from(path, "dbt")
    assert {(one.where, one.check) for one in found.skipped} == {
        ("id", "relationships"), ("units", "dbt_utils.accepted_range"), ("units", "my_project.odd_test"),
    }  # fmt: skip
    by_rule = {rule["rule"]: rule for rule in rules(found)}
    assert by_rule["in_set"] == {
        "rule": "in_set", "columns": "city", "where": "units > 0", "error": 1, "values": ["Ulm", "Bonn"]
    }  # fmt: skip
    assert by_rule["matches"]["where"] == "units > 1"
    severities = {rule["columns"]: rule.get("severity", "error") for rule in rules(found) if rule["rule"] == "not_null"}
    assert severities == {"id": "warning", "city": "error"}
    assert failing(found) == {"unique:id": 1, "not_null:city": 1, "between:units": 1, "sql": 1}


def test_one_of_several_models_is_to_be_chosen(tmp_path: Path) -> None:
    path = put(
        tmp_path / "s.yml", {"models": [{"name": "a"}, {"name": "b", "columns": [{"name": "x", "tests": ["unique"]}]}]}
    )
    with pytest.raises(ConfigError, match="several models: a, b. Choose one with --model"):
        import_from(path, "dbt")
    with pytest.raises(ConfigError, match="no model 'c'; it has: a, b"):
        import_from(path, "dbt", "c")
    assert rules(import_from(path, "dbt", "b")) == [{"rule": "unique", "columns": "x"}]
    assert import_from(path, "dbt", "a").rules is None


def pandera_schema() -> Any:
    pa = pytest.importorskip("pandera.pandas")
    return pa.DataFrameSchema(
        {
            "id": pa.Column(int, unique=True),
            "city": pa.Column(str, [pa.Check.isin(["Ulm", "Bonn"]), pa.Check.str_length(1, 4)], nullable=True),
            "units": pa.Column(int, [pa.Check.in_range(0, 40, include_max=False), pa.Check.ge(-1, raise_warning=True)]),
            "start": pa.Column(float, pa.Check(lambda s: s > 0, name="mine")),
            "end": pa.Column(float, pa.Check.str_matches("x"), required=False),
        },
        strict=True,
        unique=["id", "city"],
    )


def test_a_schema_of_pandera_means_the_same_from_python_and_from_its_file(tmp_path: Path) -> None:
    schema = pandera_schema()
    found = from_pandera(schema)
    assert [(one.where, one.check) for one in found.skipped] == [("start", "mine")]
    wrong = failing(found)
    assert {key: wrong[key] for key in ("unique:id", "in_set:city", "between:units")} == {
        "unique:id": 1, "in_set:city": 1, "between:units": 2,
    }  # fmt: skip
    assert {"rule": "between", "columns": "units", "severity": "warning", "min": -1} in rules(found)
    del schema.columns["start"].checks[0]
    del schema.columns["units"].checks[1]  # to_yaml does not write that it only warns
    schema.to_yaml(tmp_path / "schema.yaml")
    assert rules(import_pandera(tmp_path / "schema.yaml")) == rules(from_pandera(schema))


def test_checks_of_older_files_of_pandera_stand_under_a_name_of_their_own(tmp_path: Path) -> None:
    column = {"dtype": "int64", "nullable": True, "checks": {"greater_than": 3, "isin": [4, 5]}}
    found = import_from(put(tmp_path / "s.yaml", {"schema_type": "dataframe", "columns": {"a": column}}), "pandera")
    assert rules(found)[2:] == [
        {"rule": "between", "columns": "a", "min": 3, "inclusive": "max"},
        {"rule": "in_set", "columns": "a", "values": [4, 5]},
    ]


CONTRACT = {
    "kind": "DataContract", "apiVersion": "v3.1.0", "id": "x", "version": "1.0.0", "status": "active",
    "schema": [
        {
            "name": "orders",
            "properties": [
                {"name": "id", "logicalType": "integer", "required": True, "unique": True},
                {
                    "name": "city", "logicalType": "string", "logicalTypeOptions": {"maxLength": 3, "format": "uuid"},
                    "quality": [
                        {"metric": "nullValues", "mustBeLessThan": 1, "unit": "rows"},
                        {"metric": "invalidValues", "arguments": {"validValues": ["Ulm", "Bonn"]}, "mustBe": 0,
                         "severity": "warning"},
                        {"type": "text", "description": "nice"},
                    ],
                },
                {
                    "name": "units", "logicalTypeOptions": {"minimum": 0},
                    "quality": [{"metric": "nullValues", "mustBeLessOrEqualTo": 5, "unit": "percent"}],
                },
            ],
            "quality": [
                {"metric": "rowCount", "mustBeGreaterThan": 5},
                {"metric": "duplicateValues", "arguments": {"properties": ["id", "city"]}, "mustBe": 0},
                {"type": "sql", "query": "SELECT 1", "mustBe": 1},
            ],
        }
    ],
}  # fmt: skip


def test_the_quality_of_a_contract_comes_over(tmp_path: Path) -> None:
    found = import_from(put(tmp_path / "c.yaml", CONTRACT), "odcs")
    assert [(one.where, one.check) for one in found.skipped] == [("city", "format"), ("city", "text"), ("table", "sql")]
    assert failing(found) == {
        "unique:id": 1, "length_between:city": 1, "not_null:city": 1, "in_set:city": 1, "between:units": 1,
        "row_count": None,
    }  # fmt: skip


def test_what_goes_to_a_contract_or_a_suite_comes_back_the_same(tmp_path: Path) -> None:
    ruleset = RuleSet.parse(
        """
        rules:
        - {rule: not_null, columns: [a, b], error: "1%"}
        - {rule: unique, columns: a}
        - {rule: in_set, columns: b, values: [x, y], severity: warning}
        - {rule: row_count, min: 3}
        - {rule: unique_together, columns: [a, b]}
        - {rule: email, columns: b}
        - {rule: not_null, columns: c, where: "a > 1"}
        """
    )
    for tool, suffix in (("odcs", ".yaml"), ("gx", ".json")):
        text, left = export_to(ruleset, tool)
        assert [one.split(":")[0] for one in left] == ["email", "not_null"]
        (tmp_path / f"x{suffix}").write_text(text)
        back = rules(import_from(tmp_path / f"x{suffix}", tool))
        wanted = [written(one) for whole in ruleset.rules[:5] for one in whole.each()]
        plain = [{key: value for key, value in rule.items() if key not in ("id", "severity")} for rule in wanted]
        returned = [{key: value for key, value in rule.items() if key != "severity"} for rule in back]
        assert [rule for rule in returned if rule["rule"] != "columns_exist"] == sorted(plain, key=returned.index)


@pytest.mark.parametrize(
    ("tool", "content", "said"),
    [
        ("gx", {"a": 1}, "no list `expectations`"),
        ("gx", {"expectations": {"a": 1}}, "wanted a list"),
        ("dbt", {"version": 2}, "no schema file of dbt"),
        ("pandera", {"a": 1}, "no schema of pandera"),
        ("odcs", {"kind": "DataContract", "apiVersion": "v2.2.2"}, "no data contract of ODCS 3"),
        ("tox", {}, "--from: got 'tox'; it takes gx, dbt, pandera, odcs, soda"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, tool: str, content: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        import_from(put(tmp_path / "x.json", content), tool)


def test_the_commands_list_check_and_bring_rules_over(tmp_path: Path) -> None:
    runner = CliRunner()
    suite = {"name": "s", "expectations": [{"type": "expect_column_values_to_be_unique", "kwargs": {"column": "idd"}}]}
    put(tmp_path / "suite.json", suite)
    TABLE.write_csv(tmp_path / "t.csv")
    made = tmp_path / "rules.yaml"
    result = runner.invoke(app, ["rules", "import", str(tmp_path / "suite.json"), "--from", "gx", "-o", str(made)])
    assert result.exit_code == 0
    assert "1 rules of 1 checks; 0 not brought over" in result.output
    result = runner.invoke(app, ["rules", "check", str(made), str(tmp_path / "t.csv")])
    assert result.exit_code == 3
    assert "Did you mean 'id'" in result.output
    assert runner.invoke(app, ["rules", "check", str(made)]).exit_code == 0
    result = runner.invoke(app, ["rules", "list", "--group", "dates", "--json"])
    assert "not_in_future" in {one["rule"] for one in json.loads(result.output)}
    with pytest.raises(ConfigError, match="no group 'date'; there are: across columns"):
        runner.invoke(app, ["rules", "list", "--group", "date"], catch_exceptions=False)
    with pytest.raises(ConfigError, match="is there already"):
        runner.invoke(app, ["rules", "export", str(made), "--to", "gx", "-o", str(made)], catch_exceptions=False)
