"""The table over its time column: planned from the profile, added up in whole buckets of UTC time, then measured."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from raypipe.blocks.profile import ColumnProfile, NumberSummary, Profile
from raypipe.config import Frozen
from raypipe.config.insights.series import SeriesConfig
from raypipe.errors import SchemaError
from raypipe.insights.bins import center_and_scale
from raypipe.insights.buckets import describe_course
from raypipe.insights.calendar import (
    BUCKETS,
    Bucket,
    bucket_ids,
    bucket_range,
    choose_bucket,
    is_calendar,
    to_local,
    to_micros,
)
from raypipe.insights.cells import numbers_of, picked, times_of
from raypipe.insights.course_sums import CourseSums, Instants, by_key, by_week_hour, is_clock
from raypipe.insights.facts import names_things
from raypipe.insights.models import Timeline
from raypipe.insights.relation_sums import standardise
from raypipe.stage import ReduceStage, require

MAX_BUCKETS = 400
MAX_FINE = 10_000
"""Buckets that are added up at most: hours of a year, days of 27 years."""
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


class CourseOverTime(ReduceStage):
    """Follow rows and number columns over the time column; built by `plan_timeline`.

    Buckets up to hours lie on whole units of UTC time, those from days on in the calendar of `zone`; weeks begin on
    Monday. A summary holds only buckets that it saw.
    """

    column: str
    bucket: Bucket = "day"
    """Unit of the timeline."""
    fine: Bucket = "day"
    """Unit that is added up, of which `bucket` is a multiple."""
    zone: str = "UTC"
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
    left_out: int = 0
    """Number columns that could be followed, but for the limit on their number."""

    @property
    def reads(self) -> frozenset[str]:
        return frozenset((self.column, *(series.column for series in self.series)))

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, self.column, *(series.column for series in self.series), by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> CourseSums:
        times = times_of(block, self.column)
        inside = times.known & (times.at >= self.start) & (times.at <= self.end)
        rows = None if inside.all() else inside
        numbers = [picked(numbers_of(block, s.column).values, rows) for s in self.series]
        values = [standardise(x, s.center, s.scale) for x, s in zip(numbers, self.series, strict=True)]
        at = picked(times.at, rows)
        local = to_local(at, self.zone)
        ids, sums = by_key(bucket_ids(at if is_clock(self.fine) else local, self.fine), values)
        return CourseSums(
            ids=ids,
            sums=sums,
            week_hours=by_week_hour(local, values[0] if self.target else np.full(len(at), np.nan)),
            instants=Instants.of(at),
            outside=int(times.known.sum() - len(at)),
            unknown=int(len(times.known) - times.known.sum()),
        )

    def merge(self, a: CourseSums, b: CourseSums) -> CourseSums:
        return a.add(b)

    def finish(self, state: CourseSums | None) -> Timeline:
        if state is None or not len(state.ids):
            empty = Timeline(column=self.column, bucket=self.bucket, first="", last="", points=(), gaps=0)
            return empty.replace(outside=state.outside, unknown=state.unknown) if state else empty
        return describe_course(self, state)


def plan_timeline(
    profile: Profile,
    schema: pa.Schema,
    time_column: str,
    target: str | None = None,
    settings: SeriesConfig | None = None,
) -> CourseOverTime:
    """The stage that follows the table over `time_column`, in the finest unit that gives at most 400 buckets.

    Up to eight number columns are followed (`max_columns`): the target first, then those that correlate most with it.
    Constants, numbers that name things, and columns that only repeat a part of the time (month, hour), are left out.

    Raises
    ------
    MissingColumnsError
        If there is no such time column (or target).
    SchemaError
        If the column does not hold times.
    """
    settings = settings or SeriesConfig()
    require(schema, *([time_column, target] if target else [time_column]), by="timeline")
    kind = schema.field(time_column).type
    if not is_calendar(kind):
        raise SchemaError(_advice(time_column, kind))
    names = [column.name for column in profile.columns]
    candidates = _choose_series(profile, schema, time_column, target)
    series = candidates[: settings.max_columns]
    plan = CourseOverTime(
        column=time_column,
        series=series,
        target=target if series and series[0].column == target else None,
        has_hours=bool(pa.types.is_timestamp(kind)),
        zone=settings.time_zone or getattr(kind, "tz", None) or "UTC",
        left_out=len(candidates) - len(series),
    )
    window = _window(profile.column(time_column).number if time_column in names else None)
    return plan if window is None else _placed(plan, *window)


def _placed(plan: CourseOverTime, start: int, end: int) -> CourseOverTime:
    """The plan with its units and the buckets between two instants."""
    bucket, fine = choose_bucket(start, end, MAX_BUCKETS), choose_bucket(start, end, MAX_FINE)
    if not plan.has_hours:
        bucket, fine = (max(unit, "day", key=BUCKETS.index) for unit in (bucket, fine))
    if fine == "week":  # weeks do not make up months
        fine = "day" if bucket == "week" else "month"
    low, high = (start, end) if is_clock(bucket) else to_local(np.array([start, end]), plan.zone).tolist()
    first, last = bucket_range(low, high, bucket)
    return plan.replace(bucket=bucket, fine=fine, first=first, last=last, start=start, end=end)


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
    return tuple(chosen)


def _follows(column: ColumnProfile, number: NumberSummary, target: str | None) -> bool:
    """Whether the course of this number over time can say anything."""
    if number.finite == 0:
        return False
    varies = number.min != number.max and not _CALENDAR_PART.search(column.name)
    return column.name == target or (varies and not names_things(column))


def _strengths(profile: Profile, target: str | None) -> dict[str, float]:
    """|r| with the target, by column."""
    columns = profile.correlation.columns
    if target not in columns:
        return {}
    row = profile.correlation.r[columns.index(target)]
    return {column: abs(r or 0.0) for column, r in zip(columns, row, strict=True)}
