"""Tables for the laws of writers: every type, and values at the edges of each."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
ODD_TEXT = st.sampled_from(
    ["", " ", "=1+1", "a,b", 'say "x"', "line\nbreak", "cr\rlf\r\n", "NA", "null", "1", "007", "true", "2024-01-02",
     "é", "𝔘", "-", '"', "'", "\t", "a;b", "\ufeff", "\\N", "#", "1e5", "__HIVE_DEFAULT_PARTITION__"]
)  # fmt: skip
MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999))
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([5e-324, -0.0, 1e22, 1e-7, math.pi])
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "whole": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), FLOATS),
    "text": (pa.large_string(), TEXT | ODD_TEXT),
    "flag": (pa.bool_(), st.booleans()),
    "day": (pa.date32(), st.dates()),
    "moment": (pa.timestamp("us"), MOMENTS),
    "instant": (pa.timestamp("us", "UTC"), MOMENTS.map(lambda value: value.replace(tzinfo=dt.UTC))),
}
"""What text can be read as; every format holds these exactly."""
MORE: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "small": (pa.uint8(), st.integers(0, 255)),
    "single": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "money": (pa.decimal128(12, 2), st.decimals("-9999999999.99", "9999999999.99", places=2)),
    "clock": (pa.time64("ns"), st.times()),
    "bytes": (pa.large_binary(), st.binary(max_size=6)),
    "list": (pa.large_list(pa.int64()), st.lists(st.none() | st.integers(-5, 5), max_size=3)),
    "record": (pa.struct([("a", pa.int64()), ("b", pa.large_string())]), st.fixed_dictionaries(
        {"a": st.none() | st.integers(0, 9), "b": st.none() | TEXT})),
    "odd": (pa.float64(), st.sampled_from([math.nan, math.inf, -math.inf, 0.5])),
}  # fmt: skip
"""What only typed formats hold."""


@st.composite
def tables(draw: st.DrawFn, kinds: dict[str, tuple[pa.DataType, Any]], min_rows: int = 0) -> pa.Table:
    """A few columns of some kinds, with gaps."""
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(min_rows, 9))
    columns = {}
    for kind in chosen:
        held, values = kinds[kind]
        cells = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns[kind] = pa.array(cells, held)
    return pa.table(columns)


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as Python values that compare: NaN is told by its name, -0.0 from 0.0."""
    return [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value.hex() if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return str(value)
    return value
