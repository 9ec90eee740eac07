"""A wall clock that jumps while a run goes on, for the driver, its workers and Ray alike."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.command import END_S, events, finished, is_conserved, outputs, run_command, write_csv

ROWS = 150_000
DAY_S, YEAR_S = 86_400, 31_536_000
INLINE = ("--engine", "inline", "-s", "engine.block_mib=0.5")
RAY = ("--engine", "ray", "--workers", "2", "-s", "engine.block_mib=0.5")


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that shifts the wall clock of whoever loads it."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here to build the clock with")
    made = tmp_path_factory.mktemp("clock") / "jump.so"
    source = Path(__file__).with_name("jump.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


@pytest.mark.parametrize(
    ("engine", "jump_s"),
    [
        pytest.param(engine, jump_s, id=f"{engine[1]}, {name}", marks=[] if quick else pytest.mark.slow)
        for engine in (INLINE, RAY)
        for name, jump_s in (("a year on", YEAR_S), ("a year back", -YEAR_S), ("a day back", -DAY_S))
        for quick in [engine is INLINE and jump_s == -YEAR_S]
    ],
)
def test_a_clock_that_jumps_changes_no_output_and_no_duration(
    clock: Path, tmp_path: Path, engine: tuple[str, ...], jump_s: int
) -> None:
    source = write_csv(tmp_path / "table.csv", ROWS)
    finished(run_command(source, tmp_path / "peace", "--run-id", "one", *INLINE))
    shift, folder = tmp_path / "shift", tmp_path / "output" / "one"
    shift.write_text("0")
    env = {"LD_PRELOAD": str(clock), "JUMP_FILE": str(shift)}
    with run_command(source, tmp_path / "output", "--run-id", "one", *engine, env=env) as family:
        family.await_that(lambda: any(event["event"] == "pass_started" for event in events(folder)), END_S)
        shift.write_text(str(jump_s))
        assert family.wait(END_S) == 0, family.stderr()
    assert outputs(folder) == outputs(tmp_path / "peace" / "one")
    assert is_conserved(folder)
    told = events(folder)
    assert all(before["t_s"] <= after["t_s"] for before, after in pairwise(told))
    assert told[-1]["t_s"] < END_S
    assert all(0 <= event["seconds"] < END_S for event in told if "seconds" in event)
    assert abs(_years(told[-1]["time"]) - _years(told[0]["time"])) == (1 if abs(jump_s) == YEAR_S else 0)


def _years(text: str) -> int:
    return int(text[:4])
