"""What is written is what is read: by raypipe itself, and by other tools."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import ReadOptions, WriteOptions
from raypipe.engine.localframe import local_frame
from raypipe.etl.reader import DataReader
from raypipe.pipeline.convert import write
from tests.etl.writers.tables import KINDS, MORE, plain, tables

CUTS = st.lists(st.integers(0, 9), max_size=3)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
READ_AS = {"whole": "int64", "float": "float64", "text": "text", "flag": "boolean", "day": "date", "moment": "datetime",
           "instant": "datetime_utc"}  # fmt: skip


def in_parts(table: pa.Table, cuts: list[int]) -> Any:
    """The table as a frame of several parts."""
    edges = sorted({0, *(min(cut, table.num_rows) for cut in cuts), table.num_rows})
    return local_frame(table, tuple(stop - start for start, stop in itertools.pairwise(edges)))


def as_read(value: Any, kind: str) -> Any:
    """What the reader of CSV makes of a value, by its own rules: text is trimmed, and nothing is no value."""
    return (value.strip() or None) if kind == "text" and value is not None else value


@FEW
@given(
    table=tables({**KINDS, **MORE}), cuts=CUTS, single=st.booleans(), codec=st.sampled_from(["zstd", "none", "gzip"])
)
def test_parquet_is_exact_in_values_and_types(table: pa.Table, cuts: list[int], single: bool, codec: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dest = f"{folder}/{'a.parquet' if single else 'a/'}"
        options = WriteOptions.model_validate({"parquet": {"compression": codec, "row_group_rows": 2}})
        assert write(in_parts(table, cuts), dest, options).rows_written == table.num_rows
        mine = DataReader(dest, options=ReadOptions(nested="keep")).read()
        assert mine.schema.equals(table.schema)
        assert plain(mine) == plain(table)
        assert plain(pl.read_parquet(dest if single else f"{dest}*.parquet").to_arrow()) == plain(table)


@FEW
@given(table=tables({**KINDS, **MORE}), cuts=CUTS, single=st.booleans())
def test_arrow_is_exact_in_values_and_types(table: pa.Table, cuts: list[int], single: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dest = f"{folder}/{'a.arrow' if single else 'a/'}"
        write(in_parts(table, cuts), dest, format="arrow")
        paths = [dest] if single else sorted(map(str, Path(dest).iterdir()))
        got = pa.concat_tables(pa.ipc.open_file(path).read_all() for path in paths)
        assert got.schema.equals(table.schema)
        assert plain(got) == plain(table)


@FEW
@given(
    table=tables(KINDS),
    cuts=CUTS,
    how=st.fixed_dictionaries(
        {
            "delimiter": st.sampled_from([",", ";", "\t", "|"]),
            "quoting": st.sampled_from(["necessary", "always", "non_numeric"]),
            "line_end": st.sampled_from(["lf", "crlf"]),
            "compression": st.sampled_from(["none", "gzip", "zstd"]),
            "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        }
    ),
)
def test_csv_is_exact_for_a_reader_that_changes_nothing(table: pa.Table, cuts: list[int], how: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv" + {"gzip": ".gz", "zstd": ".zst"}.get(how["compression"], ""))
        write(in_parts(table, cuts), path, csv=how)
        with pa.input_stream(path, compression="detect") as file:
            text = file.read().decode(how["encoding"])
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=how["delimiter"])
    assert header == table.column_names
    got = [{name: PARSERS[name](cell) for name, cell in zip(header, row, strict=True)} for row in rows]
    assert got == [{name: _or_none(value) for name, value in row.items()} for row in plain(table)]


PARSERS: dict[str, Callable[[str], Any]] = {
    "whole": lambda cell: int(cell) if cell else None,
    "float": lambda cell: float(cell).hex() if cell else None,
    "text": lambda cell: cell or None,
    "flag": lambda cell: {"true": True, "false": False, "": None}[cell],
    "day": lambda cell: dt.date.fromisoformat(cell) if cell else None,
    "moment": lambda cell: dt.datetime.fromisoformat(cell) if cell else None,
    "instant": lambda cell: dt.datetime.fromisoformat(cell) if cell else None,
}


def _or_none(value: Any) -> Any:
    return None if value == "" else value


def test_csv_tells_no_value_from_a_text_of_no_characters(tmp_path: Path) -> None:
    table = pa.table({"a": ["", None, "x"], "b": [1, 2, 3]})
    write(table, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == 'a,b\n"",1\n,2\nx,3\n'
    write(table.select(["a"]), tmp_path / "lone.csv")  # an empty line would be no row
    assert (tmp_path / "lone.csv").read_text() == 'a\n""\n""\nx\n'


@FEW
@given(table=tables(KINDS, min_rows=1), cuts=CUTS, always=st.booleans())
def test_csv_read_by_raypipe_is_what_was_written_but_for_what_its_reader_trims(
    table: pa.Table, cuts: list[int], always: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dest = f"{folder}/a.csv"
        write(in_parts(table, cuts), dest, csv={"quoting": "always" if always else "necessary"})
        read = ReadOptions(
            dtypes={name: READ_AS[name] for name in table.column_names}, null_values=(), header=True, delimiter=",",
            encoding="utf-8",
        )  # fmt: skip
        result = DataReader(dest, options=read).read_all()
        wanted = [{name: as_read(value, name) for name, value in row.items()} for row in plain(table)]
        assert result.aside.num_rows == 0
        got = [{name: as_read(value, name) for name, value in row.items()} for row in plain(result.table)]
        assert got == wanted


@FEW
@given(table=tables({**KINDS, "odd": MORE["odd"], "list": MORE["list"], "record": MORE["record"]}), cuts=CUTS)
def test_json_lines_are_one_object_a_row_with_every_value(table: pa.Table, cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = write(in_parts(table, cuts), f"{folder}/a.jsonl")
        lines = Path(f"{folder}/a.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        assert [json.loads(line) for line in lines] == [
            {name: _as_json(value) for name, value in row.items()} for row in table.to_pylist()
        ]
        odd = table["odd"].to_pylist() if "odd" in table.column_names else []
        assert done.lost.get("nan_as_null", 0) == sum(str(value) in ("nan", "inf", "-inf") for value in odd)


def _as_json(value: Any) -> Any:
    if isinstance(value, float) and str(value) in ("nan", "inf", "-inf"):
        return None
    if hasattr(value, "hour") and value.tzinfo is not None:
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "+00:00"
    if hasattr(value, "hour"):
        return value.isoformat(timespec="microseconds")
    return value.isoformat() if hasattr(value, "isoformat") else value


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "arrow", "csv.gz", "jsonl.zst", "tsv"])
def test_other_tools_read_what_is_written(tmp_path: Path, ending: str) -> None:
    table = pa.table({"n": [1, 2, 3], "t": ["a", 'b"', "c,d"], "f": [0.1, 1e300, -2.5]})
    path = tmp_path / f"x.{ending}"
    write(in_parts(table, [1, 2]), path)
    readers = {
        "parquet": (pd.read_parquet, pl.read_parquet, duckdb.read_parquet),
        "csv": (pd.read_csv, pl.read_csv, duckdb.read_csv),
        "csv.gz": (pd.read_csv, pl.read_csv, duckdb.read_csv),
        "tsv": (lambda p: pd.read_csv(p, sep="\t"), lambda p: pl.read_csv(p, separator="\t"), duckdb.read_csv),
        "jsonl": (lambda p: pd.read_json(p, lines=True), pl.read_ndjson, duckdb.read_json),
        "jsonl.zst": (pl.read_ndjson, duckdb.read_json),
        "arrow": (pd.read_feather, pl.read_ipc),
    }[ending]
    for reader in readers:
        got = reader(str(path))
        if isinstance(got, pd.DataFrame):
            got = pl.from_pandas(got)
        rows = got.rows() if isinstance(got, pl.DataFrame) else got.fetchall()
        assert [tuple(row) for row in rows] == [(1, "a", 0.1), (2, 'b"', 1e300), (3, "c,d", -2.5)]
