"""Buckets of time as integers: calendar units counted from 1970-01-01, so that summaries merge exactly."""

from __future__ import annotations

import re
from typing import Literal, cast

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Bucket = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
IntArray = NDArray[np.int64]

BUCKETS: tuple[Bucket, ...] = ("minute", "hour", "day", "week", "month", "quarter", "year")
"""Finest first."""
MICROS_A_DAY = 86_400_000_000
MIN_MICROS = -62_135_596_800_000_000
"""0001-01-01, the first instant that ISO 8601 writes with four digits."""
MAX_MICROS = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999."""
_FIXED = {"minute": 60_000_000, "hour": 3_600_000_000, "day": MICROS_A_DAY}
_MONDAY_SHIFT = 3
"""1970-01-01 was a Thursday: three days after a Monday."""


def is_calendar(kind: pa.DataType) -> bool:
    """Whether values of `kind` name an instant or a day."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def micros(series: pl.Series) -> tuple[IntArray, NDArray[np.bool_]]:
    """Microseconds since 1970-01-01 UTC, and which rows have a time at all.

    Instants outside the years 1 to 9999 are moved just past those limits; rows without a time hold 0.
    """
    known = series.is_not_null().to_numpy()
    values = series.to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    if series.dtype == pl.Date:
        return np.clip(values, MIN_MICROS // MICROS_A_DAY - 1, MAX_MICROS // MICROS_A_DAY + 1) * MICROS_A_DAY, known
    unit = cast(pl.Datetime, series.dtype).time_unit
    if unit == "ns":
        return values // 1_000, known
    if unit == "ms":
        return np.clip(values, MIN_MICROS // 1_000 - 1, MAX_MICROS // 1_000 + 1) * 1_000, known
    return np.clip(values, MIN_MICROS - 1, MAX_MICROS + 1), known


_OFFSET = re.compile(r"^([+-])(\d\d):?(\d\d)$")


def to_local(at: IntArray, zone: str) -> IntArray:
    """What the clocks of `zone` show at these instants, in microseconds as if it were UTC.

    Examples
    --------
    >>> noon = np.array([43_200_000_000])
    >>> int(to_local(noon, "Asia/Tokyo")[0]) // 3_600_000_000, int(to_local(noon, "-05:00")[0]) // 3_600_000_000
    (21, 7)
    """
    fixed = _OFFSET.match(zone)
    if fixed:
        sign, hour, minute = fixed.groups()
        return at + (1 if sign == "+" else -1) * (int(hour) * 60 + int(minute)) * _FIXED["minute"]
    if zone == "UTC" or not len(at):
        return at
    clock = pl.Series(at).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return np.asarray(clock.dt.replace_time_zone(None).to_physical().to_numpy(), np.int64)


def to_micros(seconds: float) -> int:
    """Seconds since 1970-01-01 as microseconds, moved to the limits of the years 1 to 9999."""
    return min(max(round(seconds * 1e6), MIN_MICROS), MAX_MICROS)


def bucket_ids(at: IntArray, bucket: Bucket) -> IntArray:
    """Number of the bucket that each instant (microseconds) falls into.

    Examples
    --------
    >>> day = MICROS_A_DAY
    >>> [int(i) for i in bucket_ids(np.array([-day, 0, 3 * day, 4 * day]), "week")]  # Wed, Thu, Sun, Mon
    [0, 0, 0, 1]
    """
    if bucket in _FIXED:
        return at // _FIXED[bucket]
    if bucket == "week":
        return (at // MICROS_A_DAY + _MONDAY_SHIFT) // 7
    unit = "Y" if bucket == "year" else "M"
    ids = at.view("datetime64[us]").astype(f"datetime64[{unit}]").astype(np.int64)
    return ids // 3 if bucket == "quarter" else ids


def bucket_starts(ids: IntArray, bucket: Bucket) -> IntArray:
    """The first microsecond of each bucket; inverse of `bucket_ids`."""
    if bucket in _FIXED:
        return ids * _FIXED[bucket]
    if bucket == "week":
        return (ids * 7 - _MONDAY_SHIFT) * MICROS_A_DAY
    unit, count = ("Y", ids) if bucket == "year" else ("M", ids * 3 if bucket == "quarter" else ids)
    return count.astype(f"datetime64[{unit}]").astype("datetime64[us]").astype(np.int64)


def bucket_labels(ids: IntArray, bucket: Bucket) -> list[str]:
    """ISO 8601 start of each bucket; a date alone from days upwards."""
    unit = "s" if bucket in ("minute", "hour") else "D"
    return [str(label) for label in bucket_starts(ids, bucket).view("datetime64[us]").astype(f"datetime64[{unit}]")]


def bucket_range(first: int, last: int, bucket: Bucket) -> tuple[int, int]:
    """Buckets of the first and the last instant, in microseconds."""
    low, high = bucket_ids(np.array([first, last], np.int64), bucket)
    return int(low), int(high)


def choose_bucket(first: int, last: int, most: int) -> Bucket:
    """The finest bucket that cuts the span into at most `most`; years where none does."""
    for bucket in BUCKETS:
        low, high = bucket_range(first, last, bucket)
        if high - low < most:
            return bucket
    return "year"


def weekdays(at: IntArray) -> IntArray:
    """Day of the week, Monday 0."""
    return (at // MICROS_A_DAY + _MONDAY_SHIFT) % 7


def hours(at: IntArray) -> IntArray:
    """Hour of the day."""
    return at // _FIXED["hour"] % 24
