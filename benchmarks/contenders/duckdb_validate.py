"""The sixty rules as one SELECT written by hand, and one for uniqueness, in DuckDB with the threads that it chooses."""

from __future__ import annotations

from typing import Any

import duckdb

from benchmarks.lineitem_rules import lineitem_rules

_connection: duckdb.DuckDBPyConnection | None = None


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Connect, and warm up on a small file."""
    global _connection
    _connection = duckdb.connect()
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Rows at fault of each rule, and the figures."""
    assert _connection is not None
    rules = lineitem_rules(task.get("all_fail", False))
    rows = [rule for rule in rules if not rule.is_figure]
    asked = ["count(*)", *(f"count_if({rule.sql})" for rule in rows), *(rule.sql for rule in rules if rule.is_figure)]
    found = _connection.execute(f"SELECT {', '.join(asked)} FROM read_parquet(?)", [task["path"]]).fetchall()[0]
    failed = sum(count > 0 for count in found[1 : 1 + len(rows)])
    return {"rows": found[0], "rules": len(rules), "failed": failed}


def finish() -> None:
    """Disconnect."""
    if _connection is not None:
        _connection.close()
