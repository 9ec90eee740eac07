"""Rows and targets of any kind: each works, or is refused by an error that says what is wrong."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from raypipe.engine.localframe import as_frame
from raypipe.errors import ConfigError, RaypipeError
from raypipe.ml.audit import audit
from raypipe.ml.data import to_table, training_data
from raypipe.ml.specs import (
    CategoricalFeatureSpec,
    ClassifierModelSpec,
    ModelSpec,
    NumericFeatureSpec,
    RegressorModelSpec,
    ValidationSpec,
)
from raypipe.ml.splits import folds, hold_out
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import people

MODEL = ModelSpec(model_name="m", algorithm="linear", evaluation_metrics=())
ROWS = 80
RNG = np.random.default_rng(0)
X = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS), "c": RNG.choice(["u", "v"], ROWS)})
HALF = np.where(X["a"] > 0, 1, 0)


def learnt(x=X, y=HALF, strategy="train_test", model=MODEL, **more):
    return run_ml_workflow(None, model, x, y, strategy, **more)


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (HALF.astype(bool), [False, True]),
        (HALF, [0, 1]),
        (HALF.astype(np.int8), [0, 1]),
        (pd.Series(HALF).astype("Int64"), [0, 1]),
        (pd.Series(HALF, dtype="category"), [0, 1]),
        (pd.array(HALF.astype(bool), dtype="boolean"), [False, True]),
        (np.where(HALF, "yes", "no"), ["no", "yes"]),
        (pl.Series(np.where(HALF, "yes", "no")), ["no", "yes"]),
        (pa.array(np.where(HALF, "yes", "no")), ["no", "yes"]),
        (HALF.reshape(-1, 1), [0, 1]),
        (HALF.astype(float).tolist(), [0, 1]),
        ([1 if one else "no" for one in HALF], ["1", "no"]),
    ],
)
def test_labels_of_any_kind_are_learnt(labels, wanted):
    result = learnt(y=labels)
    assert result.labels == wanted
    assert set(result.pipeline.predict(X).tolist()) <= set(wanted)


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_rows_whose_label_is_not_known_are_left_out(gap):
    y = np.where(HALF, "yes", "no").astype(object)
    y[:8] = gap
    result = learnt(y=y)
    assert result["train_size"] + result["test_size"] == ROWS - 8
    assert result.labels == ["no", "yes"]


def test_numbers_that_are_infinite_are_no_target():
    y = X["a"].to_numpy().copy()
    y[:3] = np.inf
    assert learnt(y=y)["train_size"] == 61


@pytest.mark.parametrize(
    ("y", "strategy", "message"),
    [
        (np.zeros(ROWS, int), "train_test", "every row has the class 0;"),
        (["only"] * ROWS, "cross_validation", "every row has the class 'only'"),
        (np.arange(ROWS) == 0, "cross_validation", "5 folds want each class 5 times; .* stands in 1 rows"),
        (np.where(np.arange(ROWS) < 4, "rare", "usual"), "cross_validation", "'rare' stands in 4 rows: use fewer"),
        (HALF[:-1], "train_test", "y has 79 values, X 80 rows; wanted one value a row"),
        (np.concatenate([HALF, [1]]), "train_test", "y has 81 values, X 80 rows"),
        ([], "train_test", "y has 0 values, X 80 rows"),
        (np.zeros((ROWS, 2)), "train_test", "got an array of 2 dimensions; wanted one value a row"),
        (pd.DataFrame({"p": HALF, "q": HALF}), "train_test", "y: got 2 columns; wanted one"),
        ("d", "train_test", "input has no column 'd'"),
        (np.full(ROWS, np.nan), "train_test", "no row has a value"),
        (np.full(ROWS, np.inf), "train_test", "no row has a value"),
        (None, "train_test", "y: got NoneType; wanted one value a row, or the name of a column"),
        (5, "train_test", "y: got int; wanted one value a row"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(y, strategy, message):
    with pytest.raises((RaypipeError, ValueError), match=message):
        learnt(y=y, strategy=strategy)


def test_a_class_of_one_row_can_be_split_once_and_is_told():
    y = np.where(np.arange(ROWS) == 3, "alone", np.where(HALF, "yes", "no"))
    result = learnt(y=y)
    assert result["train_size"] == 64
    assert any("'alone' stands in 1 training rows" in text for text in result.warnings) or any(
        "have a class that no training row has" in text for text in result.warnings
    )


# ── features ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_columns_without_a_value_or_with_one_alone_are_left_out_and_told():
    result = learnt(X.assign(nothing=None, nan=np.nan, same=1.0))
    assert result.left_out["nothing"] == "it holds no value"
    assert result.left_out["nan"] == "it holds no value"
    assert result.left_out["same"] == "it holds one value alone"


@pytest.mark.parametrize("name", ["nan", "same"])
def test_a_column_that_tells_nothing_can_be_asked_for_all_the_same(name):
    specs = [NumericFeatureSpec(feature_name=one) for one in ("a", name)]
    result = run_ml_workflow(specs, MODEL, X.assign(nan=np.nan, same=1.0), HALF, "train_test")
    assert np.isfinite(result.pipeline.predict_proba(X.assign(nan=np.nan, same=1.0))).all()


def test_infinite_features_count_as_missing():
    wild = X.copy()
    wild.loc[::9, "a"] = np.inf
    wild.loc[::11, "b"] = -np.inf
    for strategy in ("train_test", "cross_validation"):
        result = learnt(wild, strategy=strategy)
        assert np.isfinite(result.pipeline.predict_proba(wild)).all()


def test_one_column_is_enough_and_no_column_is_not():
    assert learnt(X[["a"]])["test_score"] > 0.9
    with pytest.raises(ConfigError, match="X: got a table without columns"):
        learnt(X[[]])
    with pytest.raises(ConfigError, match="features: none takes part"):
        learnt(X.assign(same=1)[["same"]])


@pytest.mark.parametrize("strategy", ["train_test", "cross_validation"])
@pytest.mark.parametrize("y", [[1.5], ["one"]])
def test_one_row_is_refused(strategy, y):
    with pytest.raises(ConfigError, match="every row has the class|1 rows cannot be split|features: none takes part"):
        learnt(X[:1], y, strategy)


def test_a_few_rows_of_many_classes_are_split_without_their_shares():
    y = ["a", "b", "c", "d", "a", "b", "c", "d"]
    split = hold_out(ValidationSpec(), training_data(X[:8], y), 0)
    assert [len(side) for side in split] == [6, 2]


@pytest.mark.parametrize(
    "table",
    [
        pd.concat([X, X[["a"]]], axis=1),
        pa.table([X["a"], X["b"], X["a"]], names=["a", "b", "a"]),
        pd.DataFrame(X[["a", "b"]].to_numpy(), columns=[1, "1"]),
    ],
)
def test_a_column_that_is_there_twice_is_refused(table):
    with pytest.raises(ConfigError, match="has the column '.*' twice; rename one"):
        learnt(table)


@pytest.mark.parametrize("made", [5, "rows.csv", {"a": [1]}, None, np.zeros(4), [1, 2, 3]])
def test_what_is_no_table_is_refused(made):
    with pytest.raises(ConfigError, match=r"X: got .*(wanted|is no table)"):
        learnt(made)


def test_every_kind_of_table_gives_the_same_model_and_is_predicted_by_it():
    kinds = {
        "pandas": X, "polars": pl.from_pandas(X), "arrow": pa.Table.from_pandas(X),
        "frame": as_frame(pa.Table.from_pandas(X)),
    }  # fmt: skip
    told = {}
    for name, table in kinds.items():
        result = learnt(table)
        told[name] = result["test_score"], result.pipeline.predict(table).tolist()
    assert len({str(one) for one in told.values()}) == 1


def test_an_array_is_learnt_from_and_predicted():
    array = X[["a", "b"]].to_numpy()
    result = learnt(array)
    assert result.pipeline.predict(array).shape == (ROWS,)
    assert (result.pipeline.predict(array) == result.pipeline.predict(to_table(array))).all()
    with pytest.raises(ConfigError, match="rows to predict: got 1 columns; the model learnt from 2"):
        result.pipeline.predict(array[:, :1])
    named = pd.DataFrame(array, columns=[7, 8])
    assert learnt(named).pipeline.predict(named).shape == (ROWS,)


def test_a_table_of_modin_is_learnt_from(ray_session):
    modin = pytest.importorskip("modin.pandas", reason="pip install 'raypipe[modin]'")
    assert learnt(modin.DataFrame(X))["test_score"] == learnt()["test_score"]


@pytest.mark.slow
def test_a_ray_dataset_is_learnt_from(ray_session):
    data = pytest.importorskip("ray.data", reason="pip install 'raypipe[exchange]'")
    made = data.from_arrow(pa.Table.from_pandas(X))
    assert learnt(made)["test_score"] == learnt()["test_score"]


def test_dates_and_decimals_of_arrow_are_times_and_numbers():
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(ROWS)]
    money = [decimal.Decimal(i) / 4 for i in range(ROWS)]
    table = pa.table({"day": days, "money": money, "y": HALF})
    result = learnt(table, "y")
    assert {spec.feature_name: spec.kind for spec in result.feature_specs} == {"day": "datetime", "money": "numeric"}


# ── weights, groups, times, folds ────────────────────────────────────────────────────────────────────────────────────


def test_classes_are_weighed_by_their_labels_as_text():
    spec = ClassifierModelSpec(model_name="m", algorithm="linear", class_weight={"1": 50.0})
    result = learnt(y=np.where(RNG.random(ROWS) < 0.5, 1, 0), strategy="none", model=spec)
    assert result.pipeline[-1].class_weight == {0: 1.0, 1: 50.0}
    assert (result.pipeline.predict(X) == 1).mean() > 0.9
    with pytest.raises(ConfigError, match="class_weight names '2', which is no label; there are '0', '1'"):
        learnt(model=spec.replace(class_weight={"2": 1.0}))
    with pytest.raises(ConfigError, match="class_weight.*greater than or equal to 0"):
        ClassifierModelSpec.from_dict({"model_name": "m", "class_weight": {"1": -1.0}})


def test_times_may_be_tied_but_not_all_and_not_missing():
    y, params = HALF, {"time_column": "t", "n_splits": 3}
    tied = X.assign(t=pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS) // 10, "D"))
    result = learnt(tied, y, "cross_validation", validation_params=params)
    assert result.settled_strategy == "time"
    data = training_data(tied, y, columns=(None, "t", None))
    for train, test in folds(ValidationSpec(time_column="t", n_splits=3), data, 0):
        assert data.times[train].max() < data.times[test].min()
    with pytest.raises(ConfigError, match="3 folds over time need more than 3 different times; there are 1"):
        learnt(tied.assign(t=pd.Timestamp("2024-01-01")), y, "cross_validation", validation_params=params)
    with pytest.raises(ConfigError, match="no row lies before the test"):
        learnt(tied.assign(t=pd.Timestamp("2024-01-01")), y, validation_params={"time_column": "t"})
    gap = tied.assign(t=tied["t"].where(tied.index > 4))
    with pytest.raises(ConfigError, match="time_column 't': 5 rows have no time; fill or drop them"):
        learnt(gap, y, "cross_validation", validation_params=params)
    with pytest.raises(ConfigError, match="time_column 't' holds no times"):
        learnt(tied.assign(t="soon"), y, "cross_validation", validation_params=params)


def test_groups_are_enough_or_that_is_said():
    params = {"group_column": "g", "n_splits": 5}
    few = X.assign(g=np.arange(ROWS) % 3)
    with pytest.raises(ConfigError, match="5 folds need 5 groups; there are 3: use fewer n_splits"):
        learnt(few, strategy="cross_validation", validation_params=params)
    with pytest.raises(ConfigError, match="1 groups cannot be split"):
        learnt(X.assign(g=1), validation_params={"group_column": "g"})
    with pytest.raises(ConfigError, match="group_column 'g': 1 rows have no group; fill or drop them"):
        learnt(X.assign(g=[None, *range(ROWS - 1)]), validation_params={"group_column": "g"})
    with pytest.raises(ValueError, match="group_column: input has no column 'who'"):
        learnt(validation_params={"group_column": "who"})


def test_one_group_for_each_class_leaves_one_class_to_learn_from():
    table = X.assign(g=HALF)
    with pytest.raises(ConfigError, match="the rows to learn from have the class [01] alone"):
        learnt(table, validation_params={"group_column": "g"}, test_size=0.5)


@pytest.mark.parametrize("odd", [np.nan, 0.5, "first", None])
def test_folds_that_are_given_are_whole_numbers(odd):
    numbers = pd.Series(np.arange(ROWS) % 3, dtype=object)
    numbers[4] = odd
    with pytest.raises(ConfigError, match="fold_column 'f' holds .* in 1 rows; wanted whole numbers"):
        learnt(X.assign(f=numbers), strategy="predefined", validation_params={"fold_column": "f"})


@pytest.mark.parametrize("strategy", ["kfold", "stratified", "repeated"])
def test_a_random_split_is_refused_whatever_way_it_is_asked_for(strategy):
    for params in ({"group_column": "c"}, {"time_column": "a"}):
        with pytest.raises(ConfigError, match=f"strategy '{strategy}' deals rows at random, but"):
            learnt(strategy=strategy, validation_params=params)
    # Nor do names of the older system, which mean a random split without a column, deal such rows at random.
    table = people(100).assign(pair=np.arange(100) // 2)
    data = training_data(table, "churn", columns=("pair", None, None))
    for name in ("cross_validation", "train_test", "nested", "auto"):
        spec = ValidationSpec(strategy=name, group_column="pair", n_splits=3)
        train, test = hold_out(spec, data, 0)
        assert not set(data.groups[train]) & set(data.groups[test])
        for one, other in folds(spec, data, 0):
            assert not set(data.groups[one]) & set(data.groups[other])


@pytest.mark.parametrize(
    "table",
    [
        X.assign(nothing=None), X.assign(mixed=[1, "a"] * (ROWS // 2)), X.assign(lists=[[1]] * ROWS),
        X.assign(same=1), X.assign(wild=np.inf), X[:1], X.assign(day=pd.Timestamp("2024-01-01", tz="UTC")),
        X.assign(big=pd.array([2**62] * ROWS, dtype="Int64")), X.assign(kind=pd.Categorical(["a", None] * (ROWS // 2))),
    ],
)  # fmt: skip
def test_the_audit_takes_any_rows(table):
    data = training_data(table, HALF[: len(table)], "classification") if len(table) > 1 else None
    if data is None:
        data = training_data(table, [1.0], "regression")
    half = np.arange(data.rows // 2)
    assert isinstance(audit(data, (half, np.arange(data.rows // 2, data.rows))), list)


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ([True, False, None], [False, True]),
        (pd.array([True, False, None], dtype="boolean"), [False, True]),
        (pd.Categorical([1, 0, None]), [0, 1]),
        (np.array([3, 5, 3], dtype=object), [3, 5]),
        (pa.array([True, False, None]), [False, True]),
        ([1.5, 2.5, None], None),
    ],
)
def test_labels_that_gaps_had_made_objects_are_what_they_are(labels, wanted):
    y = pd.concat([pd.Series(labels if not isinstance(labels, pa.Array) else labels.to_pandas())] * 60)
    table = pd.DataFrame({"x": np.random.default_rng(0).normal(size=len(y))})
    data = training_data(table, y.reset_index(drop=True), "classification" if wanted else None)
    assert data.y.dtype != object
    if wanted:
        assert data.classes.tolist() == wanted
        assert run_ml_workflow(None, MODEL, table, y.reset_index(drop=True))["labels"] == wanted


def test_a_target_of_whole_numbers_is_no_set_of_classes_to_its_encoder():
    rng = np.random.default_rng(0)
    city = rng.integers(0, 60, 900)
    table = pd.DataFrame({"city": [f"c{i}" for i in city], "y": city * 3 + rng.integers(0, 9, 900)})
    spec = RegressorModelSpec(model_name="m", algorithm="ridge")
    features = [CategoricalFeatureSpec(feature_name="city", encoder_type="target")]
    result = run_ml_workflow(features, spec, table, "y")
    assert result["pipeline"][:-1].transform(table).shape == (900, 1)
    assert result["metrics"]["r2"].value > 0.95


def test_the_figures_are_those_of_what_the_model_says_also_where_both_classes_are_as_probable():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"x": rng.normal(size=600)})
    y = (table["x"] + rng.normal(size=600) > 0.7).astype(int)
    model = ClassifierModelSpec(model_name="m", algorithm="knn", hyperparameters={"n_neighbors": 4})
    result = run_ml_workflow(None, model, table[:400], y[:400], "train_test", X_test=table[400:], y_test=y[400:])
    said = result["pipeline"].predict(table[400:])
    assert result["test_metrics"]["accuracy"].value == pytest.approx((said == y[400:]).mean())
    assert result["test_metrics"]["recall"].value == pytest.approx((said[y[400:] == 1] == 1).mean())


def test_rows_drawn_again_in_repeats_make_no_interval_narrower():
    spec = ClassifierModelSpec(model_name="m", algorithm="linear", evaluation_metrics=("accuracy",))
    once = run_ml_workflow(None, spec, X, HALF, "stratified", {"n_splits": 4})
    often = run_ml_workflow(None, spec, X, HALF, "repeated", {"n_splits": 4, "n_repeats": 6})
    width = [one["metrics"]["accuracy"].interval for one in (once, often)]
    assert (width[1][1] - width[1][0]) > 0.7 * (width[0][1] - width[0][0])
    assert often["metrics"]["accuracy"].rows == len(X)


def test_rows_that_stand_twice_are_told_however_they_are_split():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)})
    y = (table["a"] > 0).astype(int)
    twice = pd.concat([table, table], ignore_index=True), pd.concat([y, y], ignore_index=True)

    def told(*rows, **more):
        return [
            text for text in run_ml_workflow(None, MODEL, *rows, **more)["warnings"] if "among the training" in text
        ]

    assert told(*twice, "cross_validation")
    assert told(*twice, "train_test")
    assert told(table, y, "train_test", X_test=table, y_test=y)
    assert not told(table, y, "cross_validation")
    flags = pd.DataFrame({"f": rng.integers(0, 2, 400), "g": rng.integers(0, 3, 400)})  # alike by chance
    assert not told(flags, pd.Series(rng.integers(0, 2, 400)), "cross_validation")


def test_metrics_of_other_folds_or_another_model_than_were_asked_for_are_told():
    from raypipe.ml.specs import CalibrationSpec

    nested = run_ml_workflow(None, MODEL, X, HALF, "nested", {"n_splits": 3}, calibration_spec=CalibrationSpec())
    assert any("before calibration" in text for text in nested["warnings"])
    five = CalibrationSpec(n_splits=5)
    seven = run_ml_workflow(None, MODEL, X, HALF, "stratified", {"n_splits": 7}, calibration_spec=five)
    assert any("over the 5 folds of its calibration, and not over the 7" in text for text in seven["warnings"])
