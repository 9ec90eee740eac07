"""What a text looks like: one vectorised test a kind, an expression over trimmed texts that is true or false.

A test with a choice in it (which format of dates, which marks in numbers) is named `kind:choice`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import polars as pl

from raypipe.etl.infer.digits import are_cards, are_ibans
from raypipe.etl.infer.vocabulary import COUNTRY_CODES, COUNTRY_NAMES, LANGUAGE_CODES, LANGUAGE_NAMES

Kernel = Callable[[pl.Expr], pl.Expr]

_EMAIL = r"^[^\s@<>(),;:\"\[\]\\]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}$"
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = rf"^{_BYTE}(?:\.{_BYTE}){{3}}(?:/(?:3[0-2]|[12]?\d))?$"
_IPV6 = (
    r"^(?i:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"
    r"|(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?)$"
)
_LATITUDE = r"[+-]?(?:90(?:\.0+)?|[0-8]?\d(?:\.\d+)?)"
_LONGITUDE = r"[+-]?(?:180(?:\.0+)?|(?:1[0-7]\d|\d?\d)(?:\.\d+)?)"
_CURRENCY_SIGNS = r"[$€£¥₹₩₽]|US\$|R\$|kr|zł|Fr\.?"
_CURRENCY_CODES = r"(?:USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR|SEK|NOK|DKK|PLN|BRL|MXN|NZD|ZAR|SGD|HKD|KRW|TRY|CZK|HUF)"
_AMOUNT = r"\d{1,3}(?:[ ,.'’\u00a0]\d{3})*(?:[.,]\d{1,4})?|\d+(?:[.,]\d{1,4})?"
UNIT_WORDS = (
    r"(?:kg|g|mg|µg|t|lbs?|oz|km|m|cm|mm|µm|nm|mi|miles?|ft|feet|in|inch(?:es)?|yd|l|ml|cl|dl|gal|m²|m2|m³|m3|ha|"
    r"km/h|kmh|mph|m/s|kn|°C|°F|K|Pa|hPa|kPa|bar|psi|V|mV|kV|A|mA|W|kW|MW|kWh|MWh|Wh|J|kJ|kcal|cal|N|Hz|kHz|MHz|GHz|"
    r"B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB|bps|Mbps|Gbps|px|dpi|pcs|rpm|dB|ppm|mol|lx|lm)"
)
_SPAN = r"(?:ns|µs|us|ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|months?|y|yrs?|years?)"
_DURATION = (
    rf"^(?i:-?\d+(?:[.,]\d+)? ?{_SPAN}(?:,? ?(?:and )?\d+(?:[.,]\d+)? ?{_SPAN})*)$"
    r"|^-?P(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?)$"
    r"|^-?(?:\d+ days?,? )?\d{1,4}:[0-5]\d:[0-5]\d(?:\.\d+)?$"
)
_PHONE = r"^(?:\+|00)?\d{0,3}[ .-]?(?:\(\d{1,5}\)[ .-]?)?\d{1,12}(?:[ ./-]\d{1,8}){0,5}(?: ?(?:x|ext\.?) ?\d{1,6})?$"
_NO_PHONE = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}$|^\d+\.\d+$|^\d{1,3}(?: \d{3})+$|^\d{3}-\d{2}-\d{4}$"
"""Dates, decimals, numbers with spaces between thousands, US social security numbers."""
_UK_POST = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"
_CA_POST = r"[ABCEGHJ-NPRSTVXY]\d[A-Z] ?\d[A-Z]\d"
_OTHER_POST = r"\d{5}-\d{4}|\d{4} ?[A-Z]{2}|(?:A|B|CH|D|DK|F|FI|I|L|LT|LV|N|S)-\d{4,5}|\d{2}-\d{3}|\d{3} \d{2}"
_POSTAL = rf"^(?i:{_OTHER_POST}|{_UK_POST}|{_CA_POST})$"
_PATH = (
    r"^(?:[A-Za-z]:[\\/]|\\\\[0-9A-Za-z_.$-]+\\|~?/|\.{1,2}[\\/])[^<>|\x00]*$"
    r"|^(?:[^\\/:*?<>|\x00]+[\\/])+[^\\/:*?<>|\x00]+\.[0-9A-Za-z]{1,8}$"
)

NUMBERS: dict[str, str] = {
    "1234.5": r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$",
    "1,234.5": r"^(?:[+-]?\d{1,3}(?:,\d{3})*(?:\.\d+)?|[+-]?\d+(?:\.\d+)?|\(\d{1,3}(?:,\d{3})*(?:\.\d+)?\))$",
    "1.234,5": r"^[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?$",
    "1 234,5": r"^[+-]?\d{1,3}(?:[ \u00a0\u202f]\d{3})*(?:[.,]\d+)?$|^[+-]?\d+(?:[.,]\d+)?$",
    "1'234.5": r"^[+-]?\d{1,3}(?:['’]\d{3})*(?:\.\d+)?$",
}
"""How numbers are written -> pattern, plainest first."""

DATES: dict[str, str] = {
    "%Y-%m-%d": r"^\d{4}-\d{1,2}-\d{1,2}$",
    "%d.%m.%Y": r"^\d{1,2}\.\d{1,2}\.\d{4}$",
    "%d/%m/%Y": r"^\d{1,2}/\d{1,2}/\d{4}$",
    "%m/%d/%Y": r"^\d{1,2}/\d{1,2}/\d{4}$",
    "%Y/%m/%d": r"^\d{4}/\d{1,2}/\d{1,2}$",
    "%d-%m-%Y": r"^\d{1,2}-\d{1,2}-\d{4}$",
    "%m-%d-%Y": r"^\d{1,2}-\d{1,2}-\d{4}$",
    "%d/%m/%y": r"^\d{1,2}/\d{1,2}/\d{2}$",
    "%m/%d/%y": r"^\d{1,2}/\d{1,2}/\d{2}$",
    "%d %b %Y": r"^\d{1,2} [A-Za-z]{3} \d{4}$",
    "%d-%b-%Y": r"^\d{1,2}-[A-Za-z]{3}-\d{4}$",
    "%d-%b-%y": r"^\d{1,2}-[A-Za-z]{3}-\d{2}$",
    "%d/%b/%y": r"^\d{1,2}/[A-Za-z]{3}/\d{2}$",
    "%d %B %Y": r"^\d{1,2} [A-Za-z]{3,9} \d{4}$",
    "%b %d, %Y": r"^[A-Za-z]{3} \d{1,2}, \d{4}$",
    "%B %d, %Y": r"^[A-Za-z]{3,9} \d{1,2}, \d{4}$",
    "%Y%m%d": r"^(?:19|20)\d{6}$",
}
"""Format -> shape of what it may read: strptime alone takes too much."""
CLOCKS: dict[str, str] = {
    "%H:%M:%S": r"\d{1,2}:\d{2}:\d{2}$",
    "%H:%M": r"\d{1,2}:\d{2}$",
    "%H:%M:%S%.f": r"\d{1,2}:\d{2}:\d{2}[.]\d{1,9}$",
    "%I:%M %p": r"\d{1,2}:\d{2} [AaPp][Mm]$",
    "%I:%M:%S %p": r"\d{1,2}:\d{2}:\d{2} [AaPp][Mm]$",
}
_INSTANT = r"^\d{4}-\d{2}-\d{2}[Tt ][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?: ?(?:[Zz]|UTC|[+-]\d{2}:?\d{2}))?$"

_TIMES = {"iso": _INSTANT} | {
    f"{day} {clock}": f"{DATES[day][:-1]} {CLOCKS[clock]}" for day in DATES for clock in CLOCKS
}
SHAPES: dict[str, re.Pattern[str]] = {f"date:{layout}": re.compile(shape) for layout, shape in DATES.items()} | {
    f"datetime:{layout}": re.compile(shape) for layout, shape in _TIMES.items()
}
"""Test of a date or time -> the shape that texts must have for it to be worth trying."""


def _matches(pattern: str) -> Kernel:
    plain = ascii_only(pattern)
    return lambda texts: texts.str.contains(plain)


def ascii_only(pattern: str) -> str:
    """A pattern whose digits and word characters are those of ASCII, which compiles in a tenth of the time."""
    return pattern.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]")


def _among(words: frozenset[str], *, upper: bool) -> Kernel:
    known = sorted(words)
    return lambda texts: (texts.str.to_uppercase() if upper else texts.str.to_lowercase()).is_in(known)


def _is_json(texts: pl.Expr) -> pl.Expr:
    shaped = texts.str.contains(r"(?s)^(?:\{.*\}|\[.*\])$")
    # The path `$` of a text that is no JSON is null.
    return shaped & pl.when(shaped).then(texts).str.json_path_match("$").is_not_null()


def _is_hash(texts: pl.Expr) -> pl.Expr:
    """Hexadecimal digests of MD5, SHA-1, SHA-2; letters and digits must both be there, as in chance they are."""
    sizes = texts.str.len_bytes().is_in([32, 40, 56, 64, 96, 128])
    mixed = texts.str.contains("[0-9]") & texts.str.contains("[A-Fa-f]")
    return sizes & mixed & texts.str.contains("^[0-9A-Fa-f]+$")


def _is_phone(texts: pl.Expr) -> pl.Expr:
    digits = texts.str.count_matches("[0-9]")
    marked = texts.str.contains(r"^(?:\+|00)|[() ./-]")
    shaped = marked & (digits >= 7) & (digits <= 17) & texts.str.contains(ascii_only(_PHONE))
    return shaped & ~texts.str.contains(ascii_only(_NO_PHONE))


def _is_number(style: str) -> Kernel:
    return lambda texts: texts.str.contains(ascii_only(NUMBERS[style])) & ~texts.str.contains("^[+-]?0[0-9]+$")


def _is_date(layout: str) -> Kernel:
    def test(texts: pl.Expr) -> pl.Expr:
        return texts.str.contains(ascii_only(DATES[layout])) & texts.str.to_date(layout, strict=False).is_not_null()

    return test


def _is_datetime(layout: str) -> Kernel:
    shape = ascii_only(_TIMES[layout])

    def test(texts: pl.Expr) -> pl.Expr:
        if layout == "iso":
            return texts.str.contains(shape) & texts.str.head(10).str.to_date("%Y-%m-%d", strict=False).is_not_null()
        return texts.str.contains(shape) & texts.str.to_datetime(layout, strict=False, time_unit="us").is_not_null()

    return test


KERNELS: dict[str, Kernel] = {
    "uuid": _matches(r"^(?i:\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?)$"),
    "email": _matches(_EMAIL),
    "url": _matches(r"^(?i:(?:https?|ftps?|s3|gs|file|wss?)://[^\s/]+\S*|www\.[\w-]+(?:\.[\w-]+)+\S*)$"),
    "ip_address": lambda texts: texts.str.contains(ascii_only(_IPV4)) | texts.str.contains(_IPV6),
    "iban": lambda texts: texts.map_batches(are_ibans, return_dtype=pl.Boolean),
    "credit_card": lambda texts: texts.map_batches(are_cards, return_dtype=pl.Boolean),
    "json": _is_json,
    "hash": _is_hash,
    "coordinates": _matches(rf"^\(?{_LATITUDE}\s*[,;]\s*{_LONGITUDE}\)?$|^POINT ?\({_LONGITUDE} {_LATITUDE}\)$"),
    "duration": lambda texts: texts.str.contains(ascii_only(_DURATION)) & texts.str.contains("[0-9]"),
    "percentage": _matches(rf"^[+-]?(?:{_AMOUNT})\s?%$"),
    "currency": _matches(
        rf"^[(-]?(?:{_CURRENCY_SIGNS}|{_CURRENCY_CODES})\s?-?(?:{_AMOUNT})\)?$"
        rf"|^-?(?:{_AMOUNT})\s?(?:{_CURRENCY_SIGNS}|{_CURRENCY_CODES})$"
    ),
    "number_with_unit": _matches(rf"^[+-]?(?:{_AMOUNT})\s?{UNIT_WORDS}$"),
    "phone": _is_phone,
    "postal_code": _matches(_POSTAL),
    "postal_code:digits": _matches(r"^\d{4,6}$"),
    "country:code": _among(COUNTRY_CODES, upper=True),
    "country:name": _among(COUNTRY_NAMES, upper=False),
    "language:code": lambda texts: texts.str.to_lowercase().str.contains(r"^[a-z]{2}(?:[-_](?:[a-z]{2}|[a-z]{4}))?$")
    & texts.str.to_lowercase().str.head(2).is_in(sorted(LANGUAGE_CODES)),
    "language:name": _among(LANGUAGE_NAMES, upper=False),
    "file_path": lambda texts: texts.str.contains(_PATH),
    "national_id:us": lambda texts: texts.str.contains("^[0-9]{3}-[0-9]{2}-[0-9]{4}$")
    & ~texts.str.contains("^(?:000|666|9[0-9]{2})-|^[0-9]{3}-00-|-0000$"),
    "code": _matches(r"^[\w./:#-]{2,}$"),
    "capitals": _matches(r"^[A-Z0-9][A-Z0-9_./:#-]{1,15}$"),
    "short": lambda texts: texts.str.len_chars() <= 80,
    "words": _matches(r"\S\s+\S"),
    "phone:digits": _matches(r"^\d{7,15}$"),
}  # fmt: skip
"""Kind -> test, for kinds without a choice."""


@functools.lru_cache(maxsize=256)
def kernel(name: str) -> Kernel:
    """The test of a kind, or of a kind with a choice such as `date:%d/%m/%Y`; KeyError if there is none."""
    if name in KERNELS:
        return KERNELS[name]
    kind, _, choice = name.partition(":")
    return {"number": _is_number, "date": _is_date, "datetime": _is_datetime}[kind](choice)


def count_matches(name: str, texts: pl.Series) -> pl.Series:
    """Whether each trimmed text is of the kind; never null."""
    test = kernel(name)(pl.col("t")).fill_null(value=False)
    return pl.DataFrame([texts.alias("t")]).select(test).to_series()


def kinds_among(texts: pl.Series) -> frozenset[str]:
    """The kinds that some of the trimmed texts match, of those without a choice and those of numbers; in one go."""
    names = [*KERNELS, *(f"number:{style}" for style in NUMBERS)]
    frame = pl.DataFrame([texts.alias("t")])
    found = frame.select(kernel(name)(pl.col("t")).any().alias(name) for name in names).row(0)
    return frozenset(name for name, some in zip(names, found, strict=True) if some)
