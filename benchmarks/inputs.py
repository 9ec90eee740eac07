"""Input files of the measurements: TPC-H lineitem, a small look-alike of it, and a small CSV."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.process import ContenderError

LINEITEM_ROWS = 6_001_215
"""At scale 1; TPC-H draws the number of lines of an order, so that other scales differ a little from a multiple."""


def lineitem(scale: float, folder: Path, peers: Path) -> Path:
    """TPC-H lineitem as Parquet, made once by tpchgen-cli.

    Raises
    ------
    ContenderError
        If tpchgen-cli is not beside the peers' Python, or fails.
    """
    path = folder / f"sf{scale:g}" / "lineitem.parquet"
    if path.exists():
        return path
    tool = peers.parent / "tpchgen-cli"
    if not tool.exists():
        raise ContenderError(f"lineitem: {tool.name} is not installed beside the peers; `make bench` installs it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.parent / "making"
    command = [str(tool), "parquet", "-s", f"{scale:g}", "--tables=lineitem", f"--output-dir={temp}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ContenderError(f"lineitem: tpchgen-cli ended with code {done.returncode}: {done.stderr[-500:]}")
    os.replace(temp / "lineitem.parquet", path)
    temp.rmdir()
    return path


def lineitem_csv(scale: float, folder: Path, peers: Path) -> Path:
    """TPC-H lineitem as one CSV file, made once by the peers' DuckDB from the Parquet file."""
    path = folder / f"sf{scale:g}" / "lineitem.csv"
    return path if path.exists() else csv_of(lineitem(scale, folder, peers), path, peers)


def csv_of(parquet: Path, path: Path, python: Path) -> Path:
    """A Parquet file as CSV, by the DuckDB of that Python.

    Raises
    ------
    ContenderError
        If it has no DuckDB, or that fails.
    """
    temp = path.with_suffix(".making")
    code = "import duckdb, sys; duckdb.sql(f\"COPY '{sys.argv[1]}' TO '{sys.argv[2]}' (FORMAT csv, HEADER)\")"
    done = subprocess.run(
        [str(python), "-c", code, str(parquet), str(temp)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ContenderError(f"{path.name}: DuckDB ended with code {done.returncode}: {done.stderr[-500:]}")
    os.replace(temp, path)
    return path


def wide_table(rows: int, columns: int, folder: Path) -> Path:
    """Numbers with gaps, categories, dates, flags and texts in turn, in many columns; as Parquet."""
    path = folder / f"wide_{rows}x{columns}.parquet"
    if path.exists():
        return path
    draw = np.random.default_rng(3)
    made: list[Callable[[], Any]] = [
        lambda: draw.normal(draw.normal(), 1 + draw.random(), rows),
        lambda: draw.integers(0, 1 << int(draw.integers(3, 30)), rows),
        lambda: pa.array(draw.lognormal(3.0, 0.6, rows), mask=draw.random(rows) < 0.1),
        lambda: draw.choice(["north", "south", "east", "west"], rows),
        lambda: pa.array((draw.integers(18_000, 20_000, rows)).astype("int32")).cast(pa.date32()),
        lambda: draw.random(rows) < 0.3,
        lambda: [f"item {number}" for number in draw.integers(0, rows, rows)],
        lambda: np.round(draw.gamma(2.0, 10.0, rows), 2),
    ]
    table = {f"c{at:04d}": pa.array(made[at % len(made)]()) for at in range(columns)}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)
    return path


def lineitem_alike(rows: int, folder: Path) -> Path:
    """Rows with the types of lineitem and values like its values; for warming up and for `--quick`."""
    path = folder / f"alike_{rows}.parquet"
    if path.exists():
        return path
    draw = np.random.default_rng(1)
    money = [pa.decimal128(15, 2)] * 4

    def decimals(high: int) -> pa.Array:
        cents = pa.array(draw.integers(100, high * 100, rows)).cast(pa.decimal128(19, 0))
        return pa.compute.multiply(cents, pa.scalar("0.01", pa.string()).cast(pa.decimal128(3, 2))).cast(money[0])

    def words(*choices: str) -> pa.Array:
        return pa.array(draw.choice(choices, rows))

    def dates() -> pa.Array:
        return pa.array(draw.integers(8000, 10_500, rows).astype("int32")).cast(pa.date32())

    table = pa.table(
        {
            "l_orderkey": np.sort(draw.integers(1, rows * 4, rows)),
            "l_partkey": draw.integers(1, 200_000, rows),
            "l_suppkey": draw.integers(1, 10_000, rows),
            "l_linenumber": draw.integers(1, 8, rows).astype("int32"),
            "l_quantity": decimals(50),
            "l_extendedprice": decimals(100_000),
            "l_discount": decimals(2),
            "l_tax": decimals(2),
            "l_returnflag": words("A", "N", "R"),
            "l_linestatus": words("F", "O"),
            "l_shipdate": dates(),
            "l_commitdate": dates(),
            "l_receiptdate": dates(),
            "l_shipinstruct": words("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"),
            "l_shipmode": words("AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"),
            "l_comment": pa.array([f"carefully final {number:x}" for number in draw.integers(0, 1 << 40, rows)]),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=max(1, rows // 16))
    return path


def small_csv(rows: int, folder: Path) -> Path:
    """Sales with dates, numbers with gaps, categories, flags and free text."""
    path = folder / f"sales_{rows}.csv"
    if path.exists():
        return path
    draw = np.random.default_rng(2)
    units = draw.integers(1, 40, rows)
    price = np.round(draw.lognormal(3.0, 0.6, rows), 2)
    discount = np.round(np.clip(draw.normal(0.1, 0.05, rows), 0, 0.5), 3)
    rating = draw.integers(1, 6, rows).astype(float)
    days = np.datetime64("2024-01-01") + np.sort(draw.integers(0, 500, rows))
    table = pa.table(
        {
            "order_id": np.arange(1, rows + 1),
            "date": pa.array(days.astype("datetime64[D]")),
            "region": draw.choice(["North", "South", "East", "West"], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "product": [f"P-{number:03d}" for number in draw.zipf(1.6, rows) % 60],
            "units": units,
            "price": price,
            "discount": pa.array(discount, mask=draw.random(rows) < 0.08),
            "revenue": np.round(units * price * (1 - discount), 2),
            "rating": pa.array(rating, mask=draw.random(rows) < 0.2),
            "returned": draw.random(rows) < 0.06,
            "customer": [f"customer {number}" for number in draw.integers(1, rows // 2 + 2, rows)],
            "note": [("" if number % 3 else f"called on day {number}, wants it sooner") for number in range(rows)],
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pa.csv.write_csv(table, path)
    return path
