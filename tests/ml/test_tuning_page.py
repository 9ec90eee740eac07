"""What is told of a search: a table for machines, and a page with charts for people."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest

from raypipe.ml.tuning.charts import tuning_charts
from raypipe.ml.tuning.importance import importance
from raypipe.ml.tuning.outcome import Trial
from raypipe.ml.tuning.page import write_tuning

SUMMARY = {
    "tuning_name": "<b>", "tuning_type": "optuna", "metric": "log_loss", "greater_is_better": False, "best_score": 0.1,
    "best_params": {"alpha": 0.5}, "best_trial": 3, "default_score": 0.9, "n_splits": 3, "cv_strategy": "stratified",
    "trials": 40, "failed": 1, "pruned": 0, "stopped": 0, "folds_remembered": 0, "seconds": 4.0, "stopped_by": "trials",
    "engine": "inline", "engine_reason": "asked for",
}  # fmt: skip


def trials(count=40, seed=0):
    """The score follows `alpha` by powers of ten, `kind` a little, and `idle` not at all."""
    rng = np.random.default_rng(seed)
    made = [Trial(0, {}, "done", 0.9, ended_s=0.1)]
    for number in range(1, count):
        params = {
            "alpha": float(10 ** rng.uniform(-4, 2)), "kind": ["a", None, True][int(rng.integers(3))],
            "idle": int(rng.integers(1, 9)),
        }  # fmt: skip
        score = abs(np.log10(params["alpha"])) + 0.3 * (params["kind"] == "a") + 0.01 * rng.normal()
        made.append(Trial(number, params, "done", float(score), (score,), ended_s=number / 2, fit_s=0.1))
    return [*made, Trial(count, {"alpha": -1.0, "kind": "<i>", "idle": 1}, "failed", None, error="<no>", ended_s=count)]


def test_the_parameter_that_moves_the_score_explains_most():
    shares = importance(trials())
    assert [one.name for one in shares][:2] == ["alpha", "kind"]
    assert shares[0].share > 0.5 > 0.1 > shares[-1].share
    assert next(one for one in shares if one.name == "kind").rank_correlation is None
    linear = [Trial(i, {"x": i, "y": i % 3}, "done", float(i)) for i in range(1, 20)]
    assert importance(linear)[0].rank_correlation == pytest.approx(1.0)


def test_too_few_trials_say_nothing_of_parameters():
    assert importance(trials(8)) == []
    assert importance([Trial(i, {"x": i}, "done", 1.0) for i in range(1, 20)]) == []
    assert tuning_charts([], [], "rmse", False) == {}
    assert tuning_charts([Trial(0, {}, "done", 1.0, ended_s=1.0)], [], "rmse", False) == {}


def test_charts_are_drawn_of_what_there_is():
    made = trials()
    drawn = tuning_charts(made, importance(made), "log_loss", False)
    assert set(drawn) == {
        "tuning_history.svg", "tuning_slices.svg", "tuning_parallel.svg", "tuning_importance.svg",
    }  # fmt: skip
    for text in drawn.values():
        ElementTree.fromstring(text)
        assert "nan" not in text
    best = min(one.score for one in made if one.score is not None)
    assert f"{best:.4g} after 41 trials" in drawn["tuning_history.svg"]


def test_a_page_and_a_table_tell_every_trial(tmp_path):
    write_tuning(SUMMARY, trials(), tmp_path)
    page = (tmp_path / "tuning.html").read_text()
    assert "Search &lt;b&gt;: log_loss 0.1" in page
    assert "<no>" not in page
    assert page.count("<tr") == 1 + 41
    assert page.count("<svg") == 4
    table = pq.read_table(tmp_path / "trials.parquet")
    assert table.num_rows == 41
    assert {"param_alpha", "param_kind", "status", "ended_s"} <= set(table.column_names)
    listed = json.loads((tmp_path / "trials.json").read_text())
    assert (len(listed["trials"]), listed["importance"][0]["name"]) == (41, "alpha")


def test_members_of_a_population_tell_from_whom_they_went_on(tmp_path):
    copied = ({"turn": 2, "from": 1, "params": {"dropout": 0.2}},)
    members = [Trial(0, {}, "done", 0.9), Trial(1, {"dropout": 0.1}, "done", 0.2, (0.3, 0.2)),
               Trial(2, {"dropout": 0.2}, "done", 0.25, (0.8, 0.25), copied=copied)]  # fmt: skip
    write_tuning({**SUMMARY, "best_params": {"schedule": [[2, {"dropout": 0.1}]]}}, members, tmp_path)
    assert "copied after turn 2 from 1" in (tmp_path / "tuning.html").read_text()
    assert json.loads(pq.read_table(tmp_path / "trials.parquet")["copied"][2].as_py()) == [dict(copied[0])]
