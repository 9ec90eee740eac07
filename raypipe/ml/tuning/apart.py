"""Folds in a process of their own, which is ended when the time is up: nothing else stops a fit inside a library.

Run as `python -m raypipe.ml.tuning.apart SOCKET DRIVER_PID`, where the socket is one end of a pair whose other end the
driver holds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any, Self

from raypipe.ml.tuning.work import FoldResult, Task

LEAST_S = 5.0
"""Seconds of a search from which a process of its own is worth its start, which takes 2 to 3 of them."""
DYING_S = 5.0
"""How long a process that has let go of its line may take to be gone."""
LOOK_S = 1.0
"""How often the process looks whether its driver is still there."""


@dataclass(frozen=True)
class Ended:
    """A fold that gave nothing."""

    why: str | None
    """None: the time was up."""


class Apart:
    """Runs folds of one task in a process, which is there from the first fold to the end of the `with`."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self, params: Mapping[str, Any], fold: int, deadline: float) -> FoldResult | Ended:
        """A fold; or why there is none.

        Parameters
        ----------
        deadline : float
            By `time.monotonic()`; a fold that has not ended then is ended, and its process with it.
        """
        try:
            if self._line is None and not self._begin(deadline):
                return Ended(None)
            assert self._line is not None
            self._line.send((dict(params), fold))
            if not self._line.poll(max(0.0, deadline - time.monotonic())):
                self._end()
                return Ended(None)
            result: FoldResult = self._line.recv()
        except (EOFError, OSError):
            return Ended(f"its process {self._end(DYING_S)}; the search goes on in another")
        return result

    def _begin(self, deadline: float) -> bool:
        """Start the process and hand it the task; whether that was done in time."""
        ours, theirs = Pipe()
        self._line = ours
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what libraries print is no part of what the user asked to be told
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # a Ctrl-C in the terminal is for the driver
        )
        theirs.close()
        if not ours.poll(max(0.0, deadline - time.monotonic())):
            self._end()
            return False
        ours.recv()
        ours.send(self._task)
        return True

    def _end(self, wait_s: float = 0.0) -> str:
        """End the process; says how it had ended where it had."""
        process, line, self._process, self._line = self._process, self._line, None, None
        if process is None or line is None:
            return "was not there"
        line.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)  # one that died tells how
        had_ended = process.returncode
        process.kill()
        process.wait()
        if had_ended is None:
            return "did not answer"
        return f"was ended by {signal.Signals(-had_ended).name}" if had_ended < 0 else f"ended with code {had_ended}"


def main(arguments: Sequence[str]) -> None:
    """Run what the driver asks for, until it has gone."""
    line: Connection[Any, Any] = Connection(int(arguments[0]))
    threading.Thread(target=_end_with, args=(int(arguments[1]),), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        line.send("up")
        task: Task = line.recv()
        while True:
            params, fold = line.recv()
            line.send(task.run(params, fold))


def _end_with(driver: int) -> None:
    """A fit whose driver was killed is wanted by nobody."""
    while os.getppid() == driver:
        time.sleep(LOOK_S)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
