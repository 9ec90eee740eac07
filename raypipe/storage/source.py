"""One way to read local files and objects: by byte ranges. Local files keep their direct way."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Protocol

from raypipe.storage.packed import PackedFile, unpacked
from raypipe.storage.ranges import RemoteBytes, RemoteFile

Place = Path | RemoteFile | PackedFile
"""A file to read."""


class ByteSource(Protocol):
    """Bytes that can be asked for by range, from several threads."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), as far as they go."""

    def close(self) -> None:
        """Let go of it."""


class LocalBytes:
    """An open local file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._fd).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), as far as the file goes."""
        data = os.pread(self._fd, length, offset)
        while 0 < len(data) < length:  # a call reads at most 2 GiB
            more = os.pread(self._fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def open_bytes(place: Place, ahead: int = 0) -> ByteSource:
    """Open a file for reading by ranges.

    Parameters
    ----------
    ahead : int
        For an object that is read from one end to the other: bytes to fetch at a time.
    """
    if isinstance(place, PackedFile):
        return unpacked(place)
    return RemoteBytes(place, ahead) if isinstance(place, RemoteFile) else LocalBytes(place)


def size_of(place: Place) -> int:
    """Bytes of a file, as it lies there: of a compressed one before it is unpacked."""
    if isinstance(place, PackedFile):
        return place.packed_size
    return place.size if isinstance(place, RemoteFile) else place.stat().st_size


class SeekableBytes(io.RawIOBase):
    """A `ByteSource` as a Python file, for libraries that want one."""

    def __init__(self, source: ByteSource) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._source.size - self._at if size is None or size < 0 else size
        data = self._source.read_at(self._at, max(0, wanted))
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()
