"""Sources that change while they are read, and sources of very many files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raypipe.config import PipelineConfig
from raypipe.errors import ReadError
from raypipe.pipeline import AnalyticsPipeline
from tests.faults.command import events, finished, is_conserved, run_command, write_csv

ROWS = 60_000
FILES = 20_000


class TouchedBetween(AnalyticsPipeline):
    """Does something to the source once it was read, and before it is read again."""

    touch: Callable[[], None] = staticmethod(lambda: None)

    def _process_data(self, frame: Any) -> Any:
        frame.release()  # as where the blocks do not fit into memory
        self.touch()
        return super()._process_data(frame)


def changed_while_it_runs(tmp_path: Path, touch: Callable[[Path], None]) -> None:
    source = write_csv(tmp_path / "table.csv", ROWS)
    settings = {"data_source": source, "output_dir": tmp_path / "output", "run_id": "one", "save_intermediate": True}
    config = PipelineConfig.of({**settings, "engine": {"engine": "inline", "block_mib": 0.5}}, origin="test")
    pipeline = TouchedBetween(config)
    pipeline.touch = lambda: touch(source)
    pipeline.execute()


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("1,too late,2.5,2024-01-01,note\n" * 10)


def replace(path: Path) -> None:
    path.write_text(path.read_text().replace("city 1", "town 2"))


@pytest.mark.parametrize("touch", [cut_short, append, replace, Path.unlink])
def test_a_file_that_changes_between_two_readings_ends_the_run(tmp_path: Path, touch: Callable[[Path], None]) -> None:
    with pytest.raises(ReadError, match=r"table\.csv"):
        changed_while_it_runs(tmp_path, touch)
    summary = json.loads((tmp_path / "output" / "one" / "execution_summary.json").read_text())
    assert summary["execution_status"] == "failed"
    assert summary["error"]["code"] == "READ_ERROR"


def test_a_file_that_grows_while_the_command_runs_is_told(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "table.csv", 300_000)
    more = ["--run-id", "one", "--engine", "inline", "-s", "engine.block_mib=0.5", "-s", "engine.memory_gib=0.001"]
    with run_command(source, tmp_path / "output", *more) as family:
        read = lambda: any(event["event"] == "part_done" for event in events(tmp_path / "output" / "one"))  # noqa: E731
        family.await_that(read, 60.0)
        replace(source)
        code = family.wait(60.0)
        said = family.stderr().replace("\n", " ")
    assert code == 1, said
    assert "table.csv" in said
    assert "changed" in said


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_very_many_tiny_files(tmp_path: Path, engine: str, record_property: Callable[[str, object], None]) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:06d}.csv").write_text(f"id,city,amount,when,note\n{number},Ulm,{number / 4},2024-01-01,n\n")
    started = time.monotonic()
    more = ["--run-id", "one", "--engine", engine, "--no-dashboard", "--quiet"]
    finished(run_command(folder, tmp_path / "output", *more, settings=()), timeout_s=900)
    record_property("seconds", round(time.monotonic() - started, 1))
    summary = json.loads((tmp_path / "output" / "one" / "execution_summary.json").read_text())
    assert summary["rows"]["read"] == summary["rows"]["kept"] == FILES
    assert is_conserved(tmp_path / "output" / "one")
    assert (tmp_path / "output" / "one" / "events.jsonl").stat().st_size < 8 << 20
