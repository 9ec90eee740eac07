"""Clusters that have no room, or lack what a stage wants: the run says what it waits for, and what to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.family import Child


@pytest.mark.parametrize(
    ("wants", "words"),
    [
        (
            {"gpus": 1},
            [
                "Score: 1 of 1 workers have not started for",
                "1 GPU",
                "it wants 1 GPU, and there is none: add such a node",
            ],
        ),
        pytest.param(
            {"cpus": 64},
            ["Score: 1 of 1 workers have not started for", "64 CPU", "add such a node"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"memory_gib": 4000},
            ["Score: 1 of 1 workers have not started for", "4000 GiB", "and the largest node has"],
            marks=pytest.mark.slow,
        ),
        ({"labels": {"side": "nowhere"}}, ["Score: 1 of 1 workers have not started for", "side=nowhere"]),
    ],
    ids=["gpu", "cpus", "memory", "label"],
)
def test_a_resource_that_no_node_has_is_named(
    cluster: Callable[[], Child], folder: Path, wants: dict[str, object], words: list[str]
) -> None:
    made = cluster().ask("wait_in_vain", folder=folder, wants=wants)
    assert not [word for word in words if word not in made["said"]], made["said"]
    assert made["error"] == "RunCancelledError"


def test_a_cluster_that_others_have_filled_is_named_and_the_run_goes_on_once_there_is_room(
    cluster: Callable[[], Child], folder: Path
) -> None:
    made = cluster().ask("wait_for_room", folder=folder)
    assert "workers have not started for" in made["said"]
    assert "each wants 1 CPU, and 0 CPU are free" in made["said"]
    assert "wait for other work to end, add nodes" in made["said"]
    assert made["rows_out"] == 600


@pytest.mark.slow
def test_a_run_gives_up_after_the_time_that_it_may_wait_for_its_first_worker(
    cluster: Callable[[], Child], folder: Path
) -> None:
    made = cluster().ask("wait_in_vain", folder=folder, wants={"gpus": 1}, start_timeout_s=8.0)
    assert made["error"] == "StageFailedError"
    assert "engine.start_timeout_s: 8" in made["text"]
    assert "1 GPU" in made["text"]
