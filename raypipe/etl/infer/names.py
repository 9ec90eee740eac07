"""What the name of a column says about its values."""

from __future__ import annotations

import functools
import re
from itertools import pairwise

from raypipe.etl.infer.vocabulary import words

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_APART = re.compile(r"[^0-9a-zA-Z%$€£]+")

HINTS: dict[str, frozenset[str]] = {
    "identifier": words("id ids uid guid uuid key pk fk sku ean isbn ref reference serial"),
    "code": words("code no nr num number"),
    "latitude": words("lat latitude"),
    "longitude": words("lon lng long longitude"),
    "year": words("year yr jahr fy"),
    "moment": words("time timestamp ts epoch date datetime created updated at"),
    "percentage": words("pct percent percentage perc % ratio rate share"),
    "currency": words(
        "price cost amount revenue salary fee paid usd eur gbp chf jpy balance budget income wage spend fare "
        "tax discount $ € £ msrp"
    ),
    "duration": words("duration elapsed delay latency runtime uptime ttl timeout"),
    "postal_code": words("zip zipcode postal postcode plz cap pincode"),
    "phone": words("phone tel telephone mobile cell fax msisdn"),
    "country": words("country nation nationality iso2 iso3 land cc"),
    "language": words("lang language locale"),
    "credit_card": words("card cc ccn pan creditcard"),
    "person_name": words("firstname lastname surname fullname forename"),
    "address": words("address street addr"),
    "birth_date": words("dob birthdate birthday birth"),
    "national_id": words("ssn nino passport tin socialsecurity"),
    "path": words("path file filename filepath directory folder"),
    "hash": words("hash sha sha1 sha256 md5 digest checksum"),
    "measure": words("qty quantity count units total sum n score"),
}
"""Kind -> words in a name that point to it."""

UNITS: dict[str, str] = {
    **dict.fromkeys(("kg", "kilograms"), "kg"), **dict.fromkeys(("g", "grams"), "g"),
    **dict.fromkeys(("lb", "lbs", "pounds"), "lb"), **dict.fromkeys(("km", "kilometers", "kilometres"), "km"),
    **dict.fromkeys(("m", "meters", "metres"), "m"), **dict.fromkeys(("mi", "miles"), "mi"),
    **dict.fromkeys(("cm",), "cm"), **dict.fromkeys(("mm",), "mm"), **dict.fromkeys(("ft", "feet"), "ft"),
    **dict.fromkeys(("inch", "inches"), "in"), **dict.fromkeys(("celsius", "degc"), "°C"),
    **dict.fromkeys(("fahrenheit", "degf"), "°F"), **dict.fromkeys(("kwh",), "kWh"), **dict.fromkeys(("mwh",), "MWh"),
    **dict.fromkeys(("bytes",), "B"), **dict.fromkeys(("kb",), "kB"), **dict.fromkeys(("mb",), "MB"),
    **dict.fromkeys(("gb",), "GB"), **dict.fromkeys(("kib",), "KiB"), **dict.fromkeys(("mib",), "MiB"),
    **dict.fromkeys(("gib",), "GiB"), **dict.fromkeys(("hz",), "Hz"), **dict.fromkeys(("mhz",), "MHz"),
    **dict.fromkeys(("mph",), "mph"), **dict.fromkeys(("kmh", "kph"), "km/h"), **dict.fromkeys(("hpa",), "hPa"),
    **dict.fromkeys(("liters", "litres"), "l"), **dict.fromkeys(("ml",), "ml"),
}  # fmt: skip
"""Last word of a name -> the unit that it states."""

TIMES: dict[str, str] = {
    **dict.fromkeys(("ns", "nanoseconds"), "ns"), **dict.fromkeys(("us", "microseconds"), "us"),
    **dict.fromkeys(("ms", "millis", "milliseconds"), "ms"), **dict.fromkeys(("s", "sec", "secs", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minutes"), "min"), **dict.fromkeys(("h", "hrs", "hours"), "h"),
    **dict.fromkeys(("days",), "d"), **dict.fromkeys(("weeks",), "w"),
}  # fmt: skip
"""Last word of a name -> the unit of time that it states."""

CURRENCIES = words("usd eur gbp jpy chf cad aud cny inr sek nok dkk pln brl mxn")


@functools.lru_cache(maxsize=8192)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in lower case.

    Examples
    --------
    >>> words_of("customerID"), words_of("unit_price (EUR)")
    (('customer', 'id'), ('unit', 'price', 'eur'))
    """
    return tuple(word.lower() for part in _APART.split(name) for word in _CAMEL.split(part) if word)


def hints_at(name: str, kind: str) -> bool:
    """Whether a word of the name points to the kind.

    Examples
    --------
    >>> hints_at("postal code", "postal_code"), hints_at("relation", "latitude")
    (True, False)
    """
    said = words_of(name)
    known = HINTS[kind]
    pairs = (a + b for a, b in pairwise(said))
    return any(word in known for word in (*said, *pairs))


def unit_in(name: str) -> str | None:
    """The unit that the last word of the name states, if it is not the whole name."""
    said = words_of(name)
    return UNITS.get(said[-1]) if len(said) > 1 else None


def time_unit_in(name: str) -> str | None:
    """The unit of time that the last word of the name states, if it is not the whole name."""
    said = words_of(name)
    return TIMES.get(said[-1]) if len(said) > 1 else None


def currency_in(name: str) -> str | None:
    """The currency that a word of the name states.

    Examples
    --------
    >>> currency_in("price_eur")
    'EUR'
    """
    return next((word.upper() for word in words_of(name) if word in CURRENCIES), None)
