"""The one bridge between Arrow blocks and Polars frames, and the hidden row-number column.

Between stages a block is a `pa.Table` whose text is `large_string`; inside a function it is a Polars frame. Both
conversions are zero-copy but for text, which Polars lays out as views.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

ROW = "__row__"
"""Hidden int64 column: the number of a row within its part, from 0. Together with the part id it names a
row for ever, however rows are cut into blocks, and is no part of any schema that a user sees."""


class _Known(threading.local):
    """Texts of which this thread knows both layouts, while it is told to remember them."""

    def __init__(self) -> None:
        self.texts: dict[tuple[int, ...], tuple[pa.Array, pl.Series]] | None = None


_known = _Known()


@contextlib.contextmanager
def texts_remembered() -> Iterator[None]:
    """Within, texts of the block that was made last by `from_polars` need not be laid out again for Polars.

    That takes a tenth of a profile's time. Only one block is remembered, so that a chain of steps does not hold the
    texts of each.
    """
    before, _known.texts = _known.texts, {}
    try:
        yield
    finally:
        _known.texts = before


def _place(array: pa.Array) -> tuple[int, ...]:
    """Where the array lies in memory, which tells it from all others as long as it lives."""
    return len(array), array.offset, *(buffer.address if buffer else 0 for buffer in array.buffers())


def to_series(column: pa.ChunkedArray) -> pl.Series:
    """A column as a Polars series without a name."""
    if _known.texts and column.num_chunks == 1 and column.type == pa.large_string():
        known = _known.texts.get(_place(column.chunk(0)))
        if known is not None:
            return known[1]
    return pl.Series("", pl.from_arrow(column))


def to_polars(block: pa.Table) -> pl.DataFrame:
    """The block as a Polars frame, the hidden row-number column included where it is there."""
    if "" not in block.column_names:
        return cast(pl.DataFrame, pl.from_arrow(block))
    # Polars would call a column without a name `column_0`.
    frame = cast(pl.DataFrame, pl.from_arrow(block.rename_columns([f"c{n}" for n in range(block.num_columns)])))
    frame.columns = block.column_names
    return frame


def from_polars(frame: pl.DataFrame) -> pa.Table:
    """The frame as a block: text as `large_string`, one chunk a column where Polars has one."""
    block = frame.to_arrow()
    if _known.texts is not None and pl.String in frame.dtypes:
        _known.texts = {
            _place(column.chunk(0)): (column.chunk(0), series.alias(""))
            for series, column in zip(frame, block.columns, strict=True)
            if series.dtype == pl.String and series.n_chunks() == column.num_chunks == 1
        }
    return block


def data_columns(block: pa.Table) -> list[str]:
    """Names of the block's columns without the hidden one."""
    return [name for name in block.column_names if name != ROW]


def row_numbers(block: pa.Table) -> npt.NDArray[np.int64]:
    """The number of each row within its part; its place in the block where the block has none."""
    if ROW not in block.column_names:
        return np.arange(block.num_rows, dtype=np.int64)
    return to_series(block[ROW]).to_numpy()


def without_row_numbers(block: pa.Table) -> pa.Table:
    """The block as its user sees it."""
    return block.drop_columns([ROW]) if ROW in block.column_names else block


def canonical_type(kind: pa.DataType) -> pa.DataType:
    """The type under which a column of `kind` travels between stages.

    Examples
    --------
    >>> canonical_type(pa.string())
    DataType(large_string)
    """
    return pl.Series([], dtype=polars_type(kind)).to_arrow().type


def canonical_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` with each type as it travels between stages; metadata is dropped."""
    return from_polars(to_polars(no_rows(schema))).schema


def no_rows(schema: pa.Schema) -> pa.Table:
    """A table without rows, of one empty chunk a column; `schema.empty_table()` would import pandas where that is
    installed, which takes half a second of each start."""
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def int64_array(numbers: npt.NDArray[np.int64]) -> pa.Array:
    """Whole numbers as an Arrow array; like `no_rows`, without the pandas that `pa.array` would import."""
    return pl.Series(numbers, dtype=pl.Int64).to_arrow()


def numbers_in(array: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Numbers or truths without nulls of an Arrow array, again without pandas."""
    return cast(pl.Series, pl.from_arrow(array)).to_numpy()


def polars_type(kind: pa.DataType) -> pl.DataType:
    """The type as which Polars reads a column of `kind`."""
    return cast(pl.Series, pl.from_arrow(pa.chunked_array([], kind))).dtype


def data_bytes(block: pa.Table) -> int:
    """Bytes that the values take: fixed widths (a boolean counts as 1), text with 8 bytes an offset, no null bitmaps.

    Unlike `nbytes` it does not depend on how the block came about: the bytes of two blocks are those of both together.

    Examples
    --------
    >>> data_bytes(pa.table({"n": pa.array([1, None], pa.int64()), "t": pa.array(["ab", "c"], pa.large_string())}))
    35
    """
    total = 0
    for column in without_row_numbers(block).columns:
        kind = column.type
        if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
            total += sum(_text_bytes(chunk) for chunk in column.chunks) + 8 * len(column)
        elif pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
            total += max(1, kind.bit_width // 8) * len(column)
        else:
            total += column.nbytes
    return total


def _text_bytes(chunk: pa.Array) -> int:
    """Bytes of the texts of one chunk, read off its first and last offset."""
    if not len(chunk):
        return 0
    offsets = np.frombuffer(chunk.buffers()[1], np.int64)
    return int(offsets[chunk.offset + len(chunk)] - offsets[chunk.offset])
