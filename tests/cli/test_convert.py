"""`raypipe convert` as a stranger uses it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from tests.cli.test_cli import tiny
from tests.warm import run_raypipe as raypipe

__all__ = ["tiny"]


def test_a_table_is_written_reported_and_not_replaced_unasked(tiny: Path, tmp_path: Path) -> None:
    done = raypipe("convert", tiny, "out.parquet", "--set", "parquet.compression=snappy", cwd=tmp_path)
    assert "200 of 200 rows written to out.parquet (parquet, 0.0 MiB)" in done.stdout
    again = raypipe("convert", tiny, "out.parquet", cwd=tmp_path, check=2)
    assert "out.parquet: is there already" in again.stderr
    assert "--mode overwrite" in again.stderr
    told = raypipe(
        "convert", tiny, "by/", "--partition-by", "colour", "--format", "csv", "--json", "--quiet", cwd=tmp_path
    )
    report = json.loads(told.stdout)
    assert (report["rows_read"], report["rows_written"], report["rows_quarantined"]) == (200, 200, 0)
    assert {Path(file["path"]).parent.name for file in report["files"]} == {"colour=red", "colour=blue"}
    assert pl.read_csv(tmp_path / "by/colour=blue/*.csv").columns == ["id", "weight"]


def test_rows_set_aside_are_told_and_end_a_strict_conversion(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 300 + "1,2,3\n")
    done = raypipe("convert", "a.csv", "b.jsonl", cwd=tmp_path)
    assert "300 of 301 rows written" in done.stdout
    assert "1 rows set aside in b.jsonl.quarantine.parquet" in done.stdout
    strict = raypipe("convert", "a.csv", "c.jsonl", "--strict", cwd=tmp_path, check=3)
    assert "Nothing was written" in strict.stderr
    assert not (tmp_path / "c.jsonl").exists()
    wrong = raypipe("convert", "a.csv", "c.parqet", cwd=tmp_path, check=2)
    assert "Did you mean .parquet?" in wrong.stderr
