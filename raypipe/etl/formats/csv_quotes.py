"""The quote grammar of CSV as a machine with two states, run over runs of quote characters with array operations.

A field is quoted if and only if its first character is a quote. Inside, a pair of quotes stands for one; a quote
closes the field if a delimiter, an end of line or the end of the text follows; any other quote is a literal one.
Outside, a quote anywhere but at the start of a field is a literal one. An opening quote without a closing one within
`QUOTE_SPAN` codes opens nothing: its line cannot be placed, and the text goes on with the next line.

Each run of n quotes maps the state before it to the state after it, and such maps compose; so the state at every run
follows from one cumulative pass, and a chunk of a file can be summarised before the state at its start is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.config import Frozen

Codes = NDArray[Any]
"""Code units of the text: uint8, or uint16 for UTF-16."""
Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]

QUOTE_SPAN = 64 << 20
"""Longest quoted field, in code units; an opening quote that needs more is taken as never closed."""
FAR = np.iinfo(np.int64).max
CR = 13


class Grammar(Frozen):
    """The characters that structure the text, as code units."""

    delimiter: int
    quote: int | None
    eol: int
    repeat: int = 1
    """Codes of one delimiter, each of them `delimiter`, as a view of the text has it."""

    @classmethod
    def of(cls, delimiter: str, quote: str | None, eol: str) -> Grammar:
        """The grammar of single characters."""
        return cls(delimiter=ord(delimiter), quote=ord(quote) if quote else None, eol=ord(eol))


@dataclass(frozen=True)
class Runs:
    """Runs of adjacent quotes, in order."""

    start: Positions
    length: Positions
    before: Flags
    """A delimiter, an end of line or the start of the text stands before the run."""
    after: Flags
    """A delimiter, an end of line or the end of the text stands behind the run."""

    @property
    def opens(self) -> Flags:
        """State after the run (True: inside a quoted field) if the state before it is outside."""
        flags: Flags = self.before & ~((self.length % 2 == 0) & self.after)
        return flags

    @property
    def stays(self) -> Flags:
        """State after the run if the state before it is inside."""
        flags: Flags = ~((self.length % 2 == 1) & self.after)
        return flags


@dataclass(frozen=True)
class Rows:
    """Where the rows of a text lie; blank lines are rows too."""

    starts: Positions
    ends: Positions
    """Behind the last character of the row, its end of line excluded."""
    nexts: Positions
    """Where the next row starts."""
    lines: Positions
    """Number of the text line that the row starts on, from 0."""
    fields: Positions
    unclosed: Flags
    """The row has a quote that opens a field and is never closed."""
    line_count: int


def find_runs(codes: Codes, grammar: Grammar, lo: int = 0, hi: int | None = None) -> Runs:
    """The runs of quotes that start in `codes[lo:hi]`; codes around the range are looked at, not searched."""
    hi = codes.size if hi is None else hi
    quotes = np.flatnonzero(codes[lo:hi] == grammar.quote) + lo
    if quotes.size and lo > 0 and quotes[0] == lo and codes[lo - 1] == grammar.quote:
        inner = np.flatnonzero(np.diff(quotes) != 1)
        quotes = quotes[inner[0] + 1 :] if inner.size else quotes[:0]
    if not quotes.size:
        none = np.zeros(0, np.int64)
        return Runs(none, none, none.astype(bool), none.astype(bool))
    first = np.flatnonzero(np.concatenate(([True], np.diff(quotes) != 1)))
    start = quotes[first]
    length = np.diff(np.append(first, quotes.size))
    if quotes[-1] == hi - 1:
        rest = np.flatnonzero(codes[hi:] != grammar.quote)
        length[-1] += rest[0] if rest.size else codes.size - hi
    return Runs(start, length, _structural(codes, start - 1, grammar), _ends_field(codes, start + length, grammar))


def _structural(codes: Codes, at: Positions, grammar: Grammar) -> Flags:
    """Whether a delimiter, an end of line or an edge of the text stands at each position."""
    outside = (at < 0) | (at >= codes.size)
    code = codes[np.where(outside, 0, at)]
    structural: Flags = outside | (code == grammar.delimiter) | (code == grammar.eol)
    return structural


def _ends_field(codes: Codes, at: Positions, grammar: Grammar) -> Flags:
    """Whether a field may end before each position; a carriage return counts where a line end follows it."""
    ends = _structural(codes, at, grammar)
    if grammar.eol != CR:
        carriage = ~ends
        carriage[carriage] = codes[at[carriage]] == CR
        ends[carriage] = _structural(
            codes, at[carriage] + 1, Grammar(delimiter=grammar.eol, quote=None, eol=grammar.eol)
        )
    return ends


def states_after(opens: Flags, stays: Flags, inside: bool) -> Flags:
    """State after each run, given the state before the first one."""
    order = np.arange(opens.size)
    fixed = np.maximum.accumulate(np.where(opens == stays, order, -1)) if opens.size else order
    swaps = np.cumsum(opens & ~stays)
    known = fixed >= 0
    base = np.where(known, stays[fixed], inside) if opens.size else opens
    since = swaps - np.where(known, swaps[fixed], 0) if opens.size else swaps
    states: Flags = base ^ (since % 2 == 1)
    return states


def states_before(after: Flags, inside: bool) -> Flags:
    """State before each run, from the states after them."""
    return np.concatenate(([inside], after[:-1])) if after.size else after


def next_closer(start: Positions, stays: Flags) -> Positions:
    """Position of the first run behind each run that can close a field; `FAR` where there is none."""
    closers = np.where(stays, FAR, start)
    following = np.minimum.accumulate(closers[::-1])[::-1]
    return np.append(following[1:], FAR) if start.size else start


def is_clean(runs: Runs, inside: Flags) -> bool:
    """Whether every quote is where the plain grammar wants it, so that no reader can see it otherwise."""
    odd = runs.length % 2 == 1
    stray = ~inside & (~runs.before | (~odd & ~runs.after))
    return not bool((stray | (inside & odd & ~runs.after)).any())


def scan_rows(codes: Codes, grammar: Grammar, inside: bool = False, span: int = QUOTE_SPAN) -> Rows:
    """Find the rows of a text exactly.

    Parameters
    ----------
    codes : array of uint8 or uint16
        The text; it starts at the start of a row, unless `inside` says that it starts inside a quoted field.
    grammar : Grammar
        Characters of structure.
    inside : bool
        State at the start. If True, the first row is what is left of the row that the text starts in.
    span : int
        Longest quoted field, in codes.

    Returns
    -------
    Rows
        Every row, blank ones included; the last need not end with an end of line.
    """
    eols = np.flatnonzero(codes == grammar.eol)
    delimiters = np.flatnonzero(codes == grammar.delimiter)
    lost = np.zeros(0, np.int64)
    row_ends = eols
    kept = np.arange(eols.size)
    if grammar.quote is not None:
        runs = find_runs(codes, grammar)
        opens, stays = runs.opens, runs.stays
        hopeless = opens & (next_closer(runs.start, stays) - runs.start > span)
        after = states_after(opens & ~hopeless, stays, inside)
        lost = runs.start[hopeless & ~states_before(after, inside)]
        edges = np.append([inside], after)
        kept = np.flatnonzero(~edges[np.searchsorted(runs.start, eols)])
        row_ends = eols[kept]
        delimiters = delimiters[~edges[np.searchsorted(runs.start, delimiters)]]
    return _rows(codes, grammar, (row_ends, kept, delimiters, lost), eols.size)


def _rows(codes: Codes, grammar: Grammar, found: tuple[Positions, ...], eol_count: int) -> Rows:
    row_ends, kept, delimiters, lost = found
    starts = np.concatenate(([0], row_ends + 1))
    ends = np.append(row_ends, codes.size)
    lines = np.concatenate(([0], kept + 1))
    nexts = np.append(row_ends + 1, codes.size)
    open_end = bool(codes.size) and codes[-1] != grammar.eol
    if starts[-1] == codes.size:
        starts, ends, nexts, lines = starts[:-1], ends[:-1], nexts[:-1], lines[:-1]
    if grammar.eol != CR:
        ends = ends - ((ends > starts) & (codes[np.maximum(ends - 1, 0)] == CR) if codes.size else 0)
    fields = np.diff(np.searchsorted(delimiters, np.append(starts, codes.size))) // grammar.repeat + 1
    unclosed = np.zeros(starts.size, bool)
    unclosed[np.searchsorted(starts, lost, side="right") - 1] = True
    return Rows(starts, ends, nexts, lines, fields, unclosed, eol_count + int(open_end))


def gather(codes: Codes, rows: Rows, which: Positions) -> bytes:
    """The text of some rows."""
    if which.size == rows.starts.size:
        return codes.tobytes()
    edges = np.zeros(codes.size + 1, np.int8)
    edges[rows.starts[which]] += 1
    edges[rows.nexts[which]] -= 1
    kept: Codes = codes[np.cumsum(edges[:-1], dtype=np.int8).astype(bool)]
    return kept.tobytes()


def mend(text: bytes, grammar: Grammar) -> bytes:
    """The same rows with every quote where the plain grammar wants it: stray quotes are doubled, their fields quoted.

    `text` holds whole rows without unclosed quotes. A clean text comes back unchanged.
    """
    codes = np.frombuffer(text, np.uint8)
    if grammar.quote is None or not codes.size:
        return text
    runs = find_runs(codes, grammar)
    after = states_after(runs.opens, runs.stays, False)
    inside = states_before(after, False)
    odd = runs.length % 2 == 1
    stray = ~inside & ~runs.before
    single = (inside & odd & ~runs.after) | (~inside & runs.before & ~odd & ~runs.after)
    if not (stray | single).any():
        return text
    edges = np.append([False], after)
    marks = np.flatnonzero((codes == grammar.delimiter) | (codes == grammar.eol))
    marks = marks[~edges[np.searchsorted(runs.start, marks)]]
    field = np.unique(np.searchsorted(marks, runs.start[stray]))
    opening = np.where(field > 0, marks[field - 1] + 1, 0) if marks.size else np.zeros(field.size, np.int64)
    closing = np.append(marks, codes.size)[field]
    if grammar.eol != CR:
        closing = closing - ((codes[closing - 1] == CR) & (np.append(codes, grammar.eol)[closing] != grammar.delimiter))
    doubled = np.repeat(runs.start[stray], runs.length[stray])
    places = np.concatenate((opening, closing, doubled, runs.start[single]))
    return bytes(np.insert(codes, places, grammar.quote).data)
