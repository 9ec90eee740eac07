"""Dates and times as people write them: 31.12.2024, 12/31/24 6:05 PM, 3. März 2025, as ISO texts."""

from __future__ import annotations

import functools

import polars as pl

from raypipe.config.read import DateOrder

PIVOT = 69
"""Years of two digits from here on are of the 20th century, those below of the 21st, as POSIX has it."""
MONTHS = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
}
"""Names of the months by language, in lower case."""
SHORT = {
    "sept": 9, "mrz": 3, "mär": 3, "jän": 1, "jänner": 1, "janv": 1, "févr": 2, "fév": 2, "avr": 4, "juil": 7,
    "déc": 12, "ene": 1, "abr": 4, "ago": 8, "dic": 12, "gen": 1, "mag": 5, "giu": 6, "lug": 7, "set": 9, "ott": 10,
    "mrt": 3, "fev": 2, "out": 10, "dez": 12, "okt": 10, "maa": 3,
}  # fmt: skip
"""Short names beside the first three letters."""

_CLOCK = r"(?:(?:[T ]|, ?| um )(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?(?: ?([AaPp])\.?[Mm]\.?)?)?"
_NUMERIC = {
    "dmy": r"(?P<d>\d{1,2})(?:{0})(?P<m>\d{1,2})(?:{0})(?P<y>\d{4}|\d{2})",
    "mdy": r"(?P<m>\d{1,2})(?:{0})(?P<d>\d{1,2})(?:{0})(?P<y>\d{4}|\d{2})",
    "ymd": r"(?P<y>\d{4}|\d{2})(?:{0})(?P<m>\d{1,2})(?:{0})(?P<d>\d{1,2})",
}
_SEPARATORS = {"dmy": (r"\.", "/", "-"), "mdy": ("/", "-"), "ymd": (r"\.", "/", "-")}
"""With dots between, a month never stands first."""
_NAMED = (
    r"(?P<d>\d{1,2})(?:\.|st|nd|rd|th|er|º|°)?[ ./-]*(?:de |of )?"
    r"(?P<m>[^\W\d_]{3,})\.?(?: de|,)?[ ./-]*(?P<y>\d{4}|\d{2})",
    r"(?P<m>[^\W\d_]{3,})\.?[ ./-]*(?P<d>\d{1,2})(?:st|nd|rd|th)?(?:, ?| )(?P<y>\d{4})",
)


@functools.cache
def month_numbers() -> dict[str, int]:
    """Name of a month, whole or short -> its number. No name means two months.

    Examples
    --------
    >>> month_numbers()["dez"], month_numbers()["août"], month_numbers()["mar"]
    (12, 8, 3)
    """
    numbers = dict(SHORT)
    taken: dict[str, set[int]] = {}
    for names in MONTHS.values():
        for number, name in enumerate(names.split(), 1):
            numbers[name] = number
            taken.setdefault(name[:3], set()).add(number)
    numbers |= {short: only.copy().pop() for short, only in taken.items() if len(only) == 1 and short not in numbers}
    return numbers


def iso_texts(texts: pl.Series, order: DateOrder) -> pl.Series:
    """The trimmed texts as `YYYY-MM-DD`, or with ` HH:MM:SS` behind; null where one does not fit the order.

    Names of months stand for themselves in any order. That a day exists is not checked here.

    Examples
    --------
    >>> iso_texts(pl.Series(["31.12.2024", "3. März 2025 7:05", "12/31/24"]), "dmy").to_list()
    ['2024-12-31', '2025-03-03 07:05:00', '2024-31-12']
    """
    result = pl.Series(texts.name, [None], dtype=pl.String).new_from_index(0, texts.len())
    for pattern in _patterns(order):
        left = result.is_null() & texts.is_not_null()
        if not left.any():
            break
        if not texts.str.contains(pattern).any():
            continue
        result = result.fill_null(_iso(texts, pattern).alias(texts.name))
    return result


@functools.cache
def _patterns(order: str) -> tuple[str, ...]:
    if order == "iso":
        return ()
    numeric = [_NUMERIC[order].replace("{0}", sign) for sign in _SEPARATORS[order]]
    return tuple(f"^{shape}{_CLOCK}$" for shape in (*numeric, *_NAMED))


def _iso(texts: pl.Series, pattern: str) -> pl.Series:
    groups = texts.str.extract_groups(pattern).struct.unnest()
    clock = dict(zip(("hour", "minute", "second", "fraction", "half"), groups.columns[3:], strict=True))
    groups = groups.rename({column: name for name, column in clock.items()})
    year = pl.when(pl.col("y").str.len_bytes() == 2).then(_century()).otherwise(pl.col("y"))
    month = pl.col("m").str.to_lowercase()
    if not texts.len() or "[^" in pattern.split("(?P<m>")[1][:3]:
        month = month.replace_strict({name: str(number) for name, number in month_numbers().items()}, default=None)
    day = [year, month.str.zfill(2), pl.col("d").str.zfill(2)]
    hour = pl.col("hour").cast(pl.Int32, strict=False)
    afternoon, morning = pl.col("half").str.to_lowercase() == "p", pl.col("half").str.to_lowercase() == "a"
    noon = pl.col("half").is_not_null()
    hour = (
        pl.when(noon & ~hour.is_between(1, 12)).then(None)
        .when(afternoon & (hour < 12)).then(hour + 12)
        .when(morning & (hour == 12)).then(0)
        .otherwise(hour)
    )  # fmt: skip
    clock_text = pl.concat_str(
        hour.cast(pl.String).str.zfill(2), pl.lit(":"), "minute", pl.lit(":"), pl.col("second").fill_null("00")
    )
    fraction = pl.concat_str(pl.lit("."), "fraction").fill_null("")
    date = pl.concat_str(day, separator="-")
    whole = (
        pl.when(pl.col("hour").is_null()).then(date).otherwise(pl.concat_str(date, pl.lit(" "), clock_text, fraction))
    )
    return groups.select(whole).to_series()


def _century() -> pl.Expr:
    century = pl.when(pl.col("y").cast(pl.Int32, strict=False) < PIVOT).then(pl.lit("20")).otherwise(pl.lit("19"))
    return pl.concat_str(century, "y")
