"""Workbooks: typed cells, text that stays text, bounds that are told."""

from __future__ import annotations

import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from raypipe.config import WriteOptions
from raypipe.engine.localframe import local_frame
from raypipe.errors import ConfigError, OutputError, SchemaError
from raypipe.etl.writers import excel
from raypipe.etl.writers.choose import open_target
from raypipe.pipeline.convert import write
from tests.etl.writers.tables import KINDS, plain, tables

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is absent: pip install -e '.[dev]'")
calamine = pytest.importorskip("python_calamine", reason="python-calamine is absent: pip install 'raypipe[excel]'")


def cells(path: Path, sheet: int = 0) -> list[list[Any]]:
    book = openpyxl.load_workbook(path)
    return [[cell.value for cell in row] for row in book.worksheets[sheet].iter_rows()]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables({name: kind for name, kind in KINDS.items() if name in ("whole", "float", "text", "flag")}))
def test_numbers_texts_and_flags_come_back_as_they_were(table: pa.Table) -> None:
    """Whole numbers that a cell would round come back as text of all their digits; nothing else changes its type."""
    with tempfile.TemporaryDirectory() as folder:
        write(table, f"{folder}/a.xlsx")
        book = calamine.CalamineWorkbook.from_path(f"{folder}/a.xlsx")
        names, *got = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    wanted = [[_cell(value) for value in row.values()] for row in table.to_pylist()]
    got += [[""] * len(names)] * (len(wanted) - len(got))  # rows without a value at the end
    assert names == table.column_names
    assert got == wanted


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return value
    return str(value) if isinstance(value, int) and abs(value) > 2**53 else float(value)


def test_formulas_are_never_made_of_text(tmp_path: Path) -> None:
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")', "http://example.com", "{=1}", "\t=1"]
    write(pa.table({"=cmd|x": hostile}), tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}
    assert [row[0] for row in cells(tmp_path / "a.xlsx")] == ["=cmd|x", *hostile]
    assert not sheet._hyperlinks


def test_dates_decimals_and_what_has_no_cell_of_its_own(tmp_path: Path) -> None:
    table = pa.table(
        {
            "day": [dt.date(2024, 2, 29), dt.date(1850, 1, 1)],
            "moment": [dt.datetime(2024, 2, 29, 12, 30, 15, 250_000), None],
            "instant": pa.array([dt.datetime(2024, 1, 1, 12)] * 2, pa.timestamp("us", "Asia/Tokyo")),
            "money": [Decimal("12.50"), Decimal("1234567890123456.75")],
            "list": [[1, 2], None],
            "nan": [float("nan"), 1.5],
        }
    )  # fmt: skip
    done = write(table, tmp_path / "a.xlsx")
    first, second = cells(tmp_path / "a.xlsx")[1:]
    instant = dt.datetime(2024, 1, 1, 12)
    assert first == [
        dt.datetime(2024, 2, 29),
        dt.datetime(2024, 2, 29, 12, 30, 15, 250_000),
        instant,
        12.5,
        "[1,2]",
        "nan",
    ]
    assert second == ["1850-01-01", None, instant, "1234567890123456.75", None, 1.5]
    assert done.detail == {"numbers_as_text": 2, "dates_as_text": 1}


def test_more_rows_than_a_sheet_holds_are_refused_or_go_on_in_further_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel, "MAX_ROWS", 4)
    table = local_frame(pa.table({"n": list(range(8))}), (5, 3))
    with pytest.raises(OutputError, match=r"more rows than a sheet holds \(3 and the header\).*excel.overflow=sheets"):
        write(table, tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []
    done = write(table, tmp_path / "a.xlsx", excel={"overflow": "sheets", "sheet": "a" * 31})
    assert done.detail == {"sheets": 3}
    assert [cells(tmp_path / "a.xlsx", sheet) for sheet in range(3)] == [
        [["n"], [0], [1], [2]], [["n"], [3], [4], [5]], [["n"], [6], [7]],
    ]  # fmt: skip


def test_texts_longer_than_a_cell_are_refused_or_cut(tmp_path: Path) -> None:
    table = pa.table({"t": ["x" * 32_768]})
    with pytest.raises(OutputError, match="'t' has a text of 32,768 characters; a cell holds 32,767.*long_text=cut"):
        write(table, tmp_path / "a.xlsx")
    assert write(table, tmp_path / "a.xlsx", excel={"long_text": "cut"}).detail == {"texts_cut": 1}
    assert len(cells(tmp_path / "a.xlsx")[1][0]) == 32_767


@pytest.mark.parametrize(
    ("table", "options", "error", "said"),
    [
        (pa.table({"n": [1]}), {"excel": {"sheet": "a/b"}}, ConfigError, "no name of a sheet"),
        (pa.table({"n": [1]}), {"mode": "append"}, ConfigError, "cannot be added to"),
        (pa.table({"n": [1], "m": [2]}), {"partition_by": "n"}, ConfigError, "has no meaning for excel"),
    ],
)
def test_what_a_workbook_cannot_be_is_refused(
    tmp_path: Path, table: pa.Table, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        write(table, tmp_path / "a.xlsx", **options)
    assert plain(table)
    assert list(tmp_path.iterdir()) == []


def test_more_columns_than_a_sheet_holds_are_refused(tmp_path: Path) -> None:
    schema = pa.schema([(f"c{n}", pa.int64()) for n in range(16_385)])
    with pytest.raises(SchemaError, match="16,385 columns; a sheet has 16,384"):
        open_target(tmp_path / "a.xlsx", WriteOptions()).check(schema)
