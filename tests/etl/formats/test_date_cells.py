"""Dates and times as people write them."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config.read import DateOrder
from raypipe.etl.formats.date_cells import MONTHS, iso_texts, month_numbers

SHAPES: dict[DateOrder, tuple[str, ...]] = {
    "dmy": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y"),
    "mdy": ("%m/%d/%Y", "%m-%d-%Y"),
    "ymd": ("%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d"),
}
CLOCKS = {"": "", " %H:%M": " %H:%M:00", "T%H:%M:%S": " %H:%M:%S", " %I:%M %p": " %H:%M:00", ", %H:%M": " %H:%M:00"}


def read(text: str, order: DateOrder = "dmy") -> str | None:
    value = iso_texts(pl.Series([text]), order)[0]
    return None if value is None else str(value)


@settings(max_examples=150, deadline=None)
@given(
    when=st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31)),
    order=st.sampled_from(list(SHAPES)),
    shape=st.integers(0, 2),
    clock=st.sampled_from(list(CLOCKS)),
)
def test_a_time_in_any_order_is_read_back(when: dt.datetime, order: DateOrder, shape: int, clock: str) -> None:
    written = SHAPES[order][shape % len(SHAPES[order])]
    assert read(when.strftime(written + clock), order) == when.strftime("%Y-%m-%d" + CLOCKS[clock])


@settings(max_examples=80, deadline=None)
@given(
    day=st.dates(dt.date(1000, 1, 1)),
    language=st.sampled_from(list(MONTHS)),
    shape=st.sampled_from(
        ["{d}. {name} {y}", "{d} {name} {y}", "{d}-{name}-{y}", "{d} de {name} de {y}", "{name} {d}, {y}"]
    ),
    change=st.sampled_from([str.title, str.upper, str.lower]),
)
def test_a_month_is_known_by_name_in_nine_languages(day: dt.date, language: str, shape: str, change: object) -> None:
    assert callable(change)
    name = change(MONTHS[language].split()[day.month - 1])
    assert read(shape.format(d=day.day, name=name, y=f"{day.year:04d}")) == day.isoformat()


def test_no_name_means_two_months() -> None:
    for names in MONTHS.values():
        assert [month_numbers()[name] for name in names.split()] == list(range(1, 13))


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("31.12.24", "2024-12-31"),
        ("31.12.68", "2068-12-31"),
        ("31.12.69", "1969-12-31"),
        ("31-Dec-24", "2024-12-31"),
        ("1er janvier 2024", "2024-01-01"),
        ("12. Mrz 2024 7:05", "2024-03-12 07:05:00"),
        ("1.2.2024 12:00 AM", "2024-02-01 00:00:00"),
        ("1.2.2024 12:30 p.m.", "2024-02-01 12:30:00"),
        ("1.2.2024 13:30 PM", None),
        ("1.2/2024", None),
        ("1.2.2024 7", None),
        ("12 Foo 2024", None),
        ("1.2.202", None),
        ("", None),
    ],
)
def test_details_of_dates(text: str, iso: str | None) -> None:
    assert read(text) == iso
