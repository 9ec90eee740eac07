"""What kind a column is, the form in which its values are counted, and the way back to numbers and text."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.blocks.arrays import Array, Floats, Hashes, Mask
from raypipe.blocks.decimals import INT64_DIGITS, as_whole
from raypipe.blocks.frames import polars_type, to_series
from raypipe.blocks.hashing import hash_values
from raypipe.blocks.profile import Kind
from raypipe.blocks.text import TextBytes

_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}
_FLOATS: dict[str, type[np.floating[Any]]] = {"Float32": np.float32, "Float16": np.float16}
_ALL_DIGITS = Context(prec=80)
_LATEST_SECOND = 8_000_000_000_000
"""Times further from 1970 than this, some 250,000 years, have no calendar date in Polars."""


@dataclass(frozen=True)
class ColumnType:
    """Name and type of a column."""

    name: str
    arrow: str
    """Arrow type as text."""
    kind: Kind
    dtype: pl.DataType
    storage: pl.DataType
    """Form in which values are counted: Int64, UInt64, Float64, String, Decimal; UInt64 hashes for other kinds."""
    hashable: bool = True

    @classmethod
    def of(cls, field: pa.Field) -> ColumnType:
        """The type of an Arrow field."""
        target = readable_type(field.type)
        if target is None:
            return cls(field.name, str(field.type), "other", pl.Null(), pl.UInt64(), hashable=False)
        dtype = polars_type(target)
        kind, storage = _kind(dtype)
        return cls(field.name, str(field.type), kind, dtype, storage)

    @property
    def whole(self) -> bool:
        """Integers and booleans."""
        return self.dtype.is_integer() or self.dtype == pl.Boolean

    @property
    def ordered(self) -> bool:
        """Values are counted as numbers NumPy can sort, hashes included."""
        return self.storage in (pl.Int64, pl.UInt64, pl.Float64)

    @property
    def ratio(self) -> tuple[int, int]:
        """Factor and divisor from the counted form to the user's unit, seconds for times."""
        if self.dtype == pl.Date:
            return 86400, 1
        if isinstance(self.dtype, (pl.Datetime, pl.Duration)):
            return 1, _PER_SECOND[self.dtype.time_unit]
        if self.dtype == pl.Time:
            return 1, 10**9
        if isinstance(self.dtype, pl.Decimal) and self.storage == pl.Int64:
            return 1, 10**self.dtype.scale
        return 1, 1

    def floats(self, values: Array) -> Floats:
        """Numbers in the user's unit from the counted form."""
        factor, divisor = self.ratio
        floats = values.astype(np.float64)
        return floats * factor if factor > 1 else floats / divisor if divisor > 1 else floats

    def texts(self, values: pl.Series) -> list[str]:
        """Values as a reader writes them, from the counted form."""
        if self.dtype == pl.Boolean:
            return ["true" if value else "false" for value in values]
        if self.kind == "temporal":
            return [self._time(value) for value in values]
        if isinstance(self.dtype, pl.Decimal):
            shift = -self.dtype.scale if self.storage == pl.Int64 else 0
            return [f"{Decimal(value).scaleb(shift, _ALL_DIGITS):f}" for value in values]
        if self.dtype.is_float():
            return [str(value) for value in values.to_numpy().astype(_FLOATS.get(str(self.dtype), np.float64))]
        return [str(value) for value in values]

    def _time(self, value: int) -> str:
        factor, divisor = self.ratio
        span = isinstance(self.dtype, pl.Duration)
        if abs(value) * factor // divisor > _LATEST_SECOND and not (span and value > -(2**63)):
            return f"{value} {getattr(self.dtype, 'time_unit', 'd')} since 1970-01-01"
        physical = pl.Int32 if self.dtype == pl.Date else pl.Int64
        return str(pl.Series([value], dtype=pl.Int64).cast(physical).cast(self.dtype).dt.to_string("iso:strict")[0])


class BlockColumn:
    """One column of a block in its counted form, with what several summaries ask of it computed once."""

    def __init__(self, kind: ColumnType, column: pa.ChunkedArray) -> None:
        self.type = kind
        self.rows = len(column)
        self._source = _series(column) if kind.hashable else None
        self._column = column
        # A dictionary can hide nulls among its values, which Arrow does not count.
        self.nulls = column.null_count if self._source is None else self._source.null_count()

    @cached_property
    def stored(self) -> pl.Series:
        """One entry a row in the counted form; nulls stay nulls."""
        source = self._source
        if source is None or self.type.kind == "null":
            return pl.Series([None] * 0, dtype=self.type.storage)
        if self.type.kind == "other":
            hashed = pl.Series(hash_values(source))
            return hashed if not self.nulls else pl.select(pl.when(source.is_not_null()).then(hashed)).to_series()
        if isinstance(self.type.dtype, pl.Decimal) and self.type.storage == pl.Decimal:
            return source
        if isinstance(self.type.dtype, pl.Decimal) and (whole := as_whole(self._column)) is not None:
            return pl.Series(whole)
        return source.to_physical().cast(self.type.storage) if self.type.ordered else source.cast(self.type.storage)

    @cached_property
    def present(self) -> pl.Series:
        """The counted form without nulls."""
        return self.stored.drop_nulls() if self.nulls else self.stored

    @cached_property
    def hashes(self) -> Hashes:
        """Hash of each row's value, nulls included."""
        if self.type.kind == "null":
            return np.zeros(self.rows, np.uint64)
        return hash_values(self.stored)

    @property
    def present_hashes(self) -> Hashes:
        """Hash of each value that is not null."""
        return self.hashes[~self.null_mask] if self.nulls else self.hashes

    @property
    def text_bytes(self) -> TextBytes:
        """The bytes of the texts that are not null."""
        as_they_are = not self.nulls and self._column.num_chunks == 1 and self._column.type == pa.large_string()
        return TextBytes(self._column.chunk(0) if as_they_are else self.present.to_arrow())

    @cached_property
    def null_mask(self) -> Mask:
        """Which rows are null."""
        if self.nulls == self.rows:
            return np.ones(self.rows, np.bool_)
        missing = self._column.is_null() if self._source is None else self._source.is_null()
        return np.asarray(missing.to_numpy(), np.bool_)

    @cached_property
    def numbers(self) -> tuple[Array, Mask | None]:
        """One number a row, and which rows hold a finite one (None: all)."""
        stored = self.stored.cast(pl.Float64) if self.type.storage == pl.Decimal else self.stored
        numbers = (stored.fill_null(0) if self.nulls else stored).rechunk().to_numpy()
        valid = ~self.null_mask if self.nulls else None
        if numbers.dtype.kind == "f":
            finite = np.isfinite(numbers)
            if not finite.all():
                valid = finite if valid is None else finite & valid
        return numbers, valid


def readable_type(kind: pa.DataType) -> pa.DataType | None:
    """The type under which Polars can read a column of `kind`; None where it cannot at all."""
    if isinstance(kind, pa.BaseExtensionType):
        return readable_type(kind.storage_type)
    if pa.types.is_run_end_encoded(kind):
        return readable_type(kind.value_type)
    if pa.types.is_dictionary(kind):
        value = readable_type(kind.value_type)
        return kind if value is not None and _is_text(value) else value
    if pa.types.is_decimal(kind) and (kind.scale < 0 or pa.types.is_decimal256(kind)):
        return pa.float64()
    if pa.types.is_timestamp(kind) and kind.tz is not None and not is_time_zone(kind.tz):
        return pa.timestamp(kind.unit)
    if pa.types.is_interval(kind) or pa.types.is_union(kind):
        return None
    return _readable_nested(kind) if pa.types.is_nested(kind) else kind


def _readable_nested(kind: pa.DataType) -> pa.DataType | None:
    """A list or struct, if everything in it can be read as it is."""
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        # Polars does not know them, and Arrow casts a slice of one to wrong offsets.
        return None
    if pa.types.is_fixed_size_list(kind):
        kind = pa.large_list(kind.value_field) if kind.list_size else None
    if kind is None or any(readable_type(kind.field(i).type) != kind.field(i).type for i in range(kind.num_fields)):
        return None
    return kind


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def is_time_zone(name: str) -> bool:
    """Whether Polars knows the zone: a name of the time zone database, which an offset such as +05:30 is not."""
    try:
        pl.Series([], dtype=pl.Int64).cast(pl.Datetime("us", name))
    except pl.exceptions.PolarsError:
        return False
    return True


def _series(column: pa.ChunkedArray) -> pl.Series:
    target = readable_type(column.type)
    while isinstance(column.type, pa.BaseExtensionType) or pa.types.is_run_end_encoded(column.type):
        encoded = pa.types.is_run_end_encoded(column.type)
        inner = column.type.value_type if encoded else column.type.storage_type
        chunks = [pc.run_end_decode(chunk) if encoded else chunk.storage for chunk in column.chunks]
        column = pa.chunked_array(chunks, inner)
    return to_series(column if target == column.type else column.cast(target))


def _kind(dtype: pl.DataType) -> tuple[Kind, pl.DataType]:
    """Kind of a column, and the form in which its values are counted."""
    if dtype == pl.Null:
        return "null", pl.Null()
    if dtype == pl.Boolean:
        return "boolean", pl.Int64()
    if isinstance(dtype, pl.Decimal):
        return "number", pl.Int64() if (dtype.precision or 38) <= INT64_DIGITS else dtype
    if dtype.is_integer():
        return "number", pl.UInt64() if dtype == pl.UInt64 else pl.Int64()
    if dtype.is_float():
        return "number", pl.Float64()
    if dtype.is_temporal():
        return "temporal", pl.Int64()
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text", pl.String()
    return "other", pl.UInt64()
