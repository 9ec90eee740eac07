"""The characters of structure of a text file, and its samples and windows as codes that the scanner sees."""

from __future__ import annotations

import numpy as np

from raypipe.config import Frozen
from raypipe.etl.formats.csv_encoding import keeps_ascii
from raypipe.etl.formats.csv_parts import CodeFile, code_type
from raypipe.etl.formats.csv_quotes import Codes, Grammar
from raypipe.etl.formats.csv_view import STAND_IN, Marks, lone_returns, view
from raypipe.storage.source import Place

WHOLE_FILE_LIMIT = 256 << 20
"""Largest file in an encoding that must be turned into UTF-8 as a whole, in bytes."""
MIXED = "mixed"
_WIDE = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}


class Dialect(Frozen):
    """The characters of structure, and the encoding they are written in."""

    delimiter: str
    quote: str | None
    eol: str
    """"\\n" stands for LF and CR LF, "\\r" for CR, "mixed" for all three."""
    encoding: str
    """Name of a Python codec, without a byte order mark."""
    start: int
    """Bytes of the byte order mark."""
    escape: str | None = None
    comment: str = ""
    """Rows that start with it are no data."""

    @property
    def grammar(self) -> Grammar:
        """For the scanner, over the file's codes as `seen` shows them."""
        return self.grammar_in(self.encoding if self.code_bytes else "utf-8")

    def grammar_in(self, encoding: str) -> Grammar:
        """For the scanner, over text in another encoding."""
        delimiter = _codes_of(self.delimiter, encoding)
        return Grammar(
            delimiter=delimiter[0] if len(delimiter) == 1 else STAND_IN,
            quote=ord(self.quote) if self.quote else None,
            eol=ord("\n" if self.eol == MIXED else self.eol),
            repeat=len(delimiter),
        )

    def marks_in(self, encoding: str) -> Marks | None:
        """What a view of text in this encoding resolves; None: nothing."""
        delimiter = _codes_of(self.delimiter, encoding)
        if len(delimiter) == 1 and self.escape is None and self.eol != MIXED:
            return None
        escape, quote = (ord(char) if char else None for char in (self.escape, self.quote))
        return Marks(delimiter, quote, escape, self.eol == MIXED)

    @property
    def marks(self) -> Marks | None:
        """What a view of the file's codes resolves."""
        return self.marks_in(self.encoding if self.code_bytes else "utf-8")

    def comment_in(self, encoding: str) -> tuple[int, ...]:
        """The comment mark as codes of text in this encoding."""
        return _codes_of(self.comment, encoding)

    @property
    def comment_codes(self) -> tuple[int, ...]:
        """The comment mark as codes of the file."""
        return self.comment_in(self.encoding if self.code_bytes else "utf-8")

    @property
    def code_bytes(self) -> int:
        """Bytes of a code unit; 0 where the text must be turned into UTF-8 first."""
        return _WIDE.get(self.encoding, 1 if keeps_ascii(self.encoding) else 0)

    @property
    def big_endian(self) -> bool:
        """Whether the high byte of a code unit stands first."""
        return self.encoding.endswith("-be")


def _codes_of(text: str, encoding: str) -> tuple[int, ...]:
    width = _WIDE.get(encoding, 1)
    return tuple(int(code) for code in np.frombuffer(text.encode(encoding), code_type(width, encoding.endswith("-be"))))


def sample_codes(piece: bytes, dialect: Dialect) -> Codes:
    """A sample as code units."""
    width = dialect.code_bytes
    if width == 0:
        return np.frombuffer(piece.decode(dialect.encoding, "replace").encode(), np.uint8)
    return np.frombuffer(piece[: len(piece) // width * width], code_type(width, dialect.big_endian))


def seen(codes: Codes, dialect: Dialect) -> Codes:
    """Code units as the scanner is to see them; they start where a row does, or somewhere in a sample."""
    marks = dialect.marks
    return codes if marks is None else view(codes, marks)


def skip_lines(codes: Codes, eol: str, lines: int) -> int:
    """Where the text goes on behind so many lines."""
    if not lines:
        return 0
    ends = np.flatnonzero(codes == ord("\r" if eol == "\r" else "\n"))
    if eol == MIXED:
        ends = np.union1d(ends, lone_returns(codes))
    return int(ends[lines - 1]) + 1 if ends.size >= lines else int(codes.size)


def open_codes(path: Place, dialect: Dialect, span: tuple[int, int], ahead: int = 0) -> CodeFile:
    """Bytes [start, end) of the file as code units of the dialect, as the scanner is to see them."""
    return CodeFile(path, span[0], dialect.code_bytes, dialect.big_endian, ahead).seen(dialect.marks, span[1])
