"""Where rows came from: the version of a table, or a hash that only the same content has."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.errors import ReadError
from raypipe.etl.provenance import provenance
from raypipe.etl.reader import DataReader

TABLE = pa.table({"a": [1, 2, 3]})


def test_a_file_is_known_by_the_hash_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a\n1\n2\n")
    told = provenance(DataReader(tmp_path / "x.csv").source())
    assert told == {
        "path": str(tmp_path / "x.csv"), "format": "csv", "files": 1, "bytes": 6,
        "sha256": hashlib.sha256(b"a\n1\n2\n").hexdigest(),
    }  # fmt: skip


def test_files_are_known_by_one_hash_that_changes_with_any_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for name in ("1", "2"):
        pq.write_table(TABLE, folder / f"{name}.parquet")
    first = provenance(DataReader(folder).source())
    assert (first["files"], first["path"]) == (2, f"{folder}")
    assert provenance(DataReader(folder).source()) == first
    pq.write_table(TABLE.slice(0, 2), folder / "2.parquet")
    assert provenance(DataReader(folder).source())["sha256"] != first["sha256"]


def test_a_table_is_known_by_its_version(tmp_path: Path) -> None:
    delta = pytest.importorskip("deltalake", reason="Delta tables need deltalake: pip install 'raypipe[delta]'")
    for _ in range(2):
        delta.write_deltalake(str(tmp_path / "t"), TABLE, mode="append")
    told = provenance(DataReader(tmp_path / "t").source())
    assert (told["format"], told["version"]) == ("delta", 1)
    assert told["table_id"]
    assert "sha256" not in told


def test_a_file_that_was_changed_since_it_was_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a\n1\n2\n")
    source = DataReader(tmp_path / "x.csv").source()
    (tmp_path / "x.csv").write_bytes(b"a\n1\n2\n3\n")
    with pytest.raises(ReadError, match=r"x\.csv"):
        provenance(source)
