"""Rules as files: what they say, and what is said of their mistakes."""

import datetime as dt
import json

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from raypipe.errors import ConfigError
from raypipe.etl import rules
from raypipe.etl.rules import RULES, CheckRows, ColumnSchema, DataSchema, RuleSet, make_rule, rules_json_schema
from raypipe.etl.rules.conditions import check_condition
from raypipe.etl.rules.judging import row_stages
from raypipe.etl.rules.ruleset import written
from raypipe.etl.rules.tolerance import Allowance, parse_allowance

TEXT = """\
name: orders
action: quarantine
rules:
  - rule: not_null
    columns: [id, day]
    error: 1%
    warn: 0
  - rule: between
    columns: price
    min: 0.5
    max: 100
    where: channel = 'web'
    segments: city
    severity: critical
    tags: [money]
  - rule: between
    columns: price
    max: 2024-12-31
    action: count
  - rule: implies
    if: price > 1
    then: id is not null
  - rule: freshness
    columns: day
    max_age_hours: 24
"""


def test_a_file_becomes_a_check_for_each_column_with_nothing_left_open(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(TEXT)
    now = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    checks = RuleSet.load(path).checks(now)
    assert [check.id for check in checks] == [
        "not_null:id",
        "not_null:day",
        "between:price",
        "between:price#2",
        "implies",
        "freshness:day",
    ]
    assert [getattr(check, "action", None) for check in checks] == ["quarantine"] * 3 + ["count", "quarantine", None]
    assert checks[3].max == "2024-12-31"
    assert checks[5].as_of == now
    assert checks[0].error == Allowance(share=0.01)


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_what_is_saved_reads_back_the_same(tmp_path, suffix):
    path = tmp_path / f"r{suffix}"
    loaded = RuleSet.parse(TEXT)
    loaded.save(path)
    assert RuleSet.load(path) == loaded
    assert "error: 1%" in path.read_text() or suffix == ".json"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("rule: not_null", "rule: not_nul"), r"line 4: there is no rule 'not_nul'. Did you mean 'not_null'\?"),
        (
            ("min: 0.5", "mim: 0.5"),
            r"line 10, rule 'between', field 'mim': there is no such field.*Did you mean 'min'\?",
        ),
        (("max: 100", "max: 0.1"), r"line 8, rule 'between': min 0.5 is above max 0.1"),
        (("error: 1%", "error: 0.01"), r"line 6, rule 'not_null', field 'error': .*for a share write \"1%\""),
        (("error: 1%", "error: 101%"), r"line 6, .* got '101%'"),
        (
            ("channel = 'web'", "channel = "),
            r"line 12, .*field 'where': the condition 'channel =' is no SQL expression",
        ),
        (("channel = 'web'", "price > avg(price)"), r"line 12, .*looks at more than one row"),
        (("channel = 'web'", "1 = 1"), r"line 12, .*names no column"),
        (("action: quarantine", "action: drop"), r"line 2, field 'action': .*'count' or 'quarantine'"),
        (("name: orders", "nam: orders"), r"line 1, field 'nam': there is no such field; .*Did you mean 'name'\?"),
        (("columns: day\n", "colums: day\n"), r"line 24, rule 'freshness', field 'colums'"),
        (("    max_age_hours: 24\n", ""), r"line 23, rule 'freshness', field 'max_age_hours': is missing"),
        (("columns: [id, day]", "columns: [id, id]"), r"line 4, rule 'not_null': columns: one is named twice"),
        (("columns: [id, day]\n", "columns: []\n"), r"columns: wanted a column, got none"),
        (("  - rule: freshness\n", "  - freshness\n  - rule: freshness\n"), r"line 23: wanted a rule with its name"),
        (("name: orders", "name: orders\nname: b"), r"line 2: 'name' stands twice in one place"),
        (("rules:", "rules: ["), r"line \d+, column \d+"),
    ],
)
def test_each_mistake_is_told_with_its_line(change, told):
    assert change[0] in TEXT
    with pytest.raises(ConfigError, match=told):
        RuleSet.parse(TEXT.replace(*change), source="rule file r.yaml")


def test_all_mistakes_of_a_file_are_told_at_once():
    text = TEXT.replace("not_null\n", "nt_null\n").replace("critical", "fatal")
    with pytest.raises(
        ConfigError, match=r"line 4: .*; line 14, .*'info', 'warning', 'error' or 'critical', got 'fatal'"
    ):
        RuleSet.parse(text)


@pytest.mark.parametrize("text", ["[]", "rules: []", "rules: 5", "name: a", ""])
def test_a_file_without_rules_is_refused(text):
    with pytest.raises(ConfigError, match="wanted a list `rules:`"):
        RuleSet.parse(text)


def test_files_of_other_kinds_or_none_at_all_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="ends in .yaml"):
        RuleSet.load(tmp_path / "r.txt")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        RuleSet.load(tmp_path / "r.yaml")


@pytest.mark.parametrize(
    "text",
    ["a > 1", "a BETWEEN 1 AND 2 OR b IS NULL", "upper(b) LIKE 'X%'", "a IN (1, 2)",
     "CASE WHEN a > 1 THEN true ELSE false END",
     "coalesce(a, 0) % 2 = 0", "length(b) > 2", "d >= DATE '2024-01-01'", "abs(round(a, 1)) > 0.5", '"a b" > 1'],
)  # fmt: skip
def test_conditions_that_a_row_decides_are_taken(text):
    assert check_condition(text) == text


@pytest.mark.parametrize(
    "text",
    ["a > avg(a)", "sum(a) OVER (PARTITION BY b) > 1", "row_number() OVER (ORDER BY a) > 1", "a IN (SELECT 1)",
     "count(*) > 1", "unnest(a)", '"^a$" > 1', "first(a) = 1", "*", "read_csv('x')", "a; DROP TABLE b"],
)  # fmt: skip
def test_conditions_that_look_further_are_refused(text):
    with pytest.raises(
        ValueError, match=r"condition .*(more than one row|pattern|no SQL expression|uses|names no column)"
    ):
        check_condition(text)


@given(rows=st.integers(0, 200), failing=st.integers(0, 200), share=st.floats(0, 1))
def test_an_allowance_holds_up_to_its_bound(rows, failing, share):
    assert Allowance(count=7).holds(failing, rows) is (failing <= 7)
    assert Allowance(share=share).holds(failing, rows) is (failing <= share * rows)
    assert parse_allowance("12.5 %") == Allowance(share=0.125)


@pytest.mark.parametrize(
    ("error", "warn", "severity", "level"),
    [
        (None, None, "error", "error"),
        (None, None, "info", "info"),
        (5, None, "error", None),
        (5, 0, "error", "warning"),
        (5, 0, "info", "info"),
        (1, 0, "critical", "critical"),
        (None, 1, "error", "warning"),
        ("4%", "1%", "error", "error"),
    ],
)
def test_more_than_a_bound_is_of_its_level(error, warn, severity, level):
    rule = make_rule("not_null", "a", error=error, warn=warn, severity=severity)
    assert rule.level(5, 100) == level
    assert rule.level(0, 100) is None


def test_rules_are_made_by_name_and_a_wrong_name_is_told():
    assert rules.not_null("a", error="1%") == make_rule("not_null", "a", error="1%")
    with pytest.raises(AttributeError, match="no rule of this name"):
        _ = rules.not_nul
    with pytest.raises(ValueError, match="Did you mean 'not_null'"):
        make_rule("not_nul")
    with pytest.raises(ValidationError, match="frozen"):
        rules.not_null("a").severity = "info"


def test_every_rule_has_a_schema_that_takes_what_it_writes():
    jsonschema = pytest.importorskip("jsonschema")
    schema = rules_json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    good = yaml.safe_load(TEXT.replace("2024-12-31", "'2024-12-31'"))
    assert list(validator.iter_errors(good)) == []
    bad = {"rules": [{"rule": "between", "columns": "a", "mim": 1}, {"rule": "nope"}]}
    assert len(list(validator.iter_errors(bad))) == 2
    assert set(schema["properties"]["rules"]["items"]["properties"]["rule"]["enum"]) == set(RULES)


def test_a_schema_and_the_rules_made_of_it_set_the_same_rows_aside():
    schema = DataSchema(
        name="s",
        primary_key=("id",),
        columns=(
            ColumnSchema(name="id", dtype="integer"),
            ColumnSchema(name="n", nullable=False, min_value=0, max_value=5),
            ColumnSchema(name="t", allowed_values=("a", "b"), regex_pattern="[a-z]", required=False, unique=True),
        ),
    )
    table = pa.table({"id": [1, None, 3, 3], "n": [1, 2, None, 9], "t": ["a", "b", "c", None]})
    by_schema = CheckRows.of(schema).apply(table)
    (_, aside) = row_stages(RuleSet.of_schema(schema).checks())
    by_rules = aside.apply(table)
    assert by_rules.aside["row"].to_pylist() == by_schema.aside["row"].to_pylist() == [1, 2, 3]
    assert by_schema.aside["rules"].to_pylist() == [
        ["primary_key_null:id"],
        ["not_null:n", "allowed_values:t"],
        ["max_value:n"],
    ]
    assert [rule.rule for rule in RuleSet.of_schema(schema).rules][-2:] == ["unique", "primary_key"]


FIELDS = {
    "min": 1, "max": 1, "value": 1, "values": [["x", 1]], "pattern": "x", "text": "x", "chars": 1, "case": "lower",
    "step": 2, "dtype": "text", "dtypes": ["text"], "total": "t", "if": "a > 1", "then": "b > 1", "condition": "a > 1",
    "stddevs": 3, "probability": 0.5, "reference": "p.json", "table": "t.csv", "function": "m:f", "max_age_hours": 5,
}  # fmt: skip


@pytest.mark.parametrize("name", list(RULES))
def test_every_rule_reads_back_from_yaml_and_json_as_it_was(name):
    kind = RULES[name]
    wanted = {info.alias or field for field, info in kind.model_fields.items() if info.is_required()}
    own = {field: FIELDS[field] for field in wanted - {"columns"}} | (
        {"min": 0.0} if "min" in kind.model_fields else {}
    )
    own |= {"values": ["x"]} if "values" in own and name != "pairs_in" else {}
    own |= {"min": 1} if name in ("column_count", "length_between", "words_between", "null_share") else {}
    rule = make_rule(name, *["a", "b"][: max(kind.LEAST, 1)], **own, tags=["x"], severity="info", segments="c")
    for suffix in (".yaml", ".json"):
        made = RuleSet(rules=(rule,))
        assert RuleSet.parse(made.text(suffix), suffix) == made


def test_rules_are_written_without_what_is_at_its_default():
    assert written(rules.not_null("a")) == {"rule": "not_null", "columns": "a"}
    assert json.dumps(written(rules.implies(**{"if": "a > 1", "then": "b > 1"}))) == json.dumps(
        {"rule": "implies", "if": "a > 1", "then": "b > 1"}
    )


def test_every_rule_says_what_it_wants_and_belongs_to_a_group():
    assert len(RULES) >= 60
    for name, kind in RULES.items():
        assert kind.GROUP, name
        assert kind.__doc__, name
        assert kind.__doc__.strip().endswith((".", "bound.")), name
    assert pa.schema([]) is not None
