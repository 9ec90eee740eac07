"""Names of columns: whatever a file has, blocks get names that are different and that they can carry."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import ROW, from_polars
from raypipe.etl.formats.names import LONGEST_NAME, unique_names

NAMES = st.lists(
    st.one_of(
        st.sampled_from(["", "a", "a_2", "a_3", ROW, "column_1", "column_2", "a\0", "a\u2400", "x" * 3000]), st.text()
    ),
    max_size=12,
)


@given(NAMES)
@settings(max_examples=100, deadline=None)
def test_names_are_different_and_arrow_and_polars_take_them(given_names: list[str]) -> None:
    names, notes = unique_names(given_names)
    assert len(set(names)) == len(names) == len(given_names)
    assert all(name and name != ROW and "\0" not in name and len(name) <= LONGEST_NAME + 10 for name in names)
    assert from_polars(pl.DataFrame({name: [1] for name in names})).column_names == names
    changed = sum(name != given_name for name, given_name in zip(names, given_names, strict=True))
    assert len(notes) == changed
    assert not any("\n" in note for note in notes)


@given(NAMES)
@settings(max_examples=100, deadline=None)
def test_good_names_stay_where_they_stand_first(given_names: list[str]) -> None:
    names, _ = unique_names(given_names)
    for index, name in enumerate(given_names):
        good = name and name != ROW and "\0" not in name and len(name) <= LONGEST_NAME
        if good and name not in given_names[:index]:
            assert names[index] == name


def test_100_000_equal_names_take_no_time() -> None:
    names, notes = unique_names(["a", ""] * 50_000)
    assert len(set(names)) == 100_000
    assert notes[0] == "column 2: its name '' is empty; it is called 'column_2' here"
