"""From bucket sums to a timeline: every bucket, and what falls on each hour of the day and day of the week."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raypipe.insights.calendar import bucket_labels
from raypipe.insights.course_sums import Course
from raypipe.insights.models import Timeline, TimePoint

if TYPE_CHECKING:
    from raypipe.insights.course_sums import CourseSums
    from raypipe.insights.timeline import CourseOverTime

FloatArray = NDArray[np.float64]


def describe_course(stage: CourseOverTime, sums: CourseSums) -> Timeline:
    """The timeline of a summary that saw at least one row."""
    seen, at_unit = sums.at(stage.fine, stage.bucket, stage.zone)
    first, last = int(min(stage.first, seen[0])), int(max(stage.last, seen[-1]))
    ids = np.arange(first, last + 1, dtype=np.int64)
    table = np.zeros((len(ids), at_unit.shape[1]))
    table[seen - first] = at_unit
    labels = bucket_labels(ids, stage.bucket)
    means = _means(stage, table)
    return Timeline(
        column=stage.column,
        bucket=stage.bucket,
        first=labels[0],
        last=labels[-1],
        points=_points(stage, labels, table, means),
        gaps=int((table[:, 0] == 0).sum()),
        hourly_rows=tuple(_over_hours(sums, 0).astype(int).tolist()) if stage.has_hours else (),
        weekday_rows=tuple(_over_weekdays(sums, 0).astype(int).tolist()),
        hourly_target=_target_means(stage, _over_hours(sums, 1), _over_hours(sums, 2)) if stage.has_hours else (),
        weekday_target=_target_means(stage, _over_weekdays(sums, 1), _over_weekdays(sums, 2)),
        outside=sums.outside,
        unknown=sums.unknown,
        zone=stage.zone,
        course=Course(stage, sums),
    )


def _means(stage: CourseOverTime, table: FloatArray) -> FloatArray:
    """Mean of each series in each bucket, NaN without a value."""
    n, total = table[:, 1::3], table[:, 2::3]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scaled = total / n
        return np.array([s.center for s in stage.series]) + np.array([s.scale for s in stage.series]) * scaled


def _points(stage: CourseOverTime, labels: list[str], table: FloatArray, means: FloatArray) -> tuple[TimePoint, ...]:
    names = [series.column for series in stage.series]
    rows = table[:, 0].astype(int).tolist()
    known = [[value if math.isfinite(value) else None for value in values] for values in means.tolist()]
    return tuple(
        TimePoint(start=label, rows=n, means=dict(zip(names, values, strict=True)))
        for label, n, values in zip(labels, rows, known, strict=True)
    )


def _over_hours(sums: CourseSums, figure: int) -> FloatArray:
    return np.asarray(sums.week_hours[:, figure].reshape(7, 24).sum(axis=0))


def _over_weekdays(sums: CourseSums, figure: int) -> FloatArray:
    return np.asarray(sums.week_hours[:, figure].reshape(7, 24).sum(axis=1))


def _target_means(stage: CourseOverTime, n: FloatArray, total: FloatArray) -> tuple[float | None, ...]:
    if stage.target is None:
        return ()
    goal = stage.series[0]
    pairs = zip(total.tolist(), n.tolist(), strict=True)
    return tuple(goal.center + goal.scale * t / k if k else None for t, k in pairs)
