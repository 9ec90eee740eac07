"""The driver loop on Ray: workers that never start, exit, panic or vanish; room, order, and what is left behind."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from raypipe.config import EngineConfig, Resources
from raypipe.engine import stream
from raypipe.engine.inline import InlineEngine
from raypipe.engine.pools import INLINE_SPEC_BYTES
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Engine, Outcome, Pass, PassProgress
from raypipe.engine.session import Session
from raypipe.errors import ConfigError, RunCancelledError, StageFailedError
from raypipe.stage import Plan, SinkStage, Stage
from tests.engine.stages import (
    AddTo,
    BadMerge,
    BadPartial,
    Dawdle,
    ExitOn,
    FailOn,
    KeepEven,
    Numbers,
    PanicOn,
    Ragged,
    RaiseOddError,
    SumX,
)
from tests.engine.test_session import run_python

NUMBERS = Numbers(rows=1000, per_part=100)
TOTAL = sum(range(1000))


def run(engine: Engine, *stages: Stage, **options: Any) -> Outcome:
    return engine.run(Pass(Plan(source=NUMBERS, stages=stages), **options))


def ray_engine(**config: Any) -> RayEngine:
    return RayEngine(EngineConfig(**{"workers": 2, **config}))


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        (ExitOn(value=555, code=0), "Numbers > ExitOn failed on part 00005: numbers: SystemExit: 0"),
        (ExitOn(value=555, code=1), "Numbers > ExitOn failed on part 00005: numbers: SystemExit: 1"),
        (BadPartial(), "Numbers > BadPartial failed on part .*cannot be sent to the driver: TypeError"),
        (BadMerge(), "BadMerge .*its summaries cannot be merged: IndexError: two is one too many"),
        (RaiseOddError(), "OddError: salt and pepper"),
    ],
)
def test_what_a_stage_does_to_its_worker_is_told_in_words_and_the_session_lives_on(
    ray_session: Session, stage: Stage, text: str
) -> None:
    with pytest.raises(StageFailedError, match=text):
        run(ray_engine(), stage)
    assert run(ray_engine(), SumX()).results["SumX"]["sum"] == TOTAL


def test_a_panic_sets_its_row_aside(engine: Engine) -> None:
    seen: list[Any] = []
    work = {"on_aside": lambda stage, part, rows: seen.append((stage, part.id, rows["row"].to_pylist()))}
    assert run(engine, PanicOn(value=321), SumX(), **work).rows_out == 999
    assert seen == [("PanicOn", "00003", [21])]


def test_what_reading_sets_aside_is_told_once_also_when_parts_are_read_again(engine: Engine) -> None:
    tight = type(engine)(EngineConfig(memory_gib=3e-6))
    source = Ragged(rows=100, per_part=10)
    told: list[str] = []
    work = Pass(
        Plan(source=source, stages=(SumX(),)), keep=True, on_aside=lambda stage, part, rows: told.append(part.id)
    )
    first = tight.run(work)
    assert first.frame is not None
    assert len(told) == 10
    again = Plan(source=source, prefix=first.frame.prefix, stages=(AddTo(amount=0), SumX()))
    second = tight.run(Pass(again, frame=first.frame, keep=True, on_aside=work.on_aside))
    assert len(told) == 10
    assert second.results == first.results
    assert list(second.tallies) == ["AddTo0", "SumX"]
    assert (second.rows_in, second.rows_out) == (90, 90)


def test_a_stage_that_cannot_be_sent_is_refused_before_a_worker_is_taken(ray_session: Session) -> None:
    lock = threading.Lock()

    class HoldsLock(AddTo):
        def output_schema(self, schema: pa.Schema) -> pa.Schema:
            assert lock is not None
            return schema

    with pytest.raises(
        ConfigError, match="AddTo1: cannot be sent to a worker: TypeError: cannot pickle '_thread.lock'"
    ):
        run(ray_engine(), HoldsLock())


def test_settings_too_large_for_an_argument_are_sent_once(ray_session: Session) -> None:
    many = FailOn(values=tuple(range(10_000, 10_000 + INLINE_SPEC_BYTES)))
    assert run(ray_engine(), many, SumX()).results["SumX"]["sum"] == TOTAL


def test_a_pass_with_fewer_bundles_than_workers_or_none_ends(ray_session: Session) -> None:
    one = Plan(source=Numbers(rows=5, per_part=5), stages=(SumX(),))
    first = ray_engine(workers=1).run(Pass(one, keep=True))
    assert first.frame is not None
    again = one.replace(prefix=first.frame.prefix)
    assert ray_engine(workers=4, fuse=False).run(Pass(again, frame=first.frame)).results == first.results
    none = ray_engine(workers=4, fuse=False).run(Pass(one.replace(source=Numbers(rows=0)), keep=True))
    assert none.rows_out == 0
    assert list(none.tallies) == ["SumX"]


class Where(SumX):
    """Tells the folder that a worker works in."""

    def partial(self, block: pa.Table, part: str) -> Any:
        return {"sum": 0, "rows": 0, "parts": [os.getcwd()]}


def test_relative_paths_mean_the_same_in_workers_as_here(
    ray_session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert run(ray_engine(), Where()).results["Where"]["parts"] == [str(tmp_path / name)]


class Heavy(AddTo):
    """Asks for memory."""

    resources: Resources = Resources(memory_gib=1)


def test_workers_that_find_no_place_hold_up_nobody(ray_session: Session) -> None:
    whole = ray_session.ray.cluster_resources()["memory"] / (1 << 30)
    stage = Heavy(amount=1, resources=Resources(memory_gib=0.6 * whole))  # two do not fit
    started = time.monotonic()
    outcome = run(ray_engine(workers=2), stage, SumX())
    assert outcome.results["SumX"]["sum"] == TOTAL + 1000
    assert time.monotonic() - started < 60


def test_two_runs_in_two_threads_do_not_disturb_each_other(ray_session: Session) -> None:
    def one(amount: int) -> int:
        outcome = run(ray_engine(), AddTo(amount=amount), Dawdle(seconds=0.02), SumX(), keep=True)
        assert outcome.frame is not None
        assert outcome.frame.to_arrow()["x"].to_pylist() == [value + amount for value in range(1000)]
        return int(outcome.results["SumX"]["sum"])

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(one, range(6))) == [TOTAL + 1000 * amount for amount in range(6)]


class SlowSink(SinkStage):
    """Writes a file over a long time."""

    folder: Path

    def open(self) -> Callable[[pa.Table, str], dict[str, Any]]:
        def write(block: pa.Table, part: str) -> dict[str, Any]:
            with (self.folder / f"{os.getpid()}.txt").open("a") as file:
                for _ in range(200):
                    file.write("x")
                    file.flush()
                    time.sleep(0.05)
            return {"rows": block.num_rows}

        return write


def test_after_a_cancel_no_worker_writes_any_more(ray_session: Session, tmp_path: Path) -> None:
    work = Pass(Plan(source=NUMBERS, stages=(SlowSink(folder=tmp_path),)))
    work.on_progress = lambda progress: work.cancel.set() if any(tmp_path.iterdir()) else None
    with pytest.raises(RunCancelledError, match="cancelled"):
        ray_engine().run(work)
    wrote = {path: path.stat().st_size for path in tmp_path.iterdir()}
    assert wrote
    assert not any(psutil.pid_exists(int(path.stem)) for path in wrote)
    time.sleep(0.3)
    assert {path: path.stat().st_size for path in tmp_path.iterdir()} == wrote


def test_an_error_in_a_callback_ends_the_run_and_gives_the_workers_back(ray_session: Session) -> None:
    def on_aside(stage: str, part: object, rows: pa.Table) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run(ray_engine(), FailOn(values=(5,)), on_aside=on_aside)
    pids: set[int] = set()
    work = Pass(Plan(source=NUMBERS, stages=(SumX(),)))
    work.events.emit = lambda event, **fields: pids.add(fields["pid"]) if "pid" in fields else None  # type: ignore[method-assign]
    ray_engine().run(work)
    assert pids


def test_a_small_budget_between_pools_slows_a_run_and_never_stops_it(ray_session: Session) -> None:
    reference = run(InlineEngine(EngineConfig()), AddTo(amount=1), KeepEven(), SumX())
    outcome = run(ray_engine(fuse=False, memory_gib=1e-9), AddTo(amount=1), KeepEven(), SumX())
    assert outcome.results == reference.results


def test_parts_far_ahead_of_a_slow_one_wait_until_it_is_through(
    ray_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "REORDER_BYTES", 30_000)
    held: list[int] = []
    work = Pass(Plan(source=Numbers(rows=600, per_part=2), stages=(SlowFirst(seconds=1.5), SumX())))
    looped = stream.Stream(ray_engine(), work)

    def watch(progress: PassProgress) -> None:
        held.append(looped.collector.held_bytes)

    work.on_progress = watch
    outcome = looped.run()
    assert outcome.results["SumX"]["sum"] == sum(range(600))
    assert 0 < max(held) < 200_000  # 300 reports take 900,000


class SlowFirst(Dawdle):
    """Takes its time over the first row only."""

    def apply(self, block: pa.Table) -> pa.Table:
        return super().apply(block) if 0 in block["x"].to_pylist() else block


@pytest.mark.slow
def test_a_ray_that_was_shut_down_behind_our_back_is_started_again() -> None:
    done = run_python(
        "import json, ray\n"
        "from raypipe.config import EngineConfig\n"
        "from raypipe.engine.run import Pass\n"
        "from raypipe.engine.rayengine import RayEngine\n"
        "from raypipe.stage import Plan\n"
        "from tests.engine.stages import Numbers, SumX\n"
        "engine = RayEngine(EngineConfig(workers=1))\n"
        "plan = Plan(source=Numbers(rows=100), stages=(SumX(),))\n"
        "first = engine.run(Pass(plan, keep=True))\n"
        "ray.shutdown()\n"
        "rows = first.frame.to_arrow().num_rows\n"
        "second = engine.run(Pass(plan, frame=first.frame))\n"
        "print(json.dumps([rows, first.results == second.results]))\n",
        PYTHONPATH=os.getcwd(),
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [100, True], done.stderr


@pytest.mark.slow
def test_two_threads_that_begin_at_once_share_one_session() -> None:
    done = run_python(
        "import json\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from raypipe.config import EngineConfig\n"
        "from raypipe.engine.run import Pass\n"
        "from raypipe.engine.rayengine import RayEngine\n"
        "from raypipe.stage import Plan\n"
        "from tests.engine.stages import Numbers, SumX\n"
        "def run(rows):\n"
        "    plan = Plan(source=Numbers(rows=rows), stages=(SumX(),))\n"
        "    return RayEngine(EngineConfig(workers=1)).run(Pass(plan)).rows_out\n"
        "with ThreadPoolExecutor(2) as threads:\n"
        "    print(json.dumps(list(threads.map(run, [100, 200]))))\n",
        PYTHONPATH=os.getcwd(),
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [100, 200], done.stderr
