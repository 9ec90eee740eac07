"""Workers that die while they work, in every kind of stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from raypipe.config import EngineConfig
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.session import Session
from tests.faults.stages import Trap
from tests.faults.work import KINDS, PLACES, Made, Work, do


@pytest.mark.parametrize(
    "place", [place if place == "middle" else pytest.param(place, marks=pytest.mark.slow) for place in PLACES]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_killed_in_any_block_of_any_stage_changes_nothing(
    ray_session: Session, folder: Path, expected: Made, kind: str, place: str
) -> None:
    work = Work(folder, kind, Trap(folder=folder, at=PLACES[place]))
    made = do(RayEngine(EngineConfig(workers=2)), work)
    assert (folder / "sprung-0").exists()
    assert made.restarts >= 1
    assert made.conserved
    assert made.rows == expected.rows
    assert made.prints == expected.prints


@pytest.mark.parametrize("kind", ["source", "model", "sink"])
def test_a_segmentation_fault_changes_nothing(ray_session: Session, folder: Path, expected: Made, kind: str) -> None:
    made = do(RayEngine(EngineConfig(workers=2)), Work(folder, kind, Trap(folder=folder, at=312, does="segfault")))
    assert (folder / "sprung-0").exists()
    assert (made.prints, made.conserved) == (expected.prints, True)


@pytest.mark.parametrize("fuse", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_block_whose_worker_dies_as_often_as_may_be_comes_through(
    ray_session: Session, folder: Path, expected: Made, fuse: bool
) -> None:
    trap = Trap(folder=folder, at=312, times=3)
    made = do(RayEngine(EngineConfig(workers=2, max_task_retries=3, fuse=fuse)), Work(folder, "map", trap))
    assert (folder / "sprung-2").exists()
    assert (made.prints, made.conserved) == (expected.prints, True)
