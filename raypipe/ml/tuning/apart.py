"""Folds in a process of their own, which is ended when the time is up: nothing else stops a fit inside a library.

Run as `python -m raypipe.ml.tuning.apart SOCKET DRIVER_PID`, where the socket is one end of a pair whose other end the
driver holds.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
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
    """Runs folds of one task in a process, which is there from the first fold to the end of the `with`.

    `begin` and `settled` let one driver keep several of them busy; `run` does one fold after the other.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any] | None = None
        self._asked: tuple[dict[str, Any], int] | None = None
        """What is to be sent as soon as the process is up."""
        self._until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    def run(self, params: Mapping[str, Any], fold: int, deadline: float) -> FoldResult | Ended:
        """A fold; or why there is none.

        Parameters
        ----------
        deadline : float
            By `time.monotonic()`; a fold that has not ended then is ended, and its process with it.
        """
        self.begin(params, fold, deadline)
        while (result := self.settled()) is None:
            wait_for((self,))
        return result

    def begin(self, params: Mapping[str, Any], fold: int, deadline: float) -> None:
        """Begin a fold, in a process that is started where there is none; see `run`."""
        self._until = deadline
        if self._process is None:
            self._asked = dict(params), fold
            self._start()
            return
        with contextlib.suppress(OSError):  # `settled` finds out how it died
            self._send((dict(params), fold))

    def settled(self) -> FoldResult | Ended | None:
        """What became of the fold that was begun; None while it runs."""
        assert self._line is not None
        try:
            while self._line.poll():
                result = self._line.recv()
                if self._asked is None:
                    assert isinstance(result, FoldResult)
                    return result
                asked, self._asked = self._asked, None  # it is up
                self._send(self._task)
                self._send(asked)
        except (EOFError, OSError):
            return Ended(f"its process {self._end(DYING_S)}; the search goes on in another")
        if time.monotonic() < self._until:
            return None
        self._end()
        return Ended(None)

    def _send(self, what: Any) -> None:
        assert self._line is not None
        self._line.send(what)

    def _start(self) -> None:
        self._line, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what libraries print is no part of what the user asked to be told
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # a Ctrl-C in the terminal is for the driver
        )
        theirs.close()

    def _end(self, wait_s: float = 0.0) -> str:
        """End the process; says how it had ended where it had."""
        process, line, self._process, self._line = self._process, self._line, None, None
        self._asked = None
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


def wait_for(aparts: Sequence[Apart]) -> None:
    """Wait until one of them has something to tell, or is out of time."""
    until = min(apart._until for apart in aparts)
    left = None if math.isinf(until) else max(0.0, until - time.monotonic())
    wait([apart._line for apart in aparts if apart._line is not None], left)


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
