"""Sheets of .xlsx and .xlsm files as a stream: where rows begin in the XML, and the cells of a piece of it.

`calamine` loads a sheet whole. Here the XML is read once from end to end to find where rows begin, without parsing;
then each piece is parsed by itself, so that memory is bounded by the piece (and by the table of shared texts).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, Any
from xml.parsers import expat

import numpy as np
import polars as pl

from raypipe.config import Frozen
from raypipe.etl.formats.excel_cells import BOOLEAN, EMPTY_CELLS, ERROR, NUMBER, TEXT, column_index, column_letters
from raypipe.etl.formats.excel_scan import TYPES, Raw, numbers_behind, raw_cells, tags_named
from raypipe.etl.formats.excel_strings import STEP, all_decoded

PIECE = 1 << 18
"""A place to cut at is kept every so many bytes."""
EDGE = 1 << 12
"""Longest tag that may lie across two steps."""
_OPENS = re.compile(rb"<(?:([\w.-]+):)?sheetData\s*(/?)>")
_MERGE = re.compile(rb"<(?:[\w.-]+:)?mergeCell\s[^>]*?ref=[\"']([A-Z]+)(\d+):([A-Z]+)(\d+)[\"']")
_ROW_NUMBER = re.compile(rb"[^>]*?\sr=[\"'](\d+)[\"']")
_PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})", re.ASCII)
_KINDS = np.array([NUMBER, TEXT, TEXT, TEXT, TEXT, BOOLEAN, ERROR], np.int8)
"""Class of a cell by its type, the index in `TYPES`; that of the first is told by its style."""

Mark = tuple[int, int]
"""A place where a row begins: its offset in the XML, and its number from 0."""


class Merge(Frozen):
    """Merged cells: first and last row and column, from 0."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Scan:
    """A sheet that was read from end to end."""

    marks: tuple[Mark, ...]
    end: int
    """Where the last row ends."""
    end_row: int
    """One behind the last row."""
    prefix: str
    """Of its tags, with the colon."""
    merges: tuple[Merge, ...]
    plain: bool
    """Nothing in it can be taken for a row that is none; else it is not to be cut."""


def scan_sheet(stream: IO[bytes]) -> Scan | None:
    """Where rows begin; None if the XML is not in UTF-8, or holds no rows as workbooks have them."""
    head = stream.read(STEP)
    opens = _OPENS.search(head)
    while opens is None:
        more = stream.read(STEP)
        if not more or len(head) > 64 * STEP:
            return None
        head += more
        opens = _OPENS.search(head)
    if re.search(rb"encoding=[\"'](?!utf-?8|us-ascii)", head[:200], re.IGNORECASE):
        return None
    prefix = opens[1] + b":" if opens[1] else b""
    if opens[2]:
        return Scan((), opens.end(), 0, prefix.decode(), (), plain=True)
    rows = _Rows(prefix, opens.end())
    rest, merges = head[opens.end() :], []
    while not rows.done:
        more = stream.read(STEP)
        rest = rows.take(rest + more, last=not more)
    while True:
        merges += [_merge(found) for found in _MERGE.finditer(rest)]
        more = stream.read(STEP)
        if not more:
            break
        rest = rest[max(rest.rfind(b"<"), len(rest) - EDGE) :] + more if b"<" in rest else more
    return Scan(tuple(rows.marks), rows.at, rows.row + 1, prefix.decode(), tuple(dict.fromkeys(merges)), rows.plain)


class _Rows:
    """Finds the starts of rows in a stream of XML."""

    def __init__(self, prefix: bytes, at: int) -> None:
        self._name = prefix + b"row"
        self._close = re.compile(rb"</" + re.escape(prefix) + rb"sheetData\s*>")
        self.at, self.row, self.plain, self.done = at, -1, True, False
        self.marks: list[Mark] = []

    def take(self, text: bytes, last: bool) -> bytes:
        """Look at the next bytes; returns what is left of them for the next call."""
        close = self._close.search(text)
        end = close.start() if close else len(text) if last else text.rfind(b"<", 0, max(0, len(text) - EDGE))
        end = max(0, end)
        body = text[:end]
        self.plain &= b"<!" not in body
        starts, numbers = self._numbers(text, body)
        self.plain &= bool((np.diff(numbers, prepend=self.row) > 0).all())
        last_mark = self.marks[-1][0] if self.marks else -PIECE
        while (at := int(np.searchsorted(starts, last_mark + PIECE - self.at))) < starts.size:
            last_mark = self.at + int(starts[at])
            self.marks.append((last_mark, int(numbers[at])))
        self.row = int(numbers[-1]) if numbers.size else self.row
        self.at += end
        self.done = close is not None or last
        return text[end:]

    def _numbers(self, text: bytes, body: bytes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Where each row of the next bytes begins, and its number from 0."""
        starts = tags_named(body, self._name)
        numbers = numbers_behind(text, starts + len(self._name) + 1, b' r="')
        if numbers is None:
            found, row = [], self.row
            for start in starts.tolist():
                number = _ROW_NUMBER.match(text, start + len(self._name) + 1)
                row = int(number[1]) - 1 if number else row + 1
                found.append(row)
            return starts, np.array(found, np.int64)
        return starts, numbers - 1


def _merge(found: re.Match[bytes]) -> Merge:
    left, top, right, bottom = (part.decode() for part in found.groups())
    return Merge(top=int(top) - 1, left=column_index(left), bottom=int(bottom) - 1, right=column_index(right))


class SheetStream:
    """The XML of a sheet, read by ranges; the next range is read on from where the last one ended."""

    def __init__(self, book: Any, member: str) -> None:
        self._book, self._member = book, member
        self._stream: IO[bytes] | None = None
        self._at = 0

    def read(self, start: int, end: int) -> bytes:
        """Bytes [start, end) of the XML."""
        if self._stream is None or self._at > start:
            self.close()
            self._stream, self._at = self._book.open(self._member), 0
        while self._at < start:
            got = len(self._stream.read(min(STEP, start - self._at)))
            if not got:
                return b""
            self._at += got
        data = self._stream.read(end - start)
        self._at += len(data)
        return data

    def close(self) -> None:
        """Let go of it."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None


@dataclass(frozen=True)
class Grammar:
    """What it takes to understand the cells of a sheet."""

    prefix: str
    styles: np.ndarray[Any, Any]
    """Class of a number by the style of its cell."""
    shared: pl.Series
    """Texts that cells refer to."""


def cells_of(piece: bytes, first_row: int, grammar: Grammar) -> pl.DataFrame:
    """The cells of whole rows that hold a value (`EMPTY_CELLS`), in their order.

    Parameters
    ----------
    piece : bytes
        XML of rows.
    first_row : int
        Number of the first of them, where it does not say so itself.
    grammar : Grammar
        Of the sheet.
    """
    if not piece.isascii():
        piece = piece.decode("utf-8", "replace").encode()
    found = raw_cells(piece) if not grammar.prefix else None
    return _classed(found if found is not None else _exact(piece, first_row), grammar)


def _exact(piece: bytes, first_row: int) -> Raw:
    """The cells, by an XML parser: what `raw_cells` is held to."""
    reader = _CellReader(first_row)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.Parse(b"<r>", False)
    parser.Parse(piece, False)
    parser.Parse(b"</r>", True)
    codes = {name: code for code, name in enumerate(TYPES)}
    types = [codes.get(name, 0) for name in reader.types]
    styles = [int(style) if style.isdecimal() else 0 for style in reader.styles]
    rows, columns = np.array(reader.rows, np.int64), np.array(reader.columns, np.int64)
    texts = pl.Series(reader.values, dtype=pl.String)
    return Raw(rows, columns, np.array(types, np.int64), np.array(styles, np.int64), texts)


class _CellReader:
    """Handlers of an XML parser; names of tags count without their prefix."""

    def __init__(self, first_row: int) -> None:
        self.rows: list[int] = []
        self.columns: list[int] = []
        self.types: list[str] = []
        self.styles: list[str] = []
        self.values: list[str | None] = []
        self._row, self._column = first_row - 1, -1
        self._type, self._style = "", ""
        self._parts: list[str] = []
        self._takes, self._phonetic, self._numbered = False, False, False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A tag opens."""
        local = name.rpartition(":")[2]
        if local == "c":
            self._column = self._placed(attributes["r"]) if "r" in attributes else self._column + 1
            self._type, self._style = attributes.get("t", ""), attributes.get("s", "")
            self._parts = []
        elif local == "row":
            self._numbered = "r" in attributes
            self._row = int(attributes["r"]) - 1 if self._numbered else self._row + 1
            self._column = -1
        elif local == "rPh":
            self._phonetic = True
        elif local in ("v", "t"):
            self._takes = not self._phonetic

    def _placed(self, said: str) -> int:
        """Column of a cell; ValueError if it says that it is none of this row, where the row says its number."""
        found = _PLACE.fullmatch(said)
        if found is None or (self._numbered and int(found[2]) - 1 != self._row):
            raise ValueError(f"a cell of row {self._row + 1} says that it is {said[:20]!r}")
        return column_index(found[1])

    def end(self, name: str) -> None:
        """A tag closes."""
        local = name.rpartition(":")[2]
        if local == "c":
            self.rows.append(self._row)
            self.columns.append(self._column)
            self.types.append(self._type)
            self.styles.append(self._style)
            self.values.append("".join(self._parts))
        elif local == "rPh":
            self._phonetic = False
        elif local in ("v", "t"):
            self._takes = False

    def text(self, text: str) -> None:
        """Text within a tag."""
        if self._takes:
            self._parts.append(text)


def _classed(raw: Raw, grammar: Grammar) -> pl.DataFrame:
    if not raw.rows.size:
        return EMPTY_CELLS
    _check_once(raw)
    style = raw.styles.clip(0, max(0, len(grammar.styles) - 1))
    of_style = grammar.styles[style] if len(grammar.styles) else np.full(style.size, NUMBER, np.int8)
    kind = np.where(raw.types == TYPES.index("n"), of_style, _KINDS[raw.types])
    cells = pl.DataFrame(
        {
            "row": raw.rows,
            "col": raw.columns.astype(np.int32),
            "kind": kind,
            "text": _resolved(raw.types, raw.texts, grammar.shared),
        }
    )
    filled = (cells["text"] != "").fill_null(value=False)
    return cells if filled.all() else cells.filter(filled)


def _check_once(raw: Raw) -> None:
    """ValueError if a cell stands there twice: one of its values would be lost."""
    places = raw.rows * (1 << 20) + raw.columns
    if not (np.diff(places) > 0).all():
        found, counts = np.unique(places, return_counts=True)
        if (counts > 1).any():
            row, column = divmod(int(found[counts > 1][0]), 1 << 20)
            raise ValueError(f"cell {column_letters(column)}{row + 1} stands there twice")


def _resolved(types: np.ndarray[Any, Any], texts: pl.Series, shared: pl.Series) -> pl.Series:
    """What cells say: shared texts looked up, coded characters decoded, booleans and ISO dates in one form."""
    places = {name: np.flatnonzero(types == TYPES.index(name)) for name in TYPES[1:-1]}
    if (at := places["s"]).size:
        index = texts.gather(at).cast(pl.Int64, strict=False)
        index = pl.select(pl.when((index >= 0) & (index < len(shared))).then(index)).to_series()
        texts = texts.scatter(at, shared.gather(index))
    if (at := places["b"]).size:
        said = pl.when(texts.gather(at) == "0").then(pl.lit("FALSE")).otherwise(pl.lit("TRUE"))
        texts = texts.scatter(at, pl.select(said).to_series())
    if (at := places["d"]).size:
        iso = texts.gather(at).str.replace("T", " ").str.replace(r"(\.0+)?Z?$", "").str.replace(" 00:00:00$", "")
        texts = texts.scatter(at, iso)
    for at in (places["str"], places["inlineStr"]):
        if at.size:
            texts = texts.scatter(at, all_decoded(texts.gather(at)))
    return texts
