"""What goes wrong inside a run, and what the engine makes of it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from raypipe.config import EngineConfig
from raypipe.engine.events import EventLog
from raypipe.engine.inline import InlineEngine
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Engine, Pass, PassProgress
from raypipe.engine.session import Session
from raypipe.errors import ConfigError, RunCancelledError, StageFailedError
from raypipe.stage import Plan
from tests.engine.stages import (
    AddTo,
    AlwaysFail,
    BreakPromise,
    CountFiles,
    Dawdle,
    DeadlyNumbers,
    FailOn,
    KillAlways,
    KillOnce,
    LoseRows,
    NeverReturn,
    Numbers,
    SumX,
    WantsGpus,
)

NUMBERS = Numbers(rows=1000, per_part=100)


def test_a_block_that_fails_is_halved_down_to_the_rows_at_fault(engine: Engine) -> None:
    found: list[dict[str, object]] = []
    plan = Plan(source=NUMBERS, stages=(FailOn(values=(5, 333, 334)), SumX()))
    work = Pass(
        plan,
        on_aside=lambda stage, part, rows: found.extend(
            {"stage": stage, "part": part.id, **row} for row in rows.to_pylist()
        ),
    )
    outcome = engine.run(work)
    assert outcome.rows_out == 997
    assert [(row["stage"], row["part"], row["row"]) for row in found] == [
        ("FailOn", "00000", 5),
        ("FailOn", "00003", 33),
        ("FailOn", "00003", 34),
    ]
    assert found[0]["reason"] == "ZeroDivisionError: cannot digest 5"
    assert found[0]["raw"] == '{"x": 5, "word": "gamma"}'


def test_more_failing_rows_than_allowed_end_the_run(engine: Engine) -> None:
    plan = Plan(source=NUMBERS, stages=(FailOn(values=tuple(range(0, 1000, 50))),))
    with pytest.raises(StageFailedError, match=r"FailOn .* raised on 20 of 1,000 rows \(2.00%\), more than the 1.00%"):
        engine.run(Pass(plan))


def test_a_stage_that_fails_on_every_row_is_named_at_once(engine: Engine) -> None:
    with pytest.raises(
        StageFailedError, match="AlwaysFail failed on part 00000: KeyError: 'nothing works'; it failed on each"
    ):
        engine.run(Pass(Plan(source=NUMBERS, stages=(AlwaysFail(),))))


def test_rows_that_vanish_without_a_word_end_the_run(engine: Engine) -> None:
    with pytest.raises(StageFailedError, match="LoseRows .* lost 1 rows of 100 without saying where"):
        engine.run(Pass(Plan(source=NUMBERS, stages=(LoseRows(),))))


def test_a_broken_promise_about_types_ends_the_run(engine: Engine) -> None:
    with pytest.raises(StageFailedError, match="BreakPromise .* returned 'x' as double instead of int64"):
        engine.run(Pass(Plan(source=NUMBERS, stages=(BreakPromise(),))))


def test_two_stages_of_one_name_are_refused_before_the_run() -> None:
    with pytest.raises(ConfigError, match="distinct names, got AddTo1 more than once"):
        Plan(source=NUMBERS, stages=(AddTo(), AddTo())).schemas()


def test_a_killed_worker_does_not_change_the_result(ray_session: Session, tmp_path: Path) -> None:
    stages = (AddTo(amount=1), KillOnce(value=555, marker=tmp_path / "killed"), SumX())
    reference = InlineEngine(EngineConfig()).run(Pass(Plan(source=NUMBERS, stages=(AddTo(amount=1), SumX()))))
    outcome = RayEngine(EngineConfig(workers=2)).run(Pass(Plan(source=NUMBERS, stages=stages), keep=True))
    assert (tmp_path / "killed").exists()
    assert outcome.worker_restarts >= 1
    assert outcome.results == reference.results
    assert outcome.frame is not None
    assert outcome.frame.to_arrow()["x"].to_pylist() == list(range(1, 1001))


@pytest.mark.slow
def test_a_row_that_always_kills_its_worker_is_found_and_set_aside(ray_session: Session, tmp_path: Path) -> None:
    found: list[dict[str, object]] = []
    plan = Plan(source=NUMBERS, stages=(AddTo(amount=0), KillAlways(value=250), SumX()))
    with EventLog(tmp_path / "events.jsonl") as events:
        work = Pass(
            plan,
            keep=True,
            events=events,
            on_aside=lambda stage, part, rows: found.extend(
                {"stage": stage, "part": part.id, **row} for row in rows.to_pylist()
            ),
        )
        outcome = RayEngine(EngineConfig(workers=2, max_task_retries=1)).run(work)
    assert [(row["stage"], row["part"], row["row"]) for row in found] == [("KillAlways", "00002", 50)]
    assert "its worker was lost 2 times" in str(found[0]["reason"])
    assert outcome.rows_out == 999
    assert outcome.results["SumX"]["sum"] == sum(range(1000)) - 250
    assert outcome.frame is not None
    assert outcome.frame.to_arrow()["x"].to_pylist() == [x for x in range(1000) if x != 250]
    told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    blamed = [event for event in told if event["event"] == "rows_blamed"]
    assert [(event["part"], event["stage"], event["rows"]) for event in blamed] == [("00002", "KillAlways", 1)]


@pytest.mark.slow
def test_rows_that_kill_are_left_out_when_their_part_is_read_again(ray_session: Session) -> None:
    tight = RayEngine(EngineConfig(workers=2, max_task_retries=0, memory_gib=1e-9))
    first = tight.run(Pass(Plan(source=NUMBERS, stages=(KillAlways(value=250), AddTo(amount=1))), keep=True))
    frame = first.frame
    assert frame is not None
    second = tight.run(Pass(Plan(source=NUMBERS, prefix=frame.prefix, stages=(SumX(),)), frame=frame))
    assert second.worker_restarts == 0
    assert second.results["SumX"]["sum"] == sum(range(1, 1001)) - 251
    assert frame.to_arrow()["x"].to_pylist() == [x + 1 for x in range(1000) if x != 250]


@pytest.mark.slow
def test_more_killing_rows_than_allowed_end_the_run_and_the_session_lives_on(ray_session: Session) -> None:
    plan = Plan(source=NUMBERS, stages=(KillAlways(value=250),))
    with pytest.raises(
        StageFailedError, match=r"KillAlways .* raised on 1 of 1,000 rows .*its worker was lost 1 times"
    ):
        RayEngine(EngineConfig(workers=1, max_task_retries=0, max_failed_share=0.0)).run(Pass(plan))
    assert RayEngine(EngineConfig()).run(Pass(Plan(source=NUMBERS, stages=(SumX(),)))).rows_out == 1000


def test_a_source_that_kills_its_worker_ends_the_run_after_finite_tries(ray_session: Session) -> None:
    plan = Plan(source=DeadlyNumbers(rows=300, per_part=100, deadly_part="00001"), stages=(SumX(),))
    with pytest.raises(StageFailedError, match="part 00001: .*by reading alone, so that no row can be told"):
        RayEngine(EngineConfig(workers=1, max_task_retries=0)).run(Pass(plan))


@pytest.mark.slow
def test_a_row_on_which_a_stage_never_returns_is_found_and_set_aside(ray_session: Session) -> None:
    found: list[tuple[str, int]] = []
    plan = Plan(source=NUMBERS, stages=(NeverReturn(value=437), SumX()))
    work = Pass(plan, on_aside=lambda stage, part, rows: found.append((part.id, rows["row"][0].as_py())))
    outcome = RayEngine(EngineConfig(workers=2, call_timeout_s=1.0)).run(work)
    assert found == [("00004", 37)]
    assert outcome.rows_out == 999


def test_cancel_takes_effect_within_seconds(engine: Engine) -> None:
    work = Pass(Plan(source=Numbers(rows=10_000, per_part=10), stages=(Dawdle(seconds=0.05),)))
    threading.Timer(0.7, work.cancel.set).start()
    started = time.monotonic()
    with pytest.raises(RunCancelledError, match="cancelled"):
        engine.run(work)
    assert time.monotonic() - started < 20  # alone it takes 50 s; the bound is wide because machines are shared


def test_what_this_machine_can_never_give_is_refused_at_once(ray_session: Session) -> None:
    with pytest.raises(
        ConfigError, match="WantsGpus: no worker of it can start on this machine: it wants 1 GPU, and there is none"
    ):
        RayEngine(EngineConfig(workers=1)).run(Pass(Plan(source=NUMBERS, stages=(WantsGpus(),))))


def test_a_slow_part_is_named_by_the_stall_detector(ray_session: Session, tmp_path: Path) -> None:
    said: list[str] = []
    work = Pass(Plan(source=Numbers(rows=10, per_part=10), stages=(Dawdle(seconds=2.0),)))
    work.on_progress = lambda progress: said.append(progress.waiting_for) if progress.waiting_for else None
    with EventLog(tmp_path / "events.jsonl") as work.events:
        RayEngine(EngineConfig(workers=1, stall_warning_s=0.5)).run(work)
    slow = next(text for text in said if text.startswith("Dawdle: no block finished for"))
    assert "part 00000 of numbers" in slow
    assert '"event": "stall"' in (tmp_path / "events.jsonl").read_text()


def test_a_sink_writes_one_file_a_part_and_its_receipts_come_in_order(engine: Engine, tmp_path: Path) -> None:
    outcome = engine.run(Pass(Plan(source=NUMBERS, stages=(CountFiles(folder=tmp_path),))))
    assert [receipt["path"] for receipt in outcome.receipts] == [
        str(tmp_path / f"{part:05d}.txt") for part in range(10)
    ]
    assert sum(receipt["rows"] for receipt in outcome.receipts) == 1000


def test_progress_ends_with_every_part_done(engine: Engine) -> None:
    seen: list[PassProgress] = []
    engine.run(Pass(Plan(source=NUMBERS, stages=(SumX(),)), on_progress=seen.append))
    assert seen[-1].parts_done == seen[-1].parts == 10
    assert seen[-1].eta_s == 0.0
    assert {stage.name: stage.rows_in for stage in seen[-1].stages} == {"Numbers": 1000, "SumX": 1000}
