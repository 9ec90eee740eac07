"""Models in folders: read back as they were, and refused where they are not what they should be."""

from __future__ import annotations

import copy
import json
import zipfile

import numpy as np
import pytest

from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.ml.specs import (
    CategoricalFeatureSpec,
    DatetimeFeatureSpec,
    InteractionFeatureSpec,
    ModelSpec,
    NumericFeatureSpec,
    TextFeatureSpec,
)
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import numbers, people

pytest.importorskip("skops", reason="model files need skops: pip install 'raypipe[ml]'")

from raypipe.ml.saving import load_saved, save_model
from raypipe.ml.trees import check_trees
from raypipe.ml.trust import dump_model, load_model_file, untrusted

PEOPLE = people()
FEW = {"gradient_boosting": {"n_estimators": 5}, "hist_gradient_boosting": {"max_iter": 3}}
FEW |= {name: {"n_estimators": 5} for name in ("random_forest", "extra_trees", "lightgbm")}


def learnt(algorithm="lightgbm", table=PEOPLE, target="churn", specs=None, **more):
    spec = ModelSpec(model_name="m", algorithm=algorithm, hyperparameters=FEW.get(algorithm, {}))
    return run_ml_workflow(specs, spec, table, target, "none", **more)


@pytest.mark.parametrize(
    "algorithm",
    ["linear", "ridge", "random_forest", "gradient_boosting", "hist_gradient_boosting", "lightgbm", "svm", "knn",
     "naive_bayes", "dummy", "sklearn.ensemble.BaggingClassifier"],
)  # fmt: skip
def test_every_algorithm_answers_the_same_once_it_is_read_back(tmp_path, algorithm):
    result = learnt(algorithm)
    read = load_saved(save_model(result, tmp_path / "model"))
    assert (read.predict(PEOPLE) == result.pipeline.predict(PEOPLE)).all()
    assert read.card.labels == ("no", "yes")
    assert read.card.data["rows"] == len(PEOPLE)
    assert read.card.packages["scikit-learn"]


def test_every_kind_of_feature_is_read_back(tmp_path):
    table = PEOPLE.assign(note=[f"word{i % 9} item{i % 5} and more" for i in range(len(PEOPLE))])
    specs = [
        TextFeatureSpec(feature_name="note", components=3),
        TextFeatureSpec(feature_name="hashed", column="note", vectorizer="hashing", max_features=32, components=None),
        DatetimeFeatureSpec(feature_name="joined"),
        InteractionFeatureSpec(feature_name="both", columns=("age", "income")),
        CategoricalFeatureSpec(feature_name="city", encoder_type="target"),
        CategoricalFeatureSpec(feature_name="often", column="city", encoder_type="frequency"),
        NumericFeatureSpec(feature_name="age", scaler_type="quantile"),
    ]
    result = learnt("linear", table, specs=specs)
    read = load_saved(save_model(result, tmp_path / "model"))
    assert np.array_equal(read.predict_proba(table), result.pipeline.predict_proba(table))
    assert [one.name for one in read.card.inputs] == ["age", "income", "city", "joined", "note"]


def test_a_model_of_numbers_is_read_back(tmp_path):
    result = learnt("lightgbm", numbers(), "y")
    read = load_saved(save_model(result, tmp_path / "model"))
    assert np.array_equal(read.predict(numbers()), result.pipeline.predict(numbers()))
    assert read.card.labels is None
    with pytest.raises(MissingColumnsError, match="model 'm': input has no column 'b'"):
        read.predict(numbers().drop(columns=["b"]))


def test_columns_without_whose_value_no_row_can_be_scored_are_known(tmp_path):
    gaps = [NumericFeatureSpec(feature_name="age"), NumericFeatureSpec(feature_name="income", imputer_enabled=False)]
    read = load_saved(save_model(learnt("linear", specs=gaps), tmp_path / "model"))
    assert {one.name: one.required for one in read.card.inputs} == {"age": False, "income": True}


def test_a_model_replaces_no_other_unasked(tmp_path):
    result = learnt("dummy")
    save_model(result, tmp_path / "model")
    with pytest.raises(ConfigError, match="is there already; choose another folder"):
        save_model(result, tmp_path / "model")
    save_model(result, tmp_path / "model", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_was_changed_cut_or_lost_is_refused(tmp_path):
    place = save_model(learnt("dummy"), tmp_path / "model")
    file = place / "model.skops"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    with pytest.raises(ReadError, match="its hash is .*: it was changed or cut off"):
        load_saved(place)
    with pytest.raises(ReadError, match="no model file of raypipe, or a damaged one"):
        load_model_file(file)
    file.unlink()
    with pytest.raises(ReadError, match=r"its card names model\.skops, which is not there"):
        load_saved(place)
    (place / "raypipe.json").write_text("{")
    with pytest.raises(ReadError, match="is no JSON"):
        load_saved(place)
    (place / "raypipe.json").write_text('{"version": 2}')
    with pytest.raises(ReadError, match="is damaged: version: got 2"):
        load_saved(place)
    with pytest.raises(ReadError, match="holds no model of raypipe"):
        load_saved(tmp_path / "nowhere")


class Foreign:
    """Of no library that is trusted."""

    def __init__(self):
        self.value = 1


def test_a_class_that_is_not_trusted_is_neither_written_nor_read(tmp_path):
    import skops.io

    with pytest.raises(ConfigError, match="holds .*Foreign, which a model file may not hold"):
        dump_model(Foreign(), tmp_path / "m.skops")
    assert not (tmp_path / "m.skops").exists()
    skops.io.dump(Foreign(), tmp_path / "m.skops")
    with pytest.raises(ReadError, match="Foreign, which is not trusted and was not loaded"):
        load_model_file(tmp_path / "m.skops")


@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "subprocess.Popen", "sklearn.utils._testing.check_output", "joblib.load",
     "sklearn.datasets.load_svmlight_file", "sklearn.externals.conftest", "sklearn.base.pickle", "sklearn.os.system",
     "lightgbm.basic.ctypes", "raypipe.ml.trust.load_model_file", "raypipe.ml.estimators._load", "sklearn.nothing.Here",
     "raypipe.engine.session.close_session", "sklearn", "xgboost.core._load_lib", "raypipe.ml.saving.save_model"],
)  # fmt: skip
def test_functions_and_borrowed_names_are_never_trusted(name):
    assert untrusted([name]) == [name]


def test_a_hostile_file_that_names_a_function_runs_nothing(tmp_path):
    place = save_model(learnt("dummy"), tmp_path / "model")
    file, made, mark = place / "model.skops", tmp_path / "hostile.skops", tmp_path / "ran"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "schema.json":
                schema = json.loads(text)
                schema.update(__module__="os", __class__="system", __loader__="FunctionNode", content=f"touch {mark}")
                text = json.dumps(schema).encode()
            new.writestr(name, text)
    with pytest.raises(ReadError, match=r"os\.system|damaged"):
        load_model_file(made)
    assert not mark.exists()


def test_a_tree_that_points_out_of_its_nodes_is_refused():
    forest = learnt("random_forest").pipeline
    check_trees(forest, "m")
    tree = forest[-1].estimators_[0].tree_
    state = copy.deepcopy(tree.__getstate__())
    for field, value, message in (("left_child", 10**6, "points out"), ("right_child", 0, "points out"),
                                  ("feature", 10**6, "a feature that there is not")):  # fmt: skip
        bad = {**state, "nodes": state["nodes"].copy()}
        bad["nodes"][field][0] = value
        tree.__setstate__(bad)
        with pytest.raises(ReadError, match=message):
            check_trees(forest, "m")
    tree.__setstate__(state)
    check_trees(forest, "m")


def test_trees_of_histograms_and_of_neighbours_are_held_to_their_bounds():
    boosted = learnt("hist_gradient_boosting").pipeline
    check_trees(boosted, "m")
    boosted[-1]._predictors[0][0].nodes["left"][0] = 10**6
    with pytest.raises(ReadError, match="points out of its nodes"):
        check_trees(boosted, "m")
    near = learnt("knn").pipeline
    check_trees(near, "m")


def test_cloudpickle_is_written_with_a_warning_and_loaded_only_when_asked_for(tmp_path, caplog):
    result = learnt("dummy")
    place = save_model(result, tmp_path / "model", model_format="cloudpickle")
    assert "whoever loads it runs whatever code is in it" in caplog.text
    with pytest.raises(ReadError, match="may run any code when it is loaded"):
        load_saved(place)
    read = load_saved(place, allow_pickle=True)
    assert (read.predict(PEOPLE) == result.pipeline.predict(PEOPLE)).all()
