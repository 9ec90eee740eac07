"""raypipe's conversion of TPC-H lineitem from one CSV file to typed, validated Parquet, beside its peers.

Every contender is a process that is up and has done a small file before; the clock runs from the command to its answer,
and the file is complete then. raypipe checks every cell and sets aside what does not fit; no peer does. All compress
with zstd. Ray is up before the clock starts, for raypipe, Ray Data and Modin.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Bar, report
from benchmarks.harness import Contender, Meeting, parse
from benchmarks.inputs import LINEITEM_ROWS, csv_of, lineitem_alike, lineitem_csv
from benchmarks.process import ContenderError

RAYPIPE = Contender("raypipe", "raypipe_ingest", "raypipe")
PARTS = Contender("raypipe, a file a part", "raypipe_ingest", "raypipe", task={"dest": "parts/"})
POLARS = Contender("Polars sink_parquet", "polars_ingest")
POLARS_DATES = Contender("Polars sink_parquet, dates parsed", "polars_ingest", task={"dates": True})
DUCKDB = Contender("DuckDB COPY", "duckdb_ingest")
PANDAS = Contender("pandas, pyarrow parser", "pandas_ingest")
MODIN = Contender("Modin", "modin_ingest", slow=True)
RAY_DATA = Contender("Ray Data", "raydata_ingest")
CASE = "lineitem SF1, CSV to Parquet"
WARM_ROWS = 20_000
QUICK_ROWS = 2_000
BARS = [
    Bar("within 1.5x of Polars sink_parquet: times longer", CASE, RAYPIPE.name, POLARS.name, times_longer=1.5),
    Bar("at least 2x faster than Ray Data", CASE, RAYPIPE.name, RAY_DATA.name, 2.0),
]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", None, argv)
    own = options.python("raypipe")
    parquet = lineitem_alike(QUICK_ROWS if options.quick else WARM_ROWS, options.data)
    small = csv_of(parquet, parquet.with_suffix(".csv"), own)
    path = small if options.quick else lineitem_csv(1, options.data, options.peers)
    wanted = QUICK_ROWS if options.quick else LINEITEM_ROWS

    def turn(meeting: Meeting, contender: Contender) -> None:
        with tempfile.TemporaryDirectory(dir=options.data, prefix="ingest-") as out, meeting.open(contender) as server:
            server.ask("prepare", {**contender.task, "small": str(small), "out": out})
            _empty(Path(out))
            sample = meeting.time(CASE, contender, server, {"path": str(path), "out": out})
        if sample.facts["rows"] != wanted:
            raise ContenderError(f"{contender.name}: wrote {sample.facts}; wanted {wanted} rows")

    meeting = Meeting(options, [RAYPIPE, PARTS, POLARS, POLARS_DATES, DUCKDB, PANDAS, MODIN, RAY_DATA])
    meeting.run(turn)
    return report("ingest", meeting, BARS, RAYPIPE.name, _notes(meeting, path.stat().st_size))


def _empty(folder: Path) -> None:
    """Without what warming up left."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _notes(meeting: Meeting, size: int) -> list[str]:
    notes = [
        f"one CSV file of {size / 1e6:,.0f} MB; each contender is warm from a small file",
        "raypipe checks each cell, sets aside rows that do not fit, and parses dates; DuckDB and Ray Data parse dates, "
        "pandas, Modin and the first Polars leave them text",
        "raypipe writes one file, or one a part where it says so; Ray Data and Modin write one a block",
        "RSS MiB is that of the contender's process and Ray's workers, pages that they share counted for each",
    ]
    for name, samples in meeting.samples.get(CASE, {}).items():
        used = statistics.median(sample.cpu_s / sample.seconds for sample in samples)
        notes.append(f"{name}: {used:.2f} cores busy on average")
    return notes


if __name__ == "__main__":
    sys.exit(main())
