"""Cut a CSV file into byte ranges that start and end between rows, without parsing it.

The file is read once in chunks. Each chunk is summarised for both states at its start (inside a quoted field or not),
so chunks can be scanned by several threads; folding the summaries in order then gives the true state at every chunk.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from raypipe.etl.formats.csv_quotes import (
    CR,
    FAR,
    QUOTE_SPAN,
    Codes,
    Flags,
    Grammar,
    Runs,
    find_runs,
    is_clean,
    scan_rows,
    states_after,
    states_before,
)
from raypipe.etl.formats.csv_view import LOOK_AHEAD, LOOK_BACK, Marks, settled_before, view
from raypipe.storage.source import Place, open_bytes

CHUNK = 1 << 20
"""Codes summarised at a time: so few that arrays in between stay near, so many that the calls for each weigh little."""
CHUNKS_A_TASK = 16
AHEAD = 4
"""Codes looked at behind a chunk."""
BYTE = 256


@dataclass(frozen=True)
class Cut:
    """Bytes [start, end) of a file: whole rows."""

    start: int
    end: int
    clean: bool
    """Every quote in it is where the plain grammar wants it."""


@dataclass(frozen=True)
class Scan:
    """The quotes of a whole file: state at the start of each chunk and at the end, and which chunks are clean."""

    states: Flags
    clean: Flags
    zones: Sequence[tuple[int, int]]
    """Ranges in which an opening quote opens nothing."""
    chunk: int


@dataclass(frozen=True)
class ChunkSummary:
    """What a chunk does to the state, for each state at its start."""

    after: tuple[bool, bool] = (False, True)
    clean: tuple[bool, bool] = (True, True)
    opens: bool = False
    first_closer: int = FAR
    last_closer: int = -1
    exact: bool = True
    """False: only what is said of a start at which the chunk is clean holds, and that it can close a field."""


class CodeFile:
    """A file as an array of code units, read in windows; positions count codes from the start of the data."""

    def __init__(self, path: Place, start: int, width: int = 1, big_endian: bool = False, ahead: int = 0) -> None:
        self._source = open_bytes(path, ahead)
        self._dtype = code_type(width, big_endian)
        self._start = start
        self._marks: Marks | None = None
        self.width = width
        self.size = max(0, self._source.size - start) // width

    def seen(self, marks: Marks | None, end: int) -> CodeFile:
        """The same up to byte `end`, as a view shows it."""
        self._marks = marks
        self.size = min(self.size, max(0, end - self._start) // self.width)
        return self

    def __enter__(self) -> CodeFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self._source.close()

    def read(self, lo: int, hi: int) -> Codes:
        """Codes [lo, hi), as far as the file goes, as the scanner is to see them."""
        if self._marks is None:
            return self._codes(lo, hi)
        back, ahead = LOOK_BACK, LOOK_AHEAD + len(self._marks.delimiter)
        while True:
            origin = max(0, lo - back)
            codes = self._codes(origin, hi + ahead)
            begin = settled_before(codes, lo - origin, self._marks) if origin else 0
            if begin is not None:
                at = lo - origin - begin
                return view(codes[begin:], self._marks)[at : at + max(0, hi - lo)]
            back *= 4

    def _codes(self, lo: int, hi: int) -> Codes:
        at, length = self._start + lo * self.width, (min(hi, self.size) - lo) * self.width
        data = self._source.read_at(at, length) if length > 0 else b""
        return np.frombuffer(data, self._dtype, len(data) // self.width)

    def byte(self, position: int) -> int:
        """Offset in the file of a position in codes."""
        return self._start + position * self.width


def code_type(width: int, big_endian: bool) -> np.dtype[Any]:
    """The type of code units of so many bytes."""
    return np.dtype(np.uint8) if width == 1 else np.dtype(f"{'>' if big_endian else '<'}u{width}")


@dataclass(frozen=True)
class Window:
    """Codes of a chunk with a little of what stands around them."""

    codes: Codes
    origin: int
    lo: int
    hi: int

    def runs(self, grammar: Grammar) -> Runs:
        """Runs of quotes that start in the chunk."""
        return find_runs(self.codes, grammar, self.lo, self.hi)


def cut_file(file: CodeFile, grammar: Grammar, target: int, span: int = QUOTE_SPAN, chunk: int = CHUNK) -> list[Cut]:
    """Ranges of about `target` codes, in order, that cover the file; each starts where a row starts.

    Parameters
    ----------
    file : CodeFile
        The file, from its first data row on.
    grammar : Grammar
        Characters of structure.
    target : int
        Wanted codes a range; one row is never split, so that a range can be longer.
    span : int
        Longest quoted field, in codes.
    chunk : int
        Codes looked at in one go.

    Returns
    -------
    list of Cut
        In bytes of the file. Empty for an empty file.
    """
    if not file.size:
        return []
    scan = _scan(file, grammar, span, max(1, min(chunk, target, span)))
    bounds = [0, *_bounds(file, grammar, scan, target), file.size]
    return [
        Cut(file.byte(lo), file.byte(hi), bool(scan.clean[lo // scan.chunk : -(-hi // scan.chunk)].all()))
        for lo, hi in itertools.pairwise(bounds)
        if hi > lo
    ]


def _scan(file: CodeFile, grammar: Grammar, span: int, chunk: int) -> Scan:
    """Summarise every chunk, then fold the summaries in order."""
    starts = range(0, file.size, chunk)
    if grammar.quote is None:
        return Scan(np.zeros(len(starts) + 1, bool), np.ones(len(starts), bool), [], chunk)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        groups = [starts[at : at + CHUNKS_A_TASK] for at in range(0, len(starts), CHUNKS_A_TASK)]
        glances = pool.map(lambda group: [_glance(file, grammar, lo, chunk) for lo in group], groups)
        summaries = list(itertools.chain.from_iterable(glances))
    zones = _hopeless_zones(file, grammar, summaries, (chunk, span))
    states, clean, inside = [False], [], False
    for index, lo in enumerate(starts):
        hit = [zone for zone in zones if zone[0] < lo + chunk and zone[1] > lo] if summaries[index].opens else []
        if hit or not (summaries[index].exact or summaries[index].clean[inside]):
            summaries[index] = _summarise(file, grammar, lo, chunk, hit)
        clean.append(summaries[index].clean[inside])
        inside = summaries[index].after[inside]
        states.append(inside)
    return Scan(np.array(states), np.array(clean), zones, chunk)


def _window(file: CodeFile, grammar: Grammar, lo: int, chunk: int) -> Window:
    origin, ahead = max(0, lo - 1), AHEAD
    hi = min(lo + chunk, file.size)
    while True:
        codes = file.read(origin, hi + ahead)
        tail = codes[hi - origin :]
        if origin + codes.size >= file.size or not tail.size or bool((tail[:-2] != grammar.quote).any()):
            return Window(codes, origin, lo - origin, min(hi - origin, codes.size))
        ahead *= 4


def _glance(file: CodeFile, grammar: Grammar, lo: int, chunk: int) -> ChunkSummary:
    """Summary from the parity of quotes, where the chunk is clean for one state at its start; else the exact one."""
    window = _window(file, grammar, lo, chunk)
    if _surely_without(window.codes, grammar.quote):
        return ChunkSummary()
    quotes = np.flatnonzero(window.codes[window.lo : window.hi] == grammar.quote)
    if not quotes.size:
        return ChunkSummary()
    at_edge = not window.lo or window.hi + 2 > window.codes.size
    if at_edge or window.codes[window.lo + quotes[0] - 1] == grammar.quote:
        return _summarise(file, grammar, lo, chunk)
    before, after = window.codes[window.lo - 1 :][quotes], window.codes[window.lo + 1 :][quotes]
    carriage = np.flatnonzero(after == CR)
    if carriage.size:
        after = np.where((after == CR) & (window.codes[window.lo + 2 :][quotes] == grammar.eol), grammar.eol, after)
    behind = (after == grammar.delimiter) | (after == grammar.eol)
    good_before = (before == grammar.delimiter) | (before == grammar.eol) | (before == grammar.quote)
    good_after = behind | (after == grammar.quote)
    odd = bool(quotes.size % 2)
    clean = tuple(bool(good_before[i::2].all() and good_after[1 - i :: 2].all()) for i in (0, 1))
    closes = bool((behind & (before != grammar.quote)).any())
    if not closes or not any(clean) or after[-1] == grammar.quote:
        return _summarise(file, grammar, lo, chunk)
    return ChunkSummary(after=(odd, not odd), clean=(clean[0], clean[1]), opens=True, exact=False)


def _surely_without(codes: Codes, code: int | None) -> bool:
    """Whether a code does not stand there, told by one search of the bytes that were read; False where it may."""
    held = codes.base
    return isinstance(held, bytes) and code is not None and code < BYTE and code not in held


def _summarise(
    file: CodeFile, grammar: Grammar, lo: int, chunk: int, zones: Sequence[tuple[int, int]] = ()
) -> ChunkSummary:
    window = _window(file, grammar, lo, chunk)
    runs = window.runs(grammar)
    if not runs.start.size:
        return ChunkSummary()
    opens, stays = _open_flags(runs, window.origin, zones), runs.stays
    hopeless = runs.opens & ~opens
    after = [states_after(opens, stays, inside) for inside in (False, True)]
    before = [states_before(states, inside) for states, inside in zip(after, (False, True), strict=True)]
    clean = [is_clean(runs, states) and not bool((hopeless & ~states).any()) for states in before]
    closers = runs.start[~stays]
    return ChunkSummary(
        after=(bool(after[0][-1]), bool(after[1][-1])),
        clean=(clean[0], clean[1]),
        opens=bool(opens.any()),
        first_closer=int(closers[0]) + window.origin if closers.size else FAR,
        last_closer=int(closers[-1]) + window.origin if closers.size else -1,
    )


def _open_flags(runs: Runs, origin: int, zones: Sequence[tuple[int, int]]) -> Flags:
    opens = runs.opens
    for lo, hi in zones:
        opens = opens & ~((runs.start + origin >= lo) & (runs.start + origin < hi))
    return opens


def _hopeless_zones(
    file: CodeFile, grammar: Grammar, summaries: list[ChunkSummary], sizes: tuple[int, int]
) -> list[tuple[int, int]]:
    """Ranges in which an opening quote finds no closing one within the span."""
    chunk, span = sizes
    closing = [index for index, summary in enumerate(summaries) if not summary.exact or summary.first_closer != FAR]
    zones, last = [], 0

    def exact(index: int) -> ChunkSummary:
        if not summaries[index].exact:
            summaries[index] = _summarise(file, grammar, index * chunk, chunk)
        return summaries[index]

    for left, right in zip([None, *closing], [*closing, None], strict=False):
        gap = (len(summaries) if right is None else right + 1) - (0 if left is None else left)
        if right is not None and gap * chunk <= span:
            continue
        last = 0 if left is None else exact(left).last_closer
        end = file.size if right is None else exact(right).first_closer - span
        if end > last:
            zones.append((last, end))
    return zones


def _bounds(file: CodeFile, grammar: Grammar, scan: Scan, target: int) -> Iterator[int]:
    """Row starts at or behind each multiple of the target."""
    wanted = target
    while wanted < file.size:
        found = _row_start(file, grammar, scan, wanted)
        if found is None or found >= file.size:
            return
        yield found
        wanted = max(wanted + target, found + 1)


def _row_start(file: CodeFile, grammar: Grammar, scan: Scan, wanted: int) -> int | None:
    """The first row start at or behind `wanted`, or None where the last row is reached."""
    for index in range((wanted - 1) // scan.chunk, len(scan.clean)):
        window = _window(file, grammar, index * scan.chunk, scan.chunk)
        eols = np.flatnonzero(window.codes[window.lo : window.hi] == grammar.eol) + window.lo
        eols = eols[eols + window.origin >= wanted - 1]
        if grammar.quote is not None and eols.size:
            runs, inside = window.runs(grammar), bool(scan.states[index])
            after = states_after(_open_flags(runs, window.origin, scan.zones), runs.stays, inside)
            eols = eols[~np.append([inside], after)[np.searchsorted(runs.start, eols)]]
        if eols.size:
            return int(eols[0]) + window.origin + 1
    return None


def resync(codes: Codes, grammar: Grammar, width: int | None) -> int | None:
    """First row start in a piece that was cut out of a file anywhere; None if no row starts in it.

    Both states at the start of the piece are tried. The one wins that leaves no quote out of place, then the one under
    which more rows have `width` fields; outside a quoted field on a tie.
    """
    best: tuple[tuple[bool, int], int | None] = ((False, -1), None)
    runs = find_runs(codes, grammar) if grammar.quote is not None else None
    for inside in (False, True) if runs is not None else (False,):
        rows = scan_rows(codes, grammar, inside)
        clean = runs is None or is_clean(runs, states_before(states_after(runs.opens, runs.stays, inside), inside))
        score = (clean, int((rows.fields[1:-1] == width).sum()) if width else 0)
        if rows.starts.size > 1 and score > best[0]:
            best = (score, int(rows.starts[1]))
    return best[1]
