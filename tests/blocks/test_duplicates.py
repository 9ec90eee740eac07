"""Duplicate rows: exact while few are distinct, within the stated interval past that."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.duplicates import RowSample
from raypipe.blocks.hashing import hash_rows, hash_values


def hashed(values):
    return hash_rows([hash_values(pl.Series(values))], len(values))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=200), st.integers(16, 40), st.data())
def test_the_sample_depends_on_the_rows_alone(values, size, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    edges = [0, *cuts, len(values)]
    hashes = hashed(values) if values else np.zeros(0, np.uint64)
    parts = [RowSample.of(hashes[a:b], size) for a, b in itertools.pairwise(edges)]
    whole = RowSample.of(hashes, size)
    for merged in (reduce(RowSample.merge, parts), reduce(RowSample.merge, parts[::-1])):
        assert (merged.rows, merged.full) == (whole.rows, whole.full)
        assert merged.hashes.tolist() == whole.hashes.tolist()
        assert merged.counts.tolist() == whole.counts.tolist()
    assert whole.full == (len(set(values)) > size)
    if not whole.full:
        found = whole.finish()
        assert found.exact
        assert found.rows == len(values) - len(set(values))
        assert found.share == found.share_upper


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("all different", np.arange(300_000)),
        ("each twice", np.repeat(np.arange(150_000), 2)),
        ("one row half of the time", np.concatenate((np.zeros(150_000, np.int64), np.arange(1, 150_001)))),
        ("heavy tail", (np.random.default_rng(3).pareto(0.6, 300_000) * 100).astype(np.int64)),
    ],
)
def test_past_the_limit_the_true_share_lies_under_the_upper_bound(name, values):
    truth = 1 - len(np.unique(values)) / len(values)
    parts = [
        RowSample.of(hashed(part), 8192) for part in np.array_split(np.random.default_rng(1).permutation(values), 9)
    ]
    merged = reduce(RowSample.merge, parts)
    found = merged.finish()
    if not merged.full:
        assert found.share == truth
        return
    assert not found.exact
    assert found.share == pytest.approx(truth, abs=3.5 / 8192**0.5)
    assert truth <= found.share_upper <= found.share + 6 / 8192**0.5


def test_a_large_block_of_equal_rows_is_exact():
    found = RowSample.of(hashed(np.arange(200_000) % 5), 1024).finish()
    assert (found.rows, found.exact) == (199_995, True)
