"""A command in processes of its own, none of which outlives its test."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.guard import below

ROOT = Path(__file__).resolve().parents[2]
GUARD = Path(__file__).with_name("guard.py")
END_S = 20.0
QUICK_TO_NOTICE = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}
"""A cluster that notices within seconds that a node is gone."""


class FamilyError(AssertionError):
    """A child process did not do what it was asked to."""


class Family:
    """A command and all that it starts, in a temporary folder and with a Ray token of its own."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.temp = Path(tempfile.mkdtemp(prefix="rf-", dir="/tmp"))  # short: sockets have paths of 107 bytes
        self.output, self.errors = self.temp / "out.txt", self.temp / "err.txt"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RAYPIPE_"))}
        self.token = secrets.token_hex(32)
        """Of every Ray that it starts."""
        own = {
            "TMPDIR": str(self.temp), "RAY_TMPDIR": str(self.temp), "HOME": str(self.temp),
            "XDG_CONFIG_HOME": str(self.temp), "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip
        guarded = [sys.executable, str(GUARD), str(self.temp / "pid"), *command]
        with self.output.open("wb") as out, self.errors.open("wb") as err:
            self._guard = subprocess.Popen(
                guarded, stdin=subprocess.PIPE, stdout=out, stderr=err, env={**kept, **own, **(env or {})}, cwd=cwd
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process of the command itself."""
        self.await_that(lambda: (self.temp / "pid").exists() and bool((self.temp / "pid").read_text()), 10.0)
        return int((self.temp / "pid").read_text())

    @property
    def is_up(self) -> bool:
        """Whether the command, or anything that it started, still lives."""
        return self._guard.poll() is None

    def members(self) -> list[int]:
        """Processes that the command started and that live, itself included."""
        return below(self._guard.pid)

    def kill_driver(self) -> None:
        """SIGKILL for the command alone, as the system does when memory runs out."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout_s: float) -> int:
        """Exit code of the command, once it and all that it started have ended.

        Raises
        ------
        FamilyError
            If somebody still lives after `timeout_s`; nobody does after that.
        """
        try:
            return self._guard.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            left = self.left_after(0.0)
            tail = self.stderr()[-3000:]
            self.close()
            raise FamilyError(f"still there after {timeout_s:g} s: {left}; it said: {tail}") from error

    def left_after(self, timeout_s: float) -> list[str]:
        """The command lines of those that still live when so much time has passed; empty as soon as none does."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guard.wait(timeout_s)
            return []
        left = []
        for pid in self.members():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                left.append(f"{pid}: {b' '.join(words)[:160].decode(errors='replace')}")
        return left

    def await_that(self, happened: Any, timeout_s: float) -> None:
        """Wait until `happened()` is true; FamilyError if that takes too long."""
        until = time.monotonic() + timeout_s
        while not happened():
            if time.monotonic() > until:
                raise FamilyError(f"waited {timeout_s:g} s in vain; it said: {self.stderr()[-3000:]}")
            time.sleep(0.02)

    def stdout(self) -> str:
        """What it printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def stderr(self) -> str:
        """What it complained about so far."""
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def close(self) -> None:
        """End all of them, and remove their folder."""
        if self._guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.close()
        if self._guard.poll() is None:
            self._guard.send_signal(signal.SIGTERM)
            self._guard.wait(END_S)
        shutil.rmtree(self.temp, ignore_errors=True)


class Child(Family):
    """A process that runs what `tests.faults.child` knows, one after the other, as it is asked to."""

    def __init__(self, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> None:
        self._link = tempfile.mkdtemp(prefix="rl-", dir="/tmp")
        self._pipe = Path(self._link) / "answers"
        os.mkfifo(self._pipe)
        command = [*prefix, sys.executable, "-m", "tests.faults.child", str(self._pipe)]
        super().__init__(command, {**QUICK_TO_NOTICE, **(env or {})}, ROOT)
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._pipe.open() as answers:
            for line in answers:
                self._answers.put(line)

    def send(self, scenario: str, **arguments: Any) -> None:
        """Ask for `scenario`, and do not wait for what it returns."""
        request = json.dumps({"scenario": scenario, "arguments": arguments}, default=str)
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # told by the answer that never comes
            self._guard.stdin.write(request.encode() + b"\n")
            self._guard.stdin.flush()

    def receive(self, scenario: str, timeout_s: float) -> Any:
        """What the function that was asked for returns.

        Raises
        ------
        FamilyError
            With its traceback if it raised; if it took too long, and then the child is ended.
        """
        try:
            answer = json.loads(self._answers.get(timeout=timeout_s))
        except queue.Empty as error:
            tail = self.stderr()[-3000:]
            self.close()
            raise FamilyError(f"{scenario}: no answer within {timeout_s:g} s; it said: {tail}") from error
        if "error" in answer:
            raise FamilyError(f"{scenario}: {answer['error']}")
        return answer["result"]

    def ask(self, scenario: str, timeout_s: float = 90.0, **arguments: Any) -> Any:
        """What the function `scenario` returns; see `receive`."""
        self.send(scenario, **arguments)
        return self.receive(scenario, timeout_s)

    def close(self) -> None:
        super().close()
        with contextlib.suppress(OSError):  # lets go of the thread that waits for somebody to write
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
        shutil.rmtree(self._link, ignore_errors=True)
