"""Nodes that vanish with their workers and their blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.command import events
from tests.faults.family import Child
from tests.faults.work import KINDS, PLACES, Made


def test_a_cluster_makes_what_one_process_makes(cluster: Callable[[], Child], folder: Path, expected: Made) -> None:
    made = cluster().ask("run_in_peace", folder=folder)
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)


@pytest.mark.parametrize(
    "kind", [kind if kind == "model" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_a_node_lost_in_any_stage_changes_nothing(
    cluster: Callable[[], Child], folder: Path, expected: Made, kind: str
) -> None:
    made = cluster().ask("lose_the_node_of", kind=kind, at=PLACES["middle"], folder=folder)
    assert len(made["lost"]) == 1
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)


@pytest.mark.slow
def test_the_node_that_holds_all_finished_blocks_may_be_lost_between_the_passes(
    cluster: Callable[[], Child], folder: Path, expected: Made
) -> None:
    made = cluster().ask("lose_all_finished_blocks", folder=folder)
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)


@pytest.mark.slow
def test_blocks_lost_between_two_pools_are_made_again(
    cluster: Callable[[], Child], folder: Path, expected: Made
) -> None:
    made = cluster().ask("lose_blocks_between_pools", folder=folder)
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)


@pytest.mark.slow
def test_a_run_goes_on_where_the_cluster_has_no_place_for_all_its_workers_any_more(
    cluster: Callable[[], Child], folder: Path, expected: Made
) -> None:
    made = cluster().ask("lose_a_node_for_good", folder=folder)
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)


@pytest.mark.slow
def test_calls_of_workers_that_find_no_place_any_more_are_done_by_the_others(
    cluster: Callable[[], Child], folder: Path, expected: Made
) -> None:
    made = cluster().ask("lose_half_of_a_pool", folder=folder)
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)


@pytest.mark.slow
def test_waiting_for_another_node_is_not_taken_for_a_call_that_never_returns(
    cluster: Callable[[], Child], folder: Path, expected: Made
) -> None:
    made = cluster().ask("wait_for_another_node", timeout_s=150, folder=folder, call_timeout_s=5.0, wait_s=30.0)
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)
    told = events(folder)
    assert not [event for event in told if event["event"] == "rows_blamed"]
    stalls = [event["text"] for event in told if event["event"] == "stall"]
    assert any("workers have not started for" in text for text in stalls), stalls


@pytest.mark.slow
def test_idle_workers_of_one_pass_do_not_keep_those_of_the_next_from_starting(
    cluster: Callable[[], Child], folder: Path, expected: Made
) -> None:
    made = cluster().ask("change_shape_between_passes", folder=folder)
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)
