"""raypipe's insights about one Parquet file."""

from __future__ import annotations

import tempfile
from typing import Any

from raypipe import AnalyticsPipeline, PipelineConfig


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Nothing to warm up: nothing is timed."""
    return {}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Everything told, in its order."""
    with tempfile.TemporaryDirectory(prefix="raypipe-insights-") as out:
        config = PipelineConfig.of(
            {
                "data_source": task["path"],
                "target_column": task["target"],
                "time_column": task["time"],
                "output_dir": out,
                "generate_dashboard": False,
                "engine": {"engine": "inline"},
            }
        )
        found = AnalyticsPipeline(config).execute()
    claims = [(one.type, one.category, list(one.columns_affected), one.title) for one in found.insights]
    return {"claims": claims}


def finish() -> None:
    """Nothing to end."""
