"""Texts of unusual structure as the scanner sees them, and as a plain parser reads them.

The scanner of rows knows one character for each task. A *view* of a text has as many codes, in the same places, but
one code for a delimiter of several characters, none that an escape makes part of the text, and one kind of line end.
So whatever is found in the view, rows and cuts and states, holds for the text. What a part keeps is then written in
the canonical way: a delimiter that the text does not hold, and stand-ins for escaped characters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raypipe.etl.formats.csv_quotes import (
    CR,
    Codes,
    Flags,
    Grammar,
    Positions,
    Rows,
    find_runs,
    scan_rows,
    states_after,
)

LF = 10
STAND_IN = 0x1F
"""Code of a delimiter of several characters in a view."""
FILL = ord("x")
"""Code in a view of whatever has no meaning."""
_FIRST_FREE = (*range(0x1C, 0x20), *range(1, 9), 0x0B, 0x0C, *range(0x0E, 0x1C), 0x7F, *range(0x20, 0x7F))
LOOK_BACK = 64
LOOK_AHEAD = 1


@dataclass(frozen=True)
class Marks:
    """What a view resolves, as codes of the text's encoding."""

    delimiter: tuple[int, ...]
    quote: int | None
    escape: int | None
    any_end: bool
    """Lines end with LF, CR LF or CR, mixed."""

    @property
    def special(self) -> tuple[int, ...]:
        """Codes whose meaning may depend on those before them."""
        escapes = () if self.escape is None else (self.escape,)
        return (*(self.delimiter if len(self.delimiter) > 1 else ()), *escapes)


@dataclass(frozen=True)
class Canonical:
    """A text in plain grammar."""

    text: bytes
    grammar: Grammar
    stand_ins: dict[str, str]
    """Character -> what it stands for in a field."""


def view(codes: Codes, marks: Marks) -> Codes:
    """The codes with one code for each task; they start where no escape and no delimiter has begun."""
    seen = codes.copy()
    if marks.escape is not None:
        leaders = _leaders(codes, marks.escape)
        seen[leaders] = FILL
        seen[_followers(codes, leaders)] = FILL
    if len(marks.delimiter) > 1:
        seen[seen == STAND_IN] = FILL
        starts = _matches(seen, marks.delimiter)
        for offset in range(len(marks.delimiter)):
            seen[starts + offset] = STAND_IN
    if marks.any_end:
        seen[lone_returns(seen)] = LF
    return seen


def settled_before(codes: Codes, at: int, marks: Marks) -> int | None:
    """The last place up to `at` that no escape and no delimiter reaches over; None: not in these codes."""
    fine = np.flatnonzero(~np.isin(codes[:at], marks.special))
    return int(fine[-1]) + 1 if fine.size else None


def _leaders(codes: Codes, escape: int) -> Positions:
    """Escapes that make the next code part of the text: every second one of a run."""
    places = np.flatnonzero(codes == escape)
    if not places.size:
        return places
    starts = np.concatenate(([True], np.diff(places) != 1))
    first = np.maximum.accumulate(np.where(starts, np.arange(places.size), 0))
    leaders: Positions = places[(np.arange(places.size) - first) % 2 == 0]
    return leaders


def _followers(codes: Codes, leaders: Positions) -> Positions:
    """What escapes make part of the text."""
    behind: Positions = leaders[leaders + 1 < codes.size] + 1
    return behind


def lone_returns(codes: Codes) -> Positions:
    """Carriage returns that no line feed follows."""
    returns = np.flatnonzero(codes == CR)
    behind = np.append(codes, np.zeros(1, codes.dtype))[returns + 1]
    lone: Positions = returns[behind != LF]
    return lone


def _matches(codes: Codes, wanted: tuple[int, ...]) -> Positions:
    """Where the sequence stands, from the left, without overlaps."""
    span = len(wanted)
    starts = (
        np.flatnonzero(codes[: codes.size - span + 1] == wanted[0]) if codes.size >= span else np.zeros(0, np.int64)
    )
    for offset, code in enumerate(wanted[1:], 1):
        starts = starts[codes[starts + offset] == code]
    if starts.size < 2 or int(np.diff(starts).min()) >= span:
        return starts
    chosen, end = [], -1
    for start in starts.tolist():
        if start >= end:
            chosen.append(start)
            end = start + span
    return np.array(chosen, np.int64)


def rows_of(codes: Codes, grammar: Grammar, marks: Marks | None) -> Rows:
    """The rows of a text that starts at the start of a row, with the numbers of its text lines."""
    if marks is None:
        return scan_rows(codes, grammar)
    rows = scan_rows(view(codes, marks), grammar)
    if marks.escape is None:
        return rows
    ends = np.flatnonzero(codes == grammar.eol)
    if marks.any_end:
        ends = np.union1d(ends, lone_returns(codes))
    lines = np.searchsorted(ends, rows.starts)
    open_end = bool(codes.size) and (not ends.size or int(ends[-1]) != codes.size - 1)
    return Rows(rows.starts, rows.ends, rows.nexts, lines, rows.fields, rows.unclosed, int(ends.size) + int(open_end))


def data_rows(codes: Codes, rows: Rows, comment: tuple[int, ...]) -> Flags:
    """Which rows are neither blank nor a comment. One that goes over several lines is no comment: it opens a quote."""
    filled: Flags = rows.ends > rows.starts
    return filled & ~comment_rows(codes, rows, comment)


def comment_rows(codes: Codes, rows: Rows, comment: tuple[int, ...]) -> Flags:
    """Which rows start with the comment mark, on one line."""
    if not comment:
        return np.zeros(rows.starts.size, bool)
    found: Flags = (rows.ends - rows.starts >= len(comment)) & ~rows.unclosed
    for offset, code in enumerate(comment):
        found &= codes[np.minimum(rows.starts + offset, codes.size - 1)] == code
    found &= np.diff(np.append(rows.lines, rows.line_count)) == 1
    return found


def canonical(text: bytes, grammar: Grammar, marks: Marks) -> Canonical | None:
    """Whole rows of UTF-8 without unclosed quotes in plain grammar; None: the text holds every character there is."""
    codes = np.frombuffer(text, np.uint8)
    free = _free_codes(codes, grammar)
    if free is None:
        return None
    seen = view(codes, marks)
    out, gone = codes.copy(), np.zeros(codes.size, bool)
    outside = _outside(seen, grammar)
    delimiter = grammar.delimiter
    if len(marks.delimiter) > 1:
        delimiter, free = free[0], free[1:]
        places = np.flatnonzero((seen == grammar.delimiter) & outside)
        first = np.arange(places.size) % len(marks.delimiter) == 0
        out[places[first]] = delimiter
        gone[places[~first]] = True
    if marks.any_end:
        out[(seen == LF) & outside] = LF
    stand_ins: dict[str, str] = {}
    if marks.escape is not None:
        stand_ins = _unescape((codes, out, gone), marks, (delimiter, grammar.eol), free)
    plain = Grammar(delimiter=delimiter, quote=grammar.quote, eol=grammar.eol)
    return Canonical(out[~gone].tobytes(), plain, stand_ins)


def _free_codes(codes: Codes, grammar: Grammar) -> list[int] | None:
    """Five ASCII codes that the text does not hold."""
    present = np.bincount(codes, minlength=256) > 0
    taken = (grammar.delimiter, grammar.quote, grammar.eol)
    free = [code for code in _FIRST_FREE if not present[code] and code not in taken]
    return free[:5] if len(free) >= 5 else None


def _outside(seen: Codes, grammar: Grammar) -> Flags:
    """Which codes stand outside quoted fields."""
    if grammar.quote is None:
        return np.ones(seen.size, bool)
    runs = find_runs(seen, grammar)
    edges = np.append([False], states_after(runs.opens, runs.stays, False))
    lengths = np.diff(np.concatenate(([0], runs.start, [seen.size])))
    outside: Flags = ~np.repeat(edges, lengths)
    return outside


def _unescape(
    parts: tuple[Codes, Codes, Flags], marks: Marks, structure: tuple[int, int], free: list[int]
) -> dict[str, str]:
    """Take escapes out, where they make a character of structure, or an escape, part of the text; others are text."""
    codes, out, gone = parts
    leaders = _leaders(codes, int(marks.escape or 0))
    leaders = leaders[leaders + 1 < codes.size]
    behind = codes[leaders + 1]
    known = np.isin(behind, [*marks.delimiter, marks.quote or LF, int(marks.escape or 0), CR, LF])
    gone[leaders[known]] = True
    followers = _followers(codes, leaders[known])
    stand_ins: dict[str, str] = {}
    literals = dict.fromkeys([structure[0], marks.quote if marks.quote is not None else LF, CR, LF])
    for code, stand in zip(literals, free, strict=False):
        hit = followers[codes[followers] == code]
        if hit.size:
            out[hit] = stand
            stand_ins[chr(stand)] = chr(code)
    return stand_ins
