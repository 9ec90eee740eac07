"""Exact quantiles against NumPy; the sketch against its stated rank error."""

from __future__ import annotations

import pickle
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.quantiles import PROBABILITIES, QuantileSketch, exact_quantiles

N = 150_000


def shapes():
    rng = np.random.default_rng(5)
    return {
        "uniform": rng.random(N),
        "pareto": rng.pareto(0.5, N),
        "constant": np.full(N, 3.25),
        "two values": rng.choice([0.0, 1e300], N, p=[0.9, 0.1]),
        "ascending": np.arange(N, dtype=float),
        "giant category": np.where(rng.random(N) < 0.6, 7.0, rng.normal(size=N) * 1e6),
        "tiny range": 1e9 + rng.random(N) * 1e-5,
    }


def worst_rank_error(sketch, values):
    """Largest distance between a probability and the ranks that its quantile really spans."""
    ordered = np.sort(values)
    found = np.array(sketch.quantiles())
    below = np.searchsorted(ordered, found, side="left") / len(ordered)
    upto = np.searchsorted(ordered, found, side="right") / len(ordered)
    p = np.array(PROBABILITIES)
    return float(np.max(np.maximum(below - p, p - upto).clip(0)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50))
def test_exact_quantiles_are_numpy_s(values):
    distinct, counts = np.unique(np.array(values) + 0.0, return_counts=True)
    wanted = np.quantile(values, PROBABILITIES)
    assert exact_quantiles(distinct, counts) == pytest.approx(list(wanted), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("name", shapes())
@pytest.mark.parametrize("blocks", [1, 3, 40])
def test_sketched_quantiles_keep_their_rank_error_however_rows_are_cut(name, blocks):
    values = shapes()[name]
    parts = [QuantileSketch.of_sorted(np.sort(part), None, 400) for part in np.array_split(values, blocks)]
    merged = reduce(QuantileSketch.merge, parts)
    assert merged.count == N
    assert 0 < merged.rank_error < 0.01
    assert worst_rank_error(merged, values) <= merged.rank_error


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(0, 700), min_size=1, max_size=40),
    k=st.sampled_from([8, 16, 64]),
)
def test_the_rank_error_is_a_guarantee_for_any_cut_and_any_size_of_sketch(seed, sizes, k):
    rng = np.random.default_rng(seed)
    blocks = [np.round(rng.pareto(0.7, size), 1) for size in sizes]
    merged = reduce(QuantileSketch.merge, [QuantileSketch.of_sorted(np.sort(block), None, k) for block in blocks])
    values = np.concatenate(blocks)
    assert merged.count == len(values)
    if len(values):
        assert worst_rank_error(merged, values) <= merged.rank_error + 1 / len(values)
        ordered = np.sort(values)
        for rank, value in zip(merged.ranks(ordered[::7], inclusive=True), ordered[::7], strict=True):
            assert abs(rank - np.searchsorted(ordered, value, side="right") / len(values)) <= merged.rank_error + 1e-9


def test_two_runs_over_the_same_blocks_agree_to_the_last_digit():
    blocks = [np.sort(np.random.default_rng(seed).normal(size=30_000)) for seed in range(9)]

    def one_run():
        return reduce(QuantileSketch.merge, [QuantileSketch.of_sorted(block, None, 400) for block in blocks])

    assert one_run().quantiles() == one_run().quantiles()


def test_the_guarantee_is_no_wider_than_what_kll_expects():
    datasketches = pytest.importorskip("datasketches", reason="the peer is in the extra dev")
    kll = datasketches.kll_doubles_sketch(400)
    sketch = QuantileSketch(1024)
    for seed in range(50):
        block = np.random.default_rng(seed).normal(size=50_000)
        kll.update(block.copy())
        sketch = sketch.merge(QuantileSketch.of_sorted(np.sort(block), None, 1024))
    assert sketch.rank_error <= kll.normalized_rank_error(False)


def test_the_bound_stays_small_over_many_blocks():
    sketch = QuantileSketch(1024)
    block = QuantileSketch.of_sorted(np.sort(np.random.default_rng(1).random(50_000)), None, 1024)
    for _ in range(2_000):
        sketch = sketch.merge(block)
    assert sketch.count == 100_000_000
    assert sketch.rank_error < 0.008
    assert len(sketch.nodes) <= 16


def test_counts_weigh_like_repeated_values():
    values, counts = np.arange(10_000.0), np.arange(1, 10_001)
    sketch = QuantileSketch.of_sorted(values, counts, 400)
    assert sketch.count == counts.sum()
    assert worst_rank_error(sketch, np.repeat(values, counts)) <= sketch.rank_error


@given(n=st.integers(0, 5))
def test_few_values_are_exact(n):
    sketch = QuantileSketch.of_sorted(np.arange(float(n)), None, 400)
    assert sketch.count == n
    assert sketch.rank_error == 0.0


def test_an_empty_sketch_is_neutral_and_merging_leaves_both_sides_alone():
    full, empty = QuantileSketch.of_sorted(np.arange(100.0), None, 400), QuantileSketch(400)
    assert full.merge(empty).quantiles() == full.quantiles() == empty.merge(full).quantiles()
    assert (full.count, empty.count) == (100, 0)


def test_a_sketch_survives_pickling():
    sketch = QuantileSketch.of_sorted(np.sort(np.random.default_rng(0).random(100_000)), None, 400)
    copy = pickle.loads(pickle.dumps(sketch))
    assert (copy.quantiles(), copy.count, copy.rank_error) == (sketch.quantiles(), sketch.count, sketch.rank_error)
    assert len(pickle.dumps(sketch)) < 20_000
