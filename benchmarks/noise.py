"""How often something is found where nothing is: series, clouds of rows and targets of many kinds of noise.

    python -m benchmarks.noise

Every table is drawn from a seed of its own (`benchmarks/noise_tables.py`). What counts as found is what stands in
`series.json`, `patterns.json` and `target.json`, by the limits that the report tells findings by. `stated` is the rate
that the product promises for a table in which nothing is; `holds` says that the share found does not contradict it
(the lower end of its 95 % interval is below). Planted values show that the limits still let something pass. Nothing is
timed.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks import noise_tables as made
from benchmarks.harness import parse
from benchmarks.machine import commit, machine
from raypipe.blocks.chance import wilson_interval
from raypipe.blocks.table import finish, summarise
from raypipe.insights.findings.closer import is_sure
from raypipe.insights.findings.series import MAX_P
from raypipe.insights.findings.target import sure_relations
from raypipe.insights.patterns.detector import PatternDetector
from raypipe.insights.relations import plan_relations
from raypipe.insights.series.anomalies import find_anomalies
from raypipe.insights.series.decompose import Tails, decompose
from raypipe.insights.series.frames import analyse_series
from raypipe.insights.target.analysis import analyse_target

SERIES_ROWS = (60, 200)
VALUE_ROWS = (60, 200, 700)
CLOUD_SIZES = ((150, 3), (600, 2), (600, 10))
TARGET_ROWS = (250, 1_000)
REPEATS = {
    "single values": 300,
    "counts and means": 300,
    "planted values": 100,
    "series": 60,
    "cloud": 100,
    "target": 40,
}
LEAST = 1
STATED = {
    "trend": 0.01, "season": 0.01, "change": 0.01, "anomaly": 0.05, "forecast": 0.01,
    "clusters": 0.001, "odd rows": 0.001, "rules": 0.001, "dependencies": 0.05,
    "leaks": 0.05, "segments": 0.001, "drift": 0.001, "relations": 0.01, "drivers": 0.01, "predictable": 0.05,
}  # fmt: skip
"""Rate a table; dependencies, leaks and predictability have limits of size and no level: 5 % is asked of them."""
HEAVIER = {"t2"}
"""Single values with heavier tails than the heaviest that are promised."""
Ask = Callable[[pl.DataFrame, str], set[str]]
"""(table, kind of noise) -> what is found that is not there."""


def in_values(frame: pl.DataFrame, kind: str) -> set[str]:
    """Anomalies of single values, which may have heavy tails."""
    return _anomalies(frame, kind, "values")


def in_counts(frame: pl.DataFrame, kind: str) -> set[str]:
    """Anomalies of counts, and of means of thirty values, which are not yet near enough to normal."""
    return _anomalies(frame, kind, "values" if "means of 30" in kind else "means" if "means" in kind else "counts")


def _anomalies(frame: pl.DataFrame, kind: str, of: Tails) -> set[str]:
    y = frame["y"].to_numpy()
    phases = [np.arange(len(y)) % 7] if kind in made.FOLLOWS else []
    parts = decompose(y, phases, 7.0 if phases else 1.0)
    found = find_anomalies(y, parts, np.zeros(len(y)), [""] * len(y), of)
    return {"anomaly"} if found is not None and found.count else set()


def in_series(frame: pl.DataFrame, kind: str) -> set[str]:
    """What the course of `y` is said to have, apart from what it has by its making."""
    report = analyse_series(frame, "day", "y")
    facts = report.of("y") if report is not None else None
    if facts is None or facts.trend is None:
        return set()
    found = {
        "trend": "line" in facts.shape and facts.trend.p_value < MAX_P,
        "season": any(test.p_value < MAX_P for test in facts.seasons),
        "change": bool(facts.changes),
        "forecast": facts.forecast is not None and facts.forecast.better,
    }
    return {name for name, hit in found.items() if hit}


def in_cloud(frame: pl.DataFrame, kind: str) -> set[str]:
    """Patterns across the columns."""
    report = PatternDetector().detect(frame.to_arrow())
    found = {
        "clusters": report.clusters.k > 0,
        "odd rows": report.anomalies.count > 0,
        "rules": bool(report.rules),
        "dependencies": bool(report.dependencies),
    }
    return {name for name, hit in found.items() if hit}


def around_target(frame: pl.DataFrame, kind: str) -> set[str]:
    """What is said of the target `y`."""
    table = frame.to_arrow()
    stage = plan_relations(finish(summarise(table)), table.schema, "y")
    report = analyse_target(stage.finish(stage.partial(table, "0")), table, time="day")
    models = report.baselines.models if report.baselines else ()
    found = {
        "leaks": bool(report.leaks),
        "segments": bool(report.segments),
        "drift": report.drift is not None and report.drift.drifts,
        "relations": any(one.q_value is not None and one.q_value < MAX_P for one in report.relations),
        "drivers": bool(sure_relations(report)),
        "predictable": any(is_sure(model) for model in models if model.model != "average"),
    }
    return {name for name, hit in found.items() if hit}


def _series(kind: str, seed: int, rows: int) -> pl.DataFrame:
    makers = made.SERIES | made.COUNTS | made.PLANTED
    return made.over_days(makers[kind](np.random.default_rng((seed, rows, list(makers).index(kind))), rows))


class Case(NamedTuple):
    """A question, put to tables of one kind and size."""

    family: str
    kind: str
    size: str
    ask: Ask
    table: Callable[[int], pl.DataFrame]
    """Of a seed."""


def cases() -> Iterator[Case]:
    """All that is asked."""
    yield from _of_steps("single values", made.SERIES, VALUE_ROWS, in_values)
    yield from _of_steps("counts and means", made.COUNTS, VALUE_ROWS, in_counts)
    yield from _of_steps("planted values", made.PLANTED, VALUE_ROWS, in_values)
    yield from _of_steps("series", made.COURSES, SERIES_ROWS, in_series)
    for kind, (rows, p) in itertools.product(made.CLOUDS, CLOUD_SIZES):
        yield Case(
            "cloud", kind, f"{rows} x {p}", in_cloud, lambda seed, k=kind, n=rows, w=p: made.cloud(k, seed, n, w)
        )
    for kind, rows in itertools.product(made.TARGETS, TARGET_ROWS):
        yield Case(
            "target", kind, f"{rows} rows", around_target, lambda seed, k=kind, n=rows: made.with_target(k, seed, n)
        )


def _of_steps(family: str, kinds: Iterable[str], sizes: Sequence[int], ask: Ask) -> Iterator[Case]:
    for kind, rows in itertools.product(kinds, sizes):
        yield Case(family, kind, f"{rows} steps", ask, lambda seed, k=kind, n=rows: _series(k, seed, n))


def asked_of(family: str, kind: str) -> tuple[str, ...]:
    """What is counted for a kind."""
    if family == "series":
        # What remembers can be foretold better than by its mean, or by its last value.
        return ("trend", "season", "change") if kind in made.REMEMBERS else ("trend", "season", "change", "forecast")
    if family == "cloud":
        return ("clusters", "odd rows", "rules", "dependencies")
    return ("leaks", "segments", "drift", "relations", "drivers", "predictable") if family == "target" else ("anomaly",)


def measure(share: float, first: int, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """One entry for each question, kind and size, with `share` of the tables of each."""
    found: list[dict[str, Any]] = []
    for case in cases():
        if only and case.family not in only:
            continue
        repeats = max(LEAST, round(REPEATS[case.family] * share))
        hits: Counter[str] = Counter()
        for seed in range(first, first + repeats):
            hits.update(case.ask(case.table(seed), case.kind))
        found += [_entry(case, one, hits[one], repeats) for one in asked_of(case.family, case.kind)]
        print(f"{case.family}, {case.kind}, {case.size}: {dict(hits)}", file=sys.stderr, flush=True)
    return found


def _entry(case: Case, what: str, hits: int, tables: int) -> dict[str, Any]:
    low, high = wilson_interval(hits, tables)
    entry = {
        "family": case.family, "noise": case.kind, "size": case.size, "what": what, "tables": tables, "found": hits,
        "share": round(hits / tables, 4), "interval": [round(low, 4), round(high, 4)],
    }  # fmt: skip
    if case.family == "planted values" or (case.family == "single values" and case.kind in HEAVIER):
        return entry
    return entry | {"stated": STATED[what], "holds": low <= STATED[what]}


def summed(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By what is found: over all kinds of noise, and the kind with most."""
    found = []
    for what in dict.fromkeys(one["what"] for one in entries if "holds" in one):
        own = [one for one in entries if one["what"] == what and "holds" in one]
        tables, hits = sum(one["tables"] for one in own), sum(one["found"] for one in own)
        worst = max(own, key=lambda one: one["share"])
        found.append(
            {
                "what": what, "stated": STATED[what], "tables": tables, "found": hits, "share": round(hits / tables, 5),
                "worst_share": worst["share"], "worst": f"{worst['noise']}, {worst['size']}",
                "kinds": len(own), "kinds_that_hold": sum(one["holds"] for one in own),
            }
        )  # fmt: skip
    return found


def show(document: dict[str, Any]) -> None:
    """The sums, and the planted values."""
    table = Table(title="found where nothing is")
    for head in ("what", "stated", "tables", "share", "worst_share", "worst", "kinds", "kinds_that_hold"):
        table.add_column(head.replace("_", " "))
    for one in document["summary"]:
        table.add_row(*(str(one[head.header.replace(" ", "_")]) for head in table.columns))  # type: ignore[union-attr]
    console = Console(width=140)
    console.print(table)
    for one in document["results"]:
        if one["family"] == "planted values":
            console.print(f"planted, {one['noise']}, {one['size']}: found in {one['share']:.1%}")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", None, argv)
    results = measure(0.0 if options.quick else 1.0, 0, options.only)
    document = {
        "name": "noise", "command": "python -m benchmarks.noise", "commit": commit(), "machine": machine(),
        "timed": False, "summary": summed(results), "results": results,
    }  # fmt: skip
    show(document)
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (options.results / "noise.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
