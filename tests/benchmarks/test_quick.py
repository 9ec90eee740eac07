"""Each measurement runs end to end at its tiny size, without the peers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import cloud_io, engine, ingest, profile, startup, wide


@pytest.mark.parametrize(
    ("name", "main", "cases"),
    [
        ("startup", startup.main, 1),
        pytest.param("profile", profile.main, 1, marks=pytest.mark.slow),
        pytest.param("engine", engine.main, 2, marks=pytest.mark.slow),
        pytest.param("cloud_io", cloud_io.main, 1, marks=pytest.mark.slow),
        pytest.param("ingest", ingest.main, 1, marks=pytest.mark.slow),
        pytest.param("wide", wide.main, 1, marks=pytest.mark.slow),
    ],
)
def test_measurement_runs_at_its_tiny_size(
    tmp_path: Path, name: str, main: Callable[[Sequence[str]], int], cases: int
) -> None:
    flags = ["--quick", "--rounds", "1", "--timeout", "120", "--only", "raypipe"]
    code = main([*flags, "--peers", str(tmp_path / "none"), "--data", str(tmp_path), "--results", str(tmp_path)])
    document = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert code == 0, document["failed"]
    assert not document["quotable"]
    assert len({entry["case"] for entry in document["figures"]}) == cases
    assert all(bar["met"] is None for bar in document["bars"])
