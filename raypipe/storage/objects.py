"""Objects in buckets: found, written whole, removed."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from raypipe.config import Frozen, StorageConfig
from raypipe.storage.address import Address, parse_address
from raypipe.storage.faults import FAULTS, kind_of, output_error, patiently
from raypipe.storage.ranges import check_bucket, error_of_reading, where

CHUNK = 8 << 20
"""Bytes of a file that are held while it is uploaded."""


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


def stat(address: Address, config: StorageConfig) -> Entry | None:
    """What is at an address: an object, a folder, or None for nothing.

    Raises
    ------
    ReadError
        If the bucket is not there or does not answer.
    """
    fs, path = where(address, config)
    try:
        info = patiently(lambda: fs.get_file_info(path), address, config)
        if info.type is pafs.FileType.NotFound:
            check_bucket(fs, address, config)
            return None
    except FAULTS as error:
        raise error_of_reading(error, address, config) from error
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
    fs, path = where(address, config)
    selector = pafs.FileSelector(path, recursive=recursive, allow_not_found=True)
    try:
        infos = patiently(lambda: fs.get_file_info(selector), address, config)
        if not infos:
            check_bucket(fs, address, config)
    except FAULTS as error:
        raise error_of_reading(error, address, config) from error
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
    with path.open("rb") as source:  # a file that is not there is no trouble with the bucket

        def put(fs: pafs.FileSystem, target: str) -> None:
            nonlocal size, digest
            size, digest = 0, hashlib.sha256()
            source.seek(0)
            with fs.open_output_stream(target) as stream:
                while chunk := source.read(CHUNK):
                    stream.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)

        _write(address, config, put)
    return size, digest.hexdigest()


def remove(addresses: Sequence[Address], config: StorageConfig) -> None:
    """Remove objects; one that is not there is as good as removed."""
    for address in addresses:
        fs, path = where(address, config)
        try:
            patiently(functools.partial(fs.delete_file, path), address, config)
        except FAULTS as error:
            if kind_of(error) != "missing":
                raise output_error(error, address, config) from error


def _write(address: Address, config: StorageConfig, put: Callable[[pafs.FileSystem, str], None]) -> None:
    fs, path = where(address, config)
    try:
        patiently(lambda: put(fs, path), address, config)
    except FAULTS as error:
        raise output_error(error, address, config) from error


def _entry(info: pafs.FileInfo, address: Address, path: str) -> Entry:
    below = info.path[len(path.rstrip("/")) :].lstrip("/")
    place = address.below(below) if below else address
    is_folder = info.type is pafs.FileType.Directory
    changed = f"mtime:{info.mtime_ns}" if info.mtime is not None else ""
    return Entry(str(place), place.key, is_folder, 0 if is_folder else int(info.size or 0), changed)
