"""What rows at fault cost: the same rules with 0 %, 1 %, 10 % and all of the rows failing, counted only or set aside.

    python -m benchmarks.failing --out benchmarks/results/failing.json

The rules are those of `benchmarks.validate` about rows that the generated table keeps; rows that were spoiled break
six or more of them. Every run reads,
checks and profiles the table in this process. What is told is CPU (user and system), medians of interleaved rounds:
of the whole run, and by itself of the two stages that hold rows to rules, on one block. The file of rows set aside
holds each whole row as text with all the rules that it breaks, so that it must cost something: told as microseconds
and bytes a row, beside what the rest of the run takes for a row.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.inputs import lineitem_alike
from benchmarks.lineitem_rules import lineitem_rules
from benchmarks.machine import commit, load, machine
from raypipe.blocks.frames import from_polars
from raypipe.config import PipelineConfig
from raypipe.etl.rules import RuleSet
from raypipe.etl.rules.counting import CountFaults
from raypipe.etl.rules.judging import row_rules, row_stages
from raypipe.etl.rules.ruleset import written
from raypipe.pipeline.check import check_source
from raypipe.stage import BlockStage, ReduceStage

SHARES = (0.0, 0.01, 0.1, 1.0)
ACTIONS = ("count", "quarantine")
SPOILED = {"l_partkey": -1, "l_shipmode": "?", "l_shipinstruct": " ?", "l_shipdate": None}


def spoiled(path: Path, share: float, folder: Path) -> Path:
    """The table with four cells at fault in about so large a share of its rows."""
    target = folder / f"spoiled-{share:g}.parquet"
    rows = pl.read_parquet(path)
    bad = pl.Series(np.random.default_rng(7).random(rows.height) < share)
    changed = [
        pl.when(bad).then(pl.lit(value, rows.schema[name])).otherwise(name).alias(name)
        for name, value in SPOILED.items()
    ]
    rows.with_columns(changed).write_parquet(target, row_group_size=50_000)
    return target


def rules_that_hold(path: Path) -> list[dict[str, Any]]:
    """Those rules of `benchmarks.validate` that the table keeps, as they stand in a rule file."""
    block = from_polars(pl.read_parquet(path))
    specs = [{name: value for name, value in rule.spec().items() if value != []} for rule in lineitem_rules()]
    checks = row_rules(RuleSet.model_validate({"rules": specs}).checks())
    counts = CountFaults(rules=checks).partial(block, "p")
    held = {place for place, count in counts.rules.items() if not count.failing}
    specs = [written(check) for place, check in enumerate(checks) if place in held]
    return [{name: value for name, value in one.items() if name not in ("id", "action")} for one in specs]


def cpu() -> float:
    """Seconds of CPU that this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_whole(path: Path, rules: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Read, check, profile, and write what is set aside."""
    file, quarantine = folder / "rules.json", folder / "bad.parquet"
    file.write_text(json.dumps(rules), encoding="utf-8")
    config = PipelineConfig.of(
        {"data_source": path, "engine": {"engine": "inline"}, "validation": {"rules_path": file}}
    )
    before = cpu()
    checked = check_source(config, quarantine)
    taken = cpu() - before
    return {"cpu_s": taken, "rows": checked.rows_read, "aside": checked.rows_quarantined,
            "file_bytes": quarantine.stat().st_size}  # fmt: skip


def run_stages(path: Path, rules: dict[str, Any]) -> float:
    """CPU of the stages that hold rows to rules, over the table as one block."""
    block = from_polars(pl.read_parquet(path))
    stages = row_stages(RuleSet.model_validate(rules).checks())
    before = cpu()
    for stage in stages:
        if isinstance(stage, ReduceStage):
            stage.partial(block, "p")
        elif isinstance(stage, BlockStage):
            stage.apply(block)
    return cpu() - before


def measure(path: Path, rounds: int) -> list[dict[str, Any]]:
    """Each case in turn, round after round."""
    whole: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    stages: dict[tuple[str, float], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = {share: spoiled(path, share, folder) for share in SHARES}
        held = rules_that_hold(path)
        sets = {action: {"action": action, "rules": held} for action in ACTIONS}
        run_whole(tables[0.0], sets["count"], folder)  # what is imported and compiled once
        for _ in range(rounds):
            for action in ACTIONS:
                for share, table in tables.items():
                    whole[action, share].append(run_whole(table, sets[action], folder))
                    stages[action, share].append(run_stages(table, sets[action]))
    return [_case(*case, found, stages[case]) for case, found in whole.items()]


def _case(action: str, share: float, found: list[dict[str, Any]], stages: list[float]) -> dict[str, Any]:
    one = found[0]
    return {
        "action": action,
        "failing_share": share,
        "rows": one["rows"],
        "rows_set_aside": one["aside"],
        "run_cpu_s": round(statistics.median(each["cpu_s"] for each in found), 3),
        "stages_cpu_s": round(statistics.median(stages), 4),
        "bytes_a_row_set_aside": round(one["file_bytes"] / one["aside"], 1) if one["aside"] else None,
        "samples_run_cpu_s": [round(each["cpu_s"], 3) for each in found],
        "samples_stages_cpu_s": [round(each, 4) for each in stages],
    }


def told(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """What the cases say together."""
    by = {(case["action"], case["failing_share"]): case for case in cases}
    none, every = by["quarantine", 0.0], by["quarantine", 1.0]
    counted = [by["count", share]["stages_cpu_s"] for share in SHARES]
    aside = every["stages_cpu_s"] - by["count", 1.0]["stages_cpu_s"]
    return {
        "counting, dearest share against the cheapest": round(max(counted) / min(counted), 2),
        "microseconds a row of the whole run, none failing": round(1e6 * none["run_cpu_s"] / none["rows"], 2),
        "microseconds a row of the whole run, all set aside": round(1e6 * every["run_cpu_s"] / every["rows"], 2),
        "microseconds of the stage for a row set aside": round(1e6 * aside / every["rows"], 2),
    }


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("benchmarks/data"), help="where inputs are kept")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON to write; default: print")
    args = parser.parse_args()
    before = load()
    cases = measure(lineitem_alike(args.rows, args.data), args.rounds)
    text = json.dumps(
        {"machine": machine(), "commit": commit(), "load_before": before, "cases": cases, "told": told(cases)}, indent=2
    )
    if args.out is None:
        print(text)
    else:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
