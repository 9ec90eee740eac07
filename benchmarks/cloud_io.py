"""TPC-H lineitem from a local S3 server: raypipe beside pyarrow.dataset, Polars and DuckDB, in MB/s.

Two cases. `read`: all rows and columns, typed, into Arrow in one process. `profile`: raypipe's profile and validation
by its workers on Ray, for which the peers have nothing of the kind; what they need to read alone stands beside it. The
server is moto, in a process of its own: it is written in Python, takes a core while it sends, and is the same for all.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Bar, report
from benchmarks.harness import Contender, Meeting, parse
from benchmarks.inputs import LINEITEM_ROWS, lineitem, lineitem_alike
from benchmarks.process import ContenderAbsentError, ContenderError
from benchmarks.s3server import CREDENTIALS, put, s3_server

READ, PROFILE = "read to Arrow", "profile"
RAYPIPE = Contender("raypipe", "raypipe_read", "raypipe")
CHECK = Contender("raypipe profile", "raypipe_check", "raypipe")
ARROW = Contender("pyarrow.dataset", "arrow_read")
POLARS = Contender("Polars", "polars_read")
DUCKDB = Contender("DuckDB", "duckdb_read")
QUICK_ROWS = 2_000


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", None, argv)
    small = lineitem_alike(QUICK_ROWS if options.quick else 20_000, options.data)
    large = small if options.quick else lineitem(1, options.data, options.peers)
    meeting = Meeting(options, [RAYPIPE, ARROW, POLARS, DUCKDB, CHECK])
    with s3_server() as url, _environment({**CREDENTIALS, "AWS_ENDPOINT_URL": url}):
        places = {path: put(url, path) for path in {small, large}}
        meeting.run(lambda meeting, contender: _turn(meeting, contender, (places, small, large)))
    _add_rates(meeting, large.stat().st_size)
    notes = [
        f"one object of {large.stat().st_size / 1e6:,.0f} MB; mb_per_s in the facts of a run is its bytes over seconds",
        "the server is moto in a process of its own, on the same machine: figures compare, and are none of real S3",
        "raypipe reads in one process here (DataReader.read); its profile is of workers on Ray",
    ]
    bars = [Bar("Polars over raypipe, plain read", READ, RAYPIPE.name, POLARS.name, times_faster=1.0)]
    return report("cloud_io", meeting, bars, RAYPIPE.name, notes)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """What contenders find in their environment, as long as the block lasts."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _turn(meeting: Meeting, contender: Contender, inputs: tuple[dict[Path, str], Path, Path]) -> None:
    places, small, large = inputs
    with meeting.open(contender) as server:
        try:
            server.ask("prepare", {"small": places[small]})
        except ContenderError as error:
            if contender is DUCKDB and "httpfs" in str(error):
                said = "cannot: its httpfs extension is none of the package, and cannot be downloaded here"
                raise ContenderAbsentError(said) from error
            raise
        case = PROFILE if contender is CHECK else READ
        sample = meeting.time(case, contender, server, {"path": places[large]})
    wanted = {"columns": 16} if meeting.options.quick else {"rows": LINEITEM_ROWS, "columns": 16}
    if any(sample.facts[key] != value for key, value in wanted.items()):
        raise ContenderError(f"{contender.name}: saw {sample.facts}; wanted {wanted}")


def _add_rates(meeting: Meeting, size: int) -> None:
    for by_name in meeting.samples.values():
        for samples in by_name.values():
            for sample in samples:
                sample.facts["mb_per_s"] = round(size / 1e6 / sample.seconds, 1)


if __name__ == "__main__":
    sys.exit(main())
