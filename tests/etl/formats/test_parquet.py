"""Parquet: row ranges, one schema for several files, and damage that is named."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import from_polars, to_polars
from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError, ReadError, SchemaError
from raypipe.etl.formats.parquet import read_footer
from raypipe.etl.formats.rows import cut_ranges
from raypipe.etl.formats.schemas import join_types
from raypipe.etl.reader import DataReader
from tests.laws import examples


def write(path: Path, table: pa.Table | dict[str, Any], **options: Any) -> Path:
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(0, 300), group=st.integers(1, 120), target=st.integers(1, 6000))
def test_ranges_cover_every_row_once(tmp_path: Path, rows: int, group: int, target: int) -> None:
    table = pa.table({"a": range(rows), "b": [f"text {n}" for n in range(rows)]})
    path = write(tmp_path / "x.parquet", table, row_group_size=group)
    file = read_footer(path)

    ranges = list(cut_ranges(file, file.table_schema, target))
    assert [one.start for one in ranges] == [sum(r.rows for r in ranges[:at]) for at in range(len(ranges))]
    assert sum(one.rows for one in ranges) == rows

    source = DataReader(path).source(target_part_bytes=target)
    read = source.open()
    blocks = [read(part).block for part in source.parts()]
    assert all(block.schema == source.schema() for block in blocks)
    assert [value for block in blocks for value in block["a"].to_pylist()] == list(range(rows))


def test_huge_row_groups_are_cut_and_small_ones_joined(tmp_path: Path) -> None:
    big = read_footer(write(tmp_path / "big.parquet", {"a": range(100_000)}))
    assert len(list(cut_ranges(big, big.table_schema, 100_000))) in range(8, 12)

    small = read_footer(write(tmp_path / "small.parquet", {"a": range(1000)}, row_group_size=10))
    assert len(list(cut_ranges(small, small.table_schema, 1 << 20))) == 1


def test_schemas_of_several_files_are_joined(tmp_path: Path) -> None:
    day, moment = dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4)
    write(
        tmp_path / "1.parquet", {"a": pa.array([1], pa.int32()), "t": [day], "b": ["x"], "d": pa.array([7], pa.int16())}
    )
    write(tmp_path / "2.parquet", {"a": [2], "t": [moment], "c": [True], "d": [0.5]})
    (tmp_path / "_SUCCESS").touch()
    source = DataReader(tmp_path).source()

    table = DataReader(tmp_path).read()

    assert table.to_pylist() == [
        {"a": 1, "d": 7.0, "t": dt.datetime(2020, 1, 2), "b": "x", "c": None},
        {"a": 2, "t": moment, "b": None, "d": 0.5, "c": True},
    ]
    assert table.schema.field("a").type == pa.int64()
    assert any("column 'a' is int32" in note and "it is read as int64" in note for note in source.notes)
    assert any("'b' is not in every file" in note for note in source.notes)


def test_text_beside_numbers_becomes_text_and_what_cannot_be_joined_is_named(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", {"a": [1]})
    write(tmp_path / "2.parquet", {"a": ["x"]})
    assert DataReader(tmp_path).read()["a"].to_pylist() == ["1", "x"]

    write(tmp_path / "3.parquet", {"a": [[1]]})
    with pytest.raises(SchemaError, match=r"column 'a' is .*1\.parquet and large_list<item: int64> in .*3\.parquet"):
        DataReader(tmp_path).source()


@pytest.mark.parametrize(
    ("a", "b", "joined"),
    [
        (pa.int8(), pa.uint8(), pa.int16()),
        (pa.uint64(), pa.int64(), pa.float64()),
        (pa.float32(), pa.int64(), pa.float64()),
        (pa.decimal128(5, 2), pa.decimal128(6, 1), pa.decimal128(7, 2)),
        (pa.null(), pa.bool_(), pa.bool_()),
        (pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), None),
        (pa.bool_(), pa.int64(), None),
        (pa.large_string(), pa.date32(), pa.large_string()),
    ],
)
def test_joining_types_does_not_depend_on_order(a: pa.DataType, b: pa.DataType, joined: pa.DataType | None) -> None:
    assert join_types(a, b) == joined
    assert join_types(b, a) == joined


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.array([1.5, None], pa.float16()),
        pa.array([1, None], pa.time32("s")),
        pa.array([1, None], pa.duration("s")),
        pa.array([b"x", None]),
        pa.array([[1], None]),
        pa.array([{"a": 1}, None]),
        pa.array([decimal.Decimal(1), None], pa.decimal256(60, 2)),
        pa.nulls(2),
        pa.array(["a", None]).dictionary_encode(),
        pa.array([1, None], pa.timestamp("ns", "Europe/Rome")),
        pa.array([2**64 - 1, None], pa.uint64()),
    ],
    ids=lambda column: str(column.type),
)
def test_blocks_of_every_type_keep_their_schema_through_polars(tmp_path: Path, column: pa.Array) -> None:
    source = DataReader(write(tmp_path / "x.parquet", {"x": column})).source()
    [part] = source.parts()
    got = source.open()(part)

    assert got.block.schema == source.schema()
    assert from_polars(to_polars(got.block)).schema == source.schema()
    if pa.types.is_decimal256(column.type):
        assert "it is read as text" in source.notes[0]
        assert "read_with_pyarrow" in got.notes


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "x.parquet", {"a": range(10_000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(ReadError, match=r"x\.parquet: starts as Parquet but does not end as one: it is cut off"):
        DataReader(path).source()


def test_damaged_pages_are_named_with_their_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"a": [f"{n * 7919 % 104729}" for n in range(50_000)]}, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[4:20_000] = b"\xff" * (20_000 - 4)
    path.write_bytes(bytes(content))
    source = DataReader(path).source()

    with pytest.raises(ReadError, match=r"x\.parquet: rows 0 to 50,000 cannot be read; the file is damaged"):
        source.open()(source.parts()[0])


def test_options_are_honoured_or_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"a": range(100), "b": range(100)}, row_group_size=10)

    table = DataReader(path, options=ReadOptions(max_rows=25, columns=("b",))).read()
    assert table.column_names == ["b"]
    assert table["b"].to_pylist() == list(range(25))
    with pytest.raises(MissingColumnsError, match="no column 'z'"):
        DataReader(path, options=ReadOptions(columns=("z",))).source()
    with pytest.raises(ConfigError, match="delimiter, skip_rows have no meaning for Parquet"):
        DataReader(path, options=ReadOptions(delimiter=";", skip_rows=1))


def test_an_empty_table_keeps_its_schema(tmp_path: Path) -> None:
    table = DataReader(write(tmp_path / "x.parquet", pa.table({"a": pa.array([], pa.int64())}))).read()

    assert table.num_rows == 0
    assert table.schema.field("a").type == pa.int64()


@pytest.mark.parametrize("zone", ["+05:30", "Mars/Base"])
def test_times_in_a_zone_that_no_database_has_are_the_same_moments_in_utc(
    tmp_path: Path, zone: str, capfd: pytest.CaptureFixture[str]
) -> None:
    times = pa.array([0, 10**15, None]).cast(pa.timestamp("us", zone))
    path = write(tmp_path / "x.parquet", {"t": times, "n": [1, 2, 3]})
    result = DataReader(path).read_all()

    assert result.table["t"].type == pa.timestamp("us", "UTC")
    assert result.table["t"].cast(pa.int64()).to_pylist() == [0, 10**15, None]
    assert result.source.notes == (
        f"column 't' is timestamp[us, tz={zone}]; its times are the same moments in UTC here",
    )
    assert "panicked" not in capfd.readouterr().err


def test_a_type_that_blocks_cannot_carry_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    times = pa.array([[0], [1]]).cast(pa.list_(pa.timestamp("us", "+05:30")))
    path = write(tmp_path / "x.parquet", {"t": times, "n": [1, 2]})

    with pytest.raises(
        SchemaError, match=r"x\.parquet: column 't' is list<.*>, which blocks cannot carry\. Leave it out"
    ):
        DataReader(path).source()
    assert DataReader(path, options=ReadOptions(columns=("n",))).read()["n"].to_pylist() == [1, 2]


def test_renamed_columns_bring_their_own_values(tmp_path: Path) -> None:
    table = pa.table([[1, 2], [3, 4], [5, 6]], names=["a\0b", "", "x" * 3000])
    read = DataReader(write(tmp_path / "x.parquet", table)).read()

    assert read.column_names == ["a␀b", "column_2", "x" * 2000]
    assert [column.to_pylist() for column in read.columns] == [[1, 2], [3, 4], [5, 6]]
