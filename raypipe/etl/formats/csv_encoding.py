"""Which encoding a text file is in, told from samples of it."""

from __future__ import annotations

import codecs

import numpy as np

from raypipe.errors import ConfigError, ReadError
from raypipe.storage.source import ByteSource, Place

SAMPLE_BYTES = 256 << 10
SMALL_FILE = 1 << 20
"""Files up to this size are their own sample, in bytes."""
LONGEST_LINE = 64 << 20
"""The head grows up to this size in search of a second line, in bytes."""
GUESSED = ("cp1252", "latin-1")
"""Encodings that are assumed where a file is not UTF-8: every byte means something in them."""

_MIN_SHARE = 0.5
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZERO_SHARE = 0.3
_LF = ord("\n")
_SAME_BYTES = ("utf-8", "euc_jp", "euc_kr", "euc-jp", "euc-kr", "gb2312")


class Pieces:
    """Samples of a file: its head, and pieces from the middle and the tail where it is not small."""

    def __init__(self, path: Place, source: ByteSource) -> None:
        self.path, self.size = path, source.size
        self.head = _read_head(source, path)
        self.others: tuple[bytes, ...] = ()
        self.tail_start = 0
        if len(self.head) < self.size:
            offsets = (self.size // 2 // 4 * 4, max(len(self.head), self.size - SAMPLE_BYTES) // 4 * 4)
            self.tail_start = offsets[-1]
            self.others = tuple(source.read_at(offset, SAMPLE_BYTES + 4) for offset in offsets)

    @property
    def is_whole(self) -> bool:
        """Whether the head is the whole file."""
        return len(self.head) >= self.size


def _read_head(source: ByteSource, path: Place) -> bytes:
    """The first bytes: at least two line ends, where the file has them within reason."""
    size = source.size
    head = source.read_at(0, size if size <= SMALL_FILE else SAMPLE_BYTES)
    while len(head) < min(size, LONGEST_LINE) and max(head.count(b"\n"), head.count(b"\r")) < 2:
        more = source.read_at(len(head), len(head))
        if not more:
            break
        head += more
    if len(head) >= LONGEST_LINE and not (b"\n" in head or b"\r" in head):
        raise ReadError(f"{path}: has no line end in its first {LONGEST_LINE >> 20} MiB; it is no table of text lines.")
    return head


def keeps_ascii(encoding: str) -> bool:
    """Whether ASCII characters stand for themselves in it, and their bytes for nothing else."""
    if encoding in _SAME_BYTES:
        return True
    try:
        table = bytes(range(256)).decode(encoding, "replace")
    except (UnicodeError, LookupError):
        return False
    return len(table) == 256 and table[:128] == bytes(range(128)).decode("ascii")


def find_encoding(pieces: Pieces, wanted: str | None) -> tuple[str, int]:
    """Codec and length of the byte order mark: as wanted, else by mark, zeros, strict UTF-8, and cp1252 at last.

    Raises
    ------
    ConfigError
        If `wanted` is no codec for text.
    ReadError
        If the head cannot be read in the wanted encoding.
    """
    mark = next(((name, len(bom)) for bom, name in _BOMS if pieces.head.startswith(bom)), None)
    if wanted is not None:
        return _check_wanted(pieces, wanted, mark)
    if mark is not None:
        return mark
    zeros = _zero_pattern(pieces.head)
    if zeros is not None:
        return zeros, 0
    if all(
        _is_utf8(piece, whole)
        for piece, whole in ((pieces.head, pieces.is_whole), *((p, False) for p in pieces.others))
    ):
        return "utf-8", 0
    return _single_byte(pieces), 0


def _check_wanted(pieces: Pieces, wanted: str, mark: tuple[str, int] | None) -> tuple[str, int]:
    try:
        name = codecs.lookup(wanted).name
        "".encode(name)
    except LookupError as error:
        raise ConfigError(
            f"encoding: {wanted!r} is no text encoding that Python knows. Try 'utf-8', 'utf-16', 'cp1252' or 'latin-1',"
            " or leave it out to have it found."
        ) from error
    if name in ("utf-16", "utf-32"):
        name = mark[0] if mark and mark[0].startswith(name) else f"{name}-le"
    name = "utf-8" if name == "utf-8-sig" else name
    start = mark[1] if mark and mark[0] == name else 0
    wide = name.startswith(("utf-16", "utf-32"))
    usable = (pieces.head[start : len(pieces.head) // 4 * 4] if wide else pieces.head[start:]) or pieces.head
    lines = usable.decode(name, "replace").splitlines() or [""]
    broken = sum("\ufffd" in line for line in lines)
    if broken > len(lines) * _MIN_SHARE or (wide and start == 0 and _zero_pattern(pieces.head) is None):
        found, _ = find_encoding(pieces, None)
        raise ReadError(
            f"{pieces.path}: is not written in {wanted!r}; it looks like {found!r}."
            f" Set encoding={found!r}, or leave it out."
        )
    return name, start


def _zero_pattern(head: bytes) -> str | None:
    """UTF-16 without a mark: plain text in it has a zero in every second byte."""
    codes = np.frombuffer(head[: len(head) // 2 * 2], np.uint8)
    if not codes.size:
        return None
    high, low = codes[0::2], codes[1::2]
    for name, zero, other in (("utf-16-le", low, high), ("utf-16-be", high, low)):
        if (zero == 0).mean() > _ZERO_SHARE and (other == 0).mean() < _ZERO_SHARE / 10:
            ends, stray = int(((other == _LF) & (zero == 0)).sum()), int((zero == _LF).sum())
            return name if ends >= stray else None
    return None


def _is_utf8(piece: bytes, whole: bool) -> bool:
    """Whether the piece is UTF-8; a character may be cut off at either edge of a sample."""
    lead = 0
    if not whole:
        while lead < min(4, len(piece)) and 0x80 <= piece[lead] < 0xC0:
            lead += 1
    try:
        codecs.utf_8_decode(piece[lead:], "strict", whole)
    except UnicodeDecodeError:
        return False
    return True


def _single_byte(pieces: Pieces) -> str:
    """cp1252, the most frequent by far; latin-1 where bytes appear that cp1252 leaves open.

    A sample that is UTF-8 but for a few bytes stays UTF-8, so that the lines at fault can be told.
    """
    sample = b"".join((pieces.head, *pieces.others))
    high = np.frombuffer(sample, np.uint8) >= 0x80
    wrong = sample.decode("utf-8", "replace").count("\ufffd")
    if wrong * 10 < int(high.sum()):
        return "utf-8"
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"
