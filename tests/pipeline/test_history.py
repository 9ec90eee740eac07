"""Every run leaves a record, and the records tell what ran."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from raypipe.config import EngineConfig, PipelineConfig
from raypipe.errors import ConfigError, RunCancelledError
from raypipe.pipeline import AnalyticsPipeline
from raypipe.pipeline.history import list_runs
from raypipe.pipeline.manifest import masked_config
from tests.storage.servers import Bucket
from tests.warm import run_raypipe

ROWS = "city,price\n" + "".join(f"Ulm,{row}\n" for row in range(40))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "prices.csv"
    path.write_text(ROWS)
    return path


def pipeline(source: Path, output: Path | str, **settings: Any) -> AnalyticsPipeline:
    engine = EngineConfig(engine="inline")
    return AnalyticsPipeline(PipelineConfig(data_source=source, output_dir=output, engine=engine, **settings))


def test_the_record_says_what_ran_on_what_and_what_came_of_it(source: Path, tmp_path: Path) -> None:
    results = pipeline(source, tmp_path / "out", run_id="one", save_intermediate=True).execute()
    folder = Path(results["output_directory"])
    record = json.loads((folder / "run.json").read_text())
    assert (record["version"], record["outcome"], record["exit_code"], record["error"]) == (1, "completed", 0, None)
    assert record["rows"] == results["rows"]
    assert set(record["stage_seconds"]) == set(results["summary"]["stage_seconds"])
    assert record["source"]["files"] == [
        {"path": str(source), "bytes": len(ROWS), "stamp": f"mtime_ns:{source.stat().st_mtime_ns}"}
    ]
    told = {output["name"]: output for output in record["outputs"]}
    assert set(told) == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {
        "run.json"
    }
    for name, output in told.items():
        content = (folder / name).read_bytes()
        growing = name in ("events.jsonl", "pipeline.log")
        assert output["sha256"] == (None if growing else hashlib.sha256(content).hexdigest())
        assert growing or output["bytes"] == len(content)


def test_a_run_that_fails_or_is_cancelled_leaves_a_record_too(source: Path, tmp_path: Path) -> None:
    gone = pipeline(source, tmp_path / "out", run_id="gone")
    gone.add_progress_callback(
        lambda told: gone.cancel() if told["progress"]["current_stage"] == "data_loading" else None
    )
    with pytest.raises(RunCancelledError):
        gone.execute()

    class Broken(AnalyticsPipeline):
        def _process_data(self, frame: Any) -> Any:
            raise RuntimeError("no luck")

    config = pipeline(source, tmp_path / "out", run_id="bad").config
    with pytest.raises(RuntimeError, match="no luck"):
        Broken(config).execute()
    outcomes = {run.run_id: (run.outcome, run.exit_code, run.error) for run in list_runs(tmp_path / "out")}
    assert outcomes["gone"][:2] == ("cancelled", 130)
    assert outcomes["bad"] == ("failed", 1, "no luck")


def test_history_tells_runs_newest_first_and_those_without_a_record(source: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        pipeline(source, tmp_path / "out", run_id=name, generate_dashboard=name == "second").execute()
    (tmp_path / "out/killed").mkdir()
    (tmp_path / "out/killed/events.jsonl").write_text("{}\n")
    (tmp_path / "out/odd").mkdir()
    (tmp_path / "out/odd/run.json").write_text("[1]")
    (tmp_path / "out/other").mkdir()
    runs = list_runs(tmp_path / "out")
    assert [(run.run_id, run.outcome) for run in runs] == [
        ("second", "completed"), ("first", "completed"), ("odd", "unreadable"), ("killed", "unfinished"),
    ]  # fmt: skip
    assert runs[0].dashboard == f"{tmp_path}/out/second/dashboard.html"
    assert runs[1].dashboard is None
    assert runs[0].rows == 40
    with pytest.raises(ConfigError, match="there is no folder"):
        list_runs(tmp_path / "nowhere")


def test_history_and_timeline_of_a_bucket_from_the_command_line(s3: Bucket, tmp_path: Path) -> None:
    uri = s3.put("in/prices.csv", ROWS.encode())
    environment = {**os.environ, "AWS_ENDPOINT_URL": s3.url, "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(
        {"metadata": {"job_submission_id": "raysubmit_1"}}
    )}  # fmt: skip

    def raypipe(*words: str) -> str:
        done = run_raypipe(*words, cwd=tmp_path, env=environment, check=None)
        assert done.returncode == 0 or "timeline" in words, done.stderr
        return done.stdout + done.stderr * bool(done.returncode)

    raypipe("run", uri, "--output", f"{s3.uri}/runs", "--run-id", "one", "--quiet", "--no-dashboard")
    s3.put("runs/killed/events.jsonl", b"")
    found = json.loads(raypipe("history", f"{s3.uri}/runs", "--json"))
    assert [(run["run_id"], run["outcome"], run["rows"]) for run in found] == [
        ("one", "completed", 40), ("killed", "unfinished", None),
    ]  # fmt: skip
    assert found[0]["submission_id"] == "raysubmit_1"
    assert "completed" in raypipe("history", f"{s3.uri}/runs")
    assert "run one completed after" in raypipe("timeline", f"{s3.uri}/runs/one")
    assert (tmp_path / "one-timeline.html").stat().st_size > 100_000
    assert "runs/two/events.jsonl: there is no such object" in raypipe("timeline", f"{s3.uri}/runs/two")


def test_secrets_are_masked_wherever_they_stand() -> None:
    config = {
        "alerts": {"webhook_token": "abc", "url": "https://me:pw@host/x"},
        "read_options": {"null_values": ["token"]},
        "data_source": "https://host/x?sig=abc",
        "token": None,
    }
    masked = masked_config(config)
    assert masked["alerts"] == {"webhook_token": "***", "url": "https://***@host/x"}
    assert masked["read_options"] == config["read_options"]
    assert "abc" not in json.dumps(masked)
