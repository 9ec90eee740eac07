"""Columns of a block as the summaries want them, each converted once, however many summaries look at the block."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.blocks.decimals import as_floats
from raypipe.blocks.frames import to_series
from raypipe.insights.calendar import IntArray, micros

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Numbers:
    """A column as float64."""

    values: FloatArray
    """One a row; NaN for null, and whatever is not finite as it is."""
    finite: BoolArray | None
    """Which rows hold a finite number; None where all do."""

    @classmethod
    def of(cls, values: FloatArray) -> Numbers:
        """Of these values."""
        finite = np.isfinite(values)
        return cls(values, None if finite.all() else finite)

    @property
    def count(self) -> int:
        """Rows with a finite number."""
        return len(self.values) if self.finite is None else int(self.finite.sum())


class _Held(threading.local):
    """The block that this thread looked at last, and what was made of its columns."""

    def __init__(self) -> None:
        self.block: Callable[[], pa.Table | None] = lambda: None
        self.made: dict[tuple[str, str], Any] = {}


_held = _Held()


def _once(block: pa.Table, what: str, column: str, make: Callable[[pa.Table, str], _T]) -> _T:
    """What `make` makes of a column, remembered for as long as the block is the last one and alive."""
    if _held.block() is not block:
        made: dict[tuple[str, str], Any] = {}
        _held.block, _held.made = weakref.ref(block, lambda _: made.clear()), made
    key = what, column
    if key not in _held.made:
        _held.made[key] = make(block, column)
    return cast(_T, _held.made[key])


def series_of(block: pa.Table, column: str) -> pl.Series:
    """The column as a Polars series, under a name that Polars cannot take for a pattern (as it does "^a.*$")."""
    return to_series(block[column]).alias("value")


def numbers_of(block: pa.Table, column: str) -> Numbers:
    """The column as float64. Shared with all who ask for it: not to be written into."""
    return _once(block, "numbers", column, _numbers)


def _numbers(block: pa.Table, column: str) -> Numbers:
    floats = as_floats(block[column])
    if floats is not None:
        return Numbers(floats, None)
    return Numbers.of(series_of(block, column).cast(pl.Float64, strict=False).to_numpy())


@dataclass(frozen=True)
class Times:
    """A column of dates or times as microseconds since 1970-01-01 UTC."""

    at: IntArray
    """One a row; 0 where there is no time."""
    known: BoolArray
    seconds: Numbers
    """The same in seconds, NaN where there is no time."""


def times_of(block: pa.Table, column: str) -> Times:
    """The column as times. Shared with all who ask for it: not to be written into."""
    return _once(block, "times", column, _times)


def _times(block: pa.Table, column: str) -> Times:
    at, known = micros(series_of(block, column))
    if known.all():
        return Times(at, known, Numbers(at / 1e6, None))
    return Times(at, known, Numbers(np.where(known, at / 1e6, np.nan), known))


def picked(values: NDArray[Any], mask: BoolArray | None) -> NDArray[Any]:
    """The values where the mask is true; all of them, uncopied, where there is none."""
    return values if mask is None else values[mask]


def both(a: BoolArray | None, b: BoolArray | None) -> BoolArray | None:
    """Rows where both hold; None where that is all."""
    if a is None or b is None:
        return b if a is None else a
    return a & b


def texts_of(column: pa.ChunkedArray) -> pa.Array:
    """The column as text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    text = column.cast(pa.large_string()).combine_chunks()
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
