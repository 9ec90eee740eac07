"""Measures of association, groups and shape, held against SciPy and statsmodels."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raypipe.insights.chance import chi_squared_tail, f_tail
from raypipe.insights.statistics.groups import (
    GroupSums,
    cohens_d,
    epsilon_squared,
    eta_interval,
    eta_squared,
    kruskal,
    welch,
)
from raypipe.insights.statistics.shape import (
    anderson_darling,
    benford,
    dagostino,
    first_digits,
    lilliefors,
    shapiro,
)
from raypipe.insights.statistics.tables import (
    cramers_v,
    entropy,
    mutual_information,
    normal_cells,
    phi_k,
)

stats = pytest.importorskip("scipy.stats", reason="held against SciPy, which is not installed")
RNG = np.random.default_rng(5)
NORMAL_TABLE = (10, 10)

tables = st.tuples(st.integers(2, 5), st.integers(2, 5)).flatmap(
    lambda shape: st.lists(st.integers(1, 40), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda cells: np.array(cells, float).reshape(shape)
    )
)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_association_of_tables_agrees_with_scipy(table: np.ndarray) -> None:
    wanted = stats.chi2_contingency(table, correction=False)
    found = cramers_v(table)
    assert found is not None
    v, (low, high), p = found
    assert p == pytest.approx(wanted.pvalue, rel=1e-9, abs=1e-300)
    assert 0 <= low <= v <= high <= 1
    plain = stats.contingency.association(table.astype(int), method="cramer", correction=False)
    assert v <= plain + 1e-12
    bits, interval, share = mutual_information(table)
    g = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    bias = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * table.sum() * math.log(2))
    assert bits == pytest.approx(max(g / (2 * table.sum() * math.log(2)) - bias, 0), abs=1e-9)
    assert interval[0] <= bits <= interval[1] + 1e-12
    assert 0 <= share <= 1
    assert entropy(table.sum(axis=1)) == pytest.approx(stats.entropy(table.sum(axis=1), base=2))


def test_bins_of_a_normal_distribution_agree_with_scipy() -> None:
    for rho in (0.0, 0.3, 0.9, 0.999):
        both = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
        edges_x, edges_y = np.linspace(-5, 5, 4), np.linspace(-5, 5, 6)
        cdf = np.array([[both.cdf([x, y]) for y in edges_y] for x in edges_x])
        wanted = np.diff(np.diff(cdf, axis=0), axis=1)
        np.testing.assert_allclose(normal_cells(rho, 3, 5), wanted, atol=2e-5)


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8, 0.95])
def test_phi_k_of_a_binned_normal_distribution_is_its_correlation(rho: float) -> None:
    # Scaled so that chi-squared reaches its largest value at a correlation of 1, as phi-k is defined.
    n = 1e9
    cells = normal_cells(rho, *NORMAL_TABLE)
    found = phi_k(n * np.maximum(cells, 0))
    one, free = normal_cells(1.0, *NORMAL_TABLE), normal_cells(0.0, *NORMAL_TABLE)
    scale = (NORMAL_TABLE[0] - 1) / ((one - free) ** 2 / free).sum()
    assert found is not None
    assert found == pytest.approx(rho, abs=0.12)
    again = ((normal_cells(found, *NORMAL_TABLE) - free) ** 2 / free).sum() * scale
    assert again == pytest.approx(((cells - free) ** 2 / free).sum(), rel=1e-2)


def test_phi_k_is_none_one_and_zero_where_it_should_be() -> None:
    assert phi_k(np.eye(4) * 50) == 1.0
    assert phi_k(np.full((3, 3), 20.0)) == 0.0
    assert phi_k(np.array([[5.0, 6.0]])) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(4, 30), st.integers(0, 10**6))
def test_group_tests_agree_with_scipy_and_statsmodels(groups: int, size: int, seed: int) -> None:
    oneway = pytest.importorskip("statsmodels.stats.oneway", reason="held against statsmodels")
    rng = np.random.default_rng(seed)
    samples = [rng.normal(i / 4, 1 + i, size + i).round(1) for i in range(groups)]
    values, codes = np.concatenate(samples), np.repeat(np.arange(groups), [len(s) for s in samples])
    sums = GroupSums.of(codes, values, groups)
    half = len(values) // 2
    merged = GroupSums.of(codes[:half], values[:half], groups).merge(GroupSums.of(codes[half:], values[half:], groups))
    for a, b in zip(sums, merged, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    f, d1, d2 = welch(sums)
    wanted = oneway.anova_oneway(samples, use_var="unequal")
    assert (f, d2) == pytest.approx((wanted.statistic, wanted.df_denom), rel=1e-9)
    assert float(f_tail(f, d1, d2)) == pytest.approx(wanted.pvalue, rel=1e-7)
    h, df, epsilon = kruskal(codes, values)
    wanted = stats.kruskal(*samples)
    assert (h, float(chi_squared_tail(h, df))) == pytest.approx((wanted.statistic, wanted.pvalue), rel=1e-8)
    eta = eta_squared(sums)
    f = stats.f_oneway(*samples).statistic
    assert eta / (1 - eta) * (len(values) - groups) / (groups - 1) == pytest.approx(f)
    assert 0 <= epsilon <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(12, 400), st.sampled_from(["normal", "exponential", "uniform"]), st.integers(0, 10**6))
@example(12, "exponential", 10578)  # the approximation gives 0.1, the table less
def test_normality_tests_agree_with_scipy_and_statsmodels(n: int, kind: str, seed: int) -> None:
    diagnostic = pytest.importorskip("statsmodels.stats.diagnostic", reason="held against statsmodels")
    values = np.sort(getattr(np.random.default_rng(seed), kind)(size=n))
    if n >= 20:
        wanted = stats.normaltest(values)
        skewness, kurtosis = stats.skew(values), stats.kurtosis(values)
        assert dagostino(skewness, kurtosis, n) == pytest.approx((wanted.statistic, wanted.pvalue), rel=1e-6)
    wanted = stats.shapiro(values)
    found = shapiro(values)
    assert found[0] == pytest.approx(wanted.statistic, abs=2e-5)
    assert found[1] == pytest.approx(wanted.pvalue, rel=0.02, abs=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distance, p = diagnostic.lilliefors(values, pvalmethod="approx")
        a2, a_p = diagnostic.normal_ad(values)
    own = lilliefors(values)
    assert own[0] == pytest.approx(distance, rel=1e-9)
    if own[1] < 0.1:
        assert own[1] == pytest.approx(p, rel=1e-6)
    else:  # there statsmodels goes over to a table, whose values begin a little below
        assert p > 0.09
    # statsmodels takes 1 - cdf, which has few digits left for values far out.
    assert anderson_darling(values)[0] == pytest.approx(a2 * (1 + 0.75 / n + 2.25 / n**2), rel=1e-5)
    assert anderson_darling(values)[1] == pytest.approx(a_p, rel=1e-5, abs=1e-12)


def test_first_digits_and_the_words_for_them() -> None:
    powers = 2.0 ** np.arange(1000)
    deviation, by_chance, word = benford(first_digits(powers))
    assert (word, deviation < by_chance) == ("close", True)
    assert benford(first_digits(RNG.uniform(1, 10, 5000)))[2] == "nonconformity"
    assert first_digits(np.array([0.1, 0.2, 0.3, 0.7, 1000, 999])).tolist() == [2, 1, 1, 0, 0, 0, 1, 0, 1]


def test_intervals_of_effects_cover_at_the_stated_rate() -> None:
    rng, tries, n = np.random.default_rng(17), 500, 300
    truth = np.array([[0.3, 0.1, 0.1], [0.05, 0.2, 0.25]])
    free = np.outer(truth.sum(axis=1), truth.sum(axis=0))
    v = math.sqrt(((truth - free) ** 2 / free).sum())
    bits = (truth * np.log2(truth / free)).sum()
    eta, d = 0.25 * 0.5**2 / (1 + 0.25 * 0.5**2), 0.5
    hits = np.zeros(5)
    for _ in range(tries):
        table = rng.multinomial(n, truth.ravel()).reshape(2, 3).astype(float)
        low, high = cramers_v(table)[1]
        hits[0] += low <= v <= high
        low, high = mutual_information(table)[1]
        hits[1] += low <= bits <= high
        none = rng.multinomial(n, free.ravel()).reshape(2, 3).astype(float)
        hits[2] += cramers_v(none)[1][0] == 0
        codes = rng.integers(0, 2, n)
        values = rng.normal(size=n) + d * codes
        sums = GroupSums.of(codes, values, 2)
        low, high = eta_interval(codes, values, eta_squared(sums))
        hits[3] += low <= eta <= high
        low, high = cohens_d(sums)[1]
        hits[4] += low <= d <= high
    rates = hits / tries
    assert (rates > 0.925).all(), rates
    assert (np.delete(rates, 2) < 0.98).all(), rates


def test_chance_alone_gives_no_epsilon_squared_on_average() -> None:
    found = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        codes, values = rng.integers(0, 10, 100), rng.normal(size=100)
        eta = eta_squared(GroupSums.of(codes, values, 10))
        found.append(1 - (1 - eta) * 99 / 90)
        assert epsilon_squared(eta, 10, 100) >= 0
    assert abs(np.mean(found)) < 0.01
