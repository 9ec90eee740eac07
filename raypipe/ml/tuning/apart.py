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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any, Self

from raypipe.ml.tuning.work import FoldResult, Task

LEAST_S = 5.0
"""Seconds of a search from which a process of its own is worth its start, which takes 2 to 3 of them."""
DYING_S = 5.0
"""How long a process that has let go of its line may take to be gone."""
LOOK_S = 1.0
"""How often process and driver look whether the other is still there."""


@dataclass(frozen=True)
class Ended:
    """A fold that gave nothing."""

    why: str | None
    """None: the time was up."""


class Apart:
    """Runs folds of one task in a process, which is there from the first fold to the end of the `with`.

    `begin` and `settled` let one driver keep several of them busy; `run` does one fold after the other.

    Parameters
    ----------
    packed : bytes
        The task, as `pack` gives it; several of these share it.
    """

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection[Any, Any] | None = None
        self._sender: threading.Thread | None = None
        self._asked: tuple[dict[str, Any], int] | None = None
        """What is to be sent as soon as the process is up."""
        self._ends: Callable[[], float] = lambda: math.inf
        self._until = math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, with whatever it does."""
        self._end()

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    def run(self, params: Mapping[str, Any], fold: int, ends: Callable[[], float], up_by: float) -> FoldResult | Ended:
        """A fold; or why there is none. See `begin`."""
        self.begin(params, fold, ends, up_by)
        while (result := self.settled()) is None:
            wait_for((self,))
        return result

    def begin(self, params: Mapping[str, Any], fold: int, ends: Callable[[], float], up_by: float) -> None:
        """Begin a fold, in a process that is started where there is none.

        Parameters
        ----------
        ends : callable
            Asked when the fold begins; gives the time, by `time.monotonic()`, by which it has to have ended. Else it is
            ended, and its process with it.
        up_by : float
            The time by which a process that has to be started has to be up.
        """
        if self._process is None:
            self._asked, self._ends, self._until = (dict(params), fold), ends, up_by
            self._start()
            return
        assert self._line is not None
        self._until = ends()
        with contextlib.suppress(OSError):  # `settled` finds out how it died
            self._line.send((dict(params), fold))

    def settled(self) -> FoldResult | Ended | None:
        """What became of the fold that was begun; None while it runs."""
        assert self._line is not None
        assert self._process is not None
        try:
            dead = self._process.poll() is not None  # asked first: what it had told before is read below
            while self._line.poll():
                result = self._line.recv()
                if isinstance(result, FoldResult):
                    return result
                self._hand_over()
        except (EOFError, OSError):
            dead = True
        if dead:
            return Ended(f"its process {self._end(DYING_S)}; the search goes on in another")
        if time.monotonic() < self._until:
            return None
        self._end()
        return Ended(None)

    def wakes(self) -> tuple[Connection[Any, Any], float]:
        """What tells when there is something to settle, and the time by which there is in any case."""
        assert self._line is not None
        return self._line, self._until

    def _hand_over(self) -> None:
        """Send the task and the first fold, from a thread: a process that does not read must not hold up the others."""
        line, asked, packed = self._line, self._asked, self._packed
        assert line is not None

        def send() -> None:
            with contextlib.suppress(OSError):  # `settled` finds out how it died
                line.send_bytes(packed)
                line.send(asked)

        self._until = self._ends()
        self._sender = threading.Thread(target=send, name="raypipe-task", daemon=True)
        self._sender.start()

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
        process, line, sender = self._process, self._line, self._sender
        self._process = self._line = self._sender = None
        if process is None or line is None:
            return "was not there"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)  # one that died tells how
        had_ended = process.returncode
        if had_ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what the fit had started
            process.wait()
        if sender is not None:
            sender.join(DYING_S)  # nobody reads any more
        if sender is None or not sender.is_alive():
            line.close()
        if had_ended is None:
            return "did not answer"
        return f"was ended by {signal.Signals(-had_ended).name}" if had_ended < 0 else f"ended with code {had_ended}"


def pack(task: Task) -> bytes:
    """The task, as processes are handed it."""
    return bytes(ForkingPickler.dumps(task))


def wait_for(aparts: Sequence[Apart]) -> None:
    """Wait until one of them has something to tell, or is out of time, or it is time to look whether all live."""
    lines, ends = zip(*(apart.wakes() for apart in aparts), strict=True)
    wait(lines, min(LOOK_S, max(0.0, min(ends) - time.monotonic())))


def main(arguments: Sequence[str]) -> None:
    """Run what the driver asks for, until it has gone."""
    line: Connection[Any, Any] = Connection(int(arguments[0]))
    os.set_inheritable(line.fileno(), False)
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
    os.killpg(os.getpgrp(), signal.SIGKILL)  # and what the fit has started


if __name__ == "__main__":
    main(sys.argv[1:])
