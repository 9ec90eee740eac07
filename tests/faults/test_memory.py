"""A small object store, output a hundred times the input, and rows that kill whoever touches them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raypipe.config import EngineConfig
from raypipe.engine.events import EventLog
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Pass
from raypipe.engine.session import Session
from raypipe.stage import Plan
from tests.faults.command import events
from tests.faults.family import Child
from tests.faults.stages import Deadly, Digest, Rows, Sift

STORE = 256 << 20
GIB = 1 << 30


@pytest.fixture(scope="module")
def small_store() -> Callable[[], Child]:
    """A child process whose private Ray has an object store of 256 MB."""
    made: list[Child] = []

    def get() -> Child:
        if not made or not made[-1].is_up:
            made.append(Child())
            made[-1].ask("limit_the_store", store_bytes=STORE)
        return made[-1]

    yield get
    for child in made:
        child.close()


@pytest.mark.slow
@pytest.mark.parametrize("fuse", [True, False], ids=["one pool", "a pool a stage"])
def test_four_times_the_object_store_flows_through_it(small_store: Callable[[], Child], fuse: bool) -> None:
    made = small_store().ask("flow", timeout_s=240, total_bytes=GIB, part_bytes=8 << 20, fuse=fuse)
    rows = GIB >> 10
    assert made["first"] == [rows, GIB, rows * (rows - 1) // 2]
    assert made["second"] == made["first"]
    assert made["store_bytes"] <= STORE
    assert made["store_peak_bytes"] <= STORE
    assert made["spilled_bytes"] == [0, 0]


@pytest.mark.slow
def test_a_stage_may_make_a_hundred_times_what_it_gets(small_store: Callable[[], Child]) -> None:
    made = small_store().ask("inflate", timeout_s=240, rows=40_000, per_part=2_000, times=100)
    assert made["result"][0] == 40_000
    assert made["result"][1] > 100 * made["bytes_in"] * 0.9
    assert made["result"][1] > STORE


def blamed(folder: Path, stage: Deadly, rows: int, **config: Any) -> tuple[list[tuple[str, str, int]], dict[str, Any]]:
    """(stage, part, row) of the rows that a run over `stage` set aside for failing, and its results."""
    aside: list[tuple[str, str, int]] = []

    def on_aside(name: str, part: Any, found: Any) -> None:
        aside.extend((name, part.id, row) for row in found["row"].to_pylist())

    with EventLog(folder / "events.jsonl") as log:
        plan = Plan(source=Rows(rows=rows, per_part=200), stages=(stage, Digest(column="x")))
        settings = {"workers": 2, "max_task_retries": 1, "max_failed_share": 0.05, **config}
        outcome = RayEngine(EngineConfig(**settings)).run(Pass(plan, on_aside=on_aside, events=log))
    assert outcome.rows_in == outcome.rows_out + len(aside)
    return aside, outcome.results


@pytest.mark.parametrize("does", ["kill", pytest.param("segfault", marks=pytest.mark.slow)])
def test_rows_that_kill_their_worker_are_found_and_set_aside(ray_session: Session, folder: Path, does: Any) -> None:
    aside, results = blamed(folder, Deadly(rows=(437,), does=does), 600)
    assert aside == [("Deadly", "00002", 37)]
    assert results["Digest"]["sum"] == sum(range(600)) - 437
    told = [event for event in events(folder) if event["event"] == "rows_blamed"]
    assert [(event["part"], event["stage"], event["rows"]) for event in told] == [("00002", "Deadly", 1)]


@pytest.mark.slow
def test_several_deadly_rows_in_several_parts_are_all_found(ray_session: Session, folder: Path) -> None:
    deadly = (0, 3, 437, 438, 999)
    aside, results = blamed(folder, Deadly(rows=deadly), 1000)
    assert [int(part) * 200 + row for _, part, row in aside] == list(deadly)
    assert results["Digest"]["sum"] == sum(range(1000)) - sum(deadly)


@pytest.mark.slow
def test_a_row_that_never_returns_is_found_and_set_aside(ray_session: Session, folder: Path) -> None:
    stage = Deadly(rows=(437,), does="wait", folder=folder)
    aside, results = blamed(folder, stage, 600, call_timeout_s=2.0)
    assert aside == [("Deadly", "00002", 37)]
    assert results["Digest"]["sum"] == sum(range(600)) - 437


def test_without_a_time_limit_a_stage_that_never_returns_is_named(ray_session: Session, folder: Path) -> None:
    stage = Deadly(rows=(437,), does="wait", folder=folder)
    said: list[str] = []

    def on_progress(progress: Any) -> None:
        if "no block finished" in (progress.waiting_for or "") and not said:
            said.append(progress.waiting_for)
            (folder / "go").touch()

    plan = Plan(source=Rows(rows=600, per_part=200), stages=(Sift(), stage))
    work = Pass(plan, on_progress=on_progress)
    assert RayEngine(EngineConfig(workers=1, stall_warning_s=1.0)).run(work).rows_out == 594
    assert "no block finished for" in said[0]
    assert "part 00002 of rows-2" in said[0]
    assert "engine.call_timeout_s" in said[0]
