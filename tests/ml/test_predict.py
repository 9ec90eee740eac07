"""Scoring on the engine: equal to the pipeline's own answer, on either engine, with every row accounted for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config import PipelineConfig
from raypipe.errors import MissingColumnsError, ReadError, SchemaError
from raypipe.ml.specs import ModelSpec, NumericFeatureSpec
from raypipe.ml.workflow import run_ml_workflow
from tests.laws import assert_blockwise
from tests.ml.frames import numbers, people

pytest.importorskip("skops", reason="model files need skops: pip install 'raypipe[ml]'")

from raypipe.ml.predicting import score_stage
from raypipe.ml.saving import load_saved, save_model
from raypipe.pipeline.predict import predict, reading_as

PEOPLE = people()
NEW = people(500, seed=3).drop(columns=["churn"])


def saved(place, algorithm="lightgbm", table=PEOPLE, target="churn", specs=None):
    settings = {"n_estimators": 10} if algorithm == "lightgbm" else {}
    spec = ModelSpec(model_name="m", algorithm=algorithm, hyperparameters=settings)
    result = run_ml_workflow(specs, spec, table, target, "none")
    return load_saved(save_model(result, place / "model"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("m"))


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """Several files of different size."""
    folder = tmp_path_factory.mktemp("new")
    table = pa.Table.from_pandas(NEW, preserve_index=False)
    for number, (start, stop) in enumerate([(0, 10), (10, 300), (300, 500)]):
        pq.write_table(table.slice(start, stop - start), folder / f"{number}.parquet")
    return folder


def config(source, engine="inline", **more):
    return PipelineConfig.of({"data_source": str(source), "engine": {"engine": engine}, **more}, "test")


def test_scores_do_not_depend_on_how_rows_are_cut(model):
    assert_blockwise(score_stage(model).open(), pa.Table.from_pandas(NEW, preserve_index=False))


@pytest.mark.parametrize("engine", ["inline", pytest.param("ray", marks=pytest.mark.slow)])
def test_either_engine_says_what_the_pipeline_says_in_the_order_of_the_rows(model, new, tmp_path, engine, request):
    if engine == "ray":
        request.getfixturevalue("ray_session")
    done = predict(config(new, engine), score_stage(model), tmp_path / "pred.parquet")
    assert (done.engine, done.rows_read, done.rows_written, done.rows_quarantined) == (engine, 500, 500, 0)
    made = pl.read_parquet(tmp_path / "pred.parquet")
    assert made.columns == [*NEW.columns, "prediction", "probability_no", "probability_yes"]
    assert made["prediction"].to_list() == model.predict(NEW).tolist()
    assert np.array_equal(made.select("probability_no", "probability_yes").to_numpy(), model.predict_proba(NEW))
    assert np.allclose(made["income"].to_numpy(), NEW["income"].to_numpy())


def test_rows_that_cannot_be_scored_are_set_aside_with_their_reason(tmp_path):
    specs = [NumericFeatureSpec(feature_name="age"), NumericFeatureSpec(feature_name="income", imputer_enabled=False)]
    strict = saved(tmp_path, "linear", specs=specs)
    table = NEW.copy()
    table.loc[[3, 40, 499], "income"] = np.nan
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), tmp_path / "new.parquet")
    done = predict(config(tmp_path / "new.parquet"), score_stage(strict), tmp_path / "pred.parquet")
    assert (done.rows_read, done.rows_written, done.rows_quarantined) == (500, 497, 3)
    aside = pl.read_parquet(done.quarantine)
    assert aside["row"].to_list() == [3, 40, 499]
    assert set(aside["column"]) == {"income"}
    assert set(aside["reason"]) == {"column 'income' has no value, and the model cannot do without"}


def test_a_row_on_which_the_model_fails_is_set_aside_alone(tmp_path):
    linear = saved(tmp_path, "linear", specs=[NumericFeatureSpec(feature_name="age")], table=PEOPLE.assign(age=1.5))
    texts = pa.table({"age": pa.array(["3", "x", "4"])})
    with pytest.raises(SchemaError, match="column 'age' is string, and was double when it was learnt"):
        score_stage(linear).output_schema(texts.schema)


def test_text_files_are_read_with_the_types_that_the_model_was_learnt_from(tmp_path):
    codes = PEOPLE.assign(code=np.where(PEOPLE["churn"] == "yes", "07", "x1"))
    spec = ModelSpec(model_name="m", algorithm="linear")
    result = run_ml_workflow(None, spec, codes[["code", "age", "churn"]], "churn", "none")
    reading = {"dtypes": {"code": "text", "age": "float64"}}
    read = load_saved(save_model(result, tmp_path / "model", reading=reading))
    (tmp_path / "new.csv").write_text("code,age\n07,40\n07,\n07,old\n")
    stage = score_stage(read)
    plain = config(tmp_path / "new.csv")
    done = predict(reading_as(plain, stage), stage, tmp_path / "pred.parquet")
    made = pl.read_parquet(tmp_path / "pred.parquet")
    assert made["code"].to_list() == ["07", "07"]
    assert made["prediction"].to_list() == ["yes", "yes"]
    assert done.rows_quarantined == 1
    assert "wants" in pl.read_parquet(done.quarantine)["reason"][0]
    own = config(tmp_path / "new.csv", read_options={"dtypes": {"age": "text"}})
    assert reading_as(own, stage).read_options.dtypes == {"code": "text", "age": "text"}


def test_columns_are_kept_and_named_as_asked_for(model, new, tmp_path):
    stage = score_stage(model, keep=("person",), prefix="churn_")
    predict(config(new), stage, tmp_path / "pred.csv")
    made = pl.read_csv(tmp_path / "pred.csv")
    assert made.columns == ["person", "churn_prediction", "churn_probability_no", "churn_probability_yes"]


def test_numbers_come_without_probabilities(tmp_path):
    read = saved(tmp_path, "ridge", numbers(), "y")
    stage = score_stage(read)
    made = stage.open()(pa.Table.from_pandas(numbers(seed=1), preserve_index=False)).block
    assert made.schema.field("prediction").type == pa.float64()
    assert np.allclose(made["prediction"].to_numpy(), read.predict(numbers(seed=1)))
    assert stage.open()(made.select(["a", "b", "c"]).slice(0, 0)).block.num_rows == 0


@pytest.mark.parametrize("labels", [[True, False], [0, 1, 2], [3, 7], ["a", "b"]])
def test_labels_keep_their_type(tmp_path, labels):
    table = PEOPLE.drop(columns=["churn"]).assign(y=np.array(labels)[np.arange(400) % len(labels)])
    read = saved(tmp_path, "linear", table, "y")
    made = score_stage(read, keep=()).open()(pa.Table.from_pandas(NEW, preserve_index=False)).block
    assert set(made["prediction"].to_pylist()) <= set(labels)
    assert made["prediction"].to_pylist() == read.predict(NEW).tolist()


def test_a_table_that_does_not_fit_is_refused_before_a_row_is_read(model, new):
    stage = score_stage(model)
    schema = pa.Table.from_pandas(NEW, preserve_index=False).schema
    with pytest.raises(MissingColumnsError, match="model 'm': input has no column 'income'"):
        stage.output_schema(schema.remove(schema.get_field_index("income")))
    with pytest.raises(SchemaError, match="has a column 'prediction' already; give the new ones a prefix"):
        stage.output_schema(schema.append(pa.field("prediction", pa.int8())))
    with pytest.raises(MissingColumnsError, match="keep: input has no column 'id'"):
        score_stage(model, keep=("id",)).output_schema(schema)


def test_a_model_that_was_changed_meanwhile_is_refused(model):
    stage = score_stage(model)
    with pytest.raises(ReadError, match="is not the one that its card names"):
        stage.replace(packed=b"other").open()


def test_dates_are_scored_as_they_were_learnt(tmp_path):
    """As categories: a date of a file and a time of the model are one value."""
    from raypipe.ml.specs import CategoricalFeatureSpec

    days = pl.Series([20_000 + n % 4 for n in range(400)], dtype=pl.Int32).cast(pl.Date)
    table = pl.DataFrame({"day": days, "y": [n % 4 in (1, 2) for n in range(400)]}).to_arrow()
    features = [CategoricalFeatureSpec(feature_name="day")]
    model = saved(tmp_path, "linear", table, "y", features)
    pq.write_table(table.drop_columns(["y"]), tmp_path / "new.parquet")
    predict(config(tmp_path / "new.parquet"), score_stage(model), tmp_path / "scored.parquet")
    assert pl.read_parquet(tmp_path / "scored.parquet")["prediction"].to_list() == table["y"].to_pylist()
