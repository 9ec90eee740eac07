"""Text columns of a part into typed ones; rows with a cell that does not fit are set aside."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from raypipe.blocks.frames import from_polars
from raypipe.etl.aside import shortened
from raypipe.etl.formats.cell_formats import grouped_by_points, plain_texts, without_dashes
from raypipe.etl.formats.cells import count_codes, count_wide, iso_days, may_be_too_precise, narrowest, parse, trimmed
from raypipe.etl.formats.csv_layout import Layout, Placed, Wanted
from raypipe.etl.formats.csv_quotes import Positions, scan_rows
from raypipe.stage import ASIDE_SCHEMA, PartRead

_BIG = 1e15
_MAX_PADDING = 16
"""Spaces around a text for "no value"; a text with more of them is text."""


def type_rows(placed: Placed, layout: Layout, origin: tuple[int, bytes]) -> PartRead:
    """Turn text into values; rows with a cell that does not fit go aside under the first such column."""
    frame, columns, faults, notes = placed.frame, [], [], dict(placed.notes)
    values, misfits, wide = {}, {}, {}
    for want in layout.wanted:
        column, wrong, dashes = read_cells(frame[f"c{want.index}"], want, layout.null_values)
        if dashes:
            notes["dashes"] = notes.get("dashes", 0) + dashes
        columns.append(column.alias(want.name))
        if want.kind != "text":
            bad = 0 if wrong is None else int(wrong.sum())
            if want.kind == "int64" and (long := count_wide(column)):
                wide[want.name] = long
            values[want.name] = column.len() - column.null_count() + bad
            if wrong is not None and bad:
                faults.append((want, wrong))
                misfits[want.name] = _misfit_note(frame[f"c{want.index}"].filter(wrong), column, want, layout)
    typed = pl.DataFrame(columns)
    notes |= {"values": values} | ({"wide": wide} if wide else {})
    aside = placed.aside
    numbers = placed.numbers
    if faults:
        lines = lines_of(placed, layout, origin[1])
        aside, keep = _set_misfits_aside(placed, layout, faults, lines)
        for want, wrong in faults:
            misfits[want.name]["line"] = int(lines[np.flatnonzero(wrong.to_numpy())[0]]) + origin[0]
        typed = typed.filter(keep)
        numbers = (np.arange(frame.height) if numbers is None else numbers)[keep.to_numpy()]
        notes["misfits"] = misfits
    aside = aside.with_columns(pl.col("line") + origin[0]).sort("line", maintain_order=True)
    gaps = numbers is not None and numbers.size and int(numbers[-1]) != numbers.size - 1
    return PartRead(
        block=from_polars(typed),
        aside=from_polars(aside.select(ASIDE_SCHEMA.names)).cast(ASIDE_SCHEMA),
        row_numbers=_numbers(numbers) if gaps else None,
        notes=notes,
    )


def _numbers(numbers: Positions | None) -> Any:
    return from_polars(pl.DataFrame({"n": pl.Series(numbers, dtype=pl.Int64)}))["n"].combine_chunks()


def lines_of(placed: Placed, layout: Layout, body: bytes) -> Positions:
    """Line of each placed row."""
    if placed.lines is not None:
        return placed.lines
    return scan_rows(np.frombuffer(body, np.uint8), layout.grammar).lines


def read_cells(texts: pl.Series, want: Wanted, null_values: tuple[str, ...]) -> tuple[pl.Series, pl.Series | None, int]:
    """Values of a column, which cells do not fit, and how many dashes stood for no value."""
    if want.format is None or want.kind == "text":
        return *read_column(texts, want.kind, null_values), 0
    if want.kind == "int64" and want.format.unit is None and (quick := _quick(texts, "int64")) is not None:
        return quick, None, 0
    clean, dashes = without_dashes(trimmed(texts, null_values), want.format)
    values = parse(plain_texts(clean, want.kind, want.format), want.kind)
    wrong = clean.is_not_null() & values.is_null()
    return values, wrong if wrong.any() else None, dashes


def read_column(texts: pl.Series, kind: str, null_values: tuple[str, ...]) -> tuple[pl.Series, pl.Series | None]:
    """Values of a column of texts, and which cells do not fit its type (None: all fit).

    The quick way is taken where it is certain to give what `parse` of the trimmed texts gives.
    """
    if texts.dtype != pl.String:
        return texts, None
    if kind == "text":
        return _nulled(texts, null_values), None
    quick = _quick(texts, kind)
    if quick is not None:
        return quick, None
    clean = trimmed(texts, null_values)
    values = parse(clean, kind)
    wrong = clean.is_not_null() & values.is_null()
    return values, wrong if wrong.any() else None


def _nulled(texts: pl.Series, null_values: tuple[str, ...]) -> pl.Series:
    """Text as it stands, null where only a text for "no value" is left after trimming."""
    if "" not in null_values:
        texts = texts.fill_null("")
    if not null_values:
        return texts
    short = texts.str.len_bytes() <= max(len(text.encode()) for text in null_values) + _MAX_PADDING
    every = bool(short.all())
    hit = _are_null(texts if every else texts.filter(short), null_values)
    if hit is None:
        return texts
    if not every:
        places = np.flatnonzero(short.fill_null(value=False).to_numpy())
        full = np.zeros(texts.len(), bool)
        full[places[hit.fill_null(value=False).to_numpy()]] = True
        hit = pl.Series(full)
    return pl.select(pl.when(~hit).then(texts)).to_series()


def _are_null(texts: pl.Series, null_values: tuple[str, ...]) -> pl.Series | None:
    """Which texts stand for "no value", spaces around them left out; None: none does."""
    padded = texts.str.starts_with(" ").any() or texts.str.ends_with(" ").any()
    hit = (texts.str.strip_chars(" ") if padded else texts).is_in(list(null_values))
    return hit if hit.any() else None


def _quick(texts: pl.Series, kind: str) -> pl.Series | None:
    """Values, if the type's own parser takes every text and no rule of `parse` could object."""
    if kind == "int64":
        values = texts.cast(pl.Int64, strict=False)
        codes = texts.str.starts_with("0") & (values != 0)
        sure = not codes.any() and not (texts.str.starts_with("00")).any()
    elif kind == "float64":
        values = texts.cast(pl.Float64, strict=False)
        odd = texts.str.starts_with("0") & ~texts.str.starts_with("0.") & (texts.str.len_bytes() > 1)
        sure = not odd.any() and plain_floats(values) and not may_be_too_precise(texts)
    elif kind == "date":
        values, sure = iso_days(texts), True
    else:
        return None
    return values if sure and values.null_count() == texts.null_count() else None


def _misfit_note(wrong: pl.Series, values: pl.Series, want: Wanted, layout: Layout) -> dict[str, Any]:
    """What the cells that do not fit are; those of a format are looked at as that format sees them."""
    clean = plain = trimmed(wrong, layout.null_values)
    if want.format is not None:
        # A cell that the format does not know is no value of another type, whatever it looks like plainly.
        wider = {"int64": "float64", "date": "datetime"}.get(want.kind, want.kind)
        plain = plain_texts(clean, wider, want.format).fill_null("\ufffd")
    return {
        "count": clean.len(),
        "as": narrowest(plain),
        "codes": count_codes(plain) if values.dtype.is_numeric() else 0,
        "values": values.len() - values.null_count() + clean.len(),
        "grouped": grouped_by_points(clean) if want.format is None and want.kind == "float64" else 0,
        "example": clean[0],
    }


def _set_misfits_aside(
    placed: Placed, layout: Layout, faults: list[tuple[Wanted, pl.Series]], lines: Positions
) -> tuple[pl.DataFrame, pl.Series]:
    """`placed.aside` with the rows at fault, and which rows stay."""
    frame = placed.frame
    left = pl.Series([True]).new_from_index(0, frame.height)
    pieces = [placed.aside]
    renamed = {f"c{want.index}": want.name for want in layout.wanted}
    for want, wrong in faults:
        hit = left & wrong
        left = left & ~wrong
        # In one piece: on a frame whose first piece is empty, Polars 2.1 panics in functions of several texts.
        rows = frame.filter(hit).rechunk()
        texts = shortened(rows[f"c{want.index}"])
        at = np.flatnonzero(hit.to_numpy())
        raw = rows.select(list(renamed)).rename(renamed).to_struct("raw").struct.json_encode()
        reason = f"column {want.name!r} wants {want.kind}, got '" + texts + "'"
        pieces.append(
            pl.DataFrame(
                {
                    "row": at if placed.numbers is None else placed.numbers[at],
                    "line": lines[at],
                    "column": pl.Series([want.name]).new_from_index(0, texts.len()),
                    "value": texts,
                    "reason": reason,
                    "raw": raw,
                }
            )
        )
    return pl.concat(pieces, how="vertical_relaxed"), left


def plain_floats(values: pl.Series) -> bool:
    """Whether no value is NaN (it may stand for "no value") or so large that digits may be lost."""
    peak = values.abs().max()
    return not values.is_nan().any() and (peak is None or float(str(peak)) < _BIG)
