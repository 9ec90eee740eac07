"""A CSV file looked at: dialect, where its table stands, header, names of columns, and a sample of its rows as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.formats.csv_delimiter import find_dialect
from raypipe.etl.formats.csv_dialect import Dialect, sample_codes, seen, skip_lines
from raypipe.etl.formats.csv_encoding import GUESSED, Pieces
from raypipe.etl.formats.csv_file import CsvFile, Facts, Sample, whole_text
from raypipe.etl.formats.csv_header import MOST_HEADER_ROWS, count_header_rows, is_header, names_of
from raypipe.etl.formats.csv_layout import MARK, to_utf8
from raypipe.etl.formats.csv_parts import resync
from raypipe.etl.formats.csv_quotes import Codes
from raypipe.etl.formats.csv_sample import cells_of, most_rows, sample_rows
from raypipe.etl.formats.csv_tables import (
    Scanned,
    find_footers,
    find_tables,
    first_row,
    footer_note,
    largest,
    preamble_note,
    tables_note,
    width_behind_titles,
    width_of,
)
from raypipe.etl.formats.csv_totals import TOTAL, is_total
from raypipe.etl.formats.csv_view import data_rows, rows_of
from raypipe.storage.packed import PackedFile
from raypipe.storage.ranges import RemoteFile, look
from raypipe.storage.source import LocalBytes, Place, open_bytes

_SEP_LINE_BYTES = 64
_GLANCE = 200


@dataclass(frozen=True)
class Extent:
    """Where the table stands in the sample."""

    first: int
    """Row of the header, or of the first data."""
    width: int
    last: int | None = None
    """Row behind the table; None: not in the sample."""
    tables: int = 1
    table: int = 1
    notes: tuple[str, ...] = ()


def look_at(path: Place, options: ReadOptions) -> Sample:
    """Dialect, header, names and a sample of rows.

    Raises
    ------
    ReadError
        If there is no column: the file holds nothing but blank lines, or fewer lines than are to be skipped.
    ConfigError
        If `options` ask for what cannot be.
    """
    pieces, changed_ns, remote = _take_pieces(path)
    given, options = options, _honour_sep_line(pieces, options)
    dialect = find_dialect(pieces, options).replace(comment=options.comment)
    head = _head_codes(pieces, dialect)
    skip = options.skip_rows or 0
    at = skip_lines(head, dialect.eol, skip)
    body = head[at:]
    scanned = _scan(body, dialect, pieces.is_whole or not dialect.code_bytes)
    if not scanned.data.size:
        behind = f" behind the {skip} lines to skip" if skip else ""
        raise ReadError(f"{path}: has no row, only blank lines{behind}.")
    extent = _find_extent(scanned, body, dialect, given, skip)
    return _Look(path, pieces, given, dialect, (skip, at, body), scanned, extent).sample(changed_ns, remote)


@dataclass(frozen=True)
class _Look:
    """A sample whose table is known."""

    path: Place
    pieces: Pieces
    options: ReadOptions
    dialect: Dialect
    start: tuple[int, int, Codes]
    """Lines that were skipped, where they end, and the codes behind them."""
    scanned: Scanned
    extent: Extent

    def sample(self, changed_ns: int, remote: RemoteFile | None) -> Sample:
        """The file, and rows below its header."""
        (skip, at, body), rows, width = self.start, self.scanned.rows, self.extent.width
        first = self.extent.first
        end, footers, said = self._end(first + 1)
        texts = self._texts(end)
        header, count, notes = self._header(texts)
        names, changed = names_of(header, width)
        data = self.scanned.data
        behind = int(data[np.searchsorted(data, first) + count - 1]) + 1 if count else first
        begin = int(rows.starts[behind]) if behind < rows.starts.size else body.size
        line = int(rows.lines[behind]) if behind < rows.starts.size else rows.line_count
        unit, base = self._unit
        file = CsvFile(
            path=str(self.path),
            size=self.pieces.size,
            mtime_ns=changed_ns,
            dialect=self.dialect,
            names=tuple(names),
            data_start=(at + begin) * unit + base,
            data_end=max(end, (at + begin) * unit + base),
            header_lines=skip + line,
            found=self._facts(count, footers),
            notes=(*_guesses(self.options, self.dialect, count > 0), *self.extent.notes, *notes, *changed, *said),
            remote=remote,
            packed=self.path if isinstance(self.path, PackedFile) else None,
        )
        height = texts.height - self._above(count)
        return Sample(
            file=file,
            texts=texts.slice(self._above(count)),
            is_whole=self.scanned.is_whole and height < most_rows(width),
            bytes_per_row=float(rows.nexts[data[-1]]) * unit / data.size,
        )

    @property
    def _unit(self) -> tuple[int, int]:
        """Bytes of a code, and where the first one is in the file."""
        return max(1, self.dialect.code_bytes), self.dialect.start if self.dialect.code_bytes else 0

    def _above(self, count: int) -> int:
        """Rows of the sample that belong to the header."""
        data, fields = self.scanned.data, self.scanned.rows
        at = int(np.searchsorted(data, self.extent.first))
        rows = data[at : at + count]
        return int(((fields.fields[rows] == self.extent.width) & ~fields.unclosed[rows]).sum())

    def _texts(self, end: int) -> pl.DataFrame:
        """Rows of the head, the middle and the tail with the right number of fields, from the first row to the end."""
        (_, at, body), (unit, base) = self.start, self._unit
        rows, width = self.scanned.rows, self.extent.width
        lo, last = int(rows.starts[self.extent.first]), self.extent.last
        hi = int(rows.starts[last]) if last is not None and last < rows.starts.size else body.size
        hi = min(hi, (end - base) // unit - at)
        cut = not self.scanned.is_whole and last is None
        frames = [sample_rows(body[lo:hi], self.dialect, width, most_rows(width), cut)]
        for number, piece in enumerate(self.pieces.others if self.dialect.code_bytes and last is None else ()):
            is_tail = number == len(self.pieces.others) - 1
            codes = sample_codes(piece[: max(0, end - self.pieces.tail_start)] if is_tail else piece, self.dialect)
            start = resync(seen(codes, self.dialect), self.dialect.grammar, width)
            if start is not None:
                frames.append(sample_rows(codes[start:], self.dialect, width, most_rows(width), cut=True))
        return pl.concat(frames)

    def _header(self, texts: pl.DataFrame) -> tuple[list[list[str]], int, list[str]]:
        """Cells of the header rows, how many rows these are, and what to know of them."""
        data, rows = self.scanned.data, self.scanned.rows
        at = int(np.searchsorted(data, self.extent.first))
        firsts = data[at : at + max(MOST_HEADER_ROWS, self.options.header_rows or 0)].tolist()
        cells = [self.scanned.cells(row) for row in firsts]
        if any(MARK in cell for cell in cells[0]):
            raise ReadError(
                f"{self.path}: its first row is not valid {self.dialect.encoding}. Set the encoding, e.g. 'cp1252' or"
                " 'utf-16'."
            )
        below, used = [], 0
        for row in firsts:
            used += int(rows.fields[row] == self.extent.width and not rows.unclosed[row])
            below.append(texts.slice(used))
        count = min(count_header_rows(cells, below, self.options), len(cells))
        if self.options.header is False:
            count = 0
        torn = count and bool(rows.unclosed[firsts[0]])
        notes = ["the header has a quote that is never closed; its names are read as they stand"] if torn else []
        if count > 1:
            notes.append(f"its header has {count} rows, which are joined with '_'")
        return cells[:count], count, notes

    def _end(self, behind: int) -> tuple[int, int, list[str]]:
        """Byte behind the table, how many rows at its end are no data, and what to say of them."""
        unit, base = self._unit
        skip, at, body = self.start
        wanted, rows = self.options.footer_rows, self.scanned.rows
        if self.scanned.is_whole or self.extent.last is not None:
            whole = base + (at + body.size) * unit if not self.dialect.code_bytes else self.pieces.size
            last = self.extent.last
            if last is not None and last < rows.starts.size:
                return base + (at + int(rows.starts[last])) * unit, 0, []
            scanned, origin, line = self.scanned, at, skip + 1
        else:
            tail = self._tail()
            whole, line = self.pieces.size, None
            if tail is None:
                return whole, 0, []
            scanned, origin = tail
        below = scanned.filled & ((np.arange(scanned.filled.size) >= behind) if scanned is self.scanned else True)
        scanned = replace(scanned, filled=below)
        footers = find_footers(scanned, self.extent.width, wanted)
        if wanted is None and line is not None:
            footers = self._with_total(scanned, footers)
        if not footers:
            return whole, 0, []
        note = [] if wanted is not None else [footer_note(scanned, footers, line)]
        return base + (origin + int(scanned.rows.starts[footers[0]])) * unit, len(footers), note

    def _with_total(self, scanned: Scanned, footers: list[int]) -> list[int]:
        """The footers, and the row above them if the rows of the whole table add up to it."""
        data = scanned.data[scanned.data < footers[0]] if footers else scanned.data
        if data.size < MOST_HEADER_ROWS or scanned.rows.fields[data[-1]] != self.extent.width:
            return footers
        last, width = int(data[-1]), self.extent.width
        cells = scanned.cells(last)
        if not TOTAL.match(next((cell for cell in cells if cell.strip()), "")):
            return footers
        body = self.start[2][scanned.rows.starts[data[0]] : scanned.rows.starts[last]]
        above = sample_rows(body, self.dialect, width, most_rows(width))
        return [last, *footers] if is_total(cells, above) else footers

    def _tail(self) -> tuple[Scanned, int] | None:
        """The rows of the last piece, and its place in codes; None if its rows cannot be told."""
        codes = sample_codes(self.pieces.others[-1], self.dialect)
        start = resync(seen(codes, self.dialect), self.dialect.grammar, self.extent.width)
        if start is None:
            return None
        scanned = _scan(codes[start:], self.dialect, is_whole=True)
        fitting = scanned.rows.fields[scanned.data] == self.extent.width
        if int(fitting.sum()) < (self.options.footer_rows or 0) + MOST_HEADER_ROWS:
            if self.options.footer_rows:
                raise ConfigError(
                    f"{self.path}: footer_rows: {self.options.footer_rows} rows are more than its end holds."
                )
            return None
        first = (self.pieces.tail_start - self.dialect.start) // self.dialect.code_bytes
        return scanned, first + start

    def _facts(self, header_rows: int, footers: int) -> Facts:
        rows = self.scanned.rows
        data = self.scanned.data
        fields = rows.fields[data[data >= self.extent.first]]
        return Facts(
            encoding_confidence=_confidence(self.options, self.dialect, self.pieces),
            delimiter_share=round(float((fields == self.extent.width).mean()), 4) if fields.size else 1.0,
            skipped_lines=self.start[0] + int(rows.lines[self.extent.first]),
            header_rows=header_rows,
            footer_rows=footers,
            tables=self.extent.tables,
            table=self.extent.table,
        )


def _scan(codes: Codes, dialect: Dialect, is_whole: bool) -> Scanned:
    rows = rows_of(codes, dialect.grammar, dialect.marks)
    filled = data_rows(codes, rows, dialect.comment_codes)
    if not is_whole and filled.sum() > 1 and rows.nexts[-1] == rows.ends[-1]:
        filled[-1] = False  # cut off by the end of the sample

    def cells(row: int) -> list[str]:
        written, line = dialect, codes[rows.starts[row] : rows.ends[row]]
        fields = int(rows.fields[row])
        if rows.unclosed[row]:
            written = dialect.replace(quote=None)
            plain = rows_of(line, written.grammar, written.marks)  # without quotes it may be several rows
            line, fields = line[plain.starts[0] : plain.ends[0]], int(plain.fields[0])
        return cells_of(line, written, fields)

    def text(row: int) -> str:
        raw = codes[rows.starts[row] : rows.ends[row]].tobytes()
        return to_utf8(raw, dialect.encoding if dialect.code_bytes else "utf-8")[0].decode("utf-8", "replace")

    return Scanned(rows, filled, is_whole, text, cells)


def _find_extent(scanned: Scanned, body: Codes, dialect: Dialect, options: ReadOptions, skip: int) -> Extent:
    """Where the table begins and how wide it is."""
    tables = find_tables(scanned) if options.skip_rows is None or options.table is not None else []
    if isinstance(options.table, str):
        raise ConfigError(f"table: wants the number of a table in a text file, from 1; got {options.table!r}.")
    if options.table is not None and options.table > max(1, len(tables)):
        raise ConfigError(f"table: wants table {options.table}; the file holds {max(1, len(tables))}.")
    notes: list[str] = []
    last, number, data = None, 1, scanned.data
    if tables:
        chosen = options.table - 1 if options.table is not None else largest(tables)
        table, number = tables[chosen], chosen + 1
        if options.table is None:
            notes.append(tables_note(tables, chosen))
        last = table.last if number < len(tables) or not scanned.is_whole else None
        begin = tables[chosen - 1].last or 0 if chosen else 0
        keep = (np.arange(scanned.filled.size) >= begin) & (
            np.arange(scanned.filled.size) < (last or scanned.filled.size)
        )
        scanned = replace(scanned, filled=scanned.filled & keep)
        width = table.width
    else:
        fields = scanned.rows.fields[data]
        behind = width_behind_titles(fields) if options.skip_rows is None else None
        width = options.fields or behind or width_of(fields, not scanned.is_whole)
    first = int(scanned.data[0])
    if options.skip_rows is None:
        first = first_row(scanned, width, lambda row: _looks_like_header(scanned, body, dialect, (row, width), options))
        above = [row for row in scanned.data.tolist() if row < first]
        if above:
            notes.append(preamble_note(scanned, above, skip + int(scanned.rows.lines[first]) + 1))
    return Extent(first, width, last, max(1, len(tables)), number, tuple(notes))


def _looks_like_header(
    scanned: Scanned, body: Codes, dialect: Dialect, place: tuple[int, int], options: ReadOptions
) -> bool:
    row, width = place
    if scanned.rows.fields[row] != width:
        return False
    start = int(scanned.rows.nexts[row])
    return is_header(scanned.cells(row), sample_rows(body[start:], dialect, width, _GLANCE), options)


def _confidence(options: ReadOptions, dialect: Dialect, pieces: Pieces) -> float:
    """Of the encoding: certain by a mark or by the user, nearly so by strict UTF-8 over all samples, else a guess."""
    if options.encoding is not None or dialect.start:
        return 1.0
    if dialect.encoding in GUESSED:
        return 0.5
    return 1.0 if pieces.is_whole or pieces.head.isascii() else 0.95


def _take_pieces(path: Place) -> tuple[Pieces, int, RemoteFile | None]:
    """Samples of a file, when it was last changed, and the object that it is."""
    if isinstance(path, PackedFile):
        return Pieces(path, open_bytes(path)), path.mtime_ns, path.inner if isinstance(path.inner, RemoteFile) else None
    if isinstance(path, RemoteFile):
        opened = look(path)
        return Pieces(path, opened), 0, opened.seen
    changed_ns = path.stat().st_mtime_ns
    source = LocalBytes(path)
    try:
        return Pieces(path, source), changed_ns, None
    finally:
        source.close()


def _guesses(options: ReadOptions, dialect: Dialect, has_header: bool) -> Iterator[str]:
    """What was guessed and would spoil the table if it were wrong."""
    if options.encoding is None and dialect.encoding in GUESSED:
        yield (
            f"is not UTF-8, so it is read as {dialect.encoding}, a guess; set read_options.encoding if letters look"
            " wrong"
        )
    if options.header is None and options.header_rows is None and not has_header:
        yield "the first row looks like data, so columns are numbered; set read_options.header to true if it has names"


def _honour_sep_line(pieces: Pieces, options: ReadOptions) -> ReadOptions:
    """Spreadsheets write the delimiter in a first line of its own: sep=;"""
    line = pieces.head[:_SEP_LINE_BYTES].replace(b"\0", b"").decode("ascii", "ignore").splitlines()[:1]
    if options.delimiter or options.skip_rows is not None or not line or not line[0].lower().startswith("sep="):
        return options
    said = line[0][len("sep=") :]
    return options.replace(delimiter=said, skip_rows=1) if len(said) == 1 else options


def _head_codes(pieces: Pieces, dialect: Dialect) -> Codes:
    if dialect.code_bytes == 0:
        return np.frombuffer(whole_text(pieces.path, dialect), np.uint8)
    return sample_codes(pieces.head[dialect.start :], dialect)
