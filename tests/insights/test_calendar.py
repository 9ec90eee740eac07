"""Calendar buckets."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.insights.calendar import (
    BUCKETS,
    MAX_MICROS,
    MICROS_A_DAY,
    MIN_MICROS,
    bucket_ids,
    bucket_labels,
    bucket_range,
    bucket_starts,
    choose_bucket,
    hours,
    is_calendar,
    micros,
    to_micros,
    weekdays,
)

EPOCH = datetime(1970, 1, 1)


def as_micros(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


def start_of(when: datetime, bucket: str) -> datetime:
    """The same by the standard library, field by field."""
    day = when.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "minute": lambda: when.replace(second=0, microsecond=0),
        "hour": lambda: when.replace(minute=0, second=0, microsecond=0),
        "day": lambda: day,
        "week": lambda: day - timedelta(days=day.weekday()),
        "month": lambda: day.replace(day=1),
        "quarter": lambda: day.replace(day=1, month=3 * ((day.month - 1) // 3) + 1),
        "year": lambda: day.replace(day=1, month=1),
    }[bucket]()


@pytest.mark.parametrize("bucket", BUCKETS)
@settings(max_examples=60, deadline=None)
@given(when=st.datetimes(datetime(1, 1, 8), datetime(9999, 12, 31)))
def test_buckets_begin_where_the_calendar_says(bucket, when):
    ids = bucket_ids(np.array([as_micros(when)]), bucket)
    wanted = start_of(when, bucket)
    assert bucket_starts(ids, bucket)[0] == as_micros(wanted)
    assert datetime.fromisoformat(bucket_labels(ids, bucket)[0]) == wanted
    assert bucket_ids(bucket_starts(ids, bucket), bucket)[0] == ids[0]
    assert weekdays(np.array([as_micros(when)]))[0] == when.weekday()
    assert hours(np.array([as_micros(when)]))[0] == when.hour


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_follow_each_other_without_a_hole_across_leap_years(bucket):
    days = np.arange(as_micros(datetime(1896, 1, 1)), as_micros(datetime(2104, 6, 1)), MICROS_A_DAY)
    ids = bucket_ids(days, bucket)
    steps = np.unique(np.diff(ids))
    assert steps.min() >= 0
    assert steps.max() == {"minute": 1440, "hour": 24}.get(bucket, 1)


def test_labels_of_days_are_dates_and_of_hours_are_instants():
    assert bucket_labels(np.array([0]), "day") == ["1970-01-01"]
    assert bucket_labels(np.array([25]), "hour") == ["1970-01-02T01:00:00"]


@pytest.mark.parametrize(
    ("last", "bucket"),
    [
        (datetime(1970, 1, 1, 5), "minute"),
        (datetime(1970, 1, 10), "hour"),
        (datetime(1970, 12, 31), "day"),
        (datetime(1975, 1, 1), "week"),
        (datetime(2000, 1, 1), "month"),
        (datetime(2060, 1, 1), "quarter"),
        (datetime(2300, 1, 1), "year"),
        (datetime(9999, 1, 1), "year"),
    ],
)
def test_the_finest_bucket_that_fits_is_chosen(last, bucket):
    assert choose_bucket(0, as_micros(last), 400) == bucket
    low, high = bucket_range(0, as_micros(last), bucket)
    assert high - low < 400 or bucket == "year"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_unit_of_timestamp_gives_the_same_instant(unit):
    when = datetime(1969, 12, 31, 23, 59, 58)
    array = pa.array([when, None], pa.timestamp("s")).cast(pa.timestamp(unit))
    at, known = micros(pl.Series(pl.from_arrow(array)))
    assert at[0] == as_micros(when)
    assert known.tolist() == [True, False]


def test_zoned_instants_count_in_utc():
    there = datetime(2024, 3, 10, 1, 30, tzinfo=timezone(timedelta(hours=-5)))
    at, _ = micros(pl.Series([there]).dt.convert_time_zone("America/New_York"))
    assert at[0] == as_micros(there.astimezone(UTC).replace(tzinfo=None))


def test_dates_count_as_their_midnight():
    at, known = micros(pl.Series([date(1, 1, 1), None, date(9999, 12, 31)], dtype=pl.Date))
    assert at[0] == MIN_MICROS
    assert at[2] == MAX_MICROS + 1 - MICROS_A_DAY
    assert known.tolist() == [True, False, True]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_absurd_instants_land_just_past_the_limits_and_do_not_wrap(unit):
    series = pl.Series([2**63 - 1, -(2**63) + 1]).cast(pl.Datetime(unit))
    at, _ = micros(series)
    if unit == "ns":
        assert at[0] > 0 > at[1]
    else:
        assert at[0] > MAX_MICROS
        assert at[1] < MIN_MICROS


def test_seconds_become_microseconds_within_the_limits():
    assert to_micros(1.5) == 1_500_000
    assert to_micros(1e30) == MAX_MICROS
    assert to_micros(-1e30) == MIN_MICROS


def test_only_dates_and_timestamps_are_calendar_types():
    assert is_calendar(pa.date32())
    assert is_calendar(pa.timestamp("ns", "UTC"))
    assert not any(is_calendar(kind) for kind in (pa.large_string(), pa.int64(), pa.time64("us"), pa.duration("s")))
