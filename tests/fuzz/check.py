"""What must hold of any bytes under any name: they are read, the same wherever they are cut, or refused in words."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import to_polars
from raypipe.errors import RaypipeError
from raypipe.etl.reader import DataReader
from raypipe.etl.source import cut_exactly
from tests.fuzz.stores import put

SLOWEST_S = 30.0
"""A file of some kilobytes that takes longer hangs."""


def outcome(name: str, content: bytes) -> str:
    """`read`, `some aside` or `refused`; AssertionError where a law is broken, and any other error is a crash."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="raypipe-fuzz-") as folder:
        path = put(Path(folder), name, content)
        try:
            reader = DataReader(path)
            whole = _read(reader, 1 << 25)
            cut = _read(reader, 1500)
        except RaypipeError:
            return "refused"
        finally:
            took = time.monotonic() - began
            assert took < SLOWEST_S, f"it took {took:.0f} s"
    (rows, aside), (again, again_aside) = whole, cut
    assert rows.schema == again.schema, "another cut gives another schema"
    assert rows.equals(again), "another cut gives other rows"
    assert aside == again_aside, "another cut sets other rows aside"
    if name.endswith(".jsonl"):
        lines = [line for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip(b" \t\r")]
        assert rows.height + len(aside) == len(lines), f"{len(lines)} lines, {rows.height} rows, {len(aside)} aside"
    return "some aside" if aside else "read"


def _read(reader: DataReader, target: int) -> tuple[pl.DataFrame, list[Any]]:
    """Rows, and rows set aside with their lines in the file."""
    source = reader.source(target_part_bytes=target)
    got = _parts(source)
    if got is None:
        source = cut_exactly(source)
        got = _parts(source)
    assert got is not None
    return got


def _parts(source: Any) -> tuple[pl.DataFrame, list[Any]] | None:
    read, first = source.open(), 0
    blocks = [source.schema().empty_table()]
    aside: list[Any] = []
    for part in source.parts():
        got = read(part)
        if "miscut" in got.notes:
            return None
        assert got.block.schema == source.schema()
        got.block.validate()
        assert part.rows is None or got.block.num_rows + got.aside.num_rows == part.rows
        blocks.append(got.block)
        # Without quotes: whether a CSV number is one in `raw` depends on how its part was parsed.
        bad = got.aside.to_pylist()
        aside += [((one["line"] or 0) + first, one["column"], one["raw"].replace('"', "")) for one in bad]
        first += got.lines or 0
    return to_polars(pa.concat_tables(blocks)), aside
