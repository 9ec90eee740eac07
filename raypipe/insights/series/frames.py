"""Time series of a frame from Python: rows by steps of time, and the whole analysis of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars, to_polars
from raypipe.blocks.groups import Wanted
from raypipe.blocks.table import finish, merge, summarise
from raypipe.config.insights.series import SeriesConfig
from raypipe.engine.frame import Frame
from raypipe.engine.localframe import as_frame
from raypipe.errors import ConfigError, SchemaError
from raypipe.insights.calendar import Bucket, bucket_ids, bucket_starts, is_calendar, to_local
from raypipe.insights.cells import times_of
from raypipe.insights.series.measure import measure_series
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.timeline import plan_timeline
from raypipe.stage import require


def resample(
    rows: Any, time_column: str, every: Bucket, wanted: Mapping[str, Wanted] | None = None, zone: str | None = None
) -> Frame:
    """One row a bucket of time that has rows, in order of time; the rows are grouped where they lie.

    Parameters
    ----------
    rows : Frame, or anything that `as_frame` takes
        On Ray, its workers do the work, and the driver holds none of the rows.
    every : {"minute", "hour", "day", "week", "month", "quarter", "year"}
        Buckets of the calendar; weeks begin on Monday. The result names each by its start, in `time_column`: a
        timestamp without a zone, as the clocks of the zone show it. Rows without a time are one last bucket.
    wanted : mapping, optional
        As for `Frame.group_by(…).agg`; by default the number of rows, as `rows`.
    zone : str, optional
        Whose calendar days follow; by default that of the column's type, or UTC.

    Raises
    ------
    ConfigError, MissingColumnsError, SchemaError
        If `every` is no bucket, or the column is not there or holds no times.
    """
    frame = as_frame(rows)
    require(frame.schema, time_column, by="resample")
    kind = frame.schema.field(time_column).type
    if every not in get_args(Bucket):
        raise ConfigError(f"resample: got every={every!r}; wanted one of {', '.join(get_args(Bucket))}")
    if not is_calendar(kind):
        raise SchemaError(
            f"resample: column {time_column!r} has type {kind}, wanted a date or a timestamp; cast it first"
        )
    place = _Place(time_column, every, zone or getattr(kind, "tz", None) or "UTC")
    groups = frame.map_blocks(place).group_by(time_column)
    return groups.agg(wanted or {"rows": "rows"})


@dataclass(frozen=True)
class _Place:
    """Writes the start of its bucket in place of each time."""

    column: str
    every: Bucket
    zone: str

    def __call__(self, block: pa.Table) -> pa.Table:
        times = times_of(block, self.column)
        at = np.ascontiguousarray(times.at)
        starts = bucket_starts(bucket_ids(to_local(at, self.zone), self.every), self.every)
        index = block.column_names.index(self.column)
        placed = pl.select(pl.when(pl.Series(times.known)).then(pl.Series(starts)).cast(pl.Datetime("us")).alias("at"))
        return block.set_column(index, self.column, from_polars(placed)["at"])


def analyse_series(
    rows: Any, time_column: str, target: str | None = None, settings: SeriesConfig | None = None
) -> SeriesReport | None:
    """What a run writes to `series.json`, of rows that are there already; their blocks are summed up one by one here.

    None where no row has a time.

    Raises
    ------
    MissingColumnsError, SchemaError
        If a column is not there, or the time column holds no times.
    """
    frame, settings = as_frame(rows), settings or SeriesConfig()
    require(frame.schema, time_column, *([target] if target else []), by="analyse_series")
    state = None
    for block in frame.iter_blocks():
        part = summarise(block)
        state = part if state is None else merge(state, part)
    profile = finish(state if state is not None else summarise(frame.schema.empty_table()))
    stage = plan_timeline(profile, frame.schema, time_column, target, settings)
    sums = None
    for number, block in enumerate(frame.iter_blocks()):
        partial = stage.partial(from_polars(to_polars(block)), str(number))
        sums = partial if sums is None else stage.merge(sums, partial)
    line = stage.finish(sums)
    return measure_series(line.course, settings) if line.course is not None else None
