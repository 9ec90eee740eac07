"""What Arrow cannot hold though the database can: infinite dates, and numerics that are no number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.etl.formats.schemas import conform
from raypipe.etl.formats.sql_source import DAY_US, SqlColumn
from raypipe.etl.formats.sql_values import rows_aside
from raypipe.stage import PartRead

_NO_NUMBERS = pa.array(["NaN", "Infinity", "-Infinity"])
_FIRST, _LAST = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))
Flags = np.ndarray[Any, Any]


def set_odd_aside(table: pa.Table, columns: Sequence[SqlColumn], texts: Callable[[], pa.Table]) -> PartRead:
    """The table under the types of the columns; rows with a value that these cannot hold are set aside.

    `texts` gives the same rows as text, as the database writes them; it is asked for where a row goes aside.
    """
    schema = pa.schema([(column.name, column.kind) for column in columns])
    found = [(column, mask) for column in columns if (mask := _odd(table[column.name], column.kind)) is not None]
    if not found:
        block = conform(table, table.num_rows, schema)
        return PartRead(block, bytes_read=block.nbytes)
    lost = np.logical_or.reduce([mask for _, mask in found])
    kept = np.flatnonzero(~lost).astype(np.int64)
    block = conform(table.take(pa.array(kept)), kept.size, schema)
    return PartRead(block, _aside(texts(), found, lost), pa.array(kept), bytes_read=block.nbytes)


def _odd(column: pa.ChunkedArray, kind: pa.DataType) -> Flags | None:
    """Which values cannot be; None: all can. Infinity comes as some day far outside of the years 1 to 9999."""
    if pa.types.is_decimal(kind):
        mask = pc.is_in(column, _NO_NUMBERS.cast(column.type))
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        unit = 1 if pa.types.is_date(kind) else DAY_US
        whole = column.cast(pa.int32() if pa.types.is_date(kind) else pa.int64()).cast(pa.int64())
        low, high = pc.less(whole, _FIRST * unit), pc.greater_equal(whole, (_LAST + 1) * unit)
        mask = pc.fill_null(pc.or_(low, high), False)
    else:
        return None
    found = np.asarray(mask.to_numpy(), bool)
    return found if found.any() else None


def _aside(texts: pa.Table, found: Sequence[tuple[SqlColumn, Flags]], lost: Flags) -> pa.Table:
    places = np.flatnonzero(lost).astype(np.int64)
    first = [next(column for column, mask in found if mask[at]) for at in places.tolist()]
    rows = texts.take(pa.array(places))
    return rows_aside(rows, places.tolist(), [(column.name, str(column.kind)) for column in first])
