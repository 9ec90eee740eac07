"""What a hostile or a clumsy user gives: a clear error, or quarantine with nothing lost; never a defect's words."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.cli.exits import exit_code
from raypipe.config import ReadOptions
from raypipe.errors import OutputError, RaypipeError, ReadError
from raypipe.etl.reader import DataReader
from raypipe.pipeline.check import check_source
from raypipe.results import PipelineResult

FAILED, USAGE = 1, 2
GOOD = "a,b\n1,x\n2,y\n3,z\n"
Make = Callable[[Path], "str | Path"]


def run(source: str | Path, folder: Path, **settings: Any) -> PipelineResult:
    """The whole pipeline in this process, the page left out unless asked for."""
    given = {"data_source": source, "output_dir": folder / "output", "run_id": "r", "generate_dashboard": False}
    given["engine"] = {"engine": "inline", **settings.pop("engine", {})}
    results = AnalyticsPipeline(PipelineConfig.of({**given, **settings}, origin="command line")).execute()
    rows = results["rows"]
    assert rows["read"] == rows["kept"] + rows["quarantined"] + sum(rows["dropped"].values())
    assert quarantined(folder).height == rows["quarantined"]
    assert not list(folder.rglob(".tmp-*"))
    return results


def quarantined(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "output/r/quarantine.parquet").sort("line")


def summary(folder: Path) -> Any:
    return json.loads((folder / "output/r/execution_summary.json").read_text())


def text(content: str | bytes, name: str = "t.csv") -> Make:
    """Writes one file and names it."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def folder_of(**files: str | bytes | pa.Table) -> Make:
    """Writes files into a folder and names the folder; `_` before the type stands for a dot."""

    def make(folder: Path) -> Path:
        (place := folder / "data").mkdir()
        for name, content in files.items():
            path = place / ".".join(name.rsplit("_", 1))
            if isinstance(content, pa.Table):
                pq.write_table(content, path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    return make


def parquet(table: pa.Table, keep: float = 1.0) -> Make:
    """Writes a Parquet file and cuts it to a share of its bytes."""

    def make(folder: Path) -> Path:
        pq.write_table(table, folder / "t.parquet")
        raw = (folder / "t.parquet").read_bytes()
        (folder / "t.parquet").write_bytes(raw[: int(len(raw) * keep)])
        return folder / "t.parquet"

    return make


def odd_file(kind: str) -> Make:
    """A name that leads to no ordinary file."""

    def make(folder: Path) -> Path:
        path = folder / "t.csv"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "link to nothing":
            path.symlink_to("nowhere.csv")
        elif kind == "links in a circle":
            path.symlink_to("u.csv")
            (folder / "u.csv").symlink_to("t.csv")
        elif kind == "folder with a link to nothing":
            folder_of(good_csv=GOOD)(folder)
            (folder / "data/gone.csv").symlink_to("nowhere.csv")
            return folder / "data"
        elif kind == "folder with a pipe":
            folder_of(good_csv=GOOD)(folder)
            os.mkfifo(folder / "data/pipe.csv")
            return folder / "data"
        return path

    return make


def schema_file(content: str) -> dict[str, Any]:
    return {"schema text": content}


def times(first: str, rows: int = 30) -> str:
    return f"{first},v\n" + "".join(f"word{row},{row}\n" for row in range(rows))


NOT_A_SOURCE: list[tuple[str, Make, type[RaypipeError] | int, str]] = [
    ("no such file", lambda folder: text(GOOD, "sales.csv")(folder).with_name("salse.csv"), FAILED,
     r"salse\.csv: no such file\. Did you mean '.*sales\.csv'"),
    ("no such folder", lambda folder: folder / "no/t.csv", FAILED, r"no such file, and there is no folder '.*no'"),
    ("no text at all", lambda _: " ", FAILED, r"the source is an empty text\. Give a file, a folder or a pattern"),
    ("a name too long", lambda folder: folder / ("x" * 300), FAILED, "cannot be found: File name too long"),
    ("empty file", text(""), FAILED, r"t\.csv: is empty \(0 bytes\)"),
    ("blank lines", text("\n\n \n".replace(" ", "")), FAILED, "has no row, only blank lines"),
    ("a mark and nothing else", text(b"\xff\xfe"), FAILED, "has no row"),
    ("folder without a file", folder_of(), FAILED, r"the folder holds no file\. Wanted: \.csv, "),
    ("folder without data", folder_of(e_csv="", p_png=b"\x89PNG\r\n\x1a\n\0\0"), FAILED,
     "holds 2 files, none of them with rows"),
    ("pattern without a file", lambda folder: str(folder / "*.csv"), FAILED, "no file with data matches this pattern"),
    ("binary", text(random.Random(1).randbytes(4000)), FAILED, "is not text; it looks like binary data"),
    ("gzip", text(gzip.compress(GOOD.encode())[:-9]), FAILED, "is a gzip file that is cut off or damaged"),
    ("pipe", odd_file("pipe"), FAILED, r"is no ordinary file\. Save what it gives to a file"),
    ("device", lambda _: "/dev/null", FAILED, "/dev/null: is no ordinary file"),
    ("link to nothing", odd_file("link to nothing"), FAILED, "symbolic link to 'nowhere.csv', which leads nowhere"),
    ("links in a circle", odd_file("links in a circle"), FAILED, "is a symbolic link to 'u.csv', which leads nowhere"),
    ("folder with a link to nothing", odd_file("folder with a link to nothing"), FAILED,
     "gone.csv: is a symbolic link"),
    ("folder with a pipe", odd_file("folder with a pipe"), FAILED, r"pipe\.csv: is no ordinary file\. Move it away"),
    ("both formats", folder_of(a_csv=GOOD, b_parquet=pa.table({"a": [1]})), FAILED,
     "CSV and Parquet stand together: 1 CSV .* Name one kind"),
    ("no line end in 64 MiB", text(b"x" * ((64 << 20) + 1)), FAILED, "no line end in its first 64 MiB"),
    ("half a Parquet file", parquet(pa.table({"a": range(5000)}), 0.5), FAILED,
     r"cut off or was not written to its end \([\d,]+ bytes\)\. Copy or write it again"),
    ("types that do not join", folder_of(a_parquet=pa.table({"a": [1]}), b_parquet=pa.table({"a": [[1]]})), FAILED,
     "column 'a' is int64 in .* no type holds both. Read them apart"),
    ("a reserved name in Parquet", parquet(pa.table({"__row__": [1]})), FAILED, "a name that raypipe keeps for itself"),
    ("a name twice in Parquet", parquet(pa.table([[1], [2]], names=["a", "a"])), FAILED, "several columns named 'a'"),
    ("zero character in a field's name", parquet(pa.table({"s": [{"a\0b": 1}]})), FAILED,
     "column 's' has a field whose name holds a zero character"),
]  # fmt: skip

WRONG_SETTINGS: list[tuple[str, Make, dict[str, Any], int, str]] = [
    ("target", text(GOOD), {"target_column": "bb"}, USAGE, "target column: input has no column 'bb'. It has: a, b."),
    ("target in other case", text("REVENUE,b\n1,2\n"), {"target_column": "revenue"}, USAGE, "Did you mean 'REVENUE'"),
    ("target beside an odd name", text('"a\nb",c\n1,2\n'), {"target_column": "d"}, USAGE, r"It has: 'a\\nb', c\."),
    ("time column", text(GOOD), {"time_column": "A"}, USAGE, "time column: .*Did you mean 'a'"),
    ("encoding unknown", text(GOOD), {"read_options": {"encoding": "klingon"}}, USAGE, "'klingon' is no text encoding"),
    ("encoding wrong", text("ä,b\n1,2\n".encode("cp1252")), {"read_options": {"encoding": "utf-16"}}, FAILED,
     "is not written in 'utf-16'; it looks like 'cp1252'. Set encoding='cp1252'"),
    ("delimiter", text(GOOD), {"read_options": {"delimiter": ""}}, USAGE, "delimiter"),
    ("no column chosen", text(GOOD), {"read_options": {"columns": []}}, USAGE, "columns: names no column"),
    ("column chosen", text(GOOD), {"read_options": {"columns": ["q"]}}, USAGE, "no column 'q'. It has: a, b"),
    ("type unknown", text(GOOD), {"read_options": {"dtypes": {"a": "floot"}}}, USAGE, "wants type 'floot'; types are:"),
    ("skip all", text(GOOD), {"read_options": {"skip_rows": 99}}, FAILED, "blank lines behind the 99 lines to skip"),
    ("format", text(GOOD), {"data_format": "parquet"}, FAILED, "is not Parquet, though the format says so"),
    ("sample of none", text(GOOD), {"sample_size": 0}, USAGE, "sample_size: got 0"),
    ("impute a column that is not there", text(GOOD), {"processing": {"impute": {"c": "mean"}}}, USAGE,
     "processing.impute: input has no column 'c'"),
    ("impute the mean of text", text(GOOD), {"processing": {"impute": {"b": "mean"}}}, USAGE, "'b': wanted its mean"),
    ("impute how", text(GOOD), {"processing": {"impute": {"a": "foo"}}}, USAGE, "no strategy 'foo'; wanted one of"),
    ("schema: not YAML", text(GOOD), schema_file("a: ["), USAGE, r"s\.yaml: line 1, column 5: expected the node"),
    ("schema: empty", text(GOOD), schema_file(""), USAGE, "wanted the fields name and columns, got None"),
    ("schema: field", text(GOOD), schema_file("name: s\ncolumns:\n- {name: a, dytpe: int64}"), USAGE,
     "^(?!.*at least 1 item).*column 'a', field 'dytpe': there is no such field.*Did you mean 'dtype'"),
    ("schema: type", text(GOOD), schema_file("name: s\ncolumns:\n- {name: a, dtype: floot}"), USAGE,
     "^(?!.*at least 1 item).*unknown dtype 'floot'"),
    ("schema: pattern", text(GOOD), schema_file("name: s\ncolumns:\n- {name: b, regex_pattern: '('}"), USAGE,
     r"'\(' is no regular expression: unclosed group"),
    ("schema: bounds", text(GOOD), schema_file("name: s\ncolumns:\n- {name: a, min_value: 5, max_value: 1}"), USAGE,
     "min_value 5 is above max_value 1"),
    ("schema: twice", text(GOOD), schema_file("name: s\ncolumns:\n- {name: a}\n- {name: a}"), USAGE, "declared twice"),
    ("schema: key", text(GOOD), schema_file("name: s\ncolumns:\n- {name: a}\nprimary_key: [q]"), USAGE,
     "'q' is no column"),
    ("output is a file", text(GOOD), {"output_dir": "/dev/null"}, FAILED,
     "cannot write /dev/null/r: Not a directory. Choose another folder with --output"),
    ("output where none can be", text(GOOD), {"output_dir": "/proc/here"}, FAILED, "cannot write /proc/here/r: "),
    ("run id", text(GOOD), {"run_id": "../x"}, USAGE, "it takes a plain name"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "code", "match"), [case[1:] for case in NOT_A_SOURCE], ids=[c[0] for c in NOT_A_SOURCE]
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, make: Make, code: int, match: str) -> None:
    source = make(tmp_path)
    with pytest.raises(RaypipeError, match=match) as caught:
        run(source, tmp_path)
    assert exit_code(caught.value) == code
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("make", "settings", "code", "match"), [case[1:] for case in WRONG_SETTINGS], ids=[c[0] for c in WRONG_SETTINGS]
)
def test_a_wrong_setting_is_refused_in_one_line(
    tmp_path: Path, make: Make, settings: dict[str, Any], code: int, match: str
) -> None:
    settings = dict(settings)
    if "schema text" in settings:
        (tmp_path / "s.yaml").write_text(settings.pop("schema text"))
        settings["validation"] = {"schema_path": tmp_path / "s.yaml"}
    with pytest.raises(RaypipeError, match=match) as caught:
        run(make(tmp_path), tmp_path, **settings)
    assert exit_code(caught.value) == code
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob(".tmp-*"))


def number_lines(rows: int, misfits: int) -> list[str]:
    """Numbers, and words among them in the last lines only."""
    lines = [f"{row},{row / 2},w{row % 7}" for row in range(rows)]
    for place in range(misfits):
        lines[rows - 1 - 3 * place] = f"{rows - 1 - 3 * place},oops{place},w"
    return lines


ROWS_AT_FAULT: list[tuple[str, str, dict[str, Any], dict[int, str]]] = [
    ("ragged rows", "a,b,c\n1,2,3\n1,2\n\n1,2,3,4\n4,5,6\n", {},
     {3: "2 fields instead of 3", 5: "4 fields instead of 3"}),
    ("quote never closed", 'a,b\n1,x\n2,"y\n3,z\n4,w\n', {}, {3: "quote opened in line 3 .* is never closed"}),
    ("quote never closed at the end", 'a,b\n1,x\n2,"y', {}, {3: "is never closed"}),
    ("line of a summary at the end", "a,b,c\n1,2,3\n4,5,6\n7,8,9\n3 rows\n", {"read_options": {"footer_rows": 0}},
     {5: "1 field instead of 3"}),
    ("bytes of another encoding", "a,b\n1,x\n2,\udce4\n3,z\n" + "4,w\n" * 300, {"read_options": {"encoding": "utf-8"}},
     {3: "bytes that are not valid utf-8"}),
    ("a number too large for a float", "a,b\n" + "1.5,x\n" * 300 + "1e400,y\n", {},
     {302: "column 'a' wants float64, got '1e400'"}),
    ("a number with a zero character", "a,b\n" + "1,x\n" * 300 + "2\0,y\n", {}, {302: "column 'a' wants int64"}),
    ("words in the last block", "id,v,t\n" + "\n".join(number_lines(3000, 20)) + "\n", {"engine": {"block_mib": 0.01}},
     {3001 - 3 * place: f"column 'v' wants float64, got 'oops{place}'" for place in range(20)}),
    ("a type that the user gave", "a,b\n1,x\n2,y\n", {"read_options": {"dtypes": {"b": "int64"}}},
     {2: "column 'b' wants int64, got 'x'", 3: "column 'b' wants int64, got 'y'"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "settings", "faults"), [case[1:] for case in ROWS_AT_FAULT], ids=[c[0] for c in ROWS_AT_FAULT]
)
def test_rows_at_fault_are_in_quarantine_and_every_line_is_accounted_for(
    tmp_path: Path, content: str, settings: dict[str, Any], faults: dict[int, str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    results = run(path, tmp_path, **settings)
    lines = content.split("\n")
    assert results["rows"]["read"] == sum(bool(line) for line in lines[1:])
    aside = quarantined(tmp_path)
    assert aside["line"].to_list() == sorted(faults)
    for row in aside.to_dicts():
        assert re.search(faults[row["line"]], row["reason"])
        written = lines[row["line"] - 1].replace("\udce4", "\\xe4")
        raw = row["raw"] if row["column"] is None else ",".join(json.loads(row["raw"]).values())
        assert raw == written
        assert row["file"] == str(path)


KEPT: list[tuple[str, Make, dict[str, Any], tuple[int, int], str]] = [
    ("header only", text("a,b\n"), {"target_column": "a"}, (0, 2), ""),
    ("header without a line end", text("a,b"), {}, (0, 2), ""),
    ("one cell", text("a"), {}, (0, 1), ""),
    ("one row", text("a,b\n1,x\n"), {"target_column": "a"}, (1, 2), ""),
    ("one column", text("a\n1\n2\n\n3\n"), {}, (3, 1), ""),
    ("no header", text("1,x\n2,y\n"), {}, (2, 2), "the first row looks like data, so columns are numbered"),
    ("names twice, and none", text("a,a,,a_2\n1,2,3,4\n"), {}, (1, 4),
     "its name 'a' stands there twice; it is called 'a_3' here"),
    ("a reserved name", text("__row__,b\n1,2\n"), {}, (1, 2), "its name '__row__' is a reserved name"),
    ("zero character in a name", text(b"a\0b,c\n" + b"1,2\n" * 9), {"target_column": "a\u2400b"}, (9, 2),
     r"its name 'a\\x00b' holds a zero character; it is called 'a␀b' here"),
    ("zero character in a name of Parquet", parquet(pa.table([[1, 2], [3, 4]], names=["a\0b", "^a$"])), {}, (2, 2),
     "holds a zero character"),
    ("zero character in a cell", text(b"a,b\nx\0y,1\nz,2\n"), {}, (2, 2), ""),
    ("a name of 20 MB", text("x" * 20_000_000 + ",b\n1,2\n"), {}, (1, 2), "has 20,000,000 characters; it is called"),
    ("a line of 20 MB", text("a,b\n1," + "x" * 20_000_000 + "\n2,y\n"), {}, (2, 2), ""),
    ("a quote in the header", text('"a,b\n1,2\n3,4\n'), {}, (2, 2), "the header has a quote that is never closed"),
    ("header of another width", text("a,b,\n1,2\n3,4\n"), {"target_column": "b"}, (2, 2), ""),
    ("cp1252", text("ä,b\n1,2\n".encode("cp1252")), {"target_column": "ä"}, (1, 2), "read as cp1252, a guess"),
    ("UTF-16", text(GOOD.encode("utf-16")), {"target_column": "a"}, (3, 2), ""),
    ("UTF-16 without a mark", text(GOOD.encode("utf-16-be")), {"target_column": "a"}, (3, 2), ""),
    ("UTF-32", text(GOOD.encode("utf-32")), {"target_column": "a"}, (3, 2), ""),
    ("a zero is no UTF-16", text(b"\0n\nnan\n"), {}, (0, 1), "holds a zero character"),
    ("UTF-8 with a mark", text(b"\xef\xbb\xbf" + GOOD.encode()), {"target_column": "a"}, (3, 2), ""),
    ("CRLF", text(GOOD.replace("\n", "\r\n")), {"target_column": "b"}, (3, 2), ""),
    ("CR", text(GOOD.replace("\n", "\r")), {"target_column": "b"}, (3, 2), ""),
    ("numbers or not", text("a,b,c\n0x10,1_000,+5\n0x11,2_000,-5\n"), {"target_column": "c"}, (2, 3), ""),
    ("infinite", text("a,b\n1,inf\n2,-inf\n3,4\n"), {"target_column": "b"}, (3, 2), ""),
    ("ends of int64", text(f"a,b\n{2**63 - 1},1\n{-(2**63)},2\n0,3\n"), {"target_column": "a"}, (3, 2), ""),
    ("far-off times", text("t,v\n0001-01-01,1\n9999-12-31,2\n"), {"time_column": "t", "target_column": "v"},
     (2, 2), ""),
    ("one instant", text("t,v\n" + "2024-01-01 10:00:00,5\n2024-01-01 10:00:00,6\n" * 9),
     {"time_column": "t", "target_column": "v"}, (18, 2), ""),
    ("target yes or no", text("t,v\n" + "".join(f"{str(n % 3 == 0).lower()},{n}\n" for n in range(60))),
     {"target_column": "t"}, (60, 2), ""),
    ("target of 1,000 classes", text("t,v\n" + "".join(f"k{n % 1000},{n}\n" for n in range(2000))),
     {"target_column": "t"}, (2000, 2), ""),
    ("target always the same", text("t,v\n" + "".join(f"7,{n}\n" for n in range(30))), {"target_column": "t"},
     (30, 2), ""),
    ("target never known", text("t,v\n" + ",1\n,2\n" * 9), {"target_column": "t"}, (18, 2), ""),
    ("nothing known", text("a,b\n,\nNA,NULL\n"), {"target_column": "a", "time_column": "b"}, (0, 2), ""),
    ("target is the time", text("t,v\n2024-01-01,1\n2024-01-02,2\n"), {"target_column": "t", "time_column": "t"},
     (2, 2), ""),
    ("larger sample than table", text(GOOD), {"sample_size": 1000}, (3, 2), "sample of 3 of 3 rows"),
    ("a sample of one", text(GOOD), {"sample_size": 1}, (1, 2), "sample of 1 of 3 rows"),
    ("duplicates", text("a,b\n" + "1,x\n" * 500 + "2,y\n" * 499 + "3,z\n"),
     {"processing": {"drop_duplicates": True}, "engine": {"block_mib": 0.001}}, (3, 2), ""),
    ("files with other columns", folder_of(a_parquet=pa.table({"a": [1], "b": [2]}), b_parquet=pa.table({"a": [1.5]})),
     {"target_column": "a"}, (2, 2), "column 'b' is not in every file; it is null where it is missing"),
    ("name of a file like a pattern", text(GOOD, "a[1]*.csv"), {}, (3, 2), ""),
]  # fmt: skip


@pytest.mark.parametrize(("make", "settings", "shape", "note"), [case[1:] for case in KEPT], ids=[c[0] for c in KEPT])
def test_odd_tables_are_read_and_what_was_changed_is_said(
    tmp_path: Path, make: Make, settings: dict[str, Any], shape: tuple[int, int], note: str
) -> None:
    results = run(make(tmp_path), tmp_path, **settings)
    assert results["data_shape"] == shape
    assert results["rows"]["quarantined"] == 0
    assert not [warning for warning in results["warnings"] if "not available" in warning]
    notes = summary(tmp_path)["reading"]["notes"]
    assert not note or any(re.search(note, one) for one in notes)


def test_a_column_that_turns_to_text_above_the_bound_is_promoted_with_its_reason(tmp_path: Path) -> None:
    lines = number_lines(3000, 60)
    path = text("id,v,t\n" + "\n".join(lines) + "\n")(tmp_path)
    results = run(path, tmp_path, engine={"block_mib": 0.01})
    assert results["rows"] == {"read": 3000, "kept": 3000, "quarantined": 0, "dropped": {}}
    promotion = summary(tmp_path)["reading"]["promotions"][0]
    assert (promotion["column"], promotion["from_type"], promotion["to_type"]) == ("v", "float64", "text")
    assert "60 of 3000 values are no float64, more than the 1.00% that may go to quarantine" in promotion["reason"]
    assert results["processed_data"].to_polars()["v"].to_list() == [line.split(",")[1] for line in lines]


@pytest.mark.parametrize("widening", ["0017", "2.5", str(2**70)])
def test_a_value_that_only_a_wider_type_holds_is_never_changed(tmp_path: Path, widening: str) -> None:
    lines = [str(row) for row in range(200_000)]
    lines[150_000] = widening  # neither in the head nor in the middle nor in the tail that types are found from
    path = text("a\n" + "\n".join(lines) + "\n")(tmp_path)
    results = run(path, tmp_path, engine={"block_mib": 0.2})
    assert results["rows"]["kept"] == 200_000
    column = results["processed_data"].to_polars()["a"]
    assert column[150_000] == (2.5 if widening == "2.5" else widening)
    assert column.dtype == (pl.Float64 if widening == "2.5" else pl.String)


@pytest.mark.parametrize("names", [("^a$", "a", "*"), ("*", "^b.*$", "b")])
def test_names_that_are_patterns_bring_their_own_column(tmp_path: Path, names: tuple[str, ...]) -> None:
    table = pa.table([[1, 2], [3, 4], [5, 6]], names=list(names))
    source = parquet(table)(tmp_path)
    for chosen in (names, names[:1], names[1::-1]):
        rows = DataReader(source, options=ReadOptions(columns=chosen)).read().to_pydict()
        assert rows == {name: table[name].to_pylist() for name in chosen}


HOSTILE = (
    "__row__", "__priority__", "^a$", "a", "*", "x" * 1000, "שלום עולם", "😀", "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>", "line\nbreak", 'say "hi"', "{0}", "%s", "a:b", "[red]", "\x1b[31m", "c\0d", "",
)  # fmt: skip


def test_hostile_names_and_cells_go_all_the_way_to_the_page(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [[str(rng.randint(0, 9)) for _ in HOSTILE] for _ in range(60)]
    for place, cell in enumerate(HOSTILE):
        rows[place][-2] = cell or "empty"
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HOSTILE, *rows])
    results = run(path, tmp_path, target_column="^a$", generate_dashboard=True)
    assert results["data_shape"] == (60, len(HOSTILE))
    assert results["warnings"] == ()
    names = results["processed_data"].schema.names
    assert names[:3] == ["column_1", "__priority__", "^a$"]
    assert names[-2:] == ["c\u2400d", f"column_{len(HOSTILE)}"]
    page = (tmp_path / "output/r/dashboard.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    read = results["processed_data"].to_polars()
    assert read["^a$"].cast(pl.String).to_list() == [row[2] for row in rows]


@pytest.mark.slow
def test_a_table_of_5000_columns_is_profiled(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(5000)]
    path = text("\n".join(",".join(line) for line in (names, *(["1"] * 5000, ["2"] * 5000))) + "\n")(tmp_path)
    checked = check_source(PipelineConfig(data_source=path, validate_data=False))
    assert len(checked.profile.columns) == 5000
    assert checked.profile.column("c4999").number.mean == 1.5  # type: ignore[union-attr]


def test_a_time_column_of_words_is_told_and_one_of_written_dates_is_used(tmp_path: Path) -> None:
    words = run(text(times("d"))(tmp_path), tmp_path, time_column="d", target_column="v")
    assert words["analysis_results"]["timeline"] is None
    assert any("time column 'd'" in warning for warning in words["warnings"])
    other = tmp_path / "other"
    other.mkdir()
    written = "d,v\n" + "".join(f"{row % 28 + 1:02d}.{row % 12 + 1:02d}.2024,{row}\n" for row in range(300))
    dates = run(text(written)(other), other, time_column="d", target_column="v")
    assert dates["warnings"] == ()
    assert dates["analysis_results"]["timeline"].first.startswith("2024-01-01")


def test_mixed_ways_of_writing_dates_stay_text_and_the_reason_is_given(tmp_path: Path) -> None:
    content = "d,v\n" + "".join(f"2024-01-{n:02d},{n}\n{n:02d}/02/2024,{n}\n" for n in range(10, 29))
    results = run(text(content)(tmp_path), tmp_path)
    assert results["processed_data"].to_polars()["d"].dtype == pl.String
    assert any(
        "dates in more than one format, so it stays text" in note for note in summary(tmp_path)["reading"]["notes"]
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("what", ["removed", "grown", "cut"])
def test_a_file_that_changes_after_the_plan_ends_the_run(tmp_path: Path, kind: str, what: str) -> None:
    table = pa.table({"a": range(5000)})
    source = parquet(table)(tmp_path) if kind == "parquet" else text("a\n" + "1\n" * 5000)(tmp_path)
    path = Path(source)
    config = PipelineConfig(data_source=source, output_dir=tmp_path / "output", run_id="r", generate_dashboard=False)
    pipeline = AnalyticsPipeline(config)
    raw = path.read_bytes()

    def meddle(data: dict[str, Any]) -> None:
        if data["progress"]["current_stage"] == "data_loading" and path.exists():
            path.unlink() if what == "removed" else path.write_bytes(raw + b"1\n" if what == "grown" else raw[:100])

    pipeline.add_progress_callback(meddle)
    match = "is no longer there; it was when the run began" if what == "removed" else "changed while it was being read"
    with pytest.raises(ReadError, match=f"{path.name}: {match}"):
        pipeline.execute()
    assert not list(tmp_path.rglob(".tmp-*"))
    assert summary(tmp_path)["execution_status"] == "failed"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of so many KiB; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def mount(kib: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount command here")
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    try:
        yield mount
    finally:
        for one in mounted:
            subprocess.run(["umount", "--lazy", str(one)], check=True)


@pytest.mark.parametrize("kib", [4, 8, 16, 256])
def test_a_full_disk_ends_the_run_in_words_and_leaves_nothing_half_written(
    tmp_path: Path, small_disk: Callable[[int], Path], kib: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(kib)
    lines = [f"{row},{rng.random()},{'word' if row % 200 == 0 else row}" for row in range(30_000)]
    path = text("a,b,c\n" + "\n".join(lines) + "\n")(tmp_path)
    disk = small_disk(kib)
    with pytest.raises(
        OutputError, match=r"cannot write .*: the disk is full \([\d,]+ bytes free.*Free some space, or"
    ) as e:
        run(path, tmp_path, output_dir=disk, save_intermediate=True)
    assert exit_code(e.value) == FAILED
    assert not list(tmp_path.rglob(".tmp-*"))
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_quarantine_file_that_has_no_room_leaves_nothing(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    path = text("a,b\n" + "1,2\n" * 5000 + "".join(f"{row}{row}\n" for row in range(4000)))(tmp_path)
    disk = small_disk(16)
    with pytest.raises(OutputError, match="the disk is full"):
        check_source(PipelineConfig(data_source=path), quarantine=disk / "aside.parquet")
    assert list(disk.iterdir()) == []
    with pytest.raises(OutputError, match=r"it is a folder\. Name a file in it"):
        check_source(PipelineConfig(data_source=path), quarantine=disk)
