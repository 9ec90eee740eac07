"""Rows of a sample as text fields."""

from __future__ import annotations

import numpy as np
import polars as pl

from raypipe.etl.formats.csv_dialect import Dialect, seen
from raypipe.etl.formats.csv_layout import Layout, read_rows, to_utf8
from raypipe.etl.formats.csv_quotes import Codes, gather, scan_rows
from raypipe.etl.formats.csv_view import data_rows

SAMPLE_CELLS = 2_000_000
"""Cells of a sample that types are found from; of a very wide file fewer rows are looked at."""


def layout_of(dialect: Dialect, width: int) -> Layout:
    """How to read text fields of so many columns; text is UTF-8 by then, or in the encoding of single bytes."""
    encoding = dialect.encoding if dialect.code_bytes else "utf-8"
    return Layout(dialect.grammar_in("utf-8"), encoding, width, (), (), dialect.marks_in("utf-8"))


def most_rows(width: int) -> int:
    """Rows of a sample that are looked at."""
    return max(20, SAMPLE_CELLS // width)


def sample_rows(codes: Codes, dialect: Dialect, width: int, most: int, cut: bool = False) -> pl.DataFrame:
    """The first rows with the right number of fields; `cut`: the sample may end within a row."""
    shown = seen(codes, dialect)
    rows = scan_rows(shown, dialect.grammar)
    good = data_rows(codes, rows, dialect.comment_codes) & (rows.fields == width) & ~rows.unclosed
    if cut and good.size > 1 and shown[-1] != dialect.grammar.eol:
        good[-1] = False
    which = np.flatnonzero(good)[:most]
    return fields_of(gather(codes, rows, which), dialect, width)


def fields_of(raw: bytes, dialect: Dialect, width: int) -> pl.DataFrame:
    """Whole rows, in the file's encoding, as text fields."""
    layout = layout_of(dialect, width)
    return read_rows(to_utf8(raw, layout.encoding)[0], layout, every=True)


def cells_of(row: Codes, dialect: Dialect, width: int) -> list[str]:
    """The fields of one row as text, "" where there is none."""
    eol = "\n" if dialect.eol != "\r" else "\r"
    end = eol.encode(dialect.encoding if dialect.code_bytes else "utf-8")
    frame = fields_of(row.tobytes() + end, dialect, width)
    return [str(value or "") for value in frame.row(0)] if frame.height else [""] * width
