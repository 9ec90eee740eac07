"""Exact figures that other tests do not hold against SciPy and statsmodels yet."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.profile import Correlation
from raypipe.insights.effects import fisher_interval, variance_explained
from raypipe.insights.series.forecast import METHODS, Course
from raypipe.insights.series.noise import correlogram
from raypipe.insights.series.stationarity import autocorrelation
from raypipe.insights.series.trend import hamed_rao, mann_kendall
from raypipe.insights.statistics.between import partial_correlations
from raypipe.insights.statistics.groups import GroupSums, cohens_d
from raypipe.insights.statistics.pairs import grade_correlation
from raypipe.insights.statistics.ranks import kendall_of_table

stats = pytest.importorskip("scipy.stats", reason="held against SciPy, which is not installed")
seeds = st.integers(0, 10**6)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(5, 200))
def test_the_interval_of_pearsons_r_is_that_of_scipy(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    wanted = stats.pearsonr(x, x + rng.normal(size=n))
    assert fisher_interval(wanted.statistic, n) == pytest.approx(tuple(wanted.confidence_interval()), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 6), st.integers(2, 6))
def test_rank_correlations_of_a_table_of_counts_are_those_of_its_rows(seed: int, a: int, b: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 9, (a, b)) + 1
    x, y = (np.repeat(axis.ravel(), table.ravel()) for axis in np.indices(table.shape))
    assert grade_correlation(table.astype(float)) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    assert kendall_of_table(table.astype(float)) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(3, 6), st.integers(30, 120))
def test_a_partial_correlation_is_that_of_what_regressions_leave(seed: int, width: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width)) + rng.normal(size=(n, 1))
    names = tuple(f"c{i}" for i in range(width))
    r = np.corrcoef(x.T)
    cells = tuple(tuple(row) for row in r.tolist())
    found, why = partial_correlations(Correlation(columns=names, r=cells, pairs=((n,) * width,) * width))
    assert why is None
    for one in found:
        i, j = (names.index(column) for column in one.columns)
        rest = np.column_stack([np.ones(n), np.delete(x, [i, j], axis=1)])
        left = [x[:, k] - rest @ np.linalg.lstsq(rest, x[:, k], rcond=None)[0] for k in (i, j)]
        assert one.partial == pytest.approx(stats.pearsonr(*left).statistic, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(3, 40), st.integers(3, 40))
def test_cohens_d_follows_from_the_t_test(seed: int, a: int, b: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=a), rng.normal(0.7, 2, b)
    sums = GroupSums.of(np.repeat([0, 1], [a, b]), np.concatenate([first, second]), 2)
    found = cohens_d(sums)
    assert found is not None
    t = stats.ttest_ind(second, first).statistic
    assert found[0] == pytest.approx(t * math.sqrt(1 / a + 1 / b) * (1 - 3 / (4 * (a + b) - 9)), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 6))
def test_variance_explained_is_the_adjusted_r_squared_of_groups(seed: int, groups: int) -> None:
    linear = pytest.importorskip("statsmodels.api", reason="held against statsmodels")
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(groups), rng.integers(0, groups, 60)])
    y = rng.normal(size=len(codes)) + codes
    dummies = (codes[:, None] == np.arange(groups)).astype(float)
    wanted = linear.OLS(y, dummies).fit().rsquared_adj
    sums = np.bincount(codes, y)
    found, _ = variance_explained(np.bincount(codes).astype(float), sums, float(y @ y))
    assert found == pytest.approx(max(wanted, 0.0), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(50, 300))
def test_autocorrelation_its_bands_and_its_test_are_those_of_statsmodels(seed: int, n: int) -> None:
    tools = pytest.importorskip("statsmodels.tsa.stattools", reason="held against statsmodels")
    rng = np.random.default_rng(seed)
    y = np.convolve(rng.normal(size=n), [1.0, 0.5], "same")
    found = autocorrelation(y)
    lags = len(found.lags)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels will return another type one day
        values, around = tools.acf(y, nlags=lags, alpha=0.05, fft=False)[:2]
    assert found.values == pytest.approx(values[1:].tolist(), abs=1e-9)
    assert correlogram(y, lags) == pytest.approx(values, abs=1e-9)
    assert found.bands == pytest.approx((around[1:, 1] - values[1:]).tolist(), abs=1e-6)
    few = min(10, lags)
    _, p = tools.q_stat(values[1 : few + 1], n)
    assert found.ljung_box_p == pytest.approx(p[-1], abs=0.01)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(12, 80))
def test_the_variance_of_mann_and_kendalls_score_is_that_of_scipys_tau_with_ties(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 12, n).astype(float)
    score, variance = mann_kendall(y)
    wanted = stats.kendalltau(np.arange(n), y, method="asymptotic")
    assert 2 * stats.norm.sf(abs(score) / math.sqrt(variance)) == pytest.approx(wanted.pvalue, rel=1e-9)
    assert hamed_rao(y, rng.permutation(np.arange(float(n)))) >= 1


def test_simple_smoothing_equals_that_of_statsmodels_with_the_same_weights() -> None:
    holt = pytest.importorskip("statsmodels.tsa.holtwinters", reason="held against statsmodels")
    rng = np.random.default_rng(4)
    y = 50 + np.cumsum(rng.normal(size=120))
    course = Course(y, np.ones(120, bool), (), 5)
    found = METHODS["theta"](course, 120)[-1]
    slope = np.polyfit(np.arange(120), y, 1)[0]
    level = found - slope / 2 * np.arange(1, 6)
    wanted = [
        holt.SimpleExpSmoothing(y, initialization_method="known", initial_level=y[0])
        .fit(smoothing_level=alpha, optimized=False)
        .forecast(1)[0]
        for alpha in (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 0.99)
    ]
    assert np.ptp(level) == pytest.approx(0, abs=1e-8)
    assert min(abs(level[0] - one) for one in wanted) == pytest.approx(0, abs=1e-6)
