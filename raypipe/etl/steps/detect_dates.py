"""Which text columns hold dates, and how they are written: counted over all values of all blocks."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import int64_array
from raypipe.config import Frozen
from raypipe.etl.processing.repeats import trimmed
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.steps.layouts import (
    BY_NAME,
    BY_PATTERN,
    LAYOUTS,
    MAX_BYTES,
    MIN_BYTES,
    DateKind,
    Layout,
    LayoutName,
    read_dates,
)
from raypipe.etl.wording import percent, shown
from raypipe.stage import ReduceStage, require

ANY = "any"
"""Values that at least one layout reads."""
DAY_FIRST_ONLY = "day first only"
"""Values with slashes that are a date only if the day stands first, such as 31/12/2024."""
MONTH_FIRST_ONLY = "month first only"
TIMED = "timed:"
"""Before the name of a layout: values that it reads and that have a time of day."""
MENTION_SHARE = 0.5
"""A column of which at least this share looks like dates, and which stays text, is mentioned with the reason."""


class DateWriting(Frozen):
    """How the dates of one column are written."""

    column: str
    layout: LayoutName
    kind: DateKind
    unread: int = 0
    """Values that are no date in this layout."""


@dataclass
class DateCounts:
    """Column -> what -> how many values."""

    columns: dict[str, Counter[str]] = field(default_factory=dict)


class DetectDates(ReduceStage):
    """Count, for each text column, the values that each known layout reads.

    Only text of 8 to 64 bytes that begins with a digit (after white space, if `trim`) is looked at more closely, so
    that a column of comments costs a glance at each length and first byte.
    """

    columns: tuple[str, ...]
    trim: bool = True

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> DateCounts:
        found = {column: _count(block[column], self.trim) for column in self.columns}
        return DateCounts({column: counts for column, counts in found.items() if counts})

    def merge(self, a: DateCounts, b: DateCounts) -> DateCounts:
        for column, counts in b.columns.items():
            a.columns.setdefault(column, Counter()).update(counts)
        return a

    def finish(self, state: DateCounts) -> DateCounts:
        return state


def judge(column: str, counts: Counter[str], present: int, min_share: float) -> DateWriting | str | None:
    """How the column's dates are written; or why it stays text although much of it looks like dates; or None.

    Parameters
    ----------
    column : str
        Name of the column.
    counts : Counter
        What `DetectDates` counted.
    present : int
        Values that are not null (nor blank, if text is trimmed).
    min_share : float
        Share of values that one layout must read.
    """
    if not present or not counts[ANY]:
        return None
    wanted = min_share * present
    fitting = [layout for layout in LAYOUTS if counts[layout.name] >= wanted and counts[layout.name]]
    if len(fitting) > 1:
        only_day, only_month = counts[DAY_FIRST_ONLY], counts[MONTH_FIRST_ONLY]
        if bool(only_day) == bool(only_month):
            return _unclear(counts, present)
        fitting = [BY_NAME["DD/MM/YYYY" if only_day else "MM/DD/YYYY"]]
    if fitting:
        layout = fitting[0]
        timed = counts[TIMED + layout.name]
        kind: DateKind = "datetime_utc" if layout.zoned else "datetime" if timed else "date"
        return DateWriting(column=column, layout=layout.name, kind=kind, unread=present - counts[layout.name])
    if counts[ANY] < MENTION_SHARE * present:
        return None
    return _mixed(counts, present, min_share)


def _unclear(counts: Counter[str], present: int) -> str:
    if not counts[DAY_FIRST_ONLY]:
        return "every value reads as DD/MM/YYYY and as MM/DD/YYYY, so the order of day and month cannot be told"
    return (
        f"{counts[DAY_FIRST_ONLY]:,} of {present:,} values read as DD/MM/YYYY only and {counts[MONTH_FIRST_ONLY]:,} as "
        "MM/DD/YYYY only, so the order of day and month cannot be told"
    )


def _mixed(counts: Counter[str], present: int, min_share: float) -> str:
    seen = sorted(
        ((counts[layout.name], layout.name) for layout in LAYOUTS if counts[layout.name]), key=lambda pair: -pair[0]
    )
    told = ", ".join(f"{percent(count / present)} as {name}" for count, name in seen)
    mixed = "mixed formats: " if counts[ANY] > seen[0][0] else ""
    return f"{mixed}of {present:,} values {told}; wanted {percent(min_share)} in one format"


def describe_reason(column: str, reason: str) -> str:
    """The reason as a sentence about its column."""
    return f"{shown(column)} stays text: {reason}"


def _count(cells: pa.ChunkedArray, trim: bool) -> Counter[str]:
    """What is counted, of one column of one block; each different value is read once."""
    counts: Counter[str] = Counter()
    pieces = [candidates(chunk, trim) for chunk in cells.chunks]
    pieces = [piece for piece in pieces if len(piece)]
    if not pieces:
        return counts
    text = pl.Series("v", pl.concat(pieces))
    unique = (trimmed(text) if trim else text).drop_nulls().value_counts(name="n")
    values, times = unique["v"], unique["n"]
    looks = values.str.contains(r"\A\d{1,4}[-/.]")
    values, times = values.filter(looks), times.filter(looks)
    if not len(values):
        return counts
    for pattern, layouts in BY_PATTERN.items():
        fits = values.str.contains(pattern)
        if fits.any():
            counts.update(_count_layouts(values.filter(fits), times.filter(fits), layouts))
            values, times = values.filter(~fits), times.filter(~fits)
    return +counts


def _count_layouts(values: pl.Series, times: pl.Series, layouts: tuple[Layout, ...]) -> Counter[str]:
    """Counts of values that all look alike, and that any of the layouts may read."""
    counts: Counter[str] = Counter()
    timed = values.str.contains(":", literal=True)
    read = {layout.name: read_dates(values, layout).is_not_null() for layout in layouts}
    for name, hits in read.items():
        counts[name] = int(times.filter(hits).sum())
        counts[TIMED + name] = int(times.filter(hits & timed).sum())
    anyhow = reduce(operator.or_, read.values())
    counts[ANY] = int(times.filter(anyhow).sum())
    if len(layouts) > 1:
        day, month = read["DD/MM/YYYY"], read["MM/DD/YYYY"]
        counts[DAY_FIRST_ONLY] = int(times.filter(day & ~month).sum())
        counts[MONTH_FIRST_ONLY] = int(times.filter(month & ~day).sum())
    return counts


def candidates(chunk: pa.Array, trim: bool) -> pl.Series:
    """The values that may be dates, by length and first byte alone.

    The bytes are looked at in place, since this is all that most columns of text should cost.
    """
    chunk = chunk.cast(pa.large_string()) if chunk.type != pa.large_string() else chunk
    _, offset_buffer, data_buffer = chunk.buffers()
    if len(chunk) == 0 or data_buffer is None or data_buffer.size == 0:
        return pl.Series("v", [], dtype=pl.String)
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    lengths = np.diff(offsets)
    fit = (lengths >= MIN_BYTES) & (lengths <= MAX_BYTES)
    if not fit.any():
        return pl.Series("v", [], dtype=pl.String)
    data = np.frombuffer(data_buffer, dtype=np.uint8)
    first = data[np.where(fit, offsets[:-1], 0)]
    mask: npt.NDArray[np.bool_] = fit & (first >= ord("0")) & (first <= ord("9"))
    if trim:
        mask |= fit & ((first <= ord(" ")) | (first >= 0x80))
    return pl.Series("v", pl.from_arrow(chunk.take(int64_array(np.flatnonzero(mask)))))


def date_columns(schema: pa.Schema, target: str | None) -> tuple[str, ...]:
    """The columns in which dates are looked for: text, but the target, whose values are labels."""
    return tuple(field.name for field in schema if is_text(field.type) and field.name != target)
