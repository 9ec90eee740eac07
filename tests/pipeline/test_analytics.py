"""The seven stages end to end: on real files, inline and on Ray."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.engine.frame import Frame
from raypipe.engine.session import Session
from raypipe.errors import (
    ConfigError,
    DataInvalidError,
    MissingColumnsError,
    OutputError,
    RunCancelledError,
)
from raypipe.results import PipelineStage


def write_sales(path: Path, rows: int = 600, seed: int = 1) -> Path:
    """A messy table: padded text, gaps, an outlier, a ragged line, a word among numbers."""
    rng = random.Random(seed)
    lines = ["day,city,units,price,revenue,note"]
    for row in range(rows):
        day = f"2025-{row % 12 + 1:02d}-{row % 28 + 1:02d}"
        units, price = rng.randint(1, 50), rng.choice(["9.5", "12.25", "20"])
        city = rng.choice(["Ulm", " Bonn", "Kiel ", ""])
        lines.append(f"{day},{city},{units},{price},{units * float(price):.2f},")
    lines[10] = "2025-01-10,Ulm,3"  # ragged
    lines[20] = "2025-01-20,Ulm,many,9.5,28.5,"  # a word where numbers are
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    return write_sales(tmp_path / "sales.csv")


def config(source: Path, tmp_path: Path, **changes: Any) -> PipelineConfig:
    return PipelineConfig.of({"data_source": source, "output_dir": tmp_path / "output", **changes})


def test_a_run_keeps_every_promise_about_its_results_and_files(sales: Path, tmp_path: Path) -> None:
    given = config(sales, tmp_path, target_column="revenue", time_column="day", save_intermediate=True)
    seen: list[dict[str, Any]] = []
    pipeline = AnalyticsPipeline(given)
    pipeline.add_progress_callback(seen.append)
    results = pipeline.execute()
    assert results["status"] == results.status == "completed"
    assert results["data_shape"] == (598, 5)  # the note column is empty, two rows are in quarantine
    folder = Path(results["output_directory"])
    wanted = {
        "dashboard.html", "insights_report.md", "execution_summary.json", "profile.json", "validation.json",
        "quarantine.parquet", "events.jsonl", "pipeline.log", "statistics.json",
    }  # fmt: skip
    assert wanted <= {path.name for path in folder.iterdir()}
    assert pl.read_parquet(folder / "processed").height == 598
    summary = json.loads((folder / "execution_summary.json").read_text())
    assert summary["execution_status"] == "completed"
    assert summary["rows"] == {"read": 600, "kept": 598, "quarantined": 2, "dropped": {}}
    assert set(summary["progress"]["stage_progress"]) == {stage.value for stage in PipelineStage}
    assert summary["progress"]["overall_progress"] == 100.0
    assert seen[-1]["status"] == "completed"
    shares = [payload["progress"]["overall_progress"] for payload in seen]
    assert shares == sorted(shares)


def test_rows_set_aside_name_file_line_column_and_value(sales: Path, tmp_path: Path) -> None:
    results = AnalyticsPipeline(config(sales, tmp_path)).execute()
    aside = pl.read_parquet(Path(results["output_directory"]) / "quarantine.parquet").sort("line")
    assert aside["line"].to_list() == [11, 21]
    assert aside["file"].unique().to_list() == [str(sales)]
    assert aside["raw"][0] == "2025-01-10,Ulm,3"
    assert aside["column"][1] == "units"
    assert aside["value"][1] == "many"
    assert "int64" in aside["reason"][1]


def test_ray_and_inline_write_the_same_profile(ray_session: Session, tmp_path: Path) -> None:
    source = write_sales(tmp_path / "sales.csv", rows=3000)
    made = {}
    for engine in ("inline", "ray"):
        given = config(
            source,
            tmp_path,
            target_column="revenue",
            time_column="day",
            run_id=engine,
            engine={"engine": engine, "block_mib": 0.02},
        )
        results = AnalyticsPipeline(given).execute()
        folder = Path(results["output_directory"])
        made[engine] = (
            (folder / "profile.json").read_text(),
            (folder / "validation.json").read_text(),
            pl.read_parquet(folder / "quarantine.parquet").to_dicts(),
            [insight.model_dump() for insight in results["insights"]],
            results["processed_data"].to_arrow(),
        )
    assert made["inline"] == made["ray"]


def test_processing_steps_change_what_they_say(sales: Path, tmp_path: Path) -> None:
    given = config(sales, tmp_path, processing={"impute": "auto", "drop_duplicates": True, "cap_outliers": True})
    results = AnalyticsPipeline(given).execute()
    rows = results["processed_data"].to_polars()
    assert rows["city"].null_count() == 0
    assert set(rows["city"].unique()) == {"Ulm", "Bonn", "Kiel"}
    steps = {step.step: step for step in results["steps"]}
    assert {"TrimText", "DropEmptyColumns", "Impute"} <= set(steps)
    assert steps["DropEmptyColumns"].columns_dropped == ("note",)
    kept = results["rows"]["kept"] + results["rows"]["quarantined"] + sum(results["rows"]["dropped"].values())
    assert kept == results["rows"]["read"] == 600


class OnlyUlm(AnalyticsPipeline):
    """Keeps one city, and hands back whichever kind of table it is told to."""

    kind = "arrow"

    def _process_data(self, frame: Frame) -> Any:
        table = frame.to_arrow()
        table = table.filter(pc.equal(table["city"], "Ulm"))
        return {"arrow": table, "polars": pl.from_arrow(table), "pandas": table.to_pandas()}[self.kind]


@pytest.mark.parametrize("kind", ["arrow", "polars", "pandas"])
def test_an_override_may_put_back_any_kind_of_table(sales: Path, tmp_path: Path, kind: str) -> None:
    if kind == "pandas":
        pytest.importorskip("pandas", reason="the extra pandas is not installed")
    pipeline = OnlyUlm(config(sales, tmp_path))
    pipeline.kind = kind
    results = pipeline.execute()
    assert results["processed_data"].to_polars()["city"].unique().to_list() == ["Ulm"]
    assert results["rows"]["dropped"]["OnlyUlm._process_data"] > 0


def test_a_misspelt_target_is_refused_before_anything_is_written(sales: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingColumnsError, match="no column 'revenu'.*Did you mean 'revenue'"):
        AnalyticsPipeline(config(sales, tmp_path, target_column="revenu")).execute()
    assert not (tmp_path / "output").exists()


def test_strict_validation_fails_the_run_and_leaves_the_verdict(sales: Path, tmp_path: Path) -> None:
    given = config(sales, tmp_path, strict_validation=True)
    with pytest.raises(DataInvalidError, match="validation failed: .*note.*See "):
        AnalyticsPipeline(given).execute()
    folder = next((tmp_path / "output").iterdir())
    assert json.loads((folder / "validation.json").read_text())["is_valid"] is False
    assert json.loads((folder / "execution_summary.json").read_text())["execution_status"] == "failed"
    assert (folder / "quarantine.parquet").exists()
    assert not list(folder.glob(".tmp-*"))


def test_a_cancelled_run_leaves_nothing_half_written(sales: Path, tmp_path: Path) -> None:
    pipeline = AnalyticsPipeline(config(sales, tmp_path))
    pipeline.add_progress_callback(lambda data: pipeline.cancel())
    with pytest.raises(RunCancelledError, match="cancelled"):
        pipeline.execute()
    assert pipeline.get_status()["status"] == "cancelled"
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_callback_that_raises_does_not_end_the_run(sales: Path, tmp_path: Path) -> None:
    pipeline = AnalyticsPipeline(config(sales, tmp_path))
    pipeline.add_progress_callback(lambda data: 1 / 0)
    assert pipeline.execute()["status"] == "completed"


def test_two_runs_do_not_share_a_folder(sales: Path, tmp_path: Path) -> None:
    given = config(sales, tmp_path, run_id="twice", generate_dashboard=False)
    AnalyticsPipeline(given).execute()
    with pytest.raises(ConfigError, match="run twice: .* is not empty"):
        AnalyticsPipeline(given).execute()


def test_an_output_folder_that_cannot_be_made_is_refused_before_reading(sales: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write .*file.*Choose another folder with --output"):
        AnalyticsPipeline(config(sales, tmp_path, output_dir=tmp_path / "file" / "output")).execute()


def test_a_sample_has_the_size_asked_for_and_repeats_with_its_seed(sales: Path, tmp_path: Path) -> None:
    tables: list[pa.Table] = []
    for run_id in ("one", "two"):
        given = config(sales, tmp_path, sample_size=100, run_id=run_id, generate_dashboard=False)
        results = AnalyticsPipeline(given).execute()
        assert results["rows"]["read"] == 100
        tables.append(results["processed_data"].to_arrow())
    assert tables[0].equals(tables[1])


def test_a_failing_dashboard_becomes_a_warning(sales: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raypipe.dashboard.generator import DashboardGenerator

    def broken(self: object, given: object, path: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(DashboardGenerator, "write", broken)
    results = AnalyticsPipeline(config(sales, tmp_path)).execute()
    assert results["status"] == "completed"
    assert results["dashboard_generated"] is False
    assert results["warnings"] == ("dashboard is not available: RuntimeError: no ink",)


def test_switches_are_honoured(sales: Path, tmp_path: Path) -> None:
    results = AnalyticsPipeline(config(sales, tmp_path, validate_data=False, generate_dashboard=False)).execute()
    folder = Path(results["output_directory"])
    assert results["validation_results"] is None
    assert not (folder / "validation.json").exists()
    assert not (folder / "dashboard.html").exists()
    assert results["progress"]["overall_progress"] == 100.0


def test_a_table_without_rows_still_gets_a_page(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("a,b\n")
    results = AnalyticsPipeline(config(tmp_path / "empty.csv", tmp_path)).execute()
    assert results["data_shape"][0] == 0
    assert results["dashboard_generated"] is True
    assert results["warnings"] == ()


class UlmAfterSteps(AnalyticsPipeline):
    """Lets the fitted steps run first, then keeps one city."""

    def _process_data(self, frame: Frame) -> Any:
        rows = super()._process_data(frame).to_polars()
        return rows.filter(rows["city"] == "Ulm")


class Twice(AnalyticsPipeline):
    """Makes each row twice."""

    def _process_data(self, frame: Frame) -> Any:
        table = frame.to_arrow()
        return pa.concat_tables([table, table])


def test_an_override_may_let_the_steps_run_first(sales: Path, tmp_path: Path) -> None:
    results = UlmAfterSteps(config(sales, tmp_path, processing={"drop_duplicates": True})).execute()
    counts = results["rows"]
    assert counts["read"] == counts["kept"] + counts["quarantined"] + sum(counts["dropped"].values())
    assert [step.step for step in results["steps"]][-1] == "UlmAfterSteps._process_data"
    assert "TrimText" in [step.step for step in results["steps"]]


def test_an_override_that_makes_rows_is_accounted_for(sales: Path, tmp_path: Path) -> None:
    results = Twice(config(sales, tmp_path)).execute()
    assert results["rows"] == {
        "read": 600, "kept": 1196, "quarantined": 2, "dropped": {}, "added": {"Twice._process_data": 598},
    }  # fmt: skip


def test_strict_runs_refuse_missing_columns_before_reading(sales: Path, tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text("name: sales\ncolumns:\n- {name: citty, dtype: text}\n")
    given = config(sales, tmp_path, strict_validation=True, validation={"schema_path": tmp_path / "schema.yaml"})
    with pytest.raises(DataInvalidError, match="before the data was read: .*citty"):
        AnalyticsPipeline(given).execute()
    assert not (tmp_path / "output").exists()


def test_a_file_of_some_size_is_read_by_all_workers(ray_session: Session, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("a,b\n" + "1234567,abcdefgh\n" * 700_000)
    given = config(path, tmp_path, engine={"engine": "ray"}, generate_dashboard=False)
    results = AnalyticsPipeline(given).execute()
    events = [
        json.loads(line) for line in (Path(results["output_directory"]) / "events.jsonl").read_text().splitlines()
    ]
    assert len({event["pid"] for event in events if event["event"] == "bundle_done"}) == 2
    assert results["data_shape"] == (700_000, 2)
