"""A run that learns models of its target: compared on folds, judged on rows that stayed untouched, kept and shown."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.config import ModelsConfig
from raypipe.errors import ConfigError
from raypipe.ml.leaderboard import Question, compare_models
from tests.ml.frames import numbers, people

QUICK = {"algorithms": ("dummy", "linear"), "n_splits": 3}
PEOPLE = people(240)


def ran(table: pd.DataFrame, place, target: str = "churn", **settings):
    table.to_csv(place / "rows.csv", index=False)
    settings = {
        "ml_enabled": True,
        "ml_time_limit": 1_200,
        "models": QUICK,
        "analysis": {"patterns": {"enabled": False}},
        **settings,
    }
    config = PipelineConfig.of({"data_source": place / "rows.csv", "output_dir": place / "out", "run_id": "one",
                                "target_column": target, **settings})  # fmt: skip
    return AnalyticsPipeline(config).execute(), place / "out" / "one"


def text_of(folder) -> str:
    page = (folder / "dashboard.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="models"') :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section[: section.index("</section>")]))


def test_a_run_learns_compares_judges_keeps_and_shows(tmp_path):
    pytest.importorskip("skops", reason="model files need skops: pip install 'raypipe[ml]'")
    results, folder = ran(PEOPLE.drop(columns=["person"]), tmp_path)
    told = results["models"]
    assert (told["available"], told["best"]) == (True, "linear")
    report = told["report"]
    assert [one.algorithm for one in report.leaderboard] == ["linear", "dummy"]
    assert {len(one.figures["log_loss"].folds) for one in report.leaderboard} == {3}
    assert (report.test_rows, report.rows, report.beats_baseline) == (48, 240, True)
    assert report.figures["roc_auc"].low < report.figures["roc_auc"].value < report.figures["roc_auc"].high
    assert sum(map(sum, report.confusion)) == 48
    assert report.importance[0].column in ("age", "city")
    assert {"model/model.skops", "model/raypipe.json", "summary.json"} <= {
        path.relative_to(folder / "models").as_posix() for path in (folder / "models").rglob("*")
    }
    assert json.loads((folder / "models.json").read_text())["best"] == "linear"
    [finding] = [one for one in results.insights if one.type == "model"]
    assert finding.title == "linear predicts churn"
    assert "linear predicts churn" in (folder / "insights_report.md").read_text()
    shown = text_of(folder)
    for words in (
        "Leaderboard",
        "Best by log loss: linear",
        "95 % interval",
        "are of the class",
        "Reliability diagram",
        "Confusion matrix",
        "Permutation importance",
        "Model card",
    ):
        assert words in shown


def test_numbers_have_residuals(tmp_path):
    results, folder = ran(numbers(120), tmp_path, "y")
    report = results["models"]["report"]
    assert (report.task, report.metric, report.best) == ("regression", "rmse", "linear")
    assert sum(report.residuals.counts) == report.test_rows == 24
    assert report.residuals.low < report.residuals.median < report.residuals.high
    assert "nine of ten between" in text_of(folder)


def test_models_are_learnt_only_where_that_is_asked_for(tmp_path):
    results, folder = ran(PEOPLE, tmp_path, ml_enabled=False)
    assert results["models"] == {
        "available": False, "reason": "they are switched off; --set ml_enabled=true learns them",
    }  # fmt: skip
    assert not (folder / "models").exists()
    assert "Models: not available, because they are switched off" in text_of(folder)
    without = AnalyticsPipeline(
        PipelineConfig(data_source=tmp_path / "rows.csv", output_dir=tmp_path / "out", ml_enabled=True)
    ).execute()
    assert without["models"]["reason"] == "no target column was named (--target)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"churn": lambda t: "all"}, "every row has the class 'all'"),
        (
            {"churn": lambda t: np.where(t.index < 30, t["churn"], None)},
            "30 rows have a value of 'churn'; fewer than 60",
        ),
    ],
)
def test_a_target_that_cannot_be_learnt_is_a_warning_and_the_run_goes_on(tmp_path, change, message):
    results, folder = ran(PEOPLE.assign(**change), tmp_path)
    assert results["status"] == "completed"
    assert results["models"] == {"available": False, "reason": "learning them failed; see the warnings"}
    assert any(text.startswith("models is not available: ") and message in text for text in results["warnings"])
    assert (folder / "dashboard.html").exists()


def test_an_algorithm_that_fails_is_a_line_of_the_leaderboard():
    config = ModelsConfig(algorithms=("nothing such", "linear"), n_splits=3)
    report = compare_models(PEOPLE, Question("churn", config)).report
    assert [(one.algorithm, one.status) for one in report.leaderboard] == [
        ("linear", "done"),
        ("nothing such", "failed"),
    ]
    assert "there is no algorithm 'nothing such'" in report.leaderboard[1].reason
    assert report.beats_baseline is None
    with pytest.raises(ConfigError, match="models: none could be learnt; nothing such: .*there is no algorithm"):
        compare_models(PEOPLE, Question("churn", ModelsConfig(algorithms=("nothing such",))))


def test_noise_is_told_as_noise():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"]).assign(y=rng.choice(["n", "y"], 200))
    report = compare_models(table, Question("y", ModelsConfig(algorithms=("dummy", "linear")))).report
    assert report.best == "dummy"
    assert report.beats_baseline is False


def test_rows_are_split_by_time_and_by_group_where_these_are_named():
    by_time = compare_models(PEOPLE, Question("churn", ModelsConfig(**QUICK), time_column="joined")).report
    assert by_time.strategy == "time"
    by_group = compare_models(PEOPLE, Question("churn", ModelsConfig(**QUICK, group_column="person"))).report
    assert by_group.strategy == "stratified_group"
    assert "person" not in {one.column for one in by_group.importance}


def test_the_time_limit_holds_and_there_is_a_model():
    import time

    config = ModelsConfig(algorithms=("dummy", "linear", "lightgbm", "random_forest"))
    started = time.monotonic()
    answer = compare_models(PEOPLE, Question("churn", config, limit_s=3.0))
    assert answer.report.best is not None
    assert time.monotonic() - started < 60  # a fit that has begun is not broken off; machines in tests are busy
    assert answer.result.pipeline.predict(PEOPLE).shape == (240,)
