"""Laws of the network: what decides it, how it stops, and that it scores without torch."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from raypipe import _optional
from raypipe.errors import ConfigError, MissingDependencyError
from raypipe.ml.estimators import make_estimator
from raypipe.ml.neural import net
from raypipe.ml.saving import load_saved, save_model
from raypipe.ml.specs import ClassifierModelSpec, ModelSpec, NumericFeatureSpec
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import numbers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)
SIDE = np.where(X[:, 0] + X[:, 1] > 0, "up", "down").astype(object)
HEIGHT = (3 * X[:, 0] - X[:, 2]).astype(float)
SMALL = {"width": 8, "depth": 1, "max_epochs": 4, "learning_rate": 0.02, "random_state": 3}


def test_without_torch_the_line_to_type_is_told(monkeypatch):
    monkeypatch.setitem(_optional.EXTRA_MODULES, "torch", ("no_such_torch",))
    with pytest.raises(MissingDependencyError, match=r"\(mlp\) needs no_such_torch: pip install 'raypipe\[torch\]'"):
        make_estimator(ModelSpec(model_name="m", algorithm="mlp"), "regression", 0)


@pytest.fixture
def classifier():
    pytest.importorskip("torch", reason="the extra torch is not installed")
    from raypipe.ml.neural.mlp import MLPClassifier

    return MLPClassifier(**SMALL)


@pytest.fixture
def regressor():
    pytest.importorskip("torch", reason="the extra torch is not installed")
    from raypipe.ml.neural.mlp import MLPRegressor

    return MLPRegressor(**{**SMALL, "max_epochs": 60, "patience": 30})


def weights(model):
    return np.concatenate([one.ravel() for one in model.weights_])


def test_the_same_seed_gives_the_same_network_and_leaves_torch_as_it_was(classifier):
    import torch

    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two = (clone(classifier).fit(X, SIDE) for _ in range(2))
    assert (weights(one) == weights(two)).all()
    assert (torch.get_rng_state() == before).all()
    assert (weights(clone(classifier).set_params(random_state=4).fit(X, SIDE)) != weights(one)).any()


def test_classes_of_text_and_numbers_are_learnt(classifier, regressor):
    model = classifier.set_params(max_epochs=40).fit(X, SIDE)
    said = model.predict_proba(X)
    assert (model.predict(X) == SIDE).mean() > 0.9
    assert np.allclose(said.sum(axis=1), 1)
    assert list(model.classes_) == ["down", "up"]
    assert (model.predict_proba(sparse.csr_matrix(X)) == said).all()
    assert regressor.fit(X, HEIGHT * 1000 + 5000).score(X, HEIGHT * 1000 + 5000) > 0.9


def test_a_schedule_in_pieces_gives_what_it_gives_at_once(classifier):
    schedule = [[2, {"learning_rate": 0.03, "dropout": 0.0}], [1, {"dropout": 0.4}], [2, {"weight_decay": 0.5}]]
    whole = clone(classifier).set_params(schedule=schedule).fit(X, SIDE)
    state = None
    for done in range(3):
        piece = clone(classifier).set_params(schedule=schedule[: done + 1])
        state = piece.fit_from(X, SIDE, state, done)
    assert (weights(piece) == weights(whole)).all()
    assert (whole.n_iter_, len(whole.loss_curve_)) == (5, 5)


def test_epochs_one_by_one_give_what_they_give_at_once(classifier):
    whole = clone(classifier).set_params(patience=None).fit(X, SIDE)
    stepped = clone(classifier)
    for _ in range(4):
        stepped.partial_fit(X, SIDE, classes=["up", "down"])
    assert (weights(stepped) == weights(whole)).all()
    assert stepped.n_iter_ == 4


def test_rows_without_weight_teach_nothing(classifier):
    weight = np.where(np.arange(300) < 200, 1.0, 0.0)
    turned = SIDE.copy()
    turned[200:] = "up"
    one, two = (clone(classifier).set_params(patience=None).fit(X, y, sample_weight=weight) for y in (SIDE, turned))
    assert (weights(one) == weights(two)).all()


@pytest.mark.parametrize("given", ["balanced", {"up": 50.0}])
def test_class_weights_move_what_is_said(classifier, given):
    few = np.where((X[:, 0] > 1.2) & (RNG.random(300) < 0.7), "up", "down").astype(object)
    plain, weighed = (clone(classifier).set_params(class_weight=one).fit(X, few) for one in (None, given))
    assert weighed.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean()


def test_learning_stops_early_with_the_best_epoch(classifier):
    noise = np.random.default_rng(5).permutation(SIDE)
    model = classifier.set_params(max_epochs=200, patience=3, width=64, learning_rate=0.05).fit(X, noise)
    assert model.n_iter_ < 200
    best = int(np.argmin(model.validation_curve_))
    assert len(model.validation_curve_) == best + 1 + 3
    shorter = clone(model).set_params(max_epochs=best + 1).fit(X, noise)
    assert (weights(shorter) == weights(model)).all()


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_scores_do_not_depend_on_how_rows_are_cut(classifier, monkeypatch, rows):
    model = classifier.fit(X, SIDE)
    whole = model.predict_proba(X)
    monkeypatch.setattr(net, "SCORED_ROWS", rows)
    assert np.allclose(model.predict_proba(X), whole, atol=1e-6)


def test_a_network_is_kept_without_pickle_and_scores_without_torch(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the extra torch is not installed")
    table = numbers(120)
    model = ModelSpec(model_name="m", algorithm="mlp", hyperparameters={"width": 8, "max_epochs": 2})
    features = [NumericFeatureSpec(feature_name=name) for name in "abc"]
    result = run_ml_workflow(features, model, table, "y", "train_test", output_dir=tmp_path / "out")
    assert not result.skipped
    save_model(result, tmp_path / "model")
    monkeypatch.setitem(sys.modules, "torch", None)
    read = load_saved(tmp_path / "model")
    assert (read.predict(table) == result.pipeline.predict(table)).all()
    monkeypatch.undo()
    features = pd.DataFrame(read.model[:-1].transform(table)).to_numpy()
    assert read.model[-1].partial_fit(features, table["y"]).n_iter_ == result.pipeline[-1].n_iter_ + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "'width' parameter of MLPClassifier"),
        ({"dropout": 1.0}, "'dropout' parameter of MLPClassifier"),
        ({"widht": 8}, "MLPClassifier has no setting 'widht'. Did you mean 'width'"),
    ],
)
def test_settings_that_cannot_be_are_said_before_a_row_is_read(classifier, settings, message):
    spec = ClassifierModelSpec(model_name="m", algorithm="mlp", hyperparameters=settings)
    with pytest.raises(ConfigError, match=message):
        make_estimator(spec, "classification", 0)


def test_what_goes_wrong_while_learning_says_what_to_do(classifier):
    with pytest.raises(ConfigError, match="run away to infinity with learning_rate 1e.30; take a smaller one"):
        clone(classifier).set_params(learning_rate=1e30, patience=None).fit(X * 1e20, SIDE)
    with pytest.raises(ConfigError, match="wanted .epochs, settings., with settings of learning_rate, weight_decay"):
        clone(classifier).set_params(schedule=[[2, {"width": 3}]]).fit(X, SIDE)
    with pytest.raises(ConfigError, match="got the label 'left', which is none of the classes"):
        clone(classifier).partial_fit(X, np.where(SIDE == "up", "up", "left").astype(object), classes=["up", "down"])
    with pytest.raises(ConfigError, match="got class_weight 'even'; wanted 'balanced'"):
        clone(classifier).set_params(class_weight="even").fit(X, SIDE)
