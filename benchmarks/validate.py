"""Sixty rules on TPC-H lineitem: raypipe beside DuckDB SQL written by hand, pandera and Great Expectations.

raypipe also profiles every column in the same pass, runs its six rules of quality, and keeps the first rows at fault;
DuckDB only counts. The second case has bounds that every row breaks, so that the cost of failures shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.figures import Bar, report
from benchmarks.harness import Contender, Meeting, parse
from benchmarks.inputs import LINEITEM_ROWS, lineitem, lineitem_alike
from benchmarks.process import ContenderError

RAYPIPE = Contender("raypipe", "raypipe_validate", "raypipe")
ALONE = Contender("raypipe, rules only", "raypipe_validate", "raypipe", {"profile": False})
DUCKDB = Contender("DuckDB SQL", "duckdb_validate")
PANDERA = Contender("pandera on Polars", "pandera_validate", slow=True)
GX = Contender("Great Expectations on pandas", "gx_validate", slow=True)
CASES = {"all rows pass": False, "all rows fail": True}
MAX_GROWTH = 1.2
WARM_ROWS = 20_000
QUICK_ROWS = 2_000


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", _add, argv)
    scale: float = options.extra.scale
    small = lineitem_alike(QUICK_ROWS if options.quick else WARM_ROWS, options.data)
    path = small if options.quick else lineitem(scale, options.data, options.peers)

    def turn(meeting: Meeting, contender: Contender) -> None:
        with meeting.open(contender) as server:
            server.ask("prepare", {**contender.task, "small": str(small)})
            for case, all_fail in CASES.items():
                task = {"path": str(path), "all_fail": all_fail}
                sample = meeting.time(case, contender, server, task)
                if scale == 1 and not options.quick and sample.facts["rows"] != LINEITEM_ROWS:
                    raise ContenderError(f"{contender.name}: saw {sample.facts}; wanted {LINEITEM_ROWS} rows")

    meeting = Meeting(options, [RAYPIPE, ALONE, DUCKDB, PANDERA, GX])
    meeting.run(turn)
    first, second = CASES
    bars = [
        Bar("rules only, no slower than DuckDB SQL", first, ALONE.name, DUCKDB.name, 1.0),
        Bar("rules only, no slower than pandera", first, ALONE.name, PANDERA.name, 1.0),
        Bar("with the profile, 5x faster than pandera", second, RAYPIPE.name, PANDERA.name, 5.0),
        Bar("with the profile, 10x faster than Great Expectations", first, RAYPIPE.name, GX.name, 10.0),
        Bar(
            f"all rows fail within {MAX_GROWTH:g}x of none", second, ALONE.name, ALONE.name,
            times_longer=MAX_GROWTH, peer_case=first,
        ),
    ]  # fmt: skip
    notes = [
        "raypipe profiles every column in the same pass; without it, six rules about figures measure for themselves",
        "raypipe keeps the first rows at fault of each rule, with part, row and value",
        "in the case of failures, 44 of the 60 rules fail on every row; rules about nulls cannot, figures need not",
        "DuckDB counts rows at fault in one SELECT, and finds repeats by count(DISTINCT)",
        "pandera and Great Expectations read the file into memory, decimals as floats; that reading is timed",
        "Great Expectations is asked the rules that it has an expectation for; `rules` in the JSON says how many",
    ]
    return report("validate", meeting, bars, RAYPIPE.name, notes)


if __name__ == "__main__":
    sys.exit(main())
