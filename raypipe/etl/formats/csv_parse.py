"""One part of a CSV file: bytes in, typed rows and rows set aside out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from raypipe.blocks.rowlines import RowLines
from raypipe.errors import ReadError
from raypipe.etl.formats.cells import FLOAT_DIGITS
from raypipe.etl.formats.csv_layout import MARK, Layout, Placed, Take, empty_aside, read_rows, read_text, to_utf8
from raypipe.etl.formats.csv_quotes import Codes, Flags, Grammar, Positions, Rows, gather
from raypipe.etl.formats.csv_typing import lines_of, plain_floats, type_rows
from raypipe.etl.formats.csv_view import data_rows, rows_of
from raypipe.etl.wording import counted, shown
from raypipe.stage import PartRead

_ZERO, _DIGITS = ord("0"), 10
_LOWEST_OF_NUMBERS = ord("-")
"""Lowest code within a number or a date; ends of lines, quotes and spaces are below it."""
_PIECE = 1 << 18
"""Codes looked at in one go, so that they stay in the cache."""
_LONGEST_RUN = 64
"""Codes behind a piece that are looked at, too, since a number may go on there."""
_POINT_TO_NINE = ord("9") - ord(".") + 1
_FOUR_TRUE = 0x01010101


@dataclass(frozen=True)
class Task:
    """One part: its bytes and what is known of them."""

    raw: bytes
    clean: bool
    """Every quote is where the plain grammar wants it."""
    first_line: int = 0
    """Lines of the file before `raw` that count as part of it: those of the header."""
    take: Take | None = None


def read_part(task: Task, layout: Layout) -> PartRead:
    """Rows of one part, typed; rows that have no place or a cell that does not fit are set aside."""
    lines, placed, body, wrong = 0, None, task.raw, 0
    plain = task.clean and task.take is None and layout.is_plain
    if plain and layout.encoding == "utf-8":
        lines = count_lines(body, layout)
        placed = _place_plain(body, layout, lines)
    if placed is None:
        body, wrong = to_utf8(task.raw, layout.encoding, layout.lenient)
        lines = count_lines(body, layout)
        if plain and (layout.lenient or not wrong) and body is not task.raw:
            placed = _place_plain(body, layout, lines)
    if placed is None:
        placed = _place_exactly(body, layout, task.take, task.first_line)
    read = type_rows(placed, layout, (task.first_line, body))
    return PartRead(
        block=read.block,
        aside=read.aside,
        row_numbers=read.row_numbers,
        bytes_read=len(task.raw),
        lines=lines + task.first_line,
        row_lines=_row_lines(placed, layout, (task.first_line, body), lines),
        notes=read.notes | ({"bytes_read_as_cp1252": wrong} if wrong and layout.lenient else {}),
    )


def _row_lines(placed: Placed, layout: Layout, origin: tuple[int, bytes], total: int) -> RowLines | None:
    """The line in which each row begins; without the scanner, only line breaks in texts set rows and lines apart."""
    frame, lines = placed.frame, placed.lines
    if lines is None and frame.height == total:
        return RowLines.even(origin[0])
    numbers = np.arange(frame.height) if placed.numbers is None else placed.numbers
    if lines is None:
        eol = chr(layout.grammar.eol)
        breaks = frame.select(pl.sum_horizontal(cs.string().str.count_matches(eol, literal=True).fill_null(0), 0))
        behind = breaks.to_series().cum_sum().to_numpy().astype(np.int64)
        known = frame.height and frame.height + behind[-1] == total  # else they are in a column that is not read
        lines = numbers + np.append(0, behind[:-1]) if known else lines_of(placed, layout, origin[1])
    return RowLines.of(numbers, lines + origin[0])


def count_lines(body: bytes, layout: Layout) -> int:
    """Text lines, those inside quoted fields included."""
    codes = np.frombuffer(body, np.uint8)
    if layout.marks is not None:
        return rows_of(codes, layout.grammar, layout.marks).line_count
    eol = layout.grammar.eol
    pieces = range(0, codes.size, _PIECE)
    ends = sum(int(np.count_nonzero(codes[at : at + _PIECE] == eol)) for at in pieces)
    return ends + int(bool(body) and codes[-1] != eol)


def _place_plain(body: bytes, layout: Layout, lines: int) -> Placed | None:
    """Rows of a part where every line is a row with all its fields; None if that is not certain.

    Polars refuses a row with too many fields and fills one with too few with nulls, the last column always.
    """
    doubtful = _may_hold_codes(body, layout) or _may_hold_long_fractions(body, layout)
    frame = None if doubtful else _numbers_at_once(body, layout)
    try:
        frame = read_text(body, layout) if frame is None else frame
    except pl.exceptions.PolarsError:
        return None
    gaps = bool(lines and frame[layout.names[-1]].null_count())
    if frame.height == lines and not gaps:
        return Placed(frame)
    rows, delimiters = _outside_quotes(body, layout.grammar)
    if frame.height != rows or (gaps and (layout.width == 1 or delimiters != rows * (layout.width - 1))):
        return None
    return Placed(frame)


def _numbers_at_once(body: bytes, layout: Layout) -> pl.DataFrame | None:
    """The frame with its numbers parsed; None if a number does not parse, or `parse` could see it otherwise."""
    try:
        frame = read_text(body, layout, typed=True)
    except pl.exceptions.PolarsError:
        return None
    floats = [frame[f"c{want.index}"] for want in layout.wanted if want.is_number and want.kind == "float64"]
    return frame if all(plain_floats(values) for values in floats) else None


def _may_hold_codes(body: bytes, layout: Layout) -> bool:
    """Whether some field seems to start with 0 and another digit: a code that a number parser would shorten."""
    if not any(want.is_number for want in layout.wanted):
        return False
    codes, grammar = np.frombuffer(body, np.uint8), layout.grammar
    if body[:1] == b"0" and body[1:2].isdigit():
        return True
    for at in range(0, codes.size, _PIECE):
        left, zero, digit = codes[at : at + _PIECE], codes[at + 1 : at + _PIECE + 1], codes[at + 2 : at + _PIECE + 2]
        hit = zero[: digit.size] == _ZERO
        hit &= (digit - _ZERO) < _DIGITS
        left = left[: digit.size]
        edge = left < _LOWEST_OF_NUMBERS
        if grammar.delimiter >= _LOWEST_OF_NUMBERS:
            edge |= left == grammar.delimiter
        if bool((hit & edge).any()):
            return True
    return False


def _may_hold_long_fractions(body: bytes, layout: Layout) -> bool:
    """Whether some number seems to have more digits than a float64 holds, which a number parser would round.

    So many digits fill three words of four bytes wherever they begin; only where these are full is a closer look taken.
    """
    if not any(want.is_number and want.kind == "float64" for want in layout.wanted):
        return False
    codes = np.frombuffer(body, np.uint8)
    for at in range(0, codes.size, _PIECE):
        piece = codes[at : at + _PIECE + _LONGEST_RUN]
        digits = (piece - ord(".")) < _POINT_TO_NINE
        full = digits[: piece.size // 4 * 4].view(np.uint32) == _FOUR_TRUE
        if bool((full[:-2] & full[1:-1] & full[2:]).any()) and _has_long_run(piece):
            return True
    return False


def _has_long_run(piece: Codes) -> bool:
    """Whether more digits than `FLOAT_DIGITS` stand in a row, points and one leading zero left out."""
    other = np.flatnonzero((piece - ord(".")) >= _POINT_TO_NINE)
    starts = np.concatenate(([0], other + 1))
    lengths = np.append(other, piece.size) - starts
    long = lengths > FLOAT_DIGITS
    digits = lengths[long] - 1 - (piece[starts[long]] == _ZERO)
    return bool((digits > FLOAT_DIGITS).any())


def _outside_quotes(body: bytes, grammar: Grammar) -> tuple[int, int]:
    """Rows and delimiters of a clean text: there, quotes open and close fields in turn."""
    codes = np.frombuffer(body, np.uint8)
    quotes = np.flatnonzero(codes == grammar.quote) if grammar.quote is not None else np.zeros(0, np.int64)
    counts = []
    for mark in (grammar.eol, grammar.delimiter):
        places = np.flatnonzero(codes == mark)
        before = np.searchsorted(places, quotes)
        counts.append(int(places.size - (before[1::2] - before[0::2]).sum()))
    open_end = bool(body) and codes[-1] != grammar.eol
    return counts[0] + int(open_end), counts[1]


def _place_exactly(body: bytes, layout: Layout, take: Take | None, first_line: int) -> Placed:
    """Rows found by the scanner; blank lines and comments are left out, rows without a place go aside."""
    codes = np.frombuffer(body, np.uint8)
    rows = rows_of(codes, layout.grammar, layout.marks)
    blank = rows.ends == rows.starts
    is_data = data_rows(codes, rows, layout.comment)
    data = np.flatnonzero(is_data)
    numbers = np.cumsum(is_data) - 1
    counts = {"blank_lines": int(blank.sum()), "comment_lines": int((~is_data & ~blank).sum())}
    if take is not None:
        data, counts = data[draw(data.size, take)], {}
    reasons = _row_faults(body, rows, data, (layout, first_line))
    good = data[reasons == ""]
    bad = data[reasons != ""]
    counts["ragged_rows"] = int(bad.size)
    if layout.ragged == "pad":
        counts["padded_rows"] = int((rows.fields[good] < layout.width).sum())
    frame = read_rows(gather(codes, rows, good), layout)
    if frame.height != good.size:
        raise RuntimeError(
            f"rows found {good.size}, rows parsed {frame.height}: the row grammar and the parser disagree"
        )
    aside = _aside_rows(body, rows, bad, reasons[reasons != ""])
    return Placed(frame, numbers[good], rows.lines[good], aside, {key: n for key, n in counts.items() if n})


def draw(total: int, take: Take) -> Positions:
    """Sorted positions of a simple random sample without replacement."""
    if take.rows >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(take.seed).choice(total, take.rows, replace=False))


def _row_faults(body: bytes, rows: Rows, data: Positions, origin: tuple[Layout, int]) -> np.ndarray[Any, Any]:
    """Why each row cannot be placed; "" where it can."""
    layout, first_line = origin
    reasons = np.full(data.size, "", object)
    fields = rows.fields[data]
    wrong = fields > layout.width if layout.ragged == "pad" else fields != layout.width
    if layout.ragged == "error" and wrong.any():
        at = data[wrong][0]
        text = shown(body[rows.starts[at] : rows.ends[at]].decode("utf-8", "replace"))
        raise ReadError(
            f"{layout.path}: the row {text} has {counted(int(rows.fields[at]), 'field')} instead of {layout.width}."
            " Mend it, or set read_options.ragged to 'quarantine' or 'pad'."
        )
    many = "field" if layout.width == 1 else "fields"
    reasons[wrong] = [f"{found} fields instead of {layout.width}" for found in fields[wrong].tolist()]
    reasons[wrong & (fields == 1)] = f"1 field instead of {layout.width} {many}"
    unclosed = rows.unclosed[data]
    reasons[unclosed] = [
        f"quote opened in line {first_line + line + 1} of the part is never closed"
        for line in rows.lines[data[unclosed]].tolist()
    ]
    if MARK.encode() in body:
        reasons[_rows_with(body, MARK.encode(), rows.starts)[data]] = f"bytes that are not valid {layout.encoding}"
    return reasons


def _rows_with(body: bytes, mark: bytes, starts: Positions) -> Flags:
    """Which rows contain the mark."""
    codes = np.frombuffer(body, np.uint8)
    first = np.flatnonzero(codes[: codes.size - len(mark) + 1] == mark[0])
    for offset, code in enumerate(mark[1:], 1):
        first = first[codes[first + offset] == code]
    found = np.zeros(starts.size, bool)
    found[np.searchsorted(starts, first, side="right") - 1] = True
    return found


def _aside_rows(body: bytes, rows: Rows, which: Positions, reasons: np.ndarray[Any, Any]) -> pl.DataFrame:
    bounds = zip(rows.starts[which].tolist(), rows.ends[which].tolist(), strict=True)
    raw = [body[start:end].decode("utf-8", "replace").replace(MARK, "") for start, end in bounds]
    frame = pl.DataFrame({"line": rows.lines[which], "reason": reasons.tolist(), "raw": raw}, strict=False)
    return pl.concat([empty_aside(), frame.cast({"reason": pl.String, "raw": pl.String})], how="diagonal_relaxed")
