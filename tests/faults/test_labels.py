"""Workers that want nodes of a certain kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.family import Child


@pytest.mark.slow
def test_workers_come_up_on_nodes_with_the_labels_that_their_stage_wants(
    cluster: Callable[[], Child], folder: Path
) -> None:
    made = cluster().ask("place_by_label", folder=folder)
    assert {pool for pool, _ in made["up"]} == {0, 1}
    assert {node for pool, node in made["up"] if pool == 1} == {made["wanted"]}


@pytest.mark.slow
def test_a_label_that_no_node_has_is_waited_for_and_told(cluster: Callable[[], Child], folder: Path) -> None:
    made = cluster().ask("wait_in_vain", folder=folder, wants={"cpus": 1, "labels": {"market": "reserved"}})
    assert made["error"] == "RunCancelledError"
    assert "on a node with market=reserved" in made["said"]
    assert "no node has the labels market=reserved: add such a node" in made["said"]
