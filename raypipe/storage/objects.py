"""Objects in buckets: found, looked at, read by byte ranges, written whole, removed."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from raypipe.config import Frozen, StorageConfig
from raypipe.errors import OutputError, ReadError
from raypipe.storage.address import Address, parse_address
from raypipe.storage.connect import filesystem, path_of
from raypipe.storage.faults import FAULTS, CutShort, kind_of, output_error, patiently, read_error

A = TypeVar("A")
B = TypeVar("B")

PIECE = 16 << 20
"""Bytes of one request; a longer range is fetched by several at a time."""
AT_A_TIME = 4
LOOKS_AT_A_TIME = 16
HEAD = 256 << 10
"""First bytes of an object that are kept once fetched: several questions are answered from them."""
CHUNK = 8 << 20


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


class RemoteFolder(Frozen):
    """A folder in a bucket: what the addresses of its objects begin with."""

    uri: str
    storage: StorageConfig

    def __str__(self) -> str:
        return self.uri

    def address(self, name: str) -> Address:
        """Of the object with this name."""
        return parse_address(self.uri).below(name)

    def below(self, name: str) -> RemoteFolder:
        """A folder in it."""
        return self.replace(uri=str(self.address(name)))


@dataclass(frozen=True)
class Entry:
    """What a listing says of one object or folder."""

    uri: str
    key: str
    """Behind the bucket."""
    is_folder: bool
    size: int
    version: str


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
            fs, path = _at(self._address, file.storage)
            self.handle: Any = patiently(lambda: fs.open_input_file(path), self._address, file.storage)
            self.size = int(self.handle.size())
            self.version = _version(self.handle, fs, path)
        except FAULTS as error:
            raise _read_error(error, self._address, file.storage) from error

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
            raise _read_error(error, self._address, self.file.storage) from error

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
    if len(listed) < 2 or not any(isinstance(file, RemoteFile) for file in listed):
        return [question(file) for file in listed]
    with ThreadPoolExecutor(min(LOOKS_AT_A_TIME, len(listed))) as pool:
        return list(pool.map(question, listed))


def stat(address: Address, config: StorageConfig) -> Entry | None:
    """What is at an address: an object, a folder, or None for nothing.

    Raises
    ------
    ReadError
        If the bucket is not there or does not answer.
    """
    fs, path = _at(address, config)
    try:
        info = patiently(lambda: fs.get_file_info(path), address, config)
        if info.type is pafs.FileType.NotFound:
            _check_bucket(fs, address, config)
            return None
    except FAULTS as error:
        raise _read_error(error, address, config) from error
    return _entry(info, address, path)


def list_objects(address: Address, config: StorageConfig, *, recursive: bool = True) -> list[Entry]:
    """Objects in a folder, and with `recursive` in all below; else the folders in it, too. Sorted by path.

    Raises
    ------
    ReadError
        If the bucket is not there or does not answer. A folder without objects is none, and its list empty.
    """
    if address.family == "gs" and not recursive:
        # Arrow tells only those folders of GCS that somebody made an object for.
        return _one_level(list_objects(address, config), address)
    fs, path = _at(address, config)
    selector = pafs.FileSelector(path, recursive=recursive, allow_not_found=True)
    try:
        infos = patiently(lambda: fs.get_file_info(selector), address, config)
        if not infos:
            _check_bucket(fs, address, config)
    except FAULTS as error:
        raise _read_error(error, address, config) from error
    entries = [_entry(info, address, path) for info in infos]
    kept = (entry for entry in entries if not (recursive and entry.is_folder))
    return sorted(kept, key=lambda entry: entry.key.split("/"))  # as paths sort: folder by folder


def _one_level(entries: Sequence[Entry], folder: Address) -> list[Entry]:
    """Objects right in a folder, and the folders in it, from all objects below it."""
    start = len(folder.key.rstrip("/")) + 1 if folder.key.strip("/") else 0
    found: dict[str, Entry] = {}
    for entry in entries:
        name, _, below = entry.key[start:].partition("/")
        place = folder.below(name)
        found.setdefault(name, Entry(str(place), place.key, True, 0, "") if below else entry)
    return list(found.values())


def read_whole(uri: str, config: StorageConfig) -> bytes:
    """All bytes of a small object."""
    file = RemoteFile(uri=uri, size=0, version="", storage=config)
    with RemoteBytes(file) as opened:
        return opened.read_at(0, opened.size)


def write_whole(address: Address, content: bytes | pa.Buffer | memoryview, config: StorageConfig) -> None:
    """Put an object under its last name, whole: it appears when all of it is there, or not at all.

    Raises
    ------
    OutputError
        What went wrong, in words.
    """

    def put(fs: pafs.FileSystem, path: str) -> None:
        with fs.open_output_stream(path) as stream:
            stream.write(content)

    _write(address, config, put)


def upload(path: Path, address: Address, config: StorageConfig) -> tuple[int, str]:
    """Put a file under an address; returns the bytes and the SHA-256 of what was put."""
    size, digest = 0, hashlib.sha256()

    def put(fs: pafs.FileSystem, target: str) -> None:
        nonlocal size, digest
        size, digest = 0, hashlib.sha256()
        with path.open("rb") as source, fs.open_output_stream(target) as stream:
            while chunk := source.read(CHUNK):
                stream.write(chunk)
                digest.update(chunk)
                size += len(chunk)

    _write(address, config, put)
    return size, digest.hexdigest()


def remove(addresses: Sequence[Address], config: StorageConfig) -> None:
    """Remove objects; one that is not there is as good as removed."""
    for address in addresses:
        fs, path = _at(address, config)
        try:
            patiently(functools.partial(fs.delete_file, path), address, config)
        except FAULTS as error:
            if kind_of(error) != "missing":
                raise output_error(error, address, config) from error


def _write(address: Address, config: StorageConfig, put: Callable[[pafs.FileSystem, str], None]) -> None:
    fs, path = _at(address, config)
    try:
        patiently(lambda: put(fs, path), address, config)
    except OutputError:
        raise
    except FAULTS as error:
        raise output_error(error, address, config) from error


def _at(address: Address, config: StorageConfig) -> tuple[pafs.FileSystem, str]:
    return filesystem(address, config), path_of(address)


def _check_bucket(fs: pafs.FileSystem, address: Address, config: StorageConfig) -> None:
    """Raise if the bucket itself is not there: no object is found in a bucket whose name is misspelt."""
    if address.family not in ("s3", "gs", "az"):
        return
    info = patiently(lambda: fs.get_file_info(address.bucket), address, config)
    if info.type is pafs.FileType.NotFound:
        raise OSError(f"NoSuchBucket: {address.bucket}")


def _read_error(error: BaseException, address: Address, config: StorageConfig) -> ReadError:
    """In words; where an object is missing, it may be for want of its bucket."""
    if isinstance(error, ReadError):
        return error
    if kind_of(error) == "missing":
        try:
            _check_bucket(filesystem(address, config), address, config)
        except FAULTS as worse:
            error = worse
    return read_error(error, address, config)


def _entry(info: pafs.FileInfo, address: Address, path: str) -> Entry:
    below = info.path[len(path.rstrip("/")) :].lstrip("/")
    place = address.below(below) if below else address
    is_folder = info.type is pafs.FileType.Directory
    changed = f"mtime:{info.mtime_ns}" if info.mtime is not None else ""
    return Entry(str(place), place.key, is_folder, 0 if is_folder else int(info.size or 0), changed)


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
