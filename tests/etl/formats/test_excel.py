"""Workbooks as other tools write them: sheets, headers, dates, errors, merged cells, and sheets read piece by piece."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe import DataReader
from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.etl.formats.excel_cells import BOOLEAN, DATE, ERROR, NUMBER, TEXT, numbers
from raypipe.etl.formats.excel_file import look_at_sheet, read_grid
from raypipe.etl.formats.excel_rows import loaded_reader
from raypipe.etl.formats.excel_scan import raw_cells, raw_texts
from raypipe.etl.formats.excel_strings import decoded, shared_texts
from raypipe.etl.formats.excel_xml import Grammar, _classed, _exact, cells_of

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is absent: pip install -e '.[dev]'")
xlsxwriter = pytest.importorskip("xlsxwriter", reason="xlsxwriter is absent: pip install 'raypipe[excel]'")
calamine = pytest.importorskip("python_calamine", reason="calamine is absent: pip install 'raypipe[excel]'")

Rows = Sequence[Sequence[Any]]


def book(path: Path, *sheets: tuple[str, Rows], change: Callable[[Any], None] | None = None) -> Path:
    """A workbook by openpyxl."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets:
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    if change is not None:
        change(made)
    made.save(path)
    return path


def read(path: Path, **options: Any) -> Any:
    return DataReader(path, options=ReadOptions(**options)).read_all(max_bad_share=0.5)


def test_values_keep_their_types(tmp_path: Path) -> None:
    rows = [
        ["n", "x", "code", "day", "at", "ok", "note"],
        [1, 0.1, "007", date(2024, 2, 29), datetime(2024, 2, 29, 12, 30, 15), True, "ä <&> _x000A_"],
        [2.0, 1e300, "010", date(1899, 12, 31) + timedelta(days=62), datetime(1999, 12, 31, 23, 59, 59), False, None],
        [-(2**52), 123456789.125, "1", date(9999, 12, 31), datetime(2000, 1, 1), None, "  x"],
    ]
    table = read(book(tmp_path / "a.xlsx", ("S", rows))).table
    assert [str(kind) for kind in table.schema.types] == [
        "int64", "double", "large_string", "date32[day]", "timestamp[us]", "bool", "large_string",
    ]  # fmt: skip
    assert table.to_pylist()[0] == dict(zip(rows[0], [*rows[1][:6], "ä <&> \n"], strict=True))
    assert table["n"].to_pylist() == [1, 2, -(2**52)]
    assert table["x"].to_pylist() == [0.1, 1e300, 123456789.125]
    assert table["day"].to_pylist() == [date(2024, 2, 29), date(1900, 3, 3), date(9999, 12, 31)]
    assert table["at"].to_pylist()[1] == datetime(1999, 12, 31, 23, 59, 59)


def test_times_of_day_and_durations_have_types_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    made = xlsxwriter.Workbook(str(path))
    sheet = made.add_worksheet()
    clock, hours = made.add_format({"num_format": "hh:mm:ss"}), made.add_format({"num_format": "[h]:mm:ss"})
    sheet.write_row(0, 0, ["at", "took"])
    for row, (at, took) in enumerate([(0.5, 1.5), (0.25 + 1.5 / 86400, 0.0), (0.999988, 100 + 1 / 86400)], 1):
        sheet.write_number(row, 0, at, clock)
        sheet.write_number(row, 1, took, hours)
    made.close()
    table = read(path).table
    assert table["at"].to_pylist() == [time(12), time(6, 0, 1, 500_000), time(23, 59, 58, 963_000)]
    assert table["took"].to_pylist() == [timedelta(hours=36), timedelta(0), timedelta(days=100, seconds=1)]


@pytest.mark.parametrize("system", [1900, 1904])
def test_both_date_systems_give_the_same_dates(tmp_path: Path, system: int) -> None:
    path = tmp_path / f"{system}.xlsx"
    made = xlsxwriter.Workbook(str(path), {"date_1904": system == 1904})
    sheet = made.add_worksheet()
    sheet.write_row(0, 0, ["day"])
    days = [date(1904, 1, 2), date(1970, 1, 1), date(2024, 2, 29)]
    for row, day in enumerate(days, 1):
        sheet.write_datetime(row, 0, datetime.combine(day, time()), made.add_format({"num_format": "dd/mm/yy"}))
    made.close()
    assert read(path).table["day"].to_pylist() == days


def test_a_day_that_never_was_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "leap.xlsx"
    made = xlsxwriter.Workbook(str(path))
    sheet, day = made.add_worksheet(), made.add_format({"num_format": "yyyy-mm-dd"})
    sheet.write_row(0, 0, ["day"])
    for row, serial in enumerate([59, 60, 61, *range(45322, 45331)], 1):
        sheet.write_number(row, 0, serial, day)
    made.close()
    result = read(path)
    assert result.table["day"].to_pylist()[:3] == [date(1900, 2, 28), date(1900, 3, 1), date(2024, 1, 31)]
    assert result.aside["reason"].to_pylist() == ["column 'day' wants date, got '1900-02-29'"]


def test_the_first_visible_sheet_with_data_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    def hide(made: Any) -> None:
        made["Secret"].sheet_state = "hidden"

    path = book(
        tmp_path / "s.xlsx", ("Secret", [["a"], [1]]), ("Empty", []), ("Q1", [["b"], [2]]), ("Q2", [["c"], [3]]),
        change=hide,
    )  # fmt: skip
    result = read(path)
    assert result.table.column_names == ["b"]
    assert "sheet 'Q1' is read, the first with data" in result.source.notes[0]
    assert "'Secret', 'Empty', 'Q2'" in result.source.notes[0]
    assert read(path, sheet="Q2").table.column_names == ["c"]
    assert read(path, sheet=4).table.column_names == ["c"]
    assert "sheet 'Secret' is hidden" in read(path, sheet="Secret").source.notes[0]
    with pytest.raises(ConfigError, match="no sheet 'q 2'. It has: 'Secret', 'Empty', 'Q1', 'Q2'. Did you mean 'Q2'"):
        read(path, sheet="q 2")
    with pytest.raises(ConfigError, match="has 4 sheets, counted from 1, got 5"):
        read(path, sheet=5)
    with pytest.raises(ReadError, match="sheet 'Empty' holds no cell with a value"):
        read(path, sheet="Empty")


HEADERS: list[tuple[str, Rows, dict[str, Any], list[str], int]] = [
    ("plain", [["a", "b"], [1, 2], [3, 4]], {}, ["a", "b"], 2),
    ("title above", [["Report"], [], ["a", "b", "c"], [1, 2, 3], [3, 4, 5]], {}, ["a", "b", "c"], 2),
    ("label and value above", [["By", "Ann"], [], ["a", "b"], [1, 2], [3, 4], [5, 6]], {}, ["a", "b"], 3),
    ("blank column before", [[None, "a", "b"], [None, 1, 2]], {}, ["a", "b"], 1),
    ("no header", [[1, "x"], [2, "y"]], {}, ["column_1", "column_2"], 2),
    ("said: no header", [["a", "b"], [1, 2]], {"header": False}, ["column_1", "column_2"], 2),
    ("said: two rows", [["2024", None], ["q1", "q2"], [1, 2]], {"header_rows": 2}, ["2024_q1", "2024_q2"], 1),
    ("said: skip", [["x", "y"], ["a", "b"], [1, 2]], {"skip_rows": 1}, ["a", "b"], 1),
    ("years", [["city", 2023, 2024], ["Ulm", 5, 6], ["Bonn", 7, 8]], {}, ["city", "2023", "2024"], 2),
    ("texts only", [["name", "city"], ["Ann", "Ulm"], ["Bob", "Bonn"]], {}, ["name", "city"], 2),
    ("repeated and absent names", [["a", "a", None], [1, 2, 3]], {}, ["a", "a_2", "column_3"], 1),
    ("line break in a name", [["unit\nprice", "n"], [1, 2]], {}, ["unit price", "n"], 1),
]


@pytest.mark.parametrize(
    ("rows", "options", "names", "count"), [case[1:] for case in HEADERS], ids=[c[0] for c in HEADERS]
)
def test_the_header_is_found(tmp_path: Path, rows: Rows, options: dict[str, Any], names: list[str], count: int) -> None:
    table = read(book(tmp_path / "h.xlsx", ("S", rows)), **options).table
    assert table.column_names == names
    assert table.num_rows == count


def test_merged_cells_name_all_their_columns_and_fill_all_their_rows(tmp_path: Path) -> None:
    def merge(made: Any) -> None:
        for cells in ("A1:A2", "B1:C1", "A3:A4", "B6:C6"):
            made["S"].merge_cells(cells)

    rows = [["city", "sales", None], [None, "q1", "q2"], ["Ulm", 1, 2], [None, 3, 4], ["Bonn", 5, 6], ["Köln", 7, None]]
    result = read(book(tmp_path / "m.xlsx", ("S", rows), change=merge))
    assert result.table.to_pylist() == [
        {"city": "Ulm", "sales_q1": 1, "sales_q2": 2}, {"city": "Ulm", "sales_q1": 3, "sales_q2": 4},
        {"city": "Bonn", "sales_q1": 5, "sales_q2": 6}, {"city": "Köln", "sales_q1": 7, "sales_q2": None},
    ]  # fmt: skip
    assert any("its header has 2 rows" in note for note in result.source.notes)
    assert sum(part.notes.get("filled_from_merged_cells", 0) for part in result.parts) == 1


def test_errors_in_cells_set_their_rows_aside_with_the_row_on_the_sheet(tmp_path: Path) -> None:
    rows = [["a", "b"], [1, 2], ["#DIV/0!", 3], [5, "#N/A"], [6, "#REF!"], [7, 8]]
    path = book(tmp_path / "e.xlsx", ("S", rows))
    result = read(path)
    assert result.table.to_pylist() == [{"a": 1, "b": 2}, {"a": 5, "b": None}, {"a": 7, "b": 8}]
    assert result.aside["reason"].to_pylist() == ["cell A3 holds the error #DIV/0!", "cell B5 holds the error #REF!"]
    assert result.aside["line"].to_pylist() == [2, 4]  # within the part, which begins with the header
    assert result.aside["raw"].to_pylist()[0] == '{"a":null,"b":"3"}'
    table = read(path, cell_errors="null").table
    assert table["a"].to_pylist() == [1, None, 5, 6, 7]


def test_cells_that_do_not_fit_go_aside_or_change_the_type(tmp_path: Path) -> None:
    rows = [["n"], *[[n] for n in range(98)], ["twelve"], ["99"]]
    path = book(tmp_path / "x.xlsx", ("S", rows))
    result = DataReader(path).read_all(max_bad_share=0.02)
    assert result.table["n"].to_pylist() == [*range(98), 99]  # a number that is kept as text is a number
    assert result.aside.select(["line", "column", "value"]).to_pylist() == [
        {"line": 99, "column": "n", "value": "twelve"}
    ]
    text = DataReader(path).read_all().table["n"]
    assert text.type == pa.large_string()
    assert text.to_pylist()[-3:] == ["97", "twelve", "99"]


def test_a_cell_outside_of_the_table_is_not_lost(tmp_path: Path) -> None:
    rows = [["a", "b"], *[[n, n] for n in range(9_000)]]

    def note(made: Any) -> None:
        made["S"]["F301"] = "a note"

    result = read(book(tmp_path / "o.xlsx", ("S", rows), change=note))
    assert result.table.num_rows == 8_999
    assert result.aside["reason"].to_pylist() == ["cell F301 stands outside of the table: a note"]


def test_formulas_give_the_value_that_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "f.xlsx"
    made = xlsxwriter.Workbook(str(path))
    sheet = made.add_worksheet()
    sheet.write_row(0, 0, ["a", "b", "c"])
    sheet.write_formula(1, 0, "=1+1", None, 2)
    sheet.write_formula(1, 1, '="x<"&"y"', None, "x<y")
    sheet.write_formula(1, 2, "=1<2", None, True)
    made.close()
    assert read(path).table.to_pylist() == [{"a": 2, "b": "x<y", "c": True}]


# ---- piece by piece --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30,000 rows in several megabytes of XML, with gaps, merged cells, an error and a word among numbers."""
    path = tmp_path_factory.mktemp("excel") / "large.xlsx"
    made = xlsxwriter.Workbook(str(path))
    sheet, day = made.add_worksheet("Data"), made.add_format({"num_format": "yyyy-mm-dd"})
    sheet.write_row(0, 0, ["id", "city", "price", "day"])
    for row in range(1, 30_001):
        if row % 1_000 == 0:
            continue
        sheet.write_number(row, 0, row)
        sheet.write_string(row, 1, f"city {row % 97}")
        sheet.write_number(row, 2, row / 7)
        sheet.write_number(row, 3, 40_000 + row % 365, day)
    sheet.write_string(20_001, 2, "none")
    sheet.write_formula(25_001, 2, "=1/0", None, "#DIV/0!")
    sheet.merge_range(10_001, 1, 10_400, 1, "merged")
    made.close()
    return path


def test_where_a_sheet_is_cut_changes_nothing(large: Path) -> None:
    whole = DataReader(large).source(target_part_bytes=1 << 30)
    assert len(whole.parts()) == 1
    first = whole.open()(whole.parts()[0])
    assert first.block.num_rows + first.aside.num_rows == 30_000 - 30
    for target in (1 << 17, 1 << 19, 1 << 20):
        source = DataReader(large).source(target_part_bytes=target)
        open_once = source.open()
        parts = [open_once(part) for part in reversed(source.parts())][::-1]  # the reader has to go back each time
        assert len(parts) > 2
        assert pa.concat_tables([part.block for part in parts]).combine_chunks().equals(first.block.combine_chunks())
        lines = np.cumsum([0, *[part.lines for part in parts]])
        found = [
            (int(start) + row["line"] + 1, row["reason"])
            for start, part in zip(lines, parts, strict=False)
            for row in part.aside.to_pylist()
        ]
        assert found == [
            (20_002, "column 'price' wants float64, got 'none'"), (25_002, "cell C25002 holds the error #DIV/0!"),
        ]  # fmt: skip
        assert sum(part.notes.get("filled_from_merged_cells", 0) for part in parts) == 0  # the cells below hold values


def test_samples_are_exact_and_the_same_for_any_cut(large: Path) -> None:
    source = DataReader(large).source(sample_size=500, target_part_bytes=1 << 19)
    read_one = source.open()
    parts = [read_one(part) for part in source.parts()]
    ids = [id for part in parts for id in part.block["id"].to_pylist()]
    assert len(ids) + sum(part.aside.num_rows for part in parts) == 500
    assert len(set(ids)) == len(ids)
    again = DataReader(large).source(sample_size=500, target_part_bytes=1 << 19)
    assert [id for part in again.parts() for id in again.open()(part).block["id"].to_pylist()] == ids
    first = DataReader(large, options=ReadOptions(max_rows=1_234, columns=("price", "id"))).read()
    assert first.column_names == ["price", "id"]
    assert first["id"].to_pylist() == [n for n in range(1, 1_236) if n % 1_000]


def test_our_reader_agrees_with_calamine_and_openpyxl(large: Path) -> None:
    look = look_at_sheet(large, ReadOptions())
    grid = read_grid(look.file, 0, look.file.end_row, "null")
    sheet = calamine.CalamineWorkbook.from_path(str(large)).get_sheet_by_index(0)
    theirs = pl.concat(list(loaded_reader(sheet)(1, 30_001)))
    ours = pl.concat(
        [grid.texts[name].to_frame("text").with_columns(pl.Series("row", grid.rows), pl.lit(at).alias("col"))
         for at, name in enumerate(grid.texts.columns)]
    ).drop_nulls()  # fmt: skip
    both = theirs.join(ours, on=["row", "col"], how="full", suffix="_ours")
    assert both.filter(pl.col("text").ne_missing(pl.col("text_ours"))).height == 0
    seen = openpyxl.load_workbook(large, read_only=True)["Data"].iter_rows(min_row=2, max_row=50, values_only=True)
    assert [row[0] for row in seen] == [int(text) for text in grid.texts["c0"][:49]]


GRAMMAR = Grammar("", np.array([NUMBER, DATE], np.int8), pl.Series(["zero", "one & two", "dréi"]))
CELLS = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda n: f"<v>{n}</v>"),
    st.just("<f>1+1</f><v>2</v>"), st.just('<f t="shared" si="0"/><v>2.5</v>'), st.just("<v/>"), st.just(""),
)  # fmt: skip
TYPED = st.one_of(
    CELLS.map(lambda body: ("", body)), CELLS.map(lambda body: (' s="1"', body)),
    st.integers(0, 3).map(lambda n: (' t="s"', f"<v>{n}</v>")), st.just((' t="b"', "<v>1</v>")),
    st.just((' t="e"', "<v>#N/A</v>")), st.just((' t="inlineStr"', "<is><t>a &lt; b</t></is>")),
    st.just((' t="str"', "<v>x_x0041_</v>")), st.just((' t="inlineStr"', "<is><r><t>a</t></r><r><t>b</t></r></is>")),
    st.just((' t="d"', "<v>2024-01-31T12:00:00Z</v>")), st.just((" s='0'", "<v>7</v>")),
)  # fmt: skip


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(TYPED, max_size=4), max_size=4))
def test_the_quick_way_through_the_xml_equals_the_parser(rows: list[list[tuple[str, str]]]) -> None:
    xml = "".join(
        f'<row r="{row}">'
        + "".join(f'<c r="{chr(65 + at)}{row}"{more}>{body}</c>' if body else f'<c r="{chr(65 + at)}{row}"{more}/>'
                  for at, (more, body) in enumerate(cells))
        + "</row>"
        for row, cells in enumerate(rows, 1)
    )  # fmt: skip
    quick, exact = raw_cells(xml.encode()), _classed(_exact(xml.encode(), 0), GRAMMAR)
    if quick is not None:
        assert _classed(quick, GRAMMAR).equals(exact)
    assert cells_of(xml.encode(), 0, GRAMMAR).equals(exact)


TEXTS = st.lists(st.sampled_from(["a", "ä", " ", "<", "&", "_x0041_", "\n", "]", ">"]), max_size=5).map("".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.booleans(), st.sampled_from(["", ' xml:space="preserve"'])), max_size=6))
def test_the_quick_way_through_the_texts_equals_the_parser(texts: list[tuple[str, bool, str]]) -> None:
    items = [
        f"<si><t{space}>{escape(text)}</t></si>" if plain
        else f"<si><r><rPr><b/></rPr><t>{escape(text)}</t></r><r><t>!</t></r><rPh><t>read so</t></rPh></si>"
        for text, plain, space in texts
    ]  # fmt: skip
    wanted = [decoded(text if plain else text + "!") for text, plain, _ in texts]
    for head in ("", '<?xml version="1.0" encoding="UTF-8"?>\n', '<?xml version="1.0"?><!-- read by the parser -->'):
        xml = f'{head}<sst xmlns="x" count="1">{"".join(items)}</sst>'.encode()
        assert shared_texts(lambda xml=xml: io.BytesIO(xml)).to_list() == wanted
    quick = raw_texts("".join(items).encode())
    assert quick is None or quick.len() == len(texts)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ('<c r="A2"><v>1</v></c>', "a cell of row 1 says that it is 'A2'"),
        ('<c r="a1"><v>1</v></c>', "a cell of row 1 says that it is 'a1'"),
        ('<c r="B1"><v>1</v></c><c r="A1"/><c r="B1"><v>2</v></c>', "cell B1 stands there twice"),
    ],
)
def test_a_cell_that_would_be_lost_is_an_error(cells: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        cells_of(f'<row r="1">{cells}</row>'.encode(), 0, GRAMMAR)


def test_rows_and_cells_without_numbers_and_with_prefixes_are_counted() -> None:
    first = b'<x:row><x:c><x:v>1</x:v></x:c><x:c t="b"><x:v>0</x:v></x:c></x:row>'
    xml = first + b'<x:row/><x:row><x:c r="C9"><x:v>2</x:v></x:c></x:row>'
    cells = cells_of(xml, 5, Grammar("x:", GRAMMAR.styles, GRAMMAR.shared))
    assert cells.rows() == [(5, 0, NUMBER, "1"), (5, 1, BOOLEAN, "FALSE"), (7, 2, NUMBER, "2")]
    text = b'<row r="1"><c r="A1" t="s"><v>1</v></c><c r="B1" t="e"><v>#REF!</v></c></row>'
    assert cells_of(text, 0, GRAMMAR).rows() == [(0, 0, TEXT, "one & two"), (0, 1, ERROR, "#REF!")]


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value(value: float) -> None:
    for written in (repr(value), f"{value:.17G}"):
        text = numbers(pl.Series([written], dtype=pl.String))[0]
        assert float(text) == value
        assert ("." not in text and "e" not in text) == (value.is_integer() and abs(value) < 2**53)


# ---- other kinds, and what is wrong with them ------------------------------------------------------------------------

FIXTURES = Path(__file__).parents[2] / "fixtures" / "excel"


@pytest.mark.parametrize("name", ["orders.ods", "orders.xls", "orders.xlsb"])
def test_other_kinds_of_workbooks_give_the_same_rows(name: str, tmp_path: Path) -> None:
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"{name} is not there: tests/fixtures/excel/make.py says how it is made")
    table = read(path).table
    assert table.to_pylist() == [
        {"id": 1, "city": "Ulm", "price": 1.5, "day": date(2024, 2, 29), "ok": True, "code": "007"},
        {"id": 2, "city": "Köln", "price": -0.25, "day": date(1999, 12, 31), "ok": False, "code": "010"},
        {"id": 3, "city": None, "price": None, "day": None, "ok": None, "code": "x"},
    ]


def test_what_is_no_workbook_is_refused_with_a_reason(tmp_path: Path) -> None:
    whole = book(tmp_path / "ok.xlsx", ("S", [["a"], [1]])).read_bytes()
    cut = tmp_path / "cut.xlsx"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match="cut.xlsx: is a damaged zip file, or was cut off"):
        read(cut)
    locked = tmp_path / "locked.xlsx"
    locked.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"))
    with pytest.raises(ReadError, match="is encrypted. Open it in Excel or LibreOffice, save it without a password"):
        read(locked)
    empty = book(tmp_path / "empty.xlsx", ("A", []), ("B", []))
    with pytest.raises(ReadError, match="no sheet holds a cell with a value. It has: 'A', 'B'"):
        read(empty)
    broken = tmp_path / "broken.xlsx"
    with zipfile.ZipFile(tmp_path / "ok.xlsx") as good, zipfile.ZipFile(broken, "w") as bad:
        for item in good.namelist():
            content = good.read(item)
            bad.writestr(item, content.replace(b"</c>", b"</d>") if "sheet1" in item else content)
    with pytest.raises(ReadError, match="broken.xlsx: cannot be read as a workbook"):
        read(broken)
    with pytest.raises(ConfigError, match="delimiter has no meaning for Excel"):
        read(tmp_path / "ok.xlsx", delimiter=";")
    with pytest.raises(MissingColumnsError, match="no column 'b'"):
        read(tmp_path / "ok.xlsx", columns=("b",))


def test_a_workbook_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = book(tmp_path / "c.xlsx", ("S", [["a"], [1]]))
    source = DataReader(path).source()
    book(path, ("S", [["a"], [1], [2], [3]]))
    with pytest.raises(ReadError, match="changed while it was being read"):
        source.open()(source.parts()[0])


def test_several_workbooks_are_one_table(tmp_path: Path) -> None:
    book(tmp_path / "a.xlsx", ("S", [["id", "x"], [1, 1]]))
    book(tmp_path / "b.xlsx", ("S", [["id", "y"], [2, "z"]]))
    assert read(tmp_path).table.to_pylist() == [{"id": 1, "x": 1, "y": None}, {"id": 2, "x": None, "y": "z"}]
