"""Results of finished tasks in a folder, so that a later run need not compute them again.

A file holds a signature, the fingerprint of the call, and the pickled value. The signature is made with a key that
lives outside of the folder, and nothing is unpickled whose signature does not hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raypipe.engine.faults import say
from raypipe.engine.packing import packed

logger = logging.getLogger(__name__)

MAGIC = b"raypipe task 1\n"
DIGEST_BYTES = 32


@dataclass(frozen=True)
class Kept:
    """A value from an earlier run, and what stands for it in the fingerprints of tasks that got it."""

    value: Any
    digest: bytes


class TaskStore:
    """One file a task, each written whole or not at all.

    Parameters
    ----------
    folder : Path
        Made when the first result is kept. On a disk of this machine or a shared one, not on object storage.
    key : bytes
        What files are signed with; see `raypipe.engine.journal.resume_key`.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key

    def find(self, name: str, fingerprint: bytes) -> Kept | None:
        """What the same call of task `name` returned; None if it is absent, another call's, or not signed by us."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("task %r is computed again: %s cannot be read: %s", name, path, say(error))
            return None
        head = len(MAGIC)
        signature, signed = content[head : head + DIGEST_BYTES], content[head + DIGEST_BYTES :]
        if content[:head] != MAGIC or not hmac.compare_digest(signature, self._sign(path, signed)):
            logger.warning("task %r is computed again: %s is damaged, or was signed with another key", name, path)
            return None
        if signed[:DIGEST_BYTES] != fingerprint:
            return None
        body = signed[DIGEST_BYTES:]
        try:
            return Kept(pickle.loads(body), _digest(body))
        except Exception as error:  # a class that is no longer there, or is another
            logger.warning("task %r is computed again: what was kept cannot be read: %s", name, say(error))
            return None

    def keep(self, name: str, fingerprint: bytes, value: Any) -> bytes | None:
        """Write the value down; its digest, or None with a warning where it cannot be pickled or written."""
        try:
            body = packed(value)
        except Exception as error:
            logger.warning("task %r is not kept for a later run: its value cannot be pickled: %s", name, say(error))
            return None
        try:
            self._write(self._path(name), fingerprint + body)
        except OSError as error:
            logger.warning("task %r is not kept for a later run: %s", name, say(error))
        return _digest(body)

    def digest_of(self, value: Any) -> bytes | None:
        """Stands for a value that is not kept; None where it cannot be pickled."""
        try:
            return _digest(packed(value))
        except Exception:  # what gets this value is then not kept either
            return None

    def _write(self, path: Path, signed: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # One name for all processes, so that none piles up after a kill; what two of them mix has no signature.
        temporary = path.with_name(f".{path.name}")
        try:
            with temporary.open("wb") as file:
                file.write(MAGIC + self._sign(path, signed))
                file.write(signed)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):  # it is gone already where all went well
                temporary.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        """Names of tasks are hostile as file names, so the file has a digest for a name."""
        return self._folder / f"{_digest(name.encode('utf-8', 'surrogatepass')).hex()[:32]}.task"

    def _sign(self, path: Path, signed: bytes) -> bytes:
        """Over the name too, so that no file can stand in for another."""
        return hmac.new(self._key, path.name.encode() + b"\n" + signed, hashlib.sha256).digest()


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
