"""Arrow IPC, ORC, Avro and Parquet: files of other tools, by feature; any cut gives the same table; damage is told."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import pickle
import signal
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.etl.formats import orc_apart
from raypipe.etl.reader import DataReader

ROWS = 300
MOMENT = dt.datetime(2024, 3, 31, 1, 59, 58, 123456, tzinfo=dt.UTC)


def table() -> pa.Table:
    """A column for each feature; every seventh value is null."""

    def some(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array([None if row % 7 == 3 else value for row, value in enumerate(values)], kind)

    numbers = range(ROWS)
    return pa.table(
        {
            "i": some([row - 50 for row in numbers], pa.int32()),
            "big": some([2**63 - 1 - row for row in numbers], pa.int64()),
            "f": some([row / 7 for row in numbers], pa.float64()),
            "b": some([row % 2 == 0 for row in numbers], pa.bool_()),
            "s": some([f"é{row}\n" for row in numbers], pa.string()),
            "dec": some([decimal.Decimal(row) / 100 for row in numbers], pa.decimal128(30, 2)),
            "day": some([dt.date(1900, 1, 1) + dt.timedelta(days=row * 99) for row in numbers], pa.date32()),
            "t": some([MOMENT + dt.timedelta(seconds=row) for row in numbers], pa.timestamp("us", "UTC")),
            "n": some([{"x": row, "y": {"z": f"deep {row}"}} for row in numbers],
                      pa.struct([("x", pa.int64()), ("y", pa.struct([("z", pa.string())]))])),
            "l": some([list(range(row % 4)) for row in numbers], pa.list_(pa.int64())),
        }
    )  # fmt: skip


def expected() -> list[dict[str, Any]]:
    made = []
    for row in table().to_pylist():
        inner = row.pop("n")
        flat = {"n.x": inner and inner["x"], "n.y.z": inner and inner["y"]["z"]}
        made.append({**{name: row[name] for name in list(row)[:8]}, **flat, "l": row["l"]})
    return made


def arrow_file(path: Path) -> Path:
    with pa.ipc.new_file(path / "x.arrow", table().schema) as writer:
        writer.write_table(table(), 40)
    return path / "x.arrow"


def arrow_stream(path: Path) -> Path:
    with pa.ipc.new_stream(path / "x.arrows", table().schema) as writer:
        writer.write_table(table(), 40)
    return path / "x.arrows"


def feather_of_polars(path: Path) -> Path:
    pl.from_arrow(table()).write_ipc(path / "x.feather", compression="zstd")  # type: ignore[union-attr]
    return path / "x.feather"


def feather_of_pyarrow(path: Path) -> Path:
    feather.write_feather(table(), path / "x.feather", compression="lz4", chunksize=40)
    return path / "x.feather"


def orc_of_pyarrow(path: Path) -> Path:
    orc.write_table(table(), path / "x.orc", stripe_size=4096, compression="zlib")
    return path / "x.orc"


AVRO = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": "i", "type": ["null", "int"]},
        {"name": "big", "type": ["null", "long"]},
        {"name": "f", "type": ["null", "double"]},
        {"name": "b", "type": ["null", "boolean"]},
        {"name": "s", "type": ["null", "string"]},
        {"name": "dec", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}]},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "t", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
        {"name": "n", "type": ["null", {"type": "record", "name": "inner", "fields": [
            {"name": "x", "type": "long"},
            {"name": "y", "type": {"type": "record", "name": "deeper", "fields": [
                {"name": "z", "type": "string"}]}}]}]},
        {"name": "l", "type": ["null", {"type": "array", "items": "long"}]},
    ],
}  # fmt: skip


def avro_of_fastavro(path: Path) -> Path:
    with (path / "x.avro").open("wb") as file:
        fastavro.writer(file, AVRO, table().to_pylist(), codec="deflate", sync_interval=2000)
    return path / "x.avro"


def parquet_of_pyarrow(path: Path) -> Path:
    pq.write_table(table(), path / "x.parquet", row_group_size=40, data_page_version="2.0")
    return path / "x.parquet"


def parquet_of_polars(path: Path) -> Path:
    pl.from_arrow(table()).write_parquet(path / "x.parquet", row_group_size=40)  # type: ignore[union-attr]
    return path / "x.parquet"


def parquet_of_duckdb(path: Path) -> Path:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    given = table()
    with duckdb.connect() as db:
        db.execute("SET TimeZone='UTC'")
        db.register("given", given)
        db.execute(f"COPY given TO '{path / 'x.parquet'}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    return path / "x.parquet"


MAKERS = [
    arrow_file, arrow_stream, feather_of_polars, feather_of_pyarrow, orc_of_pyarrow, avro_of_fastavro,
    parquet_of_pyarrow, parquet_of_polars, parquet_of_duckdb,
]  # fmt: skip
Maker = Callable[[Path], Path]


@pytest.mark.parametrize("make", MAKERS)
def test_every_feature_is_read_and_any_cut_gives_the_same_table(tmp_path: Path, make: Maker) -> None:
    reader = DataReader(make(tmp_path))
    for target in (1500, 20_000, 1 << 20):
        source = reader.source(target_part_bytes=target)
        read, parts = source.open(), source.parts()
        blocks = [read(part).block for part in parts]
        assert all(block.schema == source.schema() for block in blocks)
        assert [row for block in blocks for row in block.to_pylist()] == expected()
        assert [part.rows for part in parts] == [block.num_rows for block in blocks]
        assert pickle.loads(pickle.dumps(source)) == source
    assert len(reader.source(target_part_bytes=1500).parts()) > 5
    info = reader.get_file_info()
    assert (info["estimated_rows"], info["rows_exact"], info["columns"][8]) == (ROWS, True, "n.x")


def test_a_damaged_orc_file_ends_no_process_but_its_own_and_the_next_is_read(tmp_path: Path) -> None:
    """Damage of every kind in the stripes: some of it ends the process in which Arrow's reader runs."""
    path = orc_of_pyarrow(tmp_path)
    content = path.read_bytes()
    endings = []
    for at in range(3, len(content) - 400, len(content) // 40):
        path.write_bytes(content[:at] + bytes(range(200, 216)) + content[at + 16 :])
        try:
            assert DataReader(path).read().num_rows == ROWS
        except ReadError as error:
            endings += ["ended" if "the process that read it ended" in str(error) else "said"]
    assert endings
    path.write_bytes(content)
    assert DataReader(path).read().num_rows == ROWS


def test_an_orc_reader_that_is_killed_is_told_and_comes_again(tmp_path: Path) -> None:
    path = orc_of_pyarrow(tmp_path)
    source = DataReader(path).source()
    child = orc_apart._child(os.getpid())
    first = child._running()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert source.open()(source.parts()[0]).block.num_rows == ROWS
    again = child._running()
    assert again.pid != first.pid
    os.kill(again.pid, signal.SIGSTOP)  # it takes the question and is killed before it answers
    timer = threading.Timer(0.2, os.kill, (again.pid, signal.SIGKILL))
    timer.start()
    with pytest.raises(ReadError, match="x.orc: the process that read it was killed, most likely for want of memory"):
        source.open()(source.parts()[0])
    timer.join()


@pytest.mark.parametrize("make", MAKERS)
def test_options_are_honoured(tmp_path: Path, make: Maker) -> None:
    path = make(tmp_path)
    some = DataReader(path, options=ReadOptions(columns=("n.y.z", "i"), max_rows=45)).read()
    assert some.to_pylist() == [{"n.y.z": row["n.y.z"], "i": row["i"]} for row in expected()[:45]]
    text = DataReader(path, options=ReadOptions(nested="text", columns=("n", "l"))).read()
    assert text["n"][1].as_py() == '{"x":1,"y":{"z":"deep 1"}}'
    assert text["l"][2].as_py() == "[0,1]"
    kept = DataReader(path, options=ReadOptions(nested="keep", columns=("n",))).read()
    assert kept["n"][1].as_py() == {"x": 1, "y": {"z": "deep 1"}}
    drawn = DataReader(path).source(seed=4, sample_size=20, target_part_bytes=3000)
    assert sum(drawn.open()(part).block.num_rows for part in drawn.parts()) == 20
    with pytest.raises(MissingColumnsError, match="no column 'n'"):
        DataReader(path, options=ReadOptions(columns=("n",))).source()
    with pytest.raises(ConfigError, match="delimiter, dtypes have no meaning for .*, which says so itself"):
        DataReader(path, options=ReadOptions(delimiter=";", dtypes={"i": "text"}))


@pytest.mark.parametrize("make", [arrow_file, arrow_stream, orc_of_pyarrow, avro_of_fastavro, parquet_of_pyarrow])
def test_damage_is_told_and_never_passed_over(tmp_path: Path, make: Maker) -> None:
    path = make(tmp_path)
    content = path.read_bytes()
    for share in (0.3, 0.7, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ReadError, match=r"not written to its end|damaged|does not end as one"):
            DataReader(path).read()
    path.write_bytes(content[:-3])
    with pytest.raises(ReadError, match=r"x\."):
        DataReader(path).read()
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ReadError, match="though its name says so: it holds text"):
        DataReader(path)
    path.write_bytes(b"")
    with pytest.raises(ReadError, match="is empty"):
        DataReader(path)


def test_batches_that_share_dictionaries_are_read_from_any_cut(tmp_path: Path) -> None:
    words = pa.array(["a", "b", None, "c"] * 25).dictionary_encode()
    given = pa.table({"w": words, "i": range(100)})
    for name, new in (("x.arrow", pa.ipc.new_file), ("x.arrows", pa.ipc.new_stream)):
        with new(tmp_path / name, given.schema) as writer:
            writer.write_table(given, 10)
        source = DataReader(tmp_path / name).source(target_part_bytes=100)
        read = source.open()
        got = [row for part in source.parts() for row in read(part).block.to_pylist()]
        assert got == given.to_pylist()
        assert len(source.parts()) >= 10


def test_feather_of_version_1_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.feather").write_bytes(b"FEA1" + bytes(range(128, 200)) + b"FEA1")
    with pytest.raises(ReadError, match="is Feather version 1.*Write it again as version 2"):
        DataReader(tmp_path / "x.feather").read()


def test_types_that_blocks_cannot_carry_are_text_with_a_note(tmp_path: Path) -> None:
    wide = pa.table(
        {"d": pa.array([decimal.Decimal("123456789012345678901234567890123456789012.5"), None], pa.decimal256(60, 1)),
         "t": pa.array([1, 2], pa.timestamp("s", "+05:30")), "ms": pa.array([1, 2], pa.date64()),
         "v": pa.array(["a", "b"], pa.string_view())}
    )  # fmt: skip
    with pa.ipc.new_file(tmp_path / "x.arrow", wide.schema) as writer:
        writer.write_table(wide)
    result = DataReader(tmp_path / "x.arrow").read_all()
    assert result.table["d"].to_pylist() == ["123456789012345678901234567890123456789012.5", None]
    assert result.table["t"][0].as_py() == dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
    assert result.table["v"].to_pylist() == ["a", "b"]
    assert "blocks cannot carry" in result.source.notes[0]


def test_avro_unions_enums_maps_and_logical_types(tmp_path: Path) -> None:
    schema = {
        "type": "record",
        "name": "r",
        "fields": [
            {"name": "u", "type": {"type": "string", "logicalType": "uuid"}},
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
            {"name": "m", "type": {"type": "map", "values": "long"}},
            {"name": "mixed", "type": ["null", "int", "string", "boolean"]},
            {"name": "wide", "type": ["int", "long"]},
            {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 2}},
            {"name": "clock", "type": {"type": "int", "logicalType": "time-millis"}},
            {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
            {"name": "ids", "type": {"type": "array", "items": {"type": "string", "logicalType": "uuid"}}},
            {"name": "again", "type": ["null", "E"]},
        ],
    }
    one = uuid.UUID(int=7)
    rows = [
        {"u": one, "e": "B", "m": {"k": 1}, "mixed": value, "wide": 2**40, "fixed": b"\0\xff", "clock": dt.time(1, 2),
         "local": dt.datetime(2024, 1, 2, 3), "ids": [one], "again": "A"}
        for value in (None, 5, "x", True)
    ]  # fmt: skip
    with (tmp_path / "x.avro").open("wb") as file:
        fastavro.writer(file, schema, rows)
    got = DataReader(tmp_path / "x.avro").read().to_pylist()
    assert got[1] | {"mixed": None} == {
        "u": str(one), "e": "B", "m": [{"key": "k", "value": 1}], "mixed": None, "wide": 2**40, "fixed": b"\0\xff",
        "clock": dt.time(1, 2), "local": dt.datetime(2024, 1, 2, 3), "ids": [str(one)], "again": "A",
    }  # fmt: skip
    assert [row["mixed"] for row in got] == [None, "5", "x", "true"]


def test_old_timestamps_of_spark_and_a_field_called_like_a_column_are_read(tmp_path: Path) -> None:
    given = pa.table({"t": pa.array([MOMENT.replace(tzinfo=None)]), "a.b": [1], "a": [{"b": 2}]})
    pq.write_table(given, tmp_path / "x.parquet", use_deprecated_int96_timestamps=True)
    result = DataReader(tmp_path / "x.parquet").read_all()
    assert result.table.to_pylist() == [{"t": MOMENT.replace(tzinfo=None), "a.b": 1, "a.b_2": 2}]
    assert "stands there twice" in result.source.notes[0]


def test_files_of_one_format_with_different_columns_are_joined(tmp_path: Path) -> None:
    for name, one in (("1", pa.table({"a": [1], "n": [{"x": 1}]})), ("2", pa.table({"a": [0.5], "n": [{"y": "z"}]}))):
        feather.write_feather(one, tmp_path / f"{name}.feather")
    assert DataReader(tmp_path).read().to_pylist() == [
        {"a": 1.0, "n.x": 1, "n.y": None},
        {"a": 0.5, "n.x": None, "n.y": "z"},
    ]


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "i": st.none() | st.integers(-(2**63), 2**63 - 1),
                "f": st.none() | st.floats(allow_nan=False),
                "s": st.none() | st.text(max_size=8),
                "d": st.none() | st.dates(),
                "l": st.none() | st.lists(st.booleans(), max_size=3),
            }
        ),
        max_size=12,
    ),
    target=st.integers(1, 400),
)
def test_what_other_tools_write_is_what_is_read(tmp_path: Path, rows: list[dict[str, Any]], target: int) -> None:
    kinds = [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.string()),
        ("d", pa.date32()),
        ("l", pa.list_(pa.bool_())),
    ]
    given_table = pa.Table.from_pylist(rows, pa.schema(kinds))
    feather.write_feather(given_table, tmp_path / "x.feather", chunksize=3)
    orc.write_table(given_table, tmp_path / "x.orc")
    pq.write_table(given_table, tmp_path / "x.parquet", row_group_size=3)
    types = ["long", "double", "string", {"type": "int", "logicalType": "date"}, {"type": "array", "items": "boolean"}]
    fields = [{"name": name, "type": ["null", kind]} for (name, _), kind in zip(kinds, types, strict=True)]
    with (tmp_path / "x.avro").open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "r", "fields": fields}, rows, sync_interval=50)
    for name in ("x.feather", "x.orc", "x.parquet", "x.avro"):
        source = DataReader(tmp_path / name).source(target_part_bytes=target)
        read = source.open()
        assert [row for part in source.parts() for row in read(part).block.to_pylist()] == rows, name
