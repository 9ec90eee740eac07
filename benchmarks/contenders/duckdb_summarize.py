"""DuckDB's SUMMARIZE of one Parquet file, with the threads that it chooses."""

from __future__ import annotations

from typing import Any

import duckdb

_connection: duckdb.DuckDBPyConnection | None = None


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Connect, and warm up on a small file."""
    global _connection
    _connection = duckdb.connect()
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file; its first column names the columns, the last but one counts the rows."""
    assert _connection is not None
    asked = _connection.execute("SUMMARIZE SELECT * FROM read_parquet(?)", [task["path"]])
    names = [item[0] for item in asked.description]
    rows = asked.fetchall()
    return {"rows": rows[0][names.index("count")], "columns": len(rows)}


def finish() -> None:
    """Disconnect."""
    if _connection is not None:
        _connection.close()
