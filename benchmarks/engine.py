"""raypipe's engine beside Ray Data: three stages over 512 MB, and over 1,000 blocks of 16 KB.

Each measurement is of one pass inside a Ray that is already up: `cold` starts the actors, `warm` is the pass after.
Ray Data starts its actors anew in every pass. raypipe runs with its stages fused into one pool, and with a pool for
each; Ray Data with callable classes (pools of actors, what the bars speak of) and with plain functions (fused tasks).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.figures import Bar, report
from benchmarks.harness import Contender, Meeting, parse
from benchmarks.process import ContenderError

FUSED = "raypipe"
ACTORS = "Ray Data, actors"
CONTENDERS = [
    Contender(FUSED, "raypipe_engine", "raypipe", {"fuse": True}),
    Contender("raypipe, a pool a stage", "raypipe_engine", "raypipe", {"fuse": False}),
    Contender(ACTORS, "raydata_engine", "peers", {"actors": True}),
    Contender("Ray Data, tasks", "raydata_engine", "peers", {"actors": False}),
]
LARGE, SMALL = "512 MB", "1,000 x 16 KB"
CASES = {LARGE: {"blocks": 64, "block_bytes": 8 << 20}, SMALL: {"blocks": 1000, "block_bytes": 16 << 10}}
QUICK = {SMALL: {"blocks": 16, "block_bytes": 4 << 10}}
BARS = [
    Bar(f"{case}, {heat}: at least {factor:g}x faster than Ray Data's actors", f"{case}, {heat}", FUSED, ACTORS, factor)
    for case, factor in ((LARGE, 2.0), (SMALL, 3.0))
    for heat in ("warm", "cold")
]


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store-mib", type=int, default=0, help="limit Ray's object store, e.g. 256; default: Ray's own"
    )
    parser.add_argument("--warm-runs", type=int, default=1, help="warm passes after each cold one")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", _add, argv)
    cases = QUICK if options.quick else CASES
    totals: dict[str, float] = {}

    def turn(meeting: Meeting, contender: Contender) -> None:
        for case, size in cases.items():
            task = {**size, "store_mib": options.extra.store_mib}
            with meeting.open(contender) as server:
                server.ask("prepare", {**contender.task, **task})
                for number in range(1 + options.extra.warm_runs):
                    heat = "warm" if number else "cold"
                    sample = meeting.time(f"{case}, {heat}", contender, server, task)
                    _check(contender.name, sample.facts, size, totals.setdefault(case, sample.facts["total"]))

    meeting = Meeting(options, CONTENDERS)
    meeting.run(turn)
    notes = [
        f"blocks of {8} float64 columns, made in the workers; every sum was checked against the first one",
        f"object store: {options.extra.store_mib} MiB"
        if options.extra.store_mib
        else "object store: as each engine sets it",
    ]
    name = f"engine_{options.extra.store_mib}mib" if options.extra.store_mib else "engine"
    return report(name, meeting, BARS, FUSED, notes)


def _check(name: str, facts: Mapping[str, Any], size: Mapping[str, int], total: float) -> None:
    rows = size["blocks"] * (size["block_bytes"] // 64)
    if facts["rows"] != rows or not math.isclose(facts["total"], total, rel_tol=1e-9):
        raise ContenderError(f"{name}: got {facts}; wanted {rows} rows that sum to {total}")


if __name__ == "__main__":
    sys.exit(main())
