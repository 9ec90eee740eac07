"""What is read where it lies in memory, or remembered, is what a conversion would have given."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.column import ColumnSummary
from raypipe.blocks.counts import ValueCounts
from raypipe.blocks.decimals import as_floats, as_whole
from raypipe.blocks.frames import from_polars, no_rows, texts_remembered, to_series
from raypipe.blocks.hashing import hash_values
from raypipe.blocks.kinds import BlockColumn, ColumnType
from raypipe.blocks.spec import SummarySpec
from raypipe.blocks.table import finish, merge, summarise

MANY = 20_000
"""More rows than are looked at to see whether a column has few values."""


@st.composite
def decimals(draw):
    digits = draw(st.integers(1, 18))
    scale = draw(st.integers(0, digits))
    whole = st.integers(-(10**digits) + 1, 10**digits - 1)
    values = [Decimal(n).scaleb(-scale) for n in draw(st.lists(whole, max_size=12))]
    cut = draw(st.integers(0, len(values)))
    array = pa.array(values, pa.decimal128(digits, scale))
    return pa.chunked_array([array[:cut], array[cut:]], array.type)


@settings(max_examples=200, deadline=None)
@given(decimals())
def test_decimals_read_in_place_are_those_of_python(column):
    scale = column.type.scale
    assert as_whole(column).tolist() == [int(value.scaleb(scale)) for value in column.to_pylist()]
    floats = as_floats(column)
    if column.type.precision <= 15:
        assert floats.tolist() == [float(value) for value in column.to_pylist()]
    else:
        assert floats is None


@pytest.mark.parametrize(
    "column",
    [
        pa.array([Decimal(1), None], pa.decimal128(9, 2)),
        pa.array([Decimal(1)], pa.decimal128(19, 2)),
        pa.array([Decimal(1)], pa.decimal256(9, 2)),
        pa.array([1.5]),
    ],
    ids=["null", "wide", "256 bits", "float"],
)
def test_what_cannot_be_read_in_place_is_not(column):
    assert as_whole(pa.chunked_array([column])) is None
    assert as_floats(pa.chunked_array([column])) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=3), min_size=1, max_size=5, unique=True), st.integers(0, 2**32))
def test_few_texts_are_counted_by_hash_as_by_value(texts, seed):
    values = pl.Series(texts).gather(np.random.default_rng(seed).integers(0, len(texts), 300))
    hashes = hash_values(values)
    found, wanted = ValueCounts.of_few(values, hashes, np.unique(hashes)), ValueCounts.of(values)
    assert found.values.to_list() == wanted.values.to_list()
    assert found.counts.tolist() == wanted.counts.tolist()
    assert found.text_bytes == wanted.text_bytes


def test_few_decimals_of_many_digits_stay_numbers():
    values = [Decimal("10.50"), Decimal("-20.00"), Decimal("9.25")] * MANY
    blocks = [pa.table({"d": pa.array(part, pa.decimal128(38, 2))}) for part in (values, values[:9])]
    profile = finish(merge(summarise(blocks[0]), summarise(blocks[1])))
    number = profile.column("d").number
    assert (number.min, number.max) == (-20.0, 10.5)
    assert [one.value for one in profile.column("d").top] == ["-20.00", "9.25", "10.50"]


def test_few_decimals_of_many_digits_go_together_with_many_and_with_none():
    kind = pa.decimal128(38, 2)
    few = [Decimal("10.50"), None, Decimal("-20.00")] * MANY
    many = [Decimal(n) for n in range(MANY)]
    states = [summarise(pa.table({"d": pa.array(part, kind)})) for part in (few, many, [None] * 50)]
    for order in (states, states[::-1]):
        column = finish(merge(merge(order[0], order[1]), order[2])).column("d")
        assert (column.number.min, column.number.max) == (-20.0, MANY - 1.0)
        assert column.nulls == MANY + 50


@pytest.mark.parametrize("late", ["", "a new one"])
def test_a_text_that_shows_only_late_is_counted_too(late):
    texts = ["a", "b"] * MANY + [late]
    column = pa.chunked_array([pa.array([*texts, None], pa.large_string())])
    kind = ColumnType.of(pa.field("t", column.type))
    (table,) = ColumnSummary.of(BlockColumn(kind, column), SummarySpec()).tables
    counted = dict(zip(table.values, table.counts.tolist(), strict=True))
    assert counted == {"a": MANY, "b": MANY, late: 1}


def texts(*values):
    return pl.DataFrame({"t": list(values), "n": range(len(values))})


def test_remembered_texts_are_the_ones_that_came():
    frame = texts("a", None, "a text past twelve bytes")
    with texts_remembered():
        block = from_polars(frame)
        assert to_series(block["t"]).to_list() == frame["t"].to_list()
        assert to_series(block["t"]).name == ""
        assert to_series(block.append_column("more", block["n"])["t"]).to_list() == frame["t"].to_list()


def test_slices_and_other_texts_are_not_mistaken_for_remembered_ones():
    with texts_remembered():
        block = from_polars(texts("a", "b", "c"))
        assert to_series(block.slice(1)["t"]).to_list() == ["b", "c"]
        assert to_series(block.slice(0, 2)["t"]).to_list() == ["a", "b"]
        assert to_series(pa.concat_tables([block, block])["t"]).to_list() == ["a", "b", "c"] * 2
        _, offsets, data = block["t"].chunk(0).buffers()
        bits = pa.array([True, False, True]).buffers()[1]
        holey = pa.Array.from_buffers(pa.large_string(), 3, [bits, offsets, data])
        assert to_series(pa.chunked_array([holey])).to_list() == ["a", None, "c"]
        assert to_series(from_polars(texts("x", "y", "z"))["t"]).to_list() == ["x", "y", "z"]


def is_known(block):
    """Whether the same series comes each time, and not one that is made anew."""
    return to_series(block["t"]) is to_series(block["t"])


def test_one_block_is_remembered_and_no_more():
    with texts_remembered():
        first = from_polars(texts("a", "b"))
        assert is_known(first)
        second = from_polars(texts("c", "d"))
        assert is_known(second)
        assert not is_known(first)
        assert to_series(first["t"]).to_list() == ["a", "b"]


def test_nothing_is_remembered_outside():
    with texts_remembered():
        block = from_polars(texts("a"))
        with texts_remembered():
            assert not is_known(block)
        assert is_known(block)
    assert not is_known(block)
    assert to_series(block["t"]).to_list() == ["a"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.text(max_size=14), min_size=1, max_size=30))
def test_a_summary_does_not_depend_on_what_is_remembered(values):
    frame = texts(*values)
    plain = summarise(from_polars(frame))
    with texts_remembered():
        remembered = summarise(from_polars(frame))
    for a, b in zip(plain.columns, remembered.columns, strict=True):
        assert [table.values.to_list() for table in a.tables] == [table.values.to_list() for table in b.tables]
        assert [table.counts.tolist() for table in a.tables] == [table.counts.tolist() for table in b.tables]
    assert plain.duplicates.hashes.tolist() == remembered.duplicates.hashes.tolist()


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.large_string(), pa.decimal128(9, 2), pa.dictionary(pa.int32(), pa.string()), pa.null()]
)
def test_a_table_without_rows_has_a_chunk_a_column(kind):
    table = no_rows(pa.schema([("a", kind), ("b", pa.list_(kind) if kind != pa.null() else kind)]))
    assert table.num_rows == 0
    assert table.schema.types[0] == kind
    assert [column.num_chunks for column in table.columns] == [1, 1]
    assert no_rows(pa.schema([])).num_columns == 0
