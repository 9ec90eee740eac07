"""Where JSON files are cut: between lines, or between the records of an array, which is walked through once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from raypipe.errors import ReadError
from raypipe.etl.formats.json_file import JsonFile, whole_text
from raypipe.etl.formats.json_scan import BLANKS, Walker
from raypipe.etl.formats.slices import Slice
from raypipe.storage.source import ByteSource, open_bytes

_WINDOW = 64 << 10
_CHUNK = 4 << 20


class _Held:
    """A text in memory as a `ByteSource`."""

    def __init__(self, text: bytes) -> None:
        self._text, self.size = text, len(text)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._text[offset : offset + length]

    def close(self) -> None:
        """There is nothing to let go of."""


def cut_json(file: JsonFile, index: int, target: int) -> Iterator[Slice]:
    """Slices of about `target` bytes."""
    source: ByteSource = _Held(whole_text(file)) if file.is_whole else open_bytes(file.place, _CHUNK)
    try:
        cuts = list(_lines(source, file.start, target) if file.layout != "array" else _array(source, file, target))
    finally:
        source.close()
    for number, (start, end) in enumerate(cuts):
        first = file.first_line if not number else 0
        yield Slice(file=index, start=start, end=end, bytes=end - start, first_line=first)


def _lines(source: ByteSource, start: int, target: int) -> Iterator[tuple[int, int]]:
    """Ranges that end behind a line end."""
    while start < source.size:
        end = _line_end(source, min(source.size, start + target))
        yield start, end
        start = end


def _line_end(source: ByteSource, wanted: int) -> int:
    """The first place behind a line end, at or behind a place."""
    at = wanted - 1
    while at < source.size:
        window = source.read_at(at, _WINDOW)
        found = window.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(window)
        if not window:
            break
    return source.size


def _array(source: ByteSource, file: JsonFile, target: int) -> Iterator[tuple[int, int]]:
    """Ranges of records; the comma between two ranges belongs to neither."""
    walker = Walker()
    start, at, last = file.start, file.start, file.start
    if file.is_one:
        yield from _one(source, file)
        return
    while True:
        chunk = source.read_at(at, _CHUNK)
        if not chunk:
            raise ReadError(_open_ended(file, last))
        found = walker.feed(np.frombuffer(chunk, np.uint8))
        commas = found.commas + at
        while (bigger := commas[commas >= start + target]).size:
            yield start, int(bigger[0])
            start = int(bigger[0]) + 1
        last = int(commas[-1]) + 1 if commas.size else last
        if found.end is not None:
            break
        at += len(chunk)
    end = at + found.end
    if source.read_at(start, end - start).strip(BLANKS) or start > file.start:
        yield start, end
    _check_rest(source, file, end + 1)


def _one(source: ByteSource, file: JsonFile) -> Iterator[tuple[int, int]]:
    text = source.read_at(file.start, source.size - file.start)
    kept = text.rstrip(BLANKS)
    yield file.start, file.start + len(kept)


def _check_rest(source: ByteSource, file: JsonFile, end: int) -> None:
    """ReadError where an array that is the whole document does not end it."""
    if file.notes:
        return  # it stands in an object, the rest of which is left out
    rest = source.read_at(end, _CHUNK).strip(BLANKS)
    if rest:
        raise ReadError(
            f"{file.path}: goes on behind the end of its array, at byte {end:,}, with"
            f" {rest[:20].decode('utf-8', 'replace')!r}. Split it into one array a file, or write JSON lines."
        )


def _open_ended(file: JsonFile, last: int) -> str:
    return (
        f"{file.path}: its array is never closed: the file is cut off, or a quote or a bracket is missing. The last"
        f" record that was found begins at byte {last:,}. Mend it, or write JSON lines, where a bad line costs only"
        " itself."
    )
