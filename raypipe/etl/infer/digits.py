"""Check digits of card numbers and bank accounts, for whole columns at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

_CARD_DIGITS = 19
_IBAN_CHARS = 34
_NOT_DIGITS = "[ -]"

IBAN_LENGTHS: dict[str, int] = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
"""Country -> characters of its account numbers (ISO 13616 registry)."""

CARD_PATTERN = r"^\d[ -]?(?:\d[ -]?){11,17}\d$"
_CARD_STARTS = r"^(?:4|5[1-5]|2[2-7]|3[47]|3[068]|35|6)"
"""First digits that card networks use (ISO/IEC 7812)."""


def passes_luhn(numbers: pl.Series) -> pl.Series:
    """Whether each text of at most 19 digits ends in the right check digit (ISO/IEC 7812-1, annex B).

    Examples
    --------
    >>> passes_luhn(pl.Series(["4111111111111111", "4111111111111112"])).to_list()
    [True, False]
    """
    if not len(numbers):
        return pl.Series([], dtype=pl.Boolean)
    digits = _bytes_of(numbers.str.zfill(_CARD_DIGITS), _CARD_DIGITS).astype(np.int16) - ord("0")
    doubled = digits[:, _CARD_DIGITS - 2 :: -2] * 2
    total = digits[:, _CARD_DIGITS - 1 :: -2].sum(axis=1) + (doubled - 9 * (doubled > 9)).sum(axis=1)
    return pl.Series(total % 10 == 0)


def are_cards(texts: pl.Series) -> pl.Series:
    """Whether each text is a card number: 13 to 19 digits, of a known network, with the right check digit."""
    shaped = texts.str.contains(CARD_PATTERN)
    digits = texts.filter(shaped).str.replace_all(_NOT_DIGITS, "")
    good = digits.str.contains(_CARD_STARTS) & passes_luhn(digits)
    return _spread(shaped, good)


def are_ibans(texts: pl.Series) -> pl.Series:
    """Whether each text is an account number: the length of its country, and 1 modulo 97 (ISO 7064).

    Examples
    --------
    >>> are_ibans(pl.Series(["GB82 WEST 1234 5698 7654 32", "GB83WEST12345698765432", "x"])).to_list()
    [True, False, False]
    """
    bare = texts.str.replace_all(" ", "", literal=True).str.to_uppercase()
    shaped = bare.str.contains(r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$")
    plain = bare.filter(shaped)
    wanted = plain.str.head(2).replace_strict(IBAN_LENGTHS, default=0, return_dtype=pl.Int64)
    good = plain.str.len_bytes().cast(pl.Int64) == wanted
    turned = plain.str.slice(4) + plain.str.head(4)
    return _spread(shaped, good & pl.Series(_modulo_97(turned.str.pad_start(_IBAN_CHARS, "0")) == 1))


def _modulo_97(texts: pl.Series) -> npt.NDArray[np.int64]:
    """Remainders of texts of 34 digits and letters, a letter standing for two digits (A is 10)."""
    rest = np.zeros(len(texts), np.int64)
    if not len(texts):
        return rest
    for place in _bytes_of(texts, _IBAN_CHARS).T.astype(np.int64):
        letter = place >= ord("A")
        rest = np.where(letter, rest * 100 + place - ord("A") + 10, rest * 10 + place - ord("0")) % 97
    return rest


def _bytes_of(texts: pl.Series, width: int) -> npt.NDArray[np.uint8]:
    """The bytes of ASCII texts that all have the same length."""
    array = texts.rechunk().to_arrow()
    start = int(np.frombuffer(array.buffers()[1], np.int64)[array.offset])
    data = np.frombuffer(array.buffers()[2], np.uint8)
    return data[start : start + width * len(array)].reshape(len(array), width)


def _spread(shaped: pl.Series, good: pl.Series) -> pl.Series:
    """`good` at the places where `shaped` is true; false elsewhere."""
    found = np.zeros(len(shaped), np.bool_)
    found[shaped.to_numpy()] = good.to_numpy()
    return pl.Series(found)
