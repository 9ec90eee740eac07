"""Text files as they come: exports with titles and totals, other countries' numbers and dates, damaged files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import CellFormat, ReadOptions
from raypipe.errors import ConfigError, RaypipeError, ReadError
from raypipe.etl.pins import pinned_options, reading_facts
from raypipe.etl.reader import DataReader, ReadResult
from tests.laws import examples

BANK = """\
Kontoauszug;DE02 1203 0000 0000 2020 51
Zeitraum;01.01.2025 - 31.01.2025

Buchungstag;Valuta;Verwendungszweck;Betrag (EUR);Saldo
02.01.2025;02.01.2025;"Miete; Januar";-1.250,00;8.750,00
15.01.2025;16.01.2025;Gehalt;4.321,09;13.071,09
31.01.2025;31.01.2025;Zinsen ""Q4"";0,05;13.071,14

Alle Angaben ohne Gewähr
"""
ERP = """\
Sales report 2024;;;;
;;;;
Material;Plant;Qty;Value;Share
000000000012345678;0010;1.000;12.345,67 EUR;12,5 %
000000000012345679;0020;250;(99,00 EUR);7,5 %
000000000012345680;0010;1.234.567;0,10 EUR;80 %
Total;;1.235.817;12.246,77 EUR;
"""
EXCEL = "\ufeffsep=;\r\nName;Betrag\r\nÅsa;1 234,50\r\nJosé;-7,5\r\n"
FRENCH = "date;montant\n1er janvier 2024;1\u202f234,56 €\n2 août 2024;7,00 €\n15 décembre 2024;-12,30 €\n"
AMERICAN = 'when,amount,paid\n12/31/2024 6:05 PM,"$1,234.50",Yes\n1/2/2025 9:00 AM,($7.00),No\n'
PSQL = " id | name \n----+------\n  1 | a\n  2 | b\n(2 rows)\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "x.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, content: str | bytes, **options: Any) -> ReadResult:
    return DataReader(write(folder, content), options=ReadOptions(**options)).read_all()


def columns(result: ReadResult) -> dict[str, list[Any]]:
    return dict(result.table.to_pydict())


def notes(result: ReadResult) -> str:
    return "\n".join(result.source.notes)


# Exports of real life


def test_a_bank_statement(tmp_path: Path) -> None:
    result = read(tmp_path, BANK)

    got = columns(result)
    assert list(got) == ["Buchungstag", "Valuta", "Verwendungszweck", "Betrag (EUR)", "Saldo"]
    assert got["Valuta"] == [dt.date(2025, 1, 2), dt.date(2025, 1, 16), dt.date(2025, 1, 31)]
    assert got["Betrag (EUR)"] == [-1250.0, 4321.09, 0.05]
    assert got["Verwendungszweck"][0] == "Miete; Januar"
    assert result.aside.num_rows == 0
    assert "2 lines before the table skipped ('Kontoauszug;DE02 1203 0000 0000 2020 51'" in notes(result)
    assert "1 row at the end is no data and left out (line 9: 'Alle Angaben ohne Gewähr')" in notes(result)
    assert "'-1.250,00' as -1250.00" in notes(result)
    assert "dates written day first, e.g. '02.01.2025' for 2025-01-02" in notes(result)


def test_an_export_with_a_title_totals_codes_and_units(tmp_path: Path) -> None:
    result = read(tmp_path, ERP)

    assert columns(result) == {
        "Material": ["000000000012345678", "000000000012345679", "000000000012345680"],
        "Plant": ["0010", "0020", "0010"],
        "Qty": [1000, 250, 1234567],
        "Value": [12345.67, -99.0, 0.1],
        "Share": [12.5, 7.5, 80.0],
    }
    assert "(line 7: 'Total;;1.235.817;12.246,77 EUR;')" in notes(result)
    assert "without its sign 'EUR', with (5) and 5- as negative" in notes(result)


def test_a_file_that_a_spreadsheet_saved(tmp_path: Path) -> None:
    assert columns(read(tmp_path, EXCEL)) == {"Name": ["Åsa", "José"], "Betrag": [1234.5, -7.5]}


def test_a_french_and_an_american_export(tmp_path: Path) -> None:
    french = columns(read(tmp_path, FRENCH))
    assert french["date"] == [dt.date(2024, 1, 1), dt.date(2024, 8, 2), dt.date(2024, 12, 15)]
    assert french["montant"] == [1234.56, 7.0, -12.3]

    american = columns(read(tmp_path, AMERICAN, true_values=("yes",), false_values=("no",)))
    assert american == {
        "when": [dt.datetime(2024, 12, 31, 18, 5), dt.datetime(2025, 1, 2, 9)],
        "amount": [1234.5, -7.0],
        "paid": [True, False],
    }


# Numbers and dates: read where one reading is left, text with a note where two are


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1.234,5", "7"], [1234.5, 7.0]),
        (["1,234.5", "7"], [1234.5, 7.0]),
        (["1 234,5", "12,25"], [1234.5, 12.25]),
        (["1'234.5", "1'234'567.25"], [1234.5, 1234567.25]),
        (["1.234.567", "1.234"], [1234567, 1234]),
        (["1,234,567", "8"], [1234567, 8]),
        (["5-", "7"], [-5, 7]),
        (["(5)", "7"], [-5, 7]),
        (["1,5e3", "2,0E-1"], [1500.0, 0.2]),
        (["12,5", "-", "7"], [12.5, None, 7.0]),
        (["\u2212" + "4,5", "1"], [-4.5, 1.0]),
        (["1,234", "12,345"], ["1,234", "12,345"]),
        (["123 456", "654 321"], ["123 456", "654 321"]),
        (["007,5", "0012"], ["007,5", "0012"]),
        (["1234567890123456789", "1"], [1234567890123456789, 1]),
        (["12345678901234567890", "1"], ["12345678901234567890", "1"]),
        (["0.1234567890123456789", "1.5"], ["0.1234567890123456789", "1.5"]),
        (["0,1234567890123456789", "1,5"], ["0,1234567890123456789", "1,5"]),
        (["$5", "6 €"], ["$5", "6 €"]),
        (["5 kg", "6 kg"], ["5 kg", "6 kg"]),
        (["1700000000", "1700000001"], [1700000000, 1700000001]),
        (["12:30", "13:45"], ["12:30", "13:45"]),
        (["1.2.3", "4.5.6"], ["1.2.3", "4.5.6"]),
        (["yes", "no"], ["yes", "no"]),
    ],
)
def test_numbers_are_read_where_only_one_reading_is_left(tmp_path: Path, cells: list[str], values: list[Any]) -> None:
    text = "\t".join(["k", "x"]) + "\n" + "".join(f"r\t{cell}\n" for cell in cells)
    assert columns(read(tmp_path, text, header=True, delimiter="\t"))["x"] == values


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["13/01/2024", "02/03/2024"], [dt.date(2024, 1, 13), dt.date(2024, 3, 2)]),
        (["01/13/2024", "02/03/2024"], [dt.date(2024, 1, 13), dt.date(2024, 2, 3)]),
        (["01/02/2024", "02/03/2024"], ["01/02/2024", "02/03/2024"]),
        (["13/01/2024", "01/13/2024"], ["13/01/2024", "01/13/2024"]),
        (["01.02.2024", "02.03.2024"], [dt.date(2024, 2, 1), dt.date(2024, 3, 2)]),
        (["2024/02/01", "2024/12/31"], [dt.date(2024, 2, 1), dt.date(2024, 12, 31)]),
        (["31/12/99", "01/02/24"], [dt.date(1999, 12, 31), dt.date(2024, 2, 1)]),
        (["31/12/24", "30/11/25"], ["31/12/24", "30/11/25"]),
        (["31.12.99", "01.02.24"], [dt.date(1999, 12, 31), dt.date(2024, 2, 1)]),
        (["Dec 31, 2024", "Jan 1, 2025"], [dt.date(2024, 12, 31), dt.date(2025, 1, 1)]),
        (["31.02.2024", "32.01.2024"], ["31.02.2024", "32.01.2024"]),
    ],
)
def test_the_order_of_dates_is_decided_by_the_whole_column(tmp_path: Path, cells: list[str], values: list[Any]) -> None:
    text = "k;x\n" + "".join(f"r;{cell}\n" for cell in cells)
    assert columns(read(tmp_path, text, header=True))["x"] == values


def test_what_could_be_read_in_two_ways_stays_text_and_the_note_says_what_to_set(tmp_path: Path) -> None:
    text = "day;n\n01/02/2024;1,234\n02/03/2024;12,345\n"
    result = read(tmp_path, text)

    assert "dates that could be written day first or month first ('01/02/2024', '02/03/2024')" in notes(result)
    assert "column 'n' could be decimals or whole thousands, e.g. '1,234', so it stays text" in notes(result)
    told = read(tmp_path, text, date_order="mdy", decimal=",")
    assert columns(told) == {"day": [dt.date(2024, 1, 2), dt.date(2024, 2, 3)], "n": [1.234, 12.345]}
    grouped = read(tmp_path, text, formats={"n": CellFormat(thousands=",")})
    assert columns(grouped)["n"] == [1234, 12345]


def test_points_are_in_doubt_where_another_column_has_decimal_commas(tmp_path: Path) -> None:
    doubtful = read(tmp_path, "a;b\n1,5;1.234\n2,5;7\n")
    assert columns(doubtful)["b"] == ["1.234", "7"]
    assert "since column 'a' has decimal commas; it stays text" in notes(doubtful)
    assert columns(read(tmp_path, "a;b\n1.5;1.234\n2.5;7\n"))["b"] == [1.234, 7.0]
    assert columns(read(tmp_path, "a;b\nx;1,234\ny;7\n", decimal=","))["b"] == [1.234, 7.0]
    assert columns(read(tmp_path, 'a,b\n1.25,"1,234"\n2.5,7\n'))["b"] == [1234, 7]


def test_a_cell_that_does_not_fit_its_format_goes_aside_or_makes_the_column_text(tmp_path: Path) -> None:
    text = "d;n\n" + "31.12.2024;1,5\n" * 150 + "12/31/2024;1.5\n"
    kept = DataReader(write(tmp_path, text)).read_all(max_bad_share=0.01)
    assert kept.table.num_rows == 150
    assert kept.aside.to_pylist()[0]["reason"] == "column 'd' wants date, got '12/31/2024'"

    strict = DataReader(write(tmp_path, text)).read_all()
    assert columns(strict)["n"][-1] == "1.5"
    assert columns(strict)["d"][-1] == "12/31/2024"


def test_a_point_that_may_group_digits_is_never_read_as_a_fraction(tmp_path: Path) -> None:
    late = "a;b\n" + "1,5;7\n" * 100_000 + "2,5;1.234\n" + "1,5;7\n" * 100_000
    assert columns(read(tmp_path, late))["b"][100_000] == "1.234"
    later = "b\n" + "1.5\n" * 250_000 + "1.234\n1.234.567\n" + "1.5\n" * 250_000
    kept = DataReader(write(tmp_path, later)).read_all(max_bad_share=0.01)
    assert columns(kept)["b"][250_000] == "1.234"
    assert "1 values have points between groups of digits" in kept.promotions[0].reason


def test_dashes_are_counted(tmp_path: Path) -> None:
    result = read(tmp_path, "a;b\n1,5;x\n-;y\n–;z\n2,5;w\n")
    assert columns(result)["a"] == [1.5, None, None, 2.5]
    assert result.parts[0].notes["dashes"] == 2


# Where the table stands


def test_two_tables_of_which_the_larger_is_read_and_the_other_can_be(tmp_path: Path) -> None:
    text = "a,b\n1,2\n\nx,y,z\n1,2,3\n4,5,6\n\nNotes below\n"
    result = read(tmp_path, text)

    assert columns(result) == {"x": [1, 4], "y": [2, 5], "z": [3, 6]}
    assert "holds 2 tables with blank lines between (1: 2 columns from line 1, 2 rows; 2: 3 columns" in notes(result)
    assert columns(read(tmp_path, text, table=1)) == {"a": [1], "b": [2]}
    with pytest.raises(ConfigError, match="wants table 3; the file holds 2"):
        read(tmp_path, text, table=3)


def test_header_rows_are_joined_and_merged_cells_repeat(tmp_path: Path) -> None:
    text = ";2024;;2025;\ncity;Q1;Q2;Q1;Q2\nRom;1;2;3;4\nUlm;5;6;7;8\n"
    result = read(tmp_path, text)

    assert result.table.column_names == ["city", "2024_Q1", "2024_Q2", "2025_Q1", "2025_Q2"]
    assert "its header has 2 rows, which are joined with '_'" in notes(result)
    assert read(tmp_path, "m,kg\n[a],[b]\n1,2\n").table.column_names == ["m_[a]", "kg_[b]"]
    assert read(tmp_path, "a,b\nc,d\n1,x\n2,y\n", header_rows=2).table.column_names == ["a_c", "b_d"]
    assert read(tmp_path, "a,b\n1,x\n", header_rows=0).table.num_rows == 2


@pytest.mark.parametrize("mark", ["#", "//", "é"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_say_nothing_of_the_delimiter(tmp_path: Path, mark: str, end: str) -> None:
    comments = [f"{mark} one; two; three | {number} so" for number in range(9)]
    result = read(tmp_path, end.join([*comments[:4], "id,n,t", "0,0,some text", *comments[4:], ""]), comment=mark)
    assert columns(result) == {"id": [0], "n": [0], "t": ["some text"]}


def test_comments_are_left_out_and_counted_where_they_are_said_to_be(tmp_path: Path) -> None:
    text = '# made by x\n# units: a, b\na,b\n1,2\n# half time\n#3,4\n#"5,6\n7,8\n'
    result = read(tmp_path, text, comment="#")
    assert columns(result)["a"] == [1, 7]
    assert result.parts[0].notes["comment_lines"] == 3
    plain = read(tmp_path, text)
    assert plain.table.column_names == ["a", "b"]
    assert "2 lines before the table skipped ('# made by x'; '# units: a, b')" in notes(plain)
    assert [one["line"] for one in plain.aside.to_pylist()] == [4]
    assert read(tmp_path, "##x\n#chrom,pos\n1,2\n2,3\n").table.column_names == ["#chrom", "pos"]


@pytest.mark.parametrize(
    ("tail", "rows", "footers"),
    [
        ("", 3, 0),
        ("\n(3 rows)\n", 3, 1),
        ("(3 rows)\n", 3, 1),
        ("Total,9,\n", 3, 1),
        ("\nSource: somewhere, some day\nPage 1\n", 3, 2),
        ("Summe:,6,\n\nStand: heute\n", 3, 2),
        ("cut o", 3, 0),
        ("cut,off", 3, 0),
        ("Total,6,7\n", 3, 1),
        ("Total,7,8\n", 4, 0),
        ("x,y\n", 3, 0),
    ],
)
def test_footers_are_told_from_rows_that_were_cut_off(tmp_path: Path, tail: str, rows: int, footers: int) -> None:
    result = read(tmp_path, "a,b,c\nx,1,1\ny,2,2\nz,3,4\n" + tail)

    assert result.table.num_rows == rows
    assert reading_facts(result.source)[0]["footer_rows"] == footers
    assert (footers > 0) == ("no data and left out" in notes(result))
    lost = result.aside.num_rows + result.table.num_rows + footers
    assert lost == 3 + sum(bool(line) for line in tail.split("\n"))


def test_footers_of_a_large_file_are_found_in_its_tail(tmp_path: Path) -> None:
    text = "a,b,c\n" + "x,1,5\n" * 250_000 + "\nTotal of all: 5\n"
    result = read(tmp_path, text)
    assert result.table.num_rows == 250_000
    assert result.aside.num_rows == 0
    assert "left out ('Total of all: 5')" in notes(result)
    assert read(tmp_path, text, footer_rows=3).table.num_rows == 249_998
    assert read(tmp_path, text, footer_rows=0).aside.num_rows == 1


# Damage


def test_short_and_long_rows_by_choice(tmp_path: Path) -> None:
    text = "a,b,c\n1,2,3\n4\n5,6,7,8\n"
    assert columns(read(tmp_path, text, ragged="pad")) == {"a": [1, 4], "b": [2, None], "c": [3, None]}
    assert read(tmp_path, text, ragged="pad").parts[0].notes["padded_rows"] == 1
    assert [one["raw"] for one in read(tmp_path, text).aside.to_pylist()] == ["4", "5,6,7,8"]
    with pytest.raises(
        ReadError, match=r"x\.csv: the row '4' has 1 field instead of 3. Mend it, or set read_options.ragged"
    ):
        read(tmp_path, text, ragged="error")


def test_bytes_of_another_encoding_go_aside_or_are_read_as_cp1252_and_counted(tmp_path: Path) -> None:
    raw = b"n,x\n" + "é,1\n".encode() * 40 + b"\xc9x\x80,2\n"
    assert read(tmp_path, raw).aside.to_pylist()[0]["reason"] == "bytes that are not valid utf-8"
    lenient = read(tmp_path, raw, bad_bytes="cp1252")
    assert columns(lenient)["n"][-1] == "Éx€"
    assert lenient.parts[0].notes["bytes_read_as_cp1252"] == 2


def test_what_was_found_is_told_as_facts_with_confidence(tmp_path: Path) -> None:
    facts = reading_facts(read(tmp_path, "Título\n\na;b\né;1\n".encode("cp1252")).source)[0]
    assert facts.pop("file").endswith("x.csv")
    assert facts == {
        "delimiter": ";", "quote": '"', "escape": None, "comment": "", "encoding": "cp1252", "line_end": "lf",
        "byte_order_mark": False, "encoding_confidence": 0.5, "delimiter_share": 1.0, "skipped_lines": 2,
        "header_rows": 1, "footer_rows": 0, "tables": 1, "table": 1,
    }  # fmt: skip


# What was found can be written down, and read with


EXAMPLES = (BANK, ERP, EXCEL, FRENCH, AMERICAN, "t\rn\na,b\n1,x\r2,y\n3,z\r4,w\n",
            "a||b\r1||x\n2||\"y\rz\"\r\n", 'a,b\n1,"x \\"y\\", z"\n2,"p\\\\"\n',
            "a,b\n1,2\n\nx,y,z\n1,2,3\n4,5,6\n", "1,2\n3,4\n", "# c\na b\n1 2\n3 4\n", "a;b\n1,234;01/02/2024\n",
            "'a';'b'\n'1;2';'x'\n'3';'y'\n")  # fmt: skip


@pytest.mark.parametrize("text", EXAMPLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_the_pinned_options_read_the_same_table_without_a_guess(tmp_path: Path, text: str, encoding: str) -> None:
    first = read(tmp_path, text.encode(encoding))
    pins = pinned_options(first.source, ReadOptions())

    again = DataReader(tmp_path / "x.csv", options=ReadOptions.model_validate(pins.model_dump(mode="json"))).read_all()

    assert again.table.equals(first.table)
    assert again.aside.equals(first.aside)
    assert pinned_options(again.source, pins) == pins
    assert not [note for note in again.source.notes if "tables with blank" not in note and "changed" in note]


def test_files_that_are_written_in_different_ways_are_pinned_where_they_agree(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a;b\n1,5;31.12.2024\n")
    first = DataReader(tmp_path).read_all()
    pins = pinned_options(first.source, ReadOptions())

    assert columns(first) == {"a": [1.0, 1.5], "b": ["2", "31.12.2024"]}
    assert not any("dates written" in note for note in first.source.notes)
    assert (pins.delimiter, pins.encoding, pins.header_rows) == (None, "utf-8", 1)
    assert DataReader(tmp_path, options=pins).read_all().table.equals(first.table)


line = st.one_of(
    st.lists(
        st.sampled_from(["1", "1,5", "x", "", "31.12.2024", '"a;b"', "é", '"', "1.234,5 €", "-", "007"]), max_size=4
    ).map(";".join),
    st.sampled_from(["", "Total;;", "# note", "(2 rows)", "Title", "\x00", "a;b;c"]),
)


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(line, min_size=1, max_size=12), target=st.integers(1, 60), end=st.sampled_from(["\n", "\r\n", "\r"])
)
def test_any_file_is_read_the_same_with_its_pins_and_at_any_cut(
    tmp_path: Path, lines: list[str], target: int, end: str
) -> None:
    path = write(tmp_path, end.join(lines) + end + "x")
    try:
        first = DataReader(path).read_all(max_bad_share=0.1)
    except RaypipeError:
        return
    pins = pinned_options(first.source, ReadOptions())
    again = DataReader(tmp_path / "x.csv", options=pins).read_all(max_bad_share=0.1)

    assert again.table.equals(first.table)
    assert again.aside.equals(first.aside)
    cut = DataReader(tmp_path / "x.csv", options=pins).source(target_part_bytes=target)
    read_part = cut.open()
    assert [row for part in cut.parts() for row in read_part(part).block.to_pylist()] == first.table.to_pylist()
