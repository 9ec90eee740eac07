"""Polars' streaming conversion of one CSV file to Parquet, which validates nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small file."""
    return run({**task, "path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file; dates are parsed if the task says so, else they stay text."""
    out = Path(task["out"]) / "polars.parquet"
    pl.scan_csv(task["path"], try_parse_dates=task.get("dates", False)).sink_parquet(out, compression="zstd")
    return {"rows": pl.scan_parquet(out).select(pl.len()).collect().item(), "bytes": out.stat().st_size}


def finish() -> None:
    """Nothing to end."""
