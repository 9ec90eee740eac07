"""Files and folders on a disk: what is there is never half-replaced, and never replaced unasked."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config import WriteOptions
from raypipe.engine.localframe import local_frame
from raypipe.errors import ConfigError, OutputError, SchemaError
from raypipe.etl.writers.choose import open_target
from raypipe.etl.writers.renames import exchange, move_new
from raypipe.pipeline.convert import write

ONE = pa.table({"n": [1, 2, 3], "t": ["a", "b", "c"]})
TWO = pa.table({"n": [7, 8], "t": ["x", "y"]})


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def rows(folder: Path) -> list[int]:
    return sorted(pl.read_parquet(f"{folder}/**/*.parquet", hive_partitioning=False)["n"].to_list())


def test_what_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.parquet", f"{tmp_path}/b/"
    for dest in (file, folder):
        write(ONE, dest)
        with pytest.raises(ConfigError, match=r"(is there already|holds files already).*--mode"):
            write(TWO, dest)
        write(TWO, dest, mode="overwrite")
    assert pq.read_table(file)["n"].to_pylist() == rows(tmp_path / "b") == [7, 8]
    write(ONE, folder, mode="append")
    assert rows(tmp_path / "b") == [1, 2, 3, 7, 8]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp-")]


def test_a_file_is_not_appended_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be appended to in one step.*ends in a slash"):
        write(ONE, tmp_path / "a.csv", mode="append")


@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_a_folder_with_files_of_others_is_left_alone(tmp_path: Path, mode: str) -> None:
    write(ONE, f"{tmp_path}/b/")
    (tmp_path / "b" / "notes.docx").write_text("mine")
    with pytest.raises(ConfigError, match=r"such as notes\.docx. Choose another folder"):
        write(TWO, f"{tmp_path}/b/", mode=mode)
    assert rows(tmp_path / "b") == [1, 2, 3]


def test_what_does_not_fit_the_files_there_is_not_appended(tmp_path: Path) -> None:
    write(ONE, f"{tmp_path}/b/")
    with pytest.raises(SchemaError, match="columns are not those of the files there.*'n'"):
        write(ONE.set_column(0, "n", pa.array([1.5, 2, 3])), f"{tmp_path}/b/", mode="append")
    with pytest.raises(ConfigError, match="holds files other than .csv"):
        write(ONE, f"{tmp_path}/b/", mode="append", format="csv")


@pytest.mark.parametrize(
    ("dest", "options", "said"),
    [
        ("a.xyz", {}, r"\.xyz tells no format; wanted one of"),
        ("a.prquet", {}, r"Did you mean \.parquet\?"),
        ("a.csv", {"format": "parquet"}, "its name says csv, and the format is to be parquet"),
        ("a.parquet", {"partition_by": "t"}, "partition_by writes folders of files"),
        ("a/", {"mode": "merge", "key": "n"}, "merge works on Delta and SQL tables, not on parquet"),
        ("a/", {"mode": "merge"}, "mode merge wants key"),
        ("a/", {"key": "n"}, "key is for mode merge, and mode is new"),
        ("a.parquet.gz", {}, "the ending .gz is for CSV and JSON lines"),
        ("a.csv.gz", {"csv": {"compression": "zstd"}}, "the name ends in .gz, and the compression is to be zstd"),
        ("a/", {"parquet": {"compression": "snappy", "compression_level": 3}}, "snappy has no levels"),
        ("a.csv", {"csv": {"decimal": ","}}, "decimal is ',' and so is delimiter"),
        ("a.csv", {"csv": {"encoding": "utf-99"}}, "wanted the name of a Python codec"),
        ("a.csv", {"csv": {"delimiter": "é"}}, "wanted one ASCII character"),
        (" ", {}, "the destination is an empty text"),
        (f"{'n' * 300}.parquet", {}, "its name has 308 characters; .* Choose a shorter one"),
        ("a\0b.parquet", {}, "a name cannot hold a zero byte"),
        ("s3://b/a.xlsx", {}, "excel is written to a disk only"),
    ],
)
def test_options_that_do_not_go_together_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dest: str, options: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        write(ONE, dest, **options)
    assert list(tmp_path.iterdir()) == []


def test_partitions_become_folders_that_other_tools_read(tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2, 3, 4], "city": ["Köln/B", "a=b c", None, "Köln/B"], "year": [2024, 2024, 2025, 2025]})
    done = write(table, f"{tmp_path}/b/", partition_by=["city", "year"])
    assert names(tmp_path / "b")[0].startswith("city=K%C3%B6ln%2FB/year=2024/part-")
    assert done.rows_written == 4
    assert len(done.files) == 4
    wanted = [(row["n"], row["city"], row["year"]) for row in table.to_pylist()]
    frame = pl.read_parquet(f"{tmp_path}/b/**/*.parquet", hive_partitioning=True)
    assert sorted(frame.select("n", "city", "year").rows()) == wanted
    found = duckdb.sql(f"SELECT n, city FROM read_parquet('{tmp_path}/b/**/*.parquet', hive_partitioning=true)")
    assert sorted(found.fetchall()) == [row[:2] for row in wanted]


@pytest.mark.parametrize(
    ("table", "columns", "error", "said"),
    [
        (pa.table({"f": [0.5], "n": [1]}), "f", SchemaError, "'f' is double, whose values make no names of folders"),
        (pa.table({"n": [1]}), "n", SchemaError, "n are all columns; files would have none"),
        (pa.table({"n": [1], "m": [1]}), "x", SchemaError, "no column 'x'"),
        (pa.table({"n": range(30), "m": range(30)}), "n", OutputError, "30 different values, more than max_partitions"),
    ],
)
def test_columns_that_make_no_folders_say_so(
    tmp_path: Path, table: pa.Table, columns: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        write(table, f"{tmp_path}/b/", partition_by=columns, max_partitions=10)
    assert list(tmp_path.iterdir()) == []


def test_small_files_of_neighbours_are_joined_up_to_a_size(tmp_path: Path) -> None:
    table = pa.table({"n": list(range(4_000)), "t": ["x"] * 4_000})
    frame = local_frame(table.cast(pa.schema([("n", pa.int64()), ("t", pa.large_string())])), (1_000,) * 4)
    for form in ("parquet", "csv", "jsonl", "arrow"):
        done = write(frame, f"{tmp_path}/{form}/", format=form, file_mib=100)
        assert [file["rows"] for file in done.files] == [4_000]
        one = write(frame, f"{tmp_path}/{form}-1/", format=form, file_mib=0.0001)
        assert [file["rows"] for file in one.files] == [1_000] * 4
    assert pl.read_parquet(f"{tmp_path}/parquet/*.parquet").height == pl.read_csv(f"{tmp_path}/csv/*.csv").height
    assert pl.read_csv(f"{tmp_path}/csv-1/*.csv").height == pl.read_ipc(f"{tmp_path}/arrow/*.arrow").height == 4_000


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "arrow"])
def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, ending: str) -> None:
    write(ONE.slice(0, 0), tmp_path / f"a.{ending}")
    write(ONE.slice(0, 0), f"{tmp_path}/b/", format=ending)
    if ending == "parquet":
        assert pq.read_schema(tmp_path / "a.parquet").names == ["n", "t"]
    assert (tmp_path / f"a.{ending}").read_bytes() == next((tmp_path / "b").iterdir()).read_bytes()


def test_two_writers_into_one_place_leave_the_rows_of_one(tmp_path: Path) -> None:
    """Both begin before either is there; the second commit finds the first one's work, whole."""
    for dest in (f"{tmp_path}/a.parquet", f"{tmp_path}/b/"):
        with open_target(dest, WriteOptions()) as first, open_target(dest, WriteOptions()) as second:
            receipts = []
            for target, table in ((first, ONE), (second, TWO)):
                target.check(table.schema)
                receipts.append([target.sink(table.schema).open()(table, "00000/x")])
            first.commit(ONE.schema, receipts[0], tuple)
            with pytest.raises(OutputError, match="appeared while this was written, by another process. Nothing there"):
                second.commit(TWO.schema, receipts[1], tuple)
    assert pq.read_table(f"{tmp_path}/a.parquet")["n"].to_pylist() == rows(tmp_path / "b") == [1, 2, 3]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp-")]


def test_a_reader_never_finds_a_folder_gone_while_it_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    write(ONE, f"{folder}/")
    seen: set[bool] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.add(folder.is_dir())

    watcher = threading.Thread(target=look)
    watcher.start()
    for table in (TWO, ONE) * 5:
        write(table, f"{folder}/", mode="overwrite")
    over.set()
    watcher.join()
    assert seen == {True}


def test_names_are_exchanged_and_moves_into_a_place_that_is_taken_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in (True, False):
        if not known:  # a file system or a system without the call
            monkeypatch.setattr("raypipe.etl.writers.renames._renameat2", lambda *_: False)
        a, b = tmp_path / f"a{known}", tmp_path / f"b{known}"
        a.mkdir()
        b.mkdir()
        (a / "one").touch()
        exchange(a, b)
        assert os.listdir(b) == ["one"]
        assert os.listdir(a) == []
        with pytest.raises(FileExistsError, match="b"):
            move_new(a, b)


def test_writing_a_part_again_replaces_its_files_in_every_partition(tmp_path: Path) -> None:
    with open_target(f"{tmp_path}/b/", WriteOptions(partition_by=("t",))) as target:
        put = target.sink(ONE.schema).open()
        put(ONE, "00000/x")
        receipt = put(ONE, "00000/x")  # as after a lost worker
        target.commit(ONE.schema, [receipt], tuple)
    assert rows(tmp_path / "b") == [1, 2, 3]
