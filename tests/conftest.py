"""One Ray for the whole session, in a temporary folder of its own; data that stays outside the repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from raypipe.config import EngineConfig
from raypipe.engine.inline import InlineEngine
from raypipe.engine.run import Engine
from raypipe.engine.session import Session, close_session, open_session

CPUS = 2
# `make test-slow` runs the laws with `--hypothesis-profile=thorough`; see `tests.laws.examples`.
settings.register_profile("thorough", max_examples=1000)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[Session]:
    """A private Ray with two CPUs; workers stay warm from test to test."""
    session = open_session(None, cpus=CPUS)
    yield session
    close_session()


@pytest.fixture(params=["inline", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn; inline is the reference."""
    return make_engine(request, EngineConfig())


def make_engine(request: pytest.FixtureRequest, config: EngineConfig) -> Engine:
    """The engine of this test's turn, with `config`."""
    if request.param == "inline":
        return InlineEngine(config)
    request.getfixturevalue("ray_session")
    from raypipe.engine.rayengine import RayEngine

    return RayEngine(config)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data outside the repository; tests that need it are skipped where it is absent."""
    named = os.environ.get("RAYPIPE_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"no data at {folder / 'data'}: set RAYPIPE_SHARED")
    return folder / "data"
