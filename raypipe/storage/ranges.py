"""Objects in buckets, read by byte ranges: each request is tried again where it may pass, and its length checked."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.fs as pafs

from raypipe.config import Frozen, StorageConfig
from raypipe.errors import ReadError
from raypipe.storage.address import Address, parse_address
from raypipe.storage.connect import filesystem, path_of
from raypipe.storage.faults import FAULTS, CutShort, kind_of, patiently, read_error

A = TypeVar("A")
B = TypeVar("B")

PIECE = 16 << 20
"""Bytes of one request; a longer range is fetched by several at a time."""
AT_A_TIME = 4
LOOKS_AT_A_TIME = 16
HEAD = 256 << 10
"""First bytes of an object that are kept once fetched: several questions are answered from them."""


class RemoteFile(Frozen):
    """An object: where it is, and which version of it is meant. It stands where a `Path` stands for a local file."""

    uri: str
    size: int
    version: str
    """ETag where the server has one, else the time of its last change."""
    storage: StorageConfig

    def __str__(self) -> str:
        return self.uri

    @property
    def address(self) -> Address:
        """Its address, taken apart."""
        return parse_address(self.uri)

    @property
    def name(self) -> str:
        """What stands behind the last slash."""
        return self.uri.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The end of its name, with the dot."""
        return Path(self.name).suffix


class RemoteBytes:
    """An open object, read by ranges; each is tried again where it may pass, and its length is checked.

    Parameters
    ----------
    file : RemoteFile
        What to open.
    ahead : int
        Fetch at least so many bytes, and keep them for the next reads: for reading it from one end to the other.
    """

    def __init__(self, file: RemoteFile, ahead: int = 0) -> None:
        self.file = file
        self._address, self._ahead = file.address, ahead
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._head: bytes | None = None
        try:
            fs, path = where(self._address, file.storage)
            self.handle: Any = patiently(lambda: fs.open_input_file(path), self._address, file.storage)
            self.size = int(self.handle.size())
            self.version = _version(self.handle, fs, path)
        except FAULTS as error:
            raise error_of_reading(error, self._address, file.storage) from error

    def __enter__(self) -> RemoteBytes:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self.handle.close()

    @property
    def seen(self) -> RemoteFile:
        """The object as it is now."""
        return self.file.replace(size=self.size, version=self.version)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length), as far as the object goes."""
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        if end <= min(HEAD, self.size):
            if self._head is None:
                self._head = self._fetch(0, min(HEAD, self.size))
            return self._head[offset:end]
        if self._ahead:
            return self._from_blocks(offset, end)
        return self._fetch(offset, end)

    def _from_blocks(self, offset: int, end: int) -> bytes:
        first, last = offset // self._ahead, (end - 1) // self._ahead
        data = b"".join(self._block(index) for index in range(first, last + 1))
        return data[offset - first * self._ahead : end - first * self._ahead]

    def _block(self, index: int) -> bytes:
        with self._lock:  # threads that read side by side ask for the same block
            if index not in self._blocks:
                start = index * self._ahead
                self._blocks[index] = self._fetch(start, min(start + self._ahead, self.size))
                while len(self._blocks) > AT_A_TIME:
                    self._blocks.popitem(last=False)
            return self._blocks[index]

    def _fetch(self, start: int, end: int) -> bytes:
        try:
            if end - start <= PIECE * 3 // 2:
                return self._get(start, end)
            edges = [*range(start, end, PIECE), end]
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                return b"".join(pool.map(self._get, edges[:-1], edges[1:]))
        except FAULTS as error:
            raise error_of_reading(error, self._address, self.file.storage) from error

    def _get(self, start: int, end: int) -> bytes:
        def ask() -> bytes:
            data: bytes = self.handle.read_at(end - start, start)
            if len(data) != end - start:
                raise CutShort(len(data), end - start)
            return data

        return patiently(ask, self._address, self.file.storage)


def open_as_it_was(file: RemoteFile) -> RemoteBytes:
    """Open an object; ReadError if it is not the one that was looked at."""
    opened = RemoteBytes(file)
    if (opened.size, opened.version) != (file.size, file.version):
        opened.close()
        raise ReadError(f"{file.uri}: changed while it was being read. Run again when nothing writes to it.")
    return opened


@functools.lru_cache(maxsize=64)
def look(file: RemoteFile) -> RemoteBytes:
    """An object that is being looked at: opened once for all questions. Not for reading it: it may change later."""
    return RemoteBytes(file)


def look_at_all(files: Iterable[A], question: Callable[[A], B]) -> list[B]:
    """The answers of many files, in order; objects are asked several at a time, since each answer takes a while."""
    listed = list(files)
    if len(listed) < 2 or not any(not isinstance(file, Path) for file in listed):
        return [question(file) for file in listed]
    with ThreadPoolExecutor(min(LOOKS_AT_A_TIME, len(listed))) as pool:
        return list(pool.map(question, listed))


def read_whole(uri: str, config: StorageConfig) -> bytes:
    """All bytes of a small object."""
    file = RemoteFile(uri=uri, size=0, version="", storage=config)
    with RemoteBytes(file) as opened:
        return opened.read_at(0, opened.size)


def where(address: Address, config: StorageConfig) -> tuple[pafs.FileSystem, str]:
    """The file system of an address, and what it calls it."""
    return filesystem(address, config), path_of(address)


def check_bucket(fs: pafs.FileSystem, address: Address, config: StorageConfig) -> None:
    """Raise if the bucket itself is not there: no object is found in a bucket whose name is misspelt."""
    if address.family not in ("s3", "gs", "az"):
        return
    info = patiently(lambda: fs.get_file_info(address.bucket), address, config)
    if info.type is pafs.FileType.NotFound:
        raise OSError(f"NoSuchBucket: {address.bucket}")


def error_of_reading(error: BaseException, address: Address, config: StorageConfig) -> ReadError:
    """In words; where an object is missing, it may be for want of its bucket."""
    if isinstance(error, ReadError):
        return error
    if kind_of(error) == "denied" and address.family == "s3":
        error = _told_in_full(error, address, config)
    if kind_of(error) == "missing":
        try:
            check_bucket(filesystem(address, config), address, config)
        except FAULTS as worse:
            error = worse
    return read_error(error, address, config)


def _told_in_full(error: BaseException, address: Address, config: StorageConfig) -> BaseException:
    """The refusal as the answer to a listing tells it, if credentials are at fault.

    Arrow has the answer to a GET of a range written into the memory for the range; what lay there before follows it, so
    that the code of an error is lost now and then, and any 403 is called ACCESS_DENIED.
    """
    try:
        filesystem(address, config).get_file_info(pafs.FileSelector(path_of(address), allow_not_found=True))
    except FAULTS as told:
        return told if kind_of(told) == "bad_credentials" else error
    return error


def _version(handle: Any, fs: pafs.FileSystem, path: str) -> str:
    """The ETag of what was opened, else when it was changed."""
    tag = next((value for name, value in _metadata(handle).items() if name.lower() == "etag"), None)
    if tag:
        return tag.decode("latin-1").strip('"')
    info = fs.get_file_info(path)
    return f"mtime:{info.mtime_ns}" if info.mtime is not None else ""


def _metadata(handle: Any) -> dict[str, bytes]:
    try:
        found = handle.metadata()
    except (NotImplementedError, AttributeError):  # file systems of Python have none
        return {}
    return {_text(name): value for name, value in (found or {}).items()}


def _text(name: str | bytes) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else name
