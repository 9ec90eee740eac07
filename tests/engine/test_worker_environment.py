"""What workers find in their environment: our settings, unless the user has set another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from raypipe.engine.session import SET_BY_POLARS, WORKER_ENV, _environment

NAME = SET_BY_POLARS[0]


def test_what_polars_sets_when_it_is_imported_is_no_wish_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = {name: value for name, value in os.environ.items() if name != NAME}
    code = f"import os, polars; print(os.environ.get({NAME!r}))"
    told = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == SET_BY_POLARS[1]
    monkeypatch.setenv(*SET_BY_POLARS)
    with _environment(WORKER_ENV):
        assert os.environ[NAME] == WORKER_ENV[NAME]
    assert os.environ[NAME] == SET_BY_POLARS[1]


def test_what_the_user_sets_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "dirty_decay_ms:1")
    monkeypatch.setenv("POLARS_MAX_THREADS", "3")
    with _environment(WORKER_ENV):
        assert (os.environ[NAME], os.environ["POLARS_MAX_THREADS"]) == ("dirty_decay_ms:1", "3")
