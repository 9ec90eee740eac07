"""DuckDB's conversion of one CSV file to Parquet, types found by its sniffer, with the threads that it chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

_connection: duckdb.DuckDBPyConnection | None = None


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Connect, and warm up on a small file."""
    global _connection
    _connection = duckdb.connect()
    return run({**task, "path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    assert _connection is not None
    out = Path(task["out"]) / "duckdb.parquet"
    copied = _connection.execute(
        f"COPY (SELECT * FROM read_csv('{task['path']}')) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"
    ).fetchone()
    assert copied is not None
    return {"rows": copied[0], "bytes": out.stat().st_size}


def finish() -> None:
    """Disconnect."""
    if _connection is not None:
        _connection.close()
