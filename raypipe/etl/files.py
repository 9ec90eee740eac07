"""Which files a path names, and what each of them is."""

from __future__ import annotations

import difflib
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from raypipe.config import StorageConfig
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.formats.format import Format, Spot
from raypipe.etl.formats.registry import EXTENSIONS, FORMATS
from raypipe.etl.formats.texts import is_plain
from raypipe.etl.wording import shown
from raypipe.storage.address import is_remote, local_path
from raypipe.storage.packed import SUFFIXES, PackedFile, packed, unpacking
from raypipe.storage.ranges import RemoteFile, look, look_at_all
from raypipe.storage.source import LocalBytes, Place, size_of

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another office document"),
    (b"SQLite format 3\x00", "an SQLite database; name it as sqlite:///FILE"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file (.xls, .doc)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
)
_UNPACK = {"gzip": "gunzip", "bzip2": "bunzip2", "xz": "unxz", "zstd": "unzstd", "zip": "unzip"}
_HEAD_BYTES = 64 << 10
_GLOB = frozenset("*?[")


def list_places(path: str | Path, storage: StorageConfig) -> tuple[Place, ...]:
    """The data files that a path, or the address of a bucket, names; see `list_files`."""
    if not is_remote(path):
        return list_files(local_path(path))
    from raypipe.etl.remote import list_remote

    return list_remote(str(path), storage)


def list_files(path: str | Path) -> tuple[Path, ...]:
    """The data files that `path` names, sorted: a file, those that match a pattern, or all in a folder and below.

    In a folder and in a pattern, files whose name or folder starts with "." or "_" and empty files are left out.

    Raises
    ------
    ReadError
        If there is no such file, or none with data.
    """
    text = str(path)
    if not text.strip():
        raise ReadError("the source is an empty text. Give a file, a folder or a pattern such as 'data/*.csv'.")
    place = Path(text).expanduser()
    try:
        return _list(place, text)
    except PermissionError as error:
        raise ReadError(f"{error.filename or place}: permission denied. Make it readable: chmod u+r.") from error
    except (OSError, RuntimeError) as error:  # a name that is too long; a link that leads in a circle
        raise ReadError(f"{shown(text)}: cannot be found: {getattr(error, 'strerror', None) or error}.") from error


def _list(place: Path, text: str) -> tuple[Path, ...]:
    if place.is_dir():
        found = sorted(_walk(place))
        named = [file for file in found if _is_open(file, place) and ending(file.name) in EXTENSIONS]
        kept = tuple(file for file in named if _has_bytes(file))
        if not kept:
            kept = tuple(file for file in found if _is_open(file, place) and file.is_file() and _is_known(file))
        if not kept:
            what = f"{len(found)} files, none of them with rows" if found else "no file"
            raise ReadError(
                f"{place}: the folder holds {what}. Wanted: {', '.join(EXTENSIONS)}, not empty, not hidden."
            )
        return kept
    if place.exists():
        if not place.is_file():
            raise ReadError(f"{place}: is no ordinary file. Save what it gives to a file, and name that.")
        return (place,)
    if _GLOB & set(text) and not place.is_symlink():
        matches = (Path(match) for match in sorted(glob.glob(str(place), recursive=True)))
        files = (file for file in matches if not file.is_dir() and file.name[0] not in "._")
        kept = tuple(file for file in files if _has_bytes(file))
        if not kept:
            raise ReadError(f"{text}: no file with data matches this pattern.")
        return kept
    raise ReadError(_no_such_file(place))


def _walk(root: Path) -> Iterator[Path]:
    """All but folders below, links to folders followed once; a folder that cannot be listed is an error, since its
    files would be missing.
    """

    def refuse(error: OSError) -> None:
        raise error

    seen = {_identity(root)}
    for folder, below, names in os.walk(root, onerror=refuse, followlinks=True):
        # Folders themselves before links to them, so that their files go by their own names.
        found = sorted((place.is_symlink(), place) for place in (Path(folder, name) for name in below))
        below.clear()
        for _, place in found:
            if (identity := _identity(place)) not in seen:
                seen.add(identity)
                below.append(place.name)
        yield from (Path(folder, name) for name in names)


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _is_open(file: Path, root: Path) -> bool:
    """Whether neither the file nor a folder on the way to it is hidden."""
    return not any(part[0] in "._" for part in file.relative_to(root).parts)


def _has_bytes(file: Path) -> bool:
    """Whether the file is not empty; ReadError for a link that leads nowhere, a pipe, a device."""
    if file.is_symlink() and not file.exists():
        raise ReadError(_no_such_file(file))
    if not file.is_file():
        raise ReadError(f"{file}: is no ordinary file. Move it away, or save what it gives to a file.")
    return file.stat().st_size > 0


def _is_known(file: Path) -> bool:
    return file.stat().st_size > 0 and known_format(file) is not None


def _no_such_file(place: Path) -> str:
    parent = place.parent
    if place.is_symlink():
        return (
            f"{place}: is a symbolic link to {os.readlink(place)!r}, which leads nowhere. Mend the link or remove it."
        )
    if not parent.is_dir():
        return f"{place}: no such file, and there is no folder {str(parent)!r}."
    siblings = sorted(child.name for child in parent.iterdir())
    by_lower = {name.lower(): name for name in siblings}
    close = difflib.get_close_matches(place.name.lower(), by_lower, n=1)
    hint = f" Did you mean {str(parent / by_lower[close[0]])!r}?" if close else ""
    return f"{place}: no such file.{hint}"


def find_source(path: str | Path, wanted: str | None, storage: StorageConfig) -> tuple[Format, tuple[Spot, ...]]:
    """The format of a source, and what it is to look at: files, or one thing as a whole.

    Raises
    ------
    ConfigError
        If `wanted` is no format.
    ReadError
        If there is nothing to read, a file is not what it should be, or files of several formats stand together.
    """
    if wanted is not None and wanted not in FORMATS:
        raise ConfigError(f"format: wants {_either(reversed(FORMATS))}, got {wanted!r}.")
    for format in FORMATS.values():
        if wanted in (None, format.name):
            spots = format.whole(path, storage)
            if spots is not None:
                return format, tuple(spots)
    listed = list_places(path, storage)
    files = tuple(look_at_all(listed, _as_packed))
    return FORMATS[find_format(files, wanted)], files


def ending(name: str) -> str:
    """The end of a file name that tells its format, in lower case; that of a compressed file is left out.

    Examples
    --------
    >>> ending("sales.CSV.gz"), ending("sales")
    ('.csv', '')
    """
    lower = name.lower()
    packing = next((end for end in SUFFIXES if lower.endswith(end)), "")
    return Path(lower.removesuffix(packing)).suffix


def _as_packed(file: Place) -> Place:
    """The compressed file that a file is; else the file itself."""
    if isinstance(file, PackedFile):
        return file
    try:
        head = _head(file, 256) if size_of(file) else b""
        return file if is_plain(head) else packed(file, head) or file
    except PermissionError as error:
        raise ReadError(f"{file}: permission denied. Make it readable: chmod u+r {str(file)!r}.") from error


def _either(names: Iterable[str]) -> str:
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}"


def find_format(files: tuple[Place, ...], wanted: str | None) -> str:
    """The name of the one format that all files have, by what they hold; `wanted` must agree with that.

    Raises
    ------
    ReadError
        If a file is empty, or of no known format, or files of several formats stand together.
    """
    formats = dict(zip(files, look_at_all(files, lambda file: _format_of(file, wanted)), strict=True))
    counts = Counter(formats.values())
    if len(counts) > 1:
        examples = {found: next(str(file) for file, kind in formats.items() if kind == found) for found in counts}
        found = [name for name in ("csv", *FORMATS) if name in counts]
        told = [f"{counts[name]} {FORMATS[name].title} ({examples[name]})" for name in dict.fromkeys(found)]
        titles = " and ".join(FORMATS[name].title for name in dict.fromkeys(found))
        ending = FORMATS[found[-1]].extensions[0]
        raise ReadError(
            f"{titles} stand together: {', '.join(told)}. Name one kind, e.g. with a pattern such as '*{ending}'."
        )
    return next(iter(counts))


def _format_of(file: Place, wanted: str | None) -> str:
    """What the file is by its content; says so where that is not what its name or the caller says."""
    try:
        if not size_of(file):
            raise ReadError(f"{file}: is empty (0 bytes).")
        if isinstance(file, PackedFile) and not _head(file, 1):
            raise ReadError(f"{file}: is {file.title} that holds nothing.")
        found = sniff(file)
    except PermissionError as error:
        raise ReadError(f"{file}: permission denied. Make it readable: chmod u+r {str(file)!r}.") from error
    if found is None:
        titles = _or([format.title for format in reversed(FORMATS.values()) if format.extensions])
        raise ReadError(f"{file}: is not text; it looks like {_looks_like(file)}. Wanted: {titles}.")
    said = FORMATS.get(wanted or EXTENSIONS.get(file.suffix.lower(), ""))
    holds = FORMATS[found]
    if isinstance(file, PackedFile) and not holds.is_text:
        raise ReadError(
            f"{file}: is {holds.title} in {file.title}, which cannot be read piece by piece. Unpack it, e.g."
            f" with {_UNPACK[file.codec]}; {holds.title} is compressed inside anyway."
        )
    if (
        said is not None
        and said.name != found
        and holds.is_text
        and not (said.is_text and (wanted or said.name == "csv"))
    ):
        raise ReadError(
            f"{file}: is not {said.title}, though {'the format' if wanted else 'its name'} says so: it holds text."
            f" Rename it to {holds.extensions[0]}, and leave format out or set it to {found!r}."
        )
    if wanted is not None and wanted != found and not (said and said.takes(found)):
        raise ReadError(
            f"{file}: is {holds.title}, not {FORMATS[wanted].title}. Leave format out, or set it to {found!r}."
        )
    return wanted or found


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def known_format(file: Place) -> str | None:
    """Name of the format of a file, or of what a compressed one holds; None where it is none that is known."""
    held = _as_packed(file)
    return sniff(held) if not isinstance(held, PackedFile) or _head(held, 1) else None


def sniff(file: Place) -> str | None:
    """Name of the format by content; None where it is none that is known."""
    head, suffix = _head(file, _HEAD_BYTES), file.suffix.lower()
    found = next((name for name, format in FORMATS.items() if format.holds(head, suffix)), None)
    if found is not None and FORMATS[found].is_text and any(head.startswith(magic) for magic, _ in _MAGIC):
        return found if is_plain(head) else None
    return found


def _head(file: Place, length: int) -> bytes:
    """The first bytes; of a compressed file those of what it holds."""
    if isinstance(file, PackedFile):
        pieces, head = unpacking(file), b""
        while len(head) < length and (piece := next(pieces, b"")):
            head += piece
        pieces.close()
        return head[:length]
    if isinstance(file, RemoteFile):
        return look(file).read_at(0, length)
    opened = LocalBytes(file)
    try:
        return opened.read_at(0, length)
    finally:
        opened.close()


def _looks_like(file: Place) -> str:
    head = _head(file, 64)
    return next((what for magic, what in _MAGIC if head.startswith(magic)), "binary data (it holds control characters)")
