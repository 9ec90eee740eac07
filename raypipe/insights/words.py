"""Figures and names as they stand in findings: short, honest about rounding, and safe for any name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from raypipe.insights.effects import fisher_interval

MAX_NAME_CHARS = 80
_EACH = {
    "minute": "minutely", "hour": "hourly", "day": "daily", "week": "weekly", "month": "monthly",
    "quarter": "quarterly", "year": "yearly",
}  # fmt: skip
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")
"""Control, line-breaking, zero-width and direction characters: they would break a line or show another name."""


def plain(text: str, most: int = MAX_NAME_CHARS) -> str:
    """`text` on one line without invisible characters, cut to `most` characters."""
    shown = _UNSEEN.sub("\N{SYMBOL FOR SUBSTITUTE FORM TWO}", text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def name(column: str) -> str:
    """A column as findings call it, in quotation marks."""
    return f"“{plain(column)}”"


def names(columns: Iterable[str], most: int = 5) -> str:
    """Columns in a row: “a”, “b” and 3 more."""
    known = list(columns)
    shown = ", ".join(name(column) for column in known[:most])
    return shown if len(known) <= most else f"{shown} and {len(known) - most:,} more"


def figure(value: float) -> str:
    """A number with about four significant digits; whole numbers in full.

    Examples
    --------
    >>> figure(336776), figure(0.91480), figure(-1234567.89), figure(1.5e-9), figure(1e20)
    ('336,776', '0.9148', '-1,234,568', '1.5e-09', '1e+20')
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e15 or 0 < abs(value) < 1e-4:
        return f"{value:.4g}"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(share: float) -> str:
    """A share in percent that never rounds to 0 or 100 what is not exactly that.

    Examples
    --------
    >>> percent(0.0), percent(0.00001), percent(0.0257), percent(0.99999), percent(1.0)
    ('0 %', '< 0.01 %', '2.57 %', '> 99.9 %', '100 %')
    """
    if share in (0.0, 1.0):
        return f"{share * 100:.0f} %"
    if 0 < share < 0.0001:
        return "< 0.01 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share * 100:.3g} %"


def times(factor: float) -> str:
    """How many times as much, to two significant digits: more would be claimed than is known.

    Examples
    --------
    >>> times(6.751), times(12.86), times(109.9), times(1234.5)
    ('6.8', '13', '110', '1,200')
    """
    if not math.isfinite(factor) or not factor:
        return figure(factor)
    return figure(round(factor, 1 - math.floor(math.log10(abs(factor)))))


def moment(text: str) -> str:
    """A time without the parts of it that say nothing.

    Examples
    --------
    >>> moment("2024-01-18T08:00:00"), moment("2024-01-18T00:00:00"), moment("2013-01-01T10:00:00.000000+00:00")
    ('2024-01-18 08:00', '2024-01-18', '2013-01-01 10:00 UTC')
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return text
    day, minute, second, fraction, zone = found.groups()
    zone = {"+00:00": " UTC", "Z": " UTC", None: ""}.get(zone, f" {zone}")
    fraction = (fraction or "").rstrip("0").rstrip(".")
    if not fraction and (second or ":00") == ":00":
        return day if minute == "00:00" and not zone else f"{day} {minute}{zone}"
    return f"{day} {minute}{second}{fraction}{zone}"


def sentence(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def correlation(r: float, n: int) -> str:
    """A correlation with its 95 % interval and its rows."""
    interval = fisher_interval(r, n)
    digits = 3 if interval and interval[1] - interval[0] < 0.02 else 2
    low, high = (f"{end:.{digits}f}" for end in interval or (0.0, 0.0))
    bounds = f", 95 % interval {low} to {high}" if interval and low != high else ""
    return f"r = {r:.{digits}f}{bounds}, {n:,} rows"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: 1 row, 2 rows."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def steps(number: int, unit: str) -> str:
    """So many steps of a unit of time.

    Examples
    --------
    >>> steps(3, "day"), steps(1, "15 minutes"), steps(3, "15 minutes")
    ('3 days', '1 step of 15 minutes', '3 steps of 15 minutes')
    """
    return f"{count(number, 'step')} of {unit}" if unit[:1].isdigit() else count(number, unit)


def by_step(unit: str) -> str:
    """How values of a series with one a unit of time are called.

    Examples
    --------
    >>> by_step("day"), by_step("15 minutes"), by_step("business day")
    ('daily values', 'values by 15 minutes', 'values by business day')
    """
    return f"{_EACH[unit]} values" if unit in _EACH else f"values by {unit}"


def has_have(number: int) -> str:
    """The verb that goes with `number`."""
    return "has" if number == 1 else "have"


def is_are(number: int) -> str:
    """The verb that goes with `number`."""
    return "is" if number == 1 else "are"
