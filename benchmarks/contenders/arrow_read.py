"""pyarrow.dataset's read of one object to Arrow."""

from __future__ import annotations

from typing import Any

import pyarrow.dataset as ds
from pyarrow.fs import FileSystem


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small object."""
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole object; where it is and the credentials come from the environment."""
    system, path = FileSystem.from_uri(task["path"])
    table = ds.dataset(path, filesystem=system, format="parquet").to_table()
    return {"rows": table.num_rows, "columns": table.num_columns}


def finish() -> None:
    """Nothing to end."""
