"""Rows set aside: which cell was at fault, why, and the whole row as JSON, so that it can be mended and read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import polars.selectors as cs
import pyarrow as pa

from raypipe.blocks.frames import ROW, from_polars, no_rows, to_polars
from raypipe.stage import ASIDE_RULES_SCHEMA, ASIDE_SCHEMA, NONE_ASIDE

VALUE_CHARS = 200
"""A value at fault is cut to this many characters; `raw` holds all of it."""
NONE_WITH_RULES = no_rows(ASIDE_RULES_SCHEMA)
"""No rows set aside by a stage that checks rules."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a row, and in which column."""

    column: str
    reason: str


def numbered(block: pa.Table) -> pa.Table:
    """The block with `ROW`; rows of a block that has none are numbered from 0."""
    if ROW in block.column_names:
        return block
    return block.append_column(pa.field(ROW, pa.int64()), pa.array(np.arange(block.num_rows, dtype=np.int64)))


def set_aside(block: pa.Table, which: pl.Series, faults: Sequence[Fault], rules: pa.Array | None = None) -> pa.Table:
    """All rows of the block in the form of `ASIDE_SCHEMA`.

    Parameters
    ----------
    block : pa.Table
        The rows at fault only, with `ROW`.
    which : pl.Series
        For each row, the index in `faults` of its first fault.
    faults : sequence of Fault
        What may be wrong.
    rules : pa.Array or None
        For each row, the ids of all rules that it breaks, as `rule_lists` gives them; the result then has
        `ASIDE_RULES_SCHEMA`.
    """
    if block.num_rows == 0:
        return NONE_ASIDE
    which = which.cast(pl.UInt32)
    values = pl.Series([None] * block.num_rows, dtype=pl.String)
    for index in which.unique().to_list():
        cells = shortened(as_text(pl.Series("", pl.from_arrow(block[faults[index].column]))))
        values = cells.zip_with(which == index, values)
    frame = pl.DataFrame(
        {
            "row": pl.from_arrow(block[ROW]),
            "line": pl.Series([None] * block.num_rows, dtype=pl.Int64),
            "column": pl.Series([fault.column for fault in faults], dtype=pl.String).gather(which),
            "value": values,
            "reason": pl.Series([fault.reason for fault in faults], dtype=pl.String).gather(which),
            "raw": raw_json(block.drop_columns([ROW])),
        }
    )
    aside = from_polars(frame).cast(ASIDE_SCHEMA)
    return aside if rules is None else aside.append_column(ASIDE_RULES_SCHEMA.field("rules"), rules)


def as_text(cells: pl.Series) -> pl.Series:
    """Each value as text: numbers and times in their shortest exact form, bytes as base64, nested values as JSON.

    The series bears no name: Polars takes one such as `^a$` for a pattern, in methods of a series too.
    """
    if cells.dtype == pl.Binary:
        return cells.bin.encode("base64")
    if cells.dtype.is_nested():
        whole = pl.DataFrame([cells.alias("v")]).to_struct("").struct.json_encode()
        return whole.str.slice(len('{"v":')).str.strip_suffix("}").set(cells.is_null(), None)
    if cells.dtype in (pl.Duration, pl.Time):  # a cast of a time would lose the fraction of its second
        return cells.dt.to_string("iso")
    return cells.cast(pl.String)


def shortened(cells: pl.Series) -> pl.Series:
    """Text cut to `VALUE_CHARS` characters, with an ellipsis where something is missing."""
    cut = cells.str.slice(0, VALUE_CHARS) + "…"
    return cut.zip_with((cells.str.len_chars() > VALUE_CHARS).fill_null(False), cells)


def raw_json(block: pa.Table) -> pl.Series:
    """Each row as a JSON object; NaN and infinities, which JSON cannot hold, as the texts "NaN", "inf", "-inf"."""
    frame = to_polars(block)
    if frame.width == 0:
        return pl.Series(["{}"] * block.num_rows, dtype=pl.String)
    plain = pl.DataFrame({name: _json_ready(frame.get_column(name)) for name in frame.columns})
    rows = plain.to_struct("raw").struct.json_encode()
    if not len(rows) or not any(kind.is_float() for kind in plain.dtypes):
        return rows
    odd = plain.select(pl.any_horizontal((cs.float().is_nan() | cs.float().is_infinite()).fill_null(False))).to_series()
    if not odd.any():
        return rows
    return plain.with_columns(cs.float().cast(pl.String)).to_struct("raw").struct.json_encode().zip_with(odd, rows)


def _json_ready(cells: pl.Series) -> pl.Series:
    kind = cells.dtype
    plain = kind.is_integer() or kind.is_float() or kind.is_nested() or kind in (pl.Boolean, pl.String, pl.Null)
    return cells if plain else as_text(cells.alias("")).alias(cells.name)
