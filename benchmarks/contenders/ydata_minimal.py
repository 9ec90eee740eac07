"""ydata-profiling's minimal report of one Parquet file, read by pandas as it wants."""

from __future__ import annotations

from typing import Any

import pandas as pd
from ydata_profiling import ProfileReport


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small file."""
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    frame = pd.read_parquet(task["path"])
    page = ProfileReport(frame, minimal=True, progress_bar=False).to_html()
    return {"rows": len(frame), "columns": frame.shape[1], "page_bytes": len(page)}


def finish() -> None:
    """Nothing to end."""
