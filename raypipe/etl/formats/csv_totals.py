"""Whether a row holds the totals of the rows above it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import polars as pl

from raypipe.config import CellFormat
from raypipe.etl.formats.number_cells import GROUPS, find_unit, plain_numbers

TOTAL = re.compile(
    r"^\s*(grand[ -]?total|sub[ -]?total|totals?|sum|summe|gesamt(summe)?|insgesamt|zwischensumme|somme"
    r"|total g[ée]n[ée]ral|suma|totale|totaal|razem|итого)\s*:?\s*$",
    re.IGNORECASE,
)
"""What the first cell of such a row says."""
_LEAST_ROWS = 2
_ROUNDING = 0.011


def is_total(cells: Sequence[str], above: pl.DataFrame) -> bool:
    """Whether the row says that it is a total, and a column of the rows above adds up to it.

    Parameters
    ----------
    cells : sequence of str
        The row.
    above : DataFrame
        All rows of the table above it, as text.
    """
    filled = [cell for cell in cells if cell.strip()]
    if not filled or not TOTAL.match(filled[0]) or above.height < _LEAST_ROWS:
        return False
    return any(_adds_up(cell, column) for cell, column in zip(cells, above.iter_columns(), strict=True) if cell.strip())


def _adds_up(cell: str, column: pl.Series) -> bool:
    for mark in (".", ","):
        texts = pl.concat([column, pl.Series([cell])]).str.strip_chars()
        how = CellFormat(decimal=mark, thousands=GROUPS[mark], unit=find_unit(texts.drop_nulls()), accounting=True)
        numbers = plain_numbers(texts, how).cast(pl.Float64, strict=False)
        total, parts = numbers[-1], numbers[:-1]
        if total is None or parts.null_count() > texts[:-1].null_count() or not parts.drop_nulls().len():
            continue
        if math.isclose(float(str(parts.sum())), float(str(total)), rel_tol=1e-9, abs_tol=_ROUNDING):
            return True
    return False
