"""From any source to any destination: every row accounted for, on both engines, whatever the types turn out to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config import PipelineConfig
from raypipe.engine.session import Session
from raypipe.errors import ConfigError, ConservationError, DataInvalidError, OutputError
from raypipe.pipeline import AnalyticsPipeline
from raypipe.pipeline.convert import Converted, convert, write

ROWS = 4_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two files; a fraction deep in the second one widens a column that a sample takes for whole numbers."""
    folder = tmp_path / "in"
    folder.mkdir()
    for part in range(2):
        lines = [
            f"{row},{row % 50},name {row},2024-01-{row % 28 + 1:02d}" for row in range(part * ROWS, (part + 1) * ROWS)
        ]
        if part == 1:
            lines[ROWS - 100] = "7900,0.5,odd,2024-01-01"
            lines[10] = "ragged,row"
        (folder / f"{part}.csv").write_text("id,n,name,day\n" + "\n".join(lines) + "\n")
    return folder


def settings(source: Path | str, **more: Any) -> PipelineConfig:
    return PipelineConfig.of({"data_source": source, "engine": {"engine": "inline", "block_mib": 0.05}, **more})


def test_types_that_are_widened_late_leave_one_table_and_every_row_somewhere(source: Path, tmp_path: Path) -> None:
    done = convert(settings(source), tmp_path / "out.parquet")
    assert (done.rows_read, done.rows_written, done.rows_quarantined) == (2 * ROWS, 2 * ROWS - 1, 1)
    got = pq.read_table(tmp_path / "out.parquet")
    assert got.schema.field("n").type == pa.float64()
    assert got["id"].to_pylist() == [row for row in range(2 * ROWS) if row != ROWS + 10]
    assert any("read as float64" in note for note in done.notes)
    aside = pl.read_parquet(done.quarantine)
    assert aside["raw"].to_list() == ["ragged,row"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.parquet", "out.parquet.quarantine.parquet"]


@pytest.mark.parametrize("dest", ["out.csv", "out/", "by/"])
def test_ray_writes_what_inline_writes(source: Path, tmp_path: Path, ray_session: Session, dest: str) -> None:
    how = {"write": {"partition_by": ["day"]}} if dest == "by/" else {}
    content = []
    for engine in ("inline", "ray"):
        place = tmp_path / engine / dest.rstrip("/")
        place.parent.mkdir()  # rows set aside go beside it, and not into the working folder
        engine_settings = {"engine": engine, "block_mib": 0.05, "workers": 2}
        end = "/" if dest.endswith("/") else ""
        done = convert(settings(source, **{**how, "engine": engine_settings}), f"{place}{end}")
        assert done.engine == engine
        files = sorted(path for path in (place.rglob("*") if place.is_dir() else [place]) if path.is_file())
        content.append([(path.relative_to(place).as_posix(), path.read_bytes()) for path in files])
    assert content[0] == content[1]


def test_rows_that_break_a_schema_go_aside_or_end_it_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    rules = tmp_path / "schema.yaml"
    rules.write_text("name: things\ncolumns:\n  - {name: n, max_value: 48}\n")
    with pytest.raises(DataInvalidError, match=r"Nothing was written; the rows set aside are in"):
        convert(settings(source, validation={"schema_path": rules}, strict_validation=True), tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    done = convert(settings(source, validation={"schema_path": rules}), tmp_path / "out.parquet")
    assert done.rows_quarantined == 2 * ROWS // 50 + 1
    assert pl.read_parquet(tmp_path / "out.parquet")["n"].max() == 48
    assert any("wanted at most 48" in note for note in done.notes)


@pytest.mark.parametrize("dest", ["out.parquet", "out/", "out.db"])
def test_rows_that_only_all_rows_together_name_are_not_written(tmp_path: Path, dest: str) -> None:
    """They are known when the first pass is over, so that writing waits for it."""
    (tmp_path / "in.csv").write_text("id,n\n" + "".join(f"{row % 900},{row}\n" for row in range(1_000)))
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  - {rule: unique, columns: [id], action: quarantine}\n")
    table = {"write": {"sql": {"table": "t"}}} if dest == "out.db" else {}
    done = convert(settings(tmp_path / "in.csv", validation={"rules_path": rules}, **table), f"{tmp_path}/{dest}")
    assert (done.rows_read, done.rows_written, done.rows_quarantined) == (1_000, 900, 100)
    if dest != "out.db":
        assert pl.read_parquet(tmp_path / dest)["id"].sort().to_list() == list(range(900))


@pytest.mark.parametrize("dest", ["new/out.csv", "new/out/"])
def test_rows_set_aside_lie_beside_what_is_written_also_in_a_folder_that_is_made_for_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dest: str
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    done = convert(settings(source), f"{tmp_path}/{dest}")
    assert done.quarantine == f"{tmp_path}/{dest.rstrip('/')}.quarantine.parquet"
    assert Path(done.quarantine).is_file()
    assert list(here.iterdir()) == []


def test_source_and_destination_are_two_places(source: Path) -> None:
    with pytest.raises(ConfigError, match="is source and destination"):
        convert(settings(source), source)


def test_a_report_whose_rows_do_not_add_up_is_a_defect() -> None:
    with pytest.raises(ConservationError, match=r"rows read \(3\) are not rows written \(1\)"):
        Converted("a", "b", "csv", "new", 3, 1, 1, 0, [], "inline", 0.1)


def test_a_bad_disk_ends_it_without_a_trace(source: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    with pytest.raises(OutputError, match="Choose another destination"):
        convert(settings(source), blocked / "out.parquet", quarantine=tmp_path / "q.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocked", "in"]


def test_frames_of_many_kinds_can_be_written(tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2], "t": ["a", "b"]})
    for number, data in enumerate((table, pl.from_arrow(table), table.to_pandas())):
        write(data, tmp_path / f"{number}.csv")
        assert (tmp_path / f"{number}.csv").read_text() == "n,t\n1,a\n2,b\n"
    with pytest.raises(ConfigError, match=r"write: .*there is no setting 'write.partitions'"):
        write(table, tmp_path / "x.csv", partitions="n")


@pytest.mark.parametrize("form", ["csv", "jsonl", "arrow", "parquet"])
def test_a_run_writes_its_processed_rows_in_the_form_that_is_asked_for(source: Path, tmp_path: Path, form: str) -> None:
    more = {"output_dir": tmp_path / "runs", "run_id": "one", "save_intermediate": True, "generate_dashboard": False}
    AnalyticsPipeline(settings(source, write={"format": form, "partition_by": "day"}, **more)).execute()
    files = list((tmp_path / "runs/one/processed/day=2024-01-05").iterdir())
    assert files
    assert {path.suffix for path in files} == {f".{form}"}


def test_processed_rows_are_files_of_parts(source: Path, tmp_path: Path) -> None:
    more = {"output_dir": tmp_path / "runs", "save_intermediate": True}
    with pytest.raises(ConfigError, match="processed rows are written as parquet, csv, jsonl, arrow, not as delta"):
        AnalyticsPipeline(settings(source, write={"format": "delta"}, **more)).execute()
    with pytest.raises(ConfigError, match="mode and file_mib have no meaning for processed rows"):
        AnalyticsPipeline(settings(source, write={"mode": "overwrite"}, **more)).execute()
