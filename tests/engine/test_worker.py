"""The body of a worker, in this process: what comes back for a call, whatever happens in it."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raypipe.engine.chain import ChainSpec
from raypipe.engine.report import BundleReport
from raypipe.engine.worker import OPEN_CHAINS, WorkerCore
from raypipe.errors import StageFailedError
from raypipe.stage import Stage
from tests.engine.stages import (
    AddTo,
    BadPartial,
    ExitOn,
    FailOn,
    LoseRows,
    Numbers,
    PanicException,
    PanicOn,
    RaiseOddError,
    SumX,
)

SOURCE = Numbers(rows=50, per_part=10)
PARTS = SOURCE.parts()


def packed(*stages: Stage) -> bytes:
    return pickle.dumps(ChainSpec(SOURCE, stages=stages, schemas=(SOURCE.schema(),) * len(stages)))


def call(
    *stages: Stage, worker: WorkerCore | None = None, **options: Any
) -> tuple[list[pa.Table] | None, BundleReport]:
    given = {"key": repr(stages), "spec": packed(*stages), "parts": PARTS, "blocks": None, "hand_on": True, **options}
    blocks, report = (worker or WorkerCore()).run(**given)
    return blocks, pickle.loads(report)


def test_a_call_returns_the_blocks_of_its_parts_and_a_report_of_each() -> None:
    blocks, report = call(AddTo(amount=1), SumX())
    assert blocks is not None
    assert [block["x"][0].as_py() for block in blocks] == [1, 11, 21, 31, 41]
    assert [part.part for part in report.parts] == [part.id for part in PARTS]
    assert (report.pid, report.error) == (os.getpid(), None)
    assert report.seconds > 0
    assert report.rss_bytes > 0


def test_blocks_that_are_not_wanted_do_not_come_back() -> None:
    blocks, report = call(SumX(), hand_on=False)
    assert blocks is None
    assert [part.bytes_out for part in report.parts] == [0] * 5


def test_relative_paths_count_from_the_folder_of_the_driver_where_the_node_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "driver").mkdir()
    for folder, found in (("driver", "driver"), ("elsewhere", ".")):
        os.chdir(tmp_path)
        spec = pickle.dumps(ChainSpec(SOURCE, folder=str(tmp_path / folder)))
        _, report = call(key=folder, spec=spec)
        assert report.error is None
        assert Path.cwd() == (tmp_path / found).resolve()


def test_blocks_that_are_handed_in_are_not_read() -> None:
    given, _ = call()
    blocks, report = call(AddTo(amount=1), blocks=given)
    assert blocks is not None
    assert blocks[4]["x"].to_pylist() == list(range(41, 51))
    assert "Numbers" not in report.parts[0].tallies


def test_an_error_comes_back_with_the_parts_that_were_done_before_it() -> None:
    blocks, report = call(LoseRows())
    assert blocks is None
    assert report.parts == []
    assert isinstance(report.error, StageFailedError)
    assert "LoseRows failed on part 00000: lost 1 rows of 10" in str(report.error)


@pytest.mark.parametrize("code", [0, 1])
def test_a_stage_that_exits_does_not_end_the_worker(code: int) -> None:
    blocks, report = call(ExitOn(value=25, code=code))
    assert blocks is None
    assert [part.part for part in report.parts] == ["00000", "00001"]
    assert str(report.error) == f"stage Numbers > ExitOn failed on part 00002: numbers: SystemExit: {code}"


def test_ray_may_still_end_the_worker() -> None:
    ended = SystemExit(1)
    ended.ray_terminate_msg = "The process receives a SIGTERM."  # type: ignore[attr-defined]  # as Ray marks it
    worker = WorkerCore()
    call(worker=worker)
    worker._chains[repr(())].run = lambda *_: (_ for _ in ()).throw(ended)  # type: ignore[method-assign]
    with pytest.raises(SystemExit, match="1"):
        call(worker=worker)


def test_a_panic_sets_the_row_aside_and_a_panic_of_the_engine_itself_comes_back_in_words() -> None:
    blocks, report = call(PanicOn(value=3))
    assert blocks is not None
    assert report.parts[0].asides[0][1]["row"].to_pylist() == [3]
    worker = WorkerCore()
    call(worker=worker)
    worker._chains[repr(())].run = lambda *_: (_ for _ in ()).throw(PanicException("oh"))  # type: ignore[method-assign]
    _, report = call(worker=worker)
    assert "PanicException: oh" in str(report.error)


def test_an_error_that_cannot_cross_processes_comes_back_in_words() -> None:
    _, report = call(RaiseOddError())
    assert type(report.error) is StageFailedError
    assert "OddError: salt and pepper" in str(report.error)


def test_a_partial_that_cannot_be_sent_comes_back_as_an_error_in_words() -> None:
    _, report = call(BadPartial())
    assert isinstance(report.error, StageFailedError)
    assert "Numbers > BadPartial failed on part 00004" in str(report.error)
    assert "cannot be sent to the driver: TypeError: cannot pickle" in str(report.error)


def test_stages_that_cannot_be_loaded_come_back_as_an_error_in_words() -> None:
    _, report = call(spec=b"\x80\x04cno_such_module\nThing\n.")
    assert "a worker cannot load the stages: ModuleNotFoundError: No module named 'no_such_module'" in str(report.error)


def test_a_warm_worker_keeps_a_few_chains_open_and_works_on_after_a_failure() -> None:
    worker = WorkerCore()
    _, report = call(LoseRows(), worker=worker)
    assert report.error is not None
    for amount in range(OPEN_CHAINS + 3):
        blocks, report = call(AddTo(amount=amount), FailOn(values=(amount,)), worker=worker)
        assert report.error is None
        assert blocks is not None
    assert len(worker._chains) == OPEN_CHAINS
    # The spec is read once; afterwards its key stands for it.
    _, report = call(AddTo(amount=amount), FailOn(values=(amount,)), worker=worker, spec=b"")
    assert report.error is None
