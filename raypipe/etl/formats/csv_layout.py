"""How the parts of a CSV file are laid out, and their bytes as text fields."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from raypipe.blocks.frames import no_rows
from raypipe.config import CellFormat
from raypipe.errors import ReadError
from raypipe.etl.formats.cells import KINDS
from raypipe.etl.formats.csv_quotes import Grammar, Positions, mend, scan_rows
from raypipe.etl.formats.csv_view import Marks, canonical, rows_of
from raypipe.stage import ASIDE_SCHEMA

MARK = "\ufdd0\ufdef"
"""Stands before bytes that do not belong to the encoding: two noncharacters, which no text may contain. Damaged files
hold one of them now and then; the two in this order are ours."""
_MARKED = re.compile(MARK + r"\\x([0-9a-f]{2})")
NUMBERS = ("int64", "float64")
_BOM = codecs.BOM_UTF8


@dataclass(frozen=True)
class Wanted:
    """A column to read: where it stands in the file, and as what."""

    index: int
    name: str
    kind: str
    format: CellFormat | None = None
    """How its cells are written; None: plainly."""

    @property
    def is_number(self) -> bool:
        """Whether a parser of plain numbers reads it."""
        return self.kind in NUMBERS and self.format is None


@dataclass(frozen=True)
class Layout:
    """How to read the parts of one file."""

    grammar: Grammar
    encoding: str
    width: int
    """Fields of a row."""
    wanted: tuple[Wanted, ...]
    null_values: tuple[str, ...]
    marks: Marks | None = None
    """What a view of the text resolves; None: the text is plain."""
    comment: tuple[int, ...] = ()
    """Rows that start with it are no data."""
    ragged: str = "quarantine"
    lenient: bool = False
    """Bytes that do not belong to the encoding are read as cp1252."""
    path: str = ""
    """The file, for messages."""

    @property
    def is_plain(self) -> bool:
        """Whether a parser may read the text as it is."""
        return self.marks is None and not self.comment

    @property
    def names(self) -> list[str]:
        """Names of the frame's columns while it is text: positions, since names are hostile."""
        return [f"c{index}" for index in range(self.width)]


@dataclass(frozen=True)
class Take:
    """Draw `rows` of the part's rows without replacement."""

    rows: int
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Placed:
    """The rows that have the right number of fields, as text, and what became of the others."""

    frame: pl.DataFrame
    numbers: Positions | None = None
    """Row number of each row; None: 0, 1, 2 …"""
    lines: Positions | None = None
    """Line of each row; None: not yet known."""
    aside: pl.DataFrame = field(default_factory=lambda: empty_aside())
    notes: dict[str, Any] = field(default_factory=dict)


def empty_aside() -> pl.DataFrame:
    """No rows set aside."""
    return pl.DataFrame(pl.from_arrow(no_rows(ASIDE_SCHEMA)))


def to_utf8(raw: bytes, encoding: str, lenient: bool = False) -> tuple[bytes, int]:
    """The text as UTF-8, and how many bytes did not belong to the encoding.

    Each such byte becomes `MARK` and its code, so that its line can be told and shown; or, if `lenient`, what it means
    in cp1252.
    """
    if encoding == "utf-8":
        try:
            codecs.utf_8_decode(raw, "strict", True)
            return raw, 0
        except UnicodeDecodeError:
            pass
    try:
        return raw.decode(encoding).encode(), 0
    except UnicodeError:
        codecs.register_error("raypipe.mark", _mark)
        text = raw.decode(encoding, "raypipe.mark")
        wrong = text.count(MARK)
        if lenient:
            text = _MARKED.sub(lambda found: _in_cp1252(int(found[1], 16)), text)
        return text.encode("utf-8", "backslashreplace"), wrong


def _in_cp1252(byte: int) -> str:
    """What the byte means there; the five that mean nothing stand for the control characters that they are."""
    return bytes([byte]).decode("cp1252", "ignore") or chr(byte)


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(f"{MARK}\\x{byte:02x}" for byte in wrong), error.end


def read_rows(text: bytes, layout: Layout, every: bool = False) -> pl.DataFrame:
    """All fields as text of whole rows without unclosed quotes, of any grammar."""
    if layout.marks is None:
        return read_text(_padded(mend(text, layout.grammar), layout), layout, every=every)
    plain = canonical(text, layout.grammar, layout.marks)
    if plain is None:
        return pl.concat([read_rows(half, layout, every) for half in _halves(text, layout)])
    layout = replace(layout, grammar=plain.grammar, marks=None)
    frame = read_text(_padded(mend(plain.text, plain.grammar), layout), layout, every=every)
    for stand, literal in plain.stand_ins.items():
        frame = frame.with_columns(pl.all().str.replace_all(stand, literal, literal=True))
    return frame


def _padded(text: bytes, layout: Layout) -> bytes:
    """The rows with a delimiter for each field that is missing, where these are to be filled up."""
    if layout.ragged != "pad" or not text:
        return text
    codes = np.frombuffer(text, np.uint8)
    rows = scan_rows(codes, layout.grammar)
    missing = np.maximum(layout.width - rows.fields, 0)
    if not missing.any():
        return text
    return bytes(np.insert(codes, np.repeat(rows.ends, missing), layout.grammar.delimiter).data)


def _halves(text: bytes, layout: Layout) -> tuple[bytes, bytes]:
    """The text cut between two rows: each half is likely to leave some characters free."""
    rows = rows_of(np.frombuffer(text, np.uint8), layout.grammar, layout.marks)
    if rows.starts.size < 2:
        raise ReadError(
            f"{layout.path}: a row holds every ASCII character, so that none is left to read it with. Turn the file"
            " into plain CSV."
        )
    middle = int(rows.starts[rows.starts.size // 2])
    return text[:middle], text[middle:]


def read_text(body: bytes, layout: Layout, typed: bool = False, every: bool = False) -> pl.DataFrame:
    """All fields as text, or with `typed` the numbers as such; null where nothing stands between two delimiters.

    `body` holds clean, whole rows.
    """
    schema: dict[str, pl.DataType] = dict.fromkeys(layout.names, pl.String())
    if typed:
        schema |= {f"c{want.index}": KINDS[want.kind] for want in layout.wanted if want.is_number}
    if not body:
        return pl.DataFrame(schema=schema)
    grammar = layout.grammar
    return pl.read_csv(
        _BOM + body if body.startswith(_BOM) else body,
        has_header=False,
        separator=chr(grammar.delimiter),
        quote_char=chr(grammar.quote) if grammar.quote is not None else None,
        eol_char=chr(grammar.eol),
        schema=schema,
        columns=None if every else sorted({column.index for column in layout.wanted} | {layout.width - 1}),
    )
