"""Processes of contenders: started, watched from outside, and always ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

ROOT = Path(__file__).resolve().parents[1]
PATHS = (str(ROOT),)
"""Where contenders, and the workers that they start, find modules beside those installed."""
SAMPLE_S = 0.25
TREE_EVERY = 4
"""Samples between two looks for new processes and at proportional memory: both are dear, and must not disturb what is
measured."""
STOP_S = 20.0
TAIL_CHARS = 1500


class ContenderError(RuntimeError):
    """A contender could not start, raised, or took too long."""


DAEMONS = ("ray::DashboardA", "ray::RuntimeEn")
"""Ray's own agents, by the beginnings that the system keeps of their names: they are no workers."""


class ContenderAbsentError(ContenderError):
    """A package that the contender needs is not installed in its environment."""


@dataclass
class Usage:
    """What a tree of processes took while it was watched."""

    cpu_s: float = 0.0
    """User and system time of all processes, as far as they were seen."""
    main_rss_bytes: int = 0
    """Peak resident memory of the process that was started and of Ray's workers, pages shared between them counted once
    for each: an upper bound."""
    tree_pss_bytes: int = 0
    """Peak of the whole tree (with Ray's own daemons and object store), shared pages counted once."""


@dataclass
class Watch:
    """Samples a process and its descendants in a thread."""

    pid: int
    usage: Usage = field(default_factory=Usage)
    _first: dict[int, float] = field(default_factory=dict)
    _last: dict[int, float] = field(default_factory=dict)
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                self._first[process.pid] = _cpu(process)
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        self._sample(self._tree(), pss=True)
        self.usage.cpu_s = sum(spent - self._first.get(pid, 0.0) for pid, spent in self._last.items())

    def _tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            main = psutil.Process(self.pid)
            return [main, *main.children(recursive=True)]
        return []

    def _loop(self) -> None:
        count = 0
        tree: list[psutil.Process] = []
        while not self._done.wait(SAMPLE_S):
            closer = count % TREE_EVERY == TREE_EVERY - 1
            if closer or not tree:
                tree = self._tree()
            self._sample(tree, pss=closer)
            count += 1

    def _sample(self, tree: Sequence[psutil.Process], *, pss: bool) -> None:
        main = total = 0
        for process in tree:
            with contextlib.suppress(psutil.Error):
                self._last[process.pid] = _cpu(process)
                name = process.name()
                if process.pid == self.pid or (name.startswith("ray::") and not name.startswith(DAEMONS)):
                    main += process.memory_info().rss
                if pss:
                    total += process.memory_full_info().pss
        self.usage.main_rss_bytes = max(self.usage.main_rss_bytes, main)
        self.usage.tree_pss_bytes = max(self.usage.tree_pss_bytes, total)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@dataclass(frozen=True)
class Answer:
    """What a contender said, and what it took as seen from outside."""

    seconds: float
    """From the command being sent to its answer."""
    facts: dict[str, Any]
    usage: Usage


def _environment() -> dict[str, str]:
    quiet = {
        "PYTHONPATH": os.pathsep.join(PATHS),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "YDATA_PROFILING_NO_ANALYTICS": "True",
        "PYTHONWARNINGS": "ignore",
        "MPLBACKEND": "Agg",
    }
    return {**os.environ, **quiet}


class Server:
    """A contender that stays up: start it, warm it, then time single commands."""

    def __init__(self, python: Path, module: str, timeout_s: float) -> None:
        self.module = module
        self.timeout_s = timeout_s
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in `stop`
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.serve", module],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def ask(self, do: str, task: dict[str, Any] | None = None) -> Answer:
        """Send one command and wait for its answer.

        Raises
        ------
        ContenderAbsentError
            If the contender's packages are not there.
        ContenderError
            If it raised, ended, or gave no answer in time.
        """
        assert self._process.stdin is not None
        line = json.dumps({"do": do, "task": task or {}}) + "\n"
        with Watch(self._process.pid) as watch:
            started = time.perf_counter()
            with contextlib.suppress(BrokenPipeError):  # it has ended; `_answer` says how
                self._process.stdin.write(line)
                self._process.stdin.flush()
            said = self._answer(do)
            seconds = time.perf_counter() - started
        if said.get("absent"):
            raise ContenderAbsentError(f"{self.module}: {said['error']}")
        if "error" in said:
            raise ContenderError(f"{self.module}: {do}: {said['error']}\n{said.get('trace', '')}")
        return Answer(seconds, said["facts"], watch.usage)

    def _answer(self, do: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self.timeout_s)
        if not ready:
            raise ContenderError(f"{self.module}: {do}: no answer within {self.timeout_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise ContenderError(f"{self.module}: {do}: its process ended\n{self._tail()}")
        said: dict[str, Any] = json.loads(line)
        return said

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def _tail(self) -> str:
        self._log.seek(0)
        return self._log.read()[-TAIL_CHARS:]

    def stop(self) -> None:
        """Let it end by itself; end it, and what it started, if it does not."""
        end(self._process)
        self._log.close()


def end(process: subprocess.Popen[str]) -> None:
    """Close its input, wait, then end its tree."""
    tree: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        tree = psutil.Process(process.pid).children(recursive=True)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    _, alive = psutil.wait_procs(tree, timeout=STOP_S / 4)
    for child in alive:
        with contextlib.suppress(psutil.Error):
            child.kill()


def run_cold(command: Sequence[str], timeout_s: float) -> Answer:
    """Time a whole process, from its start to its end.

    Raises
    ------
    ContenderError
        If it ends with another code than 0, or not in time.
    """
    with tempfile.TemporaryFile("w+") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(), stdout=log, stderr=log, text=True, start_new_session=True
        )
        late = threading.Event()

        def give_up() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(timeout_s, give_up)
        timer.start()
        with Watch(process.pid) as watch:
            try:
                code = process.wait()  # with a time limit it would poll, and add up to 50 ms
            finally:
                seconds = time.perf_counter() - started
                timer.cancel()
                end(process)
        if late.is_set():
            raise ContenderError(f"{' '.join(command[1:4])}: not done within {timeout_s:g} s")
        if code != 0:
            log.seek(0)
            raise ContenderError(f"{' '.join(command[1:4])}: ended with code {code}\n{log.read()[-TAIL_CHARS:]}")
    return Answer(seconds, {}, watch.usage)
