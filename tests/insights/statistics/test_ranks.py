"""Rank correlations, held against SciPy and pandas."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.insights.statistics.ranks import (
    correlations,
    kendall,
    kendall_interval,
    kendall_matrix,
    kendall_of_table,
    ranks,
    spearman_interval,
)

stats = pytest.importorskip("scipy.stats", reason="held against SciPy, which is not installed")

few = st.integers(-4, 4).map(float)
wide = st.floats(-1e6, 1e6, allow_nan=False)
pairs = st.lists(st.tuples(few | wide, few), min_size=2, max_size=60)


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_ranks_and_kendall_agree_with_scipy(rows: list[tuple[float, float]]) -> None:
    x, y = np.array(rows).T
    np.testing.assert_array_equal(ranks(x), stats.rankdata(x))
    wanted = stats.kendalltau(x, y).statistic
    assert kendall(x, y) == pytest.approx(wanted, abs=1e-12, nan_ok=True)
    if len(x) > 2:
        assert kendall_matrix(np.array([x, y]))[0][0, 1] == pytest.approx(wanted, abs=1e-12, nan_ok=True)
    table = np.zeros((len(np.unique(x)), len(np.unique(y))))
    np.add.at(table, (np.unique(x, return_inverse=True)[1], np.unique(y, return_inverse=True)[1]), 1)
    assert kendall_of_table(table) == pytest.approx(wanted, abs=1e-12, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(few, few, few | st.just(np.nan)), min_size=5, max_size=50))
def test_matrices_over_known_pairs_agree_with_pandas(rows: list[tuple[float, ...]]) -> None:
    pd = pytest.importorskip("pandas", reason="held against pandas: pip install 'raypipe[pandas]'")
    columns = np.array(rows).T
    frame = pd.DataFrame(columns.T)
    r, n = correlations(columns)
    wanted = frame.corr("pearson", min_periods=3).to_numpy()
    known = ~np.isnan(wanted) & ~np.isnan(r)
    np.testing.assert_allclose(r[known], wanted[known], atol=1e-7)
    tau, counts = kendall_matrix(columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SciPy, about few rows
        wanted = frame.corr("kendall").to_numpy()
    known = ~np.isnan(wanted) & ~np.eye(3, dtype=bool) & (n > 2)
    np.testing.assert_allclose(tau[known], wanted[known], atol=1e-5)
    np.testing.assert_array_equal(counts, n)
    complete = columns[:2]
    rho = correlations(np.array([ranks(column) for column in complete]))[0]
    wanted = frame[[0, 1]].corr("spearman", min_periods=3).to_numpy()
    known = ~np.isnan(wanted) & ~np.isnan(rho)
    np.testing.assert_allclose(rho[known], wanted[known], atol=1e-9)


def test_kendall_of_many_rows_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=20_000).round(2)
    y = (x + rng.normal(size=20_000)).round(1)
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_a_constant_column_has_no_correlation() -> None:
    columns = np.array([[1.0, 1, 1, 1], [1.0, 2, 3, 4]])
    assert np.isnan(correlations(columns)[0][0, 1])
    assert np.isnan(kendall_matrix(columns)[0][0, 1])
    assert np.isnan(kendall(*columns))


def test_intervals_of_rank_correlations_cover_at_the_stated_rate() -> None:
    rng = np.random.default_rng(11)
    hits, tries, n, r = np.zeros(2), 400, 80, 0.6
    rho, tau = 6 / np.pi * np.arcsin(r / 2), 2 / np.pi * np.arcsin(r)
    for _ in range(tries):
        x = rng.normal(size=n)
        y = r * x + np.sqrt(1 - r * r) * rng.normal(size=n)
        spearman = correlations(np.array([ranks(x), ranks(y)]))[0][0, 1]
        low, high = spearman_interval(float(spearman), n)
        hits[0] += low <= rho <= high
        low, high = kendall_interval(kendall(x, y), n)
        hits[1] += low <= tau <= high
    assert (np.abs(hits / tries - 0.95) < 0.03).all(), hits / tries
