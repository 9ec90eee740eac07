"""Delta tables: one transaction a write, exact values, clear words where columns or writers do not fit."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import WriteOptions
from raypipe.engine.localframe import local_frame
from raypipe.errors import ConfigError, OutputError, SchemaError
from raypipe.etl.writers.choose import open_target
from raypipe.pipeline.convert import write
from tests.etl.writers.tables import KINDS, MORE, plain, tables

deltalake = pytest.importorskip("deltalake", reason="deltalake is absent: pip install 'raypipe[delta]'")

ONE = pa.table({"id": [1, 2, 3], "city": ["Köln/B", "x", None], "v": [0.5, None, 2.5]})
HELD = {name: kind for name, kind in {**KINDS, **MORE}.items() if name not in ("clock", "small")}


def rows(place: Path, *by: str) -> list[dict[str, Any]]:
    return deltalake.DeltaTable(place).to_pyarrow_table().sort_by([(name, "ascending") for name in by]).to_pylist()


def files(place: Path) -> set[str]:
    return {path.name for path in place.rglob("*.parquet")}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables(HELD), cut=st.integers(0, 9))
def test_values_and_types_come_back_exact(table: pa.Table, cut: int) -> None:
    at = min(cut, table.num_rows)
    with tempfile.TemporaryDirectory() as folder:
        done = write(local_frame(table, (at, table.num_rows - at)), f"{folder}/t", format="delta")
        got = pl.from_arrow(deltalake.DeltaTable(f"{folder}/t").to_pyarrow_table())
        assert done.rows_written == table.num_rows
        assert sorted(map(repr, plain(got.to_arrow()))) == sorted(map(repr, plain(pl.from_arrow(table).to_arrow())))
        assert got.schema == pl.from_arrow(table).schema


def test_appends_and_overwrites_are_one_version_each(tmp_path: Path) -> None:
    place = tmp_path / "t"
    assert write(ONE, place, format="delta", partition_by="city").detail == {"version": 0}
    assert write(ONE, place, mode="append").detail == {"version": 1}  # a Delta table is known by its log
    assert [row["id"] for row in rows(place, "id")] == [1, 1, 2, 2, 3, 3]
    assert write(ONE.slice(0, 1), place, mode="overwrite", delta={"replace_where": {"city": "Köln/B"}}).detail == {
        "version": 2
    }
    assert [row["id"] for row in rows(place, "id")] == [1, 2, 2, 3, 3]
    write(ONE.slice(1, 1), place, mode="overwrite")
    assert rows(place, "id") == [{"id": 2, "v": None, "city": "x"}]
    assert pl.read_delta(str(place)).height == 1
    assert deltalake.DeltaTable(place, version=1).to_pyarrow_table().num_rows == 6


def test_files_can_be_skipped_by_their_figures(tmp_path: Path) -> None:
    table = pa.table({"n": [5, 9], "d": [dt.date(2024, 1, 2), None], "t": ["b", "a"], "long": ["x" * 50, "y"],
                      "nan": [float("nan"), 1.0]})  # fmt: skip
    write(table, tmp_path / "t", format="delta")
    action = pa.table(deltalake.DeltaTable(tmp_path / "t").get_add_actions(flatten=True)).to_pylist()[0]
    assert (action["num_records"], action["min.n"], action["max.n"], action["null_count.d"]) == (2, 5, 9, 1)
    assert (action["min.t"], action["max.d"]) == ("a", dt.date(2024, 1, 2))
    assert action.get("max.long") is None  # would have to be rounded up
    assert action.get("max.nan") is None


@pytest.mark.parametrize(
    ("table", "options", "error", "said"),
    [
        (ONE, {}, ConfigError, "a Delta table is there already.*--mode append, overwrite or merge"),
        (
            ONE.append_column("new", pa.array([1, 2, 3])),
            {"mode": "append"},
            SchemaError,
            "the table has no column 'new'",
        ),
        (ONE.drop_columns(["v"]), {"mode": "append"}, SchemaError, "has a column 'v' that the source lacks"),
        (
            ONE.set_column(0, "id", pa.array(["a", "b", "c"])),
            {"mode": "append"},
            SchemaError,
            "column 'id' is int64 in",
        ),
        (ONE, {"mode": "append", "partition_by": "id"}, ConfigError, "partitioned by city, which cannot be changed"),
        (ONE, {"mode": "append", "delta": {"replace_where": {"city": "x"}}}, ConfigError, "is for mode overwrite"),
        (
            ONE,
            {"mode": "overwrite", "delta": {"replace_where": {"id": "x"}}},
            ConfigError,
            "'id' is no partition column",
        ),
        (
            ONE,
            {"mode": "overwrite", "delta": {"replace_where": {"city": "x"}}},
            OutputError,
            "outside of the partition",
        ),
        (ONE, {"mode": "merge", "key": "city"}, OutputError, "stands in more than one row"),
        (ONE, {"mode": "append", "delta": {"delete_where": "x"}}, ConfigError, "is for mode merge"),
        (
            ONE,
            {"mode": "append", "delta": {"schema_change": "replace"}},
            ConfigError,
            "is for an overwrite of the whole",
        ),
        (
            ONE,
            {"mode": "merge", "key": "id", "delta": {"delete_where": "nonsense("}},
            OutputError,
            "Nothing was written",
        ),
    ],
)
def test_what_does_not_fit_the_table_is_refused_and_leaves_it(
    tmp_path: Path, table: pa.Table, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    place = tmp_path / "t"
    write(ONE, place, format="delta", partition_by="city")
    before = files(place)
    if options.get("key") == "city":
        table = pa.concat_tables([table, table])
    with pytest.raises(error, match=said):
        write(table, place, **options)
    assert deltalake.DeltaTable(place).version() == 0
    assert files(place) == before


def test_columns_are_added_or_replaced_where_that_is_allowed(tmp_path: Path) -> None:
    place = tmp_path / "t"
    write(ONE, place, format="delta")
    write(pa.table({"id": [4], "new": ["n"]}), place, mode="append", delta={"schema_change": "add"})
    assert rows(place, "id")[-1] == {"id": 4, "city": None, "v": None, "new": "n"}
    assert rows(place, "id")[0]["new"] is None
    write(pa.table({"z": [1]}), place, mode="overwrite", delta={"schema_change": "replace"})
    assert rows(place, "z") == [{"z": 1}]


def test_a_merge_updates_inserts_and_deletes_by_key(tmp_path: Path) -> None:
    place = tmp_path / "t"
    write(pa.table({"k": [1, 2, 3], "v": ["a", "b", "c"], "gone": [False] * 3}), place, format="delta")
    new = pa.table({"k": [2, 3, 4, 5], "v": ["B", "C", "D", "E"], "gone": [False, True, False, True]})
    done = write(new, place, mode="merge", key="k", delta={"delete_where": "source.gone"})
    assert done.detail == {"version": 1, "rows_updated": 1, "rows_inserted": 1, "rows_deleted": 1}
    assert done.rows_written == 4
    assert [(row["k"], row["v"]) for row in rows(place, "k")] == [(1, "a"), (2, "B"), (4, "D")]
    write(new.slice(0, 1), place, mode="merge", key="k")
    assert [row["k"] for row in rows(place, "k")] == [1, 2, 4]


def test_what_delta_has_no_type_for_is_text_or_wider_or_refused(tmp_path: Path) -> None:
    table = pa.table({"clock": [dt.time(1, 2, 3)], "wait": [dt.timedelta(hours=2)], "u": pa.array([7], pa.uint32())})
    write(table, tmp_path / "t", format="delta")
    assert rows(tmp_path / "t", "u") == [{"clock": "01:02:03", "wait": "PT2H", "u": 7}]
    with pytest.raises(SchemaError, match="column 'r' is .*; Delta has no time64"):
        write(
            pa.table({"r": pa.array([{"c": None}], pa.struct([("c", pa.time64("ns"))]))}),
            tmp_path / "s",
            format="delta",
        )
    with pytest.raises(OutputError, match="empty text, which Delta takes for no value"):
        write(pa.table({"c": [""], "n": [1]}), tmp_path / "e", format="delta", partition_by="c")
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({}), "has no columns, and a Delta table needs one"),
        (pa.table({"A": [1], "a": [2]}), "columns 'A' and 'a' differ by capitals only"),
        (pa.table({"a\0": [1]}), "holds a zero byte"),
    ],
)
def test_what_no_delta_table_can_be_is_refused_before_anything_is_written(
    tmp_path: Path, table: pa.Table, said: str
) -> None:
    with pytest.raises(SchemaError, match=said):
        write(table, tmp_path / "t", format="delta")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_holds_no_table_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is a file, and a Delta table is a folder"):
        write(ONE, tmp_path / "file", format="delta")
    log = tmp_path / "t" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020d}.json").write_text("nonsense")
    with pytest.raises(OutputError, match=r"Json error.*literal\. Nothing was written"):
        write(ONE, tmp_path / "t", mode="append")


def test_two_writers_at_once_end_with_both_or_a_word(tmp_path: Path) -> None:
    """Appends go together, whoever began first; two that would make one table do not."""
    place = str(tmp_path / "t")
    for mode, wanted in (("new", None), ("append", 4)):
        options = WriteOptions(format="delta", mode=mode)
        with open_target(place, options) as first, open_target(place, options) as second:
            receipts = []
            for target in (first, second):
                target.check(ONE.schema)
                receipts.append(target.sink(ONE.schema).open()(ONE.slice(0, 1), "00000/x"))
            first.commit(ONE.schema, receipts[:1], tuple)
            if wanted is None:
                with pytest.raises(OutputError, match="Nothing was written"):
                    second.commit(ONE.schema, receipts[1:], tuple)
            else:
                second.commit(ONE.schema, receipts[1:], tuple)
    assert len(rows(tmp_path / "t", "id")) == 3
    assert len(files(tmp_path / "t")) == 3
