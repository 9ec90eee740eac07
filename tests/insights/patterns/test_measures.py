"""The measures behind patterns, against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.chance import false_discoveries, wilson_interval
from raypipe.insights.chance import binomial_at_most, hypergeometric_at_least
from raypipe.insights.patterns.anomalies import break_of_tail, robust_distances
from raypipe.insights.patterns.density import hdbscan
from raypipe.insights.patterns.kmeans import adjusted_rand, assign, kmeans, silhouette
from raypipe.insights.patterns.matrix import normal_scores, scale, spread_ties
from raypipe.insights.patterns.profiles import rank_biserial
from raypipe.insights.patterns.valley import find_valley, judge_valley

LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=40)


def blobs(seed: int, rows: int = 300, columns: int = 3, far: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    centres = rng.normal(size=(3, columns)) * far
    return centres[labels] + rng.normal(size=(rows, columns)), labels


@settings(max_examples=40, deadline=None)
@given(LABELS, st.randoms(use_true_random=False))
def test_the_adjusted_rand_index_is_that_of_scikit_learn(labels, random):
    metrics = pytest.importorskip("sklearn.metrics")
    other = [random.randint(0, 2) for _ in labels]
    expected = metrics.adjusted_rand_score(labels, other)
    assert adjusted_rand(np.array(labels), np.array(other)) == pytest.approx(expected, abs=1e-12)


def test_the_silhouette_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    x, labels = blobs(1)
    assert silhouette(x, labels) == pytest.approx(metrics.silhouette_score(x, labels), abs=1e-9)
    assert silhouette(x, np.zeros(len(x), int)) is None


def test_k_means_is_as_good_as_scikit_learns():
    cluster = pytest.importorskip("sklearn.cluster")
    for seed in range(3):
        x, _ = blobs(seed, far=2.0)
        centres = kmeans(x, 3, seed)
        own = float(((x - centres[assign(x, centres)]) ** 2).sum())
        assert own <= cluster.KMeans(3, n_init=10, random_state=0).fit(x).inertia_ * 1.001


def test_hdbscan_finds_the_groups_and_the_noise_of_scikit_learn():
    cluster = pytest.importorskip("sklearn.cluster")
    datasets = pytest.importorskip("sklearn.datasets")
    moons = datasets.make_moons(300, noise=0.06, random_state=3)[0]
    rng = np.random.default_rng(5)
    scattered = np.vstack([blobs(2, 200)[0], rng.uniform(-15, 15, size=(40, 3))])
    for x in (moons, scattered):
        expected = cluster.HDBSCAN(min_cluster_size=15, min_samples=15, copy=True).fit(x).labels_
        found = hdbscan(x, 15)
        assert adjusted_rand(found, expected) > 0.97
        assert abs((found < 0).mean() - (expected < 0).mean()) < 0.02
    assert (hdbscan(moons[:10], 15) == -1).all()


def test_binomial_and_hypergeometric_chances_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for k, n in ((0, 1), (3, 20), (40, 130), (7, 7)):
        assert binomial_at_most(k, n) == pytest.approx(stats.binom.cdf(k, n, 0.5), rel=1e-9)
    for both, a, b, n in ((3, 5, 8, 30), (20, 40, 60, 500), (0, 3, 3, 9), (9, 5, 8, 30)):
        expected = stats.hypergeom.sf(both - 1, n, a, b)
        assert hypergeometric_at_least(both, a, b, n) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_false_discovery_rates_are_those_of_scipy(p):
    stats = pytest.importorskip("scipy.stats")
    assert false_discoveries(p) == pytest.approx(list(stats.false_discovery_control(p)), abs=1e-12)


def test_the_wilson_interval_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for hits, rows in ((0, 50), (3, 40), (40, 40), (199, 1000)):
        interval = stats.binomtest(hits, rows).proportion_ci(method="wilson")
        assert wilson_interval(hits, rows) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_the_rank_biserial_correlation_follows_from_the_mann_whitney_statistic():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 50).astype(float), rng.integers(2, 12, 70).astype(float)
    u = stats.mannwhitneyu(a, b).statistic
    assert rank_biserial(a, b) == pytest.approx(2 * u / (50 * 70) - 1)


def test_normal_scores_are_normal_quantiles_of_ranks():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).exponential(size=(200, 1))
    expected = stats.norm.ppf((stats.rankdata(values[:, 0]) - 0.5) / 200)
    assert np.abs(normal_scores(values)[:, 0] - expected).max() < 1e-3
    assert normal_scores(np.array([[1.0], [np.nan], [2.0]]))[1, 0] == 0.0


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 50))
def test_the_robust_scale_is_free_of_units(factor, shift, seed):
    values = np.random.default_rng(seed).standard_t(3, size=101)
    assert np.allclose(scale(values * factor + shift), scale(values), atol=1e-6 * (1 + abs(shift) / factor))


def test_the_robust_scale_bears_huge_values_and_constants():
    assert np.isfinite(scale(np.array([-1.7e308, 0.0, 1.7e308, 5.0, np.nan]))).all()
    assert (scale(np.full(9, 3.0)) == 0).all()


def test_ties_are_spread_within_their_resolution_and_single_values_stay():
    whole = np.random.default_rng(0).integers(0, 9, 500).astype(float)
    spread = spread_ties(whole, 1)
    assert (np.round(spread) == whole).all()
    assert len(np.unique(spread)) > 490
    smooth = np.random.default_rng(0).normal(size=100)
    assert spread_ties(smooth, 1) is smooth


def test_without_odd_rows_the_robust_distance_orders_rows_as_mahalanobis_does():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
    away = x - x.mean(axis=0)
    expected = np.sqrt((away @ np.linalg.inv(np.cov(x, rowvar=False)) * away).sum(axis=1))
    found, parts = robust_distances(x)
    assert stats.spearmanr(found, expected).statistic > 0.98
    assert np.allclose(parts.sum(axis=1), 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 2.0))
def test_the_gap_test_holds_its_level_on_power_laws_and_is_free_of_scale(seed, index):
    distances = np.random.default_rng(seed).uniform(size=400) ** -index
    count, p, _, _ = break_of_tail(distances, 1e-5)
    assert (count, p > 1e-5) == (0, True)
    assert break_of_tail(distances * 7.3, 1e-5)[1] == pytest.approx(p, rel=1e-6)


def test_p_values_of_the_gap_test_are_not_too_small():
    small = [break_of_tail(np.random.default_rng(i).uniform(size=300) ** -0.5, 0.05)[1] <= 0.05 for i in range(300)]
    assert np.mean(small) <= 0.08


def test_one_mode_of_any_shape_has_no_valley_and_two_have():
    rng = np.random.default_rng(0)
    shapes = (rng.normal(size=2000), rng.exponential(size=2000), rng.uniform(size=2000), rng.standard_t(2, size=2000))
    for values in shapes:
        valley = find_valley(np.arcsinh(values[:1000]))
        assert valley is None or judge_valley(np.arcsinh(values[1000:]), valley)[0] > 0.001
    two = np.where(rng.random(2000) < 0.3, rng.normal(size=2000) + 5, rng.normal(size=2000))
    valley = find_valley(two[:1000])
    assert valley is not None
    p, depth = judge_valley(two[1000:], valley)
    assert p < 1e-6
    assert depth < 0.5
    assert 1.5 < valley.cut < 4.5
