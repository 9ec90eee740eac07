"""The ways of writing a date that raypipe knows, and reading text by one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

DateKind = Literal["date", "datetime", "datetime_utc"]
LayoutName = Literal[
    "YYYY-MM-DD", "YYYY-MM-DD with time zone", "YYYY/MM/DD", "DD/MM/YYYY", "MM/DD/YYYY", "DD.MM.YYYY", "DD-Mon-YYYY"
]

_TIME = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6}0{0,3})?)?"
_ZONE = r" ?(?:Z|[+-](?:0\d|1[0-4]):?[0-5]\d)"
MIN_BYTES = 8
"""Length of 1/1/2024, the shortest date."""
MAX_BYTES = 64
"""Longer text, white space around it included, is not looked at."""


@dataclass(frozen=True)
class Layout:
    """One way of writing dates; each may carry a time of day."""

    name: LayoutName
    pattern: str
    """Of the whole value, time of day included."""
    date: str
    """The date's strptime directives."""
    zoned: bool = False


def _layout(name: LayoutName, pattern: str, date: str, separator: str = " ") -> Layout:
    return Layout(name, rf"\A{pattern}(?:{separator}{_TIME})?\z", date)


_ISO = r"\d{4}-\d{1,2}-\d{1,2}"
_MONTHS = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
LAYOUTS: tuple[Layout, ...] = (
    _layout("YYYY-MM-DD", _ISO, "%Y-%m-%d", "[T ]"),
    Layout("YYYY-MM-DD with time zone", rf"\A{_ISO}[T ]{_TIME}{_ZONE}\z", "%Y-%m-%d", zoned=True),
    _layout("YYYY/MM/DD", r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    _layout("DD/MM/YYYY", r"\d{1,2}/\d{1,2}/\d{4}", "%d/%m/%Y"),
    _layout("MM/DD/YYYY", r"\d{1,2}/\d{1,2}/\d{4}", "%m/%d/%Y"),
    _layout("DD.MM.YYYY", r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),
    _layout("DD-Mon-YYYY", rf"\d{{1,2}}-{_MONTHS}-\d{{4}}", "%d-%b-%Y"),
)
"""Years have four digits; fractions of a second up to six (further zeros may follow); zones are hours and minutes
east of Greenwich, or Z."""

TAILS = ("", " %H:%M:%S", " %H:%M:%S%.f", " %H:%M")
ZONED_TAILS = (" %H:%M:%S%z", " %H:%M:%S%.f%z", " %H:%M%z")
"""What may follow the date, as strptime directives."""

BY_NAME = {layout.name: layout for layout in LAYOUTS}

BY_PATTERN = {
    pattern: tuple(layout for layout in LAYOUTS if layout.pattern == pattern)
    for pattern in dict.fromkeys(layout.pattern for layout in LAYOUTS)
}
"""Layouts that look alike under one pattern; no value fits two patterns."""


def read_dates(cells: pl.Series, layout: Layout) -> pl.Series:
    """Moments in microseconds (UTC where the layout has a zone); null where a value does not follow the layout.

    Parameters
    ----------
    cells : pl.Series
        Text without white space around it.
    layout : Layout
        The one way of writing that counts.
    """
    kind = pl.Datetime("us", "UTC" if layout.zoned else None)
    fits = cells.str.contains(layout.pattern).fill_null(False)
    if not fits.any():
        return pl.Series("", [], dtype=kind).extend_constant(None, len(cells))
    if fits.all():
        return _parse(cells, layout).cast(kind)
    moments = pl.Series("", [], dtype=kind).extend_constant(None, len(cells))
    return moments.scatter(fits.arg_true(), _parse(cells.filter(fits), layout).cast(kind))


def _parse(cells: pl.Series, layout: Layout) -> pl.Series:
    """Moments of values that look as the layout wants, null where there is no such day."""
    if layout.zoned:
        for mark in ("Z", "+", "-"):
            cells = cells.str.replace(f" {mark}", mark, literal=True)
        cells = cells.str.replace("Z", "+00:00", literal=True)
    if layout.name.startswith("YYYY-MM-DD"):
        cells = cells.str.replace("T", " ", literal=True)
    tails = sorted(ZONED_TAILS if layout.zoned else TAILS, key=_unlike(str(cells[0])))
    moments = _strptime(cells, layout.date + tails[0])
    for tail in tails[1:]:
        left = moments.is_null()
        if not left.any():
            break
        moments = moments.scatter(left.arg_true(), _strptime(cells.filter(left), layout.date + tail))
    sane = moments.dt.year().is_between(1, 9999)
    return moments if sane.all() else moments.set(~sane, None)


def _strptime(cells: pl.Series, directives: str) -> pl.Series:
    return cells.str.to_datetime(directives, strict=False, exact=True, time_unit="us")


def _unlike(example: str) -> Callable[[str], bool]:
    """Sorts the directives first that are likely to read the example; no two read the same value."""
    colons = example.split("+")[0].count(":")
    return lambda tail: tail.count(":") != colons or ("%.f" in tail) != ("." in example[10:])


def as_kind(moments: pl.Series, kind: DateKind) -> pl.Series:
    """The moments as dates, or as they are."""
    return moments.cast(pl.Date) if kind == "date" else moments
