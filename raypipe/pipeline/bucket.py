"""The folder of a run in a bucket: written to a folder on this machine, and brought to the bucket file by file.

Object stores cannot append or rename. So a file is put when it is complete, under its last name; the log, which grows,
is put anew every few seconds. `run.json` is put last: a run without one is not finished. What is committed for
`--resume` goes the same way, a commit always after what it builds on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from raypipe.engine.journal import locked
from raypipe.errors import ConfigError, OutputError, ReadError, ResumeError
from raypipe.etl.outputs import TEMP_MARK, RunFolder, check_run_id
from raypipe.pipeline.resume import LOCK, MANIFEST, RECORD, RESUME_FOLDER
from raypipe.storage.address import parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.objects import RemoteFolder, list_objects, remove, stat, upload, write_whole
from raypipe.storage.ranges import read_whole

logger = logging.getLogger(__name__)

LOG = "events.jsonl"
OWNER = f"{RESUME_FOLDER}/owner"
COMMIT, EFFECTS = "/commit-", "/effects-"
STAGING = "raypipe-bucket-"
STALE_S = 60.0
"""Folders that a killed run left behind are removed once they are so old, in seconds."""


class BucketFolder(RunFolder):
    """A run's folder in a bucket; see the module.

    Raises
    ------
    ConfigError
        If the address or the run id is none, or something is there already.
    OutputError
        If the bucket is not there, or does not let us write.
    ResumeError
        With `resume`, if there is no run to go on with.
    """

    def __init__(self, output: RemoteFolder, run_id: str, *, resume: bool = False) -> None:
        check_run_id(run_id)
        output = output.replace(storage=resolved(output.storage), uri=output.uri.rstrip("/"))
        self.home = output.below(run_id)
        self._every_s = output.storage.upload_every_s
        self._sent: dict[str, tuple[int, int]] = {}
        self._hashes: dict[str, tuple[int, str]] = {}
        self._sending, self._over = threading.Lock(), threading.Event()
        self._owner = secrets.token_hex(8)
        self._thread = threading.Thread(target=self._bring_now_and_then, name="raypipe-upload", daemon=True)
        self._opened = ExitStack()
        try:
            staging = self._stage()
            if resume:
                self._fetch(staging / run_id)
            else:
                self._refuse_what_is_there()
            super().__init__(staging, run_id, resume=resume)
            if not resume:  # else only once it is known that the run is still the same
                write_whole(self.home.address(LOG), b"", output.storage)
                self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def location(self) -> str:
        return str(self.home)

    @property
    def parent(self) -> str:
        return self.home.uri.rpartition("/")[0]

    def shown(self, name: str) -> str:
        return str(self.home.address(name))

    def parts(self, name: str) -> RemoteFolder:
        return self.home.below(name)

    def bring(self) -> dict[str, tuple[int, str]]:
        with self._sending:
            self._check_owner()
            for name in sorted(self._waiting(), key=lambda name: (COMMIT in name, name)):
                if COMMIT in name:  # never without what it builds on, whatever the listing of a folder missed
                    self._send(name.replace(COMMIT, EFFECTS))
                self._send(name)
            self._prune()
            return {name: found for name, found in self._hashes.items() if not name.startswith(RESUME_FOLDER)}

    def unseal(self, name: str) -> None:
        remove([self.home.address(name)], self.home.storage)
        self._begin()

    def seal(self, name: str, content: Mapping[str, Any], then: Callable[[], None] | None = None) -> None:
        self._over.set()
        self.bring()
        path = self.write_json(name, content)
        upload(path, self.home.address(name), self.home.storage)
        if then is not None:
            then()
        if not self.file(RESUME_FOLDER).exists():  # nobody goes on with it
            kept = [*(sent for sent in self._sent if sent.startswith(RESUME_FOLDER)), OWNER]
            remove([self.home.address(sent) for sent in kept], self.home.storage)

    def close(self) -> None:
        """Stop bringing files, and remove the folder on this machine."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._opened.close()

    def _stage(self) -> Path:
        """A folder on this machine that is removed when the run ends, or by the next run if this one is killed."""
        _sweep_stale()
        staging = Path(tempfile.mkdtemp(prefix=STAGING))
        self._opened.callback(shutil.rmtree, staging, ignore_errors=True)
        self._opened.enter_context(locked(staging / LOCK))
        return staging

    def _refuse_what_is_there(self) -> None:
        try:
            found = list_objects(parse_address(self.home.uri), self.home.storage, recursive=False)
        except ReadError as error:
            raise OutputError(str(error).replace("cannot read", "cannot write", 1)) from error
        if found:
            name = self.home.uri.rpartition("/")[2]
            raise ConfigError(f"run {name}: {self.home} is not empty; choose another run id")

    def _fetch(self, path: Path) -> None:
        """Bring here what the run had committed, and its log."""
        address, storage = parse_address(self.home.uri), self.home.storage
        start = len(address.key) + 1
        committed = list_objects(address.below(RESUME_FOLDER), storage)
        for entry in [*committed, *(stat(address.below(name), storage) for name in (LOG, "pipeline.log"))]:
            if entry is None or entry.key[start:] == OWNER:
                continue
            target = path / entry.key[start:]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read_whole(entry.uri, storage))
            self._sent[entry.key[start:]] = (target.stat().st_size, target.stat().st_mtime_ns)

    def _begin(self) -> None:
        """Say that this process works on the run from now on, which also proves that it may write; bring the log."""
        write_whole(self.home.address(OWNER), self._owner.encode(), self.home.storage)
        self._thread.start()

    def _check_owner(self) -> None:
        owner = read_whole(str(self.home.address(OWNER)), self.home.storage).decode("utf-8", "replace")
        if owner != self._owner:
            raise OutputError(
                f"run {self.path.name}: another process has gone on with it in {self.home}; this one ends"
            )

    def _send(self, name: str) -> None:
        """Put a file, unless it is there as it is now, or was removed meanwhile."""
        path = self.path / name
        with contextlib.suppress(FileNotFoundError):
            now = path.stat()
            if self._sent.get(name) != (now.st_size, now.st_mtime_ns):
                self._hashes[name] = upload(path, self.home.address(name), self.home.storage)
                self._sent[name] = (now.st_size, now.st_mtime_ns)

    def _prune(self) -> None:
        """Remove commits that the journal has removed since there are newer ones."""
        if self.file(RESUME_FOLDER).exists():
            gone = [name for name in self._sent if COMMIT in name and not (self.path / name).exists()]
            remove([self.home.address(name) for name in gone], self.home.storage)
            for name in gone:
                del self._sent[name]

    def _waiting(self) -> list[str]:
        """Complete files that were not brought as they are now."""
        found = []
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            if path.name.startswith(TEMP_MARK) or name == MANIFEST:
                continue
            with contextlib.suppress(FileNotFoundError):  # removed while we look
                now = path.stat()
                if path.is_file() and self._sent.get(name) != (now.st_size, now.st_mtime_ns):
                    found.append(name)
        return found

    def _bring_now_and_then(self) -> None:
        told = False
        while not self._over.wait(self._every_s):
            try:
                self.bring()
                told = False
            except (OutputError, ReadError, OSError) as error:
                if not told:
                    logger.warning("the log could not be brought to %s, and is tried again: %s", self.home, error)
                told = True


def record_bytes(output: RemoteFolder, run_id: str) -> bytes:
    """The record of an unfinished run in a bucket.

    Raises
    ------
    ResumeError
        If no unfinished run of this name is there.
    """
    check_run_id(run_id)
    output = output.replace(storage=resolved(output.storage))
    home = output.below(run_id)
    if stat(home.address(f"{RESUME_FOLDER}/{RECORD}"), home.storage) is None:
        if stat(home.address(MANIFEST), home.storage) is not None:
            raise ResumeError(f"resume: run {run_id} is over, and left nothing to go on from; see {home}/{MANIFEST}")
        raise ResumeError(f"resume: there is no unfinished run {run_id} in {output}. See: raypipe history {output}")
    return read_whole(str(home.address(f"{RESUME_FOLDER}/{RECORD}")), home.storage)


def _sweep_stale() -> None:
    """Remove folders of runs that were killed: nobody holds their locks."""
    for folder in Path(tempfile.gettempdir()).glob(f"{STAGING}*"):
        with contextlib.suppress(OSError, ResumeError):
            found = folder.stat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < STALE_S:
                continue
            with locked(folder / LOCK):
                shutil.rmtree(folder, ignore_errors=True)
