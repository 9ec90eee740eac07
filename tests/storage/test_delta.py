"""Delta tables in a bucket: the rows of the same table on a disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raypipe import DataReader
from raypipe.config import ReadOptions
from raypipe.errors import ReadError
from tests.storage.servers import BUCKET, Bucket

deltalake = pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")


def read(place: object, s3: Bucket, version: int | None = None) -> list[dict[str, Any]]:
    table = DataReader(str(place), options=ReadOptions(version=version), storage=s3.storage).read()
    return sorted(table.to_pylist(), key=lambda row: row["id"])


def test_a_table_in_a_bucket_gives_the_same_rows(s3: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "orders"
    rows = pa.table({"id": [1, 2, 3], "city": ["Ulm", "Köln am Rhein", "Ulm"]})
    deltalake.write_deltalake(path, rows, partition_by=["city"])
    deltalake.write_deltalake(path, pa.table({"id": [4], "city": ["Bonn"]}), mode="overwrite")
    uri = s3.put_folder(path, "lake/orders")
    for version in (0, 1, None):
        assert read(uri, s3, version) == read(path, s3, version)
    gone = next(key for key in s3.keys("lake/orders") if key.endswith(".parquet") and "city=Ulm" in key)
    s3.fs.delete_file(f"{BUCKET}/{gone}")
    with pytest.raises(ReadError, match="version 0 can no longer be read"):
        read(uri, s3, 0)
    assert len(read(uri, s3)) == 1


def test_a_table_that_deltalake_writes_to_the_bucket_is_read(s3: Bucket) -> None:
    options = {"AWS_ENDPOINT_URL": s3.url, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
               "aws_conditional_put": "etag"}  # fmt: skip
    deltalake.write_deltalake(f"s3://{BUCKET}/made", pa.table({"id": [1, 2]}), storage_options=options)
    assert read(f"s3://{BUCKET}/made", s3) == [{"id": 1}, {"id": 2}]
