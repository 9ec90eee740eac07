"""Cleans up after a driver that was killed: a process of its own that waits for the driver's end.

Run as `python -m raypipe.engine.guard FOLDER DRIVER_PID` with a pipe as standard input whose other end only the driver
holds: the system closes it, however the driver ends. Until the driver says that its Ray is up, the guard keeps looking
for what the driver starts; later processes are children of those, and end with them.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

GRACE_S = 3.0
"""How long processes of Ray have to end by themselves, as most do once their driver is gone."""
LOOK_S = 0.2


class Guard:
    """The driver's end of it."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "raypipe.engine.guard", str(folder), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # a Ctrl-C in the terminal is for the driver
        )

    def all_started(self) -> None:
        """What is to be guarded is up."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # a guard that somebody ended guards nothing
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()

    def let_go(self) -> None:
        """Set it off; it cleans up what is left, and ends."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()  # it went into the background when it began


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
    """Watch what the driver starts, wait for its end, then clean up."""
    if os.fork():  # nobody's child, so that nobody has to wait for it
        os._exit(0)
    folder, driver = Path(arguments[0]), int(arguments[1])
    found: dict[int, float] = {}
    everything_is_up = False
    while True:
        ready = everything_is_up or bool(select.select([0], [], [], LOOK_S)[0])
        said = os.read(0, 64) if ready else b""
        if not everything_is_up:
            _add_children([driver, *found], found)
            found.pop(os.getpid(), None)
        if ready and not said:
            break
        everything_is_up = everything_is_up or bool(said)
    clean_up(folder, list(found.items()))


def _add_children(parents: Sequence[int], found: dict[int, float]) -> None:
    """Note the processes below `parents`, and when each began."""
    for parent in parents:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(parent).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    found[child.pid] = child.create_time()


if __name__ == "__main__":
    main(sys.argv[1:])
