"""Rows set aside since another row has their key: which, wherever blocks are cut, on either engine, in which line."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe import AnalyticsPipeline, DataValidator
from raypipe.config import PipelineConfig, StorageConfig, ValidationConfig
from raypipe.engine.session import Session
from raypipe.errors import ConfigError
from raypipe.etl import rules
from raypipe.etl.rules import RuleSet
from raypipe.pipeline.check import check_source
from raypipe.pipeline.replay import quarantined
from raypipe.pipeline.replaying import replay
from raypipe.pipeline.runfiles import find_run

ROWS = pl.DataFrame(
    {
        "id": [1, 2, 1, 3, 2, None, None, 1],
        "rev": [1, 5, 3, 1, 4, 1, 2, 3],
        "city": ["Ulm", "Bonn", "Ulm", "Kiel", "Trier", "Jena", "Hof", "Ulm"],
    }
)
KEEPS = {
    "first": {"keep": "first"},
    "last": {"keep": "last"},
    "none": {"keep": "none"},
    "max": {"keep": "max", "of": "rev"},
    "min": {"keep": "min", "of": "rev"},
}


def written(folder: Path, rows: pl.DataFrame = ROWS, name: str = "t.csv") -> Path:
    path = folder / name
    rows.write_csv(path)
    return path


def rule_file(folder: Path, *specs: dict[str, Any]) -> Path:
    path = folder / "rules.json"
    path.write_text(json.dumps({"rules": list(specs)}))
    return path


def checked(folder: Path, source: Path, path: Path, **engine: Any) -> tuple[Any, pl.DataFrame]:
    config = PipelineConfig(
        data_source=source, validation=ValidationConfig(rules_path=path), engine={"engine": "inline", **engine}
    )
    quarantine = folder / "bad.parquet"
    return check_source(config, quarantine), pl.read_parquet(quarantine)


def losers(rows: pl.DataFrame, key: list[str], keep: str, of: str | None = None) -> list[int]:
    """By the definition, row by row: which lose."""
    groups: dict[Any, list[int]] = {}
    for number, row in enumerate(rows.iter_rows(named=True)):
        values = tuple(row[name] for name in key)
        if None not in values:
            groups.setdefault(values, []).append(number)
    lost = []
    for numbers in groups.values():
        stays: int | None = {"first": numbers[0], "last": numbers[-1]}.get(keep)
        if of is not None:
            known = [n for n in numbers if rows[of][n] is not None]
            pick = max if keep == "max" else min
            stays = pick(known, key=lambda n: rows[of][n]) if known else numbers[0]
        if len(numbers) > 1:
            lost += [n for n in numbers if n != stays]
    return sorted(lost)


cells = st.one_of(st.none(), st.integers(0, 3))


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=12),
    st.sampled_from(sorted(KEEPS)),
    st.integers(1, 5),
    st.booleans(),
)
def test_those_and_only_those_that_lose_are_set_aside_however_blocks_are_cut(tmp_path_factory, table, keep, cut, two):
    folder = tmp_path_factory.mktemp("repeats")
    table = [*table, (99, 0, 99)]  # so that every column holds numbers
    rows = pl.DataFrame(table, schema={"id": pl.Int64, "rev": pl.Int64, "b": pl.Int64}, orient="row")
    rows = rows.with_columns(n=pl.int_range(rows.height))  # so that no line is blank
    key = ["id", "b"] if two else ["id"]
    kind = "unique_together" if two else "unique"
    path = rule_file(folder, {"rule": kind, "columns": key, "action": "quarantine", **KEEPS[keep]})
    found, aside = checked(folder, written(folder, rows), path, block_rows=cut)
    wanted = losers(rows, key, keep, KEEPS[keep].get("of"))
    assert aside["row"].to_list() == wanted
    assert [json.loads(raw)["n"] for raw in aside["raw"]] == wanted
    assert aside["line"].to_list() == [n + 2 for n in wanted]
    outcome = next(one for one in found.validation.outcomes if one.id)
    assert outcome.failing_rows == len(wanted) == found.rows_quarantined
    assert found.profile.rows == rows.height - len(wanted)


def test_a_primary_key_sets_rows_without_a_key_aside_as_well(tmp_path):
    path = rule_file(tmp_path, {"rule": "primary_key", "columns": "id", "action": "quarantine", "keep": "last"})
    found, aside = checked(tmp_path, written(tmp_path), path)
    assert aside["row"].to_list() == [0, 1, 2, 5, 6]
    assert set(aside["reason"]) == {"primary_key: wanted no null and no value twice"}
    outcome = next(one for one in found.validation.outcomes if one.id)
    assert "3 rows of 6 (50 %) repeat a later value, and 2 rows have a null, set aside" in outcome.message


def test_figures_and_the_profile_are_those_of_the_rows_that_stay_and_each_row_bears_all_its_rules(tmp_path):
    path = rule_file(
        tmp_path,
        {"rule": "unique", "columns": ["id", "city"], "action": "quarantine"},
        {"rule": "max_between", "columns": "rev", "max": 5, "where": "rev > 0"},
        {"rule": "row_count", "min": 5, "max": 5},
        {"rule": "at_most", "columns": "rev", "value": 4, "action": "quarantine"},
    )
    found, aside = checked(tmp_path, written(tmp_path), path)
    outcomes = {one.id: one for one in found.validation.outcomes if one.id}
    assert outcomes["max_between:rev"].figure == 4
    assert outcomes["row_count"].passed
    told = dict(zip(aside["row"], aside["rules"].to_list(), strict=True))
    assert told == {1: ["at_most:rev"], 2: ["unique:id", "unique:city"], 7: ["unique:id", "unique:city"]}
    assert found.validation.validation_details["rows_set_aside"] == 3
    assert found.validation.rows_validated == 8


def test_a_run_on_either_engine_keeps_the_same_rows_and_counts_every_one(tmp_path: Path, ray_session: Session) -> None:
    rows = pl.concat([ROWS] * 40).with_columns(n=pl.int_range(320), id=pl.int_range(320) // 2)
    source = written(tmp_path, rows)
    path = rule_file(tmp_path, {"rule": "unique", "columns": "id", "action": "quarantine", "keep": "max", "of": "rev"})
    made = []
    for engine in ("inline", "ray"):
        config = PipelineConfig(
            data_source=source, output_dir=tmp_path / engine, save_intermediate=True, generate_dashboard=False,
            validation=ValidationConfig(rules_path=path), engine={"engine": engine, "block_rows": 50},
        )  # fmt: skip
        results = AnalyticsPipeline(config).execute()
        counts = results["summary"]["rows"]
        assert counts["read"] == 320 == counts["kept"] + counts["quarantined"] + sum(counts["dropped"].values())
        folder = Path(results["output_directory"])
        kept = pl.read_parquet(folder / "processed/*.parquet").select("id", "n").sort("n")
        made.append((kept, pl.read_parquet(folder / "quarantine.parquet")))
    assert made[0][0]["id"].is_unique().all()
    assert made[0][0].height + made[0][1].height == 320
    assert made[0][0].equals(made[1][0])
    assert made[0][1].equals(made[1][1])


def test_where_no_row_repeats_nothing_is_read_again(tmp_path):
    path = rule_file(tmp_path, {"rule": "unique", "columns": "rev", "action": "quarantine", "where": "rev > 4"})
    found, aside = checked(tmp_path, written(tmp_path), path)
    assert aside.height == 0
    assert found.validation.is_valid


def test_a_winner_by_a_column_wants_that_column():
    with pytest.raises(ValueError, match="of: wanted with keep: max or keep: min, and only there"):
        rules.unique("id", keep="max")
    found = RuleSet(rules=(rules.unique("id", keep="max", of="city", action="quarantine"),))
    table = ROWS.to_arrow()
    from raypipe.blocks.table import finish, summarise

    verdict = DataValidator(ValidationConfig(), rules=found).validate(table, finish(summarise(table)))
    told = next(one for one in verdict.outcomes if one.id)
    assert "`of`: 'city' holds text; wanted numbers or times" in told.message


def test_without_quarantine_repeats_stay(tmp_path):
    path = rule_file(tmp_path, {"rule": "unique", "columns": "id", "action": "quarantine"})
    config = PipelineConfig(
        data_source=written(tmp_path), validation=ValidationConfig(rules_path=path, quarantine=False)
    )
    assert check_source(config).rows_quarantined == 0


def test_a_rule_file_says_which_field_is_wrong(tmp_path):
    path = rule_file(tmp_path, {"rule": "unique", "columns": "id", "keep": "newest"})
    with pytest.raises(ConfigError, match="field 'keep'"):
        RuleSet.load(path)


def test_a_replay_of_such_a_run_is_refused_since_other_rows_decide(tmp_path):
    path = rule_file(tmp_path, {"rule": "unique", "columns": "id", "action": "quarantine"})
    config = PipelineConfig(
        data_source=written(tmp_path), output_dir=tmp_path / "out", run_id="r", generate_dashboard=False,
        validation=ValidationConfig(rules_path=path), engine={"engine": "inline"},
    )  # fmt: skip
    AnalyticsPipeline(config).execute()
    with (
        quarantined(find_run("r", str(tmp_path / "out"), StorageConfig()), to_change=True) as state,
        pytest.raises(ConfigError, match="SetRepeatsAside decides about a row by others"),
    ):
        replay(state)
