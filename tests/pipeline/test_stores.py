"""Runs over workbooks, lakes and databases: the same results on both engines, and no secret anywhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raypipe.config import EngineConfig, PipelineConfig
from raypipe.engine import journal as journals
from raypipe.errors import ConfigError, RunCancelledError
from raypipe.pipeline import AnalyticsPipeline

INLINE = EngineConfig(engine="inline")


def run(source: object, output: Path, **settings: Any) -> Any:
    config = {"data_source": source, "output_dir": output, "engine": INLINE, "generate_dashboard": False, **settings}
    return AnalyticsPipeline(PipelineConfig.model_validate(config)).execute()


@pytest.fixture(params=["excel", "delta", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """1,000 rows of each kind of store, and the options to read them."""
    if request.param == "excel":
        xlsxwriter = pytest.importorskip("xlsxwriter", reason="xlsxwriter is absent: pip install 'raypipe[excel]'")
        book = xlsxwriter.Workbook(str(tmp_path / "book.xlsx"))
        book.add_worksheet("Q0").write_row(0, 0, ["other"])
        sheet = book.add_worksheet("Q1")
        sheet.write_row(0, 0, ["id", "price"])
        for row in range(1, 1_001):
            sheet.write_row(row, 0, [row, row / 4])
        book.close()
        return str(tmp_path / "book.xlsx"), {"sheet": "Q1"}
    if request.param == "delta":
        deltalake = pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")
        ids = list(range(1, 1_001))
        deltalake.write_deltalake(tmp_path / "t", pa.table({"id": ids, "price": [n / 4 for n in ids]}))
        return str(tmp_path / "t"), {}
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, price REAL)")
        connection.execute("CREATE TABLE other (id INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(n, n / 4) for n in range(1, 1_001)])
    connection.close()
    return f"sqlite:///{tmp_path / 'x.db'}", {"table": "orders"}


def test_a_run_over_each_store_finds_its_rows(store: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    source, options = store
    result = run(source, tmp_path / "out", read_options=options, target_column="price")
    assert result["data_shape"] == (1_000, 2)
    assert result["status"] == "completed"
    assert run(source, tmp_path / "out", read_options=options, sample_size=100)["data_shape"] == (100, 2)


def test_ray_and_inline_read_the_same(store: tuple[str, dict[str, Any]], tmp_path: Path, ray_session: object) -> None:
    source, options = store
    profiles = []
    for engine in ("inline", "ray"):
        made = run(source, tmp_path / engine, read_options=options, engine={"engine": engine})
        profiles.append((Path(made["output_directory"]) / "profile.json").read_bytes())
    assert profiles[0] == profiles[1]


def _cancel(pipeline: AnalyticsPipeline) -> Any:
    def look(data: dict[str, Any]) -> None:
        shares = data["progress"]["stage_progress"]
        stage = "data_processing"
        if data["progress"]["current_stage"] == stage and data["detail"] and shares.get(stage, 0) > 30:
            pipeline.cancel()

    return look


@pytest.mark.parametrize("own_config", [True, False])
def test_a_run_that_goes_on_reads_the_version_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_config: bool
) -> None:
    deltalake = pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")
    monkeypatch.setattr(journals, "COST_SHARE", 1.0)
    table = tmp_path / "growing"
    deltalake.write_deltalake(table, pa.table({"id": range(40_000), "city": [" Ulm "] * 40_000}))
    config = PipelineConfig(
        data_source=table, output_dir=tmp_path / "out", run_id="r1", generate_dashboard=False, save_intermediate=True,
        engine=EngineConfig(engine="inline", checkpoint_s=0.01, block_mib=0.05),
    )  # fmt: skip
    first = AnalyticsPipeline(config)
    first.add_progress_callback(_cancel(first))
    with pytest.raises(RunCancelledError):
        first.execute()
    deltalake.write_deltalake(table, pa.table({"id": [7], "city": ["Bonn"]}), mode="append")
    again = AnalyticsPipeline(config) if own_config else AnalyticsPipeline.resumed("r1", tmp_path / "out")
    assert again.execute(resume="r1")["data_shape"] == (40_000, 2)
    assert run(table, tmp_path / "out")["data_shape"] == (40_001, 2)


def test_a_password_in_an_address_never_gets_into_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ann:\*\*\*@db.example.com.*holds no password") as caught:
        run("postgresql://ann:hunter2@db.example.com/shop", tmp_path / "out")
    assert "hunter2" not in str(caught.value)
    assert not list((tmp_path).rglob("*"))
