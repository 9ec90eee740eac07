"""A run with a list of steps: its files, its report, its plan; and the same steps on new data."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config import PipelineConfig
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.processing.processor import FittedProcessor
from raypipe.pipeline import AnalyticsPipeline
from raypipe.pipeline.reprocess import reprocess

ROWS = 300
STEPS = [
    {"step": "fill_missing", "columns": ["price"], "method": "forward", "by": "city"},
    {"step": "fill_missing", "columns": "price", "method": "median"},
    {"step": "outliers", "columns": "units", "method": "iqr", "action": "quarantine"},
    {"step": "drop_duplicates", "by": ["id"], "keep": "last"},
    {"step": "scale", "columns": "kind:numbers", "but": "id"},
    {"step": "encode_one_hot", "columns": "city"},
    {"step": "date_parts", "columns": "day", "parts": ["month", "is_weekend"]},
]


@pytest.fixture
def source(tmp_path):
    frame = pl.DataFrame(
        {
            "id": [n // 2 if n < 40 else n for n in range(ROWS)],
            "city": [("Ulm", "Bonn", "Jena")[n % 3] for n in range(ROWS)],
            "price": [None if n % 11 == 0 else 10 + n % 7 + 0.5 for n in range(ROWS)],
            "units": [9_000 if n == 100 else n % 20 for n in range(ROWS)],
            "day": [f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d}" for n in range(ROWS)],
            "sales": [float(n % 20) * 3 for n in range(ROWS)],
        }
    )
    frame.write_csv(tmp_path / "sales.csv")
    return tmp_path / "sales.csv"


def config(source, **more):
    engine = {"engine": "inline", **more.pop("engine", {})}
    return PipelineConfig.of(
        {
            "data_source": source, "output_dir": source.parent / "output", "target_column": "sales", "engine": engine,
            "save_intermediate": True, "generate_dashboard": False, "processing": {"steps": STEPS}, **more,
        }
    )  # fmt: skip


def test_a_run_fits_applies_reports_and_saves_the_list(source):
    results = AnalyticsPipeline(config(source, run_id="one", generate_dashboard=True)).execute()
    folder = source.parent / "output" / "one"
    rows = results["rows"]
    assert rows["read"] == ROWS == rows["kept"] + rows["quarantined"] + sum(rows["dropped"].values())
    assert rows["quarantined"] == 1
    assert rows["dropped"] == {"drop_duplicates": 20}
    steps = {step.step: step for step in results["steps"]}
    assert steps["fill_missing"].figures["price"]["before"]["nulls"] == 28
    assert steps["fill_missing 2"].figures["price"]["after"]["nulls"] == 0
    assert steps["scale"].columns == ("price", "units")
    summary = json.loads((folder / "execution_summary.json").read_text())
    assert [one["name"] for one in summary["engine"]["passes"]].count("process") == 5
    table = pq.read_table(folder / "processed")
    assert abs(table["price"].to_pandas().mean()) < 1e-9
    assert {"city_Ulm", "city_Bonn", "city_Jena", "day_month", "day_is_weekend"} <= set(table.column_names)
    page, report = (folder / "dashboard.html").read_text(), (folder / "insights_report.md").read_text()
    assert "Before and after" in page
    assert "missing 2" in report
    assert not [one for one in results["insights"] if one.type == "heavy_cleaning" and "scale" in one.title]
    processor = FittedProcessor.load(folder / "processing.json")
    assert processor.inverse(table)["units"].to_pylist()[:3] == [1, 3, 5]


def test_the_plan_tells_the_passes_that_a_run_takes(source):
    pipeline = AnalyticsPipeline(config(source))
    words = pipeline.explained()
    assert words.steps == (
        "1. fits fill_missing; 2. fits fill_missing 2, outliers; 3. fits drop_duplicates; 4. fits scale, "
        "encode_one_hot; 5. applies the rest, summarises and writes"
    )
    assert words.steps in words.text()
    assert words.steps in pipeline.plan()


def test_new_data_gets_the_steps_as_they_were_fitted(source, tmp_path):
    AnalyticsPipeline(config(source, run_id="one")).execute()
    saved = source.parent / "output" / "one" / "processing.json"
    done = reprocess(config(source), saved, tmp_path / "again.parquet")
    first = pq.read_table(source.parent / "output" / "one" / "processed")
    assert pq.read_table(done.output).equals(first)
    assert done.quarantine is not None
    assert pq.read_table(done.quarantine).num_rows == 1
    assert done.rows.kept == first.num_rows
    parts = reprocess(config(source), saved, f"{tmp_path}/parts/")
    assert pq.read_table(parts.output).equals(first)
    with pytest.raises(ConfigError, match=r"again\.parquet: is there already"):
        reprocess(config(source), saved, tmp_path / "again.parquet")
    again = AnalyticsPipeline(config(source, run_id="two", processing={"fitted": saved})).execute()
    assert again["processed_data"].to_arrow().equals(first)
    assert FittedProcessor.load(source.parent / "output" / "two" / "processing.json") == FittedProcessor.load(saved)


def test_what_cannot_work_ends_the_run_before_it_has_a_folder(source):
    wrong = [{"step": "scale", "columns": "prize"}]
    with pytest.raises(MissingColumnsError, match="step scale: input has no column 'prize'.*'price'"):
        AnalyticsPipeline(config(source, processing={"steps": wrong})).execute()
    lost = [{"step": "select_columns", "columns": ["id"]}, {"step": "date_parts", "columns": "sales"}]
    with pytest.raises(ConfigError, match="column 'sales' holds float64; wanted dates"):
        AnalyticsPipeline(config(source, processing={"steps": lost})).execute()
    assert not (source.parent / "output").exists()


def test_an_empty_column_that_a_step_names_is_kept_for_it(source):
    frame = pl.read_csv(source).with_columns(pl.lit(None, pl.String).alias("void"))
    frame.write_csv(source)
    steps = [{"step": "flag_missing", "columns": "void"}, {"step": "drop_columns", "columns": "void"}]
    results = AnalyticsPipeline(config(source, processing={"steps": steps})).execute()
    assert results["processed_data"].to_arrow()["void_missing"].to_pylist() == [True] * ROWS


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_ray_gives_what_inline_gives(source):
    tables = []
    for number, engine in enumerate(({"engine": "inline"}, {"engine": "ray", "workers": 2, "block_rows": 50})):
        results = AnalyticsPipeline(config(source, run_id=f"r{number}", engine=engine)).execute()
        tables.append(results["processed_data"].to_arrow())
    assert isinstance(tables[0], pa.Table)
    assert tables[0].num_rows == tables[1].num_rows
    for name in tables[0].column_names:
        assert tables[0][name].equals(tables[1][name]), name


class _Interrupted(AnalyticsPipeline):
    """Is broken off after the passes of its steps, the first time."""

    broken = False

    def _analyze(self, run):
        if not type(self).broken:
            type(self).broken = True
            raise KeyboardInterrupt
        super()._analyze(run)


def test_a_run_that_was_broken_off_after_its_steps_goes_on_with_equal_results(source):
    whole = AnalyticsPipeline(config(source, run_id="whole")).execute()["processed_data"].to_arrow()
    quick = {"checkpoint_s": 0.001, "block_mib": 1}
    with pytest.raises(KeyboardInterrupt):
        _Interrupted(config(source, run_id="cut", engine=quick)).execute()
    pipeline = _Interrupted(config(source, run_id="cut", engine=quick))
    again = pipeline.execute(resume="cut")
    assert again["processed_data"].to_arrow().equals(whole)
    rows = again["rows"]
    assert rows["read"] == rows["kept"] + rows["quarantined"] + sum(rows["dropped"].values())
    resumed = json.loads((source.parent / "output" / "cut" / "execution_summary.json").read_text())
    assert resumed["resumed"]
