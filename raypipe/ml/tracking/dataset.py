"""The rows of a run as MLflow knows a dataset: a name, a hash, where they are from, and their columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from raypipe.ml.card import InputColumn, rows_told

DIGEST_CHARS = 12
"""Of the hash of the rows, as many as the pages have room for; the whole of it stands in the source."""
MOST_SCHEMA_CHARS = 60_000
"""A schema that is longer is left out: databases cut it."""
TYPES = {"bool": "boolean", "double": "double", "float": "float", "int64": "long", "int32": "integer"}


def dataset_of(result: Mapping[str, Any]) -> Any:
    """What is logged as the input of a run."""
    from mlflow.entities import Dataset

    origin: Mapping[str, Any] = result.get("data_source", {})
    facts = rows_told(result)
    schema = json.dumps({"mlflow_colspec": [_column(one) for one in result["inputs"]]})
    kind, place = _source(result, origin)
    return Dataset(
        name=_name(result, origin),
        digest=facts["sha256"][:DIGEST_CHARS],
        source_type=kind,
        source=json.dumps({**facts, **place}, default=str),
        schema=schema if len(schema) <= MOST_SCHEMA_CHARS else None,
        profile=json.dumps({"num_rows": facts["rows"], "num_columns": facts["columns"]}),
    )


def _name(result: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """Of the file or table; of rows that came from memory, that of the target."""
    path = PurePosixPath(str(origin.get("path", "")).partition("?")[0].rstrip("/"))
    return (path.stem if path.suffix else path.name) or str(result["target"])


def _source(result: Mapping[str, Any], origin: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Kind and keys by which MLflow itself finds the rows again."""
    if result.get("feature_store_enabled"):
        return "feature_store", {}
    if "version" in origin:
        return "delta_table", {"path": origin["path"], "delta_table_version": origin["version"]}
    if origin:
        return "local", {"uri": origin["path"]}
    return "code", {"tags": {"mlflow.source.name": "raypipe"}}


def _column(one: InputColumn) -> dict[str, Any]:
    kind = TYPES.get(one.type) or ("datetime" if one.type.startswith(("timestamp", "date")) else "string")
    return {"name": one.name, "type": kind, "required": one.required}
