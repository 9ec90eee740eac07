"""One sheet of a workbook before its rows are read, and the rows of a range of it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from raypipe.config import ReadOptions
from raypipe.errors import ReadError
from raypipe.etl.formats.excel_book import (
    Kind,
    Package,
    Sheet,
    kind_of_book,
    load_calamine,
    load_sheet,
    named_sheet,
    readable,
    sheets_of,
)
from raypipe.etl.formats.excel_cells import DURATION, EMPTY_CELLS, TIME
from raypipe.etl.formats.excel_rows import Cells, loaded_reader, stream_reader
from raypipe.etl.formats.excel_table import HEAD_ROWS, Grid, as_grid, find_table
from raypipe.etl.formats.excel_xml import Mark, Merge, Scan, scan_sheet
from raypipe.etl.formats.format import SourceFile
from raypipe.etl.wording import listed
from raypipe.storage.ranges import RemoteFile, look, open_as_it_was
from raypipe.storage.source import Place

SAMPLE_ROWS = 2_000
"""Rows of a sheet that calamine loads that types are found from, at each of three places."""


class ExcelFile(SourceFile):
    """A sheet of a workbook that was looked at."""

    kind: Kind
    sheet: Sheet
    date1904: bool = False
    names: tuple[str, ...]
    """Columns in the order of the sheet, unique."""
    columns: tuple[int, ...]
    """Where each stands on the sheet, from 0."""
    first_row: int
    """Of the data, from 0."""
    end_row: int
    """One behind the last row of the sheet."""
    has_header: bool
    marks: tuple[Mark, ...] = ()
    """.xlsx: places where its XML can be cut; none: it is loaded whole."""
    xml_end: int = 0
    prefix: str = ""
    merges: tuple[Merge, ...] = ()
    """Cells that are merged across rows, below the header."""

    def cuts(self, pieces: int) -> list[int]:
        """Rows to cut at, so that there are about so many pieces and no merged cell lies across a cut."""
        rows = [row for _, row in self.marks if row > self.first_row] if self.marks else []
        if not self.marks and self.end_row > self.first_row:
            step = max(1, -(-(self.end_row - self.first_row) // pieces))
            rows = list(range(self.first_row + step, self.end_row, step))
        elif len(rows) >= pieces:
            rows = [rows[len(rows) * piece // pieces] for piece in range(1, pieces)]
        return [row for row in rows if not any(merge.top < row <= merge.bottom for merge in self.merges)]


@dataclass(frozen=True)
class ExcelLook:
    """A sheet and rows of it, as text under positional names."""

    file: ExcelFile
    texts: pl.DataFrame
    kinds: tuple[str | None, ...]
    """Type of each column where the number formats of its cells say so: time, duration."""
    rows: int
    """Rows behind the header; blank ones are among them."""


def look_at_sheet(place: Place, options: ReadOptions) -> ExcelLook:
    """Which sheet it is, where its table is, and a sample of its rows.

    Raises
    ------
    ReadError
        If it is encrypted, damaged, or holds no rows.
    ConfigError
        If there is no such sheet.
    """
    with readable(place):
        kind = kind_of_book(place)
        return _look_at_package(place, options) if kind == "xlsx" else _look_at_loaded(place, options, kind)


def _look_at_package(place: Place, options: ReadOptions) -> ExcelLook:
    package = Package(place)
    try:
        for sheet in _candidates(package.sheets, options, place):
            with package.open(sheet.member) as stream:
                scan = scan_sheet(stream)
            if scan is None or not (scan.plain or not scan.marks):
                return _look_at_loaded(place, options, "xlsx", sheet)
            if not scan.marks:
                continue
            read = stream_reader(package, sheet, scan)
            look = _found(place, options, ("xlsx", sheet, package.date1904), (scan, read), package.sheets)
            if look is not None:
                return look
    finally:
        package.close()
    raise ReadError(_empty(place, package.sheets, options))


def _look_at_loaded(place: Place, options: ReadOptions, kind: Kind, only: Sheet | None = None) -> ExcelLook:
    book = load_calamine(place)
    sheets = sheets_of(book)
    for sheet in [only] if only is not None else _candidates(sheets, options, place):
        loaded = load_sheet(book, sheet, place)
        end, merges = int(loaded.total_height) + 1, loaded.merged_cell_ranges or ()
        found = tuple(Merge(top=top, left=left, bottom=bottom, right=right) for (top, left), (bottom, right) in merges)
        scan = Scan((), 0, end if loaded.start is not None else 0, "", found, plain=False)
        look = _found(place, options, (kind, sheet, False), (scan, loaded_reader(loaded)), sheets)
        if look is not None:
            return look
    raise ReadError(_empty(place, sheets, options))


def _candidates(sheets: tuple[Sheet, ...], options: ReadOptions, place: Place) -> list[Sheet]:
    """The sheet that is asked for, else all, the visible ones first."""
    if options.sheet is not None:
        return [named_sheet(sheets, options.sheet, place)]
    return sorted(sheets, key=lambda sheet: sheet.hidden)


def _empty(place: Place, sheets: Sequence[Sheet], options: ReadOptions) -> str:
    names = listed([sheet.name for sheet in sheets], 12)
    if options.sheet is not None and len(sheets) > 1:
        return f"{place}: sheet {options.sheet!r} holds no cell with a value. The workbook has: {names}."
    return f"{place}: no sheet holds a cell with a value. It has: {names or 'no sheet with cells'}."


def _found(
    place: Place,
    options: ReadOptions,
    what: tuple[Kind, Sheet, bool],
    where: tuple[Scan, Cells],
    sheets: Sequence[Sheet],
) -> ExcelLook | None:
    """The look at a sheet; None if it holds no value."""
    (kind, sheet, date1904), (scan, read) = what, where
    head = _head(read, options.skip_rows or 0, scan)
    further = _further(read, scan)
    seen = further.filter(pl.col("row") >= (options.skip_rows or 0))["col"].unique().to_list()
    table = find_table(head, scan.merges, options, seen)
    if table is None:
        return None
    size, changed, remote = _stamp(place)
    file = ExcelFile(
        path=str(place), size=size, mtime_ns=changed, remote=remote, kind=kind, sheet=sheet, date1904=date1904,
        names=table.names, columns=table.columns, first_row=table.first_row, end_row=scan.end_row,
        has_header=table.has_header, marks=scan.marks if scan.plain else (), xml_end=scan.end, prefix=scan.prefix,
        merges=tuple(one for one in scan.merges if one.top >= table.first_row and one.bottom > one.top),
        notes=tuple(f"{place}: {note}" for note in (*_about(sheet, sheets, options), *table.notes)),
    )  # fmt: skip
    sample = pl.concat([head, further]).unique(["row", "col"], maintain_order=True)
    sample = sample.filter(pl.col("row") >= file.first_row).sort("row", "col")
    grid = as_grid(sample, file.columns, (), "null")
    return ExcelLook(file, grid.texts, _stated(sample, file.columns), max(0, file.end_row - file.first_row))


def _about(sheet: Sheet, sheets: Sequence[Sheet], options: ReadOptions) -> list[str]:
    others = [other.name for other in sheets if other.name != sheet.name]
    notes = []
    if options.sheet is None and others:
        notes.append(
            f"sheet {sheet.name!r} is read, the first with data; there are others: {listed(others, 12)}."
            " Choose with read_options.sheet"
        )
    return [*notes, f"sheet {sheet.name!r} is hidden"] if sheet.hidden else notes


def _stamp(place: Place) -> tuple[int, int, RemoteFile | None]:
    if isinstance(place, RemoteFile):
        seen = look(place).seen
        return seen.size, 0, seen
    stat = Path(str(place)).stat()
    return stat.st_size, stat.st_mtime_ns, None


def _head(read: Cells, skip: int, scan: Scan) -> pl.DataFrame:
    """Cells of the first rows."""
    starts = [row for _, row in scan.marks] or [0]
    found: list[pl.DataFrame] = [EMPTY_CELLS]
    rows = 0
    for start, end in itertools.pairwise([*starts, scan.end_row]):
        found += read(start, end)
        rows += found[-1].filter(pl.col("row") >= skip)["row"].n_unique()
        if rows >= HEAD_ROWS:
            break
    return pl.concat(found)


def _further(read: Cells, scan: Scan) -> pl.DataFrame:
    """Cells of some rows in the middle and at the end."""
    if scan.marks:
        chosen = sorted({len(scan.marks) // 2, len(scan.marks) - 1} - {0})
        starts = [scan.marks[at][1] for at in chosen]
        ends = [scan.marks[at + 1][1] if at + 1 < len(scan.marks) else scan.end_row for at in chosen]
    else:
        starts = sorted({scan.end_row // 2, max(0, scan.end_row - SAMPLE_ROWS)})
        ends = [min(start + SAMPLE_ROWS, scan.end_row) for start in starts]
    pieces = [piece for start, end in zip(starts, ends, strict=True) for piece in read(start, end)]
    return pl.concat([EMPTY_CELLS, *pieces]).unique(["row", "col"], maintain_order=True)


def _stated(cells: pl.DataFrame, columns: Sequence[int]) -> tuple[str | None, ...]:
    """Types that only number formats tell."""
    counts = cells.group_by("col", "kind").len()
    found: dict[int, str] = {}
    for kind, name in ((TIME, "time"), (DURATION, "duration")):
        shares = counts.group_by("col").agg(
            pl.col("len").sum().alias("all"), pl.col("len").filter(pl.col("kind") == kind).sum().alias("of")
        )
        found |= dict.fromkeys(shares.filter(pl.col("of") >= 0.9 * pl.col("all"))["col"].to_list(), name)
    return tuple(found.get(column) for column in columns)


@functools.lru_cache(maxsize=2)
def open_sheet(file: ExcelFile) -> Cells:
    """The reader of a sheet; a worker keeps the last ones, so that it reads on from where it was."""
    with readable(file.path):
        if file.marks:
            package = Package(file.place)
            scan = Scan(file.marks, file.xml_end, file.end_row, file.prefix, (), plain=True)
            return stream_reader(package, file.sheet, scan)
        return loaded_reader(load_sheet(load_calamine(file.place), file.sheet, file.path))


def read_grid(file: ExcelFile, start: int, end: int, errors: str) -> Grid:
    """Rows [start, end) of a sheet, without those above the data."""
    _check_unchanged(file)
    with readable(file.path):
        cells = pl.concat([EMPTY_CELLS, *open_sheet(file)(max(start, file.first_row), end)])
    merges = [merge for merge in file.merges if merge.top < end and merge.bottom >= start]
    return as_grid(cells, file.columns, merges, errors)


def count_rows(file: ExcelFile, start: int, end: int) -> int:
    """Rows with a value among [start, end): as many as `read_grid` finds."""
    with readable(file.path):
        pieces = open_sheet(file)(max(start, file.first_row), end)
        return sum(piece["row"].n_unique() for piece in pieces)


def _check_unchanged(file: ExcelFile) -> None:
    """ReadError if the workbook is not the one that was looked at."""
    if file.remote is not None:
        open_as_it_was(file.remote).close()
    file.check_unchanged()
