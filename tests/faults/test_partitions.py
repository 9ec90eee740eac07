"""A network that falls apart: the node beyond the gap works on, and nobody hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.family import Child
from tests.faults.namespaces import FAR_IP, NEAR_IP, joined_namespaces
from tests.faults.work import Made


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "sink"])
def test_a_node_that_the_network_cuts_off_changes_nothing(folder: Path, expected: Made, kind: str) -> None:
    with joined_namespaces() as cable:
        prefix = ["ip", "netns", "exec", cable.near]
        with Child({"FAULTS_NODE_IP": NEAR_IP}, prefix) as child:
            made = child.ask(
                "cut_the_cable", timeout_s=240, kind=kind, folder=folder, far=cable.far, end=cable.far_end, ip=FAR_IP
            )
    assert (made["prints"], made["rows"], made["conserved"]) == (expected.prints, expected.rows, True)
    assert made["noticed_s"] < 60
