"""Names, fields, defaults and result keys that users of the older ML workflow know are here, and do what they say."""

from __future__ import annotations

import inspect

import pytest

from raypipe.errors import ConfigError
from raypipe.ml import specs
from raypipe.ml.workflow import build_ml_pipeline, get_workflow_summary, run_ml_workflow
from tests.ml.frames import people

PEOPLE = people(150)
X, Y = PEOPLE.drop(columns=["churn"]), PEOPLE["churn"]
NAMED = {"enabled": True, "description": None, "metadata": {}}
COMMON_SEARCH = {
    **NAMED, "random_state": None, "n_jobs": -1, "return_train_score": True, "verbose": 0,
}  # fmt: skip

FIELDS = {
    "NumericFeatureSpec": (
        {"feature_name": "age"},
        {
            **NAMED, "imputer_strategy": "mean", "imputer_fill_value": None, "imputer_enabled": True,
            "scaler_type": "standard", "scaler_enabled": True,
        },
    ),
    "CategoricalFeatureSpec": (
        {"feature_name": "city"},
        {
            **NAMED, "imputer_strategy": "most_frequent", "imputer_fill_value": None, "imputer_enabled": True,
            "encoder_type": "onehot", "encoder_enabled": True,
        },
    ),
    "FeatureSelectionSpec": (
        {},
        {
            "selection_mode": "all", "feature_indices": None, "feature_names": None, "exclude_features": (),
            "max_features": None,
        },
    ),
    "ClassifierModelSpec": (
        {"model_name": "m"},
        {**NAMED, "random_state": None, "algorithm": "gradient_boosting", "hyperparameters": {}, "fit_params": {}},
    ),
    "GridSearchSpec": ({"tuning_name": "t", "param_grid": {"C": [1]}}, COMMON_SEARCH),
    "RandomSearchSpec": (
        {"tuning_name": "t", "param_distributions": {"C": [1]}}, {**COMMON_SEARCH, "n_iter": 10},
    ),
    "ClassifierCalibrationSpec": (
        {"calibration_name": "c"},
        {**NAMED, "random_state": None, "cv_strategy": "prefit", "ensemble": True},
    ),  # n_splits was 5; unless it is given, the folds are now those of the validation, of which there are 5
    "MLflowSpec": (
        {},
        {
            "enabled": True, "experiment_name": "ml_workflow_experiments", "run_name": None, "tracking_uri": None,
            "registry_uri": None, "artifact_location": None, "register_model": False, "registered_model_name": None,
            "model_stage": "None", "log_model_signature": True, "log_input_example": True, "log_artifacts": True,
            "tags": {}, "description": None,
        },
    ),
    "FeatureStoreSpec": (
        {},
        {
            "enabled": False, "repo_path": "feature_repo", "project_name": "ml_workflow",
            "dataset_name": "classification_data", "n_features": None, "offline_store_type": "file",
            "online_store_type": None, "online_store_config": {}, "feature_view_name": "classification_features",
            "use_full_feature_names": False, "timestamp": None, "initialize_on_start": True,
            "materialize_online": False, "sample_indices": None,
        },
    ),
}  # fmt: skip
"""Spec -> what it wants, and the defaults that it had."""

ACCEPTED = [
    ("NumericFeatureSpec", {"feature_name": "a"}, "imputer_strategy", ("mean", "median")),
    ("NumericFeatureSpec", {"feature_name": "a", "imputer_fill_value": 0.0}, "imputer_strategy", ("constant",)),
    ("NumericFeatureSpec", {"feature_name": "a"}, "scaler_type", ("standard", "robust", "none")),
    ("CategoricalFeatureSpec", {"feature_name": "a"}, "encoder_type", ("onehot", "none")),
    ("GridSearchSpec", {"tuning_name": "t", "param_grid": {"C": [1]}}, "cv_strategy", ("stratified_kfold", "kfold")),
    ("GridSearchSpec", {"tuning_name": "t", "param_grid": {"C": [1]}}, "scoring",
     ("accuracy", ["accuracy", "f1_score"], {"mine": "accuracy"})),
    ("ClassifierCalibrationSpec", {}, "method", ("sigmoid", "isotonic")),
    ("ClassifierCalibrationSpec", {}, "cv_strategy", ("prefit", "kfold", "stratified_kfold", 2, 5)),
    ("MLflowSpec", {"register_model": True}, "model_stage", ("None", "Staging", "Production", "Archived")),
    ("FeatureStoreSpec", {}, "online_store_type", (None, "sqlite")),
]  # fmt: skip

BUILDERS = {
    "FeatureSpecBuilder": ("add_numeric_group", "add_categorical_group", "build"),
    "ModelSpecBuilder": ("add_classifier", "build"),
    "ParamTuningSpecBuilder": ("add_grid_search", "add_random_search", "build"),
    "CalibrationSpecBuilder": ("add_platt_scaling", "add_isotonic_regression", "build"),
    "MLflowSpecBuilder": (
        "enable", "disable", "set_experiment_name", "set_run_name", "set_tracking_uri", "set_registry_uri",
        "set_artifact_location", "set_description", "enable_model_registry", "set_logging_options", "add_tag",
        "add_tags", "build",
    ),
    "FeatureStoreSpecBuilder": ("set_repo_path", "set_project_name", "set_dataset_name", "set_n_features",
        "set_offline_store", "set_online_store", "set_feature_view_name", "set_full_feature_names", "set_timestamp",
        "set_initialize_on_start", "set_materialize_online", "set_sample_indices", "build"),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_a_spec_has_the_fields_and_the_defaults_that_it_had(name):
    wanted, defaults = FIELDS[name]
    spec = getattr(specs, name)(**wanted)
    assert {field: getattr(spec, field) for field in defaults} == defaults
    assert type(spec).from_dict(spec.to_dict()) == spec
    with pytest.raises(ConfigError, match="there is no setting 'colour'"):
        type(spec).from_dict({**wanted, "colour": 1})
    with pytest.raises(ValueError, match="frozen"):
        spec.enabled = False


@pytest.mark.parametrize(("name", "wanted", "field", "values"), ACCEPTED)
def test_a_spec_takes_the_values_that_it_took(name, wanted, field, values):
    for value in values:
        spec = getattr(specs, name).from_dict({**wanted, field: value})
        assert type(spec).from_dict(spec.to_dict()) == spec
        assert field in spec.to_dict()


@pytest.mark.parametrize("name", BUILDERS)
def test_a_builder_has_the_methods_that_it_had(name):
    assert [method for method in BUILDERS[name] if not callable(getattr(getattr(specs, name), method, None))] == []


def test_the_workflow_has_the_signature_that_it_had():
    known = inspect.signature(run_ml_workflow).parameters
    assert list(known)[:14] == [
        "feature_specs", "model_spec", "X", "y", "validation_strategy", "validation_params", "test_size",
        "random_state", "X_test", "y_test", "tuning_spec", "calibration_spec", "mlflow_spec", "feature_store_spec",
    ]  # fmt: skip
    defaults = {name: one.default for name, one in list(known.items())[4:14]}
    assert defaults["validation_strategy"] == "cross_validation"
    assert (defaults["test_size"], defaults["random_state"]) == (0.2, 42)
    assert {name for name, value in defaults.items() if value is None} == set(list(known)[5:14]) - {
        "test_size", "random_state"
    }  # fmt: skip
    assert list(inspect.signature(build_ml_pipeline).parameters)[:2] == ["feature_specs", "model_spec"]


@pytest.mark.parametrize(
    ("strategy", "keys"),
    [
        ("cross_validation", {"cv_score", "cv_std", "cv_scores"}),
        ("train_test", {"test_score", "train_size", "test_size"}),
        ("none", set()),
    ],
)
def test_the_result_has_the_keys_that_it_had(strategy, keys):
    always = {"pipeline", "model_spec", "feature_specs", "validation_strategy", "train_metrics"}
    model = specs.ClassifierModelSpec(model_name="m", algorithm="linear")
    result = run_ml_workflow(None, model, X, Y, strategy)
    assert always | keys <= set(result)
    assert not {"cv_score", "test_score"} - keys & set(result)
    assert result["train_metrics"]["accuracy"] is not None
    told = get_workflow_summary(result)
    assert {"model_name", "algorithm", "validation_strategy", "train_metrics", *keys} <= set(told)
    assert told["algorithm"] == "linear"


def test_arguments_of_fit_reach_the_estimator():
    model = specs.ClassifierModelSpec(
        model_name="m", algorithm="lightgbm", hyperparameters={"n_estimators": 5}, fit_params={"feature_name": "auto"}
    )
    assert run_ml_workflow(None, model, X, Y, "none").pipeline.predict(X).shape == (150,)
    wrong = model.replace(algorithm="linear", hyperparameters={}, fit_params={"epochs": 3})
    with pytest.raises(ConfigError, match="fit of LogisticRegression has no argument 'epochs'; it has none beside"):
        run_ml_workflow(None, wrong, X, Y)
    assert run_ml_workflow(
        None, model.replace(algorithm="gradient_boosting", fit_params={"monitor": None}), X, Y, "none"
    ).pipeline
