"""raypipe's plain read of one object to Arrow, in this process."""

from __future__ import annotations

from typing import Any

from raypipe.etl.reader import DataReader


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small object."""
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole object."""
    table = DataReader(task["path"]).read()
    return {"rows": table.num_rows, "columns": table.num_columns}


def finish() -> None:
    """Nothing to end."""
