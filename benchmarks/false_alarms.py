"""How often suggested rules fail on clean data, and how often they find a fault that was planted.

    python -m benchmarks.false_alarms --shared ../shared --out benchmarks/results/false_alarms.json

Each resplit draws rows of a table by a seed, cuts them into two halves at random, suggests rules on one and holds the
other to them, as `raypipe validate` does. The halves differ by chance only, so that every rule that fails is a false
alarm. Then one fault is planted in the second half; it is found if a rule fails that did not before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.demo_data import write_flights
from benchmarks.machine import commit, load, machine
from raypipe.config import PipelineConfig
from raypipe.etl.rules.registry import RULES
from raypipe.pipeline.check import check_source
from raypipe.pipeline.suggesting import suggest_rules

ROWS = 10_000
"""Drawn of a table for a resplit; a smaller one is taken whole."""
FAULT_SHARES = (0.05, 0.01, 0.003)
"""Sizes of a fault: of the rows, those that it touches; a mean is shifted by ten times as many standard deviations, and
a change of unit touches all rows."""
DRIFT = "drift"
"""Rules of this name, if there are any, are held against the first half as their reference."""
Frame = pl.DataFrame


def generated(seed: int = 1, rows: int = ROWS) -> Frame:
    """Skewed amounts, categories of all frequencies, codes, gaps, ordered dates."""
    rng = np.random.default_rng(seed)
    start = np.datetime64("2024-01-01") + rng.integers(0, 700, rows).astype("timedelta64[D]")
    zipf = np.minimum(rng.zipf(1.6, rows), 30)
    amount = np.round(rng.lognormal(3, 1, rows), 2)
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "category": [f"c{value:02d}" for value in zipf],
            "code": [f"AB-{value:05d}" for value in rng.integers(0, 99_999, rows)],
            "amount": amount,
            "tax": np.round(amount * 0.19, 2),
            "quantity": rng.poisson(4, rows),
            "ordered": start,
            "shipped": start + rng.integers(0, 30, rows).astype("timedelta64[D]"),
            "note": [None if value < 0.2 else "x" * int(value * 40) for value in rng.random(rows)],
        }
    )


def tables(shared: Path, folder: Path) -> dict[str, Frame]:
    """The clean tables, by name."""
    write_flights(folder / "flights.csv")
    agile = shared / "data" / "agile"
    found = {
        "flights": pl.read_csv(folder / "flights.csv", null_values="", try_parse_dates=True),
        "jira issues": pl.read_csv(agile / "tidev_jira" / "issues.csv", infer_schema_length=None),
        "jira comments": pl.read_csv(agile / "tidev_jira" / "comment_times.csv", infer_schema_length=None),
        "generated": generated(rows=20_000),
    }
    return {name: table for name, table in found.items() if table.height >= 500}


def halves(table: Frame, seed: int, rows: int = ROWS) -> tuple[Frame, Frame]:
    """Two random halves of rows that were drawn at random, each in the order of the table."""
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(table.height)[: 2 * (min(2 * rows, table.height) // 2)]
    half = len(drawn) // 2
    return table[np.sort(drawn[:half])], table[np.sort(drawn[half:])]


def config(path: Path, seed: int, rules: Path | None = None) -> PipelineConfig:
    """Settings to read a half with, in this process."""
    return PipelineConfig.of(
        {"data_source": path, "seed": seed, "engine": {"engine": "inline"}, "validation": {"rules_path": rules}}
    )


class Trial:
    """Rules of one half, and the verdicts on others."""

    def __init__(self, first: Frame, seed: int, folder: Path, budget: float) -> None:
        self.folder, self.seed = folder, seed
        self.first = folder / f"first-{seed}.parquet"  # of its own: what rules refer to is kept by its path
        first.write_parquet(self.first)
        found = suggest_rules(config(self.first, seed), budget)
        self.rules = folder / "rules.yaml"
        self.rules.write_text(found.text, encoding="utf-8")
        self.checks = len(found.rules.rules)

    def fired(self, half: Frame) -> list[tuple[str, str]]:
        """Kind and id of the rules that fail on a half."""
        half.write_parquet(self.folder / "second.parquet")
        checked = check_source(config(self.folder / "second.parquet", self.seed, self.rules))
        assert checked.validation is not None
        return [(one.rule, one.message) for one in checked.validation.outcomes if one.id and not one.passed]

    def drifted(self, half: Frame, columns: list[str]) -> tuple[int, int]:
        """Drift checks of a half against the first, and how many fail."""
        reference = json.dumps(str(self.first))
        each = (f"- {{rule: {DRIFT}, columns: {json.dumps(name)}, reference: {reference}}}\n" for name in columns)
        text = "rules:\n" + "".join(each)
        path = self.folder / "drift.yaml"
        path.write_text(text, encoding="utf-8")
        half.write_parquet(self.folder / "second.parquet")
        checked = check_source(config(self.folder / "second.parquet", self.seed, path))
        assert checked.validation is not None
        # A column that cannot be compared, such as free text, is no check.
        outcomes = [one for one in checked.validation.outcomes if one.id and one.figure is not None]
        return len(outcomes), sum(not one.passed for one in outcomes)


def rows_of(half: Frame, rng: np.random.Generator, share: float) -> pl.Series:
    """About so large a share of the rows, drawn at random, as a mask."""
    return pl.Series(rng.random(half.height) < share)


def nulls_appear(half: Frame, column: str, rng: np.random.Generator, size: float) -> Frame:
    """Null in a share `size` of the rows."""
    return half.with_columns(pl.when(~rows_of(half, rng, size)).then(column).alias(column))


def mean_shifts(half: Frame, column: str, rng: np.random.Generator, size: float) -> Frame:
    """Every value higher by ten times `size` standard deviations."""
    move = 10 * size * (half[column].std() or 0.0)
    kind = half.schema[column]
    moved = pl.col(column) + move
    return half.with_columns((moved.round() if kind.is_integer() else moved).cast(kind, strict=False).alias(column))


def unit_changes(half: Frame, column: str, rng: np.random.Generator, size: float) -> Frame:
    """Every value a hundred times as large, as cents are of euros."""
    return half.with_columns((pl.col(column) * 100).cast(half.schema[column], strict=False).alias(column))


def new_category(half: Frame, column: str, rng: np.random.Generator, size: float) -> Frame:
    """A value that was not there before, in a share `size` of the rows."""
    return half.with_columns(
        pl.when(rows_of(half, rng, size)).then(pl.lit("never seen")).otherwise(column).alias(column)
    )


def text_truncated(half: Frame, column: str, rng: np.random.Generator, size: float) -> Frame:
    """Texts cut short in a share `size` of the rows."""
    return half.with_columns(
        pl.when(rows_of(half, rng, size)).then(pl.col(column).str.head(2)).otherwise(column).alias(column)
    )


def order_swapped(half: Frame, pair: str, rng: np.random.Generator, size: float) -> Frame:
    """The two columns of the pair swapped in a share `size` of the rows."""
    a, b = pair.split(" < ")
    hit = rows_of(half, rng, size)
    return half.with_columns(pl.when(hit).then(b).otherwise(a).alias(a), pl.when(hit).then(a).otherwise(b).alias(b))


FAULTS: dict[str, tuple[Callable[[Frame, str, np.random.Generator, float], Frame], dict[str, list[str]]]] = {
    "nulls appear": (
        nulls_appear,
        {"flights": ["carrier", "distance", "dep_time"], "generated": ["id", "category", "amount"]},
    ),
    "mean shifts": (
        mean_shifts,
        {"flights": ["distance", "air_time"], "generated": ["amount", "quantity"]},
    ),
    "unit changes by 100": (unit_changes, {"flights": ["distance", "air_time"], "generated": ["amount", "tax"]}),
    "new category": (new_category, {"flights": ["carrier", "origin"], "generated": ["category", "code"]}),
    "text cut to two letters": (text_truncated, {"flights": ["dest", "tailnum"], "generated": ["category", "code"]}),
    "two columns swapped": (order_swapped, {"generated": ["ordered < shipped", "tax < amount"]}),
}


def measure(found: dict[str, Frame], resplits: int, powers: int, budget: float, rows: int = ROWS) -> dict[str, Any]:
    """Shares of checks that fire, by table, and of faults that are found."""
    alarms: dict[str, Counter[str]] = {name: Counter() for name in found}
    kinds: Counter[str] = Counter()
    messages: list[str] = []
    power: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory(prefix="raypipe-alarms-") as folder:
        for seed in range(resplits):
            name = list(found)[seed % len(found)]
            first, second = halves(found[name], seed, rows)
            trial = Trial(first, seed, Path(folder), budget)
            fired = trial.fired(second)
            alarms[name].update({"resplits": 1, "checks": trial.checks, "fired": len(fired)})
            kinds.update(kind for kind, _ in fired)
            messages += [f"{name}, seed {seed}: {text}" for _, text in fired]
            if DRIFT in RULES:
                checks, drifts = trial.drifted(second, first.columns)
                alarms[name].update({"drift_checks": checks, "drift_fired": drifts})
            if seed < powers * len(found):
                _plant(trial, (name, second, seed), {text for _, text in fired}, power)
    return {"alarms": alarms, "kinds": kinds, "messages": messages, "power": power}


def _plant(trial: Trial, clean: tuple[str, Frame, int], before: set[str], power: dict[str, Counter[str]]) -> None:
    name, second, seed = clean
    for fault, (plant, places) in FAULTS.items():
        for number, column in enumerate(places.get(name, [])):
            for size in FAULT_SHARES if fault != "unit changes by 100" else (1.0,):
                spoiled = plant(second, column, np.random.default_rng((seed, number)), size)
                found = {text for _, text in trial.fired(spoiled)} - before
                power[f"{fault}, {size:g}"].update({"planted": 1, "found": bool(found)})


def told(result: dict[str, Any]) -> dict[str, Any]:
    """The figures as they are kept."""
    alarms = {name: dict(counts) for name, counts in result["alarms"].items() if counts}
    for counts in alarms.values():
        counts["fired_share"] = round(counts["fired"] / max(1, counts["checks"]), 6)
    checks = sum(counts["checks"] for counts in alarms.values())
    fired = sum(counts["fired"] for counts in alarms.values())
    drift_checks = sum(counts.get("drift_checks", 0) for counts in alarms.values())
    drift_fired = sum(counts.get("drift_fired", 0) for counts in alarms.values())
    return {
        "resplits": sum(counts["resplits"] for counts in alarms.values()),
        "checks": checks,
        "fired": fired,
        "fired_share": round(fired / max(1, checks), 6),
        "drift_checks": drift_checks,
        "drift_fired": drift_fired,
        "drift_fired_share": round(drift_fired / drift_checks, 6) if drift_checks else None,
        "by_table": alarms,
        "fired_by_rule": dict(result["kinds"].most_common()),
        "examples": result["messages"][:40],
        "power": {
            fault: {**counts, "found_share": round(counts["found"] / counts["planted"], 4)}
            for fault, counts in result["power"].items()
            if counts
        },
    }


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/agile")
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where inputs are kept")
    parser.add_argument("--resplits", type=int, default=200)
    parser.add_argument("--powers", type=int, default=10, help="resplits a table in which faults are planted")
    parser.add_argument("--budget", type=float, default=0.01)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = told(measure(tables(options.shared, options.folder), options.resplits, options.powers, options.budget))
    content = {
        "benchmark": "false_alarms", "commit": commit(), "machine": machine(), "load": load(), "timed": False,
        "budget": options.budget, "rows_a_half": ROWS, **result,
    }  # fmt: skip
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
