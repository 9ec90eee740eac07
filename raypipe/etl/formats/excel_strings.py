"""The table of texts that the cells of an .xlsx workbook refer to."""

from __future__ import annotations

import re
from typing import IO
from xml.parsers import expat

import polars as pl

STEP = 1 << 20
"""Bytes of XML that are looked at in one go."""
_CODED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def decoded(text: str) -> str:
    """A text with its coded characters, as `_x000D_`.

    Examples
    --------
    >>> decoded("a_x000A_b_x005F_x")
    'a\\nb_x'
    """
    return _CODED.sub(lambda hit: chr(int(hit[1], 16)), text)


def shared_texts(stream: IO[bytes]) -> pl.Series:
    """The texts that cells refer to, in their order; runs of formatted text are joined, readings left out."""
    reader = _TextReader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    for step in iter(lambda: stream.read(STEP), b""):
        parser.Parse(step, False)
    parser.Parse(b"", True)
    return reader.all()


class _TextReader:
    """Handlers of an XML parser for the table of shared texts."""

    AT_ONCE = 1 << 16

    def __init__(self) -> None:
        self._done: list[pl.Series] = []
        self._texts: list[str] = []
        self._parts: list[str] = []
        self._takes, self._phonetic = False, False

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

    def all(self) -> pl.Series:
        """What was read."""
        self._flush()
        return pl.concat(self._done)
