"""Schemas to and from pyarrow."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from raypipe.etl.rules.dtypes import dtype_of
from raypipe.etl.rules.schema import ColumnSchema, DataSchema
from raypipe.etl.schemas.conversion import Converted, about, column_remark, restored, schema_of, schema_remark

KEY = b"raypipe"
"""Key of the original in the metadata of schemas and fields."""

ARROW_TYPES: dict[str | None, pa.DataType] = {
    **{name: getattr(pa, name)() for name in ("int8", "int16", "int32", "int64")},
    **{name: getattr(pa, name)() for name in ("uint8", "uint16", "uint32", "uint64", "float32", "float64")},
    "integer": pa.int64(),
    "number": pa.float64(),
    "decimal": pa.decimal128(38, 9),
    "boolean": pa.bool_(),
    "text": pa.large_string(),
    "category": pa.dictionary(pa.int32(), pa.large_string()),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "time": pa.time64("us"),
    "duration": pa.duration("us"),
    "binary": pa.large_binary(),
    None: pa.large_string(),
}
"""dtype -> the Arrow type that holds it; where it leaves a choice, the widest common one."""


def to_arrow(schema: DataSchema) -> Converted[pa.Schema]:
    """The schema in pyarrow: types and nullability in its own words, everything else in the metadata.

    The metadata travel with Parquet, Feather and IPC files, and `from_arrow` reads them back.
    """
    fields = [_field(column, column.name in schema.primary_key) for column in schema.columns]
    notes = [about(column, "has no dtype; text stands in") for column in schema.columns if column.dtype is None]
    checked = [column for column in schema.columns if _limits(column)]
    notes += [
        about(column, "bounds, values and patterns stand in the metadata; Arrow checks none") for column in checked
    ]
    return Converted(pa.schema(fields, metadata={KEY: json.dumps(schema_remark(schema))}), tuple(notes))


def from_arrow(schema: pa.Schema, name: str = "table") -> Converted[DataSchema]:
    """A schema from pyarrow; what `to_arrow` left in the metadata is taken up while the types are still those."""
    notes: list[str] = []
    remark = _remark(schema.metadata)
    key = remark.get("primary_key", ())
    columns = [_column(field, field.name in key, notes) for field in schema]
    description = remark.get("description", "")
    return Converted(schema_of(remark, columns, remark.get("name", name), description), tuple(notes))


def _field(column: ColumnSchema, in_key: bool) -> pa.Field:
    metadata = {KEY: json.dumps(column_remark(column))}
    if column.description:
        metadata[b"description"] = column.description
    return pa.field(column.name, ARROW_TYPES[column.dtype], column.nullable and not in_key, metadata)


def _limits(column: ColumnSchema) -> bool:
    limits = (column.min_value, column.max_value, column.allowed_values, column.regex_pattern)
    return column.unique or any(limit is not None for limit in limits)


def _column(field: pa.Field, in_key: bool, notes: list[str]) -> ColumnSchema:
    def still_so(column: ColumnSchema) -> bool:
        made = _field(column, in_key)
        # By name rather than type: files change units, and the way dictionaries are laid out.
        return made.nullable == field.nullable and dtype_of(made.type) == dtype_of(field.type)

    def read() -> dict[str, Any]:
        dtype = dtype_of(field.type)
        if dtype is None and not pa.types.is_null(field.type):
            notes.append(f"column {field.name!r}: type {field.type} has no name in a schema; any type will do")
        described = (field.metadata or {}).get(b"description", b"").decode("utf-8", "replace")
        return {"name": field.name, "dtype": dtype, "nullable": field.nullable or in_key, "description": described}

    return restored(_remark(field.metadata) or None, field.name, still_so, read)


def _remark(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    """What stands under our key; nothing where another program wrote something else there."""
    try:
        found = json.loads((metadata or {}).get(KEY, b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
