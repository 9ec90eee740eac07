"""raypipe's conversion of one CSV file to typed, validated Parquet, on a Ray that is up, with workers that are warm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raypipe.config import EngineConfig, PipelineConfig, WriteOptions
from raypipe.engine.session import close_session
from raypipe.pipeline.convert import convert

WARM_BLOCK_MIB = 0.25
"""So that the small file has parts for every worker."""


def _convert(task: dict[str, Any], path: str, block_mib: float | None = None) -> dict[str, Any]:
    engine = EngineConfig(engine="ray") if block_mib is None else EngineConfig(engine="ray", block_mib=block_mib)
    config = PipelineConfig(data_source=path, engine=engine, write=WriteOptions(mode="overwrite"))
    done = convert(config, Path(task["out"]) / task.get("dest", "raypipe.parquet"))
    return {"rows": done.rows_written, "aside": done.rows_quarantined, "bytes": done.bytes_written}


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray and its workers on a small file."""
    return _convert(task, task["small"], WARM_BLOCK_MIB)


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    return _convert(task, task["path"])


def finish() -> None:
    """End Ray."""
    close_session()
