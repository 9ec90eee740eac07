"""Cleans up after a driver that was killed: a process of its own that waits for the driver's end.

Run as `python -m raypipe.engine.guard FOLDER PID:START ...` with a pipe as standard input whose other end only the
driver holds: the system closes it, however the driver ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

GRACE_S = 3.0
"""How long processes of Ray have to end by themselves, as most do once their driver is gone."""


def start_guard(folder: Path) -> subprocess.Popen[bytes]:
    """Guard the processes that this one has started so far, and the folder that they work in.

    Closing the standard input of the guard, or the end of this process, sets it off.
    """
    pids = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            pids.append(f"{child.pid}:{child.create_time()}")
    return subprocess.Popen(
        [sys.executable, "-m", "raypipe.engine.guard", str(folder), *pids],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,  # a Ctrl-C in the terminal is for the driver
    )


def clean_up(folder: Path, processes: Sequence[tuple[int, float]]) -> None:
    """End those of `processes` (id, start time) that are still there after a while, and remove the folder."""
    left = []
    for pid, started in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == started:  # ids are given again
                left.append(process)
    _, alive = psutil.wait_procs(left, timeout=GRACE_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=GRACE_S)
    shutil.rmtree(folder, ignore_errors=True)


def main(arguments: Sequence[str]) -> None:
    """Wait for the end of standard input, then clean up."""
    sys.stdin.buffer.read()
    pairs = [argument.split(":") for argument in arguments[1:]]
    clean_up(Path(arguments[0]), [(int(pid), float(started)) for pid, started in pairs])


if __name__ == "__main__":
    main(sys.argv[1:])
