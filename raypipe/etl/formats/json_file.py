"""One JSON file before its parts are read: how it is laid out, and a sample of its records."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.formats.csv_dialect import WHOLE_FILE_LIMIT
from raypipe.etl.formats.csv_encoding import SAMPLE_BYTES, SMALL_FILE, Pieces, find_encoding, keeps_ascii
from raypipe.etl.formats.csv_layout import to_utf8
from raypipe.etl.formats.format import SourceFile
from raypipe.etl.formats.json_scan import BLANKS, Records, Walker, records_of_array, records_of_lines
from raypipe.etl.formats.json_values import DECODER, NoRecordError, as_json, record_of
from raypipe.etl.formats.tables import stamp_of
from raypipe.storage.source import ByteSource, Place, open_bytes

LARGEST_DOCUMENT = 64 << 20
"""Bytes of a document that is read as a whole: one object, or columns; also of what stands before the records."""
_SAMPLE_RECORDS = 5000
_LINES = (".jsonl", ".ndjson")

Layout = Literal["lines", "array", "columns"]


class JsonFile(SourceFile):
    """A JSON file that was looked at."""

    layout: Layout
    """lines: a record a line. array: records with commas between. columns: an object of arrays, read as a whole."""
    start: int
    """Byte where the first record may stand; in the UTF-8 text, where the file is turned into that as a whole."""
    encoding: str
    is_whole: bool
    """It is turned into a text as a whole, since its bytes cannot be cut."""
    first_line: int = 0
    """Lines before `start`."""
    is_one: bool = False
    """The document is one record."""
    dotted: tuple[str, ...] = ()
    """Keys of sampled records that have dots in them, and so look like fields of fields."""

    def raw(self, start: int, end: int) -> bytes:
        """Bytes of a range of what is cut; ReadError if the file is not the one that was looked at."""
        if not self.is_whole:
            return self.bytes_at(start, end)
        self.bytes_at(0, 1)
        return whole_text(self)[start:end]

    @property
    def part_encoding(self) -> str:
        """Encoding of what `raw` returns."""
        return "utf-8" if self.is_whole else self.encoding


@dataclass(frozen=True)
class JsonSample:
    """Some records of a file."""

    records: Records
    is_all: bool
    bytes_per_record: float
    is_marked: bool = False
    """Some bytes did not belong to the encoding."""


class _Samples(Pieces):
    """Samples of a file, whose lines may be endless: an array may stand on one."""

    def __init__(self, path: Place, source: ByteSource) -> None:
        self.path, self.size = path, source.size
        self.head = source.read_at(0, source.size if source.size <= SMALL_FILE else SAMPLE_BYTES)
        offsets = (source.size // 2 // 4 * 4, max(len(self.head), source.size - SAMPLE_BYTES) // 4 * 4)
        whole = len(self.head) >= source.size
        self.others = () if whole else tuple(source.read_at(offset, SAMPLE_BYTES) for offset in offsets)


def look_at(place: Place, options: ReadOptions) -> tuple[JsonFile, JsonSample]:
    """Layout and sample.

    Raises
    ------
    ReadError
        If the text has no record, or is no JSON from its beginning on.
    """
    source = open_bytes(place)
    try:
        pieces = _Samples(place, source)
    finally:
        source.close()
    encoding, mark = _encoding(pieces, options)
    stamp = stamp_of(place)
    if not keeps_ascii(encoding):
        text = _as_utf8(place, encoding, mark)
        file = _laid_out(place, text, options).replace(**stamp, encoding=encoding, is_whole=True)
        file = file.replace(first_line=_lines(text, file.start))
        return file, _sample(file, whole_text(file), is_all=True)
    head = _grown(place, pieces.head[mark:], pieces.size - mark)
    found = _laid_out(place, head, options)
    if found.layout == "columns" or (found.is_one and len(head) + mark < pieces.size):
        head = _grown(place, head, pieces.size - mark, pieces.size)
    file = found.replace(**stamp, encoding=encoding, start=found.start + mark, first_line=_lines(head, found.start))
    if file.layout == "columns":
        file = file.replace(is_whole=True, start=0)
        text = whole_text(file)
        return file, _sample(file, text, is_all=True)
    return file, _sample_of_pieces(file, head, pieces, mark)


def whole_text(file: JsonFile) -> bytes:
    """The text that is cut, for a file that is turned into one as a whole."""
    return _whole(file)


@functools.lru_cache(maxsize=2)
def _whole(file: JsonFile) -> bytes:
    text = _as_utf8(file.place, file.encoding, -1)
    return columns_as_lines(file.path, text) if file.layout == "columns" else text


def _as_utf8(place: Place, encoding: str, mark: int) -> bytes:
    source = open_bytes(place)
    try:
        limit = WHOLE_FILE_LIMIT
        if source.size > limit:
            raise ReadError(
                f"{place}: is read as a whole, up to {limit >> 20} MiB; it has {source.size >> 20} MiB. Write it as"
                " JSON lines in UTF-8."
            )
        raw = source.read_at(0, source.size)
    finally:
        source.close()
    text = to_utf8(raw, encoding)[0]
    return text.removeprefix("\ufeff".encode())


def _encoding(pieces: Pieces, options: ReadOptions) -> tuple[str, int]:
    """JSON is UTF-8 unless a mark or zeros say otherwise; single-byte encodings have to be asked for."""
    encoding, mark = find_encoding(pieces, options.encoding)
    known = options.encoding is not None or mark or not keeps_ascii(encoding)
    return (encoding, mark) if known else ("utf-8", 0)


def _grown(place: Place, head: bytes, size: int, wanted: int = 0) -> bytes:
    """The head, with at least one whole record or `wanted` bytes in it where the file has that within reason."""
    if len(head) >= size or (not wanted and _has_record(head)):
        return head
    source = open_bytes(place)
    try:
        mark = source.size - size
        while len(head) < size and (len(head) < wanted or not _has_record(head)):
            if len(head) >= LARGEST_DOCUMENT:
                raise ReadError(
                    f"{place}: its first record, or what stands before it, has more than {LARGEST_DOCUMENT >> 20} MiB."
                    " Name where the records are with read_options.records, or write JSON lines."
                )
            head = source.read_at(mark, min(len(head) * 4, LARGEST_DOCUMENT))
    finally:
        source.close()
    return head


def _has_record(head: bytes) -> bool:
    """Whether an object ends in it."""
    body = head.lstrip(BLANKS)
    if body[:1] == b"[":
        body = body[1:].lstrip(BLANKS)
        if body[:1] == b"]":
            return True
    return bool(body) and (body[:1] != b"{" or _end_of_first(body) is not None)


def _end_of_first(body: bytes) -> int | None:
    """The byte behind the first object."""
    codes = np.frombuffer(body, np.uint8)
    walker = Walker()
    walker.depth = -1  # the bracket that opens it leads to 0, and the one that closes it below
    found = walker.feed(codes[:1])
    found = walker.feed(codes[1:])
    return None if found.end is None else found.end + 2


def _laid_out(place: Place, head: bytes, options: ReadOptions) -> JsonFile:
    """Layout, and where the first record may stand; other fields are still to be filled."""
    body = head.lstrip(BLANKS)
    at = len(head) - len(body)
    if not body:
        raise ReadError(f"{place}: has no row, only blanks.")
    suffix = place.suffix.lower()
    if suffix in _LINES and options.records is None and not (body[:1] == b"[" and not _looks_like_lines(body)):
        return _file(place, "lines", 0)
    if body[:1] == b"[":
        if options.records is not None:
            raise ConfigError(f"read_options.records: {place} is an array itself; leave records out.")
        return _file(place, "array", at + 1)
    if body[:1] != b"{":
        raise ReadError(
            f"{place}: is no JSON table: it begins with {body[:20].decode('utf-8', 'replace')!r}, wanted {{ or [."
        )
    if options.records is None and _looks_like_lines(body):
        return _file(place, "lines", 0)
    return _document(place, head, at, options)


def _file(place: Place, layout: Layout, start: int, is_one: bool = False) -> JsonFile:
    return JsonFile(
        path=str(place), size=0, mtime_ns=0, layout=layout, start=start, encoding="utf-8", is_whole=False, is_one=is_one
    )


def _looks_like_lines(body: bytes) -> bool:
    """Whether another object follows the first, or lines are whole objects."""
    if body[:1] == b"{":
        end = _end_of_first(body)
        if end is not None:
            return body[end:].lstrip(BLANKS)[:1] == b"{"
    lines = [line.strip(BLANKS) for line in body[:SAMPLE_BYTES].split(b"\n")[:20]]
    return sum(line[:1] == b"{" and line[-1:] == b"}" for line in lines) >= 2


def _document(place: Place, head: bytes, at: int, options: ReadOptions) -> JsonFile:
    """One object: with an array of records in it, an object of arrays, or a record itself."""
    text = head.decode("utf-8", "replace")
    at = len(head[:at].decode("utf-8", "replace"))
    wanted = options.records.split(".") if options.records else None
    names = list[str]()
    for name, value in _members(text, at):
        names.append(name)
        first = text[value : value + 200].lstrip()
        if wanted is not None and name == wanted[0]:
            found = _descend(text, value, wanted[1:])
            if found is not None:
                note = f"rows are in {options.records!r}; what else the document holds is left out"
                return _noted(_file(place, "array", len(text[: found + 1].encode())), place, note)
            break
        if wanted is None and first.startswith("[") and first[1:].lstrip().startswith("{"):
            note = f"rows are in {name!r}; what else the document holds is left out (read_options.records names it)"
            return _noted(_file(place, "array", len(text[: value + 1].encode())), place, note)
    if wanted is not None:
        raise ReadError(f"{place}: has no array at {options.records!r}. Its fields are: {', '.join(names[:20])}.")
    return _whole_document(place, text, at, len(head))


def _whole_document(place: Place, text: str, at: int, size: int) -> JsonFile:
    starts = [text[value : value + 1] for _, value in _members(text, at)]
    if starts and all(start == "[" for start in starts):
        return _file(place, "columns", 0)
    if starts and all(start == "{" for start in starts) and _INDEXED.match(text, at):
        return _file(place, "columns", 0)
    return _file(place, "array", len(text[:at].encode()), is_one=True)


_INDEXED = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{\s*"0"\s*:')
"""As pandas writes a frame by default: {"column": {"0": …, "1": …}}."""


def _noted(file: JsonFile, place: Place, note: str) -> JsonFile:
    return file.replace(notes=(f"{place}: {note}",))


def _members(text: str, at: int) -> Iterator[tuple[str, int]]:
    """Key, and where its value starts, of each member of an object, as far as the text goes."""
    at = _skip(text, at + 1)
    while at < len(text) and text[at] == '"':
        try:
            name, at = DECODER.raw_decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                return
            at = _skip(text, at + 1)
            yield str(name), at
            _, at = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        at = _skip(text, at)
        if text[at : at + 1] != ",":
            return
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _descend(text: str, at: int, steps: list[str]) -> int | None:
    """Where the array stands that the steps lead to."""
    if not steps:
        return at if text[at : at + 1] == "[" else None
    if text[at : at + 1] != "{":
        return None
    for name, value in _members(text, at):
        if name == steps[0]:
            return _descend(text, value, steps[1:])
    return None


def columns_as_lines(path: str, text: bytes) -> bytes:
    """An object of arrays, or of objects with the same keys, as JSON lines.

    Raises
    ------
    ReadError
        If the columns do not have the same length, or the text is no JSON.
    """
    try:
        columns = {name: _cells(value) for name, value in record_of(text.decode("utf-8", "replace")).items()}
    except NoRecordError as error:
        raise ReadError(f"{path}: {error}. Mend it, or write JSON lines.") from error
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        told = ", ".join(f"{name!r} has {len(cells)}" for name, cells in list(columns.items())[:10])
        raise ReadError(f"{path}: is an object of columns, but they have different lengths: {told}. Mend it.")
    names = [as_json(name) for name in columns]
    rows = zip(*(map(as_json, cells) for cells in columns.values()), strict=True)
    return "".join(
        "{" + ",".join(f"{name}:{cell}" for name, cell in zip(names, row, strict=True)) + "}\n" for row in rows
    ).encode()


def _cells(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _lines(text: bytes, end: int) -> int:
    return text[:end].count(b"\n")


def _sample(file: JsonFile, text: bytes, is_all: bool) -> JsonSample:
    body, marked = to_utf8(text[file.start :], file.part_encoding)
    records = _records(file, body)
    size = max(1, len(text) - file.start)
    kept = min(records.count, _SAMPLE_RECORDS)
    chosen = records.chosen(np.arange(kept))
    return JsonSample(chosen, is_all and kept == records.count, size / max(1, records.count), bool(marked))


def _sample_of_pieces(file: JsonFile, head: bytes, pieces: Pieces, mark: int) -> JsonSample:
    """Records of the head; of lines also those of the middle and of the tail."""
    is_all = len(head) + mark >= pieces.size
    body = head[file.start - mark :]
    if file.layout == "lines":
        others = [piece.partition(b"\n")[2].rpartition(b"\n")[0] for piece in pieces.others] if not is_all else []
        whole = body if is_all else body.rpartition(b"\n")[0]
        body = b"\n".join([whole, *others])
    return _sample(file.replace(start=0), body, is_all)


def _records(file: JsonFile, body: bytes) -> Records:
    """Records that end within a text."""
    if file.layout in ("lines", "columns"):
        return records_of_lines(body)[0]
    if file.is_one:
        end = _end_of_first(body)
        return records_of_array(body[:end]) if end is not None else records_of_array(body)
    found = Walker().feed(np.frombuffer(body, np.uint8))
    if found.end is not None:
        return records_of_array(body[: found.end])
    last = int(found.commas[-1]) if found.commas.size else len(body)
    return records_of_array(body[:last])
