"""Each format read through Ray by two workers, from many parts, against the engine of this process."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from raypipe.config import PipelineConfig
from raypipe.engine.session import Session
from raypipe.pipeline.convert import Converted, convert

ROWS = 2_000
PIECE = 250
TOO_LARGE = 40
"""Values of `n` above it break the rule; every 50th row holds one."""
Maker = Callable[[Path], Path | str]


def table() -> pa.Table:
    return pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "n": pa.array([None if row % 7 == 3 else row % 50 for row in range(ROWS)], pa.int64()),
            "name": [f"name {row * 7919 % 997}" for row in range(ROWS)],
            "share": [row / 8 for row in range(ROWS)],
            "day": [date(2024, 1, 1) + timedelta(days=row % 400) for row in range(ROWS)],
        }
    )


def csv(folder: Path) -> Path:
    """With a row that is short of fields, a cell of another type, and line breaks in quotes."""
    path = folder / "t.csv"
    lines = pl.DataFrame(pl.from_arrow(table())).write_csv().splitlines()
    lines[1501] = "only,two"
    lines[701] = '700,many,"in two\nlines",1.5,2024-01-01'
    path.write_text("\n".join(lines) + "\n")
    return path


def csv_packed(folder: Path) -> Path:
    plain = csv(folder)
    packed = folder / "p.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    return packed


def json_lines(folder: Path) -> Path:
    """With a line that is no JSON."""
    path = folder / "t.jsonl"
    lines = [json.dumps(row, default=str) for row in table().to_pylist()]
    lines[1234] = '{"id": 1234, "n": '
    path.write_text("\n".join(lines) + "\n")
    return path


def json_array(folder: Path) -> Path:
    path = folder / "t.json"
    path.write_text(json.dumps(table().to_pylist(), default=str, indent=1))
    return path


def parquet(folder: Path) -> Path:
    pq.write_table(table(), folder / "t.parquet", row_group_size=PIECE)
    return folder / "t.parquet"


def arrow(folder: Path) -> Path:
    feather.write_feather(table(), folder / "t.feather", chunksize=PIECE)
    return folder / "t.feather"


def orc_file(folder: Path) -> Path:
    orc.write_table(table(), folder / "t.orc", stripe_size=4096)
    return folder / "t.orc"


def avro(folder: Path) -> Path:
    fastavro = pytest.importorskip("fastavro", reason="fastavro is absent: pip install 'raypipe[avro]'")
    fields = [{"name": "id", "type": "long"}, {"name": "n", "type": ["null", "long"]}]
    fields += [{"name": "name", "type": "string"}, {"name": "share", "type": "double"}]
    fields += [{"name": "day", "type": {"type": "int", "logicalType": "date"}}]
    with (folder / "t.avro").open("wb") as file:
        fastavro.writer(
            file, {"type": "record", "name": "t", "fields": fields}, table().to_pylist(), sync_interval=4096
        )
    return folder / "t.avro"


def excel(folder: Path) -> Path:
    pytest.importorskip("xlsxwriter", reason="xlsxwriter is absent: pip install 'raypipe[excel]'")
    pl.DataFrame(pl.from_arrow(table())).write_excel(folder / "t.xlsx")
    return folder / "t.xlsx"


def delta(folder: Path) -> Path:
    deltalake = pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")
    for start in range(0, ROWS, ROWS // 4):
        deltalake.write_deltalake(folder / "t", table().slice(start, ROWS // 4), mode="append")
    return folder / "t"


def sqlite(folder: Path) -> str:
    with sqlite3.connect(folder / "t.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, name TEXT, share REAL, day TEXT)")
        rows = [tuple(row.values()) for row in table().cast(_texts(table().schema)).to_pylist()]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{folder}/t.db?table=t"


def _texts(schema: pa.Schema) -> pa.Schema:
    return pa.schema([(field.name, pa.string() if field.name == "day" else field.type) for field in schema])


MAKERS = [csv, csv_packed, json_lines, json_array, parquet, arrow, orc_file, avro, excel, delta, sqlite]
BAD = {"csv": 2, "csv_packed": 2, "json_lines": 1}
"""Rows that cannot be read at all."""


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_two_workers_read_and_set_aside_what_one_process_does(
    tmp_path: Path, ray_session: Session, make: Maker
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source, rules = make(folder), tmp_path / "schema.yaml"
    rules.write_text(f"name: t\ncolumns:\n  - {{name: n, max_value: {TOO_LARGE}}}\n")
    done = {name: _converted(source, rules, tmp_path / name, name) for name in ("inline", "ray")}
    assert done["ray"].engine == "ray"
    assert done["inline"].rows_read == ROWS
    large = sum(1 for value in table()["n"].to_pylist() if value is not None and value > TOO_LARGE)
    assert done["inline"].rows_quarantined == large + BAD.get(make.__name__, 0)
    for name in ("t.parquet", "q.parquet"):
        inline, ray = (pq.read_table(tmp_path / engine / name) for engine in ("inline", "ray"))
        assert ray.equals(inline), name
    assert done["ray"].notes == done["inline"].notes


def _converted(source: Path | str, rules: Path, out: Path, engine: str) -> Converted:
    out.mkdir()
    config = PipelineConfig.of(
        {
            "data_source": source,
            "engine": {"engine": engine, "block_mib": 0.02, "workers": 2},
            "validation": {"schema_path": rules},
        }
    )
    return convert(config, out / "t.parquet", quarantine=out / "q.parquet")
