"""Numbers as a reader wants them: short, with separators, never seventeen digits, never a false 0 % or 100 %."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

NOT_AVAILABLE = "n/a"
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160), 0x2028, 0x2029], " ")
_UNITS = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


def count(value: int | float | None) -> str:
    """A count with thousands separators.

    Examples
    --------
    >>> count(336776)
    '336,776'
    """
    return NOT_AVAILABLE if value is None else f"{int(value):,}"


def compact(value: float | None) -> str:
    """Three significant digits and a unit: for big figures on cards and axes.

    Examples
    --------
    >>> compact(336776), compact(1_200_000), compact(950)
    ('337 k', '1.2 M', '950')
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    for unit, size in _UNITS:
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g} {unit}"
    return number(value, 3)


def number(value: float | None, digits: int = 4) -> str:
    """A measured value with about `digits` significant digits; separators from 10,000 on, so that years stay whole.

    Examples
    --------
    >>> number(6.895376738), number(2013.0), number(1234567.8), number(1.5e-7)
    ('6.895', '2013', '1,234,568', '1.5e-07')
    """
    if value is None or math.isnan(value):
        return NOT_AVAILABLE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and (size >= 1e15 or size < 1e-4):
        return f"{value:.{digits}g}".replace("-", "−", 1) if value < 0 else f"{value:.{digits}g}"
    if size >= 10 ** (digits - 1) or value == int(value):
        text = f"{value:,.0f}" if size >= 10_000 else f"{value:.0f}"
    else:
        places = max(0, digits - 1 - (math.floor(math.log10(size)) if size else 0))
        text = f"{value:.{places}f}".rstrip("0").rstrip(".")
    return text.replace("-", "−", 1) if text not in ("-0", "0") else "0"


def share(value: float | None) -> str:
    """A share as a percentage that says 0 % only for none and 100 % only for all.

    Examples
    --------
    >>> share(0.0), share(0.00004), share(0.028), share(0.9999), share(1.0)
    ('0 %', '<0.1 %', '2.8 %', '>99.9 %', '100 %')
    """
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    if value in (0.0, 1.0):
        return "100 %" if value else "0 %"
    if 0 < value < 0.0005:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    percent = value * 100
    return (number(percent, 2) if abs(percent) < 1 else number(round(percent, 1))) + " %"


def p_value(value: float | None) -> str:
    """A p-value with two digits, as far down as it means something.

    Examples
    --------
    >>> p_value(0.0321), p_value(1e-9)
    ('0.032', '<0.0001')
    """
    if value is None or math.isnan(value):
        return NOT_AVAILABLE
    return "<0.0001" if value < 1e-4 else f"{value:.2g}"


def p_words(value: float) -> str:
    """The same as part of a sentence.

    Examples
    --------
    >>> p_words(0.0321), p_words(1e-9)
    ('p = 0.032', 'p < 0.0001')
    """
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.2g}"


def between(interval: tuple[float, float] | None, digits: int = 3) -> str:
    """An interval as `low to high`; empty without one.

    Examples
    --------
    >>> between((-0.5, 0.25)), between(None)
    ('−0.5 to 0.25', '')
    """
    return "" if interval is None else f"{number(interval[0], digits)} to {number(interval[1], digits)}"


def size(value: int | None) -> str:
    """Bytes in decimal units, e.g. `44.1 MB`."""
    if value is None:
        return NOT_AVAILABLE
    if value < 1000:
        return f"{value} B"
    return compact(value).replace("k", "kB").replace("M", "MB").replace("G", "GB").replace("T", "TB")


def seconds(value: float | None) -> str:
    """A duration, e.g. `0.42 s`, `12.3 s`, `3 min 05 s`."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    if value < 60:
        return f"{number(value, 3)} s"
    if value < 3600:
        return f"{int(value // 60)} min {int(value % 60):02d} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60):02d} min"


def moment(epoch_s: float | None) -> str:
    """Seconds since 1970 (UTC) as a date, or date and minute."""
    if epoch_s is None or not math.isfinite(epoch_s):
        return NOT_AVAILABLE
    try:
        return clock(datetime.fromtimestamp(epoch_s, UTC).isoformat())
    except (OverflowError, ValueError, OSError):
        return f"{number(epoch_s)} s since 1970"


def clock(iso: str | None) -> str:
    """An ISO 8601 text without the parts that say nothing: midnight, zero seconds, UTC.

    Examples
    --------
    >>> clock("2013-01-01T05:15:00+00:00"), clock("2013-01-01T00:00:00")
    ('2013-01-01 05:15', '2013-01-01')
    """
    if iso is None:
        return NOT_AVAILABLE
    text = iso.removesuffix("Z").removesuffix("+00:00").replace("T", " ", 1)
    return text[:19].removesuffix(":00").removesuffix(" 00:00") if text[4:5] == "-" else text


def clip(text: str, limit: int) -> str:
    """`text` on one line without control characters, cut to `limit` characters with an ellipsis.

    Examples
    --------
    >>> clip("two\\nlines", 20), clip("abcdef", 4)
    ('two lines', 'abc…')
    """
    head = text[: 4 * limit + 16]  # a cell may hold megabytes
    line = " ".join(head.translate(_CONTROLS).split()) if _BREAKS.search(head) else head
    return line if len(line) <= limit else line[: limit - 1] + "…"
