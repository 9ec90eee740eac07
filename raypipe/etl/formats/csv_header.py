"""Names of columns from the first rows of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from raypipe.config import ReadOptions
from raypipe.etl.formats.cells import narrowest, trimmed
from raypipe.etl.formats.names import unique_names
from raypipe.etl.formats.number_cells import LOOKS_TYPED

JOINT = "_"
"""Stands between the parts of a name from several header rows."""
MOST_HEADER_ROWS = 3
_HEADER_ROWS, _HEADER_COLUMNS = 1000, 200
_LONGEST = 64
"""Characters of a cell that are looked at."""
_UNIT = re.compile(r"^[\[(].*[\])]$")


def is_header(header: Sequence[str], below: pl.DataFrame, options: ReadOptions) -> bool:
    """Whether a row is unlike the rows below: all text, over at least one column that is not, or new values."""
    cells = trimmed(pl.Series([str(cell) for cell in header], dtype=pl.String), ())
    if not cells.drop_nulls().len() or not set(narrowest(cells)) <= {"text", "boolean"}:
        return False
    if cells.str.slice(0, _LONGEST).str.contains(LOOKS_TYPED).any():
        return False
    if not below.height or has_types(below, options):
        return True
    repeats = sum(bool((below[name] == cell).any()) for name, cell in zip(below.columns, header, strict=False))
    return repeats * 2 < len(header)


def has_types(below: pl.DataFrame, options: ReadOptions) -> bool:
    """Whether some column of the rows below the header is something else than text."""
    for name in below.columns[:_HEADER_COLUMNS]:
        cells = trimmed(below[name].head(_HEADER_ROWS), options.null_values)
        counts = narrowest(cells)
        if counts and counts.get("text", 0) < sum(counts.values()):
            return True
        if cells.str.slice(0, _LONGEST).str.contains(LOOKS_TYPED).any():
            return True
    return False


def count_header_rows(rows: Sequence[Sequence[str]], below: Sequence[pl.DataFrame], options: ReadOptions) -> int:
    """How many of the first rows make up the header.

    A second row belongs to it where the first leaves names out that the second gives, as merged cells do, or where all
    of the second are units in brackets; and where the rows below are of other types.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first rows.
    below : sequence of DataFrame
        The rows below each of them.
    """
    if options.header_rows is not None:
        return options.header_rows
    one = options.header if options.header is not None else is_header(rows[0], below[0], options)
    count = int(one)
    if not one and options.header is None and len(rows) > 1 and _goes_on(rows[0], rows[1], below[1], options):
        one, count = True, 2  # years over quarters are no names by themselves
    while (
        one
        and count < min(len(rows), MOST_HEADER_ROWS)
        and _goes_on(rows[count - 1], rows[count], below[count], options)
    ):
        count += 1
    return count


def _goes_on(upper: Sequence[str], lower: Sequence[str], below: pl.DataFrame, options: ReadOptions) -> bool:
    cells = [cell.strip() for cell in lower]
    units = [cell for cell in cells if cell]
    are_units = bool(units) and all(_UNIT.match(cell) for cell in units)
    fills_gaps = all(cells) and not all(cell.strip() for cell in upper)
    if len(upper) != len(lower) or not below.height or not (are_units or fills_gaps):
        return False
    return is_header(lower, below, options) and has_types(below, options)


def joined_names(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """One name a column: the parts from top to bottom, with "_" between, each once.

    In every row but the last, an empty cell says what the cell left of it says, as merged cells do.

    Examples
    --------
    >>> joined_names([["", "2024", "", "2025"], ["city", "Q1", "Q2", "Q1"]], 4)
    ['city', '2024_Q1', '2024_Q2', '2025_Q1']
    """
    parts: list[list[str]] = [[] for _ in range(width)]
    for number, row in enumerate(rows, 1):
        left = ""
        for at in range(width):
            cell = row[at].strip() if at < len(row) else ""
            left = cell or (left if number < len(rows) else "")
            if left and left not in parts[at][-1:]:
                parts[at].append(left)
    return [JOINT.join(part) for part in parts]


def names_of(rows: Sequence[Sequence[str]], width: int) -> tuple[list[str], list[str]]:
    """Unique names for `width` columns from the header rows, and what was changed to get them."""
    if not rows:
        return unique_names([""] * width)[0], []
    notes = []
    given = [name.strip() for name in rows[0]] if len(rows) == 1 else joined_names(rows, width)
    while len(given) > width and not given[-1]:
        given.pop()
    if len(given) != width:
        notes.append(
            f"the header has {len(given)} names, most rows have {width} fields;"
            " set skip_rows if lines stand before the header"
        )
        given = (given + [""] * width)[:width]
    names, changed = unique_names(given)
    return names, [*notes, *changed]
