"""A run over text files leaves how it read them, and a run with that reads the same."""

from __future__ import annotations

import json
from pathlib import Path

from raypipe.config import EngineConfig, PipelineConfig
from raypipe.pipeline import AnalyticsPipeline

TEXT = "Report;;\nday;city;amount\n31.12.2024;Ulm;1.234,50 €\n01.02.2025;Bonn;(7,00 €)\nTotal;;1.227,50 €\n"


def run(config: PipelineConfig) -> tuple[Path, AnalyticsPipeline]:
    pipeline = AnalyticsPipeline(config)
    return Path(pipeline.execute()["output_directory"]), pipeline


def test_a_run_with_the_options_that_another_left_reads_the_same_table(tmp_path: Path) -> None:
    source = tmp_path / "x.csv"
    source.write_text(TEXT)
    inline = {"engine": EngineConfig(engine="inline"), "output_dir": tmp_path / "out", "generate_dashboard": False}
    first, _ = run(PipelineConfig(data_source=source, **inline))
    settings = {"data_source": str(source), "output_dir": str(tmp_path / "out"), "generate_dashboard": False}
    pinned = PipelineConfig.load(first / "read_options.yaml", **settings, engine={"engine": "inline"})
    again, _ = run(pinned)

    for name in ("profile.json", "read_options.yaml"):
        assert (first / name).read_text() == (again / name).read_text()
    reading = [json.loads((folder / "execution_summary.json").read_text())["reading"] for folder in (first, again)]
    assert reading[0]["found"][0]["skipped_lines"] == 1
    assert reading[0]["found"][0]["footer_rows"] == 1
    assert reading[0]["notes"]
    assert pinned.read_options.dtypes == {"day": "date", "city": "text", "amount": "float64"}
    assert not any("read as numbers" in note for note in reading[1]["notes"])
