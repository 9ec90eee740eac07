"""Frequent values: every bound holds, whatever the data and the cuts."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import reduce

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.counts import ValueCounts
from raypipe.blocks.frequent import FrequentItems, heavy_numbers, heavy_values
from raypipe.blocks.hashing import hash_values

BYTES = 1 << 20


def of_numbers(values, capacity):
    found, slack = heavy_numbers(np.sort(values))
    return FrequentItems.heavy(found, slack, capacity, BYTES)


def of_texts(values, capacity, max_bytes=BYTES):
    series = pl.Series(values, dtype=pl.String)
    hashes = hash_values(series)
    found, slack = heavy_values(series, hashes, np.sort(hashes))
    return FrequentItems.heavy(found, slack, capacity, max_bytes)


def assert_bounds_hold(items, values):
    truth = Counter(values)
    listed = dict(
        zip(items.values.to_list(), zip(items.seen.tolist(), items.upper().tolist(), strict=True), strict=True)
    )
    for value, count in truth.items():
        low, high = listed.get(value, (0, items.slack))
        assert low <= count <= high
    assert set(listed) <= set(truth)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=300), st.integers(1, 10), st.data())
def test_bounds_hold_for_every_value_however_rows_are_cut(values, capacity, data):
    cuts = sorted(data.draw(st.lists(st.integers(1, len(values)), max_size=5, unique=True)))
    edges = [0, *cuts, len(values)]
    blocks = [values[a:b] for a, b in itertools.pairwise(edges) if b > a]
    merged = reduce(
        lambda a, b: a.merge(b, capacity, BYTES), [of_numbers(np.array(block), capacity) for block in blocks]
    )
    assert_bounds_hold(merged, values)
    texts = [str(value) for value in values]
    parts = [of_texts(texts[a:b], capacity) for a, b in itertools.pairwise(edges) if b > a]
    assert_bounds_hold(reduce(lambda a, b: a.merge(b, capacity, BYTES), parts), texts)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=60), min_size=1, max_size=5), st.integers(1, 10))
def test_exact_tables_keep_their_bounds_when_cut_off(blocks, capacity):
    tables = [ValueCounts.of(pl.Series(block)) for block in blocks]
    merged = reduce(
        lambda a, b: a.merge(b, capacity, BYTES), [FrequentItems.exact(table, capacity, BYTES) for table in tables]
    )
    assert len(merged.values) <= capacity
    assert_bounds_hold(merged, [value for block in blocks for value in block])


@pytest.mark.parametrize("as_text", [False, True])
def test_one_giant_category_among_unique_values_is_counted_exactly(as_text):
    rng = np.random.default_rng(2)
    values = np.where(rng.random(400_000) < 0.3, -1, np.arange(400_000))
    blocks = np.array_split(values, 8)
    parts = [of_texts([str(v) for v in b], 64) if as_text else of_numbers(b, 64) for b in blocks]
    merged = reduce(lambda a, b: a.merge(b, 64, BYTES), parts)
    assert [str(value) for value in merged.values.to_list()] == ["-1"]
    assert merged.seen.tolist() == merged.upper().tolist() == [int((values == -1).sum())]


def test_slack_stays_within_the_promised_share():
    rng = np.random.default_rng(4)
    blocks = [rng.zipf(1.2, 50_000) for _ in range(30)]
    merged = reduce(lambda a, b: a.merge(b, 100, BYTES), [of_numbers(block, 100) for block in blocks])
    n = 30 * 50_000
    assert merged.slack <= n / 2000 + n / 100
    assert_bounds_hold(merged, np.concatenate(blocks).tolist())


def test_long_texts_give_way_to_the_byte_limit():
    texts = ["x" * 5000] * 10 + ["y" * 5000] * 9 + ["z"] * 20
    items = of_texts(texts, 100, max_bytes=6000)
    assert items.values.str.len_bytes().sum() <= 6000
    assert_bounds_hold(items, texts)
