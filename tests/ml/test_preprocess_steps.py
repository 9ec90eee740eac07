"""Columns of which the same is wanted share a step, and each comes out as it would alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="models need the pip extra ml")

from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.preprocess.cells import ToLabels
from raypipe.ml.preprocess.columns import make_preprocessor, specs_for
from raypipe.ml.specs.features import CategoricalFeatureSpec, DatetimeFeatureSpec, FeatureSpec, NumericFeatureSpec
from raypipe.ml.specs.models import ClassifierModelSpec

ROWS = 240  # the quantiles want 200


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    size = rng.normal(5, 2, ROWS)
    return pd.DataFrame(
        {
            "size": np.where(rng.random(ROWS) < 0.2, np.nan, size),
            "city": rng.choice(["Rome", "Oslo", None], ROWS),
            "age": rng.integers(0, 90, ROWS),
            "street": rng.choice([f"street {i}" for i in range(30)], ROWS),
            "owner": rng.choice([True, False], ROWS),
            "road": rng.choice([f"road {i}" for i in range(30)], ROWS),
            "seen": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 99, ROWS), "D"),
            "weight": rng.lognormal(2, 1, ROWS),
        }
    )


def _specs() -> list[FeatureSpec]:
    return [
        NumericFeatureSpec(feature_name="size"),
        CategoricalFeatureSpec(feature_name="city"),
        NumericFeatureSpec(feature_name="age"),
        CategoricalFeatureSpec(feature_name="street", encoder_type="target"),
        CategoricalFeatureSpec(feature_name="owner"),
        CategoricalFeatureSpec(feature_name="road", encoder_type="target"),
        DatetimeFeatureSpec(feature_name="seen"),
        NumericFeatureSpec(feature_name="weight", scaler_type="quantile"),
    ]


@pytest.mark.parametrize("labels", [("no", "yes"), ("a", "b", "c")])
def test_a_column_comes_out_as_it_would_alone(table: pd.DataFrame, labels: tuple[str, ...]) -> None:
    y = np.random.default_rng(5).choice(labels, ROWS)
    both = make_preprocessor(_specs(), 7)
    found = pd.DataFrame(both.fit_transform(table, y), columns=both.get_feature_names_out())
    for spec in _specs():
        alone = make_preprocessor([spec], 7)
        wanted = pd.DataFrame(alone.fit_transform(table, y), columns=alone.get_feature_names_out())
        np.testing.assert_allclose(found[wanted.columns], wanted, rtol=1e-9, atol=1e-12)


def test_columns_of_which_the_same_is_wanted_share_a_step(table: pd.DataFrame) -> None:
    steps = {name: columns for name, _, columns in make_preprocessor(_specs(), 7).transformers}
    assert steps["f0"] == ["size", "age"]
    assert steps["f3"] == ["street", "road"]
    assert steps["f7"] == ["weight"]


def test_a_column_that_is_named_twice_stands_in_two_steps() -> None:
    twice = [NumericFeatureSpec(feature_name="age"), NumericFeatureSpec(feature_name="again", column="age")]
    assert [columns for _, _, columns in make_preprocessor(twice, 7).transformers] == [["age"], ["age"]]


def test_columns_by_name_and_by_place_are_not_mixed() -> None:
    mixed = [NumericFeatureSpec(feature_name="age"), NumericFeatureSpec(feature_name="second", column=1)]
    assert [columns for _, _, columns in make_preprocessor(mixed, 7).transformers] == [["age"], [1]]


def test_text_stays_as_it_is_and_numbers_in_a_column_of_objects_become_text() -> None:
    table = pd.DataFrame({"text": ["a", None, "1"], "mixed": [1, 2.0, "x"]}, dtype=object)
    told = ToLabels().fit(table).transform(table)
    assert told[:, 0].tolist()[::2] == ["a", "1"]
    assert np.isnan(told[1, 0])
    assert told[:, 1].tolist() == ["1", "2", "x"]


@pytest.mark.parametrize(
    "params", [{"C": 0.1}, {"model__C": 0.1}, {"classifier__C": 0.1, "preprocessor__f0__scale__with_mean": False}]
)
def test_the_estimator_alone_is_that_of_the_pipeline(table: pd.DataFrame, params: dict[str, object]) -> None:
    data = training_data(table[["size", "city"]], np.arange(ROWS) % 2)
    features, _ = specs_for(data.X)
    recipe = Recipe(tuple(features), ClassifierModelSpec(model_name="m", algorithm="linear"), data.task, 1)
    assert recipe.estimator(**params).get_params() == recipe.make(**params)[-1].get_params()


def test_the_estimator_refuses_a_parameter_that_it_does_not_have(table: pd.DataFrame) -> None:
    features, _ = specs_for(table[["size"]])
    recipe = Recipe(tuple(features), ClassifierModelSpec(model_name="m", algorithm="linear"), "classification", 1)
    for name in ("depth", "regressor__C"):
        with pytest.raises(ValueError, match="Invalid parameter"):
            recipe.estimator(**{name: 3})
