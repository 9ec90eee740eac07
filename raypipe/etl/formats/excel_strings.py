"""The table of texts that the cells of an .xlsx workbook refer to."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import IO
from xml.parsers import expat

import numpy as np
import polars as pl

from raypipe.etl.formats.excel_scan import raw_texts

STEP = 1 << 20
"""Bytes of XML that are looked at in one go."""
_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml(?![^>]*encoding=[\"'](?!utf-?8|us-ascii))[^>]*\?>)?\s*<sst[^>]*[^/>]>",
    re.IGNORECASE,
)
"""What stands in front of the texts, where they are written in UTF-8 and their tags have no prefix."""
_CLOSES = re.compile(rb"\s*</sst>\s*")
_END = b"</si>"
_CODED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def decoded(text: str) -> str:
    """A text with its coded characters, as `_x000D_`.

    Examples
    --------
    >>> decoded("a_x000A_b_x005F_x")
    'a\\nb_x'
    """
    return _CODED.sub(lambda hit: chr(int(hit[1], 16)), text)


def all_decoded(texts: pl.Series) -> pl.Series:
    """The texts with their coded characters."""
    where = np.flatnonzero(texts.str.contains("_x", literal=True).fill_null(value=False).to_numpy())
    if not where.size:
        return texts
    return texts.scatter(where, pl.Series([decoded(text) for text in texts.gather(where)], dtype=pl.String))


def shared_texts(opened: Callable[[], IO[bytes]]) -> pl.Series:
    """The texts that cells refer to, in their order; runs of formatted text are joined, readings left out.

    Parameters
    ----------
    opened : callable
        Opens their XML from its beginning.
    """
    with opened() as stream:
        found = _in_pieces(stream)
    if found is None:
        with opened() as stream:
            found = _TextReader().read(stream)
    return found


def _in_pieces(stream: IO[bytes]) -> pl.Series | None:
    """The texts, if the XML can be cut between them: each piece is read the quick way, or else by a parser."""
    head = stream.read(STEP)
    begins = _BEGINS.match(head)
    if begins is None:
        return None
    found, rest = [pl.Series([], dtype=pl.String)], head[begins.end() :]
    while True:
        more = stream.read(STEP)
        if b"<!" in rest:
            return None
        end = rest.rfind(_END) + len(_END) if _END in rest else 0
        if end:
            found.append(_texts(rest[:end]))
        rest = rest[end:] + more
        if not more:
            return pl.concat(found) if _CLOSES.fullmatch(rest) else None


def _texts(piece: bytes) -> pl.Series:
    if not piece.isascii():
        piece.decode()  # a parser refuses what is no UTF-8, and so does this
    texts = raw_texts(piece)
    return all_decoded(texts) if texts is not None else _TextReader().read(io.BytesIO(b"<sst>" + piece + b"</sst>"))


class _TextReader:
    """Handlers of an XML parser for the table of shared texts."""

    AT_ONCE = 1 << 16

    def __init__(self) -> None:
        self._done: list[pl.Series] = []
        self._texts: list[str] = []
        self._parts: list[str] = []
        self._takes, self._phonetic = False, False

    def read(self, stream: IO[bytes]) -> pl.Series:
        """The texts in an XML of the table."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self.start, self.end
        parser.CharacterDataHandler = self.text
        for step in iter(lambda: stream.read(STEP), b""):
            parser.Parse(step, False)
        parser.Parse(b"", True)
        self._flush()
        return pl.concat(self._done)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A tag opens."""
        local = name.rpartition(":")[2]
        if local == "si":
            self._parts = []
        elif local == "rPh":
            self._phonetic = True
        elif local == "t":
            self._takes = not self._phonetic

    def end(self, name: str) -> None:
        """A tag closes."""
        local = name.rpartition(":")[2]
        if local == "si":
            text = "".join(self._parts)
            self._texts.append(decoded(text) if "_x" in text else text)
            if len(self._texts) == self.AT_ONCE:
                self._flush()
        elif local == "rPh":
            self._phonetic = False
        elif local == "t":
            self._takes = False

    def text(self, text: str) -> None:
        """Text within a tag."""
        if self._takes:
            self._parts.append(text)

    def _flush(self) -> None:
        self._done.append(pl.Series(self._texts, dtype=pl.String))
        self._texts = []
