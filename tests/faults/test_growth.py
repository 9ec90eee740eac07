"""Clusters that grow with the work, and shrink after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.command import events
from tests.faults.family import Child

MOST, PARTS = 3, 60


@pytest.mark.slow
def test_a_run_makes_a_cluster_grow_from_no_node_and_lets_it_shrink_to_none(folder: Path) -> None:
    with Child() as child:
        made = child.ask("grow_and_shrink", timeout_s=280, folder=folder, most=MOST, parts=PARTS, pause_s=0.8, end_s=90)
    assert made["results"]["rows"] == PARTS * 50
    assert made["course"][0]["nodes"] == 0
    assert max(change["nodes"] for change in made["course"]) == MOST
    assert made["nodes_left"] == 0
    told = events(folder)
    assert [event["by"] for event in told if event["event"] == "pool_grew"]
    assert {event["node"] for event in told if event["event"] == "worker_up"} >= set()
    assert len({event["node"] for event in told if event["event"] == "worker_up"}) == MOST
