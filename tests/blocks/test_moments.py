"""Laws of the mergeable moments."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.moments import Moments

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
moderate = st.floats(min_value=-1e50, max_value=1e50, allow_nan=False)
FIELDS = ("mean", "variance", "std", "skewness", "kurtosis", "sum")


def exact_moments(values):
    """Mean, sample variance, skewness and excess kurtosis in rational arithmetic."""
    numbers = [Fraction(v) for v in values]
    n, mean = len(numbers), sum(numbers) / len(numbers)
    m2, m3, m4 = (sum((v - mean) ** k for v in numbers) for k in (2, 3, 4))
    if not m2:
        return float(mean), 0.0, None, None
    # Ratios stay rational until the end, so that nothing under- or overflows on the way.
    skew_squared = n * m3 * m3 / m2**3
    return (
        float(mean),
        m2 / max(n - 1, 1),
        math.copysign(math.sqrt(skew_squared), m3),
        float(n * m4 / m2**2 - 3),
    )


def assert_close(found, values, rel=1e-7):
    mean, variance, skewness, kurtosis = exact_moments(values)
    spread = float(max(abs(v) for v in values))
    assert found.count == len(values)
    assert found.mean == pytest.approx(mean, rel=1e-12, abs=spread * 1e-12)
    if len(values) > 1 and variance and 1e-300 < variance < 1e300:
        assert found.variance == pytest.approx(float(variance), rel=rel)
    if skewness is None:
        assert found.skewness is None
        assert found.kurtosis is None
    elif found.skewness is not None:
        assert found.skewness == pytest.approx(skewness, rel=1e-5, abs=1e-5)
        assert found.kurtosis == pytest.approx(kurtosis, rel=1e-5, abs=1e-5)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30))
def test_integers_of_any_size_agree_with_rational_arithmetic(values):
    assert_close(Moments.of(np.sort(np.array(values, np.int64))), values)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=40), st.integers(-(2**62), 2**62), st.data())
def test_small_differences_of_huge_integers_survive_merging(steps, base, data):
    values = [base + step for step in steps]
    cut = data.draw(st.integers(1, len(values) - 1))
    parts = [Moments.of(np.sort(np.array(p, np.int64))) for p in (values[:cut], values[cut:])]
    assert_close(parts[0].merge(parts[1]), values, rel=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(finite, min_size=1, max_size=30), st.data())
def test_cut_into_blocks_any_floats_give_one_block_s_moments(values, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    edges = [0, *cuts, len(values)]
    parts = [Moments.of(np.sort(np.array(values[a:b]))) for a, b in itertools.pairwise(edges)]
    merged, whole = reduce(Moments.merge, parts), Moments.of(np.sort(np.array(values)))
    assert merged.count == whole.count
    spread = max(abs(v) for v in values)
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=spread * 1e-12)
    scale = max(values) / 2 - min(values) / 2
    assert (merged.std is None) == (whole.std is None) or scale > 1e307
    if merged.std is not None and whole.std is not None:
        assert merged.std == pytest.approx(whole.std, rel=1e-9, abs=spread * 1e-14)


@settings(max_examples=80, deadline=None)
@given(st.lists(moderate, min_size=1, max_size=20), st.lists(moderate, min_size=1, max_size=20))
def test_merging_is_commutative_to_rounding(a, b):
    x, y = Moments.of(np.sort(np.array(a))), Moments.of(np.sort(np.array(b)))
    left, right = x.merge(y), y.merge(x)
    spread = max(abs(v) for v in a + b)
    assert left.count == right.count
    assert left.mean == pytest.approx(right.mean, rel=1e-12, abs=spread * 1e-14)
    assert left.std == pytest.approx(right.std, rel=1e-9, abs=spread * 1e-14)


def test_nothing_is_neutral():
    some = Moments.of([1.0, 2.0])
    assert some.merge(Moments()) == some == Moments().merge(some)
    assert [getattr(Moments(), name) for name in FIELDS] == [None] * 6


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
def test_an_offset_does_not_cancel_the_variance(offset):
    rng = np.random.default_rng(1)
    values = np.round(rng.gamma(1.0, size=200_000), 3)
    shifted = values + offset
    reference = np.longdouble(shifted) - np.longdouble(offset)
    d = reference - reference.mean()
    parts = [Moments.of(np.sort(part)) for part in np.array_split(shifted, 7)]
    for found in (Moments.of(np.sort(shifted)), reduce(Moments.merge, parts)):
        assert found.variance == pytest.approx(float((d**2).sum() / (len(d) - 1)), rel=1e-12)
        assert found.skewness == pytest.approx(float((d**3).mean() / (d**2).mean() ** 1.5), rel=1e-10)
        assert found.kurtosis == pytest.approx(float((d**4).mean() / (d**2).mean() ** 2 - 3), rel=1e-10)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_skewness_and_std_hold_at_the_ends_of_the_float_range(scale):
    values = np.array([1.0, 2.0, 4.0, 8.0]) * scale
    for found in (Moments.of(values), Moments.of(values[:2]).merge(Moments.of(values[2:]))):
        assert found.std == pytest.approx(np.std([1, 2, 4, 8], ddof=1) * scale, rel=1e-12)
        assert found.skewness == pytest.approx(Moments.of([1.0, 2.0, 4.0, 8.0]).skewness, rel=1e-10)


def test_opposite_ends_of_the_float_range_give_a_finite_mean():
    top = np.finfo(float).max
    found = Moments.of(np.array([-top, top]))
    assert found.mean == pytest.approx(0.0, abs=1e292)
    assert found.variance is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(1, 50)), min_size=1, max_size=20))
def test_weights_equal_repetition(pairs):
    table = dict(pairs)
    values = np.array(sorted(table))
    counts = np.array([table[v] for v in sorted(table)])
    weighted, repeated = Moments.of(values, counts), Moments.of(np.repeat(values, counts))
    for name in FIELDS:
        found, wanted = getattr(weighted, name), getattr(repeated, name)
        assert found == wanted or found == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_a_constant_has_no_skewness():
    for value in (0.1, 1e300, 7, 2**62):
        found = Moments.of(np.full(1000, value)).merge(Moments.of(np.full(77, value)))
        assert (found.mean, found.variance, found.skewness, found.kurtosis) == (value, 0.0, None, None)
