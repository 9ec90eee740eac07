"""raypipe's profile, validation and full statistics of one file, on a Ray that is up, with workers that are warm.

What `raypipe profile --statistics` measures, and the quality rules: every column, every pair of columns screened, the
strongest pairs over all rows, groups, outliers and extremes over all rows, patterns of gaps.
"""

from __future__ import annotations

from typing import Any

from raypipe.config import EngineConfig, PipelineConfig
from raypipe.engine.session import close_session
from raypipe.pipeline.check import check_source

WARM_BLOCK_MIB = 0.25
"""So that the small file has parts for every worker."""


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray and its workers on a small file."""
    return _measured(task["small"], EngineConfig(engine="ray", block_mib=WARM_BLOCK_MIB))


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    return _measured(task["path"], EngineConfig(engine="ray"))


def _measured(path: str, engine: EngineConfig) -> dict[str, Any]:
    checked = check_source(PipelineConfig(data_source=path, engine=engine), statistics=True)
    assert checked.validation is not None
    assert checked.statistics is not None
    return {
        "rows": checked.rows_read,
        "columns": len(checked.profile.columns),
        "pairs": len(checked.statistics.pairs),
    }


def finish() -> None:
    """End Ray."""
    close_session()
