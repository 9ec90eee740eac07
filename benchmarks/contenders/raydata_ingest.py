"""Ray Data's conversion of one CSV file to Parquet, on a Ray that is up."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))  # read once, at import; as raypipe does

import pyarrow.parquet as pq
import ray

_folder = tempfile.TemporaryDirectory(prefix="raydata-")


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray, and warm up on a small file."""
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1",
        _temp_dir=_folder.name,
    )  # fmt: skip
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return run({**task, "path": task["small"], "sub": "small"})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file, to a folder of one file a block."""
    out = Path(task["out"]) / task.get("sub", "raydata")
    ray.data.read_csv(task["path"]).write_parquet(str(out), compression="zstd")
    files = list(out.glob("*.parquet"))
    return {"rows": sum(pq.read_metadata(file).num_rows for file in files), "bytes": _size(files)}


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def finish() -> None:
    """End Ray."""
    ray.shutdown()
    _folder.cleanup()
