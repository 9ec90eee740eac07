"""Metrics are those of scikit-learn, and intervals hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from raypipe.errors import ConfigError
from raypipe.ml.calibration.reliability import classwise_ece, reliability_table
from raypipe.ml.metrics import METRICS, Truth, compute, equal_bins, metrics_for, score

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:sklearn.*")
RATINGS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 0.9, 1.0])


@st.composite
def two_classes(draw: st.DrawFn) -> Truth:
    n = draw(st.integers(2, 40))
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    second = np.array(draw(st.lists(RATINGS, min_size=n, max_size=n)))
    return Truth("classification", y, np.column_stack([1 - second, second]))


@st.composite
def more_classes(draw: st.DrawFn) -> Truth:
    n, k = draw(st.integers(4, 40)), draw(st.integers(3, 5))
    y = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    raw = np.array(draw(st.lists(st.integers(1, 9), min_size=n * k, max_size=n * k)), float).reshape(n, k)
    return Truth("classification", y, raw / raw.sum(axis=1, keepdims=True))


def same(found: float | None, wanted: float) -> None:
    assert found == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(two_classes())
def test_two_classes_are_measured_as_scikit_learn_does(t):
    y, second, said = t.y, t.estimate[:, 1], t.chosen
    same(compute("accuracy", t), sk.accuracy_score(y, said))
    same(compute("precision", t), sk.precision_score(y, said, zero_division=0))
    same(compute("recall", t), sk.recall_score(y, said, zero_division=0))
    same(compute("f1_score", t), sk.f1_score(y, said, zero_division=0))
    same(compute("mcc", t), sk.matthews_corrcoef(y, said))
    same(compute("brier", t), sk.brier_score_loss(y, second))
    same(compute("log_loss", t), sk.log_loss(y, np.clip(t.estimate, 1e-15, 1), labels=[0, 1]))
    if len(set(y)) == 2:
        same(compute("roc_auc", t), sk.roc_auc_score(y, second))
        same(compute("balanced_accuracy", t), sk.balanced_accuracy_score(y, said))
    if y.any():
        same(compute("average_precision", t), sk.average_precision_score(y, second))


@settings(max_examples=60, deadline=None)
@given(more_classes())
def test_more_classes_are_measured_as_scikit_learn_does(t):
    y, said, k = t.y, t.chosen, t.estimate.shape[1]
    same(compute("accuracy", t), sk.accuracy_score(y, said))
    same(compute("f1_score", t), sk.f1_score(y, said, average="macro", zero_division=0))
    same(compute("precision", t), sk.precision_score(y, said, average="macro", zero_division=0))
    same(compute("recall", t), sk.recall_score(y, said, average="macro", zero_division=0))
    same(compute("mcc", t), sk.matthews_corrcoef(y, said))
    same(compute("log_loss", t), sk.log_loss(y, t.estimate, labels=range(k)))
    if len(set(y)) == k:
        same(compute("roc_auc", t), sk.roc_auc_score(y, t.estimate, multi_class="ovr"))
        same(compute("balanced_accuracy", t), sk.balanced_accuracy_score(y, said))


FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE), min_size=2, max_size=40))
def test_numbers_are_measured_as_scikit_learn_does(pairs):
    y, said = np.array(pairs).T
    t = Truth("regression", y, said)
    assert compute("rmse", t) == pytest.approx(sk.root_mean_squared_error(y, said), rel=1e-9)
    assert compute("mae", t) == pytest.approx(sk.mean_absolute_error(y, said), rel=1e-9)
    assert compute("median_ae", t) == pytest.approx(sk.median_absolute_error(y, said), rel=1e-9)
    if np.ptp(y) > 1e-3:
        assert compute("r2", t) == pytest.approx(sk.r2_score(y, said), rel=1e-6)
    if (np.abs(y) > 1e-6).all():
        assert compute("mape", t) == pytest.approx(sk.mean_absolute_percentage_error(y, said), rel=1e-9)


def test_what_cannot_be_computed_is_none_and_never_a_number():
    one = Truth("classification", np.zeros(5, int), np.full((5, 2), 0.5))
    assert compute("roc_auc", one) is None
    assert compute("average_precision", one) is None
    assert compute("lift", one) is None
    assert compute("r2", Truth("regression", np.ones(4), np.arange(4.0))) is None
    assert compute("mape", Truth("regression", np.zeros(4), np.ones(4))) is None
    ranks = Truth("classification", np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), are_probabilities=False)
    assert compute("log_loss", ranks) is None
    assert compute("roc_auc", ranks) == 1.0


def test_probabilities_that_are_true_have_no_calibration_error_to_speak_of():
    rng = np.random.default_rng(0)
    p = rng.random(40_000)
    t = Truth("classification", (rng.random(40_000) < p).astype(int), np.column_stack([1 - p, p]))
    assert compute("ece", t) < 0.012
    off = Truth("classification", t.y, np.column_stack([1 - p**3, p**3]))
    assert compute("ece", off) > 0.15


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(120):
        y = (rng.random(300) < 0.3).astype(int)
        said = np.where(rng.random(300) < 0.8, y, 1 - y).astype(float)  # right in 80 % of rows
        t = Truth("classification", y, np.column_stack([1 - said, said]))
        low, high = score(["accuracy"], t, seed=seed)["accuracy"].interval
        hits += low <= 0.8 <= high
    assert 0.88 <= hits / 120 <= 1.0


def test_the_calibration_error_has_no_interval_since_resampling_makes_it_larger():
    rng = np.random.default_rng(2)
    p = rng.random(500)
    t = Truth("classification", (rng.random(500) < p).astype(int), np.column_stack([1 - p, p]))
    drawn = [compute("ece", t.take(rng.integers(0, 500, 500))) for _ in range(200)]
    assert np.median(drawn) > 1.1 * compute("ece", t)
    told = score(["ece", "log_loss"], t)
    assert told["ece"].interval is None
    assert told["log_loss"].interval is not None


def test_rows_of_one_group_make_intervals_wider():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), 20)
    right = np.repeat(rng.random(30) < 0.7, 20)
    y = rng.integers(0, 2, 600)
    said = np.where(right, y, 1 - y).astype(float)
    t = Truth("classification", y, np.column_stack([1 - said, said]))
    low, high = score(["accuracy"], t)["accuracy"].interval
    low_by_group, high_by_group = score(["accuracy"], t, groups=groups)["accuracy"].interval
    assert high_by_group - low_by_group > 2 * (high - low)


def test_a_metric_of_the_other_task_is_refused():
    with pytest.raises(ConfigError, match="there is no 'rmse' for classification; there are accuracy"):
        metrics_for("classification", ["rmse"])
    assert metrics_for("classification", ["f1_score", "f1_score"]) == ["f1_score"]
    assert set(metrics_for("classification")) | set(metrics_for("regression")) == set(METRICS)


def test_rows_of_equal_probability_stand_together_whatever_their_order():
    """A model that ranks nothing, and is right on average, has no lift and no calibration error."""
    y = np.r_[np.ones(100, int), np.zeros(900, int)]
    flat = Truth("classification", y, np.column_stack([np.full(1000, 0.9), np.full(1000, 0.1)]))
    assert compute("lift", flat) == pytest.approx(1.0)
    assert compute("ece", flat) == pytest.approx(0.0)
    assert [(one["rows"], one["holds"]) for one in reliability_table(flat)] == [(1000, True)]
    assert classwise_ece(flat) == pytest.approx([0.0, 0.0])
    rng = np.random.default_rng(0)
    said = rng.integers(0, 6, 1000) / 10
    tied = Truth("classification", (rng.random(1000) < said).astype(int), np.column_stack([1 - said, said]))
    for name in ("lift", "ece"):
        values = [compute(name, tied.take(rng.permutation(1000))) for _ in range(5)]
        assert values == pytest.approx([compute(name, tied)] * 5)


def test_bins_have_as_many_rows_each_where_no_values_are_equal():
    bins = equal_bins(np.random.default_rng(0).permutation(100).astype(float), 15)
    assert sorted(map(len, bins)) == [6] * 5 + [7] * 10
    assert sorted(np.concatenate(bins)) == list(range(100))
    assert [len(one) for one in equal_bins(np.array([1.0, 1, 1, 1, 2, 3, 3, 3]), 4)] == [4, 4]


def test_of_few_groups_there_is_no_interval():
    y = np.tile([0, 1], 50)
    t = Truth("classification", y, np.column_stack([1 - 0.7 * y, 0.7 * y]))
    for groups, known in ((1, False), (4, False), (5, True), (20, True)):
        told = score(["accuracy"], t, groups=np.arange(100) % groups)["accuracy"]
        assert (told.interval is not None) is known
