"""Polars' lazy `describe` of one Parquet file: count, nulls, mean, deviation, extremes and quartiles."""

from __future__ import annotations

from typing import Any

import polars as pl


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small file."""
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    described = pl.scan_parquet(task["path"]).describe()
    first = described.columns[1]
    rows = sum(float(described.filter(pl.col("statistic") == name)[first][0]) for name in ("count", "null_count"))
    return {"rows": int(rows), "columns": described.width - 1}


def finish() -> None:
    """Nothing to end."""
