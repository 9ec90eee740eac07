"""Dates and times, row by row. Times without a zone are taken as they stand; "now" is the moment the run began."""

from __future__ import annotations

import datetime as dt
from typing import Literal, Self

import polars as pl
import pyarrow.types as pt
from pydantic import model_validator

from raypipe.etl.rules.cells import Cell, Cells, UnfitError
from raypipe.etl.rules.comparing import time_cell
from raypipe.etl.rules.rule import RowRule

SATURDAY = 6


def fixed(moment: dt.datetime | None) -> dt.datetime:
    """The moment in UTC, without zone; now, where a rule was not told which."""
    moment = dt.datetime.now(dt.UTC) if moment is None else moment
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment


class NotInFuture(RowRule):
    """Dates and times are not after now; times without a zone are taken for UTC."""

    GROUP = "dates"
    rule: Literal["not_in_future"] = "not_in_future"
    as_of: dt.datetime | None = None
    """What counts as now; left out, the moment the run began."""

    @property
    def wanted(self) -> str:
        return "no time in the future"

    def breaks(self, cells: Cells) -> pl.Expr:
        cell, now = cells[self.columns[0]], fixed(self.as_of)
        time = time_cell(cell)
        if pt.is_date(cell.kind):
            return time > pl.lit(now.date())
        return _utc(cell, time) > pl.lit(now)


class NotWeekend(RowRule):
    """Dates and times fall on Monday to Friday, in the zone of the column."""

    GROUP = "dates"
    rule: Literal["not_weekend"] = "not_weekend"

    @property
    def wanted(self) -> str:
        return "a day from Monday to Friday"

    def breaks(self, cells: Cells) -> pl.Expr:
        return time_cell(cells[self.columns[0]]).dt.weekday() >= SATURDAY


class BusinessHours(RowRule):
    """Times fall between two hours of the day, in the zone of the column; the end does not count."""

    GROUP = "dates"
    rule: Literal["business_hours"] = "business_hours"
    start: dt.time = dt.time(9)
    end: dt.time = dt.time(17)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self

    @property
    def wanted(self) -> str:
        return f"a time from {self.start:%H:%M} to {self.end:%H:%M}"

    def breaks(self, cells: Cells) -> pl.Expr:
        cell = cells[self.columns[0]]
        time = time_cell(cell)
        if pt.is_date(cell.kind):
            raise UnfitError("holds dates, and the rule needs times of the day")
        clock = time.dt.time()
        return (clock < pl.lit(self.start)) | (clock >= pl.lit(self.end))


class DatesInOrder(RowRule):
    """The dates of the columns come one after the other, or at the same time; nulls are passed over."""

    GROUP = "dates"
    EACH = False
    LEAST = 2
    rule: Literal["dates_in_order"] = "dates_in_order"

    @property
    def wanted(self) -> str:
        return "dates in this order"

    def breaks(self, cells: Cells) -> pl.Expr:
        moments = []
        for name in self.columns:
            cell = cells[name]
            time = time_cell(cell)
            moments.append(time.cast(pl.Datetime("us")) if pt.is_date(cell.kind) else _utc(cell, time))
        latest, late = moments[0], pl.lit(False)
        for moment in moments[1:]:
            late = late | (moment < latest).fill_null(False)
            latest = pl.max_horizontal(latest, moment)
        return late


def _utc(cell: Cell, time: pl.Expr) -> pl.Expr:
    """The time in UTC without its zone, in microseconds."""
    if pt.is_timestamp(cell.kind) and cell.kind.tz is not None:
        time = time.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return time.cast(pl.Datetime("us"))


RULES = (NotInFuture, NotWeekend, BusinessHours, DatesInOrder)
