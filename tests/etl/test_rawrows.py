"""Rows set aside as JSON, turned into text and back into the very values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import from_polars, to_polars
from raypipe.etl.aside import raw_json
from raypipe.etl.quarantine.rawrows import is_object, texts_of, values_of

MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
VALUES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "i8": (pl.Int8, st.integers(-128, 127)),
    "u64": (pl.UInt64, st.integers(0, 2**64 - 1)),
    "float": (pl.Float64, st.floats()),
    "f32": (pl.Float32, st.floats(width=32)),
    "bool": (pl.Boolean, st.booleans()),
    "text": (pl.String, st.text(st.characters(exclude_categories=["Cs"]))),
    "day": (pl.Date, st.dates(dt.date(1, 1, 1))),
    "moment": (pl.Datetime("us"), MOMENTS),
    "utc": (pl.Datetime("us", "UTC"), MOMENTS),
    "clock": (pl.Time, st.times()),
    "money": (pl.Decimal(12, 2), st.decimals(-(10**9), 10**9, places=2)),
    "bytes": (pl.Binary, st.binary()),
    "list": (pl.List(pl.Int64), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3)),
    "^odd$": (pl.Struct({"a": pl.String}), st.fixed_dictionaries({"a": st.text('aä"\\', max_size=3)})),
}


def column(name: str, values: list[Any]) -> pl.Series:
    kind = VALUES[name][0]
    if name == "utc":
        return pl.Series(name, values, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.Series(name, values, dtype=kind)


@given(st.lists(st.fixed_dictionaries({name: st.none() | values for name, (_, values) in VALUES.items()}), max_size=4))
@settings(max_examples=25, deadline=None)
def test_what_was_set_aside_comes_back_value_for_value(rows: list[dict[str, Any]]) -> None:
    block = from_polars(pl.DataFrame([column(name, [row[name] for row in rows]) for name in VALUES]))
    texts = texts_of(raw_json(block), block.column_names)
    for name in block.column_names:
        values, wrong = values_of(texts[name], block.schema.field(name).type)
        expected = to_polars(block)[name]
        assert not wrong.any()
        assert values.dtype == expected.dtype
        assert values.alias("").equals(expected.alias(""), null_equal=True), name


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pa.int8(), "300"), (pa.int64(), "1.5"), (pa.int64(), "007"), (pa.date32(), "2025-02-30"),
        (pa.decimal128(10, 2), "1.255"), (pa.bool_(), "maybe"), (pa.time64("ns"), "25:00:00"),
        (pa.large_list(pa.int64()), "[1"), (pa.duration("us"), "PT1H"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_value_of_its_column_is_wrong_rather_than_rounded(kind: pa.DataType, text: str) -> None:
    values, wrong = values_of(pl.Series([text, None]), kind)
    assert wrong.to_list() == [True, False]
    assert values.to_list() == [None, None]


def test_digits_come_through_as_they_stand() -> None:
    assert texts_of(pl.Series(['{"n":1.500,"m":[1.0,true,null]}', "{}"]), ["n", "m"]).rows() == [
        ("1.500", "[1.0,true,null]"),
        (None, None),
    ]


def test_only_a_whole_object_is_one() -> None:
    assert [is_object(text) for text in ('{"a":1}', '{"a":1', "[1]", "1,2", None)] == [True, False, False, False, False]
    with pytest.raises(ValueError, match="row 1 is no JSON object"):
        texts_of(pl.Series(["{}", "a,b"]), ["a"])


def test_decimals_keep_their_scale() -> None:
    values, _ = values_of(pl.Series(["1.5", "-2"]), pa.decimal128(10, 2))
    assert values.to_list() == [Decimal("1.50"), Decimal("-2.00")]
