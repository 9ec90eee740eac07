"""Parts of CSV files: byte ranges, cut at `max_rows`, or drawn for a sample without reading all of a large file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from raypipe.etl.formats.csv_dialect import open_codes, sample_codes
from raypipe.etl.formats.csv_file import CsvFile
from raypipe.etl.formats.csv_guess import GUESS_BYTES, guess_cuts
from raypipe.etl.formats.csv_parts import CodeFile, cut_file, resync
from raypipe.etl.formats.csv_quotes import QUOTE_SPAN, Positions, Rows, scan_rows
from raypipe.etl.formats.csv_view import data_rows, rows_of
from raypipe.etl.formats.slices import Slice, take_rows

EXACT_SAMPLE_BYTES = 64 << 20
"""Sources up to this size are counted for an exact sample, in bytes."""
PIECE = 256 << 10
"""Bytes of a piece of a larger source that a sample is drawn from."""
AHEAD_BYTES = 32 << 20
"""Bytes fetched at a time of an object that is cut exactly."""
_LEAST_PIECES = 64
_OVERSAMPLING = 2.0
_MEMORY_PER_BYTE = 1.2


@dataclass(frozen=True)
class Sampling:
    """How many rows to draw, and the seed of the draw."""

    rows: int
    seed: int


@dataclass(frozen=True)
class CsvPlan:
    """Slices in source order, and how they came about."""

    slices: tuple[Slice, ...]
    notes: tuple[str, ...] = ()


def plan_csv(
    files: Sequence[CsvFile], target: int, max_rows: int | None, sampling: Sampling | None, guess: bool = True
) -> CsvPlan:
    """Slices of about `target` bytes in memory, cut at `max_rows`, or those that hold a sample.

    With `guess`, cuts of large objects in buckets are guessed, to be checked when their parts are read.
    """
    if sampling and max_rows is None and sum(file.data_end - file.data_start for file in files) > EXACT_SAMPLE_BYTES:
        drawn = _draw_pieces(files, sampling)
        if drawn is not None:
            return drawn
    slices = tuple(piece for index, file in enumerate(files) for piece in _cut(file, index, target, guess))
    if max_rows is not None:
        slices = tuple(_first_rows(files, slices, max_rows))
    if sampling is None:
        return CsvPlan(slices)
    rows = [piece.rows if piece.rows is not None else count_rows(files[piece.file], piece) for piece in slices]
    note = f"simple random sample of {min(sampling.rows, sum(rows)):,} of {sum(rows):,} rows, exact (rows were counted)"
    return CsvPlan(tuple(take_rows(slices, rows, sampling.rows, sampling.seed)), (note,))


def _cut(file: CsvFile, index: int, target: int, guess: bool) -> Iterator[Slice]:
    cuts = _cuts(file, max(1, int(target / _MEMORY_PER_BYTE)), guess)
    if cuts and file.dialect.code_bytes:
        cuts[-1] = (cuts[-1][0], file.data_end, *cuts[-1][2:])
    for number, (start, end, clean, sought) in enumerate(cuts):
        yield Slice(
            file=index,
            start=start,
            end=end,
            bytes=int((end - start) * _MEMORY_PER_BYTE),
            clean=clean,
            first_line=0 if number else file.header_lines,
            sought=sought,
        )


def _cuts(file: CsvFile, wanted: int, guess: bool) -> list[tuple[int, int, bool, int | None]]:
    """Start, end, whether it is clean, and where its end was looked for, of ranges of about `wanted` bytes."""
    if not file.dialect.code_bytes:
        end = file.data_end
        return [(file.data_start, end, False, None)] if end > file.data_start else []
    codes_wanted = max(1, wanted // file.dialect.code_bytes)
    if guess and file.remote is not None and file.size > GUESS_BYTES:
        guessed = guess_cuts(file, codes_wanted)
        if guessed is not None:
            return [(cut.start, cut.end, False, cut.sought) for cut in guessed]
    with open_codes(file.place, file.dialect, (file.data_start, file.data_end), AHEAD_BYTES) as codes:
        found = cut_file(codes, file.dialect.grammar, codes_wanted)
    return [(cut.start, cut.end, cut.clean, None) for cut in found]


def scan_slice(file: CsvFile, start: int, end: int) -> tuple[Rows, Positions]:
    """The rows in a range of bytes, and which of them are data; positions are in code units."""
    raw = file.raw(start, end)
    codes = sample_codes(raw, file.dialect) if file.dialect.code_bytes else np.frombuffer(raw, np.uint8)
    rows = rows_of(codes, file.dialect.grammar, file.dialect.marks)
    return rows, np.flatnonzero(data_rows(codes, rows, file.dialect.comment_codes))


def count_rows(file: CsvFile, piece: Slice) -> int:
    """Rows of a slice that are neither blank nor comments."""
    return int(scan_slice(file, piece.start, piece.end)[1].size)


def _first_rows(files: Sequence[CsvFile], slices: Sequence[Slice], max_rows: int) -> Iterator[Slice]:
    """Slices up to that row."""
    left = max_rows
    for piece in slices:
        file = files[piece.file]
        rows, data = scan_slice(file, piece.start, piece.end)
        if data.size < left:
            left -= data.size
            yield piece.replace(rows=int(data.size))
            continue
        end = piece.start + int(rows.nexts[data[left - 1]]) * max(1, file.dialect.code_bytes)
        yield piece.replace(end=end, rows=left, bytes=int((end - piece.start) * _MEMORY_PER_BYTE), sought=None)
        return


def _draw_pieces(files: Sequence[CsvFile], sampling: Sampling) -> CsvPlan | None:
    """Rows from pieces spread over the source at random; None where that would read most of it anyway."""
    if any(file.dialect.code_bytes == 0 for file in files):
        return None
    cells = np.array([-(-(file.data_end - file.data_start) // PIECE) for file in files])
    total = int(cells.sum())
    order = np.random.default_rng((sampling.seed, total)).permutation(total)
    wanted, slices, counts = _LEAST_PIECES, list[Slice](), list[int]()
    while sum(counts) < sampling.rows * _OVERSAMPLING:
        if wanted * 2 > total:
            return None
        for cell in order[len(slices) : wanted].tolist():
            index = int(np.searchsorted(np.cumsum(cells), cell, side="right"))
            at = files[index].data_start + (cell - int(cells[:index].sum())) * PIECE
            piece, count = _piece(files[index], index, at)
            slices.append(piece)
            counts.append(count)
        mean = max(1.0, sum(counts) / len(counts))
        wanted = max(wanted + 1, int(sampling.rows * _OVERSAMPLING * 1.1 / mean)) if sum(counts) else wanted * 2
    by_place = sorted(range(len(slices)), key=lambda at: (slices[at].file, slices[at].start))
    slices, counts = [slices[at] for at in by_place], [counts[at] for at in by_place]
    note = (
        f"random sample of {sampling.rows:,} rows out of {sum(counts):,} in {len(slices)} pieces of {PIECE >> 10} KiB,"
        f" drawn at random from {total:,}; the rest of the source was not read"
    )
    return CsvPlan(tuple(take_rows(slices, counts, sampling.rows, sampling.seed)), (note,))


def _piece(file: CsvFile, index: int, at: int) -> tuple[Slice, int]:
    """The rows that start in one cell of the file."""
    with open_codes(file.place, file.dialect, (at, file.data_end)) as codes:
        start, end, rows = _rows_from(codes, file, at == file.data_start)
        piece = Slice(file=index, start=codes.byte(start), end=codes.byte(end), rows=rows, bytes=end - start)
    return piece, rows


def _rows_from(codes: CodeFile, file: CsvFile, at_row: bool) -> tuple[int, int, int]:
    """Start, end and number of the rows that start within `PIECE` bytes."""
    cell = PIECE // codes.width
    size = 2 * cell
    while True:
        text = codes.read(0, size)
        start = 0 if at_row else resync(text, file.dialect.grammar, len(file.names))
        complete = text.size >= codes.size
        if start is not None:
            rows = scan_rows(text[start:], file.dialect.grammar)
            inside = rows.starts + start < cell
            ended = rows.nexts[inside]
            if complete or not ended.size or ended[-1] + start < text.size:
                end = int(ended[-1]) + start if ended.size else start
                is_data = data_rows(text[start:], rows, file.dialect.comment_codes)
                return start, end, int((inside & is_data).sum())
        if complete or size > QUOTE_SPAN:
            return 0, 0, 0
        size *= 4
