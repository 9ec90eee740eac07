"""Where the table of a text file begins and ends: behind a title and notes, before totals, beside other tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from raypipe.etl.formats.csv_quotes import Flags, Positions, Rows
from raypipe.etl.formats.csv_totals import TOTAL
from raypipe.etl.wording import counted, shown

_ALIKE = 0.9
_LEAST_ROWS = 2
_MOST_FOOTERS = 50
_MOST_SHOWN = 3
_MIN_SHARE = 0.5
_LABEL_FIELDS, _MOST_LABELS = 2, 20
_NOTES = re.compile(
    r"^\s*(\(?\s*[\d.,]+ (rows?|records?|lines?|entries|zeilen|datens[äa]tze|lignes?|filas?|righe|rijen)\b.*"
    r"|(grand |sub)?totals?\b.*|sum(me)?\b.*|notes?\b.*|sources?\b.*|quelle\b.*|stand\b.*|generated\b.*|exported\b.*"
    r"|created\b.*|erstellt\b.*|end of\b.*|eof|page \d.*|seite \d.*|copyright\b.*|©.*|[*†#].*|-{3,}.*)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Table:
    """A table within a file: rows [first, last) of the sample."""

    first: int
    last: int | None
    """None: it goes on to the end of the file."""
    width: int
    rows: int
    line: int
    """Text line that it begins on, from 1, behind what was skipped."""


@dataclass(frozen=True)
class Scanned:
    """Rows of a sample that starts where rows do."""

    rows: Rows
    filled: Flags
    """Neither blank nor a comment."""
    is_whole: bool
    text: Callable[[int], str]
    """A row as it is written."""
    cells: Callable[[int], list[str]]
    """A row as fields."""

    @property
    def data(self) -> Positions:
        """Rows that are neither blank nor comments."""
        return np.flatnonzero(self.filled)

    def behind_blank(self, row: int) -> bool:
        """Whether the row is the first, or a blank line stands before it."""
        return row == 0 or self.rows.ends[row - 1] == self.rows.starts[row - 1]


def width_of(fields: Positions, last_is_cut: bool = False) -> int:
    """Fields of a row: as the first row has, if enough rows agree; else as most rows have."""
    first = int(fields[0])
    rest = fields[1:-1] if last_is_cut and fields.size > 2 else fields[1:]
    if not rest.size or (rest == first).mean() >= _MIN_SHARE:
        return first
    values, counts = np.unique(rest, return_counts=True)
    return int(values[counts.argmax()]) if counts.max() > (rest == first).sum() else first


def width_behind_titles(fields: Positions) -> int | None:
    """Fields of the rows of one block of rows alike, with lines of one field above and below only; None: no such block.

    A short table has fewer rows than the notes around it.
    """
    wide = np.flatnonzero(fields > 1)
    if fields[0] > 1 or wide.size < _LEAST_ROWS:
        return None
    width, alike = int(fields[wide[0]]), bool((fields[wide] == fields[wide[0]]).all())
    block = int(wide[-1] - wide[0] + 1) == wide.size
    large = wide.size * width >= fields.size - wide.size and wide.size + width > _LEAST_ROWS + 2
    return width if alike and block and large else None


def find_tables(seen: Scanned) -> list[Table]:
    """Tables of different width with blank lines between; empty: there is only one, whatever else stands around it."""
    data, fields = seen.data, seen.rows.fields
    breaks = np.flatnonzero(np.diff(data) > 1)
    breaks = np.array([at for at in breaks.tolist() if seen.behind_blank(int(data[at + 1]))], np.int64)
    tables: list[Table] = []
    for piece in np.split(data, breaks + 1):
        values, counts = np.unique(fields[piece], return_counts=True)
        width, most = int(values[counts.argmax()]), int(counts.max())
        strong = width > 1 and most >= _LEAST_ROWS and most >= _ALIKE * piece.size
        if tables and tables[-1].width == width and strong:
            tables[-1] = replace(tables[-1], last=int(piece[-1]) + 1, rows=tables[-1].rows + most)
        elif strong:
            tables.append(Table(int(piece[0]), int(piece[-1]) + 1, width, most, int(seen.rows.lines[piece[0]]) + 1))
    widest = max((table.width for table in tables), default=0)
    tables = [table for table in tables if table.width == widest or not _is_labels(seen, table)]
    if len({table.width for table in tables}) < 2:
        return []
    if not seen.is_whole and int(data[-1]) < (tables[-1].last or 0):
        tables[-1] = replace(tables[-1], last=None)
    return tables


def _is_labels(seen: Scanned, table: Table) -> bool:
    """Whether every line is a name and one value, as above the table of a statement: no table of its own."""
    if table.width != _LABEL_FIELDS or table.rows > _MOST_LABELS or table.last is None:
        return False
    rows = [row for row in range(table.first, table.last) if seen.filled[row]]
    return all(not re.match(r"^\s*$|^[-+(]?\d", seen.cells(row)[0]) for row in rows)


def largest(tables: Sequence[Table]) -> int:
    """Index of the table with most cells; one that goes on behind the sample counts as such."""
    return max(range(len(tables)), key=lambda at: (tables[at].last is None, tables[at].rows * tables[at].width, -at))


def tables_note(tables: Sequence[Table], chosen: int) -> str:
    """What was found, and what is read."""
    said = "; ".join(
        f"{number}: {table.width} columns from line {table.line}, {table.rows} rows"
        + " and more" * (table.last is None)
        for number, table in enumerate(tables, 1)
    )
    return (
        f"holds {len(tables)} tables with blank lines between ({said}); table {chosen + 1} is read; set"
        " read_options.table to read another"
    )


def first_row(seen: Scanned, width: int, is_header: Callable[[int], bool]) -> int:
    """The row that the table begins with, header or data; all before it are a title, notes or comments.

    A row with another number of fields right above the data may be a header with too few or too many names.
    """
    data, fields = seen.data, seen.rows.fields
    comments = 0
    while comments < data.size - 1 and seen.text(int(data[comments])).startswith("#"):
        comments += 1
    if comments and fields[data[comments - 1]] == width and not is_header(int(data[comments])):
        return int(data[comments - 1])  # as in #chrom, pos
    data = data[comments:]
    if width == 1:
        return int(data[0])
    fitting = np.flatnonzero(fields[data] == width)
    if not fitting.size:
        return int(data[0])
    at = _behind_titles(seen, data, int(fitting[0]), width)
    row = int(data[at])
    if not at or fields[data[at - 1]] == 1 or seen.behind_blank(row) or is_header(row):
        return row
    return int(data[at - 1]) if fields[data[at - 1]] != width else row


def _behind_titles(seen: Scanned, data: Positions, at: int, width: int) -> int:
    """Beyond lines of which only the first cell is filled, as spreadsheets pad a title."""
    start = at
    while width > 2 and at < data.size - 1 and seen.rows.fields[data[at]] == width:
        cells = [cell.strip() for cell in seen.cells(int(data[at]))]
        if any(cells[1:]):
            return at
        at += 1
    return start


def find_footers(seen: Scanned, width: int, wanted: int | None) -> list[int]:
    """Rows at the end that are no data: as many as wanted, or those that say so themselves.

    A row with too few fields at the very end may be data that was cut off: it is no footer unless a blank line stands
    before it, or it reads like a note.
    """
    data = seen.data
    if wanted is not None:
        return [int(row) for row in data[data.size - min(wanted, data.size) :]]
    found = 0
    for back in range(1, min(_MOST_FOOTERS, data.size - 1) + 1):
        if _is_footer(seen, int(data[-back]), width):
            found = back
        elif seen.rows.fields[data[-back]] == width or width == 1:
            break
    first = data.size - found
    # A block of notes counts only as a whole: behind a blank line, or with a line that says what it is.
    return [int(row) for row in data[first:]] if found and first > 0 else []


def _is_footer(seen: Scanned, row: int, width: int) -> bool:
    fields = int(seen.rows.fields[row])
    if fields == width:
        if width == 1:
            return bool(re.match(r"^\(\d+ rows?\)$", seen.text(row)))
        cells = seen.cells(row)
        filled = [cell for cell in cells if cell.strip()]
        return bool(filled) and len(filled) < width and bool(TOTAL.match(filled[0]))
    text = seen.text(row).strip().strip("\"';,|\t").strip()
    return seen.behind_blank(row) or bool(_NOTES.match(text))


def footer_note(seen: Scanned, footers: Sequence[int], first_line: int | None) -> str:
    """What was left out at the end, and how to keep it."""
    said = [
        (f"line {int(seen.rows.lines[row]) + first_line}: " if first_line is not None else "") + shown(seen.text(row))
        for row in footers[:_MOST_SHOWN]
    ]
    more = f" and {len(footers) - _MOST_SHOWN} more" if len(footers) > _MOST_SHOWN else ""
    verb = "is" if len(footers) == 1 else "are"
    return (
        f"{counted(len(footers), 'row')} at the end {verb} no data and left out ({'; '.join(said)}{more}); set"
        " read_options.footer_rows to 0 to keep what is there"
    )


def preamble_note(seen: Scanned, rows: Sequence[int], first_line: int) -> str:
    """What was skipped before the table."""
    said = "; ".join(shown(seen.text(row)) for row in rows[:_MOST_SHOWN])
    more = f" and {len(rows) - _MOST_SHOWN} more" if len(rows) > _MOST_SHOWN else ""
    return f"{counted(len(rows), 'line')} before the table skipped ({said}{more}); it begins on line {first_line}"
