"""One CSV file before its parts are read: dialect, header, column names, and a sample of its rows as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from raypipe.config import Frozen, ReadOptions
from raypipe.errors import ReadError
from raypipe.etl.formats.cells import narrowest, trimmed
from raypipe.etl.formats.csv_dialect import (
    GUESSED,
    WHOLE_FILE_LIMIT,
    Dialect,
    Pieces,
    find_dialect,
    sample_codes,
    skip_lines,
)
from raypipe.etl.formats.csv_layout import MARK, Layout, read_text, to_utf8
from raypipe.etl.formats.csv_parse import gather
from raypipe.etl.formats.csv_parts import resync
from raypipe.etl.formats.csv_quotes import Codes, Rows, mend, scan_rows
from raypipe.etl.formats.format import SourceFile
from raypipe.etl.formats.names import unique_names
from raypipe.storage.ranges import RemoteFile, look
from raypipe.storage.source import LocalBytes, Place, size_of

SAMPLE_CELLS = 2_000_000
"""Cells of a sample that types are found from; of a very wide file fewer rows are looked at."""
_MIN_SHARE = 0.5
_SEP_LINE_BYTES = 64
_HEADER_ROWS, _HEADER_COLUMNS = 1000, 200


class CsvFile(SourceFile):
    """A CSV file that was looked at."""

    dialect: Dialect
    names: tuple[str, ...]
    """Columns in the order of the file, unique."""
    data_start: int
    """Byte where the first data row starts; in the UTF-8 text, where the file is turned into that as a whole."""
    header_lines: int
    """Text lines before the first data row."""
    has_header: bool

    def raw(self, start: int, end: int) -> bytes:
        """Bytes of a range; ReadError if the file is not the one that was looked at."""
        if self.dialect.code_bytes:
            return self.bytes_at(start, end)
        self.bytes_at(0, 1)
        return whole_text(self.place, self.dialect)[start:end]

    @property
    def part_encoding(self) -> str:
        """Encoding of what `raw` returns."""
        return self.dialect.encoding if self.dialect.code_bytes else "utf-8"


class Sample(Frozen, arbitrary_types_allowed=True):
    """A file and rows of it, as text under positional names."""

    file: CsvFile
    texts: pl.DataFrame
    is_whole: bool
    """The sample holds every row that has the right number of fields."""
    bytes_per_row: float


def whole_text(path: Place, dialect: Dialect) -> bytes:
    """The text as UTF-8, for encodings in which bytes of ASCII characters may mean something else."""
    size = size_of(path)
    if size > WHOLE_FILE_LIMIT:
        raise ReadError(
            f"{path}: a file in {dialect.encoding} is read as a whole, up to {WHOLE_FILE_LIMIT >> 20} MiB; this one has"
            f" {size >> 20} MiB. Turn it into UTF-8 first: iconv -f {dialect.encoding} -t utf-8."
        )
    raw = look(path).read_at(0, size) if isinstance(path, RemoteFile) else path.read_bytes()
    return to_utf8(raw[dialect.start :], dialect.encoding)[0]


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
    options = _honour_sep_line(pieces, options)
    dialect = find_dialect(pieces, options)
    head = _head_codes(pieces, dialect)
    skipped = skip_lines(head, dialect.eol, options.skip_rows)
    body = head[skipped:]
    rows = scan_rows(body, dialect.grammar)
    data = np.flatnonzero(rows.ends > rows.starts)
    if not data.size:
        behind = f" behind the {options.skip_rows} lines to skip" if options.skip_rows else ""
        raise ReadError(f"{path}: has no row, only blank lines{behind}.")
    width = _width(rows.fields[data], body, dialect)
    texts = _texts(pieces, body, dialect, width)
    first = data[0]
    torn = bool(rows.unclosed[first])
    as_written = dialect.replace(quote=None) if torn else dialect
    header = _cells(body[rows.starts[first] : rows.ends[first]], as_written, int(rows.fields[first]))
    if any(MARK in cell for cell in header):
        raise ReadError(
            f"{path}: its first row is not valid {dialect.encoding}. Set the encoding, e.g. 'cp1252' or 'utf-16'."
        )
    below = texts if torn or rows.fields[first] != width else texts.slice(1)
    has_header = options.header if options.header is not None else _is_header(header, below, options)
    names, notes = _names(header if has_header else [""] * width, width, has_header)
    if torn and has_header:
        notes.append("the header has a quote that is never closed; its names are read as they stand")
    notes = [*_guesses(options, dialect, has_header), *notes]
    begin = skipped + int(rows.nexts[first] if has_header else rows.starts[first])
    lines = options.skip_rows + int(rows.lines[first]) + (_lines_of(body, rows, first, dialect) if has_header else 0)
    file = CsvFile(
        path=str(path),
        size=pieces.size,
        mtime_ns=changed_ns,
        dialect=dialect,
        names=tuple(names),
        data_start=begin * max(1, dialect.code_bytes) + (dialect.start if dialect.code_bytes else 0),
        header_lines=lines,
        has_header=has_header,
        notes=tuple(notes),
        remote=remote,
    )
    return Sample(
        file=file,
        texts=below if has_header else texts,
        is_whole=pieces.is_whole and texts.height < _most_rows(width),
        bytes_per_row=float(rows.nexts[data[-1]]) * max(1, dialect.code_bytes) / data.size,
    )


def _take_pieces(path: Place) -> tuple[Pieces, int, RemoteFile | None]:
    """Samples of a file, when it was last changed, and the object that it is."""
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
    if options.header is None and not has_header:
        yield "the first row looks like data, so columns are numbered; set read_options.header to true if it has names"


def _honour_sep_line(pieces: Pieces, options: ReadOptions) -> ReadOptions:
    """Spreadsheets write the delimiter in a first line of its own: sep=;"""
    line = pieces.head[:_SEP_LINE_BYTES].replace(b"\0", b"").decode("ascii", "ignore").splitlines()[:1]
    if options.delimiter or options.skip_rows or not line or not line[0].lower().startswith("sep="):
        return options
    said = line[0][len("sep=") :]
    return options.replace(delimiter=said, skip_rows=1) if len(said) == 1 else options


def _head_codes(pieces: Pieces, dialect: Dialect) -> Codes:
    if dialect.code_bytes == 0:
        return np.frombuffer(whole_text(pieces.path, dialect), np.uint8)
    return sample_codes(pieces.head[dialect.start :], dialect)


def _width(fields: Codes, body: Codes, dialect: Dialect) -> int:
    """Fields of a row: as the first row has, if enough rows agree; else as most rows have."""
    first = int(fields[0])
    rest = fields[1:-1] if fields.size > 2 and body[-1] != dialect.grammar.eol else fields[1:]
    if not rest.size or (rest == first).mean() >= _MIN_SHARE:
        return first
    values, counts = np.unique(rest, return_counts=True)
    return int(values[counts.argmax()]) if counts.max() > (rest == first).sum() else first


def _layout(dialect: Dialect, width: int) -> Layout:
    encoding = dialect.encoding if dialect.code_bytes else "utf-8"
    return Layout(dialect.grammar, encoding, width, (), ())


def _texts(pieces: Pieces, body: Codes, dialect: Dialect, width: int) -> pl.DataFrame:
    """Rows of the head, the middle and the tail that have the right number of fields; the first row is the first."""
    frames = [_sample_rows(body, dialect, width, not pieces.is_whole)]
    for piece in pieces.others if dialect.code_bytes else ():
        codes = sample_codes(piece, dialect)
        start = resync(codes, dialect.grammar, width)
        if start is not None:
            frames.append(_sample_rows(codes[start:], dialect, width, cut=True))
    return pl.concat(frames)


def _sample_rows(codes: Codes, dialect: Dialect, width: int, cut: bool) -> pl.DataFrame:
    rows = scan_rows(codes, dialect.grammar)
    good = (rows.ends > rows.starts) & (rows.fields == width) & ~rows.unclosed
    if cut and good.size > 1 and codes[-1] != dialect.grammar.eol:
        good[-1] = False
    which = np.flatnonzero(good)[: _most_rows(width)]
    layout = _layout(dialect, width)
    text = to_utf8(gather(codes, rows, which), layout.encoding)[0]
    return read_text(mend(text, layout.grammar), layout, every=True)


def _most_rows(width: int) -> int:
    return max(20, SAMPLE_CELLS // width)


def _utf8(codes: Codes, dialect: Dialect) -> bytes:
    return to_utf8(codes.tobytes(), dialect.encoding if dialect.code_bytes else "utf-8")[0]


def _cells(row: Codes, dialect: Dialect, width: int) -> list[str]:
    """The fields of one row as text."""
    text = _utf8(row, dialect) + dialect.eol.encode()
    layout = _layout(dialect, width)
    frame = read_text(mend(text, layout.grammar), layout, every=True)
    return [str(value or "") for value in frame.row(0)]


def _lines_of(body: Codes, rows: Rows, index: int, dialect: Dialect) -> int:
    start, end = int(rows.starts[index]), int(rows.nexts[index])
    piece = body[start:end]
    return int((piece == dialect.grammar.eol).sum()) + int(bool(piece.size) and piece[-1] != dialect.grammar.eol)


def _is_header(header: Sequence[str], below: pl.DataFrame, options: ReadOptions) -> bool:
    """Whether the first row is unlike the rows below: all text, over at least one column that is not, or new values."""
    cells = trimmed(pl.Series([str(cell) for cell in header], dtype=pl.String), ())
    if not cells.drop_nulls().len() or not set(narrowest(cells)) <= {"text", "boolean"}:
        return False
    if not below.height:
        return True
    kinds = (
        narrowest(trimmed(below[name].head(_HEADER_ROWS), options.null_values))
        for name in below.columns[:_HEADER_COLUMNS]
    )
    if any(counts and counts.get("text", 0) < sum(counts.values()) for counts in kinds):
        return True
    repeats = sum(bool((below[name] == cell).any()) for name, cell in zip(below.columns, header, strict=False))
    return repeats * 2 < len(header)


def _names(header: Sequence[str], width: int, has_header: bool) -> tuple[list[str], list[str]]:
    """Unique names for `width` columns, and what was changed to get them."""
    notes = []
    given = [name.strip() for name in header]
    while len(given) > width and not given[-1]:
        given.pop()
    if len(given) != width:
        notes.append(
            f"the header has {len(given)} names, most rows have {width} fields;"
            " set skip_rows if lines stand before the header"
        )
        given = (given + [""] * width)[:width]
    names, changed = unique_names(given)
    return names, [*notes, *changed] if has_header else notes
