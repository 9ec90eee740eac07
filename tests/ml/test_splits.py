"""Splits keep apart what must not meet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raypipe.errors import ConfigError
from raypipe.ml.data import training_data
from raypipe.ml.specs import ValidationSpec
from raypipe.ml.splits import folds, hold_out, settled

SETTINGS = settings(max_examples=40, deadline=None)


def rows_of(n: int, seed: int, groups: int = 8, moments: int = 30):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "who": rng.integers(0, groups, n),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, moments, n), "D"),
            "fold": rng.integers(-1, 3, n),
        }
    )
    return table, rng.integers(0, 2, n)


@SETTINGS
@given(st.integers(60, 200), st.integers(0, 1_000), st.sampled_from(["kfold", "stratified", "repeated"]))
def test_every_row_is_tried_and_never_by_a_model_that_learnt_it(n, seed, strategy):
    table, y = rows_of(n, seed)
    data = training_data(table, y)
    spec = ValidationSpec(strategy=strategy, n_splits=3)
    found = folds(spec, data, seed)
    for train, test in found:
        assert not set(train) & set(test)
        assert len(train) + len(test) == n
    tried = np.concatenate([test for _, test in found])
    times = spec.n_repeats if strategy == "repeated" else 1
    assert (np.bincount(tried, minlength=n) == times).all()


@SETTINGS
@given(st.integers(60, 200), st.integers(0, 1_000), st.sampled_from(["group", "stratified_group", "auto"]))
def test_groups_never_stand_on_both_sides(n, seed, strategy):
    table, y = rows_of(n, seed)
    data = training_data(table, y, columns=("who", None, None))
    spec = ValidationSpec(strategy=strategy, n_splits=3, group_column="who")
    for train, test in [*folds(spec, data, seed), hold_out(spec, data, seed)]:
        assert not set(data.groups[train]) & set(data.groups[test])


@SETTINGS
@given(st.integers(60, 200), st.integers(0, 1_000), st.integers(0, 5), st.sampled_from([None, 20]))
def test_nothing_is_learnt_from_the_future(n, seed, gap, window):
    table, y = rows_of(n, seed)
    data = training_data(table, y, columns=(None, "when", None))
    spec = ValidationSpec(strategy="time", n_splits=3, time_column="when", gap=gap, window=window)
    try:
        drawn = [*folds(spec, data, seed), hold_out(spec, data, seed)]
    except ConfigError as error:  # early rows of few may have one class alone
        assume("one class alone" not in str(error))
        raise
    for train, test in drawn:
        assert data.times[train].max() < data.times[test].min()
    for train, _ in folds(spec, data, seed):
        assert window is None or len(train) <= window


@SETTINGS
@given(st.integers(80, 200), st.integers(0, 1_000), st.integers(0, 4), st.integers(0, 4))
def test_targets_that_reach_into_the_test_are_purged(n, seed, horizon, embargo):
    table, y = rows_of(n, seed)
    data = training_data(table, y, columns=(None, "when", None))
    spec = ValidationSpec(strategy="purged", n_splits=3, time_column="when", horizon_days=horizon, embargo_days=embargo)
    day = np.timedelta64(1, "D")
    for train, test in folds(spec, data, seed):
        first, last = data.times[test].min(), data.times[test].max()
        times = data.times[train]
        assert ((times + horizon * day < first) | (times > last + (horizon + embargo) * day)).all()


def test_folds_that_are_given_are_taken():
    table, y = rows_of(200, 1)
    data = training_data(table, y, columns=(None, None, "fold"))
    found = folds(ValidationSpec(strategy="predefined", fold_column="fold"), data, 0)
    assert [set(data.folds[test]) for _, test in found] == [{0}, {1}, {2}]
    assert all(-1 in data.folds[train] for train, _ in found)


def test_the_same_seed_deals_the_same_rows():
    table, y = rows_of(100, 3)
    data = training_data(table, y)
    one, two, other = (folds(ValidationSpec(strategy="kfold"), data, seed) for seed in (1, 1, 2))
    assert all((a[1] == b[1]).all() for a, b in zip(one, two, strict=True))
    assert any(len(a[1]) != len(b[1]) or (a[1] != b[1]).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("strategy", ["kfold", "stratified", "repeated"])
@pytest.mark.parametrize("tied", [{"group_column": "who"}, {"time_column": "when"}])
def test_a_split_at_random_is_refused_where_rows_hang_together(strategy, tied):
    with pytest.raises(ConfigError, match="deals rows at random, but .* would be too good; use strategy"):
        ValidationSpec.from_dict({"strategy": strategy, **tied})


@pytest.mark.parametrize("strategy", ["group", "stratified_group"])
def test_groups_are_not_dealt_at_random_where_rows_follow_each_other(strategy):
    both = {"group_column": "who", "time_column": "when"}
    with pytest.raises(
        ConfigError, match="deals groups at random, .* learn from what comes after; use strategy 'time'"
    ):
        ValidationSpec.from_dict({"strategy": strategy, **both})
    with pytest.raises(ConfigError, match="too good; use strategy 'time' or 'auto'"):
        ValidationSpec.from_dict({"strategy": "kfold", **both})
    rng = np.random.default_rng(0)
    table, y = rows_of(100, 3)
    table = table.assign(who=rng.integers(0, 30, 100), when=np.arange(100))
    data = training_data(table, y, columns=("who", "when", None))
    for train, test in folds(ValidationSpec(n_splits=3, **both), data, 0):
        assert data.times[train].max() < data.times[test].min()
        assert not set(data.groups[train]) & set(data.groups[test])


def test_auto_takes_what_the_rows_ask_for():
    table, y = rows_of(100, 3)
    auto = ValidationSpec()
    assert settled(auto, training_data(table, y)) == "stratified"
    assert settled(auto, training_data(table, table["x"])) == "kfold"
    assert settled(auto, training_data(table, y, columns=("who", None, None))) == "stratified_group"
    assert settled(auto, training_data(table, y, columns=("who", "when", None))) == "time"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "group"}, "needs group_column"),
        ({"strategy": "time"}, "needs time_column"),
        ({"strategy": "predefined"}, "needs fold_column"),
        ({"n_splits": 1}, "greater than or equal to 2"),
        ({"test_size": 1.0}, "less than 1"),
        ({"strategy": "leave_one_out"}, "got 'leave_one_out'"),
        ({"n_split": 3}, "there is no setting 'n_split'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(settings, message):
    with pytest.raises(ConfigError, match=message):
        ValidationSpec.from_dict(settings)


def test_too_few_rows_of_a_class_are_told():
    table, _ = rows_of(30, 0)
    y = np.array(["a"] * 28 + ["b"] * 2)
    with pytest.raises(ConfigError, match="5 folds want each class 5 times; 'b' stands in 2 rows"):
        folds(ValidationSpec(), training_data(table, y), 0)
    small, labels = rows_of(60, 0, groups=3)
    data = training_data(small, labels, columns=("who", None, None))
    with pytest.raises(ConfigError, match="5 folds need 5 groups; there are 3"):
        folds(ValidationSpec(strategy="group", group_column="who"), data, 0)


@pytest.mark.parametrize("gap", [0, 5, 16, 17, 20, 30, 49, 50, 60])
def test_a_gap_lies_between_or_there_is_no_fold(gap):
    table = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=100), "x": range(100), "y": np.arange(100.0)})
    data = training_data(table, "y", columns=(None, "t", None))
    spec = ValidationSpec(strategy="time", time_column="t", gap=gap, test_size=0.5)
    before = {"folds": 17, "hold_out": 50}  # rows before the first test
    for name, deal in (("folds", folds), ("hold_out", lambda *given: [hold_out(*given)])):
        if gap < before[name]:
            assert all(test.min() - train.max() > gap for train, test in deal(spec, data, 0))
        else:
            with pytest.raises(ConfigError, match=f"to learn from, with a gap of {gap} rows; use a smaller gap"):
                deal(spec, data, 0)


@pytest.mark.parametrize("strategy", ["time", "purged"])
def test_with_groups_and_times_neither_promise_is_broken(strategy):
    """A group comes once, or again within a few days."""
    table = pd.DataFrame(
        {"t": pd.date_range("2024-01-01", periods=200), "g": np.arange(200) // 7, "y": np.arange(200.0)}
    )
    data = training_data(table.assign(x=1.0), "y", columns=("g", "t", None))
    spec = ValidationSpec(strategy=strategy, time_column="t", group_column="g")
    for train, test in [*folds(spec, data, 0), hold_out(spec, data, 0)]:
        assert not set(data.groups[train]) & set(data.groups[test])
    always = training_data(table.assign(g=np.arange(200) % 3, x=1.0), "y", columns=("g", "t", None))
    with pytest.raises(ConfigError, match="groups of the rows before the test are in the test too; leave group_column"):
        folds(spec.replace(strategy="time"), always, 0)
