"""Whether a workbook can be given to calamine without ending this process: tried in another one first."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile

from raypipe.errors import ReadError
from raypipe.storage.source import Place

LONGEST_S, LONGEST_S_PER_MIB = 60.0, 5.0
"""Seconds that loading a workbook may take, and as many more for each of its MiB."""


def require_harmless(place: Place) -> None:
    """Nothing, if the workbook can be loaded; looked at once, as long as it does not change.

    Raises
    ------
    ReadError
        If loading it ends a process, or does not end.
    """
    found = os.stat(str(place))
    _try(str(place), found.st_size, found.st_mtime_ns)


def require_harmless_bytes(content: bytes, place: Place) -> None:
    """As `require_harmless`, for a workbook that is not on a disk."""
    with tempfile.NamedTemporaryFile(suffix=".workbook") as file:
        file.write(content)
        file.flush()
        try:
            _try(file.name, len(content), 0)
        except ReadError as error:
            raise ReadError(str(error).replace(file.name, str(place))) from error


@functools.lru_cache(maxsize=64)
def _try(path: str, size: int, changed: int) -> None:
    longest = LONGEST_S + LONGEST_S_PER_MIB * size / (1 << 20)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    command = [sys.executable, "-m", "raypipe.etl.formats.calamine_child", path]
    try:
        done = subprocess.run(command, env=env, capture_output=True, timeout=longest, check=False)
    except subprocess.TimeoutExpired as error:
        raise ReadError(
            f"{path}: is damaged: reading it did not end within {longest:.0f} s. Save it again as .xlsx."
        ) from error
    if done.returncode:
        how = f"with signal {signal.Signals(-done.returncode).name}" if done.returncode < 0 else "for want of memory"
        raise ReadError(
            f"{path}: is damaged, or says that it holds far more than its bytes can: a process that read it ended"
            f" {how}. Save it again, or fetch it anew."
        )
