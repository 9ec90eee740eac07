"""Parts as the files of a Delta table: Parquet with types that Delta knows, and figures by which readers skip files."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars, to_polars
from raypipe.errors import OutputError, SchemaError
from raypipe.etl.aside import as_text
from raypipe.etl.writers.files import WriteFiles

MAX_STATS = 32
"""Columns with figures, as Delta's own writers have by default."""
MAX_CHARS = 32
"""Longer texts are left out of the figures: cut ones would have to be rounded up."""
_WIDER: tuple[tuple[pl.DataType, pl.DataType], ...] = (
    (pl.UInt8(), pl.Int16()), (pl.UInt16(), pl.Int32()), (pl.UInt32(), pl.Int64()), (pl.UInt64(), pl.Decimal(20, 0)),
)  # fmt: skip
_DECIMAL_DIGITS = 38


class WriteDelta(WriteFiles):
    """One Parquet file a part in the folder of a Delta table, where nobody sees it until the driver commits."""

    @property
    def name(self) -> str:
        return "WriteDelta"

    def _write(self, block: pa.Table, part: str) -> dict[str, Any]:
        return super()._write(delta_block(block), part) if block.num_rows else _nothing(part)

    def _put(self, block: pa.Table, folder: str, name: str) -> tuple[dict[str, Any], Counter[str]]:
        if any(level.endswith("=") for level in folder.split("/")):
            raise OutputError(
                f"delta: a column of partition_by has an empty text, which Delta takes for no value ({folder}). "
                "Mend the rows, or choose other columns"
            )
        file, notes = super()._put(block, folder, name)
        return {**file, "stats": _stats(block)}, notes


def _nothing(part: str) -> dict[str, Any]:
    return {"rows": 0, "bytes": 0, "part": part, "files": [], "notes": {}}


def delta_block(block: pa.Table) -> pa.Table:
    """The block with types that Delta knows: unsigned numbers wider, times and durations as text, moments to the us."""
    frame = to_polars(block)
    return from_polars(pl.DataFrame([_column(frame.get_column(name)) for name in frame.columns]))


def delta_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of `delta_block`; SchemaError for a column that Delta cannot hold."""
    made = delta_block(schema.empty_table()).schema
    for field in made:
        bad = _unknown(field.type)
        if bad is not None:
            raise SchemaError(
                f"delta: column {field.name!r} is {schema.field(field.name).type}; Delta has no {bad}. Write Parquet, "
                "or take the column out"
            )
    return made


def _column(cells: pl.Series) -> pl.Series:
    kind = cells.dtype
    wider = next((wide for narrow, wide in _WIDER if narrow == kind), None)
    if wider is not None:
        return cells.cast(wider)
    if kind in (pl.Time, pl.Duration, pl.Null, pl.Categorical, pl.Enum):
        text = as_text(cells.alias("")) if kind != pl.Null else cells.cast(pl.String)
        return text.alias(cells.name)
    if isinstance(kind, pl.Datetime):
        moment = cells.dt.convert_time_zone("UTC") if kind.time_zone else cells
        return moment.dt.cast_time_unit("us")
    return cells


def _unknown(kind: pa.DataType) -> str | None:
    """A type inside of `kind` that Delta lacks."""
    if pa.types.is_nested(kind):
        inner = (_unknown(kind.field(index).type) for index in range(kind.num_fields))
        return next((bad for bad in inner if bad is not None), None)
    known = (
        pa.types.is_boolean(kind) or pa.types.is_signed_integer(kind) or pa.types.is_float32(kind)
        or pa.types.is_float64(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_date32(kind)
        or (pa.types.is_timestamp(kind) and kind.unit == "us")
        or (pa.types.is_decimal(kind) and kind.precision <= _DECIMAL_DIGITS)
    )  # fmt: skip
    return None if known else str(kind)


def _stats(block: pa.Table) -> str:
    """Rows, and smallest, largest and missing values of the first columns, as the protocol of Delta writes them."""
    frame = to_polars(block)
    low, high, nulls = {}, {}, {}
    for name in frame.columns[:MAX_STATS]:
        cells = frame.get_column(name)
        if cells.dtype.is_nested() or cells.dtype == pl.Binary:
            continue
        nulls[name] = cells.null_count()
        if cells.dtype.is_float() and (cells.is_nan().any() or cells.is_infinite().any()):
            continue
        bounds = _told(cells.min()), _told(cells.max())
        if None not in bounds:
            low[name], high[name] = bounds
    return json.dumps({"numRecords": block.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls})


def _told(value: Any) -> Any:
    """A bound as JSON has it; None where it has none."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value if len(value) <= MAX_CHARS else None
    if hasattr(value, "isoformat"):
        text: str = value.isoformat()
        return text.replace("+00:00", "Z")
    return None  # decimals: a JSON number could round them
