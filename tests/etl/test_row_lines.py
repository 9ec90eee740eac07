"""The text line in which each row begins: told of every row of a file with lines, wherever it is cut."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raypipe.blocks.rowlines import MOST_MARKS, RowLines
from raypipe.config import PipelineConfig, ReadOptions, ValidationConfig
from raypipe.etl.reader import DataReader
from raypipe.pipeline.check import check_source

pieces = st.sampled_from(["plain", "plain", "plain", "broken", "blank", "ragged", "misfit", "comment"])


@settings(max_examples=15, deadline=None)
@given(st.lists(pieces, min_size=1, max_size=30), st.integers(20, 200), st.sampled_from(["\n", "\r\n"]))
def test_lines_are_those_of_the_file_wherever_it_is_cut(tmp_path_factory, kinds, part_bytes, end):
    assume(kinds.count("ragged") <= kinds.count("plain"))  # where most rows have two fields, the table has two columns
    between_blanks = [list(run) for blank, run in groupby(kinds, "blank".__eq__) if not blank]
    # Ragged rows with blank lines around them are a table of their own.
    assume(all(run.count("ragged") < 2 or run.count("ragged") < run.count("plain") for run in between_blanks))
    lines, wanted = ["id,n,t"], {}
    for number, kind in enumerate(["plain", *kinds]):
        at = len(lines) + 1
        if kind == "plain":
            lines.append(f"{number},{number},some text")
        elif kind == "broken":
            lines += [f'{number},{number},"two', 'lines"']
        elif kind == "misfit":
            lines.append(f"{number},many,x")
        else:
            lines.append({"blank": "", "ragged": f"{number},1", "comment": "# so"}[kind])
        if kind in ("plain", "broken"):
            wanted[number] = at
    path = tmp_path_factory.mktemp("lines") / "t.csv"
    path.write_bytes(end.join([*lines, ""]).encode())
    options = ReadOptions(comment="#", dtypes={"id": "int64", "n": "int64", "t": "text"})
    source = DataReader(path, None, options).source(target_part_bytes=part_bytes)
    read, first, told = source.open(), 0, {}
    for part in source.parts():
        got = read(part)
        assert got.row_lines is not None
        rows = np.arange(got.block.num_rows) if got.row_numbers is None else got.row_numbers.to_numpy()
        found = got.row_lines.lines(rows) + first + 1
        told |= dict(zip(got.block["id"].to_pylist(), found.tolist(), strict=True))
        first += got.lines
    assert told == wanted


def aside(folder: Path, path: Path, rule: dict[str, Any]) -> pl.DataFrame:
    (folder / "rules.json").write_text(json.dumps({"action": "quarantine", "rules": [rule]}))
    config = PipelineConfig(
        data_source=path, validation=ValidationConfig(rules_path=folder / "rules.json"), engine={"engine": "inline"}
    )
    check_source(config, folder / "bad.parquet")
    return pl.read_parquet(folder / "bad.parquet")


def test_rows_that_break_a_rule_bear_the_line_that_they_stand_in(tmp_path):
    rule = {"rule": "at_least", "columns": "n", "value": 0}
    csv = tmp_path / "t.csv"
    csv.write_text('n,t\n1,a\n-1,"x\ny"\n\n-2,b\n')
    assert aside(tmp_path, csv, rule)["line"].to_list() == [3, 6]
    jsonl = tmp_path / "t.jsonl"
    jsonl.write_text('{"n": 1}\n\n{"n": -1}\n{"n": -2}\n')
    assert aside(tmp_path, jsonl, rule)["line"].to_list() == [3, 4]
    array = tmp_path / "t.json"
    array.write_text('[\n{"n": 1},\n{"n":\n -1}, {"n": -2}\n]\n')
    assert aside(tmp_path, array, rule)["line"].to_list() == [3, 4]
    book = tmp_path / "t.xlsx"
    pl.DataFrame({"n": [1, -1, 2, -2]}).write_excel(book)
    assert aside(tmp_path, book, rule)["line"].to_list() == [3, 5]
    parquet = tmp_path / "t.parquet"
    pl.DataFrame({"n": [1, -1]}).write_parquet(parquet)
    found = aside(tmp_path, parquet, rule)
    assert (found["line"].to_list(), found["row"].to_list()) == ([None], [1])


def test_a_part_with_too_many_breaks_tells_no_lines():
    numbers = np.arange(MOST_MARKS + 2)
    assert RowLines.of(numbers, numbers * 2) is None
    assert RowLines.of(numbers, numbers + 7).lines(numbers[3:5]).tolist() == [10, 11]
    assert RowLines.of(numbers[:0], numbers[:0]).lines(numbers[:2]).tolist() == [0, 1]
