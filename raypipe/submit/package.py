"""What travels to the cluster: exactly the files that a run needs, the same bytes for the same content."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import raypipe
from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.submit.ignore import Rules, mark_of
from raypipe.submit.scan import secrets_in

LIMIT_BYTES = 100 << 20
"""What Ray's dashboard takes in one request."""
MAX_BYTES = 95 << 20
"""Of all files before compression, so that nothing is compressed in vain and there is a margin to the limit."""
SCANNED_BYTES = 4 << 20
"""Larger files are scanned for secrets up to here."""
SHOWN = 10
ENTRY = "raypipe_job.py"
EXPECTED = "raypipe_job.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


class PackedFile(Frozen):
    """One file of a package."""

    name: str
    """Path in the package."""
    path: Path
    size: int


class Manifest(Frozen):
    """The files of a package, and what was left at home."""

    files: tuple[PackedFile, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    """Path and reason; of folders the folder alone."""

    @property
    def size(self) -> int:
        """Bytes before compression."""
        return sum(file.size for file in self.files)

    @property
    def largest(self) -> tuple[PackedFile, ...]:
        """The largest files, the largest first."""
        return tuple(sorted(self.files, key=lambda file: (-file.size, file.name))[:SHOWN])


@dataclass
class _Walk:
    """One walk through a folder."""

    root: Path
    wanted: frozenset[Path]
    """Files that the config names: they travel though an ignore file names them."""
    skipped: Path | None
    """The folder of runs."""
    files: list[PackedFile] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def into(self, folder: Path, rules: Rules, trail: tuple[Path, ...]) -> None:
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            path = Path(entry.path)
            name = path.relative_to(self.root).as_posix()
            is_dir = entry.is_dir()
            why = rules.why_not(path, is_dir) or (self._why_not_folder(path) if is_dir else None)
            if why is not None and not (why in ("ignored", "data") and self._is_wanted(path)):
                self.left_out.append((name, why))
            elif entry.is_symlink() and not self._stays_inside(path, name, trail):
                continue
            elif is_dir:
                self.into(path, rules.below(path), (*trail, path.resolve()))
            elif entry.is_file():
                self.files.append(PackedFile(name=name, path=path, size=entry.stat().st_size))
            else:
                self.left_out.append((name, "no regular file"))

    def _is_wanted(self, path: Path) -> bool:
        """Whether it is a file that the config names, or a folder on the way to one."""
        return any(one == path or path in one.parents for one in self.wanted)

    def _why_not_folder(self, path: Path) -> str | None:
        if self.skipped is not None and path.resolve() == self.skipped:
            return "the folder of runs"
        return mark_of(path)

    def _stays_inside(self, path: Path, name: str, trail: tuple[Path, ...]) -> bool:
        """Whether a link leads to something below the root; what does not is noted."""
        end = path.resolve()
        if not end.is_relative_to(self.root.resolve()):
            self.wrong.append(f"{name} is a link out of the folder, to {os.readlink(path)}")
        elif not end.exists():
            self.wrong.append(f"{name} is a link that leads nowhere")
        elif end in trail or end == self.root.resolve():
            self.wrong.append(f"{name} is a link to a folder that it lies in")
        else:
            return True
        return False


def gather(
    root: Path, *, wanted: frozenset[Path] = frozenset(), runs: Path | None = None, with_raypipe: bool = False
) -> Manifest:
    """Choose the files of the working folder `root` that travel.

    Parameters
    ----------
    root : Path
        The working folder of the job.
    wanted : frozenset of Path
        Files below it that the config names.
    runs : Path, optional
        The folder of runs, which stays at home.
    with_raypipe : bool
        Add the source of this raypipe, for a cluster that has none, or another one.

    Raises
    ------
    ConfigError
        If links lead out of the folder, if files hold secrets, or if it is too large; all that is wrong at once.
    """
    root = Path(os.path.abspath(root))
    if not root.is_dir():
        raise ConfigError(f"submit: the working folder {root} is not there; name it with --working-dir")
    walk = _Walk(root, wanted, runs.resolve() if runs is not None else None)
    walk.into(root, Rules.of(root), (root.resolve(),))
    _refuse_own_names(walk)
    files = {file.name: file for file in walk.files}
    if with_raypipe:
        files |= {file.name: file for file in _own_source()}
    manifest = Manifest(files=tuple(files[name] for name in sorted(files)), left_out=tuple(walk.left_out))
    walk.wrong += list(_too_large(manifest)) or list(_secrets(manifest))
    if walk.wrong:
        raise ConfigError(f"submit: {root} cannot be packed: {'; '.join(walk.wrong)}. {_ADVICE}")
    return manifest


_ADVICE = (
    "What the job does not need is named in a file .raypipeignore, written as .gitignore is; data goes to a bucket or "
    "to a disk that all nodes share; secrets are referred to by --secret"
)


def pack(manifest: Manifest, expected: dict[str, str]) -> tuple[str, bytes]:
    """The name of a package and its bytes, which are the same for the same content.

    Parameters
    ----------
    manifest : Manifest
        What `gather` chose.
    expected : dict
        Versions that the first line of the job wants to find on the cluster.
    """
    own = {
        ENTRY: (Path(raypipe.__file__).parent / "cli" / "bootstrap.py").read_bytes(),
        EXPECTED: json.dumps(expected, sort_keys=True).encode(),
    }
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in own.items():
            archive.writestr(_entry_of(name, executable=False), content)
        for file in manifest.files:
            archive.writestr(_entry_of(file.name, executable=os.access(file.path, os.X_OK)), file.path.read_bytes())
    content = held.getvalue()
    return f"raypipe_pkg_{hashlib.sha256(content).hexdigest()[:32]}.zip", content


def _entry_of(name: str, *, executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    return entry


def _refuse_own_names(walk: _Walk) -> None:
    taken = [file.name for file in walk.files if file.name in (ENTRY, EXPECTED)]
    walk.wrong += [f"{name} is a name that raypipe puts into the package itself; rename the file" for name in taken]


def _own_source() -> Iterator[PackedFile]:
    home = Path(raypipe.__file__).parent
    for path in sorted(home.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield PackedFile(name=f"raypipe/{path.relative_to(home).as_posix()}", path=path, size=path.stat().st_size)


def _too_large(manifest: Manifest) -> Iterator[str]:
    if manifest.size > MAX_BYTES:
        shown = ", ".join(f"{file.name} ({in_words(file.size)})" for file in manifest.largest[:5])
        yield (
            f"its files have {in_words(manifest.size)}, and Ray takes {in_words(LIMIT_BYTES)}, of which raypipe keeps "
            f"{in_words(LIMIT_BYTES - MAX_BYTES)} free; the largest are {shown}"
        )


def _secrets(manifest: Manifest) -> Iterator[str]:
    for file in manifest.files:
        try:
            with file.path.open("rb") as opened:
                found = list(secrets_in(opened.read(SCANNED_BYTES)))
        except OSError as error:
            yield f"{file.name} cannot be read: {error.strerror}"
            continue
        yield from (f"{file.name}, line {line}, holds {kind}" for line, kind in found[:1])


def in_words(size: int) -> str:
    """A number of bytes for people.

    Examples
    --------
    >>> in_words(900), in_words(3 << 20)
    ('900 bytes', '3.0 MiB')
    """
    return (
        f"{size} bytes"
        if size < 1024
        else f"{size / 1024:.1f} KiB"
        if size < 1 << 20
        else f"{size / (1 << 20):.1f} MiB"
    )
