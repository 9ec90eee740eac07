"""Tail probabilities, held against SciPy; control of many tests, against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.chance import false_discoveries, normal_tail, wilson_interval
from raypipe.insights.chance import chi_squared_tail, f_tail, normal_cdf, normal_quantiles, t_tails

stats = pytest.importorskip("scipy.stats", reason="held against SciPy, which is not installed")

DEGREES = np.array([1.0, 2, 3, 7.3, 19, 120, 1999.5, 20_000, 3e5])


@pytest.mark.parametrize("df", DEGREES)
def test_tails_agree_with_scipy(df: float) -> None:
    t = np.array([0.0, 1e-8, 0.3, 1, 2, 5, 12, 40])
    np.testing.assert_allclose(t_tails(t, df), 2 * stats.t.sf(t, df), rtol=1e-8, atol=1e-300)
    x = df * np.array([0.0, 0.01, 0.5, 0.9, 1, 1.05, 1.3, 3, 20])
    np.testing.assert_allclose(chi_squared_tail(x, df), stats.chi2.sf(x, df), rtol=1e-8, atol=1e-290)
    f = np.array([0.0, 0.01, 0.5, 0.9, 1, 1.1, 2, 30])
    for d1 in (1, 2, 9, 400):
        np.testing.assert_allclose(f_tail(f, d1, df), stats.f.sf(f, d1, df), rtol=1e-7, atol=1e-290)


def test_normal_shares_and_quantiles_agree_with_scipy() -> None:
    x = np.linspace(-9, 9, 61)
    np.testing.assert_allclose(normal_cdf(x), stats.norm.cdf(x), rtol=1e-12)
    p = np.array([1e-12, 0.01, 0.5, 0.975])
    np.testing.assert_allclose(normal_quantiles(p), stats.norm.ppf(p), rtol=1e-9, atol=1e-15)
    assert normal_tail(-1.959963984540054) == pytest.approx(0.05)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_agree_with_statsmodels(p: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="held against statsmodels")
    np.testing.assert_allclose(
        false_discoveries(p), multitest.multipletests(p, method="fdr_bh")[1], rtol=1e-12, atol=1e-300
    )


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (57, 2000)])
def test_intervals_of_shares_agree_with_scipy(hits: int, n: int) -> None:
    wanted = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
