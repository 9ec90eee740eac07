"""What a text cell means: the type of a column found from its texts, and texts turned into values of that type.

One definition of "fits" serves the sample that plans a type and every part that is read with it, so that where a file
is cut cannot change a value.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from raypipe.config import CellFormat, Frozen
from raypipe.errors import ConfigError
from raypipe.etl.formats.decimal_cells import MOST_DIGITS, decimal_type, decimals, holding

KINDS: dict[str, pl.DataType] = {
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
    "datetime_utc": pl.Datetime("us", "UTC"),
    "text": pl.String(),
}
"""Types of a column read from text, narrowest first; `datetime_utc` is a time with an offset, as UTC."""

STATED: dict[str, pl.DataType] = {"time": pl.Time(), "duration": pl.Duration("us")}
"""Types that text is read as where somebody says so, a setting or the number format of a cell; never guessed."""
EVERY_KIND = KINDS | STATED

PLAN_SHARE = 0.9
"""A type is planned for a column if at least this share of the sampled values fits it."""

_DAY = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{2}:[0-5]\d(:[0-5]\d(\.\d{1,6}0*)?)?"
_DATETIME = rf"^{_DAY}([Tt ]{_CLOCK})?$"
_DATETIME_UTC = rf"^{_DAY}[Tt ]{_CLOCK} ?([Zz]|[+-]\d{{2}}:?\d{{2}})$"
_SHORT_TIME = r"^\d{2}:[0-5]\d$"
_TIME = r"^\d{2}:[0-5]\d:[0-5]\d(\.\d{1,9})?$"
_DURATION = r"^-?(\d{1,8}):([0-5]\d):([0-5]\d)(?:\.(\d{1,6}))?$"
_PHONE = r"^\+\d{7,}$"
_LONG_DIGITS = r"^[+-]?\d{16,}$"
_CODE = r"^0\d+$"
_OTHER_DATE = r"^\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}$"
_DATE_LENGTH = 10
_MONTHS = 12
_DATES_AT_ONCE = 1 << 14
"""So few that every array in between stays in the cache."""
_WIDE = 2**53
_FRACTION = r"^[+-]?\d*\.\d+([eE][+-]?\d+)?$"
FLOAT_DIGITS = 17
"""Significant digits that any float64 is told by; a text with more says what no float64 holds."""


class Found(Frozen):
    """The type that a sample of a column asks for."""

    kind: str
    values: int
    """Non-null values in the sample."""
    note: str | None = None
    """What a reader of the plan should know, e.g. dates in several formats."""
    format: CellFormat | None = None
    """How its cells are written; None: plainly."""


def check_kind(kind: str, column: str) -> str:
    """`kind`, if it is one that text can be read as; else ConfigError."""
    if kind not in EVERY_KIND and decimal_type(kind) is None:
        raise ConfigError(
            f"dtypes: column {column!r} wants type {kind!r}; types are: {', '.join(EVERY_KIND)}, and"
            f" decimal(digits,decimals), such as decimal(12,2), of at most {MOST_DIGITS} digits in all."
        )
    return kind


def kind_type(kind: str) -> pl.DataType:
    """The type of a kind."""
    return decimal_type(kind) or EVERY_KIND[kind]


def trimmed(texts: pl.Series, null_values: Iterable[str]) -> pl.Series:
    """The texts without white space around them; null where nothing or a text for "no value" is left."""
    stripped = texts.str.strip_chars()
    empty = stripped.is_in(["", *null_values])
    return pl.select(pl.when(empty).then(None).otherwise(stripped)).to_series().alias(texts.name)


def parse(texts: pl.Series, kind: str) -> pl.Series:
    """Values of trimmed texts; null where a text does not fit.

    Whole numbers of at least two digits that start with 0 are codes and fit no number; nor do digits beyond int64 and
    fractions of more than `FLOAT_DIGITS` digits, which a float would round, and numbers such as 1e400, which it would
    call infinite.
    """
    if kind == "int64":
        return _where(texts.cast(pl.Int64, strict=False), ~texts.str.contains(_CODE))
    if kind == "float64":
        values, wrong = texts.cast(pl.Float64, strict=False), texts.str.contains(f"{_CODE}|{_LONG_DIGITS}")
        if may_be_too_precise(texts):
            wrong |= too_precise(texts)
        endless = values.is_infinite()
        if endless.any():
            wrong |= endless & ~texts.str.contains("(?i)inf")
        return _where(values, ~wrong)
    if kind == "boolean":
        lower = texts.str.to_lowercase()
        return _where(lower.is_in(["true", "t"]), lower.is_in(["true", "t", "false", "f"]))
    if kind == "date":
        return iso_days(texts)
    if kind == "datetime":
        return _where(_time(texts), texts.str.contains(_DATETIME))
    if kind == "datetime_utc":
        return _where(_instant(texts), texts.str.contains(_DATETIME_UTC))
    if kind == "time":
        full = pl.select(pl.when(texts.str.contains(_SHORT_TIME)).then(texts + ":00").otherwise(texts)).to_series()
        return _where(full.str.to_time("%H:%M:%S%.f", strict=False, cache=False), full.str.contains(_TIME))
    if kind == "duration":
        return _duration(texts)
    exact = decimal_type(kind)
    return decimals(texts, exact) if exact is not None else texts


def _duration(texts: pl.Series) -> pl.Series:
    """Hours, minutes and seconds, as `36:30:00` or `-0:00:01.5`."""
    parts = texts.str.extract_groups(_DURATION).struct.unnest()
    seconds = (
        parts["1"].cast(pl.Int64, strict=False) * 3600 + parts["2"].cast(pl.Int64) * 60 + parts["3"].cast(pl.Int64)
    )
    micros = seconds * 1_000_000 + (parts["4"].fill_null("").str.pad_end(6, "0").cast(pl.Int64))
    sign = pl.select(pl.when(texts.str.starts_with("-")).then(-1).otherwise(1)).to_series()
    return (micros * sign).cast(pl.Duration("us")).alias(texts.name)


def may_be_too_precise(texts: pl.Series) -> bool:
    """Whether some text is so long that it may have more digits than a float64 holds."""
    return bool((texts.str.len_bytes() > FLOAT_DIGITS).any())


def too_precise(texts: pl.Series) -> pl.Series:
    """Which texts are fractions with more significant digits than a float64 holds; zeros at either end do not count.

    Examples
    --------
    >>> too_precise(pl.Series(["0.12345678901234567", "0.123456789012345678", "1.50000000000000000000"])).to_list()
    [False, True, False]
    """
    wrong = np.zeros(texts.len(), bool)
    places = np.flatnonzero((texts.str.len_bytes() > FLOAT_DIGITS).fill_null(value=False).to_numpy())
    long = texts.gather(places)
    if (fraction := long.str.contains(_FRACTION)).any():
        digits = long.str.replace(r"[eE].*$", "").str.replace_all(r"\D", "").str.strip_chars("0")
        wrong[places] = (fraction & (digits.str.len_bytes() > FLOAT_DIGITS)).to_numpy()
    return pl.Series(wrong)


def _where(values: pl.Series, keep: pl.Series) -> pl.Series:
    return pl.select(pl.when(keep).then(values)).to_series().alias(values.name)


def iso_days(texts: pl.Series) -> pl.Series:
    """Dates of texts that are exactly YYYY-MM-DD, from year 1; null for others.

    Examples
    --------
    >>> iso_days(pl.Series(["2024-02-29", "2023-02-29", "2024-2-9"])).to_list()
    [datetime.date(2024, 2, 29), None, None]
    """
    fits = (texts.str.len_bytes() == _DATE_LENGTH).fill_null(value=False)
    plain = texts if fits.all() else texts.filter(fits)
    codes = np.frombuffer(plain.to_arrow().buffers()[2] or b"", np.uint8)[: plain.len() * _DATE_LENGTH]
    days, good = np.empty(plain.len(), np.int32), np.empty(plain.len(), bool)
    for at in range(0, plain.len(), _DATES_AT_ONCE):
        stop = min(at + _DATES_AT_ONCE, plain.len())
        days[at:stop], good[at:stop] = _days_of(codes[at * _DATE_LENGTH : stop * _DATE_LENGTH])
    if plain.len() < texts.len():
        where = np.flatnonzero(fits.to_numpy())
        all_days, all_good = np.zeros(texts.len(), np.int32), np.zeros(texts.len(), bool)
        all_days[where], all_good[where] = days, good
        days, good = all_days, all_good
    values = pl.Series(texts.name, days).cast(pl.Date)
    return values if good.all() else _where(values, pl.Series(good))


def _days_of(codes: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Days since 1970 of texts of ten bytes each, and which of them are dates."""
    year, good = _digits(codes, 0, np.uint32)
    month, fine = _digits(codes, 5, np.uint16)
    good &= fine
    day, fine = _digits(codes, 8, np.uint16)
    good &= fine & (codes[4::_DATE_LENGTH] == ord("-")) & (codes[7::_DATE_LENGTH] == ord("-"))
    good &= (year > 0) & (month > 0) & (month <= _MONTHS) & (day > 0)
    index = np.where(good, year * _MONTHS + month - 1, 0)
    starts = _month_starts()
    days = starts[index] + day - 1
    good &= days < starts[index + 1]
    return days, good


def _digits(
    codes: NDArray[np.uint8], offset: int, kind: type[np.uint32 | np.uint16]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Numbers of two or four digits at an offset of each text, and whether digits stand there.

    The digits are handled as the bytes of one word: neighbours are joined in place, first to pairs, then to fours.
    """
    size = np.dtype(kind).itemsize
    count = codes.size // _DATE_LENGTH
    little = np.dtype(kind).newbyteorder("<")
    word = np.ndarray((count,), little, codes.data, offset, (_DATE_LENGTH,)).astype(np.uint32)
    every = 0x01010101 if size > 2 else 0x0101
    zeros, tens, over = np.uint32(every * ord("0")), np.uint32(every * 0xF0), np.uint32(every * 6)
    good = ((word & tens) == zeros) & (((word + over) & tens) == zeros)
    value = word - zeros
    value = (value * np.uint32(10) + (value >> np.uint32(8))) & np.uint32(0x00FF00FF)
    if size > 2:
        return ((value * np.uint32(100) + (value >> np.uint32(16))) & np.uint32(0xFFFF)).astype(np.int32), good
    return (value & np.uint32(0xFF)).astype(np.int32), good


@functools.cache
def _month_starts() -> NDArray[np.int32]:
    """Day number of the first of every month from year 0 to year 10000."""
    months = np.arange(-1970 * _MONTHS, (10_000 - 1970) * _MONTHS + 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int32)


def _time(texts: pl.Series) -> pl.Series:
    plain = texts.str.replace("[Tt]", " ")
    value = plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False, cache=False)
    if value.null_count() > texts.null_count():
        short = plain.str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", strict=False, cache=False)
        value = value.fill_null(short).fill_null(iso_days(plain).cast(pl.Datetime("us")))
    return value


def _instant(texts: pl.Series) -> pl.Series:
    plain = texts.str.replace("[Tt]", " ").str.replace(" ?[Zz]$", "+00:00").str.replace(r" ([+-])", "${1}")
    plain = plain.str.replace(r"( \d{2}:\d{2})([+-])", "${1}:00${2}")
    return plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", strict=False, cache=False).cast(
        pl.Datetime("us", "UTC")
    )


def narrowest(texts: pl.Series) -> dict[str, int]:
    """How many of these trimmed, non-null texts have each type as their narrowest."""
    counts: dict[str, int] = {}
    left = texts.drop_nulls()
    for kind in KINDS:
        if not left.len():
            break
        fits = parse(left, kind).is_not_null()
        if fits.any():
            counts[kind] = int(fits.sum())
            left = left.filter(~fits)
    return counts


def count_codes(texts: pl.Series) -> int:
    """Texts of digits that a number would change: leading zeros, or more digits than int64 or a float64 holds."""
    return int(_codes(texts.drop_nulls()).sum())


def _codes(texts: pl.Series) -> pl.Series:
    long = texts.str.contains(_LONG_DIGITS)
    if long.any():
        long = long & texts.cast(pl.Int64, strict=False).is_null()
    if may_be_too_precise(texts):
        long = long | too_precise(texts)
    return texts.str.contains(_CODE) | long


def count_wide(values: pl.Series) -> int:
    """Whole numbers that a float64 cannot hold exactly, as far as magnitude tells."""
    high, low = values.max(), values.min()
    if high is None or (int(str(high)) <= _WIDE and int(str(low)) >= -_WIDE):
        return 0
    return int(((values > _WIDE) | (values < -_WIDE)).sum())


def find_kinds(texts: pl.DataFrame, null_values: Iterable[str]) -> list[Found]:
    """The type for each column of a sample of texts. All cells are looked at together, so that width costs little."""
    if not texts.width or not texts.height:
        return [Found(kind="text", values=0)] * texts.width
    cells = trimmed(pl.concat([column.alias("") for column in texts]), null_values)
    place = np.flatnonzero(cells.is_not_null().to_numpy())
    values, column = cells.drop_nulls(), place // texts.height
    classes = _classes(values)

    def per_column(hit: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(column[hit], minlength=texts.width)

    counts = np.stack([per_column(classes == code) for code in range(len(KINDS))])
    lost = per_column((_codes(values) | values.str.contains(_PHONE)).to_numpy())
    whole = values.cast(pl.Int64, strict=False)
    wide = per_column(((whole > _WIDE) | (whole < -_WIDE)).fill_null(value=False).to_numpy())
    found = []
    for at in range(texts.width):
        of_column = {kind: int(counts[code, at]) for code, kind in enumerate(KINDS) if counts[code, at]}
        kind, note = _choose(of_column, bool(lost[at]), bool(wide[at]))
        if kind in ("boolean", "text") and of_column:
            lo, hi = np.searchsorted(column, (at, at + 1))
            kind, note = _look_closer(kind, note, values[int(lo) : int(hi)], of_column)
        found.append(Found(kind=kind, values=sum(of_column.values()), note=note))
    return found


def _classes(values: pl.Series) -> NDArray[np.int8]:
    """For each trimmed text, the index in `KINDS` of its narrowest type."""
    classes = np.full(values.len(), len(KINDS) - 1, np.int8)
    left = np.arange(values.len())
    for code, kind in enumerate(KINDS):
        if not left.size or kind == "text":
            break
        fits = parse(values if left.size == values.len() else values.gather(left), kind).is_not_null().to_numpy()
        classes[left[fits]] = code
        left = left[~fits]
    return classes


def _choose(counts: dict[str, int], lost: bool, wide: bool) -> tuple[str, str | None]:
    """Type by counts; `lost`: some value would change as a number; `wide`: some integer is too long for a float64."""
    if not counts or lost:
        return "text", None
    kind = _by_share(counts, sum(counts.values()))
    if kind == "float64" and wide:
        return "text", "has whole numbers too long for float64 beside fractions, so it stays text"
    return kind, None


def _look_closer(kind: str, note: str | None, values: pl.Series, counts: dict[str, int]) -> tuple[str, str | None]:
    """One letter alone is no boolean; dates in several formats are worth a note."""
    if kind == "boolean" and values.str.len_bytes().max() == 1 and values.str.to_lowercase().n_unique() == 1:
        return "text", None
    if kind == "text" and not note and counts.keys() <= {"text", "int64", "float64"} and (exact := _exact(values)):
        return kind, f"has numbers with more digits than float64 holds, so it stays text; {exact} in dtypes keeps all"
    return kind, note or (_mixed_dates(values, counts) if kind == "text" else None)


def _exact(values: pl.Series) -> str | None:
    """The type of decimals that would hold the values, if some have too many digits for a float and none is a code."""
    if not may_be_too_precise(values) or not too_precise(values).any() or values.str.contains(_CODE).any():
        return None
    return holding(values)


def _by_share(counts: dict[str, int], total: int) -> str:
    """The narrowest type that enough of the values fit; every date is a datetime too, every integer a float."""
    wider = {
        "int64": ("int64",),
        "float64": ("int64", "float64"),
        "boolean": ("boolean",),
        "date": ("date",),
        "datetime": ("date", "datetime"),
        "datetime_utc": ("datetime_utc",),
    }
    fitting = {kind: sum(counts.get(part, 0) for part in parts) for kind, parts in wider.items()}
    best = max(fitting.values())
    if best < PLAN_SHARE * total:
        return "text"
    return next(kind for kind, fits in fitting.items() if fits == best)


def _mixed_dates(values: pl.Series, counts: dict[str, int]) -> str | None:
    iso = counts.get("date", 0) + counts.get("datetime", 0) + counts.get("datetime_utc", 0)
    other = int(values.str.contains(_OTHER_DATE).sum())
    if other and iso:
        return "has dates in more than one format, so it stays text"
    if counts.get("datetime_utc") and iso > counts["datetime_utc"]:
        return "has times with and without an offset, so it stays text"
    return None
