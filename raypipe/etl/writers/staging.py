"""A hidden folder beside a destination on a disk, in which what is not complete waits."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
from pathlib import Path
from typing import IO

from raypipe.errors import OutputError
from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.etl.writers.renames import move_new
from raypipe.etl.writers.target import INSTEAD

LOCK = "lock"


class Staging:
    """The folder; the system holds its lock for as long as this process lives, so that others know what is left over.

    Parameters
    ----------
    path : Path
        The destination; the folder lies on the same file system, so that a rename leads from one to the other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = secrets.token_hex(4)
        """In the name of the folder, and free to be used in others."""
        self.folder = path.with_name(f"{TEMP_MARK}{path.name}-{self.token}")
        self._lock: IO[bytes] | None = None

    def begin(self) -> None:
        """Make the folder, if it is not there yet; remove those of writers that were killed."""
        if self._lock is None:
            with writing(self.path, INSTEAD):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                sweep(self.path)
                self.folder.mkdir()
                self._lock = (self.folder / LOCK).open("wb")
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def put_new(self, source: Path) -> None:
        """Give a file or folder the name of the destination, which must not be there; OutputError where it is."""
        try:
            move_new(source, self.path)
        except FileExistsError as error:
            raise OutputError(
                f"{self.path}: appeared while this was written, by another process. Nothing there was changed; choose "
                "another name, or replace it: --mode overwrite"
            ) from error

    def close(self) -> None:
        """Remove the folder."""
        if self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._lock.close()
            self._lock = None


def sweep(path: Path) -> None:
    """Remove what writers to this destination left behind that were killed: nobody holds their locks."""
    name = "".join(f"[{char}]" if char in "*?[" else char for char in path.name)
    for folder in path.parent.glob(f"{TEMP_MARK}{name}-????????"):
        with contextlib.suppress(OSError), (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # one that lives holds it, or has not made it yet
            shutil.rmtree(folder, ignore_errors=True)
