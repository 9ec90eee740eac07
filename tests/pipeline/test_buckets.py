"""Runs that read from buckets and write to them end as those on a disk do."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config import EngineConfig, PipelineConfig
from raypipe.errors import ConfigError, OutputError, ReadError, ResumeError, RunCancelledError
from raypipe.pipeline import AnalyticsPipeline
from tests.storage.proxy import Fault, Proxy, xml_error
from tests.storage.servers import BUCKET, Bucket
from tests.storage.test_reading import csv_text

FILES = ["dashboard.html", "events.jsonl", "execution_summary.json", "insights.json", "insights_report.md",
         "patterns.json", "pipeline.log", "processing.json", "profile.json", "profile_before.json",
         "quarantine.parquet", "read_options.yaml", "replay.json", "run.json", "statistics.json",
         "validation.json"]  # fmt: skip
INLINE = EngineConfig(engine="inline")


def messy(rows: int) -> bytes:
    """Rows, some of them without a place."""
    return csv_text(rows).replace(b",fine\n", b",fine,too,many\n", 5)


def execute(bucket: Bucket, source: str, output: str, **settings: Any) -> Any:
    config = PipelineConfig(
        data_source=source, output_dir=output, storage=bucket.storage, **{"engine": INLINE, **settings}
    )
    return AnalyticsPipeline(config).execute()


def hashes(files: dict[str, bytes]) -> dict[str, str]:
    """Of the files that tell what was found, without the names of places."""
    found = {}
    for name, content in files.items():
        if name == "quarantine.parquet":
            frame = pl.read_parquet(content).with_columns(pl.col("file").str.split("/").list.last())
            content = frame.write_json().encode()
        if name in ("quarantine.parquet", "profile.json", "validation.json"):
            text = content.decode().replace(f"s3://{BUCKET}/in/", "").replace("AT/", "")
            found[name] = hashlib.sha256(text.encode()).hexdigest()
    return found


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_source_in_a_bucket_gives_the_hashes_of_the_same_files_on_a_disk(
    s3: Bucket, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raypipe.etl.formats.csv_plan.GUESS_BYTES", 1 << 10)
    monkeypatch.setattr("raypipe.pipeline.ingest.MIN_PART_BYTES", 1 << 14)
    data = tmp_path / "in"
    data.mkdir()
    for name in ("a", "b"):
        if kind == "csv":
            (data / f"{name}.csv").write_bytes(messy(3_000))
        else:
            frame = pl.read_csv(csv_text(3_000), try_parse_dates=True)
            pq.write_table(frame.to_arrow(), data / f"{name}.parquet", row_group_size=700)
    local = AnalyticsPipeline(
        PipelineConfig(data_source=data, output_dir=tmp_path / "out", engine=INLINE, generate_dashboard=False)
    ).execute()
    remote = execute(s3, s3.put_folder(data, "in"), str(tmp_path / "far"), generate_dashboard=False)
    folders = (Path(local["output_directory"]), Path(remote["output_directory"]))
    one, other = ({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} for folder in folders)
    one = {name: content.replace(f"{data}/".encode(), b"AT/") if name.endswith("json") else content
           for name, content in one.items()}  # fmt: skip
    assert hashes(one) == hashes(other)
    assert len(hashes(one)) == 3


def test_everything_that_a_run_writes_lands_in_its_bucket(
    s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = s3.put("in/a.csv", messy(500))
    results = execute(s3, source, f"{s3.uri}/runs", run_id="one", save_intermediate=True)
    names = [key.removeprefix("runs/one/") for key in s3.keys("runs/one")]
    written = [name for name in names if name.startswith("processed/")]
    assert sorted(set(names) - set(written)) == FILES
    assert written == ["processed/part-00000-a.csv@0000000000018.parquet"]
    assert results["output_directory"] == f"{s3.uri}/runs/one"
    assert results["dashboard_generated"]
    assert s3.get("runs/one/dashboard.html").startswith(b"<!doctype html>")
    assert pq.read_table(pa.BufferReader(s3.get(f"runs/one/{written[0]}"))).num_rows == 495
    assert json.loads(s3.get("runs/one/events.jsonl").splitlines()[-1])["event"] == "run_done"
    record = json.loads(s3.get("runs/one/run.json"))
    assert (record["outcome"], record["exit_code"], record["rows"]["kept"]) == ("completed", 0, 495)
    for output in record["outputs"]:
        content = s3.get(f"runs/one/{output['name']}")
        if output["sha256"]:
            assert hashlib.sha256(content).hexdigest() == output["sha256"], output["name"]
            assert len(content) == output["bytes"]
    assert {output["name"] for output in record["outputs"]} == set(names) - {"run.json"}
    assert not list(tmp_path.glob("raypipe-bucket-*"))


@pytest.mark.slow
def test_workers_of_a_ray_read_and_write_the_bucket_by_their_own_credentials(s3: Bucket) -> None:
    source = s3.put("in/a.csv", messy(3_000))
    execute(s3, source, f"{s3.uri}/runs", run_id="inline", save_intermediate=True)
    command = [sys.executable, "-m", "raypipe", "run", source, "--output", f"{s3.uri}/runs", "--run-id", "ray",
               "--engine", "ray", "--save-intermediate", "--no-dashboard", "--quiet"]  # fmt: skip
    # Where the bucket is comes from the environment here, as the tools of AWS take it.
    done = subprocess.run(command, env={**os.environ, "AWS_ENDPOINT_URL": s3.url}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"results    {s3.uri}/runs/ray" in done.stdout
    assert s3.get("runs/ray/profile.json") == s3.get("runs/inline/profile.json")
    parts = [s3.get(key) for key in s3.keys("runs/ray/processed")]
    assert sum(pq.read_metadata(pa.BufferReader(part)).num_rows for part in parts) == 2_995
    assert not any("testing-secret" in s3.get(key).decode("latin-1") for key in s3.keys("runs/ray"))


def test_a_run_that_fails_leaves_its_log_and_its_record(s3: Bucket) -> None:
    source = s3.put("in/a.csv", messy(100))
    with pytest.raises(ValueError, match="validation failed.*s3://sales/runs/bad/validation.json"):
        execute(
            s3, source, f"{s3.uri}/runs", run_id="bad", strict_validation=True,
            validation={"max_null_share": 0.0, "schema_path": _schema()},
        )  # fmt: skip
    record = json.loads(s3.get("runs/bad/run.json"))
    assert (record["outcome"], record["exit_code"]) == ("failed", 3)
    assert "validation failed" in record["error"]["message"]
    assert b'"run_done"' in s3.get("runs/bad/events.jsonl")
    assert b"validation failed" in s3.get("runs/bad/pipeline.log")


def _schema() -> Path:
    path = Path(tempfile.mkdtemp()) / "schema.yaml"
    columns = "".join(f"  - {{name: {name}}}\n" for name in ("id", "day", "note"))
    path.write_text(f"name: prices\ncolumns:\n{columns}  - {{name: price, dtype: date}}\n")
    return path


def test_a_run_that_is_cancelled_leaves_its_log_and_its_record(s3: Bucket) -> None:
    source = s3.put("in/a.csv", messy(100))
    config = PipelineConfig(
        data_source=source, output_dir=f"{s3.uri}/runs", run_id="gone", storage=s3.storage, engine=INLINE
    )
    pipeline = AnalyticsPipeline(config)
    pipeline.add_progress_callback(
        lambda told: pipeline.cancel() if told["progress"]["current_stage"] == "data_loading" else None
    )
    with pytest.raises(RunCancelledError):
        pipeline.execute()
    record = json.loads(s3.get("runs/gone/run.json"))
    assert (record["outcome"], record["exit_code"]) == ("cancelled", 130)


def test_a_folder_that_holds_something_is_not_written_to(s3: Bucket) -> None:
    source = s3.put("in/a.csv", messy(50))
    s3.put("runs/taken/notes.txt", b"mine")
    with pytest.raises(ConfigError, match="s3://sales/runs/taken is not empty; choose another run id"):
        execute(s3, source, f"{s3.uri}/runs", run_id="taken")
    assert s3.keys("runs") == ["runs/taken/notes.txt"]


def test_a_bucket_that_cannot_be_written_is_told_before_data_is_read(proxied: tuple[Bucket, Proxy]) -> None:
    bucket, proxy = proxied
    source = bucket.put("in/a.csv", messy(50))
    with pytest.raises(OutputError, match="cannot write s3://away/runs.*there is no bucket 'away'"):
        execute(bucket, source, "s3://away/runs")
    proxy.faults += [Fault("POST", "runs", 403, xml_error("AccessDenied"))]
    with pytest.raises(OutputError, match=r"no permission to write it.*s3:PutObject"):
        execute(bucket, source, f"{bucket.uri}/runs")
    with pytest.raises(ConfigError, match="holds no credentials"):
        execute(bucket, source, "s3://me:secret@sales/runs")


def test_uploads_are_tried_again(proxied: tuple[Bucket, Proxy]) -> None:
    bucket, proxy = proxied
    source = bucket.put("in/a.csv", messy(50))
    proxy.faults += [
        Fault("POST", r"profile\.json\?uploads", 503, xml_error("SlowDown"), times=2),
        Fault("PUT", "dashboard.*partNumber", 500, xml_error("InternalError"), times=2),
    ]
    execute(bucket, source, f"{bucket.uri}/runs", run_id="one")
    wanted = [name for name in FILES if name != "profile_before.json"]  # no step has anything to do
    assert [key.removeprefix("runs/one/") for key in bucket.keys("runs/one")] == wanted


CHILD = """
import sys
import time
from raypipe.config import PipelineConfig
from raypipe.pipeline import AnalyticsPipeline
import raypipe.etl.formats.csv_format as source
slow = source.read_part
def read_part(task, layout):
    time.sleep(0.15)
    return slow(task, layout)
source.read_part = read_part
import raypipe.pipeline.ingest as ingest
ingest.MIN_PART_BYTES = 1 << 12
import raypipe.pipeline.bucket as bucket
upload = bucket.upload
def upload_and_wait(path, address, config):
    sent = upload(path, address, config)
    if sys.argv[2] in address.key:
        time.sleep(600)
    return sent
bucket.upload = upload_and_wait
AnalyticsPipeline(PipelineConfig.model_validate_json(sys.argv[1])).execute()
"""


def killed(bucket: Bucket, config: PipelineConfig, until: str) -> None:
    """Run it in a process of its own, which waits once an object of this kind is in the bucket, and kill that."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, config.model_dump_json(), until], env={**os.environ})
    try:
        deadline = time.monotonic() + 60
        while not any(until in key for key in bucket.keys(f"runs/{config.run_id}")):
            assert child.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


@pytest.fixture
def long_run(s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PipelineConfig:
    """A run of seconds that commits what it does, with a key of its own."""
    monkeypatch.setenv("RAYPIPE_RESUME_KEY", "a key for tests")
    monkeypatch.setattr("raypipe.pipeline.ingest.MIN_PART_BYTES", 1 << 12)
    source = s3.put("in/a.csv", messy(4_000))
    return PipelineConfig(
        data_source=source, output_dir=f"{s3.uri}/runs", run_id="long", generate_dashboard=False,
        engine=EngineConfig(engine="inline", checkpoint_s=0.2),
        storage=s3.storage.replace(upload_every_s=0.3),
    )  # fmt: skip


def test_a_run_that_was_killed_has_no_record_and_the_next_is_clean(s3: Bucket, long_run: PipelineConfig) -> None:
    killed(s3, long_run, until="events.jsonl")
    assert "runs/long/run.json" not in s3.keys("runs")
    results = AnalyticsPipeline(long_run.replace(run_id="next")).execute()
    assert results["status"] == "completed"
    assert "runs/next/run.json" in s3.keys("runs/next")
    assert not [key for key in s3.keys("runs/next") if "resume" in key or "tmp" in key]


def test_a_run_that_was_killed_is_gone_on_with_from_its_bucket(s3: Bucket, long_run: PipelineConfig) -> None:
    killed(s3, long_run, until="/commit-")
    again = AnalyticsPipeline.resumed("long", long_run.output_dir, storage=long_run.storage.model_dump())
    results = again.execute(resume="long")
    assert results["summary"]["resumed"]
    plain = AnalyticsPipeline(long_run.replace(run_id="plain")).execute()
    assert results["rows"] == plain["rows"]
    for name in ("profile.json", "validation.json"):
        assert s3.get(f"runs/long/{name}") == s3.get(f"runs/plain/{name}")
    assert pl.read_parquet(s3.get("runs/long/quarantine.parquet")).equals(
        pl.read_parquet(s3.get("runs/plain/quarantine.parquet"))
    )
    assert b'"resumed"' in s3.get("runs/long/events.jsonl")
    assert not [key for key in s3.keys("runs/long") if "resume/" in key]
    with pytest.raises(ResumeError, match="run long is over.*run.json"):
        AnalyticsPipeline.resumed("long", long_run.output_dir, storage=long_run.storage.model_dump())


def test_a_process_whose_run_another_goes_on_with_ends(s3: Bucket, long_run: PipelineConfig) -> None:
    source = s3.put("in/a.csv", messy(200))
    pipeline = AnalyticsPipeline(long_run.replace(data_source=source))

    def take_over(told: dict[str, Any]) -> None:
        if told["progress"]["current_stage"] == "analysis":
            s3.put("runs/long/resume/owner", b"somebody else")

    pipeline.add_progress_callback(take_over)
    with pytest.raises(OutputError, match="another process has gone on with it"):
        pipeline.execute()
    assert "runs/long/run.json" not in s3.keys("runs")


def test_what_a_killed_run_left_on_its_machine_is_removed_by_the_next(s3: Bucket, tmp_path: Path) -> None:
    left = Path(tempfile.mkdtemp(prefix="raypipe-bucket-"))
    (left / "lock").touch()
    os.utime(left, (0, 0))
    execute(s3, s3.put("in/a.csv", messy(50)), f"{s3.uri}/runs", generate_dashboard=False)
    assert not left.exists()


def test_a_run_that_fails_before_it_reads_leaves_a_record(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    away = EngineConfig(engine="ray", address="nowhere")
    with pytest.raises(ConfigError):
        execute(s3, s3.put("in/a.csv", messy(50)), f"{s3.uri}/runs", run_id="lost", engine=away)
    record = json.loads(s3.get("runs/lost/run.json"))
    assert (record["outcome"], record["exit_code"], record["rows"]) == ("failed", 2, None)


def test_a_job_knows_in_a_bucket_that_an_earlier_attempt_did_it(s3: Bucket, tmp_path: Path) -> None:
    source = s3.put("in/a.csv", messy(50))
    config = tmp_path / "job.yaml"
    config.write_text(
        f"data_source: {source}\noutput_dir: {s3.uri}/runs\ngenerate_dashboard: false\nengine: {{engine: inline}}\n"
    )
    driver = "import sys; from raypipe.cli.job import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", driver, str(config), "--run-id", "job", "--again"]
    environment = {**os.environ, "AWS_ENDPOINT_URL": s3.url, "RAYPIPE_RESUME_KEY": "a key for tests"}
    first, second = (subprocess.run(command, env=environment, capture_output=True, text=True) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    assert "is completed already" not in first.stdout
    assert "run job is completed already" in second.stdout
    assert json.loads(s3.get("runs/job/run.json"))["outcome"] == "completed"


def test_there_is_nothing_to_resume_where_no_run_is(s3: Bucket) -> None:
    with pytest.raises(ResumeError, match="there is no unfinished run nobody in s3://sales/runs"):
        AnalyticsPipeline.resumed("nobody", f"{s3.uri}/runs", storage=s3.storage.model_dump())


def test_the_log_is_brought_while_the_run_goes_on(s3: Bucket, long_run: PipelineConfig) -> None:
    seen: list[int] = []
    pipeline = AnalyticsPipeline(long_run.replace(run_id="live"))
    thread = threading.Thread(target=pipeline.execute)
    thread.start()
    while thread.is_alive():
        if "runs/live/events.jsonl" in s3.keys("runs/live"):
            seen.append(len(s3.get("runs/live/events.jsonl")))
        time.sleep(0.2)
    thread.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 1, "the log was not brought before the end"
    assert "runs/live/run.json" in s3.keys("runs/live")


def test_a_source_that_is_away_fails_before_anything_is_written(s3: Bucket) -> None:
    with pytest.raises(ReadError, match="no such object"):
        execute(s3, f"{s3.uri}/in/none.csv", f"{s3.uri}/runs")
    assert s3.keys() == []
