"""Which objects the address of a bucket names: an object, a pattern, or all in a folder and below."""

from __future__ import annotations

import difflib
import re

from raypipe.config import StorageConfig
from raypipe.errors import ReadError
from raypipe.etl.files import ending, known_format
from raypipe.etl.formats.registry import EXTENSIONS
from raypipe.etl.wording import shown
from raypipe.storage.address import GLOB, Address, parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.objects import Entry, list_objects, stat
from raypipe.storage.ranges import RemoteFile, look_at_all


def list_remote(text: str, storage: StorageConfig) -> tuple[RemoteFile, ...]:
    """The objects that an address names, in the order in which local files of the same names stand.

    As with local files: in a folder and in a pattern, what is hidden, starts with "_" or is empty is left out.

    Raises
    ------
    ReadError
        If nothing is there, or the bucket does not answer.
    ConfigError
        If the text is no address, or holds a credential.
    """
    storage, address = resolved(storage), parse_address(text)
    if GLOB & set(address.key):
        return _matching(address, storage)
    found = stat(address, storage) if address.key.strip("/") else None
    if found is None and address.key.strip("/"):
        raise ReadError(_nothing(address, storage))
    if found is not None and not found.is_folder:
        return (_file(found, storage),)
    return _in_folder(address.at(address.key.rstrip("/")), storage)


def _in_folder(folder: Address, storage: StorageConfig) -> tuple[RemoteFile, ...]:
    start = len(folder.key) + 1 if folder.key else 0
    found = list_objects(folder, storage)
    open_ones = [entry for entry in found if entry.size and not _is_hidden(entry.key[start:])]
    named = [_file(entry, storage) for entry in open_ones if ending(entry.key.rpartition("/")[2]) in EXTENSIONS]
    if not named:
        files = [_file(entry, storage) for entry in open_ones]
        known = look_at_all(files, known_format)
        named = [file for file, format in zip(files, known, strict=True) if format is not None]
    if not named:
        what = f"{len(found)} objects, none of them with rows" if found else "no object"
        raise ReadError(f"{folder}: the folder holds {what}. Wanted: {', '.join(EXTENSIONS)}, not empty, not hidden.")
    return tuple(named)


def _matching(address: Address, storage: StorageConfig) -> tuple[RemoteFile, ...]:
    folder, last = [], address.key.split("/")
    while not GLOB & set(last[0]):
        folder.append(last.pop(0))
    wanted = re.compile(_expression(address.key))
    found = list_objects(address.at("/".join(folder)), storage, recursive=len(last) > 1)
    kept = (entry for entry in found if entry.size and not entry.is_folder and wanted.fullmatch(entry.key))
    files = [_file(entry, storage) for entry in kept]
    if not (files := [file for file in files if file.name[0] not in "._"]):
        raise ReadError(f"{address}: no object with data matches this pattern.")
    return tuple(sorted(files, key=str))


def _expression(pattern: str) -> str:
    """A pattern as a regular expression, with the meaning that it has for local files.

    Examples
    --------
    >>> bool(re.fullmatch(_expression("2026/**/*.csv"), "2026/a/b/x.csv"))
    True
    >>> bool(re.fullmatch(_expression("2026/*.csv"), "2026/a/x.csv"))
    False
    """
    steps = [r"(?:(?!\.)[^/]*/)*" if step == "**" else f"{_step(step)}/" for step in pattern.split("/")]
    if pattern.endswith("**"):
        steps[-1] = r"(?:(?!\.)[^/]*/)*(?!\.)[^/]*/"
    return "".join(steps).removesuffix("/")


def _step(step: str) -> str:
    """What stands between two slashes; a star at its start matches no hidden name."""
    parts = re.findall(r"\[!?\]?[^\]]*\]|\*+|.", step, re.DOTALL)
    said = {"?": "[^/]"}
    words = [
        "[^/]*" if part[0] == "*" else said.get(part) or (_choice(part) if len(part) > 1 else re.escape(part))
        for part in parts
    ]
    return (r"(?!\.)" if step[:1] in ("*", "?", "[") else "") + "".join(words)


def _choice(part: str) -> str:
    """`[abc]` or `[!abc]`."""
    inside = part[1:-1]
    negative = inside.startswith("!")
    body = inside[negative:].replace("\\", "\\\\").replace("^", "\\^")
    return f"[{'^/' if negative else ''}{body}]"


def _is_hidden(below: str) -> bool:
    return any(part[:1] in (".", "_") for part in below.split("/"))


def _file(entry: Entry, storage: StorageConfig) -> RemoteFile:
    return RemoteFile(uri=entry.uri, size=entry.size, version=entry.version, storage=storage)


def _nothing(address: Address, storage: StorageConfig) -> str:
    """That nothing is there, and what it may have been meant to be."""
    key = address.key.rstrip("/")
    parent = address.at(key.rpartition("/")[0])
    siblings = {entry.key.rstrip("/").rpartition("/")[2]: entry for entry in _siblings(parent, storage)}
    by_lower = {name.lower(): entry.uri for name, entry in siblings.items()}
    close = difflib.get_close_matches(key.rpartition("/")[2].lower(), by_lower, n=1)
    hint = f" Did you mean {by_lower[close[0]]!r}?" if close else ""
    where = f" {shown(str(parent))} holds {len(siblings)}." if siblings and not close else ""
    return f"{address}: no such object, and no folder with objects.{where}{hint}"


def _siblings(parent: Address, storage: StorageConfig) -> list[Entry]:
    return list_objects(parent, storage, recursive=False)
