"""Conversions from bucket to bucket that are killed: nothing of them is visible, and the next one is whole."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from raypipe.config import EngineConfig, PipelineConfig
from raypipe.pipeline.convert import convert
from tests.storage.servers import Bucket

ROWS = 4_000
WAIT_S = 60.0
CHILD = """
import sys
import time
from raypipe.config import PipelineConfig
import raypipe.pipeline.ingest as ingest
from raypipe.etl.writers.bucket import BucketTarget
from raypipe.pipeline.convert import convert
BucketTarget.commit = lambda *_: time.sleep(600)  # all parts are written, and none is in its place
ingest.MIN_PART_BYTES = 1 << 12
convert(PipelineConfig.model_validate_json(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("dest", ["out/a.parquet", "out/"])
def test_a_conversion_that_was_killed_is_not_seen_in_its_bucket(
    s3: Bucket, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch, dest: str
) -> None:
    monkeypatch.chdir(tmp_path)  # rows set aside go there
    source = s3.put("in/a.csv", b"id,n\n" + b"".join(b"%d,%d\n" % (row, row % 9) for row in range(ROWS)))
    config = PipelineConfig(data_source=source, engine=EngineConfig(engine="inline"), storage=s3.storage)
    child = subprocess.Popen([sys.executable, "-c", CHILD, config.model_dump_json(), f"{s3.uri}/{dest}"])
    until = time.monotonic() + WAIT_S
    while not any(".tmp-" in key for key in s3.keys("")):
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    left = [key for key in s3.keys("") if key != "in/a.csv"]
    assert left
    assert all(".tmp-" in key for key in left), left
    done = convert(config, f"{s3.uri}/{dest}")
    assert done.rows_written == ROWS
    rows = [pq.read_table(io.BytesIO(s3.get(file["path"].removeprefix(f"{s3.uri}/")))) for file in done.files]
    assert [value for table in rows for value in table["id"].to_pylist()] == list(range(ROWS))
