"""Runs that go wrong, run again, or have no room: nothing is lost, counted twice or overwritten."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.engine.frame import Frame
from raypipe.engine.report import PartReport
from raypipe.errors import ConfigError, ConservationError, OutputError, RunCancelledError, StageFailedError
from raypipe.etl.outputs import RunFolder
from raypipe.etl.quarantine.writer import QuarantineWriter
from raypipe.etl.settling import PartNotes
from raypipe.etl.types import gather_misfits
from raypipe.pipeline.ingest import end_quarantine
from raypipe.stage import ASIDE_SCHEMA, Part

ROWS = 600


@pytest.fixture
def ragged(tmp_path: Path) -> Path:
    """A CSV with padded text, and with a line in every hundred that has too few fields."""
    lines = [f"{row},city {row % 7} ," + "0.5" for row in range(ROWS)]
    lines[::100] = ["ragged"] * len(lines[::100])
    path = tmp_path / "ragged.csv"
    path.write_text("n,city,share\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def pipeline(source: Path, kind: type[AnalyticsPipeline] = AnalyticsPipeline, **changes: Any) -> AnalyticsPipeline:
    given = {"data_source": source, "output_dir": source.parent / "output", "generate_dashboard": False, **changes}
    return kind(PipelineConfig.of(given))


@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_rows_set_aside_while_reading_count_once_also_where_blocks_find_no_room(
    engine: str, ragged: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "ray":
        request.getfixturevalue("ray_session")
    given = {"engine": engine, "block_mib": 0.002, "memory_gib": 5e-6}
    results = pipeline(ragged, engine=given, save_intermediate=True).execute()
    assert results["rows"] == {"read": ROWS, "kept": 594, "quarantined": 6, "dropped": {}}
    folder = Path(results["output_directory"])
    assert pl.read_parquet(folder / "quarantine.parquet")["line"].to_list() == [2, 102, 202, 302, 402, 502]
    assert pl.read_parquet(folder / "processed").height == 594


def test_every_row_is_written_also_where_blocks_are_cut(ragged: Path) -> None:
    results = pipeline(ragged, engine={"block_rows": 50}, save_intermediate=True).execute()
    written = pl.read_parquet(Path(results["output_directory"]) / "processed")
    assert written.height == results["rows"]["kept"] == 594
    assert written["n"].to_list() == [row for row in range(ROWS) if row % 100]


def test_a_pipeline_may_be_executed_again_and_leaves_the_first_run_alone(ragged: Path) -> None:
    again = pipeline(ragged)
    first, second = again.execute(), again.execute()
    assert first["run_id"] != second["run_id"]
    for results in (first, second):
        summary = json.loads((Path(results["output_directory"]) / "execution_summary.json").read_text())
        assert (summary["run_id"], summary["execution_status"]) == (results["run_id"], "completed")


def test_a_run_id_that_is_taken_fails_the_second_run_and_not_the_record_of_the_first(ragged: Path) -> None:
    again = pipeline(ragged, run_id="mine")
    again.execute()
    with pytest.raises(ConfigError, match="run mine: .* is not empty"):
        again.execute()
    summary = json.loads((ragged.parent / "output" / "mine" / "execution_summary.json").read_text())
    assert summary["execution_status"] == "completed"


def test_cancel_before_execute_holds_for_one_run(ragged: Path) -> None:
    again = pipeline(ragged)
    again.cancel()
    with pytest.raises(RunCancelledError, match="cancelled"):
        again.execute()
    assert again.execute()["status"] == "completed"


def test_a_pipeline_executes_once_at_a_time(ragged: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    one = pipeline(ragged)

    def wait(payload: dict[str, Any]) -> None:
        begun.set()
        go_on.wait(30)

    one.add_progress_callback(wait)
    thread = threading.Thread(target=one.execute)
    thread.start()
    assert begun.wait(30)
    with pytest.raises(ConfigError, match="is executing already; make a pipeline for each run"):
        one.execute()
    go_on.set()
    thread.join(60)
    assert one.get_results()["status"] == "completed"


def test_a_run_whose_summary_cannot_be_written_is_never_called_completed(
    ragged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RunFolder.write_json

    def full(self: RunFolder, name: str, content: Any) -> Path:
        if name == "execution_summary.json":
            raise OutputError("cannot write: the disk is full")
        return write(self, name, content)

    monkeypatch.setattr(RunFolder, "write_json", full)
    seen: list[str] = []
    one = pipeline(ragged)
    one.add_progress_callback(lambda payload: seen.append(payload["status"]))
    with pytest.raises(OutputError, match="the disk is full"):
        one.execute()
    assert seen[-1] == "failed"
    assert "completed" not in seen


class Broken(AnalyticsPipeline):
    """Its processing ends the run, after rows were set aside."""

    error: BaseException = KeyboardInterrupt()

    def _process_data(self, frame: Frame) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "kept"),
    [
        (StageFailedError("Scale", "00000", "see quarantine.parquet"), "failed", True),
        (ConservationError("1 is not 2"), "failed", False),
        (KeyboardInterrupt(), "cancelled", False),
    ],
)
def test_the_quarantine_stays_where_an_error_sends_its_reader_there(
    ragged: Path, error: BaseException, status: str, kept: bool
) -> None:
    one = pipeline(ragged, Broken, run_id="broken")
    one.error = error  # type: ignore[attr-defined]
    with pytest.raises(type(error)):  # KeyboardInterrupt has no text to match
        one.execute()
    folder = ragged.parent / "output" / "broken"
    assert json.loads((folder / "execution_summary.json").read_text())["execution_status"] == status
    assert (folder / "quarantine.parquet").exists() == kept
    assert not list(folder.glob(".tmp-*"))
    if kept:
        assert pl.read_parquet(folder / "quarantine.parquet").height == 6


def test_what_goes_wrong_while_a_quarantine_ends_does_not_hide_why_it_ends(tmp_path: Path) -> None:
    writer = QuarantineWriter(tmp_path / "quarantine.parquet")
    aside = pa.Table.from_pylist([{"row": 1, "reason": "no"}], schema=ASIDE_SCHEMA)
    writer.add("Scale", Part(id="00000", file="a.csv"), aside)
    (tmp_path / ".tmp-quarantine.parquet").unlink()  # so that it cannot be given its name
    end_quarantine(writer, StageFailedError("Scale", "00000", "broken"))
    end_quarantine(writer, KeyboardInterrupt())
    assert not (tmp_path / "quarantine.parquet").exists()


found = st.fixed_dictionaries(
    {
        "count": st.integers(1, 9), "values": st.integers(0, 9), "codes": st.integers(0, 3),
        "as": st.dictionaries(st.sampled_from(["int64", "float64", "text"]), st.integers(1, 9)),
        "example": st.sampled_from(["a", "b"]),
    }
)  # fmt: skip
columns = st.sampled_from(["x", "y", "z"])
notes = st.fixed_dictionaries(
    {"values": st.dictionaries(columns, st.integers(0, 20))},
    optional={
        "wide": st.dictionaries(columns, st.integers(0, 5)),
        "misfits": st.dictionaries(columns, found),
        "blank_lines": st.integers(0, 5),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(notes, max_size=12))
def test_notes_of_parts_are_added_up_as_if_all_had_been_kept(given: list[dict[str, Any]]) -> None:
    kept = PartNotes()
    for number, note in enumerate(given):
        kept.on_read(PartReport(f"{number:05d}", "a.csv", notes=note))
    assert kept.misfits() == gather_misfits(given)
    assert kept.counts["blank_lines"] == sum(note.get("blank_lines", 0) for note in given)
