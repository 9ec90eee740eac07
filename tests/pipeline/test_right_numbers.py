"""Figures worked out by hand, found again in what the command line writes; on one block and on many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.cli.main import app
from raypipe.insights.models import TargetReport

SMALL = """x,y,g,day,flag
1,2,a,2024-01-01,true
2,4,b,2024-01-02,false
3,6,a,2024-01-03,true
4,8,,2024-01-04,true
10,20,b,2024-01-05,
,5,a,2024-01-06,false
"""

BLOCKS = pytest.mark.parametrize("block_mib", [32, 0.00002], ids=["one block", "a block a row"])


def profile(content: str, folder: Path, block_mib: float) -> dict[str, Any]:
    """What `raypipe profile --json` prints, its columns by name."""
    path = folder / "t.csv"
    path.write_text(content)
    arguments = ["profile", str(path), "--json", "--engine", "inline", "--set", f"engine.block_mib={block_mib}"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "columns": {column["name"]: column for column in found["columns"]}}


def target_report(content: str, folder: Path, target: str, block_mib: float) -> TargetReport:
    path = folder / "t.csv"
    path.write_text(content)
    config = PipelineConfig(
        data_source=path,
        output_dir=folder / "output",
        target_column=target,
        generate_dashboard=False,
        engine={"engine": "inline", "block_mib": block_mib},  # type: ignore[arg-type]  # pydantic makes the part
    )
    report = AnalyticsPipeline(config).execute()["analysis_results"]["target"]
    assert isinstance(report, TargetReport)
    return report


@BLOCKS
def test_numbers_of_a_column(tmp_path: Path, block_mib: float) -> None:
    column = profile(SMALL, tmp_path, block_mib)["columns"]["x"]
    assert (column["rows"], column["nulls"], column["distinct"]["count"]) == (6, 1, 5)
    assert (column["min"], column["max"]) == ("1", "10")
    number = column["number"]
    # 1, 2, 3, 4, 10: mean 20 / 5; squares 9 + 4 + 1 + 0 + 36 = 50; cubes -27 - 8 - 1 + 216 = 180; fourths 1394
    wanted = {"finite": 5, "mean": 4.0, "sum": 20.0, "variance": 50 / 4, "min": 1.0, "max": 10.0}
    assert {name: number[name] for name in wanted} == pytest.approx(wanted)
    assert number["std"] == pytest.approx(12.5**0.5)
    assert number["skewness"] == pytest.approx((180 / 5) / (50 / 5) ** 1.5)
    assert number["kurtosis"] == pytest.approx((1394 / 5) / (50 / 5) ** 2 - 3)
    # linear between ranks: at 0.95 the rank is 3.8, between 4 and 10; the fences are 2 - 3 and 4 + 3
    quantiles = {"0.01": 1.04, "0.05": 1.2, "0.25": 2.0, "0.5": 3.0, "0.75": 4.0, "0.95": 8.8, "0.99": 9.76}
    assert number["quantiles"]["exact"] is True
    assert number["quantiles"]["values"] == pytest.approx(quantiles)
    assert number["iqr_outliers"] == 1
    assert sum(number["histogram"]["counts"]) == 5


@BLOCKS
def test_an_even_number_of_values_has_its_median_between_the_middle_two(tmp_path: Path, block_mib: float) -> None:
    number = profile(SMALL, tmp_path, block_mib)["columns"]["y"]["number"]
    # 2, 4, 5, 6, 8, 20: sum 45; squares 30.25 + 12.25 + 6.25 + 2.25 + 0.25 + 156.25 = 207.5
    assert number["quantiles"]["values"]["0.5"] == 5.5
    assert number["quantiles"]["values"]["0.25"] == 4.25
    assert (number["mean"], number["variance"]) == (pytest.approx(7.5), pytest.approx(41.5))


@BLOCKS
def test_text_times_and_booleans_of_a_table(tmp_path: Path, block_mib: float) -> None:
    found = profile(SMALL, tmp_path, block_mib)
    columns = found["columns"]
    assert columns["g"]["top"] == [
        {"value": "a", "count": 3, "count_upper": 3},
        {"value": "b", "count": 2, "count_upper": 2},
    ]
    assert (columns["g"]["nulls"], columns["g"]["distinct"]["count"]) == (1, 2)
    assert columns["flag"]["kind"] == "boolean"
    assert (columns["flag"]["true_count"], columns["flag"]["nulls"]) == (3, 1)
    assert (columns["day"]["min"], columns["day"]["max"]) == ("2024-01-01", "2024-01-06")
    assert (found["rows"], found["duplicates"]["rows"]) == (6, 0)


@BLOCKS
def test_the_correlation_of_two_columns_with_gaps(tmp_path: Path, block_mib: float) -> None:
    # x 1, 2, 3, 4, 5; y 1.5, 3.5, 2.5, 5.5, 4.5: products 4 + 0 + 0 + 2 + 2 = 8, squares 10 and 10; z falls as x rises
    content = "x,y,z\n1,1.5,5\n2,3.5,4\n3,2.5,3\n4,5.5,2\n5,4.5,1\n,9.5,\n7,,\n"
    correlation = profile(content, tmp_path, block_mib)["correlation"]
    at = {name: place for place, name in enumerate(correlation["columns"])}
    r = correlation["r"]
    assert r[at["x"]][at["y"]] == pytest.approx(0.8)
    assert r[at["x"]][at["z"]] == pytest.approx(-1.0)
    assert r[at["y"]][at["z"]] == pytest.approx(-0.8)
    assert correlation["pairs"][at["x"]][at["y"]] == 5


@BLOCKS
def test_a_repeated_row_is_counted_as_often_as_it_repeats(tmp_path: Path, block_mib: float) -> None:
    found = profile("a,b\n1,x\n1,x\n2,y\n1,x\n1,y\n", tmp_path, block_mib)
    assert found["duplicates"]["rows"] == 2
    assert found["duplicates"]["share"] == pytest.approx(2 / 5)
    assert found["duplicates"]["exact"] is True


@BLOCKS
def test_numbers_at_the_ends_of_int64_keep_their_digits(tmp_path: Path, block_mib: float) -> None:
    low, high = -(2**63), 2**63 - 1
    column = profile(f"a,b\n{low},1\n{high},2\n{high},3\n{high - 1},4\n", tmp_path, block_mib)["columns"]["a"]
    assert (column["min"], column["max"], column["dtype"]) == (str(low), str(high), "int64")
    assert column["distinct"]["count"] == 3
    assert column["top"][0] == {"value": str(high), "count": 2, "count_upper": 2}
    assert column["number"]["mean"] == pytest.approx((low + high + high + high - 1) / 4)


@BLOCKS
def test_infinite_values_and_gaps_are_counted_and_left_out_of_figures(tmp_path: Path, block_mib: float) -> None:
    column = profile("a,b\n1.5,1\ninf,1\n-inf,1\n,1\nNaN,1\n2.5,1\n0,1\n-4,1\n", tmp_path, block_mib)["columns"]["a"]
    number = column["number"]
    counts = {"finite": 4, "positive_infinite": 1, "negative_infinite": 1, "zeros": 1, "negatives": 1}
    assert {name: number[name] for name in counts} == counts
    assert column["nulls"] == 2  # "NaN" in a text file means that there is no value
    assert number["mean"] == 0.0
    assert (number["min"], number["max"]) == (-4.0, 2.5)


@BLOCKS
def test_relations_to_a_number(tmp_path: Path, block_mib: float) -> None:
    # y is x plus or minus a half: of its variance of 1.25 + 0.25 the line explains 1.25; a and b have means 1.5 and 3.5
    rows = [f"{x},{x + half},{'a' if x < 3 else 'b'},2" for x in (1, 2, 3, 4) for half in (0.5, -0.5)] * 5
    report = target_report("x,y,g,same\n" + "\n".join(rows) + "\n", tmp_path, "y", block_mib)
    assert (report.task, report.rows) == ("regression", 40)
    relations = {relation.column: relation for relation in report.relations}
    assert (relations["x"].measure, relations["x"].rows) == ("pearson_r", 40)
    assert relations["x"].value == pytest.approx((1.25 / 1.5) ** 0.5)
    levels = {level.label: (level.rows, level.mean, level.std) for level in relations["g"].levels}
    std = pytest.approx((20 * 0.5 / 19) ** 0.5)
    assert levels == {"a": (20, pytest.approx(1.5), std), "b": (20, pytest.approx(3.5), std)}
    # 40 of 60 squares lie between the two levels; corrected for chance: 1 - (20 / 38) / (60 / 39)
    assert relations["g"].value == pytest.approx(1 - (20 / 38) / (60 / 39))
    assert set(report.skipped) == {"same"}


@BLOCKS
def test_relations_to_classes(tmp_path: Path, block_mib: float) -> None:
    # g tells the class of 9 rows in 10; h tells nothing
    rows = [f"{'ab'[n % 2]},{'xy'[n % 2] if n % 20 > 1 else 'yx'[n % 2]},{'pq'[n // 2 % 2]}" for n in range(80)]
    report = target_report("k,g,h\n" + "\n".join(rows) + "\n", tmp_path, "k", block_mib)
    assert (report.task, report.classes) == ("classification", {"a": 40, "b": 40})
    relations = {relation.column: relation for relation in report.relations}
    shares = {level.label: level.shares for level in relations["g"].levels}
    assert shares["x"] == pytest.approx({"a": 0.9, "b": 0.1})
    assert shares["y"] == pytest.approx({"b": 0.9, "a": 0.1})
    # chi squared / n is (0.9 - 0.1) squared; Bergsma's correction takes 1 / 79 off it and 1 / 79 off the two levels
    assert relations["g"].value == pytest.approx(((0.64 - 1 / 79) / (1 - 1 / 79)) ** 0.5)
    assert relations["h"].value == pytest.approx(0.0, abs=1e-9)
