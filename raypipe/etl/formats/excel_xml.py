"""Sheets of .xlsx and .xlsm files as a stream: where rows begin in the XML, and the cells of a piece of it.

`calamine` loads a sheet whole. Here the XML is read once from end to end to find where rows begin, without parsing;
then each piece is parsed by itself, so that memory is bounded by the piece (and by the table of shared texts).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import IO, Any
from xml.parsers import expat

import numpy as np
import polars as pl

from raypipe.config import Frozen
from raypipe.etl.formats.excel_cells import BOOLEAN, EMPTY_CELLS, ERROR, NUMBER, TEXT, column_index
from raypipe.etl.formats.excel_strings import STEP, decoded

PIECE = 1 << 18
"""A place to cut at is kept every so many bytes."""
EDGE = 1 << 12
"""Longest tag that may lie across two steps."""
_OPENS = re.compile(rb"<(?:([\w.-]+):)?sheetData\s*(/?)>")
_MERGE = re.compile(rb"<(?:[\w.-]+:)?mergeCell\s[^>]*?ref=[\"']([A-Z]+)(\d+):([A-Z]+)(\d+)[\"']")
_ROW_NUMBER = re.compile(rb"[^>]*?\sr=[\"'](\d+)[\"']")
_CELL = re.compile(
    r'<c r="([A-Z]{1,3})(\d{1,7})"(?: s="(\d+)")?(?: t="(\w+)")?'
    r"(?:/>|>(?:<f[^>]*/>|<f[^>]*>[^<]*</f>)?(?:<v>([^<]*)</v>|<v/>"
    r'|<is><t(?: xml:space="preserve")?>([^<]*)</t></is>)?</c>)'
)
_ROWS_ONLY = re.compile(r"(?:<row(?: [^>]*)?>|</row>|\s)*")


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
        self._tag = re.compile(rb"<" + re.escape(prefix) + rb"row(?=[\s>/])")
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
        for found in self._tag.finditer(body):
            number = _ROW_NUMBER.match(text, found.end())
            row = int(number[1]) - 1 if number else self.row + 1
            self.plain &= row > self.row
            self.row = row
            if not self.marks or self.at + found.start() - self.marks[-1][0] >= PIECE:
                self.marks.append((self.at + found.start(), row))
        self.at += end
        self.done = close is not None or last
        return text[end:]


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
    text = piece.decode("utf-8", "replace")
    found = _quick(text) if not grammar.prefix else None
    return _classed(found if found is not None else _exact(text, first_row), grammar)


Raw = tuple[Sequence[int], Sequence[int], Sequence[str], Sequence[str], Sequence[str | None]]
"""Rows, columns, types, styles and values of cells."""


def _quick(text: str) -> Raw | None:
    """The cells, if the piece is written as workbooks mostly are; None if that is not certain."""
    if "<!" in text or not _ROWS_ONLY.fullmatch(_CELL.sub("", text)):
        return None
    found = _CELL.findall(text)
    if not found:
        return [], [], [], [], []
    letters, rows, styles, types, values, inline = zip(*found, strict=True)
    known = {name: column_index(name) for name in set(letters)}
    columns = [known[name] for name in letters]
    said = [value or other for value, other in zip(values, inline, strict=True)] if any(inline) else list(values)
    if "&" in text:
        said = [_entities(value) if "&" in value else value for value in said]
    return [int(row) - 1 for row in rows], columns, types, styles, said


def _entities(value: str) -> str:
    """XML knows five names; others, which HTML knows, stay as they are."""
    return re.sub(r"&(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);", lambda hit: unescape(hit[0]), value)


def _exact(text: str, first_row: int) -> Raw:
    """The cells, by an XML parser: what `_quick` is held to."""
    reader = _CellReader(first_row)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.Parse("<r>", False)
    parser.Parse(text, False)
    parser.Parse("</r>", True)
    return reader.rows, reader.columns, reader.types, reader.styles, reader.values


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
        self._takes, self._phonetic = False, False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A tag opens."""
        local = name.rpartition(":")[2]
        if local == "c":
            letters = attributes.get("r", "").rstrip("0123456789")
            self._column = column_index(letters) if letters else self._column + 1
            self._type, self._style = attributes.get("t", ""), attributes.get("s", "")
            self._parts = []
        elif local == "row":
            self._row = int(attributes["r"]) - 1 if "r" in attributes else self._row + 1
            self._column = -1
        elif local == "rPh":
            self._phonetic = True
        elif local in ("v", "t"):
            self._takes = not self._phonetic

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
    rows, columns, types, styles, values = raw
    frame = pl.DataFrame(
        {
            "row": pl.Series(rows, dtype=pl.Int64),
            "col": pl.Series(columns, dtype=pl.Int32),
            "type": pl.Series(types, dtype=pl.String),
            "style": pl.Series(styles, dtype=pl.String),
            "text": pl.Series(values, dtype=pl.String),
        }
    ).filter(pl.col("text").fill_null("") != "")
    if not frame.height:
        return EMPTY_CELLS
    style = frame["style"].cast(pl.Int64, strict=False).fill_null(0).clip(0, max(0, len(grammar.styles) - 1))
    of_style = grammar.styles[style.to_numpy()] if len(grammar.styles) else np.full(frame.height, NUMBER, np.int8)
    kinds = {"s": TEXT, "str": TEXT, "inlineStr": TEXT, "d": TEXT, "b": BOOLEAN, "e": ERROR}
    said = frame["type"].replace_strict(kinds, default=-1, return_dtype=pl.Int8).to_numpy()
    kind = pl.Series("kind", np.where(said < 0, of_style, said), dtype=pl.Int8)
    text = _resolved(frame["type"], frame["text"], grammar.shared)
    cells = frame.select("row", "col").with_columns(kind, text.alias("text"))
    return cells.filter(pl.col("text").fill_null("") != "")


def _resolved(types: pl.Series, texts: pl.Series, shared: pl.Series) -> pl.Series:
    """What cells say: shared texts looked up, coded characters decoded, booleans and ISO dates in one form."""
    of_shared = types == "s"
    if of_shared.any():
        index = texts.cast(pl.Int64, strict=False)
        index = pl.select(pl.when(of_shared & (index >= 0) & (index < len(shared))).then(index)).to_series()
        texts = pl.select(pl.when(of_shared).then(shared.gather(index)).otherwise(texts)).to_series()
    if (types == "b").any():
        texts = pl.select(
            pl.when(types != "b").then(texts).when(texts == "0").then(pl.lit("FALSE")).otherwise(pl.lit("TRUE"))
        ).to_series()
    if (types == "d").any():
        iso = texts.str.replace("T", " ").str.replace(r"(\.0+)?Z?$", "").str.replace(" 00:00:00$", "")
        texts = pl.select(pl.when(types == "d").then(iso).otherwise(texts)).to_series()
    inline = types.is_in(["inlineStr", "str"])
    if inline.any() and (inline & texts.str.contains("_x", literal=True)).any():
        texts = pl.Series([decoded(text) if text and "_x" in text else text for text in texts], dtype=pl.String)
    return texts
