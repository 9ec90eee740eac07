"""The outputs that every run must have, and clusters in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.family import Child
from tests.faults.work import Made, reference


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """What a run without faults makes."""
    return reference(tmp_path_factory.mktemp("expected"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Callable[[], Child]]:
    """A child process with a cluster of several nodes; one that a test broke is replaced."""
    made: list[Child] = []

    def get() -> Child:
        if not made or not made[-1].is_up:
            made.append(Child())
        return made[-1]

    yield get
    for child in made:
        child.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder that workers can reach."""
    made = tmp_path / "work"
    made.mkdir()
    return made
