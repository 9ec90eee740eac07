"""Whether a cluster could ever run a job."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.submit.follow import code_of, may_pass
from raypipe.submit.news import event_line, event_of, is_progress
from raypipe.submit.replies import JobState, Node
from raypipe.submit.resources import lacking, place, room


def node(**resources: float) -> Node:
    return Node(node_id="x", resources_total=resources)


def test_what_fits_on_no_node_is_told_with_what_the_nodes_have() -> None:
    (said,) = lacking({"the driver": {"GPU": 1}}, [node(CPU=4), node(CPU=4), node(CPU=8)])
    assert said == "the driver asks for 1 GPU, and no node has that: 2 x (4 CPU); 1 x (8 CPU)"


def test_what_fits_alone_but_not_together_is_told() -> None:
    (said,) = lacking({"the driver": {"CPU": 1}, "a worker": {"CPU": 1}}, [node(CPU=1.5)])
    assert said.startswith("together they do not fit: the driver for 1 CPU, and a worker for 1 CPU")


def test_a_first_choice_that_is_in_the_way_is_taken_back() -> None:
    assert place([{"CPU": 1}, {"CPU": 2}], [{"CPU": 2}, {"CPU": 1}])


def test_workers_find_the_room_that_the_best_place_of_the_driver_leaves() -> None:
    nodes = [node(CPU=4), node(CPU=2, GPU=1)]
    assert room({"CPU": 1}, {"CPU": 1}, nodes) == 5
    assert room({"CPU": 1, "GPU": 1}, {"CPU": 2}, nodes) == 2
    assert room({"CPU": 8}, {"CPU": 1}, nodes) == 0


@given(st.lists(st.integers(1, 4), max_size=3), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_more_nodes_never_make_it_harder(shapes: list[int], nodes: list[int]) -> None:
    wanted, have = [{"CPU": float(n)} for n in shapes], [{"CPU": float(n)} for n in nodes]
    if place(wanted, have):
        assert place(wanted, [*have, {"CPU": 1.0}])
        assert sum(shapes) <= sum(nodes)


@pytest.mark.parametrize(
    ("job", "code", "again"),
    [
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, 0, False),
        ({"status": "STOPPED"}, 130, False),
        ({"status": "FAILED", "driver_exit_code": 1}, 1, True),
        ({"status": "FAILED", "driver_exit_code": 2}, 2, False),
        ({"status": "FAILED", "driver_exit_code": 3}, 3, False),
        ({"status": "FAILED", "driver_exit_code": 130}, 130, True),
        ({"status": "FAILED", "driver_exit_code": -9}, 1, True),
        ({"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_DIED"}, 1, True),
        ({"status": "FAILED", "error_type": "RUNTIME_ENV_SETUP_FAILURE"}, 1, False),
    ],
)
def test_exit_codes_and_what_another_attempt_may_mend(job: dict[str, Any], code: int, again: bool) -> None:
    state = JobState.model_validate(job)
    assert (code_of(state), may_pass(state)) == (code, again)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {"progress": {}},
        {"progress": {"stage_progress": {"a": "x"}, "stage_messages": {}, "current_stage": None}, "detail": None},
        {"progress": {"stage_progress": {}, "stage_messages": {}, "current_stage": None}, "detail": {"parts": 1}},
    ],
)
def test_a_line_that_only_looks_like_progress_draws_nothing(payload: Any) -> None:
    told = event_of(event_line("progress", payload=payload))
    assert told is not None
    assert not is_progress(told)


@pytest.mark.parametrize(
    "line", ["RAYPIPE_EVENT []", "RAYPIPE_EVENT {}", "RAYPIPE_EVENT nonsense", "x RAYPIPE_EVENT {}"]
)
def test_a_line_that_is_no_event_is_a_line(line: str) -> None:
    assert event_of(line) is None
