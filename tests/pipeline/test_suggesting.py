"""Rules suggested by data: they rarely fail on clean data, and fail on spoiled data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from benchmarks.false_alarms import FAULTS, Trial, generated, halves, measure, told
from raypipe.cli.main import app
from raypipe.config import PipelineConfig
from raypipe.errors import ConfigError
from raypipe.etl.rules.ruleset import RuleSet
from raypipe.pipeline.suggesting import suggest_rules


def config(path: Path, **changes: Any) -> PipelineConfig:
    return PipelineConfig.of({"data_source": path, "engine": {"engine": "inline"}, **changes})


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("orders") / "orders.parquet"
    generated(rows=3_000).write_parquet(path)
    return path


def test_a_table_suggests_what_one_would_write_by_hand(orders: Path) -> None:
    found = suggest_rules(config(orders))
    kinds = {(rule.rule, rule.columns) for rule in found.rules.rules}
    assert {
        ("not_null", ("id",)), ("unique", ("id",)), ("increasing", ("id",)), ("in_set", ("category",)),
        ("matches", ("code",)), ("between", ("amount",)), ("columns_ascend", ("ordered", "shipped")),
        ("columns_ascend", ("tax", "amount")), ("null_share", ("note",)), ("not_in_future", ("shipped",)),
        ("length_is", ("code",)), ("median_between", ("quantity",)), ("mean_between", ("quantity",)),
    } <= kinds  # fmt: skip
    by_kind = {(rule.rule, rule.columns): rule for rule in found.rules.rules}
    assert getattr(by_kind["matches", ("code",)], "pattern") == r"\p{Lu}+-\d+"  # noqa: B009 (a field of this rule)
    assert getattr(by_kind["between", ("id",)], "max") is None  # noqa: B009 (a field of this rule)
    assert found.learned_rows + found.held_out_rows == 3_000
    assert found.dropped == ()


def test_every_rule_stands_under_a_comment_with_its_evidence_and_its_score(orders: Path) -> None:
    lines = suggest_rules(config(orders)).text.splitlines()
    rules = [at for at, line in enumerate(lines) if line.startswith("- rule: ")]
    assert all(lines[at - 1].startswith("# ") and "held out" in lines[at - 1] for at in rules)
    assert RuleSet.parse("\n".join(lines)).checks()


def test_equal_seeds_suggest_equal_rules_however_the_source_is_cut(orders: Path) -> None:
    texts = {
        suggest_rules(config(orders, seed=seed, engine={"engine": "inline", "block_rows": cut})).text
        for seed, cut in ((1, None), (1, 100), (1, 999))
    }
    assert len(texts) == 1
    assert suggest_rules(config(orders, seed=2)).text not in texts


def test_clean_halves_raise_no_alarm_and_faults_are_found() -> None:
    result = told(measure({"generated": generated(rows=3_000)}, resplits=4, powers=1, budget=0.01, rows=1_500))
    assert result["checks"] > 100
    assert result["fired_share"] <= 0.01
    assert result["drift_fired"] == 0
    large = [counts["found_share"] for fault, counts in result["power"].items() if fault.endswith((", 0.05", ", 1"))]
    assert large
    assert min(large) >= 0.5, result["power"]


def test_each_fault_is_found_by_a_rule_that_says_so(tmp_path: Path) -> None:
    first, second = halves(generated(rows=3_000), 1, 1_500)
    trial = Trial(first, 1, tmp_path, 0.01)
    plant, places = FAULTS["new category"]
    import numpy as np

    fired = trial.fired(plant(second, places["generated"][0], np.random.default_rng(0), 0.05))
    assert [kind for kind, _ in fired] == ["in_set"]
    assert "'category'" in fired[0][1]


def test_a_rule_that_fails_on_the_rows_held_out_is_widened_or_dropped_and_said_so(tmp_path: Path) -> None:
    # Two thirds of a sorted column never show its end, but the sides are drawn at random; so the law that breaks here
    # is one of order: a column that rises in most blocks and falls at their borders.
    rows = 3_000
    table = pl.DataFrame({"n": [n % 1500 for n in range(rows)], "x": ["a"] * rows})
    table.write_parquet(tmp_path / "t.parquet", row_group_size=1500)
    found = suggest_rules(config(tmp_path / "t.parquet"))
    assert found.widened + len(found.dropped) <= 1
    assert RuleSet.parse(found.text) == found.rules


def test_hostile_names_and_values_stay_data(tmp_path: Path) -> None:
    rows = 400
    evil = ["x\n- rule: sql", "#", "*", "null", "'\"", "yes"]
    table = pl.DataFrame(
        {"a: b\n# c": [evil[n % 6] for n in range(rows)], "^x$": range(rows), "no": [True, False] * (rows // 2)}
    )
    table.write_parquet(tmp_path / "t.parquet")
    found = suggest_rules(config(tmp_path / "t.parquet"))
    names = {name for rule in found.rules.rules for name in rule.columns}
    assert names == set(table.columns)
    assert RuleSet.parse(found.text) == found.rules
    sets = [rule for rule in found.rules.rules if rule.rule == "in_set"]
    assert set(getattr(sets[0], "values")) == set(evil)  # noqa: B009 (a field of this rule)


def test_too_few_rows_and_budgets_that_are_none_are_refused(tmp_path: Path, orders: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    with pytest.raises(ConfigError, match="2 rows to learn from, of which 100|[012] rows to learn from"):
        suggest_rules(config(tmp_path / "t.csv"))
    with pytest.raises(ConfigError, match="wanted a share between 0 and 1"):
        suggest_rules(config(orders), 1.5)
    with pytest.raises(ConfigError, match="got 'many'"):
        CliRunner().invoke(
            app, ["validate", str(orders), "--suggest", "--max-false-alarms", "many"], catch_exceptions=False
        )


def test_the_command_writes_a_file_that_the_command_then_holds_the_data_to(tmp_path: Path, orders: Path) -> None:
    runner, made = CliRunner(), tmp_path / "rules.yaml"
    result = runner.invoke(app, ["validate", str(orders), "--suggest", "-o", str(made)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "scored on" in result.output
    result = runner.invoke(app, ["validate", str(orders), "--rules", str(made), "--json"], catch_exceptions=False)
    outcomes = json.loads(result.output)["outcomes"]
    assert not [one["message"] for one in outcomes if one["id"] and not one["passed"]]
    with pytest.raises(ConfigError, match="is there already"):
        runner.invoke(app, ["validate", str(orders), "--suggest", "-o", str(made)], catch_exceptions=False)
