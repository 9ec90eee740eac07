"""Cells of a sheet by ranges of rows: streamed from the XML of .xlsx files, or from a sheet that calamine loaded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl

from raypipe.etl.formats.excel_book import CalamineSheet, Package, Sheet
from raypipe.etl.formats.excel_cells import (
    BOOLEAN,
    DATE,
    DATETIME,
    DURATION,
    EMPTY_CELLS,
    NUMBER,
    TEXT,
    TIME,
    numbers,
    texts_of,
)
from raypipe.etl.formats.excel_xml import PIECE, Scan, SheetStream, cells_of

AT_ONCE = 16 * PIECE
"""Bytes of XML that are parsed in one go."""
ROWS_AT_ONCE = 1 << 14
Cells = Callable[[int, int], Iterator[pl.DataFrame]]
"""(first row, one behind the last) -> cells of these rows, a piece at a time."""


def stream_reader(package: Package, sheet: Sheet, scan: Scan) -> Cells:
    """Cells of an .xlsx sheet, read on from where the last ones ended."""
    grammar = package.grammar(scan.prefix)
    stream = SheetStream(package, sheet.member)

    def read(start: int, end: int) -> Iterator[pl.DataFrame]:
        # From the last mark at or before `start` to the first at or behind `end`.
        first = max((at for at, (_, row) in enumerate(scan.marks) if row <= start), default=0)
        while first < len(scan.marks) and scan.marks[first][1] < end:
            last = first + 1
            limit = scan.marks[first][0] + AT_ONCE
            while last < len(scan.marks) and scan.marks[last][1] < end and scan.marks[last][0] < limit:
                last += 1
            offset, row = scan.marks[first]
            until = scan.marks[last][0] if last < len(scan.marks) else scan.end
            cells = cells_of(stream.read(offset, until), row, grammar)
            yield texts_of(cells.filter((pl.col("row") >= start) & (pl.col("row") < end)), package.date1904)
            first = last

    return read


def loaded_reader(sheet: Any) -> Cells:
    """Cells of a sheet that calamine loaded. It gives errors as nothing, so that they are no value here."""

    def read(start: int, end: int) -> Iterator[pl.DataFrame]:
        if sheet.start is not None:
            rows = itertools.islice(enumerate(sheet.iter_rows()), start, end)
            yield from map(
                _cells, iter(lambda: list(itertools.islice(rows, ROWS_AT_ONCE)), []), itertools.repeat(sheet)
            )

    return read


def _cells(rows: list[tuple[int, list[Any]]], sheet: CalamineSheet) -> pl.DataFrame:
    """The cells of some rows, without empty ones."""
    left = sheet.start[1] if sheet.start is not None else 0
    said = [
        (row, column, *_said(value)) for row, cells in rows for column, value in enumerate(cells, left) if value != ""
    ]
    frame = pl.DataFrame(said, schema=EMPTY_CELLS.schema, orient="row")
    where = np.flatnonzero((frame["kind"] == NUMBER).to_numpy())
    if not where.size:
        return frame
    texts = frame["text"].scatter(where, numbers(frame["text"].gather(where)))
    return frame.with_columns(texts.alias("text"))


def _said(value: Any) -> tuple[int, str]:
    """Class and text of a value as calamine gives it."""
    if isinstance(value, str):
        return TEXT, value
    if isinstance(value, bool):
        return BOOLEAN, "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return NUMBER, repr(value)
    if isinstance(value, datetime):
        return DATETIME, _moment(value)
    if isinstance(value, date):
        return DATE, value.isoformat()
    if isinstance(value, time):
        return TIME, value.isoformat("milliseconds").removesuffix(".000")
    assert isinstance(value, timedelta)
    return DURATION, _hours(value)


def _moment(value: datetime) -> str:
    text = value.isoformat(" ", "milliseconds").removesuffix(".000")
    return text.removesuffix(" 00:00:00")


def _hours(value: timedelta) -> str:
    ms = round(value.total_seconds() * 1000)
    size = abs(ms)
    fraction = f".{size % 1000:03d}" if size % 1000 else ""
    sign = "-" if ms < 0 else ""
    return f"{sign}{size // 3_600_000}:{size // 60_000 % 60:02d}:{size // 1000 % 60:02d}{fraction}"
