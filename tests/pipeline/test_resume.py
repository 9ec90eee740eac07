"""Going on with a run that was cut off: the same files in the end, and a reason where it cannot be."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.engine import journal as journals
from raypipe.errors import ConfigError, ResumeError, RunCancelledError

ROWS = 30_000
FILES = ("profile.json", "validation.json", "quarantine.parquet", "insights_report.md")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Messy enough to have rows set aside, dropped and changed."""
    path = tmp_path_factory.mktemp("data") / "sales.csv"
    draw = random.Random(7)
    with path.open("w") as file:
        file.write("id,day,city,price,quantity\n")
        for row in range(ROWS):
            city = draw.choice(["Ulm", " Bonn ", "Köln", ""])
            price = "n/a" if row % 10_007 == 17 else f"{draw.gauss(100, 15):.2f}"
            file.write(f"{row},2024-{1 + row % 12:02d}-{1 + row % 28:02d},{city},{price},{draw.randrange(50)}\n")
    return path


def settings(table: Path, output: Path, **more: Any) -> dict[str, Any]:
    engine = {"engine": "inline", "checkpoint_s": 0.01, "block_mib": 0.05, **more.pop("engine", {})}
    return {
        "data_source": str(table), "output_dir": str(output), "target_column": "price", "time_column": "day",
        "save_intermediate": True, "generate_dashboard": False, "engine": engine, **more,
    }  # fmt: skip


def pipeline(table: Path, output: Path, run_id: str, **more: Any) -> AnalyticsPipeline:
    return AnalyticsPipeline(PipelineConfig.of({**settings(table, output, **more), "run_id": run_id}))


def hashes(folder: Path) -> dict[str, str]:
    """Of all files that a run ends with, but for those that tell times. Runs that are compared have one name."""
    files = [folder / name for name in FILES] + sorted((folder / "processed").iterdir())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    told = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [event for event in told if event["event"] == kind]


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], float]:
    """Hashes of a run that nothing befell, and its seconds."""
    output = tmp_path_factory.mktemp("whole")
    started = time.monotonic()
    pipeline(table, output, "r").execute()
    assert not (output / "r" / "resume").exists()
    return hashes(output / "r"), time.monotonic() - started


def test_a_run_that_was_cancelled_goes_on_with_its_own_settings(
    table: Path, tmp_path: Path, whole: tuple[dict[str, str], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "COST_SHARE", 1.0)
    first = pipeline(table, tmp_path, "r")
    first.add_progress_callback(_cancel_in(first, "data_processing"))
    with pytest.raises(RunCancelledError) as caught:
        first.execute()
    assert f"raypipe run --resume r --output {tmp_path}" in caught.value.__notes__[0]
    assert (tmp_path / "r" / "resume" / "run.json").exists()
    again = AnalyticsPipeline.resumed("r", tmp_path)
    assert again.execute(resume="r").status == "completed"
    assert hashes(tmp_path / "r") == whole[0]
    resumed = events(tmp_path / "r", "resumed")
    assert [event["name"] for event in resumed][:1] == ["001-load"]
    parts = events(tmp_path / "r", "pass_started")[0]["parts"]
    assert resumed[0]["parts_done"] == parts, "pass 1 was done, and nothing of it was done again"
    assert not (tmp_path / "r" / "resume").exists()


def test_a_run_killed_just_before_its_journal_goes_is_gone_on_with_to_the_same_files(
    table: Path, tmp_path: Path, whole: tuple[dict[str, str], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(journals.Journal, "remove", lambda self: None)  # as if killed before it
        pipeline(table, tmp_path, "r").execute()
    assert json.loads((tmp_path / "r" / "run.json").read_text())["outcome"] == "completed"
    assert AnalyticsPipeline.resumed("r", tmp_path).execute(resume="r").status == "completed"
    assert hashes(tmp_path / "r") == whole[0]
    assert not (tmp_path / "r" / "resume").exists()


def _cancel_in(run: AnalyticsPipeline, stage: str) -> Any:
    def look(data: dict[str, Any]) -> None:
        shares = data["progress"]["stage_progress"]
        if data["progress"]["current_stage"] == stage and data["detail"] and shares.get(stage, 0) > 30:
            run.cancel()

    return look


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_a_run_killed_at_any_moment_ends_with_the_same_files(
    table: Path, tmp_path: Path, whole: tuple[dict[str, str], float], seed: int
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**settings(table, tmp_path), "run_id": "r"}))
    script = (
        "import json, sys; from raypipe import AnalyticsPipeline, PipelineConfig\n"
        "print('ready', flush=True)\n"
        f"AnalyticsPipeline(PipelineConfig.of(json.load(open({str(config)!r})))).execute()"
    )
    draw = random.Random(seed)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        while not (tmp_path / "r" / "events.jsonl").exists() and child.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 1.2 * whole[1]))
        os.kill(child.pid, signal.SIGKILL)
    if not (tmp_path / "r" / "resume").exists():
        assert json.loads((tmp_path / "r" / "run.json").read_text())["outcome"] == "completed", "it was done already"
        assert hashes(tmp_path / "r") == whole[0]
        return
    AnalyticsPipeline.resumed("r", tmp_path).execute(resume="r")
    assert hashes(tmp_path / "r") == whole[0]


@pytest.fixture
def unfinished(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of runs, with an unfinished run `r` over a copy of the table, which lies in it."""
    monkeypatch.setattr(journals, "COST_SHARE", 1.0)
    source = tmp_path / "sales.csv"
    source.write_bytes(table.read_bytes())
    first = pipeline(source, tmp_path, "r")
    first.add_progress_callback(_cancel_in(first, "data_processing"))
    with pytest.raises(RunCancelledError):
        first.execute()
    return tmp_path


def refused(output: Path, match: str, **changed: Any) -> None:
    before = (output / "r" / "events.jsonl").read_bytes()
    with pytest.raises(ResumeError, match=match):
        AnalyticsPipeline.resumed("r", output, **changed).execute(resume="r")
    assert (output / "r" / "events.jsonl").read_bytes() == before
    assert (output / "r" / "resume" / "run.json").exists(), "what was committed is still there"


def test_changed_settings_are_refused_by_name(unfinished: Path) -> None:
    refused(unfinished, "target_column was 'price' and is 'quantity'", target_column="quantity")
    refused(unfinished, r"engine.block_mib was 0.05 and is 1.0", engine={"block_mib": 1.0})


def test_settings_that_do_not_change_the_result_may_differ(unfinished: Path) -> None:
    again = AnalyticsPipeline.resumed("r", unfinished, engine={"stall_warning_s": 99.0, "min_workers": 1})
    assert again.execute(resume="r").status == "completed"


def test_a_changed_source_is_refused(unfinished: Path) -> None:
    source = unfinished / "sales.csv"
    source.write_bytes(source.read_bytes() + b"30000,2024-01-01,Ulm,1.0,1\n")
    refused(unfinished, r"sales.csv was changed")


def test_a_changed_pipeline_is_refused(unfinished: Path) -> None:
    class Other(AnalyticsPipeline):
        """Not the one that began."""

    with pytest.raises(ResumeError, match=r"the code of raypipe.*AnalyticsPipeline has changed.*Other now"):
        Other.resumed("r", unfinished).execute(resume="r")


def test_what_cannot_be_resumed_is_told_in_words(table: Path, unfinished: Path) -> None:
    with pytest.raises(ResumeError, match="there is no run nothing in .*; unfinished runs there: r"):
        AnalyticsPipeline.resumed("nothing", unfinished)
    AnalyticsPipeline.resumed("r", unfinished).execute(resume="r")
    with pytest.raises(ResumeError, match="run r is completed; its files are in"):
        AnalyticsPipeline.resumed("r", unfinished)
    with pytest.raises(ConfigError, match="is not empty"):
        pipeline(table, unfinished, "r").execute()


def test_a_run_that_another_process_works_on_is_left_alone(unfinished: Path) -> None:
    lock = unfinished / "r" / "resume" / "lock"
    with journals.locked(lock):
        refused(unfinished, "a process is still working on")


def test_a_damaged_record_is_told(unfinished: Path) -> None:
    record = unfinished / "r" / "resume" / "run.json"
    record.write_text(record.read_text()[:100])
    with pytest.raises(ResumeError, match=r"run.json cannot be read"):
        AnalyticsPipeline.resumed("r", unfinished)


def test_without_a_key_a_run_goes_through_and_keeps_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(journals.KEY_ENV, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/proc/nowhere")
    assert pipeline(table, tmp_path, "r").execute().status == "completed"
    assert not (tmp_path / "r" / "resume").exists()
    assert "Set RAYPIPE_RESUME_KEY" in events(tmp_path / "r", "not_committed")[0]["why"]
