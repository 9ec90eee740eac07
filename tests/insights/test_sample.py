"""Samples of rows for charts: the same whatever the blocks, and with every column that was asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.insights.sample import MAX_CHARS, SAMPLE_BYTES, SampleRows, sample_size
from tests.insights.tables import profile_of


def sample(table: pa.Table, cuts: list[int], **fields: object) -> pa.Table:
    """The sample of a table that comes in blocks."""
    stage = SampleRows(**fields)  # type: ignore[arg-type]
    numbered = table.append_column(ROW, pa.array(np.arange(table.num_rows)))
    edges = [0, *cuts, table.num_rows]
    parts = [stage.partial(numbered.slice(lo, hi - lo), "p") for lo, hi in itertools.pairwise(edges)]
    state = parts[0]
    for part in parts[1:]:
        state = stage.merge(state, part)
    found = stage.finish(state)
    assert found is not None
    return found


def test_a_column_named_as_the_sample_names_its_own_is_kept() -> None:
    table = pa.table({"__priority__": range(500), "__priority___": range(500), "a": range(500)})
    whole = sample(table, [], rows=20, columns=("__priority__", "__priority___", "a"))
    assert whole.column_names == ["__priority__", "__priority___", "a"]
    assert whole["__priority__"].to_pylist() == whole["a"].to_pylist()
    assert len(set(whole["a"].to_pylist())) == 20


def test_the_sample_does_not_depend_on_blocks_or_on_other_columns() -> None:
    table = pa.table({"__priority__": range(500), "a": range(500)})
    whole = sample(table, [], rows=20, columns=("a",))
    assert sample(table, [1, 99, 400], rows=20, columns=("a",)).equals(whole)
    assert sample(table, [250], rows=20, columns=("__priority__", "a"))["a"].equals(whole["a"])


def test_knowing_the_rows_of_the_table_changes_no_sample() -> None:
    table = pa.table({"a": range(20_000)})
    whole = sample(table, [], rows=50, columns=("a",))
    assert sample(table, [], rows=50, columns=("a",), of=20_000).equals(whole)
    assert sample(table, [3, 9_000], rows=50, columns=("a",), of=20_000).equals(whole)
    assert sample(table, [10], rows=20_000, columns=("a",), of=20_000).num_rows == 20_000


def test_long_texts_are_cut_so_that_they_cannot_make_the_sample_huge() -> None:
    table = pa.table({"prose": pa.array(["ä" * 50_000, "short", None] * 20, pa.large_string()), "n": range(60)})
    found = sample(table, [7], rows=50, columns=("prose", "n"))
    assert {len(text) for text in found["prose"].to_pylist() if text} == {MAX_CHARS, 5}
    assert found.nbytes < 50 * (2 * MAX_CHARS + 100)


def test_a_sample_of_wide_or_heavy_rows_has_fewer_of_them() -> None:
    narrow = profile_of(pa.table({"a": range(100), "b": range(100)}))
    assert sample_size(narrow, 20_000, 2_000_000) == 20_000
    assert sample_size(narrow, 20_000, 1_000) == 500
    prose = profile_of(pa.table({f"t{i}": pa.array(["x" * 900] * 4, pa.large_string()) for i in range(200)}))
    assert sample_size(prose, 20_000, 10**9) * 900 * 200 <= SAMPLE_BYTES
    long = profile_of(pa.table({"t": pa.array(["x" * 100_000] * 4, pa.large_string())}))
    assert sample_size(long, 20_000, 10**9) == 20_000
    assert sample_size(profile_of(pa.table({"a": pa.array([], pa.int64())})), 20_000, 10) == 10
