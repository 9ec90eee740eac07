"""Scoring with a registered model by its alias: on either engine, equal to what the pipeline says."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config import PipelineConfig
from raypipe.ml.specs import ClassifierModelSpec, MLflowSpec
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import people
from tests.ml.quiet import QUIET

pytest.importorskip("mlflow", reason="tracking needs mlflow: pip install 'raypipe[mlflow]'")

from raypipe.ml.predicting import score_stage
from raypipe.ml.tracking import load_model
from raypipe.pipeline.predict import predict

pytestmark = QUIET
NEW = people(300, seed=3).drop(columns=["churn"])


@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_the_champion_scores_blocks_on_either_engine(place, engine, request):
    if engine == "ray":
        request.getfixturevalue("ray_session")
    spec = MLflowSpec(register_model=True, registered_model_name="churn", model_stage="Production")
    model = ClassifierModelSpec(model_name="churn", algorithm="linear")
    result = run_ml_workflow(None, model, people(), "churn", "none", mlflow_spec=spec, output_dir=place)
    read = load_model("models:/churn@champion", tracking_uri=result.mlflow_tracking_uri)
    (place / "new").mkdir()
    table = pa.Table.from_pandas(NEW, preserve_index=False)
    for number, start in enumerate(range(0, 300, 100)):
        pq.write_table(table.slice(start, 100), place / "new" / f"{number}.parquet")
    config = PipelineConfig.of({"data_source": str(place / "new"), "engine": {"engine": engine}}, "test")
    done = predict(config, score_stage(read), place / "pred.parquet")
    assert (done.engine, done.rows_read, done.rows_written, done.rows_quarantined) == (engine, 300, 300, 0)
    made = pl.read_parquet(place / "pred.parquet")
    assert made["prediction"].to_list() == result.pipeline.predict(NEW).tolist()
    said = made.select("probability_no", "probability_yes").to_numpy()
    assert np.array_equal(said, result.pipeline.predict_proba(NEW))
