"""DuckDB's read of one object to Arrow, where its httpfs extension is at hand."""

from __future__ import annotations

import os
from typing import Any

import duckdb

_link: duckdb.DuckDBPyConnection | None = None


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Load the extension, and warm up on a small object."""
    global _link
    _link = duckdb.connect()
    _link.execute("LOAD httpfs")
    _link.execute(
        "CREATE SECRET (TYPE s3, KEY_ID $key, SECRET $secret, REGION $region, ENDPOINT $endpoint, URL_STYLE 'path', "
        "USE_SSL false)",
        {
            "key": os.environ["AWS_ACCESS_KEY_ID"],
            "secret": os.environ["AWS_SECRET_ACCESS_KEY"],
            "region": os.environ["AWS_REGION"],
            "endpoint": os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
        },
    )
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole object."""
    assert _link is not None
    table = _link.execute("SELECT * FROM read_parquet($path)", {"path": task["path"]}).fetch_arrow_table()
    return {"rows": table.num_rows, "columns": table.num_columns}


def finish() -> None:
    """Nothing to end."""
