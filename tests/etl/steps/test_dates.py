import datetime as dt
import json
import time
from collections import Counter

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raypipe.blocks.table import finish, summarise
from raypipe.config import ProcessingConfig
from raypipe.etl.steps import DateWriting, DetectDates, ParseDates
from raypipe.etl.steps.dates import fit_parse_dates
from raypipe.etl.steps.detect_dates import ANY, judge
from raypipe.etl.steps.layouts import BY_NAME, LAYOUTS, read_dates
from raypipe.etl.steps.step import Evidence
from tests.hostile import columns
from tests.laws import PART, assert_reduce_laws, assert_stage_laws, examples, numbered

WRITE = {
    "YYYY-MM-DD": "{y:04d}-{m:02d}-{d:02d}",
    "YYYY/MM/DD": "{y:04d}/{m:02d}/{d:02d}",
    "DD/MM/YYYY": "{d:02d}/{m:02d}/{y:04d}",
    "MM/DD/YYYY": "{m:02d}/{d:02d}/{y:04d}",
    "DD.MM.YYYY": "{d:02d}.{m:02d}.{y:04d}",
    "DD-Mon-YYYY": "{d:02d}-{mon}-{y:04d}",
}
MONTHS = ("Jan", "feb", "MAR", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
days = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
moments = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))


def written(day: dt.date, name: str) -> str:
    return WRITE[name].format(y=day.year, m=day.month, d=day.day, mon=MONTHS[day.month - 1])


def fit(table: pa.Table, target: str | None = None, **config) -> ParseDates | None:
    settings_ = ProcessingConfig(**config)
    names = tuple(field.name for field in table.schema if pa.types.is_large_string(field.type) and field.name != target)
    detector = DetectDates(columns=names, trim=settings_.trim_text)
    found = detector.finish(detector.partial(numbered(table), PART))
    evidence = Evidence(settings_, finish(summarise(table)), target, None, {detector.name: found})
    return fit_parse_dates(evidence, detector)


def texts(*cells: str | None) -> pa.Table:
    return pa.table({"d": pa.array(cells, pa.large_string())})


@pytest.mark.parametrize("name", WRITE)
@given(cells=st.lists(st.none() | days, min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_dates_written_in_any_known_way_are_read_back_as_they_were(name, cells):
    assume(any(cells))
    if "/MM/" in name or "/DD/" in name:
        assume(any(day and day.day > 12 for day in cells) or name == "YYYY/MM/DD")
    step = fit(texts(*(day and written(day, name) for day in cells)))
    assert step.columns == (DateWriting(column="d", layout=name, kind="date"),)
    sifted = step.apply(texts(*(day and written(day, name) for day in cells)))
    assert sifted.block["d"].to_pylist() == cells
    assert sifted.aside.num_rows == 0


@given(
    cells=st.lists(moments, min_size=1, max_size=8), separator=st.sampled_from("T "), cut=st.sampled_from([16, 19, 26])
)
@settings(max_examples=40, deadline=None)
def test_moments_are_read_back_to_the_microsecond(cells, separator, cut):
    words = [moment.isoformat(separator, "microseconds")[:cut] for moment in cells]
    step = fit(texts(*words))
    assert step.columns[0].kind == "datetime"
    wanted = [dt.datetime.fromisoformat(word) for word in words]
    assert step.apply(texts(*words)).block["d"].to_pylist() == wanted


@given(
    cells=st.lists(st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1)), min_size=1, max_size=6),
    minutes=st.integers(-14 * 60, 14 * 60),
)
@settings(max_examples=40, deadline=None)
def test_moments_with_a_time_zone_become_utc(cells, minutes):
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    words = [moment.replace(tzinfo=zone).isoformat() for moment in cells]
    step = fit(texts(*words))
    assert step.columns[0].kind == "datetime_utc"
    block = step.apply(texts(*words)).block
    assert block.schema.field("d").type == pa.timestamp("us", "UTC")
    assert block["d"].to_pylist() == [dt.datetime.fromisoformat(word) for word in words]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("2024-02-30", "YYYY-MM-DD"),
        ("2024-13-01", "YYYY-MM-DD"),
        ("0000-01-01", "YYYY-MM-DD"),
        ("12024-01-01", "YYYY-MM-DD"),
        ("2024-01-01x", "YYYY-MM-DD"),
        ("2024-01-01\n", "YYYY-MM-DD"),
        ("2024-01-01 24:00", "YYYY-MM-DD"),
        ("2024-01-01 10:60", "YYYY-MM-DD"),
        ("2024-01-01 10:00:60", "YYYY-MM-DD"),
        ("2024-01-01 10:00:00.1234567", "YYYY-MM-DD"),
        ("2024-01-01T10:00:00+25:00", "YYYY-MM-DD with time zone"),
        ("2024-01-01+01:00", "YYYY-MM-DD with time zone"),
        ("29/02/2023", "DD/MM/YYYY"),
        ("01-Foo-2024", "DD-Mon-YYYY"),
        ("1/1/24", "DD/MM/YYYY"),
        ("٠١/٠١/٢٠٢٤", "DD/MM/YYYY"),
    ],
)
def test_what_is_no_date_is_not_read_as_one(word, name):
    assert read_dates(pl.Series([word]), BY_NAME[name]).to_list() == [None]


@pytest.mark.parametrize(
    ("word", "name", "moment"),
    [
        ("2024-1-2", "YYYY-MM-DD", dt.datetime(2024, 1, 2)),
        ("2024-01-02 9:05", "YYYY-MM-DD", dt.datetime(2024, 1, 2, 9, 5)),
        ("2024-01-02T03:04:05.1200000", "YYYY-MM-DD", dt.datetime(2024, 1, 2, 3, 4, 5, 120000)),
        ("31/12/2024 23:59:59", "DD/MM/YYYY", dt.datetime(2024, 12, 31, 23, 59, 59)),
        ("2024-01-02 03:04:05 +0100", "YYYY-MM-DD with time zone", dt.datetime(2024, 1, 2, 2, 4, 5, tzinfo=dt.UTC)),
        ("2024-01-02T03:04Z", "YYYY-MM-DD with time zone", dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC)),
    ],
)
def test_short_and_long_spellings_of_one_layout_are_read(word, name, moment):
    assert read_dates(pl.Series([word]), BY_NAME[name]).to_list() == [moment]


def test_dates_with_and_without_a_time_of_day_become_moments():
    step = fit(texts("2024-01-01", "2024-01-02 10:00", None))
    assert step.apply(texts("2024-01-01")).block["d"].to_pylist() == [dt.datetime(2024, 1, 1)]


def test_an_order_of_day_and_month_that_cannot_be_told_stays_text_with_the_reason():
    step = fit(texts("01/02/2024", "03/04/2024"))
    assert step.columns == ()
    assert step.idle
    assert "every value reads as DD/MM/YYYY and as MM/DD/YYYY" in step.left_as_text["d"]
    assert step.apply(texts("01/02/2024")) == texts("01/02/2024")


def test_one_day_past_the_twelfth_settles_the_order_and_both_orders_at_once_do_not():
    assert fit(texts(*["01/02/2024"] * 99, "31/01/2024")).columns[0].layout == "DD/MM/YYYY"
    assert fit(texts(*["01/02/2024"] * 99, "01/31/2024")).columns[0].layout == "MM/DD/YYYY"
    both = fit(texts(*["01/02/2024"] * 198, "31/01/2024", "01/31/2024"))
    assert both.columns == ()
    assert "1 of 200 values read as DD/MM/YYYY only and 1 as MM/DD/YYYY only" in both.left_as_text["d"]


def test_mixed_formats_stay_text_with_the_shares():
    step = fit(texts("2024-01-01", "2024-01-02", "2024-01-03", "13.01.2024"))
    assert step.left_as_text["d"] == (
        "mixed formats: of 4 values 75 % as YYYY-MM-DD, 25 % as DD.MM.YYYY; wanted 99 % in one format"
    )
    zones = fit(texts("2024-01-01 10:00", "2024-01-01 10:00Z"))
    assert "mixed formats" in zones.left_as_text["d"]


def test_too_many_values_that_are_no_dates_leave_the_column_as_text():
    step = fit(texts("2024-01-01", "2024-01-02", "tomorrow"))
    assert step.left_as_text["d"] == "of 3 values 66.67 % as YYYY-MM-DD; wanted 99 % in one format"
    assert fit(texts("2024-01-01", "a", "b")) is None
    assert fit(texts("2024-01-01", "2024-01-02", "tomorrow"), min_date_share=0.6).columns[0].unread == 1


def test_a_row_whose_value_is_no_date_is_set_aside_whole():
    table = pa.table(
        {
            "a": pa.array(["2024-01-01"] * 199 + ["<b>soon</b>"], pa.large_string()),
            "b": pa.array(["31.12.2024"] * 200, pa.large_string()),
        }
    )
    step = fit(table)
    sifted = step.apply(numbered(table))
    (row,) = sifted.aside.to_pylist()
    assert (row["row"], row["column"], row["value"]) == (199, "a", "<b>soon</b>")
    assert row["reason"] == "is no date written as YYYY-MM-DD"
    assert json.loads(row["raw"]) == {"a": "<b>soon</b>", "b": "31.12.2024"}
    assert dict(sifted.counts) == {"cells:a": 199, "cells:b": 199, "aside:a": 1}
    assert step.describe(sifted.counts, 0).detail["a"] == {
        "format": "YYYY-MM-DD",
        "type": "date",
        "cells": 199,
        "rows_set_aside": 1,
    }


def test_white_space_around_dates_counts_only_where_it_is_trimmed():
    cells = (" 2024-01-01", "\u00a02024-01-02\t", "")
    assert fit(texts(*cells)).columns[0].unread == 0
    assert fit(texts(*cells), trim_text=False) is None


def test_the_target_is_left_alone():
    assert DetectDates(columns=()).partial(texts("2024-01-01"), PART).columns == {}
    assert fit(texts("2024-01-01"), target="d") is None


date_cells = st.sampled_from(
    [None, "", " ", "2024-01-01", " 2024-01-01 ", "31/12/2024", "01/02/2024", "12/31/2024", "x", "1.1.2024", "9" * 70]
)


@given(cells=st.lists(date_cells, max_size=8), trim=st.booleans())
@settings(max_examples=examples(12), deadline=None)
def test_detection_does_not_depend_on_cuts_or_on_the_grouping_of_merges(cells, trim):
    table = pa.table({"": pa.array(cells, pa.large_string()), "^b$": pa.array(cells[::-1], pa.large_string())})
    assert_reduce_laws(DetectDates(columns=("", "^b$"), trim=trim), table)


@given(cells=st.lists(st.none() | st.text(alphabet="0123456789-/. :TZab\u00a0", max_size=14), max_size=20))
@settings(max_examples=60, deadline=None)
def test_the_glance_at_lengths_and_first_bytes_misses_no_date(cells):
    table = texts(*cells)
    detector = DetectDates(columns=("d",))
    counts = detector.partial(table, PART).columns.get("d", Counter())
    bare = pl.Series("v", [cell.strip(" \u00a0") if cell else cell for cell in cells], dtype=pl.String)
    reads = [read_dates(bare, layout).is_not_null().to_list() for layout in LAYOUTS]
    assert counts[ANY] == sum(any(row) for row in zip(*reads, strict=True))


@given(cells=columns("text", 7))
@settings(max_examples=examples(6), deadline=None)
def test_parse_dates_keeps_the_laws_of_a_stage(cells):
    table = pa.table({"^d$": cells, "other": cells})
    for layout in ("YYYY-MM-DD", "DD/MM/YYYY"):
        writing = DateWriting(column="^d$", layout=layout, kind="datetime")
        assert_stage_laws(ParseDates(columns=(writing,)), table)
    zoned = DateWriting(column="other", layout="YYYY-MM-DD with time zone", kind="datetime_utc")
    day = DateWriting(column="^d$", layout="YYYY-MM-DD", kind="date")
    assert_stage_laws(ParseDates(columns=(day, zoned), left_as_text={"x": "because"}), table)


def test_nothing_looks_like_a_date_in_an_empty_column():
    assert judge("d", Counter(), 0, 0.99) is None
    assert fit(texts(None, None)) is None
    assert fit(texts()) is None


def test_long_comments_cost_next_to_nothing():
    comments = texts(*["the quick brown fox jumps over the lazy dog, again and again"] * 200_000)
    detector = DetectDates(columns=("d",))
    best = min(_seconds(detector, comments) for _ in range(3))
    assert best < 0.1


def _seconds(detector: DetectDates, table: pa.Table) -> float:
    started = time.perf_counter()
    detector.partial(table, PART)
    return time.perf_counter() - started
