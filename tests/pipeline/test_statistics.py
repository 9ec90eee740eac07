"""Statistics in a run: written down, told in the report, exact over all rows where the sample is smaller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.insights.statistics.models import Statistics


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    rows = 3000
    region = rng.choice(["north", "south", "east"], rows)
    frame = pl.DataFrame(
        {
            "region": region,
            "plan": np.where(rng.random(rows) < 0.8, region, "other"),
            "size": rng.normal(size=rows) + 2 * (region == "north"),
            "age": rng.integers(18, 90, rows),
        }
    )
    path = tmp_path / "people.csv"
    frame.write_csv(path)
    return path


def run(source: Path, **changes: Any) -> Any:
    given = {"data_source": source, "output_dir": source.parent / "output", "generate_dashboard": False, **changes}
    return AnalyticsPipeline(PipelineConfig.of({**given, "engine": {"engine": "inline"}})).execute()


def written(results: Any) -> Statistics:
    text = (Path(results["output_directory"]) / "statistics.json").read_text(encoding="utf-8")
    assert json.loads(text)["version"] == 1
    return Statistics.model_validate_json(text)


def test_a_run_writes_its_statistics_and_tells_what_matters(source: Path) -> None:
    results = run(source)
    found = written(results)
    assert found == results["analysis_results"]["statistics"]
    assert found.sample.is_table
    assert {"association", "group_difference"} <= {insight.type for insight in results["insights"]}
    assert "“region”" in results["insights_report"]
    assert results["warnings"] == ()


def test_pairs_are_measured_over_all_rows_where_the_sample_is_smaller(source: Path) -> None:
    results = run(source, analysis={"sample_rows": 500})
    small, whole = written(results), written(run(source))
    assert (small.sample.rows, small.sample.of_rows) == (500, 3000)
    assert {pair.rows for pair in small.pairs} == {3000}
    assert all(pair.exact for pair in small.pairs)
    by_columns = {pair.columns: pair for pair in whole.pairs}
    for pair in small.pairs:
        same, v = by_columns[pair.columns], pair.measure("cramers_v")
        assert v is not None
        if pair.kinds == ("category", "category"):
            assert v.value == pytest.approx(same.measure("cramers_v").value, abs=1e-12)
    assert [name["name"] for name in results["summary"]["engine"]["passes"]].count(
        "analyse"
    ) == 1  # the one that sees all rows for the rest, too
    assert [one.mean for one in small.numbers] == [one.mean for one in whole.numbers]
    assert [[rule.count for rule in one.outliers[:2]] for one in small.numbers] == [
        [rule.count for rule in one.outliers[:2]] for one in whole.numbers
    ]


def test_the_same_data_always_gives_the_same_statistics(source: Path) -> None:
    settings = {"analysis": {"sample_rows": 400}}
    assert written(run(source, **settings)) == written(run(source, **settings))
    assert written(run(source, seed=7, **settings)).sample.seed == 7


def test_statistics_that_are_switched_off_are_not_there_and_the_report_says_why(source: Path) -> None:
    results = run(source, analysis={"statistics": {"enabled": False}})
    assert not (Path(results["output_directory"]) / "statistics.json").exists()
    assert results["analysis_results"]["statistics"] is None
    assert "analysis.statistics.enabled: false" in results["insights_report"]


def test_an_empty_table_has_statistics_that_say_so(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    path.write_text("a,b\n", encoding="utf-8")
    found = written(run(path))
    assert (found.rows, found.not_computed) == (0, {"pairs": "the table has no rows"})
