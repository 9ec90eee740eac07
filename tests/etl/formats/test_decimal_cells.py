"""Decimals of text, JSON and workbooks: every digit is kept, or the row is set aside, and writers keep them, too."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raypipe import DataReader, write
from raypipe.config import ReadOptions
from raypipe.errors import ConfigError
from raypipe.etl.formats.cells import parse
from raypipe.etl.formats.decimal_cells import decimal_type, decimals, holding

KINDS = [(12, 2), (38, 0), (38, 37), (5, 5), (1, 0), (30, 12)]
NUMBERS = st.from_regex(r"\A[+-]?(?:[1-9][0-9]{0,40}|0)?(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,2})?\Z")


def fits(text: str, digits: int, scale: int) -> Decimal | None:
    """The oracle: what Python says, without any rounding."""
    try:
        value = Decimal(text)
    except ArithmeticError:
        return None
    shifted = int(f"{Decimal(text):f}".replace(".", "").lstrip("+-0") or "0")
    decimals_written = len(f"{Decimal(text):f}".partition(".")[2])
    while decimals_written > scale and shifted % 10 == 0:
        shifted, decimals_written = shifted // 10, decimals_written - 1
    if decimals_written > scale or shifted * 10 ** (scale - decimals_written) >= 10**digits:
        return None
    return value


@settings(max_examples=40, deadline=None)
@given(st.lists(NUMBERS, max_size=12), st.sampled_from(KINDS))
def test_a_text_is_the_number_that_it_says_or_none_at_all(texts: list[str], kind: tuple[int, int]) -> None:
    got = decimals(pl.Series(texts, dtype=pl.String), pl.Decimal(*kind)).to_list()
    assert got == [fits(text, *kind) for text in texts]
    held = [text for text, value in zip(texts, got, strict=True) if value and "e" not in text.lower()]
    assert not held or holding(pl.Series(held)) is not None or kind[0] == 38


@pytest.mark.parametrize("text", ["", "x", ".", "+", "1,5", "1e", "0x1", "NaN", "inf", "007", "-00", "1e9999", "٣"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert parse(pl.Series([text]), "decimal(12,2)").to_list() == [None]


CELLS = ["1234567890.12", "-0.01", "", "0.125", "99999999999.00", "1e3", "12"]
KEPT = [Decimal("1234567890.12"), Decimal("-0.01"), None, Decimal(1000), Decimal(12)]


def made(path: Path) -> Path:
    """The cells as a column of a file."""
    rows = [{"id": at, "price": cell or None} for at, cell in enumerate(CELLS)]
    if path.suffix == ".csv":
        path.write_text("id,price\n" + "".join(f"{at},{cell}\n" for at, cell in enumerate(CELLS)))
    elif path.suffix == ".jsonl":
        numbers = [f'{{"id": {row["id"]}, "price": {row["price"] or "null"}}}\n' for row in rows]
        path.write_text("".join(numbers))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is absent: pip install -e '.[dev]'")
        book = openpyxl.Workbook()
        for values in (["id", "price"], *([row["id"], row["price"]] for row in rows)):
            book.active.append(values)
        book.save(path)
    return path


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json", "x.xlsx"])
def test_decimals_are_exact_and_what_has_no_place_is_set_aside(tmp_path: Path, name: str) -> None:
    options = ReadOptions(dtypes={"price": "decimal(12,2)"})
    source = DataReader(made(tmp_path / name), options=options).source()
    read = source.open()
    parts = [read(part) for part in source.parts()]
    block, aside = (pa.concat_tables([getattr(part, what) for part in parts]) for what in ("block", "aside"))
    assert block.schema.field("price").type == pa.decimal128(12, 2)
    assert block["price"].to_pylist() == KEPT
    assert aside["reason"].to_pylist() == [
        "column 'price' wants decimal(12,2), got '0.125'", "column 'price' wants decimal(12,2), got '99999999999.00'",
    ]  # fmt: skip


def test_decimals_with_signs_of_their_land_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id;price\n1;1.234.567.890,12 €\n2;(0,05 €)\n3;7,00 €\n4;-12,50 €\n")
    got = DataReader(tmp_path / "x.csv", options=ReadOptions(dtypes={"price": "decimal(12,2)"})).read()
    assert got["price"].to_pylist() == [Decimal("1234567890.12"), Decimal("-0.05"), Decimal(7), Decimal("-12.50")]


def test_long_numbers_stay_text_and_the_type_that_keeps_them_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x,y\n1234567890.123456789,1\n-0.5,2\n")
    reader = DataReader(tmp_path / "x.csv")
    assert reader.read()["x"].to_pylist() == ["1234567890.123456789", "-0.5"]
    (note,) = [note for note in reader.source().notes if "'x'" in note]
    assert "has numbers with more digits than float64 holds, so it stays text; decimal(19,9) in dtypes" in note
    got = DataReader(tmp_path / "x.csv", options=ReadOptions(dtypes={"x": "decimal(19,9)"})).read()
    assert got["x"].to_pylist() == [Decimal("1234567890.123456789"), Decimal("-0.5")]


@settings(max_examples=8, deadline=None)
@example(((38, 10), ["47683715820312499999999999995000e-10"]))
@given(
    st.sampled_from([(12, 2), (38, 10), (18, 0)]).flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            st.lists(
                st.none() | st.integers(1 - 10 ** kind[0], 10 ** kind[0] - 1).map(lambda n: f"{n}e-{kind[1]}"),
                min_size=1, max_size=20,
            ),
        )
    )
)  # fmt: skip
@pytest.mark.parametrize("ending", ["csv", "jsonl", "xlsx", "parquet"])
def test_decimals_come_back_as_they_were_written(ending: str, table: tuple[tuple[int, int], list[str | None]]) -> None:
    (digits, scale), values = table
    exact = pa.array([value and Decimal(value) for value in values], pa.decimal128(digits, scale))
    rows = pa.table({"id": pa.array(range(len(values)), pa.int64()), "price": exact})
    with tempfile.TemporaryDirectory() as folder:
        write(rows, f"{folder}/x.{ending}")
        dtypes = {} if ending == "parquet" else {"price": f"decimal({digits},{scale})"}
        got = DataReader(f"{folder}/x.{ending}", options=ReadOptions(dtypes=dtypes)).read()
    assert got["price"].combine_chunks().equals(exact)


@pytest.mark.parametrize("kind", ["decimal", "decimal(0,0)", "decimal(39,2)", "decimal(2,3)", "decimal(12.2)"])
def test_a_type_that_is_none_is_refused_with_an_example(tmp_path: Path, kind: str) -> None:
    assert decimal_type(kind) is None
    (tmp_path / "x.csv").write_text("x\n1\n")
    with pytest.raises(ConfigError, match=r"wants type 'decimal.*such as decimal\(12,2\), of at most 38 digits"):
        DataReader(tmp_path / "x.csv", options=ReadOptions(dtypes={"x": kind})).read()
