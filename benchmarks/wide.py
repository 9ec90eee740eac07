"""A whole `raypipe run` of 20,000 rows by 2,000 columns: peak memory and size of the page, beside its peers.

raypipe has a target and a time column, so that all of its analysis runs. Each run is a process of its own, from its
start to its end. ydata-profiling draws its minimal report, pysuricata its
default one.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Bar, report
from benchmarks.harness import Contender, Meeting, Options, parse
from benchmarks.inputs import wide_table
from benchmarks.process import ContenderError

EVERYTHING = ["--target", "c0000", "--time", "c0004"]
"""Without them there is no target analysis and no course over time."""
AUTO = Contender("raypipe", "raypipe_run", "raypipe", {"flags": EVERYTHING})
INLINE = Contender("raypipe --engine inline", "raypipe_run", "raypipe", {"flags": [*EVERYTHING, "--engine", "inline"]})
YDATA = Contender("ydata-profiling minimal", "ydata_wide", slow=True)
PYSURICATA = Contender("pysuricata", "pysuricata_wide", slow=True)
ROWS, COLUMNS = 20_000, 2_000
QUICK = (200, 40)
CASE = "20,000 rows x 2,000 columns, cold"
MAX_RSS_MIB = 2048.0
MAX_PAGE_BYTES = 5 << 20
BARS = [
    Bar("driver and workers together, MiB", CASE, AUTO.name, max_rss_mib=MAX_RSS_MIB),
    Bar("in one process, MiB", CASE, INLINE.name, max_rss_mib=MAX_RSS_MIB),
]
RUN = "from raypipe.cli import main; main()"
"""What the installed command `raypipe` does."""


def _command(options: Options, contender: Contender, path: Path, folder: Path) -> list[str]:
    python = str(options.python(contender.env))
    if contender.env == "peers":
        return [python, "-m", f"benchmarks.contenders.{contender.module}", str(path), str(folder / "report.html")]
    flags = [str(flag) for flag in contender.task["flags"]]
    return [python, "-c", RUN, "run", str(path), "--output", str(folder), "--quiet", *flags]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", None, argv)
    rows, columns = QUICK if options.quick else (ROWS, COLUMNS)
    path = wide_table(rows, columns, options.data)
    pages: dict[str, int] = {}

    def turn(meeting: Meeting, contender: Contender) -> None:
        if contender.env == "peers" and contender.name not in pages:
            meeting.open(contender).stop()  # tells a missing package from a failing one
        with tempfile.TemporaryDirectory() as folder:
            meeting.time_cold(CASE, contender, _command(options, contender, path, Path(folder)))
            found = list(Path(folder).rglob("*.html"))
            if not found:
                raise ContenderError(f"{contender.name}: it wrote no page")
            pages[contender.name] = max(page.stat().st_size for page in found)
        if contender.env == "raypipe" and pages[contender.name] > MAX_PAGE_BYTES:
            raise ContenderError(f"{contender.name}: its page has {pages[contender.name]:,} bytes")

    meeting = Meeting(options, [AUTO, INLINE, PYSURICATA, YDATA])
    meeting.run(turn)
    notes = [f"{name}: a page of {size / 1e6:.2f} MB" for name, size in pages.items()]
    notes.append("RSS MiB is that of the process and Ray's workers, pages that they share counted for each")
    return report("wide", meeting, [] if options.quick else BARS, AUTO.name, notes)


if __name__ == "__main__":
    sys.exit(main())
