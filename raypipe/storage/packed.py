"""Compressed files: what they hold, as bytes that can be asked for by range.

A compressed file can only be read from its beginning. The driver, which looks here and there and cuts, unpacks it once:
into memory while it is small, else into a file without a name, which takes no place once this process ends, however it
ends. A worker reads on from where its last part ended, and so unpacks each file once a pass, without a copy.
"""

from __future__ import annotations

import bz2
import errno
import functools
import io
import lzma
import shutil
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa

from raypipe.config import Frozen
from raypipe.errors import ReadError
from raypipe.storage.ranges import RemoteBytes, RemoteFile, look, open_as_it_was

Codec = Literal["gzip", "bzip2", "xz", "zstd", "zip"]
MAGIC: tuple[tuple[bytes, Codec], ...] = (
    (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
)  # fmt: skip
SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd", ".zip")
HELD = 8 << 20
"""Bytes of an unpacked file that are held in memory; more go to disk."""
RESERVE = 256 << 20
"""Bytes that unpacking leaves free on the disk."""
_PIECE = 1 << 20
_CHECK = 64 << 20
_AHEAD = 8 << 20
_FAULTS = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException, ValueError, RuntimeError)


class PackedFile(Frozen):
    """A compressed file. It stands where a `Path` stands for a plain one, and is read as what it holds."""

    inner: Path | RemoteFile
    codec: Codec
    packed_size: int
    mtime_ns: int = 0
    member: str | None = None
    """Of a zip file: the one file in it."""

    def __str__(self) -> str:
        return str(self.inner)

    @property
    def name(self) -> str:
        """The name of what it holds."""
        if self.member is not None:
            return self.member.rpartition("/")[2]
        name = self.inner.name
        return name.rpartition(".")[0] if name.lower().endswith(SUFFIXES) else name

    @property
    def title(self) -> str:
        """What it is, in words."""
        return f"{'an' if self.codec == 'xz' else 'a'} {self.codec} file"

    @property
    def suffix(self) -> str:
        """The end of that name, with the dot."""
        return Path(self.name).suffix

    def check_unchanged(self) -> None:
        """ReadError if it is not the one that was looked at; objects are checked when they are opened."""
        if isinstance(self.inner, Path):
            stat = self.inner.stat()
            if (stat.st_size, stat.st_mtime_ns) != (self.packed_size, self.mtime_ns):
                raise ReadError(f"{self}: changed while it was being read. Run again when nothing writes to it.")


def packed(place: Path | RemoteFile, head: bytes) -> PackedFile | None:
    """The compressed file that a file is by its first bytes; None where it is none, or an office document.

    Raises
    ------
    ReadError
        If it is a zip file with several files in it, or a damaged one.
    """
    codec = next((codec for magic, codec in MAGIC if head.startswith(magic)), None)
    if codec is None:
        return None
    if isinstance(place, RemoteFile):
        seen = look(place).seen
        found = PackedFile(inner=seen, codec=codec, packed_size=seen.size)
    else:
        stat = place.stat()
        found = PackedFile(inner=place, codec=codec, packed_size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    return _with_member(found) if codec == "zip" else found


def _with_member(file: PackedFile) -> PackedFile | None:
    try:
        with _opened(file.inner) as raw, zipfile.ZipFile(raw) as archive:
            names = archive.namelist()
    except (*_FAULTS, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ReadError(f"{file}: is a damaged zip file, or was cut off. Copy it again. ({error})") from error
    if {"[Content_Types].xml", "mimetype"} & set(names):
        return None
    held = [name for name in names if not name.endswith("/") and not _is_hidden(name)]
    if len(held) != 1:
        told = ", ".join(held[:5]) + (", …" if len(held) > 5 else "")
        raise ReadError(
            f"{file}: is a zip file with {len(held)} files in it{': ' + told if held else ''}; one can be read where"
            " it lies. Unpack it: unzip FILE -d FOLDER, and name the folder."
        )
    return file.replace(member=held[0])


def _is_hidden(name: str) -> bool:
    return any(step[:1] == "." or step == "__MACOSX" for step in name.split("/"))


class _Bytes(io.RawIOBase):
    """An object as a Python file, read from one end to the other."""

    def __init__(self, source: RemoteBytes) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._source.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


def _opened(place: Path | RemoteFile) -> IO[bytes]:
    if isinstance(place, RemoteFile):
        open_as_it_was(place).close()
        return io.BufferedReader(_Bytes(RemoteBytes(place, _AHEAD)), _PIECE)
    return place.open("rb")


def unpacking(file: PackedFile) -> Generator[bytes, None, None]:
    """What the file holds, piece by piece; at its end it was checked.

    Raises
    ------
    ReadError
        If it is cut off or damaged; also where only bytes behind its end are.
    """
    file.check_unchanged()
    done = 0
    with _opened(file.inner) as raw:
        try:
            for piece in _PIECES[file.codec](raw, file):
                done += len(piece)
                if piece:
                    yield piece
        except GeneratorExit:
            raise  # here, since at the end of the interpreter the other classes may be gone already
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):  # a zip file may send its reader to places before its start
                raise
            raise ReadError(_broken(file, done, error)) from error
        except _FAULTS as error:
            raise ReadError(_broken(file, done, error)) from error


def _broken(file: PackedFile, done: int, error: Exception) -> str:
    said = (str(error).strip() or "it ends too early").splitlines()[0]
    return (
        f"{file}: is {file.title} that is cut off or damaged: what it holds cannot be read behind byte {done:,}"
        f" of it. Copy it again. ({said})"
    )


def _streams(raw: IO[bytes], start: Callable[[], Any]) -> Iterator[bytes]:
    """All members of a file, one after the other; zeros may fill it up."""
    data = raw.read(_PIECE)
    while data:
        unpacker = start()
        while not unpacker.eof:
            if unpacker.needs_input and not data and not (data := raw.read(_PIECE)):
                raise EOFError("it ends too early")
            yield unpacker.decompress(data, _PIECE)
            data = b""
        data = unpacker.unused_data or raw.read(_PIECE)
        while data and not data.strip(b"\0"):
            data = raw.read(_PIECE)
        data = data.lstrip(b"\0")


class _Zlib:
    """zlib's decompressor with the manners of bz2's."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._kept = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._kept

    def decompress(self, data: bytes, most: int) -> bytes:
        made = self._inner.decompress(self._kept + data, most)
        self._kept = self._inner.unconsumed_tail
        return made


def _zstd(raw: IO[bytes], file: PackedFile) -> Iterator[bytes]:
    with pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _zip(raw: IO[bytes], file: PackedFile) -> Iterator[bytes]:
    with zipfile.ZipFile(raw) as archive, archive.open(str(file.member)) as member:
        while piece := member.read(_PIECE):
            yield piece


_PIECES: dict[Codec, Callable[[IO[bytes], PackedFile], Iterator[bytes]]] = {
    "gzip": lambda raw, _: _streams(raw, _Zlib),
    "bzip2": lambda raw, _: _streams(raw, bz2.BZ2Decompressor),
    "xz": lambda raw, _: _streams(raw, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
    "zstd": _zstd,
    "zip": _zip,
}


class UnpackedBytes:
    """An unpacked file, whole: any range of it, from several threads."""

    def __init__(self, file: PackedFile) -> None:
        self._lock = threading.Lock()
        self._store = tempfile.SpooledTemporaryFile(HELD)  # noqa: SIM115  # lives as long as this value
        self.size = 0
        try:
            self._fill(file)
        except BaseException:
            self._store.close()
            raise

    def _fill(self, file: PackedFile) -> None:
        checked = HELD - _CHECK
        for piece in unpacking(file):
            if self.size + len(piece) > checked + _CHECK:
                checked = self.size
                _check_room(file, self.size)
            self._store.write(piece)
            self.size += len(piece)

    def __del__(self) -> None:
        self._store.close()

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), as far as they go."""
        with self._lock:
            self._store.seek(offset)
            return self._store.read(length)

    def close(self) -> None:
        """It is kept for whoever looks next."""


def _check_room(file: PackedFile, done: int) -> None:
    """ReadError where the disk has no room for more."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < RESERVE + _CHECK:
        raise ReadError(
            f"{file}: holds more than {done >> 20:,} MiB, and {folder} has only {free >> 20:,} MiB left to unpack it."
            " Set TMPDIR to a folder with more room, or unpack the file yourself."
        )


@functools.lru_cache(maxsize=4)
def unpacked(file: PackedFile) -> UnpackedBytes:
    """The file, unpacked once for several questions."""
    return UnpackedBytes(file)


class _Forward:
    """An unpacked file that is read from its beginning to its end; going back begins again."""

    def __init__(self, file: PackedFile) -> None:
        self._file, self._lock = file, threading.Lock()
        self._restart()

    def _restart(self) -> None:
        self._pieces, self._at, self._piece = unpacking(self._file), 0, b""

    def read_at(self, start: int, end: int) -> bytes:
        with self._lock:
            self._file.check_unchanged()
            if start < self._at:
                self._restart()
            try:
                return self._read(start, end)
            except BaseException:
                self._restart()
                raise

    def _read(self, start: int, end: int) -> bytes:
        kept = []
        while self._at < end:
            if not self._piece:
                self._piece = next(self._pieces, b"")
                if not self._piece:
                    break
            lo = min(max(0, start - self._at), len(self._piece))
            hi = min(end - self._at, len(self._piece))
            kept.append(self._piece[lo:hi])
            self._piece, self._at = self._piece[hi:], self._at + hi
        return b"".join(kept)


@functools.lru_cache(maxsize=4)
def _forward(file: PackedFile) -> _Forward:
    return _Forward(file)


def read_packed(file: PackedFile, start: int, end: int) -> bytes:
    """Bytes [start, end) of what the file holds. Cheap where ranges are asked for in order."""
    return _forward(file).read_at(start, end)
