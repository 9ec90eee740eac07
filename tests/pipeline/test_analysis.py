"""The analysis as a graph of tasks: what fails is a warning, the others go on, and each tells its time."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.engine.events import EventLog
from raypipe.errors import RunCancelledError
from raypipe.insights.models import TargetReport
from raypipe.insights.patterns.models import PatternsReport
from raypipe.pipeline import analysis, looks
from raypipe.pipeline.analysis import TASKS, analyse
from raypipe.pipeline.state import RunState

PLANS = ["target", "course over time"]
PASS = "pass over all rows"
NAMES = [
    "first rows and sample",
    "statistics of the sample",
    *PLANS,
    PASS,
    "quality score",
    "patterns",
    "target analysis",
    "statistics",
    "time series",
    "insights",
    "report",
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [f"2024-01-{1 + row % 28:02d},{row},{row * 2 + row % 3},city {row % 4}" for row in range(400)]
    path = tmp_path / "sales.csv"
    path.write_text("day,units,revenue,city\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def pipeline(source: Path, kind: type[AnalyticsPipeline] = AnalyticsPipeline, **changes: Any) -> AnalyticsPipeline:
    given = {
        "data_source": source,
        "output_dir": source.parent / "output",
        "target_column": "revenue",
        "time_column": "day",
        "generate_dashboard": False,
        **changes,
    }
    return kind(PipelineConfig.of(given))


def state_of(one: AnalyticsPipeline) -> RunState:
    assert one._run is not None
    return one._run


def test_every_task_of_the_analysis_tells_its_state_and_time(source: Path) -> None:
    one = pipeline(source)
    results = one.execute()
    told = state_of(one).analysis_tasks
    assert [task["name"] for task in told] == NAMES
    assert {(task["status"], task["attempts"]) for task in told} == {("done", 1)}
    by_name = {task["name"]: task for task in told}
    assert by_name[PASS]["where"] == "caller"
    assert by_name[PASS]["seconds"] > 0
    for before, after in (
        ("first rows and sample", "statistics of the sample"),
        ("statistics of the sample", PASS),
        ("target", PASS),
        ("course over time", PASS),
        (PASS, "insights"),
        ("patterns", "insights"),
    ):
        assert by_name[before]["ended_s"] <= by_name[after]["started_s"]
    assert by_name["report"]["started_s"] >= max(task["ended_s"] for task in told if task["name"] != "report")
    assert json.dumps(told)
    assert results["warnings"] == ()


def test_without_target_and_time_their_tasks_are_not_there_and_the_report_says_why(source: Path) -> None:
    one = pipeline(source, target_column=None, time_column=None)
    results = one.execute()
    assert [task["name"] for task in state_of(one).analysis_tasks] == [
        name for name in NAMES if name not in {*PLANS, "target analysis", "time series"}
    ]
    assert state_of(one).analysis.reasons == {
        "target": "no target column was named (--target)",
        "timeline": "no time column was named (--time)",
    }
    assert "no target column was named" in results["insights_report"]


@pytest.mark.parametrize(
    ("broken", "warning", "still_there"),
    [
        (
            "plan_relations",
            "target is not available: RuntimeError: no ink",
            {"timeline", "quality", "insights"},
        ),
        ("plan_timeline", "course over time is not available: RuntimeError: no ink", {"target", "quality", "insights"}),
        ("quality_score", "quality score is not available: RuntimeError: no ink", {"target", "timeline", "insights"}),
        ("InsightGenerator", "insights is not available: RuntimeError: no ink", {"target", "timeline", "quality"}),
        (
            "PatternDetector",
            "patterns is not available: RuntimeError: no ink",
            {"target", "timeline", "quality", "insights"},
        ),
        (
            "analyse_target",
            "target analysis is not available: RuntimeError: no ink",
            {"target", "timeline", "patterns", "insights"},
        ),
        (
            "plan_tails",
            "pass over all rows is not available: RuntimeError: no ink",
            {"quality", "insights", "head", "sample", "statistics", "patterns"},
        ),
        (
            "StatisticsEngine",
            "statistics of the sample is not available: RuntimeError: no ink",
            {"target", "timeline", "patterns", "insights"},
        ),
        (
            "sample_size",
            "first rows and sample is not available: RuntimeError: no ink",
            {"target", "timeline", "quality", "insights"},
        ),
    ],
)
def test_a_task_that_fails_is_a_warning_that_the_report_tells_and_the_others_go_on(
    broken: str, warning: str, still_there: set[str], source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: Any, **__: Any) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(looks if broken == "sample_size" else analysis, broken, raises)
    one = pipeline(source)
    results = one.execute()
    assert results["status"] == "completed"
    assert results["warnings"] == (warning,)
    assert warning.split(":")[0] in results["insights_report"]
    found = state_of(one).analysis
    assert [name for name in sorted(still_there) if not getattr(found, name)] == []
    assert [task["status"] for task in state_of(one).analysis_tasks].count("failed") == 1


def test_a_report_that_fails_is_a_warning_too(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: Any) -> str:
        raise RuntimeError("no ink")

    monkeypatch.setattr(analysis, "write_report", raises)
    results = pipeline(source).execute()
    assert results["warnings"] == ("report is not available: RuntimeError: no ink",)
    assert results["insights_report"] == ""
    assert results["insights"]


def test_a_task_that_never_ends_is_a_warning_after_its_limit(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(analysis, "quality_score", lambda *_: go_on.wait(30))
    monkeypatch.setattr(analysis, "TASKS", TASKS.replace(task_limit_s=0.5))
    results = pipeline(source).execute()
    go_on.set()
    assert results["status"] == "completed"
    assert results["warnings"] == (
        "quality score is not available: it ran longer than its 0.5 s, and still runs: a thread cannot be ended",
    )


def test_callbacks_come_from_the_thread_that_executes_also_during_the_analysis(source: Path) -> None:
    threads: set[int] = set()
    one = pipeline(source)
    one.add_progress_callback(lambda payload: threads.add(threading.get_ident()))
    one.execute()
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("error", [None, KeyboardInterrupt("the run was cancelled")])
def test_a_cancel_or_ctrl_c_during_the_analysis_ends_the_run(error: BaseException | None, source: Path) -> None:
    one = pipeline(source)

    def stop(payload: dict[str, Any]) -> None:
        if payload["progress"]["current_stage"] == "analysis" and payload["detail"]:
            if error is not None:
                raise error
            one.cancel()

    one.add_progress_callback(stop)
    with pytest.raises(RunCancelledError if error is None else KeyboardInterrupt, match="cancelled"):
        one.execute()
    assert one.get_status()["status"] == "cancelled"


def test_events_and_cancel_of_the_run_are_those_of_its_tasks(source: Path, tmp_path: Path) -> None:
    one = pipeline(source)
    one.execute()
    run, cancel = state_of(one), threading.Event()
    with EventLog(tmp_path / "events.jsonl") as log:
        analyse(one.config, run, lambda stages: {}, events=log, cancel=cancel)
        cancel.set()
        with pytest.raises(RunCancelledError, match="analysis: the tasks were cancelled"):
            analyse(one.config, run, lambda stages: {}, events=log, cancel=cancel)
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    started = [line["task"] for line in lines if line["event"] == "task_started"]
    assert sorted(started[: len(NAMES)]) == sorted(NAMES)
    assert {line["graph"] for line in lines} == {"analysis"}


def test_patterns_and_the_closer_look_at_the_target_stand_in_their_files_and_can_be_switched_off(source: Path) -> None:
    one = pipeline(source)
    results = one.execute()
    folder = Path(results["output_directory"])
    patterns = PatternsReport.model_validate_json((folder / "patterns.json").read_text())
    target = TargetReport.model_validate_json((folder / "target.json").read_text())
    assert (patterns.version, target.version) == (1, 1)
    assert results["analysis_results"]["patterns"] == patterns
    assert results["analysis_results"]["target"] == target
    assert target.baselines is not None
    assert target.baselines.split == "time"
    assert "revenue" in {*patterns.columns, *patterns.left_out}
    off = {"patterns": {"enabled": False}, "target": {"enabled": False}}
    results = pipeline(source, analysis=off).execute()
    assert results["analysis_results"]["patterns"] is None
    assert not (Path(results["output_directory"]) / "patterns.json").exists()
    assert "switched off (analysis.patterns.enabled: false)" in results["insights_report"]
    assert results["analysis_results"]["target"].not_computed["leaks"].startswith("switched off")
