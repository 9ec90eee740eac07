"""Generated columns whose meaning is known, one of each kind, and near misses."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import string
import uuid
from collections.abc import Callable
from functools import cached_property

import numpy as np

from raypipe.etl.infer.digits import IBAN_LENGTHS

ROWS = 300
WORDS_TEXT = "the order was late and customer asked for money back after long call with support about broken parts "
WORDS = WORDS_TEXT.split()
FIRST_TEXT = "Anna Bob Chloé Dmitri Elena Farid Greta Hugo Ines Jörg Kira Liam Mona Nils Olga Piotr Rosa Sven Tara Uwe "
FIRST = FIRST_TEXT.split()
LAST_TEXT = "Smith Meier Rossi Dubois García Novák Jensen Kowalski Yılmaz O'Neil Brown Klein Costa Weber Silva Lund "
LAST = LAST_TEXT.split()


def luhn(digits: str) -> str:
    """The digits with their check digit."""
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(reversed(digits)))
    return f"{digits}{-total % 10}"


def iban(rng: np.random.Generator) -> str:
    country = str(rng.choice(["DE", "FR", "GB", "NL", "ES"]))
    letters = {"GB": "WEST", "NL": "ABNA"}.get(country, "")
    body = letters + "".join(map(str, rng.integers(0, 10, IBAN_LENGTHS[country] - 4 - len(letters))))
    number = "".join(str(int(c, 36)) for c in f"{body}{country}00")
    return f"{country}{98 - int(number) % 97:02d}{body}"


class Draw:
    """Draws cells of a column, always the same ones for a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    @cached_property
    def mail(self) -> list[object]:
        """Addresses that several columns share."""
        return self.many(
            lambda: (
                f"{self.rng.choice(FIRST).lower()}.{self.digits(3)}@{self.rng.choice(['a.org', 'mail.example.com'])}"
            )
        )

    def many(self, make: Callable[[], object]) -> list[object]:
        """A column of made cells."""
        return [make() for _ in range(ROWS)]

    def pick(self, *values: object) -> list[object]:
        """A column of some of these."""
        return [values[i] for i in self.rng.integers(0, len(values), ROWS)]

    def digits(self, n: int) -> str:
        """So many digits."""
        return "".join(map(str, self.rng.integers(0, 10, n)))

    def hexes(self, n: int) -> str:
        """So many hexadecimal digits."""
        return "".join(self.rng.choice(list("0123456789abcdef"), n))

    def spaced(self, text: str) -> str:
        """In groups of four."""
        return " ".join(text[i : i + 4] for i in range(0, len(text), 4))

    def sentence(self) -> str:
        """Some words."""
        return " ".join(self.rng.choice(WORDS, self.rng.integers(4, 15)))

    def person(self) -> str:
        """First and last name."""
        return f"{self.rng.choice(FIRST)} {self.rng.choice(LAST)}"

    def day(self) -> dt.date:
        """A day of six years."""
        return dt.date(2019, 1, 1) + dt.timedelta(days=int(self.rng.integers(0, 2000)))

    def number(self, low: float, high: float, places: int = 2) -> float:
        """A number, rounded."""
        return round(float(self.rng.uniform(low, high)), places)


KINDS: tuple[tuple[str, str, Callable[[Draw], list[object]]], ...] = (
    ("contact", "email", lambda d: d.mail),
    ("E-Mail", "email", lambda d: [None if i % 7 == 0 else f" {value} " for i, value in enumerate(d.mail)]),
    ("handle", "free_text", lambda d: d.many(lambda: f"@{d.rng.choice(FIRST).lower()}{d.digits(4)}")),
    ("half_mail", "free_text", lambda d: [m if i % 2 else d.sentence() for i, m in enumerate(d.mail)]),
    ("homepage", "url", lambda d: d.many(lambda: f"https://{d.hexes(5)}.example/{d.hexes(4)}?q={d.digits(2)}")),
    ("link", "url", lambda d: d.many(lambda: f"www.{d.hexes(8)}.org/x")),
    ("host", "identifier", lambda d: d.many(lambda: f"{d.hexes(6)}.example.org")),
    ("phone", "phone", lambda d: d.many(lambda: f"+49 30 {d.digits(7)}")),
    (
        "contact_no",
        "phone",
        lambda d: d.many(lambda: f"({d.rng.integers(200, 999)}) {d.rng.integers(200, 999)}-{d.digits(4)}"),
    ),
    ("mobile", "phone", lambda d: d.many(lambda: f"1{d.digits(10)}")),
    ("part_number", "identifier", lambda d: d.many(lambda: f"{d.digits(3)}-{d.hexes(4)}-{d.digits(2)}x")),
    ("zip", "postal_code", lambda d: d.many(lambda: f"{d.digits(5)}")),
    (
        "postcode",
        "postal_code",
        lambda d: d.many(
            lambda: (
                f"{d.rng.choice(['SW', 'EC', 'M'])}{d.rng.integers(1, 9)} "
                f"{d.rng.integers(1, 9)}{d.rng.choice(['AA', 'BD'])}"
            )
        ),
    ),
    ("plz", "postal_code", lambda d: d.rng.integers(10_000, 99_999, ROWS).tolist()),
    ("five_digits", "number", lambda d: d.rng.integers(10_000, 99_999, ROWS).tolist()),
    ("country", "country", lambda d: d.pick("DE", "FR", "US", "JP", "BR")),
    ("nationality", "country", lambda d: d.pick("Germany", "France", "United States", "Japan", "Türkiye")),
    ("origin", "country", lambda d: d.pick("Germany", "France", "Italy", "Spain", "Chile", "Kenya")),
    ("state", "category", lambda d: d.pick("NY", "CA", "TX", "FL", "WA", "NV", "OH")),
    ("lang", "language", lambda d: d.pick("en", "de", "fr", "es")),
    ("locale", "language", lambda d: d.pick("en-US", "de_DE", "fr-FR")),
    ("spoken", "language", lambda d: d.pick("English", "German", "French", "Polish")),
    ("lat", "latitude", lambda d: d.many(lambda: d.number(-60, 70, 5))),
    ("pickup_longitude", "longitude", lambda d: d.many(lambda: d.number(-179, 179, 5))),
    ("position", "coordinates", lambda d: d.many(lambda: f"{d.number(-60, 70, 4)}, {d.number(-170, 170, 4)}")),
    ("angle", "number", lambda d: d.many(lambda: d.number(-90, 90, 4))),
    ("client", "ip_address", lambda d: d.many(lambda: str(ipaddress.IPv4Address(int(d.rng.integers(1, 2**32 - 1)))))),
    ("peer", "ip_address", lambda d: d.many(lambda: str(ipaddress.IPv6Address(int(d.rng.integers(1, 2**62)) << 60)))),
    ("version", "identifier", lambda d: d.many(lambda: f"{d.digits(1)}.{d.digits(1)}.{d.digits(2)}")),
    ("trace", "uuid", lambda d: d.many(lambda: str(uuid.UUID(int=int(d.rng.integers(0, 2**62)) << 60)))),
    ("payload", "json", lambda d: d.many(lambda: json.dumps({"a": int(d.rng.integers(9)), "b": [d.sentence()]}))),
    ("template", "free_text", lambda d: d.many(lambda: "{" + d.sentence() + "}")),
    ("etag", "hash", lambda d: d.many(lambda: d.hexes(40))),
    ("md5", "hash", lambda d: d.many(lambda: d.hexes(32))),
    ("card", "credit_card", lambda d: d.many(lambda: luhn("4" + d.digits(14)))),
    (
        "paid_with",
        "identifier",
        lambda d: d.many(lambda: luhn("55" + d.digits(13))[:4] + "-" + luhn("55" + d.digits(13))[4:]),
    ),
    ("cc_spaced", "credit_card", lambda d: d.many(lambda: d.spaced(luhn("4" + d.digits(14))))),
    ("long_no", "number", lambda d: d.many(lambda: int("7" + d.digits(14)))),
    ("account", "iban", lambda d: d.many(lambda: iban(d.rng))),
    ("not_iban", "identifier", lambda d: d.many(lambda: "DE" + d.digits(20))),
    (
        "ssn",
        "national_id",
        lambda d: d.many(lambda: f"{d.rng.integers(100, 600)}-{d.rng.integers(10, 99)}-{d.rng.integers(1000, 9999)}"),
    ),
    ("folder", "file_path", lambda d: d.many(lambda: f"/srv/data/{d.hexes(4)}/{d.rng.choice(WORDS)}.csv")),
    ("doc", "file_path", lambda d: d.many(lambda: f"C:\\Users\\{d.hexes(4)}\\{d.rng.choice(WORDS)}.docx")),
    ("either", "category", lambda d: d.pick("yes/no", "on/off", "and/or")),
    (
        "price",
        "currency",
        lambda d: d.many(lambda: f"${d.rng.integers(1, 9)},{d.rng.integers(100, 999)}.{d.digits(2)}"),
    ),
    ("betrag", "currency", lambda d: d.many(lambda: f"{d.rng.integers(1, 999)},{d.digits(2)} €")),
    ("unit_price", "currency", lambda d: d.many(lambda: d.number(1, 500))),
    ("growth", "percentage", lambda d: d.many(lambda: f"{d.number(-20, 80, 1)} %")),
    ("discount_pct", "percentage", lambda d: d.many(lambda: d.number(0, 60, 1))),
    ("share", "percentage", lambda d: d.many(lambda: d.number(0, 1, 4))),
    ("weight", "number_with_unit", lambda d: d.many(lambda: f"{d.number(1, 90, 1)} kg")),
    ("speed", "number_with_unit", lambda d: d.many(lambda: f"{d.rng.integers(10, 200)}km/h")),
    ("height_cm", "number_with_unit", lambda d: d.many(lambda: d.number(120, 210, 1))),
    ("rooms", "category", lambda d: d.many(lambda: f"{d.rng.integers(1, 90)} apples")),
    ("took", "duration", lambda d: d.many(lambda: f"{d.rng.integers(1, 9)}h {d.rng.integers(1, 59)}m")),
    (
        "runtime",
        "duration",
        lambda d: d.many(lambda: f"0{d.rng.integers(1, 9)}:{d.rng.integers(10, 59)}:{d.rng.integers(10, 59)}"),
    ),
    ("span", "duration", lambda d: d.many(lambda: f"PT{d.rng.integers(1, 90)}M")),
    ("elapsed_ms", "duration", lambda d: d.many(lambda: d.number(1, 900, 3))),
    ("day", "date", lambda d: d.many(lambda: f"{d.day():%d.%m.%Y}")),
    ("shipped", "date", lambda d: d.many(lambda: f"{d.day():%m/%d/%Y}")),
    ("born", "date", lambda d: d.many(lambda: f"{d.day():%d %b %Y}")),
    ("as_date", "date", lambda d: d.many(d.day)),
    ("order_date", "date", lambda d: d.many(lambda: int(f"{d.day():%Y%m%d}"))),
    ("year", "date", lambda d: d.rng.integers(1990, 2024, ROWS).tolist()),
    ("build", "number", lambda d: d.rng.integers(1990, 2900, ROWS).tolist()),
    ("seen", "datetime", lambda d: d.many(lambda: f"{d.day()}T0{d.rng.integers(1, 9)}:15:00Z")),
    ("created_at", "datetime", lambda d: d.many(lambda: int(1.6e9 + d.rng.integers(0, 10**8)))),
    ("at_us", "datetime", lambda d: d.many(lambda: f"{d.day():%m/%d/%Y} {d.rng.integers(1, 12)}:30 PM")),
    ("active", "boolean", lambda d: d.pick("yes", "no")),
    ("paid_flag", "boolean", lambda d: d.pick("Y", "N")),
    ("is_new", "boolean", lambda d: d.pick(0, 1)),
    ("ok", "boolean", lambda d: d.pick(True, False)),
    ("vote", "category", lambda d: d.pick("yes", "no", "abstain")),
    ("sex", "category", lambda d: d.pick("m", "f")),
    ("size", "ordinal", lambda d: d.pick("S", "M", "L", "XL")),
    ("priority", "ordinal", lambda d: d.pick("P1", "P2", "P3", "P4")),
    ("mood", "ordinal", lambda d: d.pick("low", "medium", "high")),
    ("weekday", "ordinal", lambda d: d.pick("Mon", "Tue", "Wed", "Thu", "Fri")),
    ("stars", "ordinal", lambda d: d.pick(1, 2, 3, 4, 5)),
    ("http_status", "category", lambda d: d.pick(200, 301, 404, 500)),
    ("city", "category", lambda d: d.pick("Ulm", "Bonn", "New York", "São Paulo")),
    ("channel", "category", lambda d: d.pick("web", "shop", "phone")),
    ("customer_id", "identifier", lambda d: d.rng.permutation(ROWS * 7)[:ROWS].tolist()),
    ("row", "identifier", lambda d: list(range(1, ROWS + 1))),
    ("sku", "identifier", lambda d: d.many(lambda: f"AB-{d.digits(5)}")),
    ("code_zeros", "identifier", lambda d: d.many(lambda: f"00{d.digits(4)}")),
    ("ticket", "identifier", lambda d: d.many(lambda: f"PRJ-{d.digits(4)}")),
    ("age_years", "number", lambda d: d.rng.integers(18, 95, ROWS).tolist()),
    ("units", "number", lambda d: d.rng.integers(0, 400, ROWS).tolist()),
    ("reading", "number", lambda d: d.many(lambda: d.number(-5, 5, 3))),
    (
        "value_text",
        "number",
        lambda d: d.many(lambda: f"{d.rng.integers(1, 999)}.{d.rng.integers(100, 999)},{d.digits(2)}"),
    ),
    ("count_text", "number", lambda d: d.many(lambda: f"{d.rng.integers(1, 99)},{d.rng.integers(100, 999)}")),
    ("comment", "free_text", lambda d: d.many(d.sentence)),
    ("name", "free_text", lambda d: d.many(d.person)),
    ("nick", "free_text", lambda d: d.many(lambda: "".join(d.rng.choice(list(string.ascii_lowercase), 7)))),
)
"""Columns of every kind, and columns that nearly are: name, semantic type, and how its cells are drawn."""
