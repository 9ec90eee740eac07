"""The table over its time column: planned from the profile, added up in whole buckets of UTC time, then measured."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.blocks.profile import ColumnProfile, NumberSummary, Profile
from raypipe.config import Frozen
from raypipe.errors import SchemaError
from raypipe.insights.bins import center_and_scale
from raypipe.insights.calendar import (
    MICROS_A_DAY,
    Bucket,
    IntArray,
    bucket_ids,
    bucket_range,
    choose_bucket,
    hours,
    is_calendar,
    micros,
    to_micros,
    weekdays,
)
from raypipe.insights.models import Timeline
from raypipe.insights.relation_sums import numbers_of, series_of, standardise
from raypipe.insights.trends import describe_course
from raypipe.stage import ReduceStage, require

FloatArray = NDArray[np.float64]
MAX_BUCKETS = 400
MAX_SERIES = 8
MAX_DAILY = 4_000
"""Days up to which rows and target are also kept by day, so that weekdays can be compared with days as observations."""
FAR_FACTOR = 20
"""An axis this many times longer than the span of the middle 98 % of rows is cut: 9999-12-31 is no date of the data."""
_CALENDAR_PART = re.compile(
    r"(^|_|\b)(year|quarter|month|week|weekday|day|dow|hour|minute|second)s?($|_|\b)", re.IGNORECASE
)


class SeriesPlan(Frozen):
    """A number column followed over time."""

    column: str
    center: float = 0.0
    scale: float = 1.0
    """Values are added up as (value - center) / scale."""


@dataclass
class CourseSums:
    """One summary: whole buckets by number, ascending, and what fell into them."""

    ids: IntArray
    """Buckets with rows."""
    sums: FloatArray
    """Of shape (buckets, 1 + 2 series): rows, then finite values and their sum for each series."""
    days: IntArray
    daily: FloatArray
    """Of shape (days, 3): rows, target values and their sum; empty where the span is too long."""
    week_hours: FloatArray
    """Of shape (168, 4): rows, target values, their sum and sum of squares, by hour of the week from Monday 00:00."""
    outside: int = 0
    unknown: int = 0


class CourseOverTime(ReduceStage):
    """Follow rows and number columns over the time column; built by `plan_timeline`.

    Buckets lie on whole units of UTC time, weeks begin on Monday. A summary holds only buckets that it saw.
    """

    column: str
    bucket: Bucket = "day"
    first: int = 0
    last: int = -1
    """First and last bucket, as numbers from 1970-01-01; none where the column has no time at all."""
    start: int = 0
    end: int = -1
    """First and last instant, in microseconds; rows outside are counted, not placed."""
    series: tuple[SeriesPlan, ...] = ()
    target: str | None = None
    """The target, where it is the first of `series`."""
    has_hours: bool = True
    keep_daily: bool = True

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, self.column, *(series.column for series in self.series), by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> CourseSums:
        at, known = micros(series_of(block, self.column))
        inside = known & (at >= self.start) & (at <= self.end)
        values = [standardise(numbers_of(block, s.column), s.center, s.scale)[inside] for s in self.series]
        at = at[inside]
        target = values[0] if self.target else np.full(len(at), np.nan)
        ids, sums = _by_key(bucket_ids(at, self.bucket), values)
        kept = len(at) if self.keep_daily else 0
        days, daily = _by_key(at[:kept] // MICROS_A_DAY, [target[:kept]])
        return CourseSums(
            ids=ids,
            sums=sums,
            days=days,
            daily=daily,
            week_hours=_by_week_hour(at, target),
            outside=int(known.sum() - inside.sum()),
            unknown=int(len(known) - known.sum()),
        )

    def merge(self, a: CourseSums, b: CourseSums) -> CourseSums:
        ids, sums = _add_keyed(a.ids, a.sums, b.ids, b.sums)
        days, daily = _add_keyed(a.days, a.daily, b.days, b.daily)
        return CourseSums(
            ids, sums, days, daily, a.week_hours + b.week_hours, a.outside + b.outside, a.unknown + b.unknown
        )

    def finish(self, state: CourseSums | None) -> Timeline:
        if state is None or not len(state.ids):
            empty = Timeline(column=self.column, bucket=self.bucket, first="", last="", points=(), gaps=0)
            return empty.replace(outside=state.outside, unknown=state.unknown) if state else empty
        return describe_course(self, state)


def _by_key(keys: IntArray, values: list[FloatArray]) -> tuple[IntArray, FloatArray]:
    """Rows, and finite values and their sum for each of `values`, by key."""
    if not len(keys):
        return np.zeros(0, np.int64), np.zeros((0, 1 + 2 * len(values)))
    low = int(keys.min())
    codes = keys - low
    columns = [np.bincount(codes).astype(float)]
    for value in values:
        finite = np.isfinite(value)
        columns += [
            np.bincount(codes[finite], minlength=len(columns[0])).astype(float),
            np.bincount(codes[finite], value[finite], len(columns[0])),
        ]
    table = np.stack(columns, axis=1)
    seen = np.flatnonzero(table[:, 0])
    return seen + low, table[seen]


def _by_week_hour(at: IntArray, target: FloatArray) -> FloatArray:
    codes = weekdays(at) * 24 + hours(at)
    finite = np.isfinite(target)
    known, values = codes[finite], target[finite]
    columns = (
        np.bincount(codes, minlength=168),
        np.bincount(known, minlength=168),
        np.bincount(known, values, 168),
        np.bincount(known, values * values, 168),
    )
    return np.stack([column.astype(float) for column in columns], axis=1)


def _add_keyed(a: IntArray, x: FloatArray, b: IntArray, y: FloatArray) -> tuple[IntArray, FloatArray]:
    """Tables of two sorted lists of keys, added up by key."""
    keys = np.union1d(a, b)
    out = np.zeros((len(keys), x.shape[1]))
    out[np.searchsorted(keys, a)] += x
    out[np.searchsorted(keys, b)] += y
    return keys, out


def plan_timeline(profile: Profile, schema: pa.Schema, time_column: str, target: str | None = None) -> CourseOverTime:
    """The stage that follows the table over `time_column`, in the finest unit that gives at most 400 buckets.

    Up to eight number columns are followed: the target first, then those that correlate most with it. Constants,
    and columns that only repeat a part of the time (month, hour), are left out.

    Raises
    ------
    MissingColumnsError
        If there is no such time column (or target).
    SchemaError
        If the column does not hold times.
    """
    require(schema, *([time_column, target] if target else [time_column]), by="timeline")
    kind = schema.field(time_column).type
    if not is_calendar(kind):
        raise SchemaError(_advice(time_column, kind))
    names = [column.name for column in profile.columns]
    number = profile.column(time_column).number if time_column in names else None
    series = _choose_series(profile, schema, time_column, target)
    followed = target if series and series[0].column == target else None
    has_hours = bool(pa.types.is_timestamp(kind))
    window = _window(number)
    if window is None:
        return CourseOverTime(column=time_column, series=series, target=followed, has_hours=has_hours)
    start, end = window
    bucket = choose_bucket(start, end, MAX_BUCKETS)
    if not has_hours and bucket in ("minute", "hour"):
        bucket = "day"
    first, last = bucket_range(start, end, bucket)
    return CourseOverTime(
        column=time_column,
        bucket=bucket,
        first=first,
        last=last,
        start=start,
        end=end,
        series=series,
        target=followed,
        has_hours=has_hours,
        keep_daily=(end - start) // MICROS_A_DAY < MAX_DAILY,
    )


def _advice(column: str, kind: pa.DataType) -> str:
    """What to do about a time column that holds no times."""
    start = f"timeline: column {column!r} has type {kind}, wanted a date or a timestamp. "
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return (
            start + f"If its texts are dates, set read_options.dtypes: {{{column}: datetime}} (rows that do not fit"
            " go to quarantine) or lower processing.min_date_share."
        )
    return start + "Build a date from it before the run, or name another time_column."


def _window(number: NumberSummary | None) -> tuple[int, int] | None:
    """First and last instant to show, in microseconds; far-off dates are cut off."""
    if number is None or number.min is None or number.max is None:
        return None
    low, high = number.min, number.max
    near, far = (number.quantiles.at(0.01), number.quantiles.at(0.99)) if number.quantiles else (None, None)
    if near is not None and far is not None and far > near and (high - low) > FAR_FACTOR * (far - near):
        reach = (far - near) / 2
        low, high = max(low, near - reach), min(high, far + reach)
    return to_micros(low), to_micros(high)


def _choose_series(profile: Profile, schema: pa.Schema, time_column: str, target: str | None) -> tuple[SeriesPlan, ...]:
    chosen: list[SeriesPlan] = []
    candidates = [column for column in profile.columns if column.name in schema.names and column.name != time_column]
    strength = _strengths(profile, target)
    for column in sorted(candidates, key=lambda c: (c.name != target, -strength.get(c.name, 0.0))):
        if column.name == target and column.kind == "boolean" and column.present:
            chosen.append(SeriesPlan(column=column.name))
        elif column.kind == "number" and column.number is not None and _follows(column, column.number, target):
            center, scale = center_and_scale(column.number)
            chosen.append(SeriesPlan(column=column.name, center=center, scale=scale))
    return tuple(chosen[:MAX_SERIES])


def _follows(column: ColumnProfile, number: NumberSummary, target: str | None) -> bool:
    """Whether the course of this number over time can say anything."""
    if number.finite == 0:
        return False
    return column.name == target or (number.min != number.max and not _CALENDAR_PART.search(column.name))


def _strengths(profile: Profile, target: str | None) -> dict[str, float]:
    """|r| with the target, by column."""
    columns = profile.correlation.columns
    if target not in columns:
        return {}
    row = profile.correlation.r[columns.index(target)]
    return {column: abs(r or 0.0) for column, r in zip(columns, row, strict=True)}
