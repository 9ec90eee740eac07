"""Drivers that are killed: nothing of their run is left, and another process goes on to the same files."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest

from tests.faults.command import END_S, events, finished, is_conserved, outputs, run_command, write_csv
from tests.faults.family import Child, Family

ROWS = 150_000
GONE_S = 20.0
RAY = ("--engine", "ray", "--workers", "2", "-s", "engine.block_mib=0.5", "-s", "engine.checkpoint_s=0.05")
INLINE = ("--engine", "inline", "-s", "engine.block_mib=0.5", "-s", "engine.checkpoint_s=0.05")
MOMENTS = 12


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("source") / "table.csv", ROWS)


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing happened to."""
    output = tmp_path_factory.mktemp("undisturbed")
    finished(run_command(source, output, "--run-id", "one", *INLINE))
    return output / "one"


def kill_after(family: Family, folder: Path, count: int) -> bool:
    """SIGKILL for the driver once it has written `count` events; False if it had ended by then."""
    family.await_that(lambda: len(events(folder)) >= count or not family.is_up, END_S)
    if not family.is_up:
        return False
    family.kill_driver()
    return True


def test_nothing_of_a_run_is_left_once_its_driver_was_killed(source: Path, tmp_path: Path) -> None:
    with run_command(source, tmp_path, "--run-id", "one", *RAY) as family:
        done = lambda: any(event["event"] == "bundle_done" for event in events(tmp_path / "one"))  # noqa: E731
        family.await_that(done, END_S)
        assert len(family.members()) > 3
        family.kill_driver()
        assert family.left_after(GONE_S) == []
        assert list(family.temp.glob("raypipe-ray-*")) == []


@pytest.mark.slow
def test_nothing_is_left_of_a_driver_that_was_killed_while_its_ray_started(source: Path, tmp_path: Path) -> None:
    with run_command(source, tmp_path, "--run-id", "one", *RAY) as family:
        family.await_that(lambda: has_process(family, "raylet"), END_S)
        time.sleep(0.5)  # its agents are starting
        family.kill_driver()
        assert family.left_after(GONE_S) == []
        assert list(family.temp.glob("raypipe-ray-*")) == []


def has_process(family: Family, word: str) -> bool:
    """Whether a process with this word in its first argument is there."""
    return any(word in line.split()[1] for line in family.left_after(0.0) if len(line.split()) > 1)


def cut_off_and_resume(source: Path, tmp_path: Path, engine: tuple[str, ...], counts: list[int]) -> list[Path]:
    """A run whose driver is killed after so many events, again and again, and which is gone on with to its end."""
    folder = tmp_path / "one"
    with run_command(source, tmp_path, "--run-id", "one", *engine) as family:
        kill_after(family, folder, counts[0])
        family.wait(GONE_S)
    for count in counts[1:]:
        known = len(events(folder))
        with run_command(source, tmp_path, "--resume", "one", *engine) as family:
            kill_after(family, folder, known + count)
            family.wait(GONE_S)
    if not (folder / "execution_summary.json").exists():
        finished(run_command(source, tmp_path, "--resume", "one", *engine))
    return sorted(tmp_path.iterdir())


@pytest.mark.parametrize("engine", [INLINE, pytest.param(RAY, marks=pytest.mark.slow)], ids=["inline", "ray"])
def test_a_killed_run_is_gone_on_with_to_the_same_files(
    source: Path, undisturbed: Path, tmp_path: Path, engine: tuple[str, ...]
) -> None:
    cut_off_and_resume(source, tmp_path, engine, [25])
    assert outputs(tmp_path / "one") == outputs(undisturbed)
    assert is_conserved(tmp_path / "one")
    assert not (tmp_path / "one" / "resume").exists()
    resumed = [event for event in events(tmp_path / "one") if event["event"] == "resumed"]
    assert resumed
    assert resumed[0]["parts_done"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(MOMENTS))
@pytest.mark.parametrize("engine", [INLINE, RAY], ids=["inline", "ray"])
def test_a_run_killed_at_random_moments_ends_with_the_same_files(
    source: Path, undisturbed: Path, tmp_path: Path, engine: tuple[str, ...], seed: int
) -> None:
    draw = random.Random(seed)
    cut_off_and_resume(source, tmp_path, engine, [draw.randint(1, 60) for _ in range(draw.randint(1, 3))])
    assert outputs(tmp_path / "one") == outputs(undisturbed)
    assert is_conserved(tmp_path / "one")


@pytest.mark.slow
def test_a_run_is_not_gone_on_with_after_its_source_or_a_setting_changed(source: Path, tmp_path: Path) -> None:
    with run_command(source, tmp_path, "--run-id", "one", *INLINE) as family:
        assert kill_after(family, tmp_path / "one", 20)
        family.wait(GONE_S)
    other = run_command(source, tmp_path, "--resume", "one", *INLINE, "-s", "processing.trim_text=false")
    assert "processing was" in finished(other, wanted=2)
    stat = source.stat()
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    try:
        assert f"{source} was changed" in finished(
            run_command(source, tmp_path, "--resume", "one", *INLINE), wanted=2
        ).replace("\n", "")
    finally:
        os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("engine", ["inline", pytest.param("ray", marks=pytest.mark.slow)])
def test_only_what_was_not_committed_is_read_again(tmp_path: Path, engine: str) -> None:
    """Every reading of a part leaves a line; committed parts have exactly one."""
    log, folder = tmp_path / "reads.txt", tmp_path / "journal"
    arguments = {"engine": engine, "log": log, "folder": folder, "parts": 40, "pause_s": 0.05}
    with Child() as child:
        child.send("journaled_pass", **arguments)
        child.await_that(lambda: log.exists() and len(log.read_text().splitlines()) >= 24, END_S)
        child.kill_driver()
        child.wait(GONE_S)
    time.sleep(0.2)
    before = log.read_text().splitlines()
    with Child() as child:
        made = child.ask("journaled_pass", **arguments)
        whole = child.ask("journaled_pass", **{**arguments, "log": tmp_path / "other.txt", "folder": tmp_path / "new"})
    assert made["results"] == whole["results"]
    assert made["asides"] == whole["asides"]
    assert made["resumed"] > 0
    after = [line.split()[0] for line in log.read_text().splitlines()[len(before) :]]
    assert sorted(after) == [f"{part:05d}" for part in range(made["resumed"], 40)]


@pytest.mark.slow
def test_a_run_id_that_another_process_works_on_is_refused(source: Path, tmp_path: Path) -> None:
    with run_command(source, tmp_path, "--run-id", "one", *RAY) as family:
        family.await_that(lambda: len(events(tmp_path / "one")) > 2, END_S)
        said = finished(run_command(source, tmp_path, "--run-id", "one", *INLINE), wanted=2)
        assert "one is not empty" in said.replace("\n", " ")
        assert finished(run_command(source, tmp_path, "--resume", "one", *INLINE), wanted=2)
        code = family.wait(END_S)
    assert code == 0
    assert json.loads((tmp_path / "one" / "execution_summary.json").read_text())["execution_status"] == "completed"


@pytest.mark.slow
def test_a_cluster_is_free_again_once_a_driver_was_killed(source: Path, tmp_path: Path) -> None:
    with Child() as child:
        more = ("--address", child.ask("give_address", cpus=2), "-s", "engine.block_mib=0.1")
        with run_command(source, tmp_path, "--run-id", "one", *more, env={"RAY_AUTH_TOKEN": child.token}) as family:
            family.await_that(lambda: any(event["event"] == "bundle_done" for event in events(tmp_path / "one")), END_S)
            assert child.ask("worker_pids")
            family.kill_driver()
            child.await_that(lambda: not child.ask("worker_pids"), GONE_S)
            assert family.left_after(GONE_S) == []


@pytest.mark.slow
def test_a_run_whose_cluster_lost_its_head_ends_and_can_be_gone_on_with(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    with Child() as child:
        address = child.ask("give_address", cpus=2)
        more = ("--address", address, "-s", "engine.block_mib=0.5", "-s", "engine.checkpoint_s=0.05")
        token = {"RAY_AUTH_TOKEN": child.token}
        with run_command(source, tmp_path, "--run-id", "one", *more, env=token) as family:
            committed = lambda: any(event["event"] == "committed" for event in events(tmp_path / "one"))  # noqa: E731
            family.await_that(committed, END_S)
            child.ask("lose_the_head")
            assert family.wait(END_S) != 0
    finished(run_command(source, tmp_path, "--resume", "one", *INLINE))
    assert outputs(tmp_path / "one") == outputs(undisturbed)
    assert is_conserved(tmp_path / "one")
