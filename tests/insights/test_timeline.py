"""The table over its time column."""

import pickle
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import from_polars
from raypipe.errors import MissingColumnsError, SchemaError
from raypipe.insights.calendar import is_calendar
from raypipe.insights.timeline import plan_timeline
from tests.hostile import tables
from tests.insights.tables import as_table, close, follow, profile_of
from tests.laws import assert_reduce_laws

RNG = np.random.default_rng(5)


def days(count: int) -> list[date]:
    return [date(2024, 1, 1) + timedelta(days=i) for i in range(count)]


def events(span: int = 60, rows: int = 600, seed: int = 3) -> pa.Table:
    rng = np.random.default_rng(seed)
    at = rng.integers(0, span * 86_400, rows) + 1_700_000_000
    frame = pl.DataFrame(
        {
            "at": pl.Series(at * 1_000_000).cast(pl.Datetime("us")),
            "y": rng.normal(size=rows) + at / 86_400 / 10,
            "x": rng.normal(size=rows),
            "month": rng.integers(1, 13, rows),
            "flag": rng.random(rows) < 0.5,
        }
    )
    gone = pl.Series(rng.random(rows) < 0.05)
    return from_polars(frame.with_columns(pl.when(gone).then(None).otherwise(pl.col("at", "y")).name.keep()))


@pytest.mark.parametrize("target", ["y", "flag", None])
def test_the_result_depends_neither_on_cuts_nor_on_the_grouping_of_merges(target):
    table = events(rows=100)
    assert_reduce_laws(plan_timeline(profile_of(table), table.schema, "at", target), table, same=close)


@settings(max_examples=40, deadline=None)
@given(table=tables(kinds=("date", "datetime", "zoned", "int64", "float64", "bool")), data=st.data())
def test_any_time_column_gives_a_timeline_that_accounts_for_every_row(table, data):
    times = [field.name for field in table.schema if is_calendar(field.type)]
    assume(times)
    stage = plan_timeline(profile_of(table), table.schema, times[0], data.draw(st.sampled_from(table.column_names)))
    line = stage.finish(stage.partial(table, "0"))
    assert sum(point.rows for point in line.points) + line.outside + line.unknown == table.num_rows
    assert line.gaps == sum(point.rows == 0 for point in line.points)
    assert len(line.points) < 10_001
    halves = [stage.partial(table.slice(0, 3), "0"), stage.partial(table.slice(3), "0")]
    assert close(stage.finish(stage.merge(*halves)), line, 1e-6)


def test_bucket_rows_and_means_equal_a_group_by():
    table = events()
    line = follow(table, "at", "y")
    frame = pl.from_arrow(table).drop_nulls("at").group_by(pl.col("at").dt.date()).agg(pl.len(), pl.mean("y", "x"))
    assert line.bucket == "day"
    points = {point.start: point for point in line.points}
    for day, rows, y, x in frame.iter_rows():
        point = points[day.isoformat()]
        assert point.rows == rows
        assert (point.means["y"], point.means["x"]) == pytest.approx((y, x))


def test_every_bucket_is_there_and_empty_ones_count_as_gaps():
    seen = [date(2023, 12, 30) + timedelta(days=i) for i in range(40) if i not in (3, 4, 20)]
    line = follow(as_table(d=seen, y=range(37)), "d", "y")
    assert len(line.points) == 40
    assert line.gaps == 3
    assert [point.start for point in line.points if not point.rows] == ["2024-01-02", "2024-01-03", "2024-01-19"]
    assert line.points[3].means == {"y": None}


@pytest.mark.parametrize(
    ("first", "last", "bucket", "start"),
    [
        (datetime(2024, 2, 28, 23, 30), datetime(2024, 2, 29, 4), "minute", "2024-02-28T23:30:00"),
        (datetime(2024, 2, 25), datetime(2024, 3, 2), "hour", "2024-02-25T00:00:00"),
        (datetime(2023, 12, 31), datetime(2024, 12, 31), "day", "2023-12-31"),
        (datetime(2020, 2, 29), datetime(2024, 2, 29), "week", "2020-02-24"),
        (datetime(2000, 2, 29), datetime(2024, 2, 29), "month", "2000-02-01"),
        (datetime(1950, 5, 5), datetime(2024, 2, 29), "quarter", "1950-04-01"),
        (datetime(1750, 5, 5), datetime(2024, 2, 29), "year", "1750-01-01"),
    ],
)
def test_the_bucket_follows_the_span_and_begins_on_the_calendar(first, last, bucket, start):
    span = (last - first) / 49
    line = follow(as_table(t=[first + i * span for i in range(50)]), "t")
    assert (line.bucket, line.first) == (bucket, start)
    assert 20 <= len(line.points) <= 400
    assert sum(point.rows for point in line.points) == 50


def test_dates_never_get_buckets_finer_than_a_day_and_have_no_hours():
    line = follow(as_table(d=[date(2024, 1, 1), date(2024, 1, 3)]), "d")
    assert line.bucket == "day"
    assert [point.rows for point in line.points] == [1, 0, 1]
    assert line.hourly_rows == ()
    assert line.weekday_rows == (1, 0, 1, 0, 0, 0, 0)


def test_hours_and_weekdays_count_in_utc_with_target_means():
    table = as_table(t=[datetime(2024, 1, 1, 5), datetime(2024, 1, 2, 5), datetime(2024, 1, 2, 23)], y=[1.25, 2.5, 9.0])
    line = follow(table, "t", "y")
    assert line.hourly_rows[5] == 2
    assert line.hourly_target[5] == pytest.approx(1.875)
    assert line.hourly_target[6] is None
    assert line.weekday_rows[:2] == (1, 2)
    assert line.weekday_target[1] == pytest.approx(5.75)


def test_one_instant_gives_one_bucket():
    line = follow(as_table(t=[datetime(2024, 1, 1, 12)] * 5, y=[1.5, 2, 3, 4, 5]), "t", "y")
    assert len(line.points) == 1
    assert line.points[0].means["y"] == pytest.approx(3.1)


def test_a_time_column_without_any_time_gives_an_empty_timeline():
    table = as_table(t=pl.Series([None] * 7, dtype=pl.Datetime("us")), y=range(7))
    line = follow(table, "t", "y")
    assert line.points == ()
    assert line.unknown == 7
    stage = plan_timeline(profile_of(table), table.schema, "t")
    assert stage.finish(None).points == ()


def test_far_off_dates_are_counted_but_do_not_stretch_the_axis():
    near = [date(2024, 1, 1) + timedelta(days=int(i)) for i in RNG.integers(0, 100, 1000)]
    line = follow(as_table(d=[*near, date(9999, 12, 31), date(1900, 1, 1)]), "d")
    assert line.bucket == "day"
    assert line.outside == 2
    assert len(line.points) <= 201


def test_rows_after_the_profile_was_taken_that_fall_outside_are_counted():
    early = events()
    stage = plan_timeline(profile_of(early), early.schema, "at", "y")
    late = as_table(at=[datetime(2030, 1, 1)], y=[1.0], x=[1.0], month=[1], flag=[True])
    assert stage.finish(stage.merge(stage.partial(early, "0"), stage.partial(late, "1"))).outside == 1


def test_target_comes_first_then_what_correlates_with_it_and_parts_of_the_date_stay_out():
    x = RNG.normal(size=300)
    table = as_table(
        t=[datetime(2024, 1, 1) + timedelta(hours=i) for i in range(300)],
        dull=RNG.normal(size=300),
        near=x + 0.1 * RNG.normal(size=300),
        year=range(300),
        day_of_week=[i % 7 for i in range(300)],
        constant=[1.0] * 300,
        y=x,
    )
    stage = plan_timeline(profile_of(table), table.schema, "t", "y")
    assert [series.column for series in stage.series] == ["y", "near", "dull"]


def test_at_most_eight_series_are_followed():
    table = as_table(
        t=[datetime(2024, 1, 1), datetime(2025, 1, 1)] * 50, **{f"c{i}": RNG.normal(size=100) for i in range(30)}
    )
    assert len(plan_timeline(profile_of(table), table.schema, "t", "c29").series) == 8
    assert plan_timeline(profile_of(table), table.schema, "t", "c29").series[0].column == "c29"


def test_a_column_of_huge_values_has_means_and_no_overflow():
    table = as_table(d=days(30), y=[1.5e308, -1.5e308] * 15)
    line = follow(table, "d", "y")
    assert line.points[0].means["y"] == pytest.approx(1.5e308)


def test_partials_are_small_and_hold_only_buckets_that_they_saw():
    table = events(span=300, rows=50_000)
    stage = plan_timeline(profile_of(table), table.schema, "at", "y")
    assert len(pickle.dumps(stage.partial(table.slice(0, 10), "0"))) < 10_000
    assert len(pickle.dumps(stage.partial(table, "0"))) < 600_000  # hours of 300 days, three series


@pytest.mark.parametrize("values", [["2024-01-01", "x"], [20240101, 20240102]])
def test_a_time_column_of_another_type_says_what_to_set(values):
    table = as_table(t=values)
    with pytest.raises(SchemaError, match="column 't' has type .*wanted a date or a timestamp"):
        plan_timeline(profile_of(table), table.schema, "t")


def test_a_misspelt_time_column_is_reported_with_a_guess():
    table = events(rows=20)
    with pytest.raises(MissingColumnsError, match="no column 'att'.*Did you mean 'at'"):
        plan_timeline(profile_of(table), table.schema, "att")
