"""The findings of a run are the same on Ray and inline: pairs over all rows, patterns, the course, the target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.engine.session import Session

ROWS = 2_400
FILES = ("statistics", "patterns", "series", "target")


def rows(seed: int) -> pl.DataFrame:
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
            "sold": 0.02 * day + 3 * (day % 7 == 5) + 0.5 * kind + rng.normal(size=ROWS),
        }
    )


def run(home: Path, name: str, engine: str, mib: float) -> Path:
    config = PipelineConfig.of(
        {
            "data_source": home / "sales.parquet", "output_dir": home / "output", "run_id": name,
            "generate_dashboard": False, "target_column": "sold", "time_column": "at",
            "engine": {"engine": engine, "block_mib": mib},
            "analysis": {"sample_rows": 600},
        }
    )  # fmt: skip
    results = AnalyticsPipeline(config).execute()
    assert results["warnings"] == ()
    return Path(results["output_directory"])


@pytest.fixture(scope="module")
def runs(ray_session: Session, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One source in many blocks, inline and on Ray."""
    home = tmp_path_factory.mktemp("agree")
    rows(1).write_parquet(home / "sales.parquet", row_group_size=300)
    return {"cut": run(home, "cut", "inline", 0.02), "on ray": run(home, "on-ray", "ray", 0.02)}


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_ray_and_inline_find_the_same_to_the_last_digit(runs: dict[str, Path], name: str) -> None:
    assert read(runs["on ray"], name) == read(runs["cut"], name)
