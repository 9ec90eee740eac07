"""Where the records of a JSON text are, found from brackets, commas and quotes alone, a chunk at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Codes = NDArray[np.uint8]

_QUOTE, _ESCAPE, _COMMA = ord('"'), ord("\\"), ord(",")
_OPEN, _CLOSE, _BETWEEN = 1, 2, 3
_CLASSES = np.zeros(256, np.uint8)
_CLASSES[[ord("{"), ord("[")]] = _OPEN
_CLASSES[[ord("}"), ord("]")]] = _CLOSE
_CLASSES[_COMMA] = _BETWEEN
_STEP = np.array([0, 1, -1, 0], np.int64)
BLANKS = b" \t\r\n"
_BLANK = np.isin(np.arange(256), list(BLANKS))
_STEPS = 16


@dataclass(frozen=True)
class Found:
    """What stands outside of strings in a chunk: commas between records, and the end of all records."""

    commas: Positions
    end: int | None
    """Where the bracket stands that closes the array of records; None: not in this chunk."""


class Walker:
    """Follows strings and brackets through a text, chunk by chunk; depth 0 is between records."""

    def __init__(self) -> None:
        self.depth = 0
        self._inside = self._escaped = False

    @property
    def is_between(self) -> bool:
        """Whether the text so far ends outside of any record."""
        return not self.depth and not self._inside

    def feed(self, codes: Codes) -> Found:
        """Commas between records in the next chunk, and where the array ends."""
        quotes = self._quotes(codes)
        marks = np.flatnonzero(_CLASSES[codes])
        outside = (np.searchsorted(quotes, marks) % 2 == 1) == self._inside
        marks = marks[outside]
        kinds = _CLASSES[codes[marks]]
        depths = np.cumsum(_STEP[kinds]) + self.depth
        self._inside ^= bool(quotes.size % 2)
        ends = np.flatnonzero(depths < 0)
        if ends.size:
            marks, kinds, depths = marks[: ends[0] + 1], kinds[: ends[0] + 1], depths[: ends[0] + 1]
        self.depth = int(depths[-1]) if depths.size else self.depth
        commas = marks[(kinds == _BETWEEN) & (depths == 0)]
        return Found(commas, int(marks[-1]) if ends.size else None)

    def _quotes(self, codes: Codes) -> Positions:
        """Quotes that open or close a string."""
        quotes = np.flatnonzero(codes == _QUOTE)
        escaped, self._escaped = self._escaped, False
        slashes = np.flatnonzero(codes == _ESCAPE)
        if escaped:
            quotes, slashes = quotes[quotes != 0], slashes[slashes != 0]
        if not slashes.size:
            return quotes
        first = np.concatenate(([True], np.diff(slashes) != 1))
        starts = np.maximum.accumulate(np.where(first, np.arange(slashes.size), 0))
        escaping = slashes[(np.arange(slashes.size) - starts) % 2 == 0]
        self._escaped = bool(escaping[-1] == codes.size - 1)
        return quotes[~np.isin(quotes, escaping + 1)] if quotes.size else quotes


@dataclass(frozen=True)
class Records:
    """A part as records: `body` holds each between line ends, where they stand, and the text line each begins in."""

    body: bytes
    starts: Positions
    ends: Positions
    lines: Positions
    total_lines: int

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.starts.size)

    def text(self, index: int) -> bytes:
        """One record."""
        return self.body[int(self.starts[index]) : int(self.ends[index])]

    def chosen(self, which: Positions) -> Records:
        """Some of them."""
        return Records(self.body, self.starts[which], self.ends[which], self.lines[which], self.total_lines)


def records_of_lines(body: bytes) -> tuple[Records, int]:
    """One record a line; also how many blank lines there are."""
    codes = np.frombuffer(body, np.uint8)
    breaks = np.flatnonzero(codes == ord("\n"))
    starts = np.concatenate(([0], breaks + 1)) if codes.size else np.zeros(0, np.int64)
    ends = np.concatenate((breaks, [codes.size])) if codes.size else np.zeros(0, np.int64)
    if starts.size and starts[-1] == codes.size:
        starts, ends = starts[:-1], ends[:-1]
    lines = np.arange(starts.size)
    starts, ends = _trimmed(codes, starts, ends)
    full = ends > starts
    return Records(body, starts[full], ends[full], lines[full], int(lines.size)), int((~full).sum())


def records_of_array(body: bytes) -> Records:
    """Records between commas; an empty one is where two commas follow each other."""
    codes = np.frombuffer(bytearray(body), np.uint8)
    breaks = np.flatnonzero(codes == ord("\n"))
    if not body.strip(BLANKS):
        none = np.zeros(0, np.int64)
        return Records(body, none, none, none, int(breaks.size))
    commas = Walker().feed(codes).commas
    starts, ends = np.concatenate(([0], commas + 1)), np.concatenate((commas, [codes.size]))
    codes[commas] = ord("\n")
    starts, ends = _trimmed(codes, starts, ends)
    return Records(codes.tobytes(), starts, ends, np.searchsorted(breaks, starts), int(breaks.size))


def _trimmed(codes: Codes, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
    """Ranges without the blanks at their edges: a few steps for all at once, then the rest of long runs one by one."""
    starts, ends = starts.astype(np.int64), ends.astype(np.int64)
    if not codes.size:
        return starts, ends
    for _ in range(_STEPS):
        left = (starts < ends) & _BLANK[codes[np.minimum(starts, codes.size - 1)]]
        right = (starts < ends) & _BLANK[codes[np.maximum(ends - 1, 0)]]
        if not left.any() and not right.any():
            return starts, ends
        starts, ends = starts + left, ends - (right & (starts + left < ends))
    for index in np.flatnonzero(left | right).tolist():
        text = codes[starts[index] : ends[index]].tobytes()
        starts[index] = ends[index] - len(text.lstrip(BLANKS))
        ends[index] = starts[index] + len(text.strip(BLANKS))
    return starts, ends
