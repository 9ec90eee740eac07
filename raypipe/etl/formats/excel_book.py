"""Workbooks: which kind a file is, which sheets it has, and what their cells look like.

.xlsx and .xlsm are read by ourselves, as a stream; .xls, .xlsb and .ods by calamine, a sheet at a time.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, Literal, Protocol
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

import numpy as np
import polars as pl

from raypipe._optional import require_extra
from raypipe.config import Frozen
from raypipe.errors import ConfigError, RaypipeError, ReadError
from raypipe.etl.formats.calamine_apart import require_harmless, require_harmless_bytes
from raypipe.etl.formats.excel_cells import STYLES, style_of
from raypipe.etl.formats.excel_strings import shared_texts
from raypipe.etl.formats.excel_xml import Grammar
from raypipe.etl.wording import listed, shown
from raypipe.storage.ranges import RemoteFile
from raypipe.storage.source import Place, open_bytes

Kind = Literal["xlsx", "xlsb", "xls", "ods"]
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OLE_HEAD = 1 << 20
AHEAD = 1 << 20
DAMAGE = (zipfile.BadZipFile, zlib.error, ExpatError, ElementTree.ParseError, EOFError, LookupError, ValueError)
"""What a damaged workbook makes of the standard library."""


class Sheet(Frozen):
    """One sheet of a workbook."""

    name: str
    member: str = ""
    """.xlsx: where its cells are in the archive."""
    hidden: bool = False


class ByteStream(io.RawIOBase):
    """A file or an object in a bucket, to be read from anywhere; it closes itself when nobody holds it any more."""

    def __init__(self, place: Place) -> None:
        self.source, self._at = open_bytes(place, AHEAD), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.source.size}[whence]
        if base + offset < 0:
            raise zipfile.BadZipFile(f"it points to byte {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self.source.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self.source.close()
        super().close()


def open_file(place: Place) -> IO[bytes]:
    """The bytes of a workbook as a file."""
    return io.BufferedReader(ByteStream(place), 1 << 16)


def kind_of_book(place: Place) -> Kind:
    """Which kind of workbook a file is, by its content.

    Raises
    ------
    ReadError
        If it is encrypted, damaged, or no workbook.
    """
    with open_file(place) as file:
        head = file.read(len(OLE))
        if head.startswith(OLE):
            if _ENCRYPTED in head + file.read(_OLE_HEAD):
                raise ReadError(encrypted(place))
            return "xls"
        try:
            names = set(zipfile.ZipFile(file).namelist())
        except DAMAGE as error:
            raise ReadError(damaged(place, error)) from error
        if "xl/workbook.bin" in names:
            return "xlsb"
        if "mimetype" in names and "content.xml" in names:
            return "ods"
    if "[Content_Types].xml" in names and any("workbook" in name or name.startswith("xl/") for name in names):
        return "xlsx"
    raise ReadError(f"{place}: is a zip archive, but no workbook. Unpack it, and name what is in it.")


def encrypted(place: object) -> str:
    """That a workbook wants a password."""
    return f"{place}: is encrypted. Open it in Excel or LibreOffice, save it without a password, and read that file."


def damaged(place: object, error: BaseException) -> str:
    """That a workbook cannot be read."""
    said = (str(error).splitlines() or [""])[0]
    return f"{place}: cannot be read as a workbook: it is damaged or cut off ({said}). Save it again, or fetch it anew."


@contextlib.contextmanager
def readable(place: object) -> Iterator[None]:
    """What a damaged workbook raises, as a ReadError."""
    try:
        yield
    except RaypipeError:
        raise
    except DAMAGE as error:
        raise ReadError(damaged(place, error)) from error


class Package:
    """An open .xlsx or .xlsm file."""

    def __init__(self, place: Place) -> None:
        self._file = open_file(place)
        self._zip = zipfile.ZipFile(self._file)
        self._names = {name.lower(): name for name in self._zip.namelist()}
        book = self._related("", "officeDocument")[0][1]
        self._parts = {kind: target for kind, target, _ in self._relations(book)}
        self.sheets, self.date1904 = self._book(book)

    def close(self) -> None:
        """Let go of it."""
        self._zip.close()
        self._file.close()

    def open(self, member: str) -> IO[bytes]:
        """A part of the archive; names count without regard to case."""
        try:
            return self._zip.open(self._names[member.lower()])
        except RuntimeError as error:  # it is encrypted, or packed in a way that zipfile does not know
            raise zipfile.BadZipFile(str(error)) from error

    def grammar(self, prefix: str) -> Grammar:
        """What it takes to understand the cells of a sheet."""
        texts = pl.Series([], dtype=pl.String)
        with contextlib.suppress(KeyError):
            texts = shared_texts(functools.partial(self.open, self._parts["sharedStrings"]))
        return Grammar(prefix, self._styles(), texts)

    def _book(self, member: str) -> tuple[tuple[Sheet, ...], bool]:
        targets = {name: (kind, target) for kind, target, name in self._relations(member)}
        sheets, date1904 = [], False
        for tag, attributes in _tags(self.open(member)):
            if tag == "workbookPr":
                date1904 = attributes.get("date1904", "0").lower() in ("1", "true")
            elif tag == "sheet":
                relation = next((value for name, value in attributes.items() if name.endswith("}id")), "")
                kind, target = targets.get(relation, ("", ""))
                if kind == "worksheet":
                    hidden = attributes.get("state", "visible") != "visible"
                    sheets.append(Sheet(name=attributes.get("name", ""), member=target, hidden=hidden))
        return tuple(sheets), date1904

    def _styles(self) -> np.ndarray[Any, Any]:
        """Class of a number for each style."""
        if self._parts.get("styles", "").lower() not in self._names:
            return np.zeros(0, np.int8)
        codes: dict[int, str] = {}
        classes: list[int] = []
        inside = False
        for tag, attributes in _tags(self.open(self._parts["styles"])):
            if tag == "numFmt" and "numFmtId" in attributes:
                codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
            elif tag in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
                inside = tag == "cellXfs"
            elif tag == "xf" and inside:
                number = int(attributes.get("numFmtId", 0))
                classes.append(STYLES[style_of(number, codes.get(number))])
        return np.array(classes, np.int8)

    def _related(self, member: str, wanted: str) -> list[tuple[str, str, str]]:
        found = [relation for relation in self._relations(member) if relation[0] == wanted]
        if not found:
            raise ValueError(f"it names no {wanted}")
        return found

    def _relations(self, member: str) -> list[tuple[str, str, str]]:
        """Kind, member and id of what a part of the archive refers to."""
        folder, _, name = member.rpartition("/")
        found = []
        with contextlib.suppress(KeyError), self.open(posixpath.join(folder, "_rels", f"{name}.rels")) as stream:
            for tag, attributes in _tags(stream):
                if tag == "Relationship" and attributes.get("TargetMode") != "External":
                    target = posixpath.normpath(posixpath.join("/", folder, attributes["Target"])).lstrip("/")
                    found.append((attributes["Type"].rpartition("/")[2], target, attributes["Id"]))
        return found


def _tags(stream: IO[bytes]) -> Iterator[tuple[str, dict[str, str]]]:
    """Local name and attributes of each tag, in the order in which they open."""
    for _, element in ElementTree.iterparse(stream, events=("start",)):
        yield element.tag.rpartition("}")[2], dict(element.attrib)


class PanicsTold:
    """Turns a panic of calamine, which is no `Exception`, into a ReadError: damaged workbooks make it panic."""

    def __init__(self, place: object) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # Each library in Rust has a class of that name of its own, which can only be had by catching one.
        if error is not None and kind is not None and kind.__name__ == "PanicException":
            raise ReadError(damaged(self._place, error)) from error


class CalamineSheet(Protocol):
    """What we use of calamine's sheets."""

    start: tuple[int, int] | None
    height: int
    merged_cell_ranges: list[tuple[tuple[int, int], tuple[int, int]]] | None

    def iter_rows(self) -> Iterator[list[Any]]:
        """Rows with their cells."""


def load_calamine(place: Place) -> Any:
    """A workbook that calamine reads.

    Raises
    ------
    ReadError
        If it is encrypted or damaged.
    """
    calamine = require_extra("excel", by=f"{place}")
    try:
        with PanicsTold(place):
            if isinstance(place, RemoteFile):
                with open_file(place) as file:
                    content = file.read()
                require_harmless_bytes(content, place)
                return calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
            require_harmless(place)
            return calamine.CalamineWorkbook.from_path(str(place))
    except calamine.PasswordError as error:
        raise ReadError(encrypted(place)) from error
    except calamine.CalamineError as error:
        raise ReadError(damaged(place, error)) from error


def load_sheet(book: Any, sheet: Sheet, place: object) -> Any:
    """A sheet of a workbook that calamine reads, loaded whole; ReadError if it is damaged."""
    calamine = require_extra("excel", by=f"{place}")
    try:
        with PanicsTold(place):
            return book.get_sheet_by_name(sheet.name)
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise ReadError(damaged(place, error)) from error


def sheets_of(book: Any) -> tuple[Sheet, ...]:
    """The sheets with cells of a workbook that calamine reads."""
    calamine = require_extra("excel", by="a workbook")
    return tuple(
        Sheet(name=sheet.name, hidden=sheet.visible != calamine.SheetVisibleEnum.Visible)
        for sheet in book.sheets_metadata
        if sheet.typ == calamine.SheetTypeEnum.WorkSheet
    )


def named_sheet(sheets: tuple[Sheet, ...], wanted: str | int, place: object) -> Sheet:
    """The sheet of a name, or of a number counted from 1.

    Raises
    ------
    ConfigError
        If there is none.
    """
    names = [sheet.name for sheet in sheets]
    if isinstance(wanted, int):
        if 1 <= wanted <= len(sheets):
            return sheets[wanted - 1]
        raise ConfigError(
            f"read_options.sheet: {place} has {len(sheets)} sheets, counted from 1, got {wanted}: {_all(names)}."
        )
    if wanted in names:
        return sheets[names.index(wanted)]
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    close = difflib.get_close_matches(wanted.strip().lower(), by_lower, n=1)
    hint = f" Did you mean {by_lower[close[0]]!r}?" if close else ""
    raise ConfigError(f"read_options.sheet: {place} has no sheet {shown(wanted)}. It has: {_all(names)}.{hint}")


def _all(names: list[str]) -> str:
    return listed(names, 12)
