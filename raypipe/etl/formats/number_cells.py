"""Numbers as people write them: 1.234,50 € or (1,234.5) or 12,5 %, as plain digits that any parser reads."""

from __future__ import annotations

import re

import polars as pl

from raypipe.config import CellFormat

SPACE = " \u00a0\u2007\u2009\u202f"
"""Every kind of space that groups digits."""
GROUPS = {",": ". '\u2019", ".": ", '\u2019"}
"""Characters that may group digits beside each decimal mark, where nothing is said."""
CURRENCIES = (
    "€", "$", "£", "¥", "₹", "₽", "₺", "₩", "₪", "฿", "₫", "₴", "₦", "US$", "C$", "A$", "R$", "kr", "zł", "Kč", "Ft",
    "Fr.", "EUR", "USD", "GBP", "CHF", "JPY", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "RUB", "INR",
    "AUD", "CAD", "NZD", "BRL", "MXN", "ZAR", "TRY", "KRW", "SGD", "HKD", "ILS", "UAH",
)  # fmt: skip
UNITS = ("%", "‰", *CURRENCIES)
"""Signs that a number may bear."""
LOOKS_TYPED = (
    rf"^\s*[-+(\u2212]?[\p{{Sc}}%]?[{SPACE}]?\d[\d.,'\u2019{SPACE}]*(?:[eE][-+]?\d+)?[{SPACE}]?(?:[\p{{Sc}}%‰]|[A-Z]{{3}})?\)?-?\s*$"
    r"|^\s*\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[T, ]+\d.*)?\s*$"
    r"|^\s*\d{1,2}\S{0,2} [^\W\d_]{3,}\.? \d{4}\s*$|^\s*[^\W\d_]{3,}\.? \d{1,2}, \d{4}\s*$"
)
"""What looks like a number or a date, however it is written."""
DASH = r"^[-\u2010-\u2015\u2212]$"
_NUMBER = r"([-+\u2212])?(?:(UNIT)SPACES)?([-+\u2212])?(BODY)(?:SPACES(UNIT))?"
_ACCOUNTING = rf"^(\()?{_NUMBER}(-)?(\))?$"
_NONE = r"[^\s\S]"
_SHAPE = rf"^({_NONE})?{_NUMBER}({_NONE})?({_NONE})?$"


def plain_numbers(texts: pl.Series, how: CellFormat) -> pl.Series:
    """The trimmed texts with a point for the decimals and nothing between the digits; null where one does not fit.

    Examples
    --------
    >>> how = CellFormat(decimal=",", thousands=".", unit="€", accounting=True)
    >>> plain_numbers(pl.Series(["1.234,50 €", "(7 €)", "1.23 €", "8"]), how).to_list()
    ['1234.50', '-7', None, None]
    """
    found = texts.str.extract_groups(_pattern(how)).struct.rename_fields(list("abcdefgh")).struct.unnest()
    signs = [pl.col(name).is_not_null() for name in ("b", "d", "g", "a")]
    fits = pl.col("e").is_not_null() & (pl.col("a").is_null() == pl.col("h").is_null())
    fits &= pl.sum_horizontal(sign.cast(pl.Int8) for sign in signs) <= 1
    if how.unit:
        fits &= pl.col("c").is_null() != pl.col("f").is_null()
    minus = pl.col("b").is_in(["-", "\u2212"]) | pl.col("d").is_in(["-", "\u2212"]) | signs[2] | signs[3]
    digits = pl.col("e").str.replace_all(rf"[{_class(how.thousands)}]", "") if how.thousands else pl.col("e")
    digits = digits.str.replace(",", ".", literal=True) if how.decimal == "," else digits
    digits = digits.str.replace(r"^\.", "0.").str.replace(r"\.(e|E|$)", "$1")
    plain = pl.when(minus.fill_null(value=False)).then(pl.lit("-") + digits).otherwise(digits)
    return found.select(pl.when(fits).then(plain)).to_series().alias(texts.name)


def _class(characters: str) -> str:
    """The inside of a character class; a space is every kind of space."""
    return "".join(f"{SPACE}" if char == " " else re.escape(char) for char in characters)


def _pattern(how: CellFormat) -> str:
    grouped = [rf"\d{{1,3}}(?:[{_class(char)}]\d{{3}})+" for char in how.thousands]
    whole = "|".join([*grouped, r"\d+"])
    mark = re.escape(how.decimal)
    body = rf"(?:{whole})(?:{mark}\d*)?(?:[eE][+-]?\d{{1,3}})?|{mark}\d+"
    unit = re.escape(how.unit) if how.unit else _NONE
    return (
        (_ACCOUNTING if how.accounting else _SHAPE)
        .replace("BODY", body)
        .replace("UNIT", unit)
        .replace("SPACES", rf"[{SPACE}]*")
    )


def find_unit(texts: pl.Series) -> str | None:
    """The sign that the numbers of a sample bear, if most bear the same one."""
    signs = texts.str.replace_all(rf"[\d\s.,'\u2019{SPACE}+()\u2212-]", "").alias("sign").value_counts(sort=True)
    signs = signs.filter(pl.col("sign") != "")
    if not signs.height:
        return None
    best, count = signs.row(0)
    unit = next((unit for unit in UNITS if unit.replace(".", "") == best), None)
    return unit if count * 2 > texts.len() else None


def number_formats(texts: pl.Series, decimal: str | None, thousands: str | None) -> list[CellFormat]:
    """Formats worth trying on the trimmed values of a column."""
    unit = find_unit(texts)
    accounting = bool(texts.str.contains(r"^\(.*\)$|\d[^\d]*-$").any())
    dash = bool(texts.str.contains(DASH).any())
    return [
        CellFormat(
            decimal=mark,
            thousands=(GROUPS[mark] if thousands is None else thousands),
            unit=unit,
            accounting=accounting,
            dash=dash,
        )
        for mark in (".", ",")
        if decimal in (None, mark)
    ]
