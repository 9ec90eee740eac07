"""A profile put together from one that was known and the columns that changed is the profile of all columns."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.profile import Profile
from raypipe.blocks.table import Known, finish, merge, summarise

CELLS = {
    "a": st.lists(st.none() | st.floats(-1e6, 1e6), min_size=12, max_size=12),
    "b": st.lists(st.none() | st.integers(-9, 9), min_size=12, max_size=12),
    "c": st.lists(st.none() | st.sampled_from(["x", " x", "", "  ", "ylang"]), min_size=12, max_size=12),
    "d": st.lists(st.none() | st.booleans(), min_size=12, max_size=12),
}
KINDS = {"a": pa.float64(), "b": pa.int64(), "c": pa.large_string(), "d": pa.bool_()}


def profile_of(table: pa.Table, cuts: list[int], only: frozenset[str] | None = None) -> Profile:
    edges = [0, *sorted(cuts), table.num_rows]
    state = None
    for low, high in itertools.pairwise(edges):
        part = summarise(table.slice(low, high - low), None, only)
        state = part if state is None else merge(state, part)
    assert state is not None
    return finish(state)


def changed(table: pa.Table, columns: frozenset[str], drop: bool) -> pa.Table:
    """The table with the gaps of some columns filled, text trimmed, or the columns gone."""
    for name in columns:
        if drop:
            table = table.drop_columns([name])
            continue
        column = table[name]
        fill = {"a": 0.5, "b": 3, "c": "x", "d": True}[name]
        column = pc.utf8_trim_whitespace(column) if name == "c" else column
        table = table.set_column(table.column_names.index(name), name, column.fill_null(fill))
    return table


@settings(deadline=None)
@given(
    st.fixed_dictionaries(CELLS),
    st.sets(st.sampled_from("abcd"), max_size=3),
    st.booleans(),
    st.lists(st.integers(0, 12), max_size=2),
)
def test_the_profile_is_the_same_whether_all_columns_were_seen_again_or_only_those_that_changed(
    cells: dict[str, list[object]], names: set[str], drop: bool, cuts: list[int]
) -> None:
    table = pa.table({name: pa.array(values, KINDS[name]) for name, values in cells.items()})
    left = changed(table, frozenset(names), drop)
    known = Known(profile_of(table, cuts), frozenset(names), tuple(left.column_names))
    found = known.completed(profile_of(left, cuts, known.wanted))
    assert found == profile_of(left, cuts)


@pytest.mark.parametrize(("names", "wanted"), [({"c"}, {"c"}), ({"a"}, {"a", "b"}), (set(), set())])
def test_numbers_are_seen_again_together_since_they_are_related_to_each_other(
    names: set[str], wanted: set[str]
) -> None:
    table = pa.table({name: pa.array([None], kind) for name, kind in KINDS.items()})
    assert Known(profile_of(table, []), frozenset(names), tuple(KINDS)).wanted == wanted
