"""Modin's conversion of one CSV file to Parquet, on a Ray that is up; dates stay text."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))  # read once, at import; as raypipe does

import modin.pandas as mpd
import ray

_folder = tempfile.TemporaryDirectory(prefix="modin-")


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray, and warm up on a small file."""
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1",
        _temp_dir=_folder.name,
    )  # fmt: skip
    return run({**task, "path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file, to a folder of one file a partition."""
    out = Path(task["out"]) / "modin.parquet"
    frame = mpd.read_csv(task["path"])
    frame.to_parquet(str(out), compression="zstd", index=False)
    files = out.rglob("*.parquet") if out.is_dir() else [out]
    return {"rows": len(frame), "bytes": sum(file.stat().st_size for file in files)}


def finish() -> None:
    """End Ray."""
    ray.shutdown()
    _folder.cleanup()
