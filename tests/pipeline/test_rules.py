"""Runs with a rule file: what is written, and that engines and cuts do not matter."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from raypipe import AnalyticsPipeline
from raypipe.engine.session import Session
from raypipe.errors import DataInvalidError
from raypipe.pipeline.check import check_source
from tests.pipeline.test_analytics import config, write_sales

RULES = """\
name: sales
rules:
  - {rule: not_null, columns: [day, city], action: quarantine}
  - {rule: between, columns: units, min: 3, error: 5%, segments: city, where: price > 10}
  - {rule: matches, columns: city, pattern: '[A-Z].*', action: quarantine, severity: critical}
  - {rule: sql, condition: units * price > 15, severity: info}
  - {rule: increasing, columns: units}
  - {rule: unique, columns: day}
  - {rule: in_table, columns: city, table: cities.csv}
  - {rule: covers_table, columns: city, table: cities.csv, severity: warning}
  - {rule: mean_between, columns: revenue, min: 1, segments: city}
  - {rule: distinct_count, columns: city, max: 3}
  - {rule: columns_exist, columns: [nope], severity: warning}
"""


def prepared(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int = 400) -> tuple[Path, Path]:
    """Sales, and rules on them, in a folder that is the current one."""
    monkeypatch.chdir(folder)
    (folder / "cities.csv").write_text("city\nUlm\nKiel \nAtlantis\n")
    (folder / "rules.yaml").write_text(RULES)
    return write_sales(folder / "sales.csv", rows=rows), folder / "rules.yaml"


def test_a_run_tells_of_every_rule_and_sets_aside_what_it_should(tmp_path, monkeypatch):
    source, rules = prepared(tmp_path, monkeypatch)
    results = AnalyticsPipeline(config(source, tmp_path, validation={"rules_path": rules})).execute()
    folder = Path(results["output_directory"])
    told = json.loads((folder / "validation.json").read_text())
    outcomes = {one["id"]: one for one in told["outcomes"] if one["id"]}
    assert len(outcomes) == 12
    assert outcomes["covers_table:city"]["examples"] == ["Atlantis"]
    assert outcomes["columns_exist:nope"]["severity"] == "warning"
    assert {one["values"][0] for one in outcomes["between:units"]["segments"]} == {"Ulm", " Bonn", "Kiel ", None}
    aside = pl.read_parquet(folder / "quarantine.parquet")
    mine = aside.filter(pl.col("stage") == "SetFaultsAside")
    wanted = outcomes["not_null:day"]["failing_rows"], outcomes["not_null:city"]["failing_rows"]
    lists = mine["rules"].to_list()
    assert wanted == (sum("not_null:day" in one for one in lists), sum("not_null:city" in one for one in lists))
    assert mine.height == told["validation_details"]["rows_set_aside"] > 0
    assert aside.filter(pl.col("stage") != "SetFaultsAside")["rules"].null_count() == aside.height - mine.height
    rows = results["summary"]["rows"]
    assert rows["read"] == rows["kept"] + rows["quarantined"] + sum(rows["dropped"].values())
    page = (folder / "dashboard.html").read_text()
    assert "covers table" in page
    assert "Critical" in page or outcomes["matches:city"]["passed"]


def checked(source: Path, rules: Path, **more: Any) -> Any:
    return check_source(
        config(source, source.parent, validation={"rules_path": rules, **more.pop("validation", {})}, **more)
    )


def test_without_quarantine_rows_stay_and_are_counted_the_same(tmp_path, monkeypatch):
    source, rules = prepared(tmp_path, monkeypatch)
    on, off = checked(source, rules), checked(source, rules, validation={"quarantine": False})
    assert on.rows_quarantined > off.rows_quarantined
    counts = [
        {one.id: one.failing_rows for one in run.validation.outcomes if one.group == "completeness"}
        for run in (on, off)
    ]
    assert counts[0] == counts[1]


def test_under_strict_a_missing_column_ends_the_run_before_it_reads(tmp_path, monkeypatch):
    source, _ = prepared(tmp_path, monkeypatch)
    rules = tmp_path / "strict.yaml"
    rules.write_text("rules:\n- {rule: columns_exist, columns: citty}\n")
    with pytest.raises(
        DataInvalidError, match="before the data was read: 'citty': there is no column .*Did you mean 'city'"
    ):
        AnalyticsPipeline(config(source, tmp_path, validation={"rules_path": rules}, strict_validation=True)).execute()


@pytest.mark.slow
def test_ray_and_inline_give_the_same_outcomes_however_the_source_is_cut(
    ray_session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, rules = prepared(tmp_path, monkeypatch, rows=1500)
    found = []
    for engine, mib in (("inline", 0.02), ("inline", 64), ("ray", 0.02)):
        run = checked(source, rules, engine={"engine": engine, "block_mib": mib})
        told = [one.model_dump(exclude={"first"}) for one in run.validation.outcomes if one.id]
        if mib == 0.02:
            told.append([one.first for one in run.validation.outcomes])
        found.append(told)
    assert found[0] == found[2]
    for one, other in zip(found[0][:-1], found[1], strict=True):
        figures = one.pop("figure"), other.pop("figure")
        assert figures[0] == pytest.approx(figures[1])
        segments = one.pop("segments"), other.pop("segments")
        assert [s["values"] for s in segments[0]] == [s["values"] for s in segments[1]]
        messages = one.pop("message"), other.pop("message")
        assert messages[0] == messages[1]
        assert one == other
