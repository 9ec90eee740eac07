"""The files of a run that is over, on a disk or in a bucket: found, fetched, and added to."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from raypipe.config import StorageConfig
from raypipe.errors import ConfigError
from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.pipeline.resume import MANIFEST, RESUME_FOLDER
from raypipe.storage.address import is_remote, local_path, parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.objects import RemoteFolder, list_objects, remove, stat, upload, write_whole
from raypipe.storage.ranges import read_whole

QUARANTINE = "quarantine.parquet"
NAMES_SHOWN = 5


class RunFiles(ABC):
    """Files of one run, by their names in its folder, such as `processed/part-1.parquet`."""

    name: str
    """Of the run."""
    location: str
    """Where its user finds it."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Names of the files right in a folder of the run, sorted; none where there is no such folder."""

    @abstractmethod
    def fetch(self, name: str, into: Path) -> Path:
        """The file on this machine: itself, or a copy in the folder `into`."""

    @abstractmethod
    def put(self, path: Path, name: str) -> None:
        """Bring a file of this machine there, whole or not at all; one of this name is replaced."""

    @abstractmethod
    def move(self, name: str, to: str) -> None:
        """Give a file another name."""

    def read_text(self, name: str, into: Path) -> str:
        """The text of a file."""
        return self.fetch(name, into).read_text(encoding="utf-8")


class LocalRun(RunFiles):
    """A run's folder on a disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name, self.location = folder.name, str(folder)

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def names(self, folder: str) -> list[str]:
        place = self.folder / folder
        found = place.iterdir() if place.is_dir() else ()
        return sorted(path.name for path in found if path.is_file() and not path.name.startswith(TEMP_MARK))

    def fetch(self, name: str, into: Path) -> Path:
        return self.folder / name

    def put(self, path: Path, name: str) -> None:
        target = self.folder / name
        temp = target.with_name(f"{TEMP_MARK}{target.name}")
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, temp)
            os.replace(temp, target)

    def move(self, name: str, to: str) -> None:
        with writing(self.folder / to):
            (self.folder / to).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.folder / name, self.folder / to)
        with contextlib.suppress(OSError):  # it holds other files
            (self.folder / name).parent.rmdir()


class RemoteRun(RunFiles):
    """A run's folder in a bucket."""

    def __init__(self, home: RemoteFolder) -> None:
        self.home = home
        self.name, self.location = home.uri.rpartition("/")[2], str(home)

    def has(self, name: str) -> bool:
        entry = stat(self.home.address(name), self.home.storage)
        return entry is not None and not entry.is_folder

    def names(self, folder: str) -> list[str]:
        entries = list_objects(self.home.address(folder), self.home.storage, recursive=False)
        return sorted(entry.key.rpartition("/")[2] for entry in entries if not entry.is_folder)

    def fetch(self, name: str, into: Path) -> Path:
        target = into / name.replace("/", "-")
        with writing(target):
            target.write_bytes(read_whole(str(self.home.address(name)), self.home.storage))
        return target

    def put(self, path: Path, name: str) -> None:
        upload(path, self.home.address(name), self.home.storage)

    def move(self, name: str, to: str) -> None:
        # Objects have no other name: put anew, then the old one is removed, so that at no time there is none.
        content = read_whole(str(self.home.address(name)), self.home.storage)
        write_whole(self.home.address(to), content, self.home.storage)
        remove([self.home.address(name)], self.home.storage)


def find_run(run: str, output: str, storage: StorageConfig, who: str = "quarantine") -> RunFiles:
    """The files of a run: `run` is its folder, its address in a bucket, or its name under `output`.

    Parameters
    ----------
    who : str
        The command that wants it, as errors name it.

    Raises
    ------
    ConfigError
        If there is none; it names the runs that there are.
    """
    if is_remote(run) or is_remote(output):
        uri = run if is_remote(run) else f"{output.rstrip('/')}/{run}"
        files = RemoteRun(RemoteFolder(uri=str(parse_address(uri.rstrip("/"))), storage=resolved(storage)))
        if not (files.has(MANIFEST) or files.has(QUARANTINE)):
            raise ConfigError(f"{who}: there is no run in {files.location}. See: raypipe history {_above(uri)}")
        return files
    given, under = local_path(run).expanduser(), local_path(output).expanduser() / run
    for folder in (given, under):
        if (folder / MANIFEST).is_file() or (folder / QUARANTINE).is_file() or (folder / RESUME_FOLDER).is_dir():
            return LocalRun(folder.resolve())
    if given.is_dir() or under.is_dir():
        raise ConfigError(f"{who}: {given if given.is_dir() else under} is no folder of a run: no {MANIFEST} there")
    known = sorted(path.parent.name for path in local_path(output).expanduser().glob(f"*/{MANIFEST}"))
    if not known:
        raise ConfigError(f"{who}: there is no run {run!r}, and none under {output}; name its folder, or --output")
    close = difflib.get_close_matches(run, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    last = ", ".join(known[-NAMES_SHOWN:])
    raise ConfigError(f"{who}: there is no run {run!r} under {output}. The last ones there: {last}.{hint}")


def _above(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[0]
