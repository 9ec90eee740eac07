"""Runs a command, and outlives everything that it started: `python guard.py PID_FILE COMMAND …`.

Whatever the command starts stays below this process, also what its parent left behind, so that nothing has to be found
by name. It ends when the last of them has ended, with the exit code of the command; SIGTERM makes it end them all.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SET_PARENT_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36


def main(pid_file: str, *command: str) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this system has no subreapers")
    libc.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: end_all())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(command, start_new_session=True) as child:
        Path(pid_file).write_text(str(child.pid))
        code = 1
        while True:
            try:
                pid, status = os.wait()
            except ChildProcessError:
                child.returncode = code
                return code
            if pid == child.pid:
                code = os.waitstatus_to_exitcode(status) % 256


def end_all() -> None:
    """Kill everything below this process until there is nothing left."""
    while found := below(os.getpid()):
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                os._exit(143)
            if pid == 0:
                break
        time.sleep(0.05)
    os._exit(143)


def below(root: int) -> list[int]:
    """Processes below `root` that have not ended."""
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
