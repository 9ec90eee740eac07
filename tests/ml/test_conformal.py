"""Intervals and sets hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.errors import ConfigError
from raypipe.ml.calibration.calibrate import calibrate
from raypipe.ml.calibration.conformal import (
    around,
    class_scores,
    inside,
    interval_loss,
    needed_rows,
    quantile,
    sets,
    thinned,
    true_scores,
)
from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.specs import CalibrationSpec, ClassifierModelSpec, ModelSpec, NumericFeatureSpec, ValidationSpec
from raypipe.ml.workflow import run_ml_workflow
from raypipe.ml.workflow.trial import fitted_on
from tests.ml.frames import people
from tests.ml.said import more, two

FINITE = st.floats(-1e3, 1e3)


def uneven(n: int, seed: int, even: bool) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    spread = 1.0 if even else np.exp(1.2 * table["b"])
    return table, (2 * table["a"] + spread * rng.normal(size=n)).to_numpy()


def made(table: pd.DataFrame, y: np.ndarray, spec: CalibrationSpec):
    data = training_data(table, y, "regression")
    features = tuple(NumericFeatureSpec(feature_name=name) for name in "ab")
    recipe = Recipe(features, ModelSpec(model_name="m", algorithm="ridge"), "regression", 0)
    return calibrate(spec, (recipe, {}, fitted_on(recipe, data)), data, ValidationSpec())


@given(st.lists(FINITE, min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_so_many_scores_lie_at_or_below_the_quantile(scores, confidence):
    values = np.array(scores)
    if len(values) < needed_rows(confidence):
        with pytest.raises(ConfigError, match=r"needs \d+ rows that no model saw; there are \d+: use more rows"):
            quantile(values, confidence)
    else:
        below = (values <= quantile(values, confidence)).sum()
        assert below >= math.ceil(round((len(values) + 1) * confidence, 9))


@given(st.lists(FINITE, min_size=1, max_size=80), st.integers(5, 80), st.floats(0.1, 0.8))
def test_fewer_scores_never_give_a_lower_quantile(scores, most, confidence):
    values = np.array(scores)
    kept = thinned(values, most)
    assert len(kept) == min(len(values), most)
    if len(kept) >= needed_rows(confidence):
        assert quantile(kept, confidence) >= quantile(values, confidence)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9_999), st.integers(2, 4), st.floats(0.3, 0.9))
def test_intervals_of_several_models_are_cv_plus(seed, models, confidence):
    rng = np.random.default_rng(seed)
    said = rng.normal(size=(3, models))
    scores = [np.abs(rng.normal(size=8)) for _ in range(models)]
    n = 8 * models
    place = math.ceil((n + 1) * confidence)
    if place > n:
        return
    for row, (low, high) in zip(said, around(said, scores, confidence), strict=True):
        lows = np.sort(np.concatenate([row[k] - scores[k] for k in range(models)]))
        highs = np.sort(np.concatenate([row[k] + scores[k] for k in range(models)]))
        assert high == highs[place - 1]
        assert low == lows[n - place]


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize(("rows", "slope"), [(two, 1.0), (more, 1.0), (more, 3.0)])
@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_sets_hold_the_class_as_often_as_they_say(score, rows, slope, confidence):
    """40 calibrations on 300 rows, each tried on 2,000: the mean coverage is what was asked for, also of a model that
    is three times too sure. Above by as much as the most probable class is always in."""
    covered = []
    for seed in range(40):
        said, y = rows(2_300, seed, slope)
        limit = quantile(true_scores(said.values[:300], y[:300], score), confidence)
        found = sets(said.values[300:], limit, score)
        assert found.any(axis=1).all()
        covered.append(found[np.arange(2_000), y[300:]].mean())
    assert confidence - 0.01 < np.mean(covered) < confidence + 0.04


def test_sets_of_the_kind_that_is_even_over_rows_are_larger():
    said, y = more(4_000, 0)
    sizes, gap = {}, {}
    unsure = said.values.max(axis=1) < np.quantile(said.values.max(axis=1), 0.3)
    for score in ("lac", "aps"):
        found = sets(said.values, quantile(true_scores(said.values, y, score), 0.9), score)
        sizes[score] = found.sum(axis=1).mean()
        hit = found[np.arange(4_000), y]
        gap[score] = abs(hit[unsure].mean() - hit[~unsure].mean())
    assert sizes["lac"] < sizes["aps"]
    assert gap["aps"] < gap["lac"]


def test_a_row_gets_its_set_in_any_block():
    said, _ = more(50, 3)
    whole = class_scores(said.values, "aps")
    assert (np.concatenate([class_scores(said.values[i : i + 7], "aps") for i in range(0, 50, 7)]) == whole).all()


@pytest.mark.parametrize("cv", ["prefit", 5])
def test_intervals_hold_the_value_as_often_as_they_say(cv):
    """10 models of 150 rows, each tried on 1,000 new ones; mean coverage within 0.02 of 0.9, as is what they told."""
    covered, told = [], []
    for seed in range(10):
        table, y = uneven(1_150, seed, even=True)
        done = made(table[:150], y[:150], CalibrationSpec(conformal=0.9, cv_strategy=cv))
        covered.append(inside(y[150:], done.model.predict_interval(table[150:])).mean())
        told.append(done.summary["conformal"]["measured_coverage"])
    assert 0.88 < np.mean(covered) < 0.93
    assert abs(np.mean(covered) - np.mean(told)) < 0.02
    assert done.summary["conformal"]["method"] == ("cv+" if cv == 5 else "out-of-fold residuals")
    wide, narrow = (np.ptp(done.model.predict_interval(table, c), axis=1).mean() for c in (0.95, 0.5))
    assert wide > 2 * narrow


def test_hard_rows_get_wider_intervals_where_that_helps():
    table, y = uneven(1_500, 0, even=False)
    done = made(table[:900], y[:900], CalibrationSpec(conformal=0.9, n_splits=3))
    told = done.summary["conformal"]
    assert told["score"] == "normalised"
    assert told["interval_loss_normalised"] < told["interval_loss_absolute"]
    ends, hard = done.model.predict_interval(table[900:]), table["b"][900:] > 1
    assert np.ptp(ends[hard], axis=1).mean() > 3 * np.ptp(ends[~hard], axis=1).mean()
    assert inside(y[900:], ends)[hard].mean() > 0.8
    assert 0.87 < inside(y[900:], ends).mean() < 0.96


def test_even_rows_get_intervals_of_one_width():
    table, y = uneven(400, 0, even=True)
    done = made(table, y, CalibrationSpec(conformal=0.9, n_splits=3))
    assert done.summary["conformal"]["score"] == "absolute"
    assert np.ptp(np.ptp(done.model.predict_interval(table), axis=1)) < 1e-9


def test_the_loss_of_an_interval_is_its_width_and_what_it_misses_by_its_odds():
    ends = np.array([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
    assert interval_loss(np.array([1.0, 3.0, -1.0]), ends, 0.9) == pytest.approx([2.0, 22.0, 22.0])


def test_a_workflow_tells_the_coverage_of_its_sets():
    table = people(300)
    spec = CalibrationSpec(conformal=0.9, conformal_sets="aps")
    model = ClassifierModelSpec(model_name="m", algorithm="linear")
    result = run_ml_workflow(None, model, table, "churn", "none", calibration_spec=spec)
    told = result.calibration_summary["conformal"]
    assert 0.85 < told["measured_coverage"] < 0.95
    assert told["score"] == "aps"
    assert set(told["coverage_by_class"]) == {"yes", "no"}
    found = result.pipeline.predict_set(table)
    assert found.shape == (300, 2)
    assert found.sum() > result.pipeline.predict_set(table, 0.6, "lac").sum()
