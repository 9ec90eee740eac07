"""Every pool of the shipped spec scales from no node and back, for what raypipe's workers ask for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raypipe.cluster.spec import MARKET, POOL
from tests.cluster.shipped import shipped
from tests.faults.family import ROOT, Family

pytestmark = pytest.mark.slow
POOLS = [pool.name for pool in shipped().pools]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("growing")
    with Family([sys.executable, "-m", "tests.cluster.growing", str(folder)], cwd=ROOT) as family:
        family.await_that(lambda: (folder / "seen.json").exists() or not family.is_up, 480.0)
        if not (folder / "seen.json").exists():
            pytest.fail(family.stderr()[-3000:])
        # Written in one go, but perhaps not closed yet.
        family.await_that(lambda: _complete(folder / "seen.json"), 10.0)
        yield json.loads((folder / "seen.json").read_text())


def _complete(path: Path) -> bool:
    return path.read_text().endswith("}")


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_comes_for_a_worker_that_asks_for_it_and_goes_after_it(name: str, seen: dict[str, Any]) -> None:
    pool = next(pool for pool in shipped().pools if pool.name == name)
    course = seen[name]
    assert course["before"] == 0
    (node,) = course["nodes"]
    assert node["labels"][POOL] == name
    assert node["labels"][MARKET] == ("spot" if pool.spot else "on-demand")
    assert node["resources"]["CPU"] == pool.cpus
    assert node["resources"].get("GPU", 0) == pool.gpus
    assert course["left"] == 0


def test_work_that_asks_for_no_pool_gets_the_one_of_the_highest_priority(seen: dict[str, Any]) -> None:
    (node,) = seen["anything"]["nodes"]
    first = max(shipped().pools, key=lambda pool: pool.priority)
    assert node["labels"][POOL] == first.name
    assert seen["anything"]["left"] == 0
