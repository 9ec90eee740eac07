"""Effect sizes and their chance levels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.insights.effects import (
    chi_squared_score,
    corrected_cramers_v,
    effect_word,
    f_score,
    fisher_interval,
    fisher_score,
    score_limit,
    variance_explained,
)


@given(st.floats(-1, 1), st.integers(0, 10**9))
def test_fisher_interval_holds_its_correlation_and_stays_within_one(r, n):
    interval = fisher_interval(r, n)
    if n < 4:
        assert interval is None
    else:
        assert -1 <= interval[0] <= r + 1e-12
        assert r - 1e-12 <= interval[1] <= 1


def test_fisher_interval_covers_the_true_correlation_in_about_95_percent_of_samples():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        x = rng.normal(size=60)
        y = 0.6 * x + 0.8 * rng.normal(size=60)
        low, high = fisher_interval(float(np.corrcoef(x, y)[0, 1]), 60)
        hits += low <= 0.6 <= high
    assert 365 <= hits <= 395


@pytest.mark.parametrize(
    ("f", "d1", "d2", "score"), [(3.84, 1, 1000, 1.64), (2.37, 4, 1000, 1.64), (3.89, 2, 200, 2.01)]
)
def test_f_score_meets_tabled_percentiles(f, d1, d2, score):
    assert f_score(f, d1, d2) == pytest.approx(score, abs=0.03)


@pytest.mark.parametrize(("chi2", "df", "score"), [(3.841, 1, 1.645), (18.307, 10, 1.645), (23.209, 10, 2.326)])
def test_chi_squared_score_meets_tabled_percentiles(chi2, df, score):
    assert chi_squared_score(chi2, df) == pytest.approx(score, abs=0.05)


@pytest.mark.parametrize("f", [0.0, -1.0, math.nan])
def test_a_ratio_that_is_none_scores_nothing(f):
    assert f_score(f, 3, 100) == 0.0
    assert chi_squared_score(f, 3) == 0.0
    assert f_score(5.0, 0, 100) == 0.0
    assert fisher_score(0.9, 3) == 0.0


def test_scores_of_pure_chance_look_standard_normal():
    rng = np.random.default_rng(2)
    scores, shares = [], []
    for _ in range(400):
        y, g = rng.normal(size=300), rng.integers(0, 12, 300)
        eta, score = variance_explained(np.bincount(g, minlength=12) * 1.0, np.bincount(g, y, 12), float(y @ y))
        scores.append(score)
        shares.append(eta)
    assert abs(np.mean(scores)) < 0.15
    assert 0.85 < np.std(scores) < 1.15
    assert np.mean(shares) < 0.02, "uncorrected eta squared would be 11 / 299 = 0.037"


def test_variance_explained_is_one_where_groups_say_all_and_nothing_where_there_is_no_spread():
    n, total = np.array([50.0, 50.0]), np.array([50.0, -50.0])
    eta, score = variance_explained(n, total, 100.0)
    assert eta == pytest.approx(1.0)
    assert score > 10
    assert variance_explained(n, np.array([50.0, 50.0]), 100.0) == (0.0, 0.0)
    assert variance_explained(np.zeros(3), np.zeros(3), 0.0) == (0.0, 0.0)


def test_one_row_per_group_explains_nothing():
    y = np.random.default_rng(3).normal(size=40)
    assert variance_explained(np.ones(40), y, float(y @ y)) == (0.0, 0.0)


def test_cramers_v_of_independent_columns_is_near_zero_even_with_many_levels():
    rng = np.random.default_rng(4)
    values = []
    for _ in range(100):
        table = np.zeros((30, 5))
        np.add.at(table, (rng.integers(0, 30, 500), rng.integers(0, 5, 500)), 1)
        values.append(corrected_cramers_v(table)[0])
    assert np.mean(values) < 0.06, "uncorrected, it would be about 0.24"


def test_cramers_v_of_the_same_column_is_one_and_of_one_class_zero():
    assert corrected_cramers_v(np.diag([40.0, 30.0, 30.0]))[0] == pytest.approx(1.0, abs=0.01)
    assert corrected_cramers_v(np.array([[5.0], [6.0]])) == (0.0, 0.0)
    assert corrected_cramers_v(np.zeros((3, 3))) == (0.0, 0.0)


def test_limit_grows_with_the_number_of_tests_and_words_with_strength():
    assert score_limit(1) < score_limit(20) < score_limit(20_000)
    assert [effect_word(x) for x in (0.0, 0.2, 0.4, 0.6, 0.9)] == [
        "negligible",
        "weak",
        "moderate",
        "strong",
        "very strong",
    ]
