"""Samples of rows for charts: the same whatever the blocks, and with every column that was asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.insights.sample import SampleRows


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
