"""Histogram edges for any range, and counts that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.histogram import counts_between, nice_edges, ranks_between
from raypipe.blocks.quantiles import QuantileSketch

finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=300, deadline=None)
@given(finite, finite, st.integers(1, 40))
def test_edges_increase_strictly_and_cover_any_range(a, b, bins):
    low, high = min(a, b), max(a, b)
    edges = nice_edges(low, high, bins)
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    assert edges[0] <= low
    assert edges[-1] >= high
    assert 1 <= len(edges) - 1 <= max(bins, 2)
    assert counts_between(np.array([low, high]), edges).sum() == 2


@settings(max_examples=200, deadline=None)
@given(st.integers(-(2**63), 2**64 - 1), st.integers(0, 2**62), st.integers(3, 40))
def test_edges_of_whole_numbers_cover_any_range(low, span, bins):
    low, high = float(low), float(low + span)
    edges = nice_edges(low, high, bins, whole=True)
    assert (np.diff(edges) > 0).all()
    assert edges[0] <= low
    assert edges[-1] >= high
    assert len(edges) - 1 <= bins + 1
    assert counts_between(np.array([low, high]), edges).sum() == 2


def test_few_whole_numbers_get_a_bin_each():
    edges = nice_edges(-1, 3, 30, whole=True)
    assert counts_between(np.array([-1.0, 0, 1, 2, 3, 3]), edges).tolist() == [1, 1, 1, 1, 2]


def test_round_edges_read_round():
    assert nice_edges(0.0, 2.9, 30).tolist()[:4] == [0.0, 0.1, 0.2, 0.3]
    assert nice_edges(0, 1000, 30, whole=True).tolist()[:3] == [0.0, 50.0, 100.0]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(-100, 100), max_size=60), st.integers(0, 60))
def test_counts_over_fixed_edges_add_up_over_any_cut(values, cut):
    edges = np.array([-50.0, -10.0, 0.0, 0.5, 50.0])
    array = np.array(values, np.float64)
    wanted, _ = np.histogram(array, edges)
    assert (counts_between(array[:cut], edges) + counts_between(array[cut:], edges)).tolist() == wanted.tolist()


@pytest.mark.parametrize("blocks", [1, 20])
def test_sketched_counts_stay_within_the_rank_error(blocks):
    values = np.random.default_rng(0).normal(size=100_000)
    parts = [QuantileSketch.of_sorted(np.sort(part), None, 400) for part in np.array_split(values, blocks)]
    sketch = parts[0]
    for part in parts[1:]:
        sketch = sketch.merge(part)
    edges = nice_edges(values.min(), values.max(), 30)
    found, wanted = ranks_between(sketch, edges), counts_between(values, edges)
    assert found.sum() == len(values)
    assert (np.abs(np.cumsum(found) - np.cumsum(wanted)) <= 1.5 * sketch.rank_error * len(values)).all()
