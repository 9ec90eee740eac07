"""Cells of a sheet from its XML without a Python object for each: tags are found, checked and cut out with numpy.

Only XML as workbooks mostly write it is understood here. Every tag has to be a known one, in a known order; where one
is not, the answer is None, and a parser of XML reads the piece instead. So this is a quick way, never another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
TYPES = ("n", "s", "str", "inlineStr", "d", "b", "e")
"""Types of cells; a cell of another type, or of none, counts as the first."""

_TAGS = (
    "row", "row/", "/row", "c", "c/", "/c", "v", "v/", "/v", "f", "f/", "/f", "is", "/is", "t", "/t", "si", "/si",
)  # fmt: skip
_CODE = {tag: code for code, tag in enumerate(_TAGS, 1)}
_BEGINS = (
    (b"row ", "row"), (b"row>", "row"), (b"/row", "/row"), (b"c r=", "c"), (b"/c>", "/c"), (b"v>", "v"),
    (b"v/>", "v/"), (b"/v>", "/v"), (b"f>", "f"), (b"f ", "f"), (b"/f>", "/f"), (b"is>", "is"), (b"/is>", "/is"),
    (b"t>", "t"), (b"t xm", "t"), (b"/t>", "/t"), (b"si>", "si"), (b"/si>", "/si"),
)  # fmt: skip
"""First bytes behind `<`, and the tag that they begin."""
_LENGTHS = (("/row", b"/row>"), ("t", b"t>"), ("t", b't xml:space="preserve">'))
_AFTER_CELL = ("c", "c/", "/row")
_IN_ROWS = {
    "row": _AFTER_CELL, "c/": _AFTER_CELL, "/c": _AFTER_CELL, "row/": ("row", "row/"), "/row": ("row", "row/"),
    "c": ("v", "v/", "f", "f/", "is", "/c"), "f": ("/f",), "/f": ("v", "v/", "is", "/c"), "f/": ("v", "v/", "is", "/c"),
    "v": ("/v",), "v/": ("/c",), "/v": ("/c",), "is": ("t",), "t": ("/t",), "/t": ("/is",), "/is": ("/c",),
}  # fmt: skip
"""Tag -> tags that may follow it in a sheet."""
_IN_TEXTS = {"si": ("t",), "t": ("/t",), "/t": ("/si",), "/si": ("si",)}
"""Tag -> tags that may follow it in the table of shared texts, where no text has parts in several formats."""
_SPACE_BEHIND = ("row", "row/", "/row", "c/", "/c", "/si")
"""Tags behind which white space means nothing."""
_TEXT_BEHIND = ("f", "v", "t")
_MAY_BE_EMPTY, _SPACE, _TEXT = (
    np.isin(np.arange(len(_TAGS) + 1), [_CODE[tag] for tag in tags])
    for tags in (("row", "c", "f"), _SPACE_BEHIND, _TEXT_BEHIND)
)
"""By code: whether a tag may be empty, whether white space or a text may follow."""
_DIGITS = 7
"""Of the number of a row; sheets have 1,048,576 of them."""
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}


@dataclass(frozen=True)
class Raw:
    """Cells as they are written, in their order."""

    rows: Ints
    columns: Ints
    types: Ints
    """Index in `TYPES` of each."""
    styles: Ints
    texts: pl.Series


@dataclass(frozen=True)
class _Tags:
    """The tags of a piece of XML."""

    codes: NDArray[np.int8]
    opens: Ints
    """Where `<` stands."""
    closes: Ints
    """Where `>` stands."""


def raw_cells(piece: bytes) -> Raw | None:
    """The cells of a piece of a sheet that hold something, or None where its XML is of an unusual form."""
    data = _padded(piece)
    tags = _tags(piece, data, _IN_ROWS)
    if tags is None or tags.codes[0] not in _codes("row", "row/") or tags.codes[-1] not in _codes("/row", "row/"):
        return None
    is_cell = (tags.codes == _CODE["c"]) | (tags.codes == _CODE["c/"])
    told = _attributes(data, tags.opens[is_cell], tags.closes[is_cell] - (tags.codes[is_cell] == _CODE["c/"]))
    if told is None or not _in_their_rows(piece, tags, is_cell, told[0]):
        return None
    values = np.flatnonzero((tags.codes == _CODE["v"]) | (tags.codes == _CODE["t"]))
    values = values[tags.opens[values + 1] - tags.closes[values] > 1]
    at = (np.cumsum(is_cell) - 1)[values]
    texts = _cut_out(piece, tags.closes[values] + 1, tags.opens[values + 1])
    rows, columns, types, styles = (one[at] for one in told)
    return Raw(rows, columns, types, styles, texts)


def raw_texts(piece: bytes) -> pl.Series | None:
    """The texts of a piece of the table of shared texts, or None where its XML is of an unusual form."""
    tags = _tags(piece, _padded(piece), _IN_TEXTS)
    if tags is None or tags.codes[0] != _CODE["si"] or tags.codes[-1] != _CODE["/si"]:
        return None
    values = np.flatnonzero(tags.codes == _CODE["t"])
    return _cut_out(piece, tags.closes[values] + 1, tags.opens[values + 1])


def numbers_at(data: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Whole numbers of at most seven digits, and how many digits stand at each place (0 to 8).

    The digits are handled as the bytes of one word: neighbours are joined in place, to pairs, fours and eights.

    Examples
    --------
    >>> numbers_at(np.frombuffer(b'<row r="1048576" s="3"' + b" " * 8, np.uint8), np.array([8, 20]))
    (array([1048576,       3]), array([7, 1]))
    """
    words = np.ndarray((max(0, data.size - 7),), np.dtype("<u8"), data.data, 0, (1,))
    word = words[at] ^ np.uint64(0x3030303030303030)
    other = ((word + np.uint64(0x0606060606060606)) | word) & np.uint64(0xF0F0F0F0F0F0F0F0)
    lowest = other & (~other + np.uint64(1))
    count = np.bitwise_count(lowest - np.uint64(1)).astype(np.int64) >> 3
    value = word << ((8 - np.maximum(count, 1)) * 8).astype(np.uint64)
    value = (value * np.uint64(10) + (value >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    value = (value * np.uint64(100) + (value >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    value = (value * np.uint64(10_000) + (value >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return value.astype(np.int64), count


def tags_named(text: bytes, name: bytes) -> Ints:
    """Where tags of a name open.

    Examples
    --------
    >>> tags_named(b'<row r="1"/><rows/><row/>', b"row")
    array([ 0, 19])
    """
    data = _padded(text)
    at = np.flatnonzero(data[: len(text)] == ord("<"))
    for offset, code in enumerate(name, 1):
        at = at[data[at + offset] == code]
    behind = data[at + len(name) + 1]
    return at[np.any([behind == code for code in b" >/\t\r\n"], axis=0)]


def numbers_behind(text: bytes, at: Ints, begin: bytes) -> Ints | None:
    """The number in quotes that follows `begin` at each place, or None where not each has one."""
    data = _padded(text)
    numbers, digits = numbers_at(data, at + len(begin))
    good = _reads(data, at, begin) & (digits > 0) & (digits <= _DIGITS)
    return numbers if bool((good & (data[at + len(begin) + digits] == ord('"'))).all()) else None


def _padded(piece: bytes) -> Bytes:
    """The bytes with some behind them, so that every place can be looked behind."""
    return np.frombuffer(piece + bytes(64), np.uint8)


def _codes(*tags: str) -> list[int]:
    return [_CODE[tag] for tag in tags]


def _tags(piece: bytes, data: Bytes, follows: Mapping[str, tuple[str, ...]]) -> _Tags | None:
    """All tags, if each is known and stands where it may."""
    size = len(piece)
    opens, closes = np.flatnonzero(data[:size] == ord("<")), np.flatnonzero(data[:size] == ord(">"))
    # A parser makes a line feed of a carriage return.
    if not opens.size or b"\r" in piece:
        return None
    if closes.size != opens.size:
        # A text may hold `>`: of several, the first one closes a tag.
        found = np.searchsorted(closes, opens)
        closes = closes[np.minimum(found, closes.size - 1)] if closes.size else opens
    if not (closes > opens).all() or not (closes[:-1] < opens[1:]).all():
        return None
    codes = _coded(data, opens, closes)
    allowed = np.zeros((len(_TAGS) + 1,) * 2, bool)
    for tag, others in follows.items():
        allowed[_CODE[tag], _codes(*others)] = True
    known = codes[0] in _codes(*follows) and bool(allowed[codes[:-1], codes[1:]].all())
    return _Tags(codes, opens, closes) if known and _nothing_between(data, size, codes, opens, closes) else None


def _coded(data: Bytes, opens: Ints, closes: Ints) -> NDArray[np.int8]:
    """Code of each tag; 0 where it is none that is known."""
    word = data[opens + 1].astype(np.uint32)
    for at in (1, 2, 3):
        word |= data[opens + 1 + at].astype(np.uint32) << np.uint32(8 * at)
    codes = np.zeros(opens.size, np.int8)
    for size in (2, 3, 4):
        first = word & np.uint32((1 << 8 * size) - 1)
        for begin, tag in _BEGINS:
            if len(begin) == size:
                codes[first == np.uint32(int.from_bytes(begin, "little"))] = _CODE[tag]
    codes += _MAY_BE_EMPTY[codes] & (data[closes - 1] == ord("/"))
    length = closes - opens
    for tag in dict.fromkeys(tag for tag, _ in _LENGTHS):
        where = np.flatnonzero(codes == _CODE[tag])
        lengths = [len(text) for one, text in _LENGTHS if one == tag]
        codes[where[np.all([length[where] != one for one in lengths], axis=0)]] = 0
    return codes


def _nothing_between(data: Bytes, size: int, codes: NDArray[np.int8], opens: Ints, closes: Ints) -> bool:
    """Whether there is nothing but white space between tags where no text may be."""
    ends = np.append(opens[1:], size)
    filled = (ends - closes > 1) & ~_TEXT[codes]
    places = np.flatnonzero(filled)
    if not places.size and not opens[0]:
        return True
    if not _SPACE[codes[places]].all():
        return False
    blank = np.cumsum((data[:size] != ord(" ")) & (data[:size] != ord("\n")) & (data[:size] != ord("\t")))
    head = not opens[0] or not blank[opens[0] - 1]
    return bool(head and (blank[ends[places] - 1] == blank[closes[places]]).all())


def _in_their_rows(piece: bytes, tags: _Tags, is_cell: Flags, rows: Ints) -> bool:
    """Whether each row says its number, and each cell says that of its row."""
    is_row = (tags.codes == _CODE["row"]) | (tags.codes == _CODE["row/"])
    numbers = numbers_behind(piece, tags.opens[is_row] + len("<row"), b' r="')
    return numbers is not None and bool((numbers[(np.cumsum(is_row) - 1)[is_cell]] - 1 == rows).all())


def _attributes(data: Bytes, opens: Ints, ends: Ints) -> tuple[Ints, Ints, Ints, Ints] | None:
    """Row, column, type and style of cells whose tags are written as `<c r="A1" s="1" t="s"`."""
    first, second, third = (data[opens + at].astype(np.int64) - 64 for at in (6, 7, 8))
    two = (second > 0) & (second <= 26)
    three = two & (third > 0) & (third <= 26)
    columns = np.where(two, first * 26 + second, first)
    columns = np.where(three, columns * 26 + third, columns)
    at = opens + 7 + two + three
    rows, digits = numbers_at(data, at)
    at += digits
    good = (data[opens + 5] == ord('"')) & (first > 0) & (first <= 26) & (digits > 0) & (digits <= _DIGITS)
    good &= data[at] == ord('"')
    at += 1
    styles, has_style = np.zeros(opens.size, np.int64), _reads(data, at, b' s="') & (at < ends)
    if has_style.any():
        number, digits = numbers_at(data, at + 4)
        good &= ~has_style | ((digits > 0) & (digits <= _DIGITS) & (data[at + 4 + digits] == ord('"')))
        styles, at = np.where(has_style, number, 0), at + np.where(has_style, 5 + digits, 0)
    types, at = _types(data, at, ends)
    return (rows - 1, columns - 1, types, styles) if bool((good & (at == ends)).all()) else None


def _types(data: Bytes, at: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Type of each cell, and where it ends."""
    types, left = np.zeros(at.size, np.int64), _reads(data, at, b' t="') & (at < ends)
    if left.any():
        for code, name in enumerate(TYPES):
            text = f' t="{name}"'.encode()
            hit = left & (at + len(text) == ends)
            where = np.flatnonzero(hit)
            where = where[_reads(data, at[where], text)]
            types[where] = code
            at[where] += len(text)
    return types, at


def _reads(data: Bytes, at: Ints, text: bytes) -> Flags:
    """Whether a text stands at each place."""
    found = np.ones(at.size, bool)
    for offset, code in enumerate(text):
        found &= data[at + offset] == code
    return found


def _cut_out(piece: bytes, starts: Ints, ends: Ints) -> pl.Series:
    """Texts [start, end) of UTF-8, with what XML writes for some characters replaced."""
    if not starts.size:
        return pl.Series([], dtype=pl.String)
    edges = np.empty(2 * starts.size, np.int64)
    edges[::2], edges[1::2] = starts, ends
    every = pa.LargeStringArray.from_buffers(edges.size - 1, pa.py_buffer(edges), pa.py_buffer(piece))
    texts: Any = pl.from_arrow(every.take(pa.array(np.arange(0, edges.size, 2))))
    return with_entities(texts) if b"&" in piece else texts


def with_entities(texts: pl.Series) -> pl.Series:
    """The texts with the five names of characters that XML knows, and numbers of characters, as these characters.

    Examples
    --------
    >>> with_entities(pl.Series(["a &lt; b", "&#65;&amp;lt;", "c"])).to_list()
    ['a < b', 'A&lt;', 'c']
    """
    from html import unescape

    where = np.flatnonzero(texts.str.contains("&", literal=True).to_numpy())
    if not where.size:
        return texts
    some = texts.gather(where)
    numbered = some.str.contains("&#", literal=True)
    plain = some.str.replace_many(list(_ENTITIES), list(_ENTITIES.values()))
    if numbered.any():
        import re

        coded = re.compile(r"&(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);")
        at = np.flatnonzero(numbered.to_numpy())
        said = [coded.sub(lambda hit: unescape(hit[0]), text) for text in some.gather(at)]
        plain = plain.scatter(at, pl.Series(said, dtype=pl.String))
    return texts.scatter(where, plain)
