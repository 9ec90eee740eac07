"""How often the intervals that raypipe states hold the truth, beside how often they say they do.

    python -m benchmarks.coverage

Each interval is computed by the function that the product calls, on data drawn from a law whose true value is known,
anew for each of many seeds. An interval `holds` unless the 95 % interval of its measured coverage lies below what it
states; one that covers more than it states is wide and not wrong. Distributions that an interval was not made for
stand there too, marked `promised: false`: what they cost should be known. Nothing is timed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.coverage_cases import Case, cases, draws
from benchmarks.harness import parse
from benchmarks.machine import commit, machine
from raypipe.blocks.chance import wilson_interval

QUICK = 3


class Count(NamedTuple):
    """Intervals that were stated, and those that hold the truth."""

    stated: int
    held: int


def count(case: Case, repeats: int, first: int = 0) -> Count:
    """Draws of one case that state an interval, and how many hold the truth."""
    told = [one for one in draws(case, repeats, first) if one is not None]
    return Count(len(told), sum(told))


def measure(share: float, first: int = 0) -> list[dict[str, Any]]:
    """One entry for each case, with `share` of its repeats."""
    found = []
    for case in cases():
        stated, held = count(case, max(QUICK, round(case.repeats * share)), first)
        low, high = wilson_interval(held, stated)
        found.append(
            {
                "interval": case.interval, "of": case.of, "stated": case.level, "draws": stated,
                "covered": round(held / stated, 4) if stated else None, "error": [round(low, 4), round(high, 4)],
                "promised": case.promised, "holds": high >= case.level,
            }
        )  # fmt: skip
        print(f"{case.interval}, {case.of}: {found[-1]['covered']}", file=sys.stderr, flush=True)
    return found


def show(entries: list[dict[str, Any]]) -> None:
    """The figures as a table."""
    table = Table(title="how often intervals hold the truth")
    for head in ("interval", "of", "stated", "covered", "draws", ""):
        table.add_column(head)
    for one in entries:
        word = "" if one["holds"] else "too narrow" if one["promised"] else "too narrow, not promised"
        table.add_row(
            *(str(one[name]) for name in ("interval", "of", "stated", "covered", "draws")),
            word,
        )
    Console(width=140).print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", None, argv)
    entries = measure(0.0 if options.quick else 1.0)
    show(entries)
    document = {
        "name": "coverage", "command": "python -m benchmarks.coverage", "commit": commit(), "machine": machine(),
        "timed": False, "intervals": len(entries), "promised": sum(one["promised"] for one in entries),
        "promised_that_hold": sum(one["promised"] and one["holds"] for one in entries), "results": entries,
    }  # fmt: skip
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (options.results / "coverage.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
