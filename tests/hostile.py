"""Tables that users should not send but do: strategies for Hypothesis, and names and texts that break careless code."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

NAMES = (
    "",
    " ",
    "*",
    "^a.*$",
    "a:b",
    "cells:a",
    "<script>alert(1)</script>",
    "line\nbreak",
    'say "hi"',
    "it's",
    "naïve Ünïcödé 😀",
    "{0}",
    "%s",
    "a.b",
    "=1+1",
    "x" * 300,
)
"""Names of columns. The first is empty; two are patterns to Polars."""

TEXTS = (
    "",
    " ",
    "\u00a0",
    "\u3000\t",
    "NaN",
    "null",
    "0",
    "a",
    " a ",
    "a\nb",
    "<b>",
    '"',
    "\\",
    "😀",
    "=cmd()",
    "31/12/2024",
    "2024-12-31",
    "x" * 500,
)

KINDS: dict[str, tuple[pa.DataType, tuple[Any, ...]]] = {
    "int64": (pa.int64(), (0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1)),
    "int8": (pa.int8(), (0, 1, -128, 127)),
    "uint64": (pa.uint64(), (0, 1, 2**64 - 1)),
    "float64": (pa.float64(), (0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 1e308)),
    "float32": (pa.float32(), (0.0, 0.5, float("nan"))),
    "bool": (pa.bool_(), (True, False)),
    "text": (pa.large_string(), TEXTS),
    "date": (pa.date32(), (dt.date(1, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31))),
    "datetime": (pa.timestamp("us"), (dt.datetime(1970, 1, 1), dt.datetime(2024, 2, 29, 12, 30, 1, 5))),
    "zoned": (pa.timestamp("us", "Europe/Rome"), (dt.datetime(2024, 3, 31, 1, 0, tzinfo=dt.UTC),)),
    "decimal": (pa.decimal128(10, 2), (Decimal("0.00"), Decimal("-99999999.99"))),
    "binary": (pa.large_binary(), (b"", b"\x00\xff")),
    "duration": (pa.duration("us"), (dt.timedelta(0), dt.timedelta(days=-1, microseconds=1))),
    "time": (pa.time64("ns"), (dt.time(0, 0), dt.time(23, 59, 59))),
    "list": (pa.large_list(pa.int64()), ([], [1, None])),
    "null": (pa.null(), (None,)),
}
"""Kind of column -> Arrow type and values worth trying."""


def columns(kind: str, rows: int, nulls: bool = True) -> st.SearchStrategy[pa.Array]:
    """A column of `rows` values of this kind, some of them null."""
    arrow, values = KINDS[kind]
    value: st.SearchStrategy[Any] = st.sampled_from(values)
    if nulls:
        value = st.none() | value
    return st.lists(value, min_size=rows, max_size=rows).map(lambda cells: pa.array(cells, arrow))


@st.composite
def tables(
    draw: st.DrawFn, kinds: tuple[str, ...] = tuple(KINDS), max_rows: int = 12, max_columns: int = 4
) -> pa.Table:
    """A table with hostile names and values, of any size from nothing."""
    rows = draw(st.integers(0, max_rows))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=max_columns, unique=True))
    arrays = [draw(columns(draw(st.sampled_from(kinds)), rows)) for _ in names]
    return pa.table(arrays, names=names)
