"""What a run has committed, so that another process can go on after this one was killed at any moment.

Each pass has a folder of numbered files. A file counts only if its signature holds, so that one that was cut short is
as good as absent: nothing is ever renamed, and the same holds on object storage. `effects-N` has what was told since
the commit before (parts read, rows set aside); `commit-N`, written after it, has the merged state of the pass.

The files hold pickled summaries. They are signed with a key that lives outside of the run's folder, and nothing is
unpickled whose signature does not hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import pickle
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from raypipe.engine.events import EventLog
from raypipe.engine.faults import say
from raypipe.engine.packing import packed
from raypipe.engine.report import PartReport
from raypipe.errors import ResumeError
from raypipe.stage import Part

logger = logging.getLogger(__name__)

MAGIC = b"raypipe journal 1\n"
KEY_ENV = "RAYPIPE_RESUME_KEY"
KEY_BYTES = 32
FULL_BYTES = 32 << 20
"""Rows set aside that are held before a commit is made for them alone."""
COST_SHARE = 0.05
"""Share of the time that commits may take; where they are slow, they are made less often."""
KEPT_COMMITS = 2


def resume_key() -> bytes:
    """The key that journals are signed with: from `RAYPIPE_RESUME_KEY`, else a file of this user, made when needed.

    Raises
    ------
    ResumeError
        If the file cannot be read or made.
    """
    given = os.environ.get(KEY_ENV)
    if given:
        return hashlib.sha256(given.encode()).digest()
    home = os.environ.get("XDG_CONFIG_HOME")
    try:
        path = (Path(home) if home else Path.home() / ".config") / "raypipe" / "resume.key"
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(new, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except (OSError, RuntimeError) as error:
        raise ResumeError(f"resume: no key to sign with: {error}. Set {KEY_ENV} to a secret of your own") from error
    if len(key) != KEY_BYTES:
        raise ResumeError(f"resume: {path} has {len(key)} bytes; wanted {KEY_BYTES}. Remove it, and a new one is made")
    return key


@dataclass
class Journal:
    """The passes of one run, in the order in which they run."""

    folder: Path
    key: bytes | None
    """None keeps no journal."""
    checkpoint_s: float
    events: EventLog
    _passes: int = 0

    def next_pass(self, name: str) -> PassJournal | None:
        """The journal of the pass that comes now; a run repeats its passes in the same order."""
        if self.key is None:
            return None
        self._passes += 1
        return PassJournal(self.folder / f"{self._passes:03d}-{name}", self.key, self.checkpoint_s, self.events)

    @property
    def is_empty(self) -> bool:
        """Whether no pass has committed anything."""
        return next(self.folder.glob("*/commit-*"), None) is None

    def remove(self) -> None:
        """The run is done: nobody goes on with it."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class PassJournal:
    """The commits of one pass."""

    folder: Path
    key: bytes
    checkpoint_s: float
    events: EventLog
    _effects: list[tuple[str, Any]] = field(default_factory=list)
    _effect_bytes: int = 0
    _number: int = 0
    _parts_done: int = 0
    _last: float = field(default_factory=time.monotonic)
    _wait_s: float = 0.0
    _begun: float = field(default_factory=time.monotonic)
    _broken: bool = False

    def __post_init__(self) -> None:
        self._wait_s = self.checkpoint_s

    # ---- going on ------------------------------------------------------------------------------------------------

    def restore(
        self, on_read: Callable[[PartReport], None] | None, on_aside: Callable[[str, Part, pa.Table], None] | None
    ) -> dict[str, Any] | None:
        """The state of the last commit, after telling again what was told until then; None where there is none.

        Raises
        ------
        ResumeError
            If the files are there and were not signed with this key.
        """
        found = self._last_commit()
        if found is None:
            return None
        self._number, state = found
        for number in range(1, self._number + 1):
            effects = self._read(f"effects-{number:06d}")
            if effects is None:
                raise ResumeError(f"resume: {self.folder / f'effects-{number:06d}'} is damaged. Start the run anew")
            for kind, value in effects:
                if kind == "read" and on_read is not None:
                    on_read(value)
                elif kind == "aside" and on_aside is not None:
                    on_aside(*value)
        self._parts_done = state["parts_done"]
        self.events.emit("resumed", name=self.folder.name, parts_done=self._parts_done)
        return state

    def _last_commit(self) -> tuple[int, dict[str, Any]] | None:
        paths = sorted(self.folder.glob("commit-*"), reverse=True)
        for path in paths:
            state = self._read(path.name)
            if state is not None:
                return int(path.name.removeprefix("commit-")), state
        if len(paths) >= KEPT_COMMITS:
            raise ResumeError(
                f"resume: what lies in {self.folder} was not signed with the key of this user and machine. Set "
                f"{KEY_ENV} to the secret that the run had, or start it anew"
            )
        return None

    def _read(self, name: str) -> Any | None:
        """The content of a file; None if it is absent, cut short, or not signed by us."""
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        head = len(MAGIC)
        signature, body = content[head : head + 32], content[head + 32 :]
        if content[:head] != MAGIC or not hmac.compare_digest(signature, self._sign(name, body)):
            return None
        return pickle.loads(body)

    def _sign(self, name: str, body: bytes) -> bytes:
        """Over the place too, so that no file can stand in for another."""
        return hmac.new(self.key, f"{self.folder.name}/{name}\n".encode() + body, hashlib.sha256).digest()

    # ---- committing ----------------------------------------------------------------------------------------------

    def on_read(self, report: PartReport) -> None:
        """Note that a part was read."""
        told = PartReport(report.part, report.file, bytes_read=report.bytes_read, lines=report.lines)
        told.row_lines, told.notes = report.row_lines, report.notes
        self._effects.append(("read", told))

    def on_aside(self, stage: str, part: Part, rows: pa.Table) -> None:
        """Note rows set aside."""
        self._effects.append(("aside", (stage, part, rows)))
        self._effect_bytes += rows.nbytes

    def is_due(self, parts_done: int) -> bool:
        """Whether it is time for a commit."""
        if self._broken or parts_done == self._parts_done:
            return False
        return self._effect_bytes > FULL_BYTES or time.monotonic() - self._last >= self._wait_s

    def commit(self, state: dict[str, Any]) -> None:
        """Write down what was done; a journal that cannot be written says so once, and the run goes on without."""
        started = time.monotonic()
        number = self._number + 1
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            size = self._write(f"effects-{number:06d}", self._effects)
            size += self._write(f"commit-{number:06d}", state)
        except Exception as error:  # a state that cannot be pickled, a full disk
            self._broken = True
            self._effects.clear()
            logger.warning("the run cannot be resumed from here on: %s", say(error))
            self.events.emit("not_committed", why=say(error))
            return
        self._number, self._effects, self._effect_bytes = number, [], 0
        self._parts_done = state["parts_done"]
        for path in self.folder.glob("commit-*"):
            if int(path.name.removeprefix("commit-")) <= number - KEPT_COMMITS:
                path.unlink(missing_ok=True)
        self._last = time.monotonic()
        took = self._last - started
        self._wait_s = max(self.checkpoint_s, took / COST_SHARE)
        self.events.emit("committed", parts_done=self._parts_done, seconds=round(took, 4), bytes=size)

    def commit_the_rest(self, state: dict[str, Any]) -> None:
        """Commit what was done since the last commit, if that is worth it."""
        long_enough = self._number or time.monotonic() - self._begun >= self.checkpoint_s
        if not self._broken and long_enough and state["parts_done"] > self._parts_done:
            self.commit(state)

    def conclude(self, state: dict[str, Any], seconds: float) -> None:
        """Commit the end of a pass, if it took long enough to be worth it, or was committed before."""
        if not self._broken and (self._number or seconds >= self.checkpoint_s):
            self.commit({**state, "done": True})

    def _write(self, name: str, value: Any) -> int:
        body = packed(value)
        # No rename: a file that is cut short has no signature that holds.
        with (self.folder / name).open("wb") as file:
            file.write(MAGIC + self._sign(name, body))
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        return len(body)


def told_to(*listeners: Callable[..., None] | None) -> Callable[..., None] | None:
    """One function that calls all of `listeners` that there are."""
    there = [listener for listener in listeners if listener is not None]
    if not there:
        return None

    def tell(*args: Any) -> None:
        for listener in there:
            listener(*args)

    return tell


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file for as long as this process lives; the system lets go of it, however the process ends.

    Raises
    ------
    ResumeError
        If another process holds it.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResumeError(
                f"resume: a process is still working on {path.parent.parent}; wait for it, or end it"
            ) from error
        yield
