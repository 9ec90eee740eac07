"""Conversions that were killed are gone on with: committed parts are not read again, and the files are equal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from raypipe.config import PipelineConfig
from raypipe.engine.session import Session
from raypipe.errors import ResumeError
from raypipe.pipeline.convert import Converted, convert

ROWS = 60_000
WAIT_S = 60.0
KILL = ("-s", "engine.block_mib=0.05", "-s", "engine.checkpoint_s=0.01")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """About 50 parts; a fraction that no sample holds widens a column after a pass, and some rows are ragged."""
    lines = [f"{row},{row % 50},name {row * 7919 % 997}" for row in range(ROWS)]
    lines[25_000] = "25000,0.5,odd"
    for row in range(10, ROWS, 1_000):
        lines[row] = "ragged,row"
    path = tmp_path / "in.csv"
    path.write_text("id,n,name\n" + "\n".join(lines) + "\n")
    return path


def settings(source: Path, engine_name: str = "inline", **more: Any) -> PipelineConfig:
    engine = {"engine": engine_name, "block_mib": 0.05, "checkpoint_s": 0.01, "workers": 2}
    return PipelineConfig.of({"data_source": source, "engine": engine, **more})


def kill_in_the_middle(source: Path, dest: str, passes: str) -> Path:
    """Start the command, and end it by SIGKILL once a commit of that pass is whole; returns what it left."""
    child = subprocess.Popen(
        [sys.executable, "-m", "raypipe", "convert", str(source), dest, "--engine", "inline", "--quiet", *KILL],
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
    )
    name = Path(dest).name
    until = time.monotonic() + WAIT_S
    # The first is whole once there is a second; one that is cut off counts as absent.
    while len(found := list(source.parent.glob(f".tmp-{name}-*/resume/{passes}-load/commit-*"))) < 2:
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until, "nothing was committed"
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.wait()
    return found[0].parents[2]


def content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in files}


def same_counts(a: Converted, b: Converted) -> bool:
    return (a.rows_read, a.rows_written, a.rows_quarantined) == (b.rows_read, b.rows_written, b.rows_quarantined)


@pytest.mark.parametrize(
    ("dest", "passes"),
    [pytest.param("out.parquet", "001", marks=pytest.mark.slow), ("out.csv", "002"), ("out/", "002")],
)
def test_a_conversion_that_was_killed_ends_as_one_that_was_not(
    source: Path, tmp_path: Path, dest: str, passes: str
) -> None:
    left = kill_in_the_middle(source, f"{tmp_path}/{dest}", passes)
    assert not (tmp_path / dest).exists()
    parts = left / f"parts-{int(passes)}"
    first = min(parts.iterdir())
    made_at = first.stat().st_mtime_ns
    done = convert(settings(source), f"{tmp_path}/{dest}", resume=True)
    whole = tmp_path / "whole"
    whole.mkdir()
    other = convert(settings(source), f"{whole}/{dest}")
    assert content(tmp_path / dest) == content(whole / dest)
    assert same_counts(done, other)
    assert done.quarantine is not None
    assert pq.read_table(done.quarantine).equals(pq.read_table(other.quarantine))
    assert done.notes == other.notes
    if dest == "out/":  # its files are those that workers wrote
        assert (tmp_path / dest / first.name).stat().st_mtime_ns == made_at
    assert not list(tmp_path.glob(".tmp-*"))


def test_what_one_process_began_two_workers_of_ray_end(source: Path, tmp_path: Path, ray_session: Session) -> None:
    kill_in_the_middle(source, f"{tmp_path}/out.parquet", "002")
    done = convert(settings(source, "ray"), tmp_path / "out.parquet", resume=True)
    other = convert(settings(source), tmp_path / "whole.parquet")
    assert (done.engine, other.engine) == ("ray", "inline")
    assert content(tmp_path / "out.parquet") == content(tmp_path / "whole.parquet")
    assert same_counts(done, other)


def test_what_has_changed_meanwhile_is_told_and_nothing_is_lost(source: Path, tmp_path: Path) -> None:
    left = kill_in_the_middle(source, f"{tmp_path}/out.parquet", "001")
    with pytest.raises(ResumeError, match=r"write was .* Put it back as it was, or begin anew"):
        convert(settings(source, write={"parquet": {"compression": "snappy"}}), tmp_path / "out.parquet", resume=True)
    assert left.is_dir()
    with source.open("a") as file:
        file.write("1,1,more\n")
    with pytest.raises(ResumeError, match=r"in\.csv was changed"):
        convert(settings(source), tmp_path / "out.parquet", resume=True)
    assert left.is_dir()
    assert convert(settings(source), tmp_path / "out.parquet").rows_read == ROWS + 1
    assert not list(tmp_path.glob(".tmp-*"))


def test_there_must_be_something_to_go_on_with(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="nothing was left to go on from"):
        convert(settings(source), tmp_path / "out.parquet", resume=True)
    with pytest.raises(ResumeError, match="only files and folders on a disk"):
        convert(settings(source), tmp_path / "out.xlsx", resume=True)
    assert not list(tmp_path.glob(".tmp-*"))
