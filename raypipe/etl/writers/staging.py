"""A hidden folder beside a destination on a disk, in which what is not complete waits."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import shutil
from pathlib import Path
from typing import IO

from raypipe.errors import OutputError, ResumeError
from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.etl.writers.renames import move_new
from raypipe.etl.writers.target import INSTEAD

LOCK = "lock"
RESUME = "resume"
TOKEN_LENGTH = 8


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
        self.adopted = False
        """Whether it was begun by a process that was killed."""
        self._lock: IO[bytes] | None = None

    @property
    def journal(self) -> Path:
        """The folder that a journal of the writing is kept in."""
        return self.folder / RESUME

    def adopt(self) -> None:
        """Take over what a writer left behind that was killed, its token, too.

        Raises
        ------
        ResumeError
            If there is none, or its writer lives.
        """
        left = [folder for folder in leftovers(self.path) if (folder / RESUME).is_dir()]
        if not left:
            raise ResumeError(
                f"{self.path}: nothing was left to go on from. Begin anew: the same command without --resume"
            )
        folder = max(left, key=lambda one: one.stat().st_mtime_ns)
        lock = (folder / LOCK).open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise ResumeError(f"{self.path}: a process is still writing to it; wait for it, or end it") from error
        self.folder, self._lock, self.adopted = folder, lock, True
        self.token = folder.name[-TOKEN_LENGTH:]

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

    def leave(self) -> None:
        """Let go of the folder as it is: another one may go on with it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def close(self) -> None:
        """Remove the folder."""
        if self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._lock.close()
            self._lock = None


def sweep(path: Path) -> None:
    """Remove what writers to this destination left behind that were killed: nobody holds their locks."""
    for folder in leftovers(path):
        with contextlib.suppress(OSError), (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # one that lives holds it, or has not made it yet
            shutil.rmtree(folder, ignore_errors=True)


def leftovers(path: Path) -> list[Path]:
    """Folders of writers to this destination, of those that live, too."""
    name = "".join(f"[{char}]" if char in "*?[" else char for char in path.name)
    return sorted(path.parent.glob(f"{TEMP_MARK}{name}-{'?' * TOKEN_LENGTH}"))
