"""Types found from texts, and texts as values of a type."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.errors import ConfigError
from raypipe.etl.formats.cells import KINDS, check_kind, find_kinds, iso_days, narrowest, parse, trimmed
from raypipe.etl.formats.csv_typing import read_column

NULLS = ("", "NA", "nan")


def found(*texts: str | None) -> tuple[str, str | None]:
    one = find_kinds(pl.DataFrame({"x": pl.Series(texts, dtype=pl.String)}), NULLS)[0]
    return one.kind, one.note


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("1", " -2", "NA"), "int64"),
        (("1", "2.5"), "float64"),
        (("1e5", "inf"), "float64"),
        (("007", "8"), "text"),
        (("1", "0"), "int64"),
        (("9223372036854775808", "1"), "text"),
        (("+491234567890",), "text"),
        (("12345678901234567", "0.5"), "text"),
        (("true", "F"), "boolean"),
        (("t", "t"), "text"),
        (("yes", "no"), "text"),
        (("2020-01-02", "NA"), "date"),
        (("2020-1-2",), "text"),
        (("2020-13-01",), "text"),
        (("2020-01-01", "2020-01-02T03:04"), "datetime"),
        (("2020-01-01 00:00:00.123456",), "datetime"),
        (("2020-01-01T00:00:00Z", "2020-01-01 00:00+02:00"), "datetime_utc"),
        (("2020-01-01T00:00", "2020-01-01T00:00Z"), "text"),
        (("NA", None), "text"),
        (("a",), "text"),
    ],
)
def test_the_narrowest_type_that_changes_no_value_is_found(texts: tuple[str, ...], kind: str) -> None:
    assert found(*texts)[0] == kind


def test_a_few_misfits_do_not_change_the_plan_but_many_do() -> None:
    assert found(*["1"] * 95, *["x"] * 5)[0] == "int64"
    assert found(*["1"] * 80, *["x"] * 20)[0] == "text"
    assert found(*["1"] * 99, "007")[0] == "text"


def test_dates_in_several_formats_stay_text_and_are_noted() -> None:
    kind, note = found("2020-01-01", "01/02/2020")

    assert kind == "text"
    assert note is not None
    assert "more than one format" in note


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dates(), max_size=20))
def test_every_date_survives_as_text(days: list[dt.date]) -> None:
    assert iso_days(pl.Series([day.isoformat() for day in days], dtype=pl.String)).to_list() == days


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(alphabet="0123456789-é /", min_size=8, max_size=11)), max_size=20))
def test_only_real_dates_are_dates(texts: list[str | None]) -> None:
    def expected(text: str | None) -> dt.date | None:
        if text is None or len(text) != 10 or not text.isascii() or text[4] != "-" or text[7] != "-":
            return None
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            return None

    assert iso_days(pl.Series(texts, dtype=pl.String)).to_list() == [expected(text) for text in texts]


cells = st.one_of(
    st.sampled_from(
        ["", " ", "NA", " NA ", "nan", "NaN", "0", "00", "-0", "007", "0.5", "-1", " 5", "5 ", "+7", "1e3", "inf", "x"]
    ),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=True).map(str),
    st.dates().map(str),
    st.datetimes().map(str),
    st.text(alphabet="019. -:TZ+e", max_size=12),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(cells, max_size=30), st.sampled_from([kind for kind in KINDS if kind != "text"]))
def test_the_quick_way_reads_what_the_definition_says(texts: list[str], kind: str) -> None:
    series = pl.Series([text or None for text in texts], dtype=pl.String)
    clean = trimmed(series, NULLS)
    expected = parse(clean, kind)

    values, wrong = read_column(series, kind, NULLS)

    assert values.equals(expected, null_equal=True) or (values.is_nan() | (values == expected)).fill_null(True).all()
    misfits = (clean.is_not_null() & expected.is_null()).to_list()
    assert (wrong.to_list() if wrong is not None else [False] * len(texts)) == misfits


@settings(max_examples=60, deadline=None)
@given(st.lists(cells, max_size=20))
def test_every_text_has_one_narrowest_type(texts: list[str]) -> None:
    clean = trimmed(pl.Series(texts, dtype=pl.String), NULLS)

    assert sum(narrowest(clean).values()) == clean.len() - clean.null_count()


def test_null_texts_are_null_with_spaces_around_them_in_text_columns_too() -> None:
    texts = pl.Series(["NA", " NA ", "x NA", " x ", "", "  ", None, "nap"])

    assert read_column(texts, "text", NULLS)[0].to_list() == [None, None, "x NA", " x ", None, None, None, "nap"]
    assert read_column(texts, "text", ("-",))[0].to_list() == ["NA", " NA ", "x NA", " x ", "", "  ", "", "nap"]


def test_an_unknown_type_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="column 'a' wants type 'integer'; types are: int64"):
        check_kind("integer", "a")


def test_a_number_too_large_for_a_float_fits_none_and_an_infinite_one_does() -> None:
    texts = pl.Series(["1e308", "1e309", "-1e400", "inf", "-Infinity", "1e-400"])
    assert parse(texts, "float64").to_list() == [1e308, None, None, float("inf"), float("-inf"), 0.0]
