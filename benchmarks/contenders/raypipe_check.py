"""raypipe's profile and validation of one file, on a Ray that is up, with workers that are warm."""

from __future__ import annotations

from typing import Any

from raypipe.config import EngineConfig, PipelineConfig
from raypipe.engine.session import close_session
from raypipe.pipeline.check import check_source

WARM_BLOCK_MIB = 0.25
"""So that the small file has parts for every worker."""


def _config(path: str, block_mib: float | None = None) -> PipelineConfig:
    engine = EngineConfig(engine="ray") if block_mib is None else EngineConfig(engine="ray", block_mib=block_mib)
    return PipelineConfig(data_source=path, engine=engine)


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray and its workers on a small file."""
    checked = check_source(_config(task["small"], WARM_BLOCK_MIB))
    return {"rows": checked.rows_read}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    checked = check_source(_config(task["path"]))
    assert checked.validation is not None
    return {"rows": checked.rows_read, "columns": len(checked.profile.columns), "pass_s": round(checked.seconds, 3)}


def finish() -> None:
    """End Ray."""
    close_session()
