"""Folders such as year=2024 become columns, for every format; and the path of each row's file, if asked for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.orc as orc
import pytest

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, SchemaError
from raypipe.etl.reader import DataReader

TABLE = pa.table(
    {
        "v": range(6),
        "year": pa.array([2023, 2023, 2024, 2024, 2024, None], pa.int32()),
        "city": ["Köln", "a/b", "x y", "x=y", None, "q%"],
    }
)


def read(path: Path | str, **options: Any) -> list[dict[str, Any]]:
    return list(DataReader(path, options=ReadOptions(**options)).read().to_pylist())


@pytest.mark.parametrize("format", ["parquet", "csv", "feather"])
def test_folders_that_arrow_writes_are_typed_columns(tmp_path: Path, format: str) -> None:
    keys = ds.partitioning(TABLE.select(["year", "city"]).schema, flavor="hive")
    ds.write_dataset(TABLE, tmp_path, format=format, partitioning=keys)
    reader = DataReader(tmp_path)
    table = reader.read().sort_by("v")
    assert table.to_pylist() == TABLE.to_pylist()
    assert table.schema.field("year").type == pa.int64()
    source = reader.source()
    assert all(source.open()(part).block.schema == source.schema() for part in source.parts())
    assert {row["city"] for row in read(tmp_path, columns=("city",))} == set(TABLE["city"].to_pylist())
    assert read(f"{tmp_path}/year=2024/**/*", columns=("city", "v"), max_rows=1) in (
        [{"city": "x y", "v": 2}],
        [{"city": "x=y", "v": 3}],
        [{"city": None, "v": 4}],
    )
    assert set(read(tmp_path, folder_columns=False)[0]) == {"v"}


@pytest.mark.parametrize("end", ["orc", "avro"])
def test_folders_of_files_that_no_dataset_writes_are_typed_columns(tmp_path: Path, end: str) -> None:
    record = {"type": "record", "name": "row", "fields": [{"name": "v", "type": "long"}]}
    for number, folder in enumerate(("year=2023/city=K%C3%B6ln", "year=2024/city=a%2Fb")):
        path = tmp_path / folder / f"x.{end}"
        path.parent.mkdir(parents=True)
        if end == "orc":
            orc.write_table(pa.table({"v": [number]}), path)
        else:
            with path.open("wb") as sink:
                fastavro.writer(sink, record, [{"v": number}])
    wanted = [{"v": 0, "year": 2023, "city": "Köln"}, {"v": 1, "year": 2024, "city": "a/b"}]
    assert read(tmp_path) == wanted
    assert read(tmp_path, columns=("city",)) == [{"city": row["city"]} for row in wanted]


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_types_of_folders_are_those_of_all_their_names(tmp_path: Path) -> None:
    for day, month, code in (("2024-01-02", "01", "007"), ("2024-01-03", "12", "10")):
        write(tmp_path, f"day={day}/month={month}/code={code}/x.jsonl", '{"v":1}\n')
    assert read(tmp_path)[0] == {"v": 1, "day": dt.date(2024, 1, 2), "month": 1, "code": "007"}
    assert read(tmp_path, dtypes={"month": "text"})[0]["month"] == "01"
    with pytest.raises(ConfigError, match="'code' wants date, but there is a folder code=007"):
        read(tmp_path, dtypes={"code": "date"})


def test_a_column_of_the_files_wins_and_a_half_one_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "k=1/x.csv", "k,v\n7,1\n")
    reader = DataReader(tmp_path)
    assert reader.read().to_pylist() == [{"k": 7, "v": 1}]
    assert "what the names of their folders say of it is left out" in reader.source().notes[0]
    write(tmp_path, "k=2/x.csv", "v\n2\n")
    with pytest.raises(SchemaError, match=r"'k' is in .*k=1/x.csv, but .*k=2/x.csv has it only in"):
        DataReader(tmp_path).source()


def test_a_file_outside_of_such_folders_has_nulls_there(tmp_path: Path) -> None:
    write(tmp_path, "k=1/x.csv", "v\n1\n")
    write(tmp_path, "y.csv", "v\n2\n")
    assert read(tmp_path) == [{"v": 1, "k": 1}, {"v": 2, "k": None}]
    assert read(tmp_path / "k=1" / "x.csv") == [{"v": 1}]


def test_the_path_of_each_rows_file_is_a_column_if_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "v\n1\n2\n")
    write(tmp_path, "b.csv", "v\n3\n")
    assert [row["from"][-5:] for row in read(tmp_path, file_column="from")] == ["a.csv", "a.csv", "b.csv"]
    assert set(read(tmp_path, file_column="from", columns=("v",))[0]) == {"v", "from"}
    with pytest.raises(ConfigError, match="there is a column 'v' already"):
        read(tmp_path, file_column="v")


def test_a_late_field_called_like_a_folder_is_told(tmp_path: Path) -> None:
    write(tmp_path, "k=1/x.jsonl", '{"v":1}\n' * 6_000 + '{"v":1,"k":5}\n' + '{"v":1}\n' * 100)
    with pytest.raises(SchemaError, match="field 'k' is in some rows of the files, and comes from their folders"):
        DataReader(tmp_path).read_all()
