"""The findings of a run are the same on Ray and inline, and however the source is cut into blocks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.config import EngineConfig
from raypipe.engine.session import Session
from raypipe.pipeline.compare import compare_sources
from tests.insights.tables import close

ROWS = 2_400
FILES = ("statistics", "patterns", "series", "target")
ROUNDING = 1e-7
"""Sums of other blocks differ in their last digits, and p-values far out more than what they are made of."""


def rows(seed: int, shift: float = 0.0) -> pl.DataFrame:
    """A table with something to find in every part: pairs, groups, two clusters, a trend, a weekly season."""
    rng = np.random.default_rng(seed)
    day = np.arange(ROWS) // 8
    kind = rng.integers(0, 2, ROWS)
    return pl.DataFrame(
        {
            "at": np.datetime64("2023-01-02", "us") + (np.arange(ROWS) * 3).astype("timedelta64[h]"),
            "region": rng.choice(["north", "south", "east"], ROWS),
            "plan": np.where(rng.random(ROWS) < 0.9, np.array(["basic", "pro"])[kind], "trial"),
            "length": rng.normal(size=ROWS) + 7 * kind,
            "weight": rng.normal(size=ROWS) - 7 * kind,
            "visits": rng.poisson(5, ROWS),
            "gap": pl.Series(rng.normal(size=ROWS)).set(pl.Series(rng.random(ROWS) < 0.2), None),
            "sold": 0.02 * day + 3 * (day % 7 == 5) + 0.5 * kind + rng.normal(size=ROWS) + shift,
        }
    )


def run(home: Path, name: str, engine: str, mib: float, source: str = "sales.parquet") -> Path:
    config = PipelineConfig.of(
        {
            "data_source": home / source, "output_dir": home / "output", "run_id": name, "generate_dashboard": False,
            "target_column": "sold", "time_column": "at", "engine": {"engine": engine, "block_mib": mib},
            "analysis": {"sample_rows": 600},
        }
    )  # fmt: skip
    results = AnalyticsPipeline(config).execute()
    assert results["warnings"] == ()
    return Path(results["output_directory"])


@pytest.fixture(scope="module")
def runs(ray_session: Session, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One source, inline in one block, inline in many, and on Ray in as many; and another source."""
    home = tmp_path_factory.mktemp("agree")
    rows(1).write_parquet(home / "sales.parquet", row_group_size=300)
    rows(2, shift=2.0).write_parquet(home / "later.parquet")
    made = {name: run(home, name, *how) for name, how in {
        "whole": ("inline", 64.0), "cut": ("inline", 0.02), "on ray": ("ray", 0.02),
    }.items()}  # fmt: skip
    return made | {"later": run(home, "later", "inline", 64.0, "later.parquet")}


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_ray_and_inline_find_the_same_to_the_last_digit(runs: dict[str, Path], name: str) -> None:
    assert read(runs["on ray"], name) == read(runs["cut"], name)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_how_the_source_is_cut_changes_nothing_but_rounding(runs: dict[str, Path], name: str) -> None:
    assert close(read(runs["whole"], name), read(runs["cut"], name), ROUNDING)


@pytest.mark.slow
def test_exact_pairs_are_over_all_rows_and_equal_on_both_engines(runs: dict[str, Path]) -> None:
    on_ray, inline, whole = (read(runs[name], "statistics")["pairs"] for name in ("on ray", "cut", "whole"))
    assert on_ray == inline
    assert {pair["rows"] for pair in on_ray} <= {ROWS, *(one["rows"] for one in on_ray if "gap" in one["columns"])}
    assert all(pair["exact"] for pair in on_ray)
    assert len(on_ray) >= 3
    assert close(whole, inline, ROUNDING)


@pytest.mark.slow
def test_the_same_insights_are_told_in_the_same_order(runs: dict[str, Path]) -> None:
    told = {
        name: [(one["type"], one["title"], one["priority_score"]) for one in read(folder, "insights")["key_insights"]]
        for name, folder in runs.items()
    }
    assert told["on ray"] == told["cut"] == told["whole"]
    assert len(told["cut"]) >= 3


@pytest.mark.slow
def test_comparisons_of_runs_on_ray_and_inline_say_the_same(runs: dict[str, Path]) -> None:
    output = runs["cut"].parent
    config = PipelineConfig(data_source="x", output_dir=output, engine=EngineConfig(engine="inline"))
    inline, on_ray = (compare_sources(name, "later", config).model_dump() for name in ("cut", "on ray"))
    for one in (inline, on_ray):
        one.pop("before")
    assert inline == on_ray
    assert inline["verdict"] == "drifted"
    assert compare_sources("cut", "on ray", config).verdict == "stale"
