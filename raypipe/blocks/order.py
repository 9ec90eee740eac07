"""Rows put into order by key columns, and cut into ranges of keys that can be ordered one by one.

Names of columns never reach an expression: Polars would take `^a$` for a pattern and `*` for every column. Keys are
looked at under names of our own, and rows are taken by their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import ROW, from_polars, no_rows, to_polars
from raypipe.errors import MissingColumnsError, SchemaError

_ORDERED = {
    "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32", "Float64",
    "Decimal", "Boolean", "String", "Binary", "Date", "Datetime", "Duration", "Time", "Categorical", "Enum", "Null",
}  # fmt: skip


@dataclass(frozen=True)
class Order:
    """How key columns are compared. NaN counts as larger than every number, and -0.0 as equal to 0.0."""

    descending: tuple[bool, ...]
    """One for each key column."""
    nulls_last: bool = True
    """Nulls stand at the end, or at the beginning, in either direction."""

    def then_ascending(self) -> Order:
        """The same with one more key column."""
        return Order((*self.descending, False), self.nulls_last)

    def ranks(self, keys: pl.DataFrame) -> pl.Series:
        """Row numbers of `keys` in order; rows with equal keys keep theirs. Columns have names of our own."""
        found = keys.select(
            pl.arg_sort_by(
                keys.columns,
                descending=list(self.descending),
                nulls_last=[self.nulls_last] * keys.width,
                maintain_order=True,
            )
        )
        return found.to_series()


def ascending(keys: int) -> Order:
    """Ascending in so many key columns, nulls last."""
    return Order((False,) * keys)


def check_keys(schema: pa.Schema, columns: Sequence[str], by: str) -> None:
    """Raise unless `schema` has all `columns`, each once, of types that have an order.

    Raises
    ------
    MissingColumnsError
        If a column is not there.
    SchemaError
        If none or one twice is named, or its type has no order.
    """
    have = [name for name in schema.names if name != ROW]
    missing = [name for name in columns if name not in have]
    if missing:
        raise MissingColumnsError(by, missing, have)
    if not columns or len(set(columns)) < len(columns):
        raise SchemaError(f"{by}: got the columns {list(columns)}; name at least one, and each once")
    kinds = polars_types(schema)
    for name in columns:
        if kinds[name].base_type().__name__ not in _ORDERED:
            kind = schema.field(name).type
            raise SchemaError(f"{by}: column {name!r} is {kind}, which has no order; take another, or make text of it")


def polars_types(schema: pa.Schema) -> dict[str, pl.DataType]:
    """Column -> the type under which Polars holds it."""
    empty = to_polars(no_rows(schema))
    return dict(zip(empty.columns, empty.dtypes, strict=True))


def keys_of(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The key columns under the names k0, k1, …, with values that are equal alike in every bit."""
    places = [rows.get_column_index(name) for name in columns]
    return pl.DataFrame([comparable(rows.to_series(place)).alias(f"k{n}") for n, place in enumerate(places)])


def comparable(column: pl.Series) -> pl.Series:
    """The column with one zero, one NaN, and categories as the texts that they stand for."""
    if column.dtype.is_float():
        wide = column.cast(pl.Float32) if column.dtype == pl.Float16 else column
        value = pl.col("v")
        one_zero = pl.when(value == 0).then(pl.lit(0, wide.dtype)).otherwise(value)
        return wide.rename("v").to_frame().select(one_zero.fill_nan(float("nan"))).to_series().rename(column.name)
    if column.dtype.base_type() in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    return column


def taken(rows: pl.DataFrame, numbers: pl.Series) -> pa.Table:
    """The rows with these numbers, as a block."""
    return from_polars(rows[numbers])


def sorted_rows(table: pa.Table, columns: Sequence[str], order: Order) -> pa.Table:
    """The rows in order; those with equal keys stay in theirs."""
    rows = to_polars(table)
    return taken(rows, order.ranks(keys_of(rows, columns)))


# ---- ranges of keys -------------------------------------------------------------------------------------------------


def spread(keys: pl.DataFrame, rows: int) -> pl.DataFrame:
    """At most `rows` of the keys, at even distances; no chance is in it."""
    if keys.height <= rows:
        return keys
    return keys[pl.Series(np.linspace(0, keys.height - 1, rows).astype(np.uint32))]


def boundaries(samples: Sequence[pl.DataFrame], order: Order, ranges: int) -> pl.DataFrame:
    """The smallest keys of all ranges but the first, so that the samples spread over them evenly.

    Fewer than `ranges - 1` where few keys are different.
    """
    sample = pl.concat(list(samples))
    sample = sample[order.ranks(sample)]
    places = np.unique((np.arange(1, ranges) * sample.height) // ranges)
    chosen = sample[pl.Series(places[places < sample.height].astype(np.uint32))]
    return chosen.unique(maintain_order=True)


def ranges_of(keys: pl.DataFrame, bounds: pl.DataFrame, order: Order) -> np.ndarray[Any, np.dtype[np.int64]]:
    """For each row of `keys`, how many of `bounds` it is not below: the number of its range, int64."""
    if not bounds.height:
        return np.zeros(keys.height, np.int64)
    ranks = order.ranks(pl.concat([bounds, keys])).to_numpy()  # a bound stands before the keys that are equal to it
    found = np.empty(len(ranks), np.int64)
    found[ranks] = np.cumsum(ranks < bounds.height)
    return cast("np.ndarray[Any, np.dtype[np.int64]]", found[bounds.height :])


def cut(table: pa.Table, ranges: np.ndarray[Any, np.dtype[np.int64]]) -> list[tuple[int, pa.Table]]:
    """The rows of each range that has any, in order of ranges; within one they keep their order."""
    if not table.num_rows:
        return []
    places = np.argsort(ranges, kind="stable")
    numbers, starts = np.unique(ranges[places], return_index=True)
    block = taken(to_polars(table), pl.Series(places.astype(np.uint32)))
    ends = [*starts[1:].tolist(), len(ranges)]
    return [
        (int(number), block.slice(start, end - start))
        for number, start, end in zip(numbers, starts.tolist(), ends, strict=True)
    ]
