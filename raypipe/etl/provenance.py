"""Where rows came from, so that they can be found again: the version of a table, or the hash of files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from raypipe.etl.formats.delta_table import DeltaFile
from raypipe.etl.source import TableSource
from raypipe.storage.address import is_remote

MOST_HASHED = 4 << 30
"""Bytes up to which files are hashed, which takes a second a gigabyte; larger ones are told by size and time."""


def provenance(source: TableSource) -> dict[str, Any]:
    """Path, format and size of a source that was read, and what tells its content from any other.

    Returns
    -------
    dict
        `path`, `format`, `files`, `bytes`; of a Delta table `version` and `table_id`; of files on this machine
        `sha256`, over all of them in their order; of anything else, and of more than `MOST_HASHED`, `stamps`: path,
        bytes, time of the last change in ns and version of each, the first hundred.

    Raises
    ------
    ReadError
        A file was changed since it was read.
    """
    facts: dict[str, Any] = {
        "path": source.paths[0] if len(source.paths) == 1 else _folder_of(source.paths),
        "format": source.format,
        "files": len(source.files),
        "bytes": source.size_bytes,
    }
    first = source.files[0]
    if isinstance(first, DeltaFile):
        return {**facts, "version": first.version, "table_id": first.table_id}
    if source.size_bytes <= MOST_HASHED and all(_is_here(path) for path in source.paths):
        told = {**facts, "sha256": _hash_of([Path(path) for path in source.paths])}
        for file in source.files:
            file.check_unchanged()  # else it is the hash of other rows
        return told
    return {**facts, "stamps": [list(one) for one in source.stamps()[:100]]}


def _folder_of(paths: tuple[str, ...]) -> str:
    """What many files have in common."""
    shared = paths[0]
    while not all(path.startswith(shared) for path in paths):
        shared = shared.rpartition("/")[0]
    return shared or paths[0]


def _is_here(path: str) -> bool:
    return not is_remote(path) and Path(path).is_file()


def _hash_of(paths: list[Path]) -> str:
    if len(paths) == 1:
        with paths[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
