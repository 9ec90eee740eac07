"""Writing to a bucket, which has no rename: hidden until it is all there, then marked as complete."""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from raypipe.engine.localframe import local_frame
from raypipe.errors import ConfigError, OutputError
from raypipe.pipeline.convert import write
from tests.storage.proxy import Proxy
from tests.storage.servers import BUCKET, Bucket

TABLE = pa.table({"n": pa.array(range(40), pa.int64()), "t": pa.array(["a", "b"] * 20, pa.large_string())})


def frame() -> Any:
    return local_frame(TABLE, (15, 15, 10))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "arrow"])
def test_one_object_holds_all_rows(s3: Bucket, ending: str) -> None:
    done = write(frame(), f"{s3.uri}/out/a.{ending}", storage=s3.storage)
    content = io.BytesIO(s3.get(f"out/a.{ending}"))
    readers: dict[str, Any] = {
        "parquet": pl.read_parquet,
        "csv": pl.read_csv,
        "jsonl": pl.read_ndjson,
        "arrow": pl.read_ipc,
    }
    assert readers[ending](content)["n"].to_list() == list(range(40))
    assert (done.rows_written, done.bytes_written) == (40, len(content.getvalue()))
    assert s3.keys() == [f"out/a.{ending}"]
    with pytest.raises(ConfigError, match="is there already. Choose another name, or replace it"):
        write(frame(), f"{s3.uri}/out/a.{ending}", storage=s3.storage)
    write(frame(), f"{s3.uri}/out/a.{ending}", storage=s3.storage, mode="overwrite")


def test_a_folder_is_marked_when_it_is_complete_and_replaced_when_asked(s3: Bucket) -> None:
    write(frame(), f"{s3.uri}/out/", storage=s3.storage, partition_by="t")
    first = s3.keys("out")
    assert first[0] == "out/_SUCCESS"
    assert [key.split("/")[1] for key in first[1:]] == ["t=a"] * 3 + ["t=b"] * 3
    write(frame(), f"{s3.uri}/out/", storage=s3.storage, mode="append", partition_by="t")
    assert len(s3.keys("out")) == 13
    write(frame(), f"{s3.uri}/out/", storage=s3.storage, mode="overwrite", file_mib=1)
    keys = s3.keys("out")
    assert len(keys) == 2
    assert pq.read_table(io.BytesIO(s3.get(keys[1])))["n"].to_pylist() == list(range(40))


def test_what_fails_leaves_nothing_behind(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raypipe.etl.writers.bucket.BucketTarget._commit_folder", _refuse)
    with pytest.raises(OutputError, match="no"):
        write(frame(), f"{s3.uri}/out/", storage=s3.storage)
    assert s3.keys() == []


def _refuse(*_: object) -> None:
    raise OutputError("no")


def test_a_bucket_that_is_not_there_is_told(s3: Bucket) -> None:
    with pytest.raises(OutputError, match="cannot write s3://nowhere/.*there is no bucket 'nowhere'"):
        write(frame(), "s3://nowhere/a.parquet", storage=s3.storage)


@pytest.fixture
def s3_apart(s3: Bucket) -> Iterator[Bucket]:
    """An S3 server in a process of its own: deltalake holds on to Python while it waits for an answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fs = pafs.S3FileSystem(
        endpoint_override=f"127.0.0.1:{port}", scheme="http", region="us-east-1", allow_bucket_creation=True,
    )  # fmt: skip
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
            break
        assert server.poll() is None
        time.sleep(0.1)
    fs.create_dir(BUCKET)
    yield Bucket(f"http://127.0.0.1:{port}", fs)
    server.terminate()
    server.wait()


def test_a_delta_table_in_a_bucket_is_written_by_the_workers_and_committed_once(s3_apart: Bucket) -> None:
    deltalake = pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")
    s3 = s3_apart
    options = {"AWS_ENDPOINT_URL": s3.url, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
    place = f"{s3.uri}/lake/t"
    assert write(frame(), place, storage=s3.storage, format="delta", partition_by="t").detail == {"version": 0}
    assert write(frame(), place, storage=s3.storage, format="delta", mode="append").detail == {"version": 1}
    new = pa.table({"n": [0, 99], "t": ["c", "c"]})
    table = deltalake.DeltaTable(place, storage_options=options)
    assert table.to_pyarrow_table().num_rows == 80
    done = write(new, place, storage=s3.storage, format="delta", mode="merge", key="n")
    assert done.detail == {"version": 2, "rows_updated": 2, "rows_inserted": 1, "rows_deleted": 0}
    before = s3.keys("lake")
    with pytest.raises(OutputError, match="outside of the partition"):
        write(frame(), place, storage=s3.storage, format="delta", mode="overwrite", delta={"replace_where": {"t": "a"}})
    assert s3.keys("lake") == before


def test_cut_connections_are_tried_again(proxied: tuple[Bucket, Proxy]) -> None:
    bucket, _ = proxied
    write(frame(), f"{bucket.uri}/a.parquet", storage=bucket.storage)
    assert pq.read_table(io.BytesIO(bucket.get("a.parquet"))).num_rows == 40
