"""raypipe's profile and validation of TPC-H lineitem beside DuckDB, Polars, pysuricata and ydata-profiling.

Every contender is a process that is up and has done a small file before; the clock runs from the command to its answer.
raypipe runs on Ray with warm workers: the profile and the rules; the same with full statistics (pairs, groups, tails);
and its whole analysis (that, patterns, course over time, target, findings; files written). `--scale 10` measures
raypipe alone at scales 1 and 10: how the time grows, and the peak of driver and workers. Run it as a module (`python -m
benchmarks.profile`): as a script its folder would hide Python's own module `profile`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.figures import Bar, report
from benchmarks.harness import Contender, Meeting, parse
from benchmarks.inputs import LINEITEM_ROWS, lineitem, lineitem_alike
from benchmarks.process import ContenderError

RAYPIPE = Contender("raypipe", "raypipe_check", "raypipe")
FULL = Contender("raypipe, full statistics", "raypipe_statistics", "raypipe")
WHOLE = Contender("raypipe, whole analysis", "raypipe_analysis", "raypipe")
DUCKDB = Contender("DuckDB SUMMARIZE", "duckdb_summarize")
POLARS = Contender("Polars describe", "polars_describe")
PYSURICATA = Contender("pysuricata", "pysuricata_profile", slow=True)
YDATA = Contender("ydata-profiling minimal", "ydata_minimal", slow=True)
OWN = (RAYPIPE, FULL, WHOLE)
PEERS = (DUCKDB, POLARS, PYSURICATA, YDATA)
FACTORS = {DUCKDB.name: 1.5, POLARS.name: 1.0, PYSURICATA.name: 10.0, YDATA.name: 20.0}
MAX_GROWTH = 1.3
MAX_RSS_MIB = 3000.0
WARM_ROWS = 20_000
QUICK_ROWS = 2_000


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale; above 1, raypipe at 1 and at this one")


def _bars(scale: float) -> list[Bar]:
    if scale <= 1:
        case = _case(scale)
        return [
            Bar(f"{one.name}: at least {factor:g}x faster than {peer}", case, one.name, peer, factor)
            for one in OWN
            for peer, factor in FACTORS.items()
        ]
    bars = []
    for one in OWN:
        growth = Bar(
            f"{one.name}: scale {scale:g} within {MAX_GROWTH:g}x of linear: times longer than scale 1",
            _case(scale), one.name, one.name, times_longer=MAX_GROWTH * scale, peer_case=_case(1),
        )  # fmt: skip
        bars += [growth, Bar(f"{one.name}: driver and workers, MiB", _case(scale), one.name, max_rss_mib=MAX_RSS_MIB)]
    return bars


def _case(scale: float) -> str:
    return f"lineitem SF{scale:g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", _add, argv)
    scale: float = options.extra.scale
    scales = [scale] if scale <= 1 else [1.0, scale]
    small = lineitem_alike(QUICK_ROWS if options.quick else WARM_ROWS, options.data)
    paths = {one: small if options.quick else lineitem(one, options.data, options.peers) for one in scales}

    def turn(meeting: Meeting, contender: Contender) -> None:
        for one, path in paths.items():
            with meeting.open(contender) as server:
                server.ask("prepare", {"small": str(small)})
                sample = meeting.time(_case(one), contender, server, {"path": str(path)})
            wanted = {"rows": LINEITEM_ROWS} if one == 1 and not options.quick else {}
            wanted["columns"] = 16
            if any(sample.facts[key] != value for key, value in wanted.items()):
                raise ContenderError(f"{contender.name}: saw {sample.facts}; wanted {wanted}")

    meeting = Meeting(options, [*OWN, *PEERS] if scale <= 1 else OWN)
    meeting.run(turn)
    notes = [
        "each contender is warm from a small file; DuckDB and Polars use the threads they choose",
        "pysuricata streams a lazy Polars frame and draws no page",
        "ydata-profiling includes pandas.read_parquet and its page",
        "RSS MiB is that of the contender's process and Ray's workers, pages that they share counted for each",
    ]
    return report("profile" if scale <= 1 else f"profile_sf{scale:g}", meeting, _bars(scale), RAYPIPE.name, notes)


if __name__ == "__main__":
    sys.exit(main())
