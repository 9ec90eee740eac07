"""Types in text: whether it can be read as a number or a date, and whether it is a well-formed e-mail address and such.

Only the form is checked: nobody is asked whether an address or an account exists. Columns of whole numbers count as
text here, since a reader takes digits for numbers.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
import pyarrow.types as pt
from pydantic import field_validator

from raypipe.etl.rules.cells import Cell, Cells
from raypipe.etl.rules.codes import COUNTRIES, COUNTRIES_3, CURRENCIES, is_json, luhn, mod97
from raypipe.etl.rules.comparing import is_number, written_cell
from raypipe.etl.rules.rule import RowRule
from raypipe.etl.wording import shown

# Digits are those of ASCII: Rust's \d takes those of every script, which no parser reads.
INTEGER = r"^[+-]?[0-9]+$"
NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
UUID = r"(?i)^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$"
EMAIL = (
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$"
)
URL = (
    r"(?i)^(?:https?|ftp)://(?:[a-z0-9._~%!$&'()*+,;=:-]+@)?"
    r"(?:localhost|(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)*[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?"
    r"|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:[/?#]\S*)?$"
)
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = rf"^{_BYTE}(?:\.{_BYTE}){{3}}$"
_H = r"[0-9A-Fa-f]{1,4}"
IPV6 = (
    rf"^(?:(?:{_H}:){{7}}{_H}|(?:{_H}:){{1,7}}:|(?:{_H}:){{1,6}}:{_H}|(?:{_H}:){{1,5}}(?::{_H}){{1,2}}"
    rf"|(?:{_H}:){{1,4}}(?::{_H}){{1,3}}|(?:{_H}:){{1,3}}(?::{_H}){{1,4}}|(?:{_H}:){{1,2}}(?::{_H}){{1,5}}"
    rf"|{_H}:(?::{_H}){{1,6}}|:(?:(?::{_H}){{1,7}}|:))$"
)
PHONE = r"^\+?\(?[0-9][0-9 ().\-/]*[0-9]$"
IBAN = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"
CARD = r"^[0-9](?:[ -]?[0-9]){11,18}$"


class _Formed(RowRule):
    """Text of a form that one pattern tells."""

    GROUP = "types in text"
    PATTERN: ClassVar[str]
    WANTED: ClassVar[str]

    @property
    def wanted(self) -> str:
        return self.WANTED

    def breaks(self, cells: Cells) -> pl.Expr:
        return ~written_cell(cells[self.columns[0]]).str.contains(self.PATTERN)


class ParsesAsInteger(_Formed):
    """Text is a whole number."""

    PATTERN = INTEGER
    WANTED = "a whole number"
    rule: Literal["parses_as_integer"] = "parses_as_integer"


class ParsesAsNumber(RowRule):
    """Text is a number with a decimal point, or with an exponent; columns of numbers keep it but for NaN."""

    GROUP = "types in text"
    rule: Literal["parses_as_number"] = "parses_as_number"

    @property
    def wanted(self) -> str:
        return "a number"

    def breaks(self, cells: Cells) -> pl.Expr:
        cell = cells[self.columns[0]]
        if is_number(cell.kind):
            return cell.expr.is_nan() if pt.is_floating(cell.kind) else _never(cell)
        return ~written_cell(cell).str.contains(NUMBER)


class ParsesAsDate(RowRule):
    """Text is a date in a given format; columns of dates keep it."""

    GROUP = "types in text"
    rule: Literal["parses_as_date"] = "parses_as_date"
    format: str = "%Y-%m-%d"
    """In the letters of strftime."""

    @field_validator("format")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            pl.Series(["2024-12-31"]).str.to_date(value, strict=False)
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"format {shown(value)}: {str(error).splitlines()[0]}") from None
        return value

    @property
    def wanted(self) -> str:
        return f"a date as {self.format}"

    def breaks(self, cells: Cells) -> pl.Expr:
        cell = cells[self.columns[0]]
        if pt.is_date(cell.kind) or pt.is_timestamp(cell.kind):
            return _never(cell)
        text = written_cell(cell)
        return _unless(text, text.str.to_date(self.format, strict=False).is_not_null())


class Email(_Formed):
    """Text is an e-mail address: a local part of the usual characters, and a domain with a point."""

    PATTERN = EMAIL
    WANTED = "an e-mail address"
    rule: Literal["email"] = "email"


class Url(_Formed):
    """Text is an address that begins with http, https or ftp."""

    PATTERN = URL
    WANTED = "a URL"
    rule: Literal["url"] = "url"


class Uuid(_Formed):
    """Text is a UUID, with hyphens or without."""

    PATTERN = UUID
    WANTED = "a UUID"
    rule: Literal["uuid"] = "uuid"


class IpAddress(RowRule):
    """Text is an IP address."""

    GROUP = "types in text"
    rule: Literal["ip_address"] = "ip_address"
    version: Literal["any", "4", "6"] = "any"

    @property
    def wanted(self) -> str:
        return "an IP address" if self.version == "any" else f"an IPv{self.version} address"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = written_cell(cells[self.columns[0]])
        four, six = text.str.contains(IPV4), text.str.contains(IPV6)
        return ~(four if self.version == "4" else six if self.version == "6" else four | six)


class JsonText(RowRule):
    """Text is JSON."""

    GROUP = "types in text"
    rule: Literal["json"] = "json"

    @property
    def wanted(self) -> str:
        return "JSON"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = written_cell(cells[self.columns[0]])
        return _unless(text, text.map_batches(is_json, return_dtype=pl.Boolean))


class Iban(RowRule):
    """Text is an account number with right check digits (ISO 13616, modulo 97); spaces do not matter."""

    GROUP = "types in text"
    rule: Literal["iban"] = "iban"

    @property
    def wanted(self) -> str:
        return "an IBAN"

    def breaks(self, cells: Cells) -> pl.Expr:
        bare = written_cell(cells[self.columns[0]]).str.replace_all(" ", "", literal=True)
        formed = bare.str.contains(IBAN)
        turned = pl.when(formed).then(bare.str.slice(4) + bare.str.head(4)).otherwise(pl.lit(""))
        return _unless(bare, formed & (turned.map_batches(mod97, return_dtype=pl.Int64) == 1))


class CreditCard(RowRule):
    """Text is a card number of 12 to 19 digits with a right check digit (Luhn, ISO/IEC 7812)."""

    GROUP = "types in text"
    rule: Literal["credit_card"] = "credit_card"

    @property
    def wanted(self) -> str:
        return "a card number"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = written_cell(cells[self.columns[0]])
        formed = text.str.contains(CARD)
        digits = pl.when(formed).then(text.str.replace_all(r"[ -]", "")).otherwise(pl.lit(""))
        return _unless(text, formed & (digits.map_batches(luhn, return_dtype=pl.Int64) == 0))


class Phone(RowRule):
    """Text is a phone number: 7 to 15 digits (E.164), with the usual signs between them."""

    GROUP = "types in text"
    rule: Literal["phone"] = "phone"
    international: bool = False
    """It must begin with + and the code of a country."""

    @property
    def wanted(self) -> str:
        return "a phone number" + (" that begins with +" if self.international else "")

    def breaks(self, cells: Cells) -> pl.Expr:
        text = written_cell(cells[self.columns[0]])
        right = text.str.contains(PHONE) & text.str.count_matches("[0-9]").is_between(7, 15)
        return ~(right & text.str.starts_with("+") if self.international else right)


class CountryCode(RowRule):
    """Text is a country code of ISO 3166-1, in capitals."""

    GROUP = "types in text"
    rule: Literal["country_code"] = "country_code"
    letters: Literal[2, 3] = 2

    @property
    def wanted(self) -> str:
        return f"a country code of {self.letters} letters"

    def breaks(self, cells: Cells) -> pl.Expr:
        return _unlisted(cells[self.columns[0]], COUNTRIES if self.letters == 2 else COUNTRIES_3)


class CurrencyCode(RowRule):
    """Text is a currency code of ISO 4217, in capitals."""

    GROUP = "types in text"
    rule: Literal["currency_code"] = "currency_code"

    @property
    def wanted(self) -> str:
        return "a currency code"

    def breaks(self, cells: Cells) -> pl.Expr:
        return _unlisted(cells[self.columns[0]], CURRENCIES)


def _never(cell: Cell) -> pl.Expr:
    return cell.expr.is_null() & pl.lit(False)


def _unless(text: pl.Expr, right: pl.Expr) -> pl.Expr:
    """Broken where there is a text, and it is not right."""
    return text.is_not_null() & ~right


def _unlisted(cell: Cell, codes: tuple[str, ...]) -> pl.Expr:
    text = written_cell(cell)
    return _unless(text, text.is_in(pl.lit(pl.Series(codes).implode())))


RULES = (
    ParsesAsInteger,
    ParsesAsNumber,
    ParsesAsDate,
    Email,
    Url,
    Uuid,
    IpAddress,
    JsonText,
    Iban,
    CreditCard,
    Phone,
    CountryCode,
    CurrencyCode,
)
