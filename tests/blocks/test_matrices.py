"""Correlation and joint nulls against direct computation, for any cut."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.table import finish, merge, summarise


def profile(table, cuts=()):
    edges = [0, *sorted(cuts), table.num_rows]
    parts = [summarise(table.slice(a, b - a)) for a, b in itertools.pairwise(edges)]
    state = parts[0]
    for part in parts[1:]:
        state = merge(state, part)
    return finish(state)


def reference(x, y):
    both = np.isfinite(x) & np.isfinite(y)
    a, b = np.longdouble(x[both]), np.longdouble(y[both])
    if both.sum() < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return int(both.sum()), None
    a, b = a - a.mean(), b - b.mean()
    return int(both.sum()), float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def tables(seed, rows=400):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=rows)
    columns = [base, base + rng.normal(size=rows), np.exp(3 * base), np.full(rows, 2.5), rng.normal(size=rows) + 1e9]
    return [
        np.where(rng.random(rows) < hole, np.nan, c) for hole, c in zip((0, 0.3, 0.1, 0, 0.9), columns, strict=True)
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100), st.lists(st.integers(0, 400), max_size=5))
def test_correlation_is_pairwise_complete_and_does_not_depend_on_the_cut(seed, cuts):
    columns = tables(seed)
    found = profile(pa.table({f"c{i}": c for i, c in enumerate(columns)}), cuts).correlation
    for i, x in enumerate(columns):
        for j, y in enumerate(columns):
            pairs, r = reference(x, y)
            assert found.pairs[i][j] == pairs
            if r is None:
                assert found.r[i][j] is None
            else:
                assert found.r[i][j] == pytest.approx(r, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e170, 1e300])
def test_correlation_holds_at_the_ends_of_the_float_range(scale):
    x = np.arange(1.0, 101.0)
    table = pa.table({"x": x * scale, "y": -x})
    for cuts in ((), (1,), (50,)):
        assert profile(table, cuts).correlation.r[0][1] == pytest.approx(-1.0, abs=1e-9)


def test_huge_integers_with_nulls_correlate_by_their_last_digits():
    steps = np.random.default_rng(0).permutation(200)
    numbers = pa.array([None if i % 7 == 0 else 2**62 + int(s) for i, s in enumerate(steps)])
    found = profile(pa.table({"a": numbers, "b": steps}), (60, 61)).correlation
    assert found.r[0][1] == pytest.approx(1.0, abs=1e-12)
    assert found.pairs[0][1] == 200 - len(range(0, 200, 7))


def test_number_columns_past_the_limit_are_named():
    table = pa.table({f"c{i}": [1.0, 2.0, 4.0] for i in range(70)})
    found = profile(table).correlation
    assert len(found.columns) == 60
    assert found.skipped == tuple(f"c{i}" for i in range(60, 70))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 60), st.lists(st.integers(0, 60), max_size=4))
def test_joint_nulls_are_counted_exactly(seed, rows, cuts):
    rng = np.random.default_rng(seed)
    masks = [rng.random(rows) < share for share in (0.0, 0.2, 0.7, 1.0)]
    table = pa.table({f"c{i}": pa.array(["v"] * rows, mask=mask) for i, mask in enumerate(masks)})
    found = profile(table, [min(cut, rows) for cut in cuts]).missingness
    held = [i for i, mask in enumerate(masks) if mask.any()]
    assert found.columns == tuple(f"c{i}" for i in held)
    assert found.together == tuple(tuple(int((masks[i] & masks[j]).sum()) for j in held) for i in held)
    assert found.rows_any_null == int(np.any(masks, axis=0).sum())
    assert found.rows_all_null == int(np.all(masks, axis=0).sum())
