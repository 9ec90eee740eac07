"""Reading text files: what is found, what is set aside, and what is refused with a clear error."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.etl.reader import DataReader, ReadResult
from raypipe.etl.source import TableSource, settle_types
from raypipe.etl.types import gather_misfits
from tests.laws import examples


def write(folder: Path, content: str | bytes, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_all(folder: Path, content: str | bytes, name: str = "x.csv", **options: Any) -> ReadResult:
    return DataReader(write(folder, content, name), options=ReadOptions(**options)).read_all()


def rows(result: ReadResult) -> list[dict[str, Any]]:
    return list(result.table.to_pylist())


def kinds(result: ReadResult) -> dict[str, str]:
    return {field.name: str(field.type) for field in result.table.schema}


# What the reader finds by itself


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "a;b\n1;x\n2;y\n",
        "a\tb\n1\tx\n2\ty\n",
        "a|b\n1|x\n2|y\n",
        "a^b\n1^x\n2^y\n",
        '"a","b"\r\n1,"x"\r\n2,"y"\r\n',
        "a,b\r1,x\r2,y\r",
        "\n\na,b\n\n1,x\n\n2,y",
        "sep=;\r\na;b\r\n1;x\r\n2;y\r\n",
        "'a','b'\n1,'x'\n2,'y'\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_one_table_in_many_dialects(tmp_path: Path, text: str, encoding: str) -> None:
    assert rows(read_all(tmp_path, text.encode(encoding))) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_types_are_found_and_null_texts_are_null(tmp_path: Path) -> None:
    text = (
        "i,f,b,d,t,u,z,s\n"
        "1,1.5,true,2020-01-02,2020-01-02T03:04:05,2020-01-02T03:04:05Z,007,x\n"
        "NA,nan,F, NULL ,2020-01-02 03:04:05.5,2020-01-02T03:04:05+02:00,8, NA \n"
    )
    result = read_all(tmp_path, text)

    assert kinds(result) == {
        "i": "int64",
        "f": "double",
        "b": "bool",
        "d": "date32[day]",
        "t": "timestamp[us]",
        "u": "timestamp[us, tz=UTC]",
        "z": "large_string",
        "s": "large_string",
    }
    assert [rows(result)[1][name] for name in "ifbdzs"] == [None, None, False, None, "8", None]
    assert result.aside.num_rows == 0


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1,2\n3,4\n", ["column_1", "column_2"]),
        ("name,city\nbob,rome\nann,oslo\n", ["name", "city"]),
        ("t,f\n2020-01-01,2\n2020-01-02,3\n", ["t", "f"]),
        ("a,b,c", ["a", "b", "c"]),
    ],
)
def test_a_header_is_told_from_rows(tmp_path: Path, text: str, names: list[str]) -> None:
    assert read_all(tmp_path, text).table.column_names == names


def test_names_that_repeat_or_are_empty_become_unique_and_are_noted(tmp_path: Path) -> None:
    result = read_all(tmp_path, "a,a_2,,a,__row__\n1,2,3,4,5\n")

    assert result.table.column_names == ["a", "a_2", "column_3", "a_3", "column_5"]
    assert len(result.source.notes) == 3
    assert "its name 'a' stands there twice; it is called 'a_3' here" in " ".join(result.source.notes)


def test_header_only_is_an_empty_table_of_text(tmp_path: Path) -> None:
    result = read_all(tmp_path, "a,b\n")

    assert kinds(result) == {"a": "large_string", "b": "large_string"}
    assert result.table.num_rows == 0


def test_one_column_files_are_read_without_their_blank_lines(tmp_path: Path) -> None:
    assert rows(read_all(tmp_path, "a\n1\n\n2\n")) == [{"a": 1}, {"a": 2}]
    assert rows(read_all(tmp_path, 'a\nx\n""\ny')) == [{"a": "x"}, {"a": None}, {"a": "y"}]


def test_very_wide_and_very_long_lines_are_read(tmp_path: Path) -> None:
    wide = ",".join(f"c{i}" for i in range(10_000)) + "\n" + ",".join(map(str, range(10_000))) + "\n"
    result = read_all(tmp_path, wide)
    assert result.table.num_columns == 10_000
    assert result.table.schema.types[17] == pa.int64()

    long = "x" * 10_000_000
    table = read_all(tmp_path, f'a,b\n1,"{long}"\n2,{long}\n').table
    assert table["a"].to_pylist() == [1, 2]
    assert [len(text) for text in table["b"].to_pylist()] == [10_000_000] * 2


def test_stray_quotes_are_part_of_the_text(tmp_path: Path) -> None:
    text = 'a,b\n5" pipe,1\n"He said ""hi""",2\n"x "y" z",3\n'

    assert [row["a"] for row in rows(read_all(tmp_path, text))] == ['5" pipe', 'He said "hi"', 'x "y" z']


def test_bytes_of_older_encodings_are_told(tmp_path: Path) -> None:
    assert rows(read_all(tmp_path, "a,b\nJosé,1\n€,2\n".encode("cp1252")))[1]["a"] == "€"
    assert rows(read_all(tmp_path, "名前,x\n太郎,1\n".encode("shift_jis"), encoding="shift_jis")) == [
        {"名前": "太郎", "x": 1}
    ]


# Nothing is lost


def test_lines_that_do_not_belong_to_the_encoding_go_aside(tmp_path: Path) -> None:
    text = "n,x\n" + "é,1\n" * 40
    result = read_all(tmp_path, text.encode() + b"\xff\xfe,2\n" + "ü,3\n".encode())

    assert result.table.num_rows == 41
    assert result.aside.to_pylist()[0] | {"row": 0} == {
        "row": 0,
        "line": 41,
        "column": None,
        "value": None,
        "reason": "bytes that are not valid utf-8",
        "raw": "\\xff\\xfe,2",
    }


def test_ragged_rows_go_aside_with_line_and_text(tmp_path: Path) -> None:
    result = read_all(tmp_path, "a,b,c\n1,2,3\n4,5\n\n6,7,8,9\n1,1,1\n")

    assert [row["a"] for row in rows(result)] == [1, 1]
    told = [(one["line"], one["raw"], one["reason"]) for one in result.aside.to_pylist()]
    assert told == [(2, "4,5", "2 fields instead of 3"), (4, "6,7,8,9", "4 fields instead of 3")]
    assert result.parts[0].notes["blank_lines"] == 1
    assert result.parts[0].row_numbers is not None
    assert result.parts[0].row_numbers.to_pylist() == [0, 3]


def test_a_short_row_and_a_long_row_do_not_make_up_for_each_other(tmp_path: Path) -> None:
    assert read_all(tmp_path, "a,b,c\n1,2\n3,4,5,6\n7,8,\n1,2,3\n").aside.num_rows == 2


def test_quotes_never_closed_cost_their_own_lines(tmp_path: Path) -> None:
    result = read_all(tmp_path, 'a,b\n1,x\n2,"y\n3,z\n4,"w\n5,v\n')

    assert [row["a"] for row in rows(result)] == [1, 3, 5]
    assert [one["raw"] for one in result.aside.to_pylist()] == ['2,"y', '4,"w']
    assert result.aside["reason"][0].as_py() == "quote opened in line 3 of the part is never closed"


def test_a_column_that_turns_to_text_at_the_end_is_promoted_with_its_reason(tmp_path: Path) -> None:
    result = read_all(tmp_path, "n,m\n" + "1,2\n" * 200 + "abc,2.5\n")

    assert kinds(result) == {"n": "large_string", "m": "double"}
    assert result.table.num_rows == 201
    assert "column 'n' is read as text, not int64: 1 of 201 values" in result.promotions[0].reason
    assert result.promotions[0].example == "abc"


def test_few_misfits_stay_in_quarantine_with_cell_and_row(tmp_path: Path) -> None:
    text = 'n,"q""<b>"\n' + "1,x\n" * 200 + 'abc,"y\nz"\n' + "2,w\n"
    result = DataReader(write(tmp_path, text)).read_all(max_bad_share=0.01)

    [one] = result.aside.to_pylist()
    assert (one["row"], one["line"], one["column"], one["value"]) == (200, 201, "n", "abc")
    assert one["reason"] == "column 'n' wants int64, got 'abc'"
    assert json.loads(one["raw"]) == {"n": "abc", 'q"<b>': "y\nz"}
    assert result.table.num_rows == 201


def test_types_given_by_the_user_are_kept(tmp_path: Path) -> None:
    result = read_all(tmp_path, "a,b\n1,x\n2,3\n", dtypes={"a": "text", "b": "int64"})

    assert kinds(result) == {"a": "large_string", "b": "int64"}
    assert rows(result) == [{"a": "2", "b": 3}]
    assert result.aside["value"].to_pylist() == ["x"]


def test_codes_with_leading_zeros_are_never_shortened(tmp_path: Path) -> None:
    result = read_all(tmp_path, "n\n" + "12\n" * 600_000 + "007\n" + "12\n" * 900_000)

    assert result.table["n"][600_000].as_py() == "007"
    assert result.table.num_rows == 1_500_001
    assert "digits that a number would change" in result.promotions[0].reason


cell = st.one_of(
    st.sampled_from(["", "1", "2.5", "NA", "x", "007", "2020-01-01", "true", "9" * 20]),
    st.sampled_from(['"a,b"', '"a\nb"', '"say ""hi"""', '5" pipe', '"open', '""', " 3 ", "é"]),
)
line = st.one_of(
    st.lists(cell, min_size=3, max_size=3).map(",".join),
    st.lists(cell, min_size=1, max_size=4).map(",".join),
    st.just(""),
)


def absolute(source: TableSource) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Rows, rows set aside with their lines in the file, and misfits, over all parts."""
    read = source.open()
    good: list[Any] = []
    aside: list[Any] = []
    notes = []
    first = 0
    for part in source.parts():
        got = read(part)
        good += got.block.to_pylist()
        bad = got.aside.to_pylist()
        aside += [(one["line"] + first, one["column"], one["value"], one["raw"]) for one in bad]
        assert got.lines is not None
        first += got.lines
        notes.append(got.notes)
    misfits = gather_misfits(notes)
    return good, aside, {name: {**found, "line": 0} for name, found in misfits.items()}


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(line, min_size=1, max_size=12), target=st.integers(1, 60), end=st.sampled_from(["\n", "\r\n"]))
def test_where_a_file_is_cut_changes_nothing(tmp_path: Path, lines: list[str], target: int, end: str) -> None:
    text = end.join(["a,b,c", *["1,2,3"] * 3, *lines]) + end
    reader = DataReader(write(tmp_path, text), options=ReadOptions(delimiter=",", header=True, encoding="utf-8"))

    whole, cut = reader.source(), reader.source(target_part_bytes=target)

    expected = absolute(whole)
    assert absolute(cut) == expected
    settled = settle_types(whole, expected[2], 0.0)
    assert settled[1] == settle_types(cut, expected[2], 0.0)[1]
    ids = [part.id for part in cut.parts()]
    assert ids == sorted(set(ids))
    assert pickle.loads(pickle.dumps(cut)) == cut


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(line, max_size=12), target=st.integers(1, 60))
@example(lines=['"a\nb",,"open'], target=1)
@example(lines=[',"a,b","open'], target=1)
def test_every_line_ends_up_in_a_row_or_aside(tmp_path: Path, lines: list[str], target: int) -> None:
    text = "\n".join(["a,b,c", "1,2,3", *lines])
    options = ReadOptions(delimiter=",", header=True, skip_rows=0, footer_rows=0)
    source = DataReader(write(tmp_path, text), options=options).source(target_part_bytes=target)
    read = source.open()
    parts = [read(part) for part in source.parts()]

    counted = sum(part.block.num_rows + part.aside.num_rows for part in parts)
    assert sum(part.lines or 0 for part in parts) == text.count("\n") + (not text.endswith("\n"))
    for part in parts:
        if part.row_numbers is not None:
            numbers = part.row_numbers.to_pylist()
            assert numbers == sorted(set(numbers))
            assert len(numbers) == part.block.num_rows
    if not any('"' in text for text in lines):
        assert counted == 1 + sum(bool(one) for one in lines)


# Options


def test_rows_columns_and_lines_can_be_left_out(tmp_path: Path) -> None:
    text = "# one\n# two\na,b,c\n1,2,3\n\n4,5,6\n7,8,9\n"
    result = read_all(tmp_path, text, skip_rows=2, max_rows=2, columns=("c", "a"))

    assert rows(result) == [{"c": 3, "a": 1}, {"c": 6, "a": 4}]


def test_max_rows_counts_over_parts_and_files(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, "a\n" + f"{number}\n" * 10, f"{number}.csv")
    source = DataReader(tmp_path, options=ReadOptions(max_rows=15)).source(target_part_bytes=6)
    read = source.open()

    values = [value for part in source.parts() for value in read(part).block["a"].to_pylist()]
    assert values == [0] * 10 + [1] * 5


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"columns": ("alpah",)}, MissingColumnsError, "no column 'alpah'.*Did you mean 'alpha'"),
        ({"columns": ("alpha", "alpha")}, ConfigError, "stands there twice"),
        ({"dtypes": {"nope": "text"}}, MissingColumnsError, "no column 'nope'"),
        ({"dtypes": {"alpha": "integer"}}, ConfigError, "wants type 'integer'; types are: int64"),
        ({"delimiter": "\n"}, ConfigError, "delimiter: wants text such as"),
        ({"delimiter": '"'}, ConfigError, "delimiter: wants text such as.*without line ends, quotes and escapes"),
        ({"delimiter": "§", "encoding": "ascii"}, ConfigError, "'§' does not exist in ascii"),
        ({"escape": "ab"}, ConfigError, "escape: wants one ASCII character"),
        ({"escape": '"'}, ConfigError, "escape: is the quote"),
        ({"table": 2}, ConfigError, "wants table 2; the file holds 1"),
        ({"formats": {"nope": {}}}, MissingColumnsError, "no column 'nope'"),
        ({"quote": "ab"}, ConfigError, "quote: wants one ASCII character"),
        ({"encoding": "utf-99"}, ConfigError, "'utf-99' is no text encoding"),
        ({"encoding": "utf-16"}, ReadError, "not written in 'utf-16'; it looks like 'utf-8'"),
        ({"skip_rows": 99}, ReadError, "no row, only blank lines behind the 99 lines"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        read_all(tmp_path, "alpha,b\n1,2\n", **options)


# Files that are not what they should be


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\n\n\r\n", "has no row, only blank lines"),
        (b"\x89PNG\r\n\x1a\n\0\0", "looks like a PNG picture"),
        (b"PK\x03\x04\0\0", "is a damaged zip file, or was cut off"),
        (b"\x1f\x8b\x08\0", "is a gzip file that is cut off or damaged"),
        (b"SQLite format 3\0" + b"\0" * 50, "looks like an SQLite database"),
        (bytes(range(256)) * 4, "looks like binary data"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, match: str) -> None:
    with pytest.raises(ReadError, match=match):
        read_all(tmp_path, content)


def test_a_wrong_name_is_answered_with_a_close_one(tmp_path: Path) -> None:
    write(tmp_path, "a\n1\n", "sales.csv")

    with pytest.raises(ReadError, match=r"salse\.csv: no such file\. Did you mean '.*sales\.csv'"):
        DataReader(tmp_path / "salse.csv")
    with pytest.raises(ReadError, match="there is no folder"):
        DataReader(tmp_path / "nowhere" / "x.csv")
    with pytest.raises(ReadError, match="no file with data matches"):
        DataReader(str(tmp_path / "*.tsv"))
    with pytest.raises(ConfigError, match="wants 'csv', 'json', .*, got 'xml'"):
        DataReader(tmp_path / "sales.csv", format="xml")


def test_folders_without_data_and_with_both_formats_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "_SUCCESS").touch()
    (empty / ".hidden.csv").write_text("a\n1\n")
    with pytest.raises(ReadError, match="holds 2 files, none of them with rows"):
        DataReader(empty)

    both = tmp_path / "both"
    both.mkdir()
    write(both, "a\n1\n")
    pq.write_table(pa.table({"a": [1]}), both / "y.parquet")
    with pytest.raises(ReadError, match="CSV and Parquet stand together: 1 CSV"):
        DataReader(both)


def test_content_counts_more_than_the_name_but_never_silently_against_the_caller(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "p.csv")
    assert DataReader(tmp_path / "p.csv").read()["a"].to_pylist() == [1, 2]
    with pytest.raises(ReadError, match="is Parquet, not CSV"):
        DataReader(tmp_path / "p.csv", format="csv")
    with pytest.raises(ReadError, match="is not Parquet, though its name says so: it holds text"):
        DataReader(write(tmp_path, "a,b\n1,2\n", "x.parquet"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="another user can be tried out by root alone")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n1\n")
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    code = (
        "import os, sys; from raypipe.etl.reader import DataReader; from raypipe.errors import ReadError\n"
        "import polars\n"
        "os.setuid(65534)\n"
        "try: DataReader(sys.argv[1]).read()\n"
        "except ReadError as error: sys.exit(0 if 'permission denied' in str(error) else str(error))\n"
        "sys.exit('was read')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n1\n2\n")
    source = DataReader(path).source()
    path.write_text("a\n1\n2\n3\n")

    with pytest.raises(ReadError, match="changed while it was being read"):
        source.open()(source.parts()[0])


# Several files, pieces, information


def test_files_with_other_columns_and_orders_become_one_table(tmp_path: Path) -> None:
    write(tmp_path, "a,b\n1,x\n", "1.csv")
    write(tmp_path, "b;c;a\ny;2020-01-01;2.5\n", "sub.csv")
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", "a,b\nx,z\n", "3.tsv")
    result = DataReader(tmp_path).read_all()

    assert [row["a"] for row in rows(result)] == ["1", "x", "2.5"]
    assert [row["c"] is None for row in rows(result)] == [True, True, False]
    assert any("it is read as text" in note for note in result.source.notes)
    assert DataReader(str(tmp_path / "*.csv")).read()["a"].to_pylist() == [1.0, 2.5]


def test_chunks_have_the_wanted_size_and_hold_everything(tmp_path: Path) -> None:
    reader = DataReader(write(tmp_path, "a\n" + "".join(f"{n}\n" for n in range(1000)) + "end\n"))

    chunks = list(reader.read_chunked(300))

    assert [chunk.num_rows for chunk in chunks] == [300, 300, 300, 101]
    assert pa.concat_tables(chunks).equals(reader.read())
    with pytest.raises(ConfigError, match="at least 1 row"):
        next(reader.read_chunked(0))


def test_file_info_says_what_is_known(tmp_path: Path) -> None:
    info = DataReader(write(tmp_path, "a;b\n1;2\n3;4\n")).get_file_info()

    assert info["format"] == "csv"
    assert (info["columns"], info["estimated_rows"], info["rows_exact"]) == (["a", "b"], 2, True)
    assert (info["delimiter"], info["encoding"], info["size_bytes"]) == (";", "utf-8", 12)
