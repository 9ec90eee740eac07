"""Texts as decimals of a given number of digits: exact, or none at all."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import polars as pl

MOST_DIGITS = 38
_EXPONENT = r"^[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d{1,3}$"
_KIND = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")


def decimal_type(kind: str) -> pl.Decimal | None:
    """The type that `decimal(digits,decimals)` names; None if it names none.

    Examples
    --------
    >>> decimal_type("decimal(12,2)"), decimal_type("decimal(2,12)"), decimal_type("int64")
    (Decimal(precision=12, scale=2), None, None)
    """
    found = _KIND.fullmatch(kind)
    if found is None or not 1 <= int(found[1]) <= MOST_DIGITS or int(found[2]) > int(found[1]):
        return None
    return pl.Decimal(int(found[1]), int(found[2]))


def decimal_kind(digits: int, decimals: int) -> str:
    """The name of a type of decimals."""
    return f"decimal({digits},{decimals})"


def decimals(texts: pl.Series, kind: pl.Decimal) -> pl.Series:
    """Values of trimmed texts; null where a text is no number, or has more digits than the type on either side.

    Zeros behind the last decimal do not count. Polars alone would round digits away.

    Examples
    --------
    >>> decimals(pl.Series(["1.5", "-0.250", "0.125", "1e1", "123", "007"]), pl.Decimal(4, 2)).to_list()
    [Decimal('1.50'), Decimal('-0.25'), None, Decimal('10.00'), None, None]
    """
    texts = _spelled_out(texts)
    whole = kind.precision - kind.scale
    fits = texts.str.contains(rf"^[+-]?0*\d{{0,{whole}}}(?:\.\d{{0,{kind.scale}}}0*)?$")
    fits &= texts.str.contains(r"\d") & ~texts.str.contains(r"^[+-]?0\d+$")
    plain = pl.select(pl.when(fits).then(texts)).to_series()
    if (plain.str.len_bytes() > kind.precision + 2).any():
        plain = plain.str.replace(r"(\.\d*?)0+$", "$1").str.replace(r"^([+-]?)0+(\d)", "$1$2")
    return plain.cast(kind, strict=False).alias(texts.name)


def _spelled_out(texts: pl.Series) -> pl.Series:
    """The texts, numbers with an exponent without it."""
    where = np.flatnonzero(texts.str.contains(_EXPONENT).fill_null(value=False).to_numpy())
    if not where.size:
        return texts
    said = [f"{Decimal(text):f}" for text in texts.gather(where)]
    return texts.scatter(where, pl.Series(said, dtype=pl.String))


def holding(texts: pl.Series) -> str | None:
    """The smallest type of decimals that holds every one of these trimmed values; None if there is none.

    Examples
    --------
    >>> holding(pl.Series(["12.5", "-0.12345678901234567890"])), holding(pl.Series(["1.5", "x"]))
    ('decimal(21,19)', None)
    """
    parts = texts.str.extract_groups(r"^[+-]?0*(\d*)(?:\.(\d*?)0*)?$").struct.unnest()
    if parts["1"].null_count():
        return None
    whole, scale = (int(str(parts[name].str.len_bytes().max() or 0)) for name in ("1", "2"))
    return decimal_kind(max(1, whole + scale), scale) if 0 < whole + scale <= MOST_DIGITS else None
