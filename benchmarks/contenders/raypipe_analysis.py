"""raypipe's whole analysis of one file, on a Ray that is up: statistics, patterns, course over time, target, findings.

Everything that `raypipe run` does but drawing the page, with its files written.
"""

from __future__ import annotations

import tempfile
from typing import Any

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.config import EngineConfig
from raypipe.engine.session import close_session

TARGET, TIME = "l_extendedprice", "l_shipdate"
WARM_BLOCK_MIB = 0.25
"""So that the small file has parts for every worker."""


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray and its workers on a small file."""
    return _analysed(task["small"], EngineConfig(engine="ray", block_mib=WARM_BLOCK_MIB))


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    return _analysed(task["path"], EngineConfig(engine="ray"))


def _analysed(path: str, engine: EngineConfig) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="raypipe-analysis-") as out:
        config = PipelineConfig(
            data_source=path,
            target_column=TARGET,
            time_column=TIME,
            output_dir=out,
            generate_dashboard=False,
            engine=engine,
        )
        found = AnalyticsPipeline(config).execute()
    rows, columns = found.data_shape
    return {"rows": rows, "columns": columns, "findings": len(found.insights)}


def finish() -> None:
    """End Ray."""
    close_session()
