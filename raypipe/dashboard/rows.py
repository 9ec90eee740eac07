"""The table of first rows as texts: bounded in rows, columns and characters, so that the page stays small."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import without_row_numbers
from raypipe.dashboard import numbers


@dataclass(frozen=True)
class Cell:
    """One cell: its text, and whether there is a value at all."""

    text: str
    null: bool = False


@dataclass(frozen=True)
class FirstRows:
    """The head of the table, ready to print."""

    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str
    """What was left out; empty if nothing."""


def first_rows(head: pa.Table, max_rows: int, max_columns: int, max_chars: int) -> FirstRows:
    """The first rows and columns of `head`, each cell at most `max_chars` characters."""
    visible = without_row_numbers(head)
    table = visible.select(list(range(min(max_columns, visible.num_columns)))).slice(0, max_rows)
    texts = [[_cell(value, max_chars) for value in _values(column)] for column in table.columns]
    numeric = tuple(
        pa.types.is_integer(f.type) or pa.types.is_floating(f.type) or pa.types.is_decimal(f.type) for f in table.schema
    )
    rows = tuple(zip(*texts, strict=True)) if texts else ()
    notes = []
    if table.num_columns < visible.num_columns:
        notes.append(f"the first {table.num_columns} of {visible.num_columns:,} columns")
    if any(cell.text.endswith("…") for row in rows for cell in row):
        notes.append(f"texts cut to {max_chars} characters")
    return FirstRows(tuple(table.column_names), numeric, rows, "; ".join(notes))


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column; times that Python's own types cannot hold come as whole numbers of their unit."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        whole = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
        return list(column.cast(whole).to_pylist())


def _cell(value: Any, limit: int) -> Cell:
    if value is None:
        return Cell("null", null=True)
    if isinstance(value, bool):
        return Cell("true" if value else "false")
    if isinstance(value, float):
        return Cell(f"{value:.10g}" if math.isfinite(value) else str(value).replace("nan", "NaN"))
    if isinstance(value, datetime):
        return Cell(numbers.clock(value.isoformat()))
    if isinstance(value, date):
        return Cell(value.isoformat())
    if isinstance(value, bytes):
        return Cell(numbers.clip(base64.b16encode(value[:limit]).decode().lower(), limit))
    if isinstance(value, (dict, list)):
        return Cell(numbers.clip(json.dumps(value, default=str, ensure_ascii=False), limit))
    return Cell(numbers.clip(str(value), limit))
