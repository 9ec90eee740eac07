"""Numbers as people write them, read back to the digit."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config import CellFormat
from raypipe.etl.formats.number_cells import UNITS, find_unit, plain_numbers

GERMAN = CellFormat(decimal=",", thousands=".")


def read(text: str, how: CellFormat) -> str | None:
    value = plain_numbers(pl.Series([text]), how)[0]
    return None if value is None else str(value)


@st.composite
def written(draw: st.DrawFn) -> tuple[Decimal, str, CellFormat]:
    """A number, how it is written, and the format it is written in."""
    how = draw(st.sampled_from([GERMAN, CellFormat(decimal=",", thousands=" "), CellFormat(thousands=",'")]))
    how = how.replace(unit=draw(st.sampled_from([None, *UNITS])), accounting=draw(st.booleans()))
    value = draw(st.decimals(-(10**12), 10**12, places=draw(st.integers(0, 4)), allow_nan=False))
    group = draw(st.sampled_from(["", *("\u202f" if char == " " else char for char in how.thousands)]))
    whole, _, decimals = f"{abs(value):,f}".partition(".")
    text = whole.replace(",", group) + (how.decimal + decimals if decimals else "")
    if how.unit:
        text = draw(st.sampled_from([f"{how.unit}{text}", f"{text} {how.unit}", f"{text}\u00a0{how.unit}"]))
    minus = [f"-{text}", f"\u2212{text}", *([f"({text})", f"{text}-"] if how.accounting else [])]
    return value, draw(st.sampled_from(minus)) if value < 0 else text, how


@settings(max_examples=200, deadline=None)
@given(written())
def test_a_number_in_any_way_of_writing_is_read_back_to_the_digit(one: tuple[Decimal, str, CellFormat]) -> None:
    value, text, how = one
    got = read(text, how)
    assert got is not None, text
    assert Decimal(got) == value


@pytest.mark.parametrize(
    "text",
    [
        "1.23",
        "1.2345",
        "12.34.567",
        "1.234.56",
        "1,2,3",
        "(5)",
        "5-",
        "--5",
        "",
        "-",
        "€",
        "1 234",
        "1.234 567",
        "1e",
        "abc",
        "5 €",
    ],
)
def test_what_is_not_written_so_is_no_number(text: str) -> None:
    assert read(text, GERMAN) is None


@pytest.mark.parametrize("text", ["(5", "5)", "-(5)", "(-5)", "-5-", "(5-)", "5 €", "$5", "€5€", "5"])
def test_signs_and_units_stand_where_they_should_and_once(text: str) -> None:
    how = CellFormat(unit="€", accounting=True)
    assert read(text, how) == ("5" if text == "5 €" else None)


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (("5 €", "1.234,50 €"), "€"),
        (("$5", "-$7", "($9)"), "$"),
        (("US$ 5", "US$7"), "US$"),
        (("12,5 %", "3%"), "%"),
        (("CHF 1'234.50", "CHF 5.-"), "CHF"),
        (("5 kg", "6 kg"), None),
        (("5", "6"), None),
        (("$5", "6 €", "7"), None),
    ],
)
def test_the_sign_that_most_numbers_bear_is_found(texts: tuple[str, ...], unit: str | None) -> None:
    assert find_unit(pl.Series(texts)) == unit
