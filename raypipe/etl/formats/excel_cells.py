"""What a cell of a workbook says, as text: the form in which the types of columns are found, as for text files.

Numbers stand in their shortest exact form, whole ones without a point; dates as ISO says, times of day as HH:MM:SS,
durations as H:MM:SS, booleans as TRUE and FALSE. A number of days that is no date (day 60 of 1900, which never was)
becomes a text that no date is, so that it goes where every cell goes that does not fit its column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
import polars as pl

Style = Literal["number", "date", "datetime", "time", "duration"]
"""What the number format of a cell makes of its number."""
NUMBER, DATE, DATETIME, TIME, DURATION, TEXT, BOOLEAN, ERROR = range(8)
STYLES: Mapping[Style, int] = {"number": NUMBER, "date": DATE, "datetime": DATETIME, "time": TIME, "duration": DURATION}
"""Style -> class of a cell; the others are text, booleans and errors."""
EMPTY_CELLS = pl.DataFrame(schema={"row": pl.Int64, "col": pl.Int32, "kind": pl.Int8, "text": pl.String})
"""Cells of a sheet: row and column from 0, class, text."""

_PLAIN_INTEGER = r"^-?(0|[1-9]\d{0,14})$"
_EXACT = 2.0**53
_LAST_DAY = 2_958_466
"""The day after 9999-12-31."""
_DAYS_TO_1904 = 1462
_DAYS_TO_1970 = 25_569
_LEAP_THAT_NEVER_WAS = 60
_MS_A_DAY = 86_400_000
_BUILT_IN: dict[int, Style] = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 34, 35, 36, *range(50, 59)), "date"),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), "time"),
    22: "datetime",
    46: "duration",
}
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)


def style_of(number: int, code: str | None) -> Style:
    """What a number format shows.

    Parameters
    ----------
    number : int
        Id of the format; ids below 164 are built in.
    code : str, optional
        Its code, where the workbook gives one.

    Examples
    --------
    >>> style_of(14, None), style_of(164, "yyyy-mm-dd hh:mm"), style_of(164, "[h]:mm"), style_of(164, '0 "day"')
    ('date', 'datetime', 'duration', 'number')
    """
    if code is None:
        return _BUILT_IN.get(number, "number")
    section = _NOT_CODE.sub("", code).split(";")[0].lower()
    if "[" in section:
        return "duration"
    if "general" in section:
        return "number"
    clock = bool(re.search(r"[hs]|am/pm", section))
    day = bool(re.search(r"[yd]", section)) or ("m" in section and not clock)
    return "datetime" if day and clock else "date" if day else "time" if clock else "number"


def texts_of(cells: pl.DataFrame, date1904: bool) -> pl.DataFrame:
    """The cells with each number as the text that says what it shows; other cells stand as they are."""
    if not cells.height:
        return cells
    kinds = cells["kind"].to_numpy()
    texts = cells["text"]
    for kind in sorted(set(kinds[kinds <= DURATION].tolist())):
        where = np.flatnonzero(kinds == kind)
        every = where.size == kinds.size
        given = texts if every else texts.gather(where)
        found = numbers(given) if kind == NUMBER else serials(given, kind, date1904)
        texts = found if every else texts.scatter(where, found)
    return cells.with_columns(texts.alias("text"))


def numbers(texts: pl.Series) -> pl.Series:
    """Numbers as workbooks write them, in their shortest exact form; whole ones up to 2**53 without a point.

    Examples
    --------
    >>> numbers(pl.Series(["5.0", "1E3", "0.10000000000000001", "1e20"])).to_list()
    ['5', '1000', '0.1', '1e+20']
    """
    plain = texts.str.contains(_PLAIN_INTEGER) & (texts != "-0")
    if plain.all():
        return texts
    values = texts.cast(pl.Float64, strict=False)
    whole = ((values == values.floor()) & (values.abs() < _EXACT)).fill_null(value=False)
    exact = values.cast(pl.String)
    integers = pl.select(pl.when(whole).then(values).cast(pl.Int64, strict=False).cast(pl.String)).to_series()
    said = pl.select(
        pl.when(plain | values.is_null()).then(texts).otherwise(pl.when(whole).then(integers).otherwise(exact))
    )
    return said.to_series().alias(texts.name)


def serials(texts: pl.Series, kind: int, date1904: bool) -> pl.Series:
    """Numbers of days as dates, times of day or durations; what is none stays a number, which no column of dates fits.

    Times are rounded to milliseconds, which is as far as workbooks keep them.

    Examples
    --------
    >>> serials(pl.Series(["45322", "1.5", "60", "0.5"]), DATETIME, False).to_list()
    ['2024-01-31', '1900-01-01 12:00:00', '1900-02-29', '12:00:00']
    """
    values = texts.cast(pl.Float64, strict=False)
    if kind == DURATION:
        return _or(_clock((values * _MS_A_DAY).round(0).cast(pl.Int64, strict=False)), texts)
    days = values + _DAYS_TO_1904 if date1904 else values
    total = (days * _MS_A_DAY).round(0).cast(pl.Int64, strict=False)
    inside = ((values >= 0) & (total < _LAST_DAY * _MS_A_DAY)).fill_null(value=False)
    shown = _moments(total, date1904)
    clock_only = (values >= 0) & (values < 1) & ~pl.Series([date1904]).new_from_index(0, len(values))
    if kind == TIME or (kind == DATETIME and clock_only.any()):
        clock = _clock(total % _MS_A_DAY, two=True)
        only = (values >= 0) & (values < 1) if kind == TIME else clock_only
        shown = pl.select(pl.when(only).then(clock).otherwise(shown)).to_series()
    return _or(pl.select(pl.when(inside).then(shown)).to_series(), texts)


def _moments(total: pl.Series, date1904: bool) -> pl.Series:
    """Milliseconds since the day before 1900 as ISO dates, with the time of day where there is one."""
    day = total // _MS_A_DAY
    # Workbooks count a 29th of February 1900, so that days before it are one later than they say.
    early = (day < _LEAP_THAT_NEVER_WAS) & pl.Series([not date1904]).new_from_index(0, len(day))
    since = day - _DAYS_TO_1970 + early.cast(pl.Int64)
    dates = since.clip(-800_000, 2_932_896).cast(pl.Int32).cast(pl.Date).dt.to_string("%Y-%m-%d")
    if not date1904:
        never = pl.when(day == _LEAP_THAT_NEVER_WAS).then(pl.lit("1900-02-29"))
        dates = pl.select(never.when(day == 0).then(pl.lit("1900-01-00")).otherwise(dates)).to_series()
    part = total % _MS_A_DAY
    if not bool((part != 0).any()):
        return dates
    return pl.select(pl.when(part != 0).then(dates + " " + _clock(part, two=True)).otherwise(dates)).to_series()


def _clock(ms: pl.Series, two: bool = False) -> pl.Series:
    """Milliseconds as H:MM:SS, with a fraction where there is one; `two` writes the hour with two digits."""
    size = ms.abs()
    hours = (size // 3_600_000).cast(pl.String)
    hours = hours.str.zfill(2) if two else hours
    rest = (size // 60_000 % 60).cast(pl.String).str.zfill(2) + ":" + (size // 1000 % 60).cast(pl.String).str.zfill(2)
    fraction = "." + (size % 1000).cast(pl.String).str.zfill(3)
    sign = pl.when(ms < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    tail = pl.when(size % 1000 != 0).then(fraction).otherwise(pl.lit(""))
    return pl.select(sign + hours + ":" + rest + tail).to_series()


def _or(first: pl.Series, second: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce(first, second)).to_series()


def column_index(letters: str) -> int:
    """Number of a column, from 0, by its letters.

    Examples
    --------
    >>> column_index("A"), column_index("AA"), column_letters(26)
    (0, 26, 'AA')
    """
    found = 0
    for letter in letters:
        found = found * 26 + ord(letter) - 64
    return found - 1


def column_letters(index: int) -> str:
    """Letters of a column."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
