"""Renames that a reader sees whole: into an empty place only, or two places exchanged."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

NO_REPLACE, EXCHANGE = 1, 2
_AT_FDCWD = -100
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
"""What says that the system or the file system does not know the call."""


def move_new(source: Path, target: Path) -> None:
    """Rename `source` to `target`, which must not be there; FileExistsError where it is."""
    if _renameat2(source, target, NO_REPLACE):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target)


def exchange(source: Path, target: Path) -> None:
    """Give each of two files or folders the name of the other.

    At no moment is nothing there, unless the file system cannot exchange names: then `target` is away between two
    renames, and back if the second one fails.
    """
    if _renameat2(source, target, EXCHANGE):
        return
    away = source.with_name(f"{source.name}-away")
    os.rename(target, away)
    try:
        os.rename(source, target)
    except OSError:
        os.rename(away, target)
        raise
    os.rename(away, source)


def _renameat2(source: Path, target: Path, flag: int) -> bool:
    """Whether the system did it; False where it does not know how."""
    call: Callable[..., int] | None = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(flag)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(target))
