"""What raypipe writes, raypipe reads: for each pair of a writer and a reader, exact or with the loss that is stated."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from raypipe.config import PipelineConfig, ReadOptions
from raypipe.engine.localframe import local_frame
from raypipe.etl.reader import DataReader
from raypipe.pipeline.convert import convert, write
from tests.etl.writers.tables import KINDS, MORE, plain, tables

FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def written_and_read(table: pa.Table, name: str, read: dict[str, Any] | None = None, **how: Any) -> pa.Table:
    at = table.num_rows // 2
    with tempfile.TemporaryDirectory() as folder:
        write(local_frame(table, (at, table.num_rows - at)), f"{folder}/{name}", **how)
        result = DataReader(f"{folder}/{name}", options=ReadOptions.model_validate(read or {})).read_all()
    assert result.aside.num_rows == 0
    return result.table


@FEW
@given(table=tables({**KINDS, **MORE}))
def test_arrow_files_are_exact_in_values_and_types(table: pa.Table) -> None:
    got = written_and_read(table, "a.arrow", {"nested": "keep"})
    assert got.schema.equals(table.schema)
    assert plain(got) == plain(table)


@FEW
@given(table=tables({**KINDS, **{name: kind for name, kind in MORE.items() if name not in ("clock", "small")}}))
def test_delta_tables_are_exact_in_values_and_types(table: pa.Table) -> None:
    """Times of day become text, and unsigned numbers wider ones, which Delta has no types for."""
    pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")
    got = written_and_read(table, "a", {"nested": "keep"}, format="delta")
    assert got.schema.equals(table.schema)
    assert sorted(map(repr, plain(got))) == sorted(map(repr, plain(table)))


@FEW
@given(
    table=tables({name: kind for name, kind in KINDS.items() if name in ("whole", "float", "text", "flag")}, min_rows=1)
)
def test_json_lines_are_exact_where_the_types_are_told(table: pa.Table) -> None:
    kinds = {"whole": "int64", "float": "float64", "text": "text", "flag": "boolean"}
    read = {"dtypes": {name: kinds[name] for name in table.column_names}, "null_values": []}
    got = written_and_read(table, "a.jsonl", read)
    assert [list(row.values()) for row in plain(got)] == [list(row.values()) for row in plain(table)]


@FEW
@given(table=tables(KINDS, min_rows=1))
def test_sqlite_tables_hold_every_value(table: pa.Table) -> None:
    pytest.importorskip("adbc_driver_sqlite", reason="ADBC is absent: pip install 'raypipe[sql]'")
    with tempfile.TemporaryDirectory() as folder:
        write(table, f"{folder}/a.db", sql={"table": "t"})
        got = DataReader(f"sqlite:///{folder}/a.db", options=ReadOptions(table="t")).read()
    assert got.column_names == table.column_names
    assert got.num_rows == table.num_rows
    for name in table.column_names:
        assert [value is None for value in got[name].to_pylist()] == [
            value is None for value in table[name].to_pylist()
        ]
        if name in ("whole", "text"):
            assert got[name].to_pylist() == table[name].to_pylist()


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz", "jsonl", "jsonl.zst", "arrow", "db", "xlsx", "delta/"])
def test_a_table_of_everyday_values_goes_through_every_format_and_back(tmp_path: Path, ending: str) -> None:
    """Types are found again by looking, without being told."""
    table = pa.table(
        {
            "id": pa.array(range(1, 60), pa.int64()),
            "price": pa.array([n / 7 if n % 5 else None for n in range(59)], pa.float64()),
            "city": pa.array(["Köln", 'the "old" one', "a,b", "x\ny"][n % 4] for n in range(59)).cast(
                pa.large_string()
            ),
            "day": pa.array([dt.date(2024, 1, 1) + dt.timedelta(n) for n in range(59)], pa.date32()),
            "paid": pa.array([bool(n % 3) for n in range(59)]),
        }
    )
    dest = tmp_path / f"a.{ending}" if ending != "delta/" else tmp_path / "a"
    how: dict[str, Any] = (
        {"sql": {"table": "t"}} if ending == "db" else {"format": "delta"} if ending == "delta/" else {}
    )
    write(local_frame(table, (30, 29)), dest, **how)
    source = f"sqlite:///{dest}" if ending == "db" else dest
    read = {"read_options": {"table": "t"}} if ending == "db" else {}
    config = PipelineConfig.of({"data_source": source, **read})
    done = convert(config, tmp_path / "back.parquet")
    got = DataReader(tmp_path / "back.parquet").read()
    assert done.rows_written == 59
    assert got.column_names == table.column_names
    for name in ("id", "price", "city"):
        assert got[name].to_pylist() == table[name].to_pylist()
    if ending == "db":  # SQLite has neither: whole numbers and texts stand for them
        assert got["paid"].to_pylist() == [int(flag) for flag in table["paid"].to_pylist()]
        assert [str(day)[:10] for day in got["day"].to_pylist()] == [str(day) for day in table["day"].to_pylist()]
    else:
        assert [str(day)[:10] for day in got["day"].to_pylist()] == [str(day) for day in table["day"].to_pylist()]
        assert got["paid"].to_pylist() == table["paid"].to_pylist()
