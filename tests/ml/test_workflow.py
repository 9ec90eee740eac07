"""The workflow: every option works, evaluation is honest, and what the older system could not do is there.

Numbers in names are those of the list of its defects.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone

from raypipe.errors import ConfigError, RaypipeError
from raypipe.ml.metrics import METRICS
from raypipe.ml.specs import (
    CategoricalFeatureSpec,
    ClassifierModelSpec,
    DatetimeFeatureSpec,
    FeatureSelectionSpec,
    FeatureSpecBuilder,
    InteractionFeatureSpec,
    ModelSpec,
    ModelSpecBuilder,
    NumericFeatureSpec,
    RegressorModelSpec,
    TextFeatureSpec,
)
from raypipe.ml.workflow import build_ml_pipeline, get_workflow_summary, run_ml_workflow
from tests.ml.frames import numbers, people

LINEAR = ClassifierModelSpec(model_name="m", algorithm="linear")
PEOPLE = people()
X, Y = PEOPLE.drop(columns=["churn"]), PEOPLE["churn"]
NUMBERS = numbers()


def test_the_keys_that_users_know_are_there():
    result = run_ml_workflow(None, LINEAR, X, Y)
    assert {"pipeline", "model_spec", "feature_specs", "validation_strategy", "cv_score", "cv_std", "cv_scores"} <= set(
        result
    )
    assert result.metric == "accuracy"
    assert len(result["cv_scores"]) == 5
    assert result.cv_score == pytest.approx(np.mean(result["cv_scores"]))
    assert set(result["train_metrics"]) == {name for name, kind in METRICS.items() if kind.task == "classification"}
    assert set(result.pipeline.predict(X)) <= {"yes", "no"}
    split = run_ml_workflow(None, LINEAR, X, Y, "train_test", test_size=0.25)
    assert (split["train_size"], split["test_size"]) == (300, 100)
    assert split["test_score"] == split["test_metrics"]["accuracy"].value
    with pytest.raises(AttributeError, match="no 'test_score'"):
        _ = result.test_score


def test_the_summary_is_plain_json():
    told = get_workflow_summary(run_ml_workflow(None, LINEAR, X, Y, "train_test"))
    assert json.loads(json.dumps(told))["model_name"] == "m"


@pytest.mark.parametrize(
    "algorithm",
    [
        "linear", "logistic_regression", "ridge", "elastic_net", "gradient_boosting", "hist_gradient_boosting",
        "lightgbm", "svm", "knn", "naive_bayes", "dummy", "sklearn.ensemble.BaggingClassifier",
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
    ],
)  # fmt: skip
def test_every_algorithm_learns_classes_of_text_from_gaps_and_text(algorithm):  # 3, 5
    spec = ModelSpec(model_name="m", algorithm=algorithm)
    result = run_ml_workflow(None, spec, X, Y, validation_params={"n_splits": 2})
    assert algorithm == "dummy" or result.metrics["roc_auc"].value > 0.6
    assert list(result.pipeline.classes_) == ["no", "yes"]
    clone(result.pipeline)


@pytest.mark.parametrize("algorithm", ["random_forest", "extra_trees"])
def test_forests_learn_too(algorithm):
    settings = {"n_estimators": 20}
    spec = ModelSpec(model_name="m", algorithm=algorithm, hyperparameters=settings)
    assert run_ml_workflow(None, spec, X, Y, "train_test").metrics["roc_auc"].value > 0.6


@pytest.mark.parametrize(
    "algorithm",
    ["linear", "ridge", "elastic_net", "gradient_boosting", "hist_gradient_boosting", "lightgbm", "svm", "knn"],
)
def test_every_algorithm_learns_numbers(algorithm):  # 10: no regression
    spec = ModelSpec(model_name="m", algorithm=algorithm)
    result = run_ml_workflow(None, spec, NUMBERS, "y", validation_params={"n_splits": 2})
    assert result.task == "regression"
    assert result.metrics["r2"].value > 0.1


@pytest.mark.parametrize(
    "labels", [[True, False], [0, 1], [3, 7], ["a", "b"], [1.0, 2.0], ["a", "b", "c"], [10, 20, 30]]
)
def test_labels_of_any_type_come_back_as_they_were(labels):
    y = np.array(labels)[np.arange(400) % len(labels)]
    result = run_ml_workflow(None, LINEAR, X, y, "train_test")
    assert set(result.pipeline.predict(X).tolist()) <= set(labels)
    assert result.labels == sorted(labels)


@pytest.mark.parametrize("scaler", ["standard", "robust", "minmax", "quantile", "none"])
def test_every_scaler_works(scaler):  # 4
    specs = [NumericFeatureSpec(feature_name=name, scaler_type=scaler) for name in ("age", "income")]
    assert run_ml_workflow(specs, LINEAR, X, Y, "train_test").metrics["accuracy"].value > 0.5


@pytest.mark.parametrize("encoder", ["onehot", "ordinal", "target", "frequency"])
def test_every_encoder_works_and_meets_values_that_it_has_not_seen(encoder):
    specs = [CategoricalFeatureSpec(feature_name="city", encoder_type=encoder)]
    result = run_ml_workflow(specs, LINEAR, X, Y, "none")
    new = X.assign(city="Rome")
    assert np.isfinite(result.pipeline.predict_proba(new)).all()


@pytest.mark.parametrize("fill", [{"imputer_strategy": "mean"}, {"imputer_strategy": "median"},
    {"imputer_strategy": "constant", "imputer_fill_value": 0.0}, {"imputer_strategy": "auto"},
    {"missing_indicator": True}])  # fmt: skip
def test_gaps_are_filled_inside_the_folds(fill):  # 5
    specs = [NumericFeatureSpec(feature_name="age", **fill)]
    assert run_ml_workflow(specs, LINEAR, X, Y).metrics["accuracy"].value > 0.5


def test_dates_text_and_interactions_are_features():
    table = X.assign(note=np.where(Y == "yes", "wants to leave us soon", "is happy and will stay"))
    specs = [
        DatetimeFeatureSpec(feature_name="joined"),
        TextFeatureSpec(feature_name="note", components=None),
        InteractionFeatureSpec(feature_name="age_by_income", columns=("age", "income"), operation="ratio"),
    ]
    result = run_ml_workflow(specs, LINEAR, table, Y, "train_test")
    assert result.test_metrics["accuracy"].value == 1.0
    names = list(result.pipeline[:-1].get_feature_names_out())
    assert "joined_month_sin" in names
    assert "note_leave" in names
    assert "age_by_income" in names


@pytest.mark.parametrize("text", [{"vectorizer": "hashing", "max_features": 64}, {"components": 3}])
def test_text_is_hashed_or_brought_down_to_few_numbers(text):
    said = np.where(Y == "yes", "wants to leave us soon", "is happy and will stay")
    table = X.assign(note=said, other=[f"word{i % 9} item{i % 5}" for i in range(400)])
    specs = [TextFeatureSpec(feature_name=name, **text) for name in ("note", "other")]
    result = run_ml_workflow(specs, LINEAR, table, Y, "train_test")
    assert result.test_metrics["accuracy"].value == 1.0
    assert all(name.startswith(("note_", "other_")) for name in result.pipeline[:-1].get_feature_names_out())


def test_columns_are_found_by_name_wherever_they_stand():  # 7
    specs = FeatureSpecBuilder().add_numeric_group(["age", "income"]).build()
    one = run_ml_workflow(specs, LINEAR, X, Y, "none")
    other = run_ml_workflow(specs, LINEAR, X[X.columns[::-1]], Y, "none")
    assert (one.pipeline.predict_proba(X) == other.pipeline.predict_proba(X)).all()


def test_columns_of_an_array_are_found_by_position():
    array = X[["age", "income"]].to_numpy()
    specs = [
        NumericFeatureSpec(feature_name="first", metadata={"column_index": 0}),
        NumericFeatureSpec(feature_name="second", column=1),
    ]
    result = run_ml_workflow(specs, LINEAR, array, Y.to_numpy(), "train_test")
    assert result.test_metrics["accuracy"].value > 0.5
    with pytest.raises(ConfigError, match="got column 7; there are 2"):
        run_ml_workflow([NumericFeatureSpec(feature_name="x", column=7)], LINEAR, array, Y)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"])
def test_any_frame_gives_the_same_model(kind):
    table = PEOPLE if kind is pd.DataFrame else kind(PEOPLE)
    result = run_ml_workflow(None, LINEAR, table, "churn", "train_test")
    wanted = run_ml_workflow(None, LINEAR, PEOPLE, "churn", "train_test")
    assert result.test_score == wanted.test_score


def test_the_same_seed_gives_the_same_figures():
    one, two = (run_ml_workflow(None, LINEAR, X, Y, random_state=7).metrics for _ in range(2))
    assert one == two


def test_rows_that_are_given_for_the_test_are_used():  # 6
    result = run_ml_workflow(None, LINEAR, X[:300], Y[:300], X_test=X[300:], y_test=Y[300:])
    assert (result.train_size, result.test_size) == (300, 100)
    assert "cv_score" in result
    assert result.test_score == (result.pipeline.predict(X[300:]) == Y[300:]).mean()


def test_settings_of_the_split_hold_for_one_split_too():  # 6
    groups = {"group_column": "person"}
    result = run_ml_workflow(None, LINEAR, X.assign(y=Y), "y", "train_test", groups, test_size=0.3)
    assert result.settled_strategy == "stratified_group"
    assert "person" not in [spec.feature_name for spec in result.feature_specs]


def test_metrics_that_are_asked_for_are_those_that_are_given():  # 6
    spec = ClassifierModelSpec(model_name="m", algorithm="linear", evaluation_metrics=("f1_score", "recall"))
    result = run_ml_workflow(None, spec, X, Y)
    assert list(result.metrics) == ["f1_score", "recall"]
    assert result.metric == "f1_score"
    assert all(one.interval and len(one.fold_values) == 5 for one in result.metrics.values())


def test_what_is_not_enabled_takes_no_part():  # 9
    specs = [NumericFeatureSpec(feature_name="age"), NumericFeatureSpec(feature_name="income", enabled=False)]
    result = run_ml_workflow(specs, LINEAR, X, Y, "none")
    assert list(result.pipeline[:-1].get_feature_names_out()) == ["age"]
    with pytest.raises(ConfigError, match="model 'm' is not enabled"):
        run_ml_workflow(None, LINEAR.replace(enabled=False), X, Y)


def test_a_selection_is_applied():
    chosen = FeatureSelectionSpec(selection_mode="names", feature_names=("age",))
    result = run_ml_workflow(None, LINEAR, X, Y, "none", selection_spec=chosen)
    assert [spec.feature_name for spec in result.feature_specs] == ["age"]
    assert result.left_out["city"] == "left out by the selection"


def test_a_leak_is_told_before_the_score_is_believed():
    leaky = X.assign(closed=np.where(Y == "yes", "c", "o"))
    result = run_ml_workflow(None, LINEAR, leaky, Y, "train_test")
    assert [one.columns for one in result.audit if one.check == "single_column"] == [("closed",)]
    assert any("'closed' alone tells the target" in text for text in result.warnings)
    assert not [one for one in run_ml_workflow(None, LINEAR, X, Y).audit if one.severity == "error"]


def test_rows_without_a_target_are_left_out_and_told():
    gaps = Y.copy()
    gaps[::10] = None
    result = run_ml_workflow(None, LINEAR, X, gaps, "train_test")
    assert result.train_size + result.test_size == 360
    assert "40 rows without a value of the target are left out" in result.warnings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": None}, "X: got NoneType; wanted a table"),
        ({"X": X[:0], "y": Y[:0]}, "X: got no rows"),
        ({"y": Y[:-1]}, "y has 399 values, X 400 rows"),
        ({"y": "left"}, "target: input has no column 'left'"),
        ({"y": np.full(400, "one")}, "every row has the class 'one'"),
        ({"y": np.full(400, None)}, "no row has a value"),
        ({"y": [f"n{i}" for i in range(400)]}, "has 400 different values in 400 rows; classes repeat"),
        ({"feature_specs": [NumericFeatureSpec(feature_name="city")]}, "'city' is to be numeric, but holds other"),
        ({"feature_specs": [NumericFeatureSpec(feature_name="agee")]}, "there is no column 'agee'"),
        ({"feature_specs": []}, "none takes part"),
        ({"validation_strategy": "loo"}, "got 'loo'"),
        ({"validation_params": {"n_split": 3}}, "there is no setting 'n_split'"),
        ({"model_spec": ModelSpec(model_name="m", algorithm="lightgmb")}, "Did you mean 'lightgbm'"),
        ({"model_spec": ModelSpec(model_name="m", hyperparameters={"learning_rte": 1})}, "mean 'learning_rate'"),
        ({"model_spec": ModelSpec(model_name="m", hyperparameters={"learning_rate": -1.0})}, "learning_rate"),
        ({"model_spec": ModelSpec(model_name="m", algorithm="os.system")}, "only classes of scikit-learn"),
        ({"model_spec": ModelSpec(model_name="m", algorithm="sklearn.svm.SVR")}, "does no classification"),
        ({"model_spec": ModelSpec(model_name="m", algorithm="sklearn.nothing.Here")}, "scikit-learn has no"),
        ({"model_spec": RegressorModelSpec(model_name="m")}, "target 'target' holds 'yes', which is no number"),
        ({"model_spec": RegressorModelSpec(model_name="m", algorithm="naive_bayes")}, "target 'target' holds 'yes'"),
        ({"model_spec": ModelSpec(model_name="m", evaluation_metrics=("rmse",))}, "there is no 'rmse'"),
        ({"model_spec": ModelSpec(model_name="m", algorithm="knn", class_weight="balanced")}, "takes no class_weight"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_in_words(change, message):
    given = {"feature_specs": None, "model_spec": LINEAR, "X": X, "y": Y, **change}
    with pytest.raises((RaypipeError, ValueError), match=message):
        run_ml_workflow(**given)


def test_a_pipeline_can_be_built_without_rows():
    pipeline = build_ml_pipeline([NumericFeatureSpec(feature_name="age")], ClassifierModelSpec(model_name="m"))
    assert [name for name, _ in pipeline.steps] == ["preprocessor", "classifier"]
    assert (pipeline.fit(X, Y).predict(X) == Y).mean() > 0.5
    with pytest.raises(ConfigError, match="takes its task from the target"):
        build_ml_pipeline([NumericFeatureSpec(feature_name="age")], ModelSpec(model_name="m"))


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_specs_are_written_and_read(tmp_path, ending):
    specs = [
        NumericFeatureSpec(feature_name="age", scaler_type="robust"),
        CategoricalFeatureSpec(feature_name="city", imputer_strategy="constant", imputer_fill_value="?"),
        DatetimeFeatureSpec(feature_name="joined", parts=("month",)),
        TextFeatureSpec(feature_name="note", ngram_range=(1, 3)),
        InteractionFeatureSpec(feature_name="i", columns=("a", "b")),
        *ModelSpecBuilder().add_classifier("c", algorithm="svm").add_regressor("r").build(),
    ]
    for spec in specs:
        assert type(spec).load(spec.save(tmp_path / f"spec.{ending}")) == spec
    (tmp_path / f"spec.{ending}").write_text("[1]")
    with pytest.raises(ConfigError, match="holds list; wanted names with values"):
        NumericFeatureSpec.load(tmp_path / f"spec.{ending}")


def test_specs_never_change():
    spec = NumericFeatureSpec(feature_name="age")
    with pytest.raises(ValueError, match="frozen"):
        spec.scaler_type = "none"
    with pytest.raises(ConfigError, match="needs imputer_fill_value"):
        NumericFeatureSpec.from_dict({"feature_name": "age", "imputer_strategy": "constant"})
