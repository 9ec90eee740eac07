"""What goes wrong while rows are written leaves nothing, or what was there before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.errors import OutputError
from raypipe.pipeline.convert import write
from tests.etl.writers.kill_me import MARK

TABLE = pa.table({"n": list(range(50_000)), "t": [f"text {n} {n * 7919}" for n in range(50_000)]})
OLD = pa.table({"n": [1]})
DESTS = ["a.parquet", "a.csv", "a.jsonl", "a.arrow", "b/", "a.xlsx"]


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system with hardly any room."""
    place = Path(tempfile.mkdtemp(prefix="rw-", dir="/tmp"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        place.rmdir()
        pytest.skip("only root may mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


@pytest.mark.parametrize("dest", DESTS)
def test_a_full_disk_is_told_and_leaves_what_was_there(small_disk: Path, dest: str) -> None:
    write(OLD, f"{small_disk}/{dest}")
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match=r"the disk is full \(.* or choose another destination"):
        write(TABLE, f"{small_disk}/{dest}", mode="overwrite")
    assert {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied. Choose another destination"):
        write(OLD, tmp_path / "a.parquet")


def test_a_place_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="(Not a directory|File exists). Choose another destination"):
        write(OLD, tmp_path / "file" / "a.parquet")


@pytest.mark.parametrize(
    ("dest", "moment"),
    [("a.parquet", "part"), ("b/", "commit"), ("t/", "commit"), ("a.xlsx", "rows"), ("a.db", "rows")],
)
def test_killed_in_the_middle_the_old_rows_are_there_and_the_next_one_cleans_up(
    tmp_path: Path, dest: str, moment: str
) -> None:
    """SIGKILL after the first part, between the parts and the commit, or while the driver writes rows."""
    options: dict[str, object] = {"sql": {"table": "t"}} if dest == "a.db" else {}
    options |= {"format": "delta"} if dest == "t/" else {}
    write(OLD, f"{tmp_path}/{dest}", **options)
    child = started(f"{tmp_path}/{dest}", moment)
    child.send_signal(signal.SIGKILL)
    ended(child)
    assert rows_in(tmp_path / dest) == [1]
    write(OLD, f"{tmp_path}/{dest}", mode="overwrite", **options)
    assert rows_in(tmp_path / dest) == [1]
    assert not list(tmp_path.glob(".tmp-*"))


def started(dest: str, moment: str) -> subprocess.Popen[str]:
    """A process that is in the middle of writing."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.etl.writers.kill_me", dest, moment],
        cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline().strip() == MARK
    return child


def ended(child: subprocess.Popen[str]) -> None:
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


def rows_in(path: Path) -> list[object]:
    if path.suffix == ".db":
        import sqlite3

        with sqlite3.connect(path) as connection:
            found = [row[0] for row in connection.execute("SELECT n FROM t")]
        connection.close()
        return found
    if path.suffix == ".xlsx":
        import openpyxl

        return [row[0] for row in openpyxl.load_workbook(path).active.iter_rows(min_row=2, values_only=True)]
    if (path / "_delta_log").is_dir():
        from deltalake import DeltaTable

        return list(DeltaTable(path).to_pyarrow_table()["n"].to_pylist())
    return list(pq.read_table(path)["n"].to_pylist())


def test_a_writer_that_lives_keeps_its_folder(tmp_path: Path) -> None:
    """Another one to the same destination sweeps what is left over, and nothing of one that still works."""
    child = started(f"{tmp_path}/a.parquet", "commit")
    write(OLD, tmp_path / "a.parquet")
    assert len(list(tmp_path.glob(".tmp-*"))) == 1
    child.kill()
    ended(child)
    write(OLD, tmp_path / "a.parquet", mode="overwrite")
    assert not list(tmp_path.glob(".tmp-*"))
