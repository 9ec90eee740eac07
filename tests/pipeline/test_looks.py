"""First rows and samples that passes take on their way are those that one more pass over the rows would take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.engine.run import Pass
from raypipe.etl.steps.trim import TrimText
from raypipe.pipeline.looks import Looks, look_stages
from raypipe.stage import Plan

ROWS = 3_000


@pytest.fixture
def table() -> pa.Table:
    return pa.table(
        {
            "id": range(ROWS),
            "text": [f" {row % 7} " if row % 5 else f"{row % 7}" for row in range(ROWS)],
            "number": [None if row % 11 == 0 else float(row % 101) for row in range(ROWS)],
            "empty": pa.nulls(ROWS, pa.string()),
        }
    )


def executed(source: Path, highest: int = 2_000, **changes: Any) -> AnalyticsPipeline:
    if "rules_path" in changes.get("validation", {}):
        path = source.parent / "rules.yaml"
        path.write_text(f"rules:\n  - {{rule: at_most, columns: id, value: {highest}, action: quarantine}}\n")
        changes = {**changes, "validation": {"rules_path": path}}
    given = {
        "data_source": source,
        "output_dir": source.parent / "output",
        "generate_dashboard": False,
        "engine": {"engine": "inline", "block_mib": 0.02},
        "analysis": {"sample_rows": 200, "patterns": {"enabled": False}},
        "processing": {"drop_duplicates": False},
        **changes,
    }
    one = AnalyticsPipeline(PipelineConfig.of(given))
    one.execute()
    return one


def looked_again(one: AnalyticsPipeline) -> Looks:
    """What a pass of its own over the final rows takes."""
    run = one._run
    assert run is not None
    frame, profile = run.data
    plan = Plan(source=frame.source, prefix=frame.prefix, stages=look_stages(one.config, frame.schema))
    found = Looks.of(run.engine.run(Pass(plan, frame=frame)).results)
    assert found is not None
    return found.cut(profile, one.config)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"processing": {"trim_text": False, "drop_empty_columns": False}},
        {"processing": {"drop_duplicates": True}},
        {"processing": {"steps": [{"step": "scale", "columns": ["number"]}]}},
        {"save_intermediate": True},
        {"validation": {"rules_path": "rules.yaml"}},
        {"engine": {"engine": "inline", "block_mib": 64}},
    ],
    ids=["trims and fills", "nothing to do", "may drop rows", "a list of steps", "writes", "sets rows aside", "a part"],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_was_taken_on_the_way_is_what_one_more_pass_takes(
    kind: str, changes: dict[str, Any], table: pa.Table, tmp_path: Path
) -> None:
    source = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        pq.write_table(table, source, row_group_size=250)
    else:
        pv.write_csv(table, source)
    one = executed(source, **changes)
    run = one._run
    assert run is not None
    assert run.looks is not None
    assert run.analysis.sample is not None
    again = looked_again(one)
    assert run.analysis.sample.num_rows == 200
    assert run.analysis.sample.equals(again.sample)
    assert run.analysis.head is not None
    assert run.analysis.head.equals(again.head)
    names = [task["name"] for task in run.analysis_tasks]
    passes = [one["name"] for one in run.passes]
    assert "first rows and sample" in names
    assert passes.count("analyse") == 1, "the sample took a pass of its own"


def test_a_table_of_which_most_rows_are_set_aside_is_looked_at_once_more(table: pa.Table, tmp_path: Path) -> None:
    source = tmp_path / "rows.parquet"
    pq.write_table(table, source, row_group_size=250)
    one = executed(source, highest=400, validation={"rules_path": "rules.yaml"})
    run = one._run
    assert run is not None
    assert run.looks is not None
    assert run.looks.sample is None
    assert run.analysis.sample is not None
    assert run.analysis.sample.equals(looked_again(one).sample)
    assert [one["name"] for one in run.passes].count("analyse") == 2


def test_rows_on_which_a_step_fails_are_in_no_profile_and_in_no_sample(
    table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "rows.parquet"
    pq.write_table(table, source, row_group_size=250)
    trim = TrimText.apply

    def fails_on_some(step: TrimText, block: pa.Table) -> Any:
        if set(block["id"].to_pylist()) & {7, 1_234}:
            raise ValueError("no such text")
        return trim(step, block)

    monkeypatch.setattr(TrimText, "apply", fails_on_some)
    one = executed(source)
    run = one._run
    assert run is not None
    assert run.profile is not None
    assert run.profile.rows == ROWS - 2
    assert run.profile.column("id").present == ROWS - 2
    assert run.row_counts().quarantined == 2
    assert run.analysis.sample is not None
    assert not {7, 1_234} & set(run.analysis.sample["id"].to_pylist())
    assert run.analysis.sample.num_rows == 200
