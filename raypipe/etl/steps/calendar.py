"""Dates: read by a given format, taken apart, subtracted, and brought to one time zone."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import ClassVar, Literal

import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.kinds import is_time_zone
from raypipe.config.steps import (
    ConvertTimeZoneSettings,
    DateDifferenceSettings,
    DatePart,
    DatePartsSettings,
    Misfit,
    ParseDatesSettings,
)
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.steps.cells import ArrowType
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep
from raypipe.etl.steps.layouts import BY_NAME, read_dates
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.select import DATES, Accepts, check_type, is_date
from raypipe.etl.steps.step import cells_of
from raypipe.etl.wording import shown

DAY, MOMENT = pa.date32(), pa.timestamp("us")
READABLE = Accepts(lambda kind: is_text(kind) or is_date(kind), "text", "numbers become text by the step cast")
SECONDS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def _cycle(part: str, period: int, wave: str) -> Callable[[pl.Series], pl.Series]:
    def angle(cells: pl.Series) -> pl.Series:
        turned: pl.Series = getattr(cells.dt, part)().cast(pl.Float64) * (2 * math.pi / period)
        return turned.sin() if wave == "sin" else turned.cos()

    return angle


PARTS: dict[str, tuple[Callable[[pl.Series], pl.Series], pa.DataType]] = {
    "year": (lambda cells: cells.dt.year(), pa.int32()),
    "quarter": (lambda cells: cells.dt.quarter(), pa.int8()),
    "month": (lambda cells: cells.dt.month(), pa.int8()),
    "week": (lambda cells: cells.dt.week(), pa.int8()),
    "day": (lambda cells: cells.dt.day(), pa.int8()),
    "day_of_year": (lambda cells: cells.dt.ordinal_day(), pa.int16()),
    "weekday": (lambda cells: cells.dt.weekday(), pa.int8()),
    "hour": (lambda cells: cells.dt.hour(), pa.int8()),
    "minute": (lambda cells: cells.dt.minute(), pa.int8()),
    "is_weekend": (lambda cells: cells.dt.weekday() > 5, pa.bool_()),
    "is_month_end": (lambda cells: cells.dt.date() == cells.dt.date().dt.month_end(), pa.bool_()),
    **{
        f"{part}_{wave}": (_cycle(part, period, wave), pa.float64())
        for part, period in (("month", 12), ("weekday", 7), ("hour", 24))
        for wave in ("sin", "cos")
    },
}
"""Part of a date -> how it is found, and its type. Times with a zone are taken apart in that zone."""


class DateParts(EditStep):
    """Add `<column>_<part>` with parts of dates."""

    kind: Literal["date_parts"] = "date_parts"
    rewrites: ClassVar[bool] = True
    columns: tuple[str, ...]
    parts: tuple[DatePart, ...]
    holidays: tuple[dt.date, ...] = ()
    replace_column: bool = False

    @property
    def touched(self) -> tuple[str, ...]:
        return (*(f"{name}_{part}" for name in self.columns for part in self.parts), *self.gone())

    def inputs(self) -> tuple[str, ...]:
        return self.columns

    def gone(self) -> tuple[str, ...]:
        return self.columns if self.replace_column else ()

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        kinds = {part: PARTS[part][1] if part in PARTS else pa.bool_() for part in self.parts}
        return {f"{name}_{part}": kinds[part] for name in self.columns for part in self.parts}

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for name in self.columns:
            cells = cells_of(block, name)
            cells = cells.cast(pl.Datetime("us")) if cells.dtype == pl.Date else cells
            for part in self.parts:
                if part == "is_business_day":
                    made.columns[f"{name}_{part}"] = cells.dt.date().dt.is_business_day(holidays=list(self.holidays))
                else:
                    made.columns[f"{name}_{part}"] = PARTS[part][0](cells)
        return made


class DateDifference(EditStep):
    """Add a column with the time from one date column to another."""

    kind: Literal["date_difference"] = "date_difference"
    rewrites: ClassVar[bool] = True
    start: str
    end: str
    unit: Literal["days", "hours", "minutes", "seconds", "business_days"]
    into: str

    @property
    def touched(self) -> tuple[str, ...]:
        return (self.into,)

    def inputs(self) -> tuple[str, ...]:
        return (self.start, self.end)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {self.into: pa.int64() if self.unit == "business_days" else pa.float64()}

    def edit(self, block: pa.Table) -> Edits:
        start, end = cells_of(block, self.start), cells_of(block, self.end)
        if self.unit == "business_days":
            days = pl.DataFrame([start.dt.date().alias("a"), end.dt.date().alias("b")])
            return Edits({self.into: days.select(pl.business_day_count("a", "b").cast(pl.Int64)).to_series().alias("")})
        gap = (_moment(end) - _moment(start)).dt.total_microseconds().cast(pl.Float64)
        return Edits({self.into: gap / 1e6 / SECONDS[self.unit]})


def _moment(cells: pl.Series) -> pl.Series:
    """Microseconds, of which dates are the midnights; times with a zone count in UTC."""
    zone = getattr(cells.dtype, "time_zone", None)
    return cells.cast(pl.Datetime("us", zone)).dt.convert_time_zone("UTC") if zone else cells.cast(pl.Datetime("us"))


class ConvertTimeZone(EditStep):
    """Bring times to one time zone."""

    kind: Literal["convert_time_zone"] = "convert_time_zone"
    rewrites: ClassVar[bool] = True
    undoes: ClassVar[bool] = True
    columns: tuple[tuple[str, ArrowType], ...]
    """(column, its type before)."""
    to: str
    source: str | None

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.columns)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {name: pa.timestamp(kind.unit, self.to) for name, kind in self.columns}

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for name, kind in self.columns:
            cells = cells_of(block, name)
            if kind.tz is None:
                assert self.source is not None
                zoned = cells.dt.replace_time_zone(self.source, ambiguous="earliest", non_existent="null")
                made.nulled[name] = zoned.null_count() - cells.null_count()
                cells = zoned
            made.columns[name] = cells.dt.convert_time_zone(self.to)
        return made

    def undo(self, table: pa.Table) -> pa.Table:
        for name, kind in self.columns:
            index = table.schema.get_field_index(name)
            if index < 0:
                continue
            cells = cells_of(table, name).dt.convert_time_zone(kind.tz or self.source or "UTC")
            cells = cells if kind.tz is not None else cells.dt.replace_time_zone(None)
            table = table.set_column(index, pa.field(name, kind), cells.to_arrow().cast(kind))
        return table


class ReadDates(EditStep):
    """Turn text into dates by a given format."""

    kind: Literal["parse_dates"] = "parse_dates"
    rewrites: ClassVar[bool] = True
    columns: tuple[str, ...]
    format: str
    to: Literal["date", "datetime"]
    on_misfit: Misfit

    @property
    def touched(self) -> tuple[str, ...]:
        return self.columns

    @property
    def type(self) -> pa.DataType:
        """Of the columns afterwards."""
        if self.to == "date":
            return DAY
        zoned = BY_NAME[self.format].zoned if self.format in BY_NAME else "%z" in self.format
        return pa.timestamp("us", "UTC") if zoned else MOMENT

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.columns, self.type)

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for name in self.columns:
            texts = cells_of(block, name).cast(pl.String).str.strip_chars()
            texts = texts.set((texts == "").fill_null(False), None)
            moments = self._read(texts)
            bad = texts.is_not_null() & moments.is_null()
            if bad.any() and self.on_misfit == "quarantine":
                made.aside[name] = bad, f"is no date written as {self.format}"
            elif bad.any():
                made.nulled[name] = int(bad.sum())
            made.columns[name] = moments
        return made

    def _read(self, texts: pl.Series) -> pl.Series:
        if self.format in BY_NAME:
            moments = read_dates(texts, BY_NAME[self.format])
        elif any(mark in self.format for mark in ("%H", "%I", "%T", "%R", "%s", "%X")):
            moments = texts.str.to_datetime(self.format, strict=False, exact=True, time_unit="us")
        else:
            moments = texts.str.to_date(self.format, strict=False, exact=True).cast(pl.Datetime("us"))
        return moments.cast(pl.Date) if self.to == "date" else moments


# ---- fitting --------------------------------------------------------------------------------------------------------


def _fit_parts(settings: DatePartsSettings, place: Place) -> FittedStep:
    try:
        holidays = tuple(dt.date.fromisoformat(day) for day in settings.holidays)
    except ValueError as error:
        raise place.fail(f"holidays: {error}; write days as 2025-12-25") from None
    step = DateParts(
        label=place.label, columns=place.columns, parts=tuple(dict.fromkeys(settings.parts)), holidays=holidays,
        replace_column=settings.replace_column,
    )  # fmt: skip
    place.refuse_taken(*(name for name in step.touched if name not in step.gone()))
    return step


def _fit_difference(settings: DateDifferenceSettings, place: Place) -> FittedStep:
    zones = []
    for name in (settings.start, settings.end):
        check_type(place.schema, name, DATES, f"step {place.label}")
        kind = place.kind(name)
        zones.append(pt.is_timestamp(kind) and kind.tz is not None)
    if zones[0] != zones[1] and settings.unit != "business_days":
        raise place.fail("one of start and end has a time zone and the other has none; use convert_time_zone first")
    place.refuse_taken(settings.into)
    return DateDifference(
        label=place.label, start=settings.start, end=settings.end, unit=settings.unit, into=settings.into
    )


def _fit_zone(settings: ConvertTimeZoneSettings, place: Place) -> FittedStep:
    for zone in (settings.to, settings.source):
        if zone is not None and not is_time_zone(zone):
            raise place.fail(f"there is no time zone {shown(zone)}; wanted a name such as Europe/Rome or UTC")
    columns = []
    for name in place.columns:
        kind = place.kind(name)
        if not pt.is_timestamp(kind):
            raise place.fail(f"column {name!r} is {kind}, which has no time of day; use a column of times")
        if kind.tz is None and settings.source is None:
            raise place.fail(f"the times of column {name!r} have no zone; say with `source` which one they are in")
        columns.append((name, kind))
    return ConvertTimeZone(label=place.label, columns=tuple(columns), to=settings.to, source=settings.source)


def _fit_read(settings: ParseDatesSettings, place: Place) -> FittedStep:
    if settings.format not in BY_NAME:
        _check_format(settings.format, place)
    dates = {name: "it holds dates already" for name in place.columns if is_date(place.kind(name))}
    columns = tuple(name for name in place.columns if name not in dates)
    return ReadDates(
        label=place.label, columns=columns, format=settings.format, to=settings.to, on_misfit=settings.on_misfit,
        notes=dates,
    )  # fmt: skip


def _check_format(form: str, place: Place) -> None:
    if "%" not in form:
        raise place.fail(f"format {shown(form)} is none of {', '.join(BY_NAME)}, nor directives such as %d.%m.%Y")
    if not any(year in form for year in ("%Y", "%y", "%F", "%D", "%s", "%c", "%G")):
        raise place.fail(f"format {shown(form)} has no year (%Y or %y), so that it names no day")


RECIPES: dict[str, Recipe] = {
    "parse_dates": Recipe(
        learn=_fit_read,
        accepts=lambda settings: READABLE,
        reshapes=True,
        drops_rows=lambda settings: settings.on_misfit == "quarantine",
    ),
    "date_parts": Recipe(
        learn=_fit_parts,
        accepts=lambda settings: DATES,
        reshapes=True,
        touches=lambda settings, place: place.columns if settings.replace_column else (),
    ),
    "date_difference": Recipe(
        learn=_fit_difference, reads=lambda settings, place: (settings.start, settings.end), reshapes=True
    ),
    "convert_time_zone": Recipe(undone=True, learn=_fit_zone, accepts=lambda settings: DATES, reshapes=True),
}
FITTED: tuple[type[FittedStep], ...] = (ReadDates, DateParts, DateDifference, ConvertTimeZone)
