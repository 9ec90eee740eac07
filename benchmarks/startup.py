"""A whole `raypipe run` of a 1,000-row CSV from a cold start, beside ydata-profiling's report of the same file.

Each run is a process of its own, timed from its start to its end; one run of each goes before, so that compiled
modules and the file system are warm for all. ydata-profiling runs with its default settings.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Bar, report
from benchmarks.harness import Contender, Meeting, Options, parse
from benchmarks.inputs import small_csv
from benchmarks.process import ContenderError, run_cold

AUTO = Contender("raypipe", "raypipe_run", "raypipe", {"flags": []})
RAY = Contender("raypipe --engine ray", "raypipe_run", "raypipe", {"flags": ["--engine", "ray"]})
YDATA = Contender("ydata-profiling", "ydata_report")
ROWS = 1000
QUICK_ROWS = 60
CASE = "1,000-row CSV, cold"
BARS = [
    Bar("at least 2x faster than ydata-profiling", CASE, AUTO.name, YDATA.name, times_faster=2.0),
    Bar("with --engine ray, times longer than ydata-profiling", CASE, RAY.name, YDATA.name, times_longer=1.3),
]
RUN = "from raypipe.cli import main; main()"
"""What the installed command `raypipe` does."""
REPORT = "benchmarks.contenders.ydata_report"


def _command(options: Options, contender: Contender, csv: Path, folder: Path) -> list[str]:
    python = str(options.python(contender.env))
    if contender is YDATA:
        return [python, "-m", REPORT, str(csv), str(folder / "report.html")]
    flags = [str(flag) for flag in contender.task["flags"]]
    goal = ["--target", "revenue", "--time", "date"]
    return [python, "-c", RUN, "run", str(csv), "--output", str(folder), *goal, *flags]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", None, argv)
    csv = small_csv(QUICK_ROWS if options.quick else ROWS, options.data)
    primed: set[str] = set()

    def turn(meeting: Meeting, contender: Contender) -> None:
        if contender is YDATA and contender.name not in primed:
            meeting.open(contender).stop()  # tells a missing package from a failing one
        with tempfile.TemporaryDirectory() as folder:
            command = _command(options, contender, csv, Path(folder))
            if contender.name not in primed and not options.quick:
                run_cold(command, options.timeout_s)
            primed.add(contender.name)
            meeting.time_cold(CASE, contender, command)
            if not list(Path(folder).rglob("*.html")):
                raise ContenderError(f"{contender.name}: it wrote no page")

    meeting = Meeting(options, [AUTO, RAY, YDATA])
    meeting.run(turn)
    notes = [
        f"{ROWS:,} rows, 12 columns; raypipe with --target revenue --time date (validation, insights, dashboard)",
        "ydata-profiling: ProfileReport(pandas.read_csv(...)).to_file(...), default settings",
    ]
    return report("startup", meeting, BARS, AUTO.name, notes)


if __name__ == "__main__":
    sys.exit(main())
