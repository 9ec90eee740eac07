"""Calibration: on rows that the model did not see, never worse by more than noise, and never in the way.

Numbers in names are those of the list of defects of the older system.
"""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import LinearSVC

from raypipe.errors import ConfigError
from raypipe.ml.calibration.calibrate import calibrate
from raypipe.ml.calibration.choose import WAYS, choose, row_losses
from raypipe.ml.calibration.held import folds_for, standard_error
from raypipe.ml.calibration.maps import fit
from raypipe.ml.calibration.model import TRUSTED
from raypipe.ml.calibration.reliability import reliability_table, wilson
from raypipe.ml.calibration.threshold import Rated, best_threshold, threshold_curve, tune
from raypipe.ml.data import training_data
from raypipe.ml.metrics import Truth, compute
from raypipe.ml.model import Estimate, Recipe
from raypipe.ml.specs import (
    CalibrationSpec,
    CalibrationSpecBuilder,
    ClassifierCalibrationSpec,
    ClassifierModelSpec,
    Costs,
    ModelSpec,
    NumericFeatureSpec,
    RegressorModelSpec,
    ValidationSpec,
)
from raypipe.ml.workflow import run_ml_workflow
from raypipe.ml.workflow.trial import fitted_on
from tests.ml.frames import numbers, people
from tests.ml.said import held, more, two

LINEAR = ClassifierModelSpec(model_name="m", algorithm="linear")
PEOPLE = people(240)
X, Y = PEOPLE.drop(columns=["churn"]), PEOPLE["churn"]


def rows_of(n: int, seed: int = 0, classes: int = 2) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    rating = table["a"] + 0.5 * table["b"] + rng.normal(size=n)
    return table, np.array(["no", "yes", "why"])[:classes][pd.qcut(rating, classes, labels=False)]


def made(table: pd.DataFrame, y: np.ndarray, spec: CalibrationSpec, algorithm: str = "linear", columns=(None,) * 3):
    data = training_data(table, y, columns=columns)
    features = tuple(NumericFeatureSpec(feature_name=name) for name in "abc")
    recipe = Recipe(features, ModelSpec(model_name="m", algorithm=algorithm), data.task, 0)
    validation = ValidationSpec(group_column=columns[0], time_column=columns[1])
    return calibrate(spec, (recipe, {}, fitted_on(recipe, data)), data, validation)


# ── the ways ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 4.0), st.sampled_from(WAYS), st.sampled_from([two, more]))
def test_probabilities_sum_to_one_and_lie_between_zero_and_one(seed, slope, way, rows):
    said, y = rows(60, seed, slope)
    found = fit(way, said, y).apply(rows(40, seed + 1, slope)[0])
    assert np.allclose(found.sum(axis=1), 1)
    assert ((found >= 0) & (found <= 1)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3.0, 4.0), st.sampled_from(WAYS))
def test_a_row_that_is_rated_higher_never_gets_less(seed, slope, way):
    said, y = two(60, seed, slope)
    found = fit(way, said, y).apply(said)[:, 1]
    assert (np.diff(found[np.argsort(said.values[:, 1], kind="stable")]) >= -1e-12).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rows", [two, more])
def test_classes_keep_their_places_whatever_they_are_called(way, rows):
    said, y = rows(400, 1)
    turned = Estimate(said.values[:, ::-1])
    last = said.values.shape[1] - 1
    one, other = fit(way, said, y).apply(said), fit(way, turned, last - y).apply(turned)
    assert np.allclose(one, other[:, ::-1], atol=2e-3)


def test_certainty_that_is_wrong_costs_no_more_than_it_must():
    said = Estimate(np.repeat([[1.0, 0.0], [0.0, 1.0]], 50, axis=0))
    y = np.repeat([0, 1], 50)
    y[[3, 70]] = [1, 0]
    for way in ("temperature", "sigmoid", "isotonic"):
        assert row_losses(fit(way, said, y).apply(said), y).max() < 6
    assert row_losses(fit("none", said, y).apply(said), y).max() > 30


# ── beside scikit-learn ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("way", "near"), [("sigmoid", 1e-4), ("isotonic", 3e-3), ("temperature", 1e-3)])
def test_two_classes_come_out_as_scikit_learn_has_them(way, near):
    table, y = rows_of(500)
    cv = list(StratifiedKFold(4, shuffle=True, random_state=0).split(table, y))
    model = LogisticRegression(C=50)
    wanted = CalibratedClassifierCV(model, method=way, cv=cv, ensemble=False).fit(table, y).predict_proba(table)
    said = Estimate(cross_val_predict(model, table, y, cv=cv, method="predict_proba"))
    fitted = Estimate(model.fit(table, y).predict_proba(table))
    found = fit(way, said, np.unique(y, return_inverse=True)[1]).apply(fitted)
    assert np.abs(found - wanted).max() < near


@pytest.mark.parametrize(("way", "near"), [("sigmoid", 1e-4), ("isotonic", 6e-3)])
def test_distances_of_more_classes_come_out_as_scikit_learn_has_them(way, near):
    table, y = rows_of(450, classes=3)
    cv = list(StratifiedKFold(3, shuffle=True, random_state=0).split(table, y))
    model = LinearSVC()
    wanted = CalibratedClassifierCV(model, method=way, cv=cv, ensemble=False).fit(table, y).predict_proba(table)
    said = Estimate(cross_val_predict(model, table, y, cv=cv, method="decision_function"), False)
    fitted = Estimate(model.fit(table, y).decision_function(table), False)
    found = fit(way, said, np.unique(y, return_inverse=True)[1]).apply(fitted)
    assert np.abs(found - wanted).max() < near


# ── the choice ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_that_is_right_is_left_as_it_is():
    kept = [choose(held(*two(400, seed)), "auto").way for seed in range(20)]
    kept += [choose(held(*more(400, seed)), "auto").way for seed in range(10)]
    assert kept.count("none") >= 27


def test_what_is_chosen_makes_new_rows_no_worse_by_more_than_noise():
    """Models too sure, too unsure, shifted or right, calibrated on 300 or 1,500 rows and tried on 10,000 new ones."""
    changes = []
    for seed in range(8):
        for rows, kind in ((300, two), (1_500, more)):
            slope, shift = [(2.5, 0.0), (0.5, 0.0), (1.0, 0.0), (1.0, 0.7)][seed % 4]
            how = {"slope": slope, **({"shift": shift} if kind is two else {})}
            learnt, new = kind(rows, seed, **how), kind(10_000, seed + 999, **how)
            way = choose(held(*learnt), "auto").way
            after = row_losses(fit(way, *learnt).apply(new[0]), new[1])
            changes.append(after.mean() - row_losses(new[0].values, new[1]).mean())
    assert np.mean(changes) < -0.03
    assert max(changes) < 0.004


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["naive_bayes", "random_forest", "gradient_boosting"])
def test_models_that_learnt_are_no_worse_on_new_rows_by_more_than_noise(algorithm):
    changes = []
    for seed in range(6):
        table, y = rows_of(3_400, seed)
        learnt, new = slice(0, 400), slice(400, None)
        done = made(table[learnt], y[learnt], CalibrationSpec(n_splits=3), algorithm)
        truth = np.unique(y[new], return_inverse=True)[1]
        after = row_losses(done.model.predict_proba(table[new]), truth)
        before = row_losses(done.model.pipeline.predict_proba(table[new]), truth)
        changes.append((after - before).mean() - 2 * standard_error(after - before))
    assert max(changes) < 0.005
    assert np.mean(changes) <= 0


def test_a_curve_of_any_shape_is_not_chosen_below_a_thousand_rows():
    assert "isotonic" not in choose(held(*two(999, 0, 3.0)), "auto").losses
    assert "isotonic" in choose(held(*two(1_000, 0, 3.0)), "auto").losses


def test_in_time_a_calibrator_learns_from_earlier_folds_alone():
    one = held(*two(100, 0), forward=True)
    assert all(learnt.max() < fold.min() for learnt, fold in one.turns())
    assert len(one.tried) == 80
    assert len(choose(one, "sigmoid").probabilities["sigmoid"]) == 80


@pytest.mark.parametrize("columns", [("who", None, None), (None, "when", None)])
@pytest.mark.parametrize("cv", ["prefit", "kfold", "stratified_kfold", 3])
def test_folds_keep_apart_what_hangs_together(columns, cv):
    table, y = rows_of(120)
    table = table.assign(who=np.arange(120) // 6, when=np.arange(120) // 3)
    data = training_data(table, y, columns=columns)
    validation = ValidationSpec(group_column=columns[0], time_column=columns[1])
    parts, _ = folds_for(CalibrationSpec(cv_strategy=cv, n_splits=4), data, validation, 0)
    assert len(parts) == (3 if cv == 3 else 4)
    for train, test in parts:
        if columns[0]:
            assert not set(data.groups[train]) & set(data.groups[test])
        else:
            assert data.times[train].max() < data.times[test].min()


@pytest.mark.parametrize(
    ("columns", "validation", "message"),
    [
        ((None, "when", None), {"time_column": "when"}, "takes 3 folds with strategy 'time'; there are 2"),
        (
            (None, None, "part"),
            {"strategy": "predefined", "fold_column": "part"},
            "takes 2 folds with strategy 'predefined'; there are 1",
        ),
    ],
)
def test_too_few_folds_to_try_a_choice_on_are_told(columns, validation, message):
    table, y = rows_of(60)
    data = training_data(table.assign(when=np.arange(60), part=np.arange(60) % 2 - 1), y, columns=columns)
    with pytest.raises(ConfigError, match=message):
        folds_for(CalibrationSpec(n_splits=2), data, ValidationSpec(**validation), 0)


@pytest.mark.parametrize("strategy", ["cross_validation", "kfold", "stratified", "time", "group", "predefined"])
def test_a_calibrator_learns_on_the_folds_of_the_validation_without_fitting_them_again(strategy, monkeypatch):
    table, y = rows_of(120)
    tied = {"group": "group_column", "time": "time_column", "predefined": "fold_column"}
    columns = {tied[strategy]: "tie"} if strategy in tied else {}
    table = table.assign(tie=np.arange(120) // 12) if columns else table
    want = {"n_splits": 4, **columns}
    spec = CalibrationSpec(method="sigmoid", random_state=42)  # the seed of the workflow
    done = run_ml_workflow(None, LINEAR, table, y, strategy, want, calibration_spec=spec)
    once = done.calibration_summary
    assert (once["fitted_again"], once["n_splits"]) == (False, done.cross_validation["folds"])
    recipe = Recipe(tuple(done.feature_specs), LINEAR, "classification", 42)
    data = training_data(table, y, columns=tuple(columns.get(name) and "tie" for name in tied.values()))
    again = calibrate(spec, (recipe, {}, done.uncalibrated_pipeline), data, ValidationSpec(strategy=strategy, **want))
    assert again.summary == {**once, "fitted_again": True}


@pytest.mark.parametrize(
    ("algorithm", "spec"),
    [
        ("linear", CalibrationSpec(random_state=7)),
        ("linear", CalibrationSpec(n_splits=4)),
        ("linear", CalibrationSpec(cv_strategy="kfold")),
        ("ridge", CalibrationSpec()),
    ],
    ids=["other rows", "other number", "models kept", "distances"],
)
def test_a_calibrator_that_wants_other_folds_or_more_of_them_fits_again(algorithm, spec):
    model = ModelSpec(model_name="m", algorithm=algorithm)
    done = run_ml_workflow(None, model, X, Y, "cross_validation", calibration_spec=spec)
    assert done.calibration_summary["fitted_again"]
    told = any("and not over the 5" in text for text in done.warnings)
    assert told is (spec.n_splits == 4)


def test_tied_rows_are_told():
    table, y = rows_of(200)
    grouped = table.assign(who=np.arange(200) // 5)
    done = made(grouped, y, CalibrationSpec(cv_strategy="kfold", conformal=0.8), columns=("who", None, None))
    assert done.summary["folds"] == "stratified_group"
    assert any("kfold would part rows that hang together" in text for text in done.warnings)
    assert any("rows hang together by group" in text for text in done.warnings)
    timed = table.assign(when=np.arange(200))
    later = made(timed, y, CalibrationSpec(cv_strategy=4), columns=(None, "when", None))
    assert later.summary["n_calibrated_models"] == 1
    assert any("have not seen the latest rows" in text for text in later.warnings)


# ── the workflow ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature", "none", "auto"])
@pytest.mark.parametrize(
    ("cv", "ensemble", "models"),
    [("prefit", True, 1), ("kfold", True, 5), ("kfold", False, 1), ("stratified_kfold", True, 5), (3, True, 3)],
)
def test_every_combination_works(method, cv, ensemble, models):  # 1, 2
    table, y = rows_of(150)
    done = made(table, y, CalibrationSpec(method=method, cv_strategy=cv, ensemble=ensemble), "naive_bayes")
    told = done.summary
    assert told["n_calibrated_models"] == len(done.model.estimators) == models
    assert told["ensemble"] == (models > 1)
    assert method in ("auto", told["method"])
    assert np.allclose(done.model.predict_proba(table).sum(axis=1), 1)
    json.dumps(told)


@pytest.mark.parametrize("cv", ["prefit", 3])
def test_a_workflow_gives_the_calibrated_model_and_says_so(cv):  # 1, 2, 6
    spec = ClassifierCalibrationSpec(calibration_name="c", method="sigmoid", cv_strategy=cv)
    result = run_ml_workflow(None, LINEAR, X, Y, calibration_spec=spec, validation_params={"n_splits": 3})
    told = result.calibration_summary
    assert not result.skipped
    assert {"calibration_name", "calibration_type", "method", "cv_strategy", "ensemble", "n_calibrated_models"} <= set(
        told
    )
    assert result.metrics["log_loss"].value == pytest.approx(told["after"]["log_loss"])
    assert result.pipeline is not result.uncalibrated_pipeline
    assert set(result.pipeline.predict(X)) <= {"yes", "no"}


def test_a_model_without_probabilities_gets_some():
    spec = ModelSpec(model_name="m", algorithm="ridge")
    result = run_ml_workflow(None, spec, X, Y, "train_test", calibration_spec=CalibrationSpec())
    assert result.calibration_summary["before"]["log_loss"] is None
    assert result.calibration_summary["method"] != "none"
    assert result.test_metrics["log_loss"].value < np.log(2)


@pytest.mark.parametrize(
    ("model", "spec", "message"),
    [
        (ModelSpec(model_name="m", algorithm="ridge"), CalibrationSpec(method="none"), "gives no probabilities, and"),
        (LINEAR, CalibrationSpec(conformal=0.999), "0.999 needs 999 rows that no model saw; there are 240"),
        (LINEAR, CalibrationSpec(n_splits=200), "200 folds want each class 200 times"),
    ],
)
def test_a_calibration_that_fails_leaves_the_model_and_a_warning(model, spec, message):
    result = run_ml_workflow(None, model, X, Y, "none", calibration_spec=spec)
    assert message in result.skipped["calibration"]
    assert any("calibration failed, and the workflow went on without it" in text for text in result.warnings)
    assert "calibration_summary" not in result
    assert set(result.pipeline.predict(X)) <= {"yes", "no"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (CalibrationSpec(method="sigmoid"), "'sigmoid' is for classes, and 'y' is a number"),
        (CalibrationSpec(threshold="f1_score"), "a threshold is for two classes, and 'y' is a number"),
        (CalibrationSpec(), "intervals alone; give conformal, such as 0.9"),
    ],
)
def test_numbers_are_not_calibrated_as_classes(spec, message):
    model = RegressorModelSpec(model_name="m", algorithm="linear")
    result = run_ml_workflow(None, model, numbers(60), "y", "none", calibration_spec=spec)
    assert message in result.skipped["calibration"]


def test_three_classes_have_no_threshold():
    table, y = rows_of(90, classes=3)
    with pytest.raises(ConfigError, match="for two classes, and 'target' has 3"):
        made(table, y, CalibrationSpec(threshold="accuracy"))
    assert made(table, y, CalibrationSpec(method="sigmoid")).model.predict(table).shape == (90,)


def test_what_is_asked_for_is_done_and_told_where_it_is_not_wise():
    table, y = rows_of(150)
    done = made(table, y, CalibrationSpec(method="isotonic"))
    assert any("isotonic learns the noise of 150 rows too" in text for text in done.warnings)
    assert done.summary["method"] == "isotonic"


# ── the model ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def calibrated():
    table, y = rows_of(200)
    spec = CalibrationSpec(method="sigmoid", cv_strategy=3, threshold=Costs(false_positive=1, false_negative=9))
    return made(table, y, spec).model, table


def test_a_calibrated_model_is_one_of_scikit_learn(calibrated):
    model, table = calibrated
    assert is_classifier(model)
    assert (clone(model).predict_proba(table) == model.predict_proba(table)).all()
    assert list(model.classes_) == ["no", "yes"]
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert model.n_features_in_ == 3
    assert model.threshold_ == pytest.approx(0.1, abs=0.15)
    assert ((model.predict(table) == "yes") == (model.predict_proba(table)[:, 1] >= model.threshold_)).all()
    with pytest.raises(ConfigError, match="holds for this very model; run the workflow"):
        model.fit(table)
    with pytest.raises(ConfigError, match="calibrated without sets; give CalibrationSpec"):
        model.predict_set(table)


def test_a_calibrated_model_is_saved_without_pickle(calibrated):
    skops = pytest.importorskip("skops.io", reason="skops is in the extra mlflow")
    model, table = calibrated
    data = skops.dumps(model)
    untrusted = skops.get_untrusted_types(data=data)
    assert set(TRUSTED) & set(untrusted)
    assert [name for name in untrusted if not name.startswith(("raypipe.", "numpy."))] == []
    again = skops.loads(data, trusted=untrusted)
    assert (again.predict_proba(table) == model.predict_proba(table)).all()


# ── thresholds ───────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.3, 0.6, 1.0]), st.booleans()), min_size=2, max_size=30),
    st.sampled_from(["accuracy", "balanced_accuracy", "f1_score", "mcc"]),
)
def test_no_threshold_is_better_than_the_best(pairs, metric):
    second, positive = (np.array(one) for one in zip(*pairs, strict=True))

    def value(at: float) -> float:
        y, estimate = positive.astype(np.int64), np.column_stack([1 - second, second])
        truth = Truth("classification", y, estimate, at)
        if metric == "balanced_accuracy":  # Over both classes, also where one is not there.
            return float(np.mean([np.mean(truth.chosen[y == k] == k) if (y == k).any() else 0.0 for k in (0, 1)]))
        return compute(metric, truth)

    best = best_threshold(Rated(second, positive), metric)
    assert value(best) >= max(value(at) for at in (0.0, 0.05, 0.2, 0.45, 0.8, 1.0, 1.1)) - 1e-12


def test_costs_of_true_probabilities_are_least_where_both_errors_cost_the_same():
    said, y = two(2_000, 0)
    rated = Rated(said.values[:, 1], y == 1)
    turns = list(held(said, y).turns())
    assert tune(rated, turns, Costs(false_positive=1, false_negative=4)).threshold == 0.2
    wrong, y = two(2_000, 0, 1.0, 2.0)
    tuned = tune(Rated(wrong.values[:, 1], y == 1), turns, Costs(false_positive=1, false_negative=4))
    assert tuned.threshold > 0.4
    assert tuned.tuned_value < tuned.usual_value


def test_a_threshold_is_judged_on_rows_that_it_was_not_found_on():
    said, y = two(300, 0)
    rated = Rated(said.values[:, 1], y == 1)
    tuned = tune(rated, list(held(said, y).turns()), "accuracy")
    assert tuned.threshold == 0.5 or tuned.tuned_value > tuned.usual_value
    assert len(np.unique(tuned.per_row)) <= 5


def test_the_curve_of_thresholds_goes_from_all_rows_to_none():
    said, y = two(500, 0)
    curve = threshold_curve(Rated(said.values[:, 1], y == 1), Costs(false_positive=1, false_negative=1))
    assert len(curve) == 101
    assert (curve[0]["share_said"], curve[-1]["share_said"]) == (1.0, 0.0)
    assert all(one["recall"] >= other["recall"] for one, other in itertools.pairwise(curve))
    assert min(one["cost_per_row"] for one in curve) == pytest.approx(1 - max(one["accuracy"] for one in curve))


def test_a_threshold_counts_in_the_figures_of_a_workflow():
    spec = CalibrationSpec(threshold="f1_score", method="none")
    one = run_ml_workflow(None, LINEAR, X, Y, "train_test", calibration_spec=spec)
    said = one.pipeline.predict(X) == "yes"
    at = one.pipeline.threshold_
    assert (said == (one.pipeline.predict_proba(X)[:, 1] >= at)).all()
    assert one.calibration_summary["threshold"]["value"] == at


# ── reliability ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 5_000), st.floats(0, 1))
def test_the_interval_of_a_share_holds_the_share(rows, part):
    hits = round(part * rows)
    low, high = wilson(hits, rows)
    assert 0 <= low <= hits / rows + 1e-12
    assert hits / rows - 1e-12 <= high <= 1
    assert high > low


def test_reliability_tells_what_is_true_from_what_is_not():
    said, y = two(6_000, 0)
    right = reliability_table(Truth("classification", y, said.values))
    assert sum(one["rows"] for one in right) == 6_000
    assert sum(one["holds"] for one in right) >= 12
    off, y = two(6_000, 0, 3.0)
    assert sum(one["holds"] for one in reliability_table(Truth("classification", y, off.values))) <= 7


# ── specs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_specs_of_calibration_are_written_and_read(tmp_path):
    built = CalibrationSpecBuilder().add_platt_scaling("p", cv_strategy=3).add_isotonic_regression().add_temperature()
    specs = [*built.build(), CalibrationSpec(threshold=Costs(false_positive=1, false_negative=5), conformal=0.9)]
    assert [spec.method for spec in specs] == ["sigmoid", "isotonic", "temperature", "auto"]
    for ending in ("json", "yaml"):
        for spec in specs:
            assert CalibrationSpec.load(spec.save(tmp_path / f"c.{ending}")) == spec
    assert ClassifierCalibrationSpec is CalibrationSpec


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "platt"}, "method: got 'platt'"),
        ({"cv_strategy": 1}, "greater than or equal to 2"),
        ({"cv_strategy": "loo"}, "got 'loo'"),
        ({"cv_strategy": True}, "got True"),
        ({"n_splits": 1}, "greater than or equal to 2"),
        ({"conformal": 1.0}, "less than 1"),
        ({"conformal": 0}, "greater than 0"),
        ({"threshold": "recall"}, "recall is best when every row is said to be of the second class; give one of"),
        ({"threshold": "roc_auc"}, "no threshold can be tuned for it; give one of accuracy"),
        ({"threshold": {"false_positive": 1}}, "false_negative"),
        ({"threshold": {"false_positive": 0, "false_negative": 1}}, "with one free, every row"),
        ({"calibration_name": ""}, "at least 1 character"),
        ({"ensembl": True}, "there is no setting 'ensembl'"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_in_words(given, message):
    with pytest.raises(ConfigError, match=message):
        CalibrationSpec.from_dict(given)
