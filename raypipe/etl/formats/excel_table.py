"""Where the table is on a sheet: its header, the names of its columns, and its cells as a frame of texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from raypipe.config import ReadOptions
from raypipe.etl.formats.csv_quotes import Positions
from raypipe.etl.formats.excel_cells import DATE, DATETIME, ERROR, NUMBER, TEXT, column_letters
from raypipe.etl.formats.excel_xml import Merge
from raypipe.etl.formats.names import unique_names
from raypipe.etl.wording import listed

HEAD_ROWS = 200
"""Rows that the header is looked for in, and that the width of the table is found from."""
JOINT = "_"
"""Between the names of several header rows."""
_WIDTH_SHARES = (0.8, 0.5)
_SHORT_BLOCK = 3
_YEARS = (1900, 2100)


@dataclass(frozen=True)
class Table:
    """The table of a sheet."""

    names: tuple[str, ...]
    columns: tuple[int, ...]
    """Where each column stands on the sheet, from 0."""
    first_row: int
    """Of the data, from 0."""
    has_header: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    """One row of the head: which columns it fills, and with what."""

    row: int
    cells: dict[int, tuple[int, str]]
    """Column -> class and text."""
    covered: int
    """Columns that its cells take with those that are merged into them."""

    @property
    def is_text(self) -> bool:
        return all(kind == TEXT for kind, _ in self.cells.values())


def find_table(
    head: pl.DataFrame, merges: Sequence[Merge], options: ReadOptions, seen: Iterable[int] = ()
) -> Table | None:
    """The table, from the cells of the first rows; None where there is none.

    The header is the first row that fills most of the width of the table, is not a short block of text with a blank
    row below it, and is unlike the rows below it. It goes on into the next row as long as cells in it are merged across
    columns, and as far down as its cells are merged. `seen` are columns that rows further down fill.
    """
    rows = _rows(head.filter(pl.col("row") >= (options.skip_rows or 0)), merges)
    if not rows:
        return None
    at = 0 if options.skip_rows is not None or options.header_rows else _first_row(rows)
    has_header = _is_header(rows[at], rows[at + 1 :]) if options.header is None else options.header
    if options.header_rows is not None:
        has_header = options.header_rows > 0
    first = rows[at].row
    depth = (options.header_rows or _depth(first, merges)) if has_header else 0
    below = [row for row in rows if row.row >= first + depth]
    header = [row for row in rows[at:] if row.row < first + depth]
    found = sorted({column for row in (*header, *below) for column in row.cells}.union(seen))
    given = _names(header, found, merges, (first, depth)) if has_header else [""] * len(found)
    names, notes = unique_names(given)
    return Table(
        names=tuple(names),
        columns=tuple(found),
        first_row=first + depth,
        has_header=has_header,
        notes=(*(notes if has_header else ()), *_skipped(rows[:at]), *_joined(depth)),
    )


def _rows(head: pl.DataFrame, merges: Sequence[Merge]) -> list[_Row]:
    cells: dict[int, dict[int, tuple[int, str]]] = {}
    for row, column, kind, text in head.iter_rows():
        cells.setdefault(row, {})[column] = (kind, text)
    across = {(merge.top, merge.left): merge.right - merge.left for merge in merges}
    return [
        _Row(row, found, sum(1 + across.get((row, column), 0) for column in found))
        for row, found in sorted(cells.items())[:HEAD_ROWS]
    ]


def _first_row(rows: Sequence[_Row]) -> int:
    """Index of the first row of the table."""
    width = float(np.quantile([len(row.cells) for row in rows], 0.75, method="nearest"))
    start = _behind_preamble(rows, width)
    for share in _WIDTH_SHARES:
        wanted = math.ceil(width * share)
        for index, row in enumerate(rows[start:], start):
            if row.covered >= wanted and (len(row.cells) > 1 or width <= 1):
                return index - 1 if index > start and _names_most(rows[index - 1], row, width) else index
    return start


def _names_most(above: _Row, row: _Row, width: float) -> bool:
    """Whether the row right above names most columns of a row that holds more than text."""
    adjacent = above.row == row.row - 1 and not row.is_text
    return adjacent and above.is_text and len(above.cells) > 1 and above.covered * 2 >= width


def _behind_preamble(rows: Sequence[_Row], width: float) -> int:
    """Index behind short blocks of text that a blank row divides from what is below them."""
    start = 0
    for index in range(1, min(len(rows), 4 * _SHORT_BLOCK)):
        block = rows[start:index]
        if rows[index].row == rows[index - 1].row + 1:
            continue
        rest = len(rows) - index
        plain = all(row.is_text and len(row.cells) <= width for row in block)
        if plain and len(block) <= min(_SHORT_BLOCK, rest - 1) and _fills(rows, index, width):
            start = index
    return start


def _fills(rows: Sequence[_Row], index: int, width: float) -> bool:
    """Whether a header stands at or behind a row: text that fills the width, with something else below it."""
    return any(row.is_text and row.covered >= width for row in rows[index : index + _SHORT_BLOCK])


def _is_header(row: _Row, below: Sequence[_Row]) -> bool:
    """Whether a row is unlike those below it: texts above other things, or texts that do not come again."""
    if not below or any(kind == ERROR for kind, _ in row.cells.values()):
        return bool(row.is_text)
    if not row.is_text:
        return _names_years(row, below)
    columns = {column: [under.cells[column] for under in below if column in under.cells] for column in row.cells}
    if any(cells and sum(kind != TEXT for kind, _ in cells) * 2 > len(cells) for cells in columns.values()):
        return True
    repeats = sum((TEXT, row.cells[column][1]) in cells for column, cells in columns.items())
    return repeats * 2 < len(columns)


def _names_years(row: _Row, below: Sequence[_Row]) -> bool:
    """Whether its numbers are years or dates, with a text before them, and the numbers below are not."""
    texts = [text for kind, text in row.cells.values() if kind == TEXT]
    years = [column for column, (kind, text) in row.cells.items() if _is_year(kind, text)]
    if not texts or len(texts) + len(years) != len(row.cells):
        return False
    under = [under.cells[column] for under in below for column in years if column in under.cells]
    return bool(under) and not any(_is_year(kind, text) for kind, text in under)


def _is_year(kind: int, text: str) -> bool:
    if kind == NUMBER:
        return text.isdigit() and _YEARS[0] <= int(text) <= _YEARS[1]
    return kind in (DATE, DATETIME)


def _depth(first: int, merges: Sequence[Merge]) -> int:
    """Rows of the header: further ones below cells that are merged across, and as far as cells are merged down."""
    last = first
    row = first
    while row <= last:
        for merge in merges:
            if merge.top == row:
                last = max(last, merge.bottom + (1 if merge.right > merge.left else 0))
        row += 1
    return last - first + 1


def _names(header: Sequence[_Row], columns: Sequence[int], merges: Sequence[Merge], span: tuple[int, int]) -> list[str]:
    """The name of each column: what stands in its header rows, each once, joined."""
    first, depth = span
    texts = {(row.row, column): text for row in header for column, (_, text) in row.cells.items()}
    here = [merge for merge in merges if first <= merge.top < first + depth]
    for merge in here:
        value = texts.get((merge.top, merge.left))
        for row in range(merge.top, min(merge.bottom, first + depth - 1) + 1):
            for column in range(merge.left, merge.right + 1):
                if value is not None:
                    texts[row, column] = value
    if not here:
        _fill_right(texts, columns, (first, depth))
    names = []
    for column in columns:
        parts = (" ".join(texts.get((row, column), "").split()) for row in range(first, first + depth))
        names.append(JOINT.join(dict.fromkeys(part for part in parts if part)))
    return names


def _fill_right(texts: dict[tuple[int, int], str], columns: Sequence[int], span: tuple[int, int]) -> None:
    """Where nothing is merged, a name above others holds for the columns to its right up to the next name."""
    first, depth = span
    for row in range(first, first + depth - 1):
        last = ""
        for column in columns:
            last = texts.get((row, column), last)
            if last:
                texts[row, column] = last


def _skipped(rows: Sequence[_Row]) -> list[str]:
    if not rows:
        return []
    said = [" ".join(text for _, text in row.cells.values()) for row in rows]
    return [f"rows {rows[0].row + 1} to {rows[-1].row + 1} stand above the table and are left out: {listed(said, 3)}"]


def _joined(depth: int) -> list[str]:
    return [f"its header has {depth} rows; their names are joined with {JOINT!r}"] if depth > 1 else []


@dataclass(frozen=True)
class Grid:
    """Rows of a sheet as texts under positional names, and what could not be placed."""

    texts: pl.DataFrame
    rows: Positions
    """Row of the sheet of each, from 0."""
    reasons: pl.Series
    """Why a row cannot be placed; null where it can."""
    filled: int
    """Cells that got their value from a merged cell above them."""


def as_grid(cells: pl.DataFrame, columns: Sequence[int], merges: Sequence[Merge], errors: str) -> Grid:
    """Cells as rows of texts. Rows without any value are left out.

    Parameters
    ----------
    cells : pl.DataFrame
        Of whole rows, in the form of `EMPTY_CELLS`.
    columns : sequence of int
        Columns of the table.
    merges : sequence of Merge
        Merged cells: the value holds for all rows that they span, in their first column.
    errors : {"quarantine", "null"}
        What becomes of rows with an error such as #DIV/0!; #N/A is no value.
    """
    cells, filled = _fill_down(cells, merges)
    wrong = pl.col("kind") == ERROR
    faulty = cells.filter(wrong & (pl.col("text") != "#N/A"))
    good = cells.filter(~wrong)
    in_order = cells["row"].to_numpy()
    rows = in_order[np.diff(in_order, prepend=-1) > 0]
    reasons = pl.Series([None], dtype=pl.String).new_from_index(0, rows.size)
    if errors == "quarantine" and faulty.height:
        reasons = _said(reasons, rows, faulty, "cell {} holds the error {}")
    outside = good.filter(~pl.col("col").is_in(list(columns)))
    if outside.height:
        reasons = _said(reasons, rows, outside, "cell {} stands outside of the table: {}")
    index = np.searchsorted(rows, good["row"].to_numpy())
    found, texts = good["col"].to_numpy(), good["text"]
    order = np.argsort(found, kind="stable")
    edges = np.searchsorted(found[order], [*columns]), np.searchsorted(found[order], [*columns], side="right")
    series = []
    for at, (lo, hi) in enumerate(zip(*edges, strict=True)):
        where = order[lo:hi]
        place = np.full(rows.size, -1, np.int64)
        place[index[where]] = where
        picked = texts.gather(pl.Series(place).set(pl.Series(place < 0), None)) if where.size else None
        empty = pl.Series([None], dtype=pl.String).new_from_index(0, rows.size)
        series.append((empty if picked is None else picked).alias(f"c{at}"))
    return Grid(pl.DataFrame(series), rows, reasons, filled)


def _said(reasons: pl.Series, rows: Positions, cells: pl.DataFrame, form: str) -> pl.Series:
    """`reasons` with one for the first of these cells in each row."""
    first = cells.unique("row", keep="first", maintain_order=True)
    where = np.searchsorted(rows, first["row"].to_numpy())
    said = [
        form.format(f"{column_letters(column)}{row + 1}", text if len(text) < 60 else text[:60] + "…")
        for row, column, text in first.select("row", "col", "text").iter_rows()
    ]
    return reasons.scatter(where, said)


def _fill_down(cells: pl.DataFrame, merges: Sequence[Merge]) -> tuple[pl.DataFrame, int]:
    """The cells, and for each merged one copies in the rows below that it spans, where these hold something."""
    if not merges or not cells.height:
        return cells, 0
    down = pl.DataFrame(
        [(merge.top, merge.left, merge.bottom) for merge in merges if merge.bottom > merge.top],
        schema={"row": pl.Int64, "col": pl.Int32, "bottom": pl.Int64},
        orient="row",
    )
    source = cells.join(down, on=["row", "col"], how="inner")
    below = source.with_columns(pl.int_ranges(pl.col("row") + 1, pl.col("bottom") + 1).alias("row")).explode("row")
    copies = below.select(cells.columns).join(cells.select("row").unique(), on="row", how="semi")
    copies = copies.join(cells.select("row", "col"), on=["row", "col"], how="anti")
    return pl.concat([cells, copies]).sort("row", "col"), copies.height
