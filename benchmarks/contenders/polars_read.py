"""Polars' read of one object to Arrow."""

from __future__ import annotations

import os
from typing import Any

import polars as pl


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small object."""
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole object."""
    options = {
        "aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"],
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "aws_region": os.environ["AWS_REGION"],
        "aws_allow_http": "true",
    }
    table = pl.scan_parquet(task["path"], storage_options=options).collect().to_arrow()
    return {"rows": table.num_rows, "columns": table.num_columns}


def finish() -> None:
    """Nothing to end."""
