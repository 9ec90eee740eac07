"""Disks that fill while a run writes, or while Ray has its files on them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.command import SETTINGS, finished, run_command, write_csv
from tests.faults.family import Child

SMALL_KIB = 500
ROWS = 150_000


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system with hardly any room."""
    place = Path(tempfile.mkdtemp(prefix="rd-", dir="/tmp"))  # short: Ray has sockets below it
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_KIB}k", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        place.rmdir()
        pytest.skip("only root may mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


@pytest.mark.parametrize("engine", ["inline", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_disk_that_fills_ends_the_run_with_a_word_about_it_and_nothing_half_written(
    small_disk: Path, tmp_path: Path, engine: str
) -> None:
    source = write_csv(tmp_path / "table.csv", ROWS)
    more = ["--run-id", "one", "--engine", engine, "-s", "engine.block_mib=0.5"]
    if engine == "ray":
        more += ["--workers", "2"]
    said = finished(run_command(source, small_disk / "output", *more), wanted=1).replace("\n", " ")
    assert "the disk is full" in said
    assert "Free some space, or choose another folder with --output" in said
    left = [path.name for path in (small_disk / "output").rglob("*") if path.is_file()]
    assert not [name for name in left if name.startswith(".tmp-")]


@pytest.mark.slow
def test_a_run_that_a_full_disk_ended_is_gone_on_with_once_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    source = write_csv(tmp_path / "table.csv", ROWS)
    more = ["--engine", "inline", "-s", "engine.block_mib=0.5", "-s", "engine.checkpoint_s=0.05"]
    finished(run_command(source, small_disk / "output", "--run-id", "one", *more), wanted=1)
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    finished(run_command(source, small_disk / "output", "--resume", "one", *more))
    summary = json.loads((small_disk / "output" / "one" / "execution_summary.json").read_text())
    assert summary["execution_status"] == "completed"
    assert summary["rows"]["read"] == ROWS


def test_a_file_that_may_not_grow_further_ends_the_run_with_a_word_about_it(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "table.csv", ROWS)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        family = run_command(
            source, tmp_path / "output", "--run-id", "one", "--engine", "inline", settings=[*SETTINGS, "--quiet"]
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = finished(family, wanted=1).replace("\n", " ")
    assert "cannot write" in said
    assert "File too large" in said


@pytest.mark.slow
def test_ray_may_have_no_room_to_spill_and_is_not_asked_to(small_disk: Path, tmp_path: Path) -> None:
    """A store of 256 MB, 1 GB of data, and hardly any disk beside it."""
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    with Child({"TMPDIR": str(small_disk), "RAY_TMPDIR": str(small_disk)}) as child:
        child.ask("limit_the_store", store_bytes=256 << 20)
        made = child.ask("flow", timeout_s=240, total_bytes=1 << 30, part_bytes=8 << 20, fuse=True)
    assert made["second"] == made["first"]
    assert made["first"][1] == 1 << 30
