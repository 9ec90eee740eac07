"""Texts become the places of their levels, however they are stored."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.insights.statistics.coding import ColumnCode

LEVELS = ("a", "", "a text past twelve bytes")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.sampled_from(LEVELS) | st.text(max_size=3), max_size=40), st.booleans(), st.data())
def test_codes_are_places_of_levels(values, other, data):
    stored = data.draw(st.sampled_from(["plain", "chunks", "dictionary"]))
    column = pa.chunked_array([pa.array(values, pa.large_string())])
    if stored == "chunks":
        column = pa.chunked_array([column.chunk(0)[:7], column.chunk(0)[7:]])
    elif stored == "dictionary":
        column = column.dictionary_encode()
    code = ColumnCode(column="t", kind="category", levels=LEVELS, other=other)
    beyond = len(LEVELS) if other else -1
    wanted = [-1 if value is None else LEVELS.index(value) if value in LEVELS else beyond for value in values]
    found, numbers = code.encode(pa.table({"t": column}))
    assert found.tolist() == wanted
    assert numbers is None


@pytest.mark.parametrize("levels", [(), ("a",)])
def test_without_rows_there_are_no_codes(levels):
    code = ColumnCode(column="t", kind="category", levels=levels, other=True)
    found, _ = code.encode(pa.table({"t": pa.array([], pa.large_string())}))
    assert found.tolist() == []
