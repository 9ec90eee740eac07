"""Cuts of a large CSV object, found from a little text at each, and checked by whoever reads the part.

Whether a place is inside quotes depends on every quote before it, and to read an object twice is what must not be. So
the state at a cut is guessed from the text behind it. A part that starts at a row start and ends, by its own quotes,
at the first row start at or behind the place that its cut was looked for from, proves that the next part starts
rightly too; so if all parts say so, all cuts are those that reading the whole object would have found. If one does
not, the source is cut again exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from raypipe.etl.formats.csv_dialect import open_codes, sample_codes, seen
from raypipe.etl.formats.csv_file import CsvFile
from raypipe.etl.formats.csv_parts import CHUNK, CodeFile, resync
from raypipe.etl.formats.csv_quotes import (
    QUOTE_SPAN,
    Codes,
    Grammar,
    find_runs,
    is_clean,
    states_after,
    states_before,
)
from raypipe.etl.formats.slices import Slice
from raypipe.storage.ranges import LOOKS_AT_A_TIME

GUESS_BYTES = 8 << 20
"""Smaller objects are fetched whole to be cut."""
WINDOW = 64 << 10
"""Codes that are looked at behind a place to cut; more where no row starts in them."""
MOST = 16 << 20
"""Where no row starts in so many codes, nothing is guessed."""


@dataclass(frozen=True)
class Guess:
    """Bytes [start, end), and the byte from which a row start was looked for to end it."""

    start: int
    end: int
    sought: int


def guess_cuts(file: CsvFile, target: int) -> list[Guess] | None:
    """Ranges of about `target` codes, as `cut_file` finds them if the guesses are right; None where it cannot tell."""
    with open_codes(file.place, file.dialect, (file.data_start, file.data_end)) as codes:
        places = range(target, codes.size, target)
        with ThreadPoolExecutor(min(LOOKS_AT_A_TIME, max(1, len(places)))) as pool:
            try:
                known = dict(zip(places, pool.map(lambda at: _row_start(codes, file, at), places), strict=True))
                bounds = list(_bounds(codes, file, target, known))
            except _NoGuess:
                return None
        starts = [0, *(found for found, _ in bounds)]
        ends = [*starts[1:], codes.size]
        last = max(bounds[-1][1] + target, bounds[-1][0] + 1) if bounds else target
        sought = [*(wanted for _, wanted in bounds), min(codes.size, last)]
        return [
            Guess(codes.byte(lo), codes.byte(hi), codes.byte(wanted))
            for lo, hi, wanted in zip(starts, ends, sought, strict=True)
            if hi > lo
        ]


class _NoGuess(Exception):  # noqa: N818  # never leaves this module
    """No row starts in all the codes that were looked at."""


def _bounds(codes: CodeFile, file: CsvFile, target: int, known: dict[int, int | None]) -> Iterator[tuple[int, int]]:
    """Row starts, each with the place that it was looked for from."""
    wanted = target
    while wanted < codes.size:
        found = known[wanted] if wanted in known else _row_start(codes, file, wanted)
        if found is None or found >= codes.size:
            return
        yield found, wanted
        wanted = max(wanted + target, found + 1)


def _row_start(codes: CodeFile, file: CsvFile, wanted: int) -> int | None:
    """The first row start at or behind a place, if the guess is right; None where the last row is reached."""
    size = WINDOW
    while True:
        text = codes.read(wanted - 1, wanted - 1 + size)
        found = resync(text, file.dialect.grammar, len(file.names))
        if found is not None:
            return wanted - 1 + found
        if wanted - 1 + text.size >= codes.size:
            return None
        if size >= MOST:
            raise _NoGuess
        size *= 4


def check_guess(raw: bytes, file: CsvFile, piece: Slice) -> bool | None:
    """Whether every quote of a part is where the plain grammar wants it; None if its end is not where it should be."""
    codes = seen(sample_codes(raw, file.dialect), file.dialect)
    sought = (int(piece.sought or 0) - piece.start) // max(1, file.dialect.code_bytes)
    inside, clean, found = False, True, None
    grammar = file.dialect.grammar
    for lo in range(0, codes.size, CHUNK):
        hi = min(lo + CHUNK, codes.size)
        inside, tidy, end = _fold(codes, grammar, (lo, hi), (inside, sought))
        clean, found = clean and tidy, end if found is None else found
    if inside or (not clean and codes.size > QUOTE_SPAN):
        return None
    is_last = piece.end >= file.data_end
    ends_there = found == codes.size - 1 or (is_last and found is None)
    return clean if ends_there else None


def _fold(
    codes: Codes, grammar: Grammar, span: tuple[int, int], known: tuple[bool, int]
) -> tuple[bool, bool, int | None]:
    """State behind a chunk, whether its quotes are where they should be, and the first row end at or behind `sought`.

    The state before the chunk and `sought`, the place that a row start is looked for from, are in `known`.
    """
    (lo, hi), (inside, sought) = span, known
    ends = np.zeros(0, np.int64)
    if hi >= sought:
        ends = np.flatnonzero(codes[lo:hi] == grammar.eol) + lo
        ends = ends[ends >= sought - 1]
    if grammar.quote is None or not bool((codes[lo:hi] == grammar.quote).any()):
        return inside, True, int(ends[0]) if ends.size and not inside else None
    runs = find_runs(codes, grammar, lo, hi)
    after = states_after(runs.opens, runs.stays, inside)
    clean = is_clean(runs, states_before(after, inside))
    if ends.size:
        ends = ends[~np.append([inside], after)[np.searchsorted(runs.start, ends)]]
    return bool(after[-1]) if after.size else inside, clean, int(ends[0]) if ends.size else None
