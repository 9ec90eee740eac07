"""ORC files as read in a process of their own, so that a damaged one is an error and ends nothing else."""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raypipe.errors import ReadError
from raypipe.storage.source import Place

_PIPE_BYTES = 1 << 20
_ENDS_S = 10.0
"""How long a process that said nothing more may take to end."""


@dataclass(frozen=True)
class OrcLook:
    """What an ORC file says of itself."""

    schema: pa.Schema
    rows: int
    size: int
    """Bytes of its content."""
    stripe_rows: tuple[int, ...]


def look_at_orc(place: Place) -> OrcLook:
    """What a file says of itself.

    Raises
    ------
    ReadError
        If the reader ended at it; what the reader raises, else.
    """
    told, _ = _child(os.getpid()).ask(place, (), None)
    schema, rows, size, stripes = told
    return OrcLook(pa.ipc.read_schema(pa.py_buffer(schema)), rows, size, tuple(stripes))


def read_stripes(place: Place, columns: Sequence[str], stripes: Sequence[int]) -> pa.Table:
    """Rows of some stripes; fails as `look_at_orc` does."""
    table = _child(os.getpid()).ask(place, columns, stripes)[1]
    assert table is not None
    return table


@functools.lru_cache(maxsize=1)
def _child(pid: int) -> _Child:
    """The reader of this process: a fork has to have its own."""
    found = _Child()
    atexit.register(found.close)
    return found


class _Child:
    """A process that reads, started when it is needed; one request at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (it is open as long as this is)

    def ask(self, place: Place, columns: Sequence[str], stripes: Sequence[int] | None) -> tuple[Any, pa.Table | None]:
        """What it answers, and the rows behind it."""
        with self._lock:
            process = self._running()
            try:
                pickle.dump(
                    (place if hasattr(place, "uri") else str(place), list(columns), stripes and list(stripes)),
                    process.stdin,
                )
                process.stdin.flush()
                answer = pickle.load(process.stdout)
                rows = pa.ipc.open_stream(process.stdout).read_all() if answer is None else None
            except (BrokenPipeError, EOFError, pickle.UnpicklingError, pa.ArrowException, OSError) as error:
                raise self._ended(place, error) from error
        if isinstance(answer, BaseException):
            raise answer
        return answer, rows

    def _running(self) -> Any:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._said.seek(0)
            self._said.truncate()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "raypipe.etl.formats.orc_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            )
            assert self._process.stdout is not None
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return self._process

    def _ended(self, place: Place, error: Exception) -> ReadError:
        """The error that says how the process ended."""
        assert self._process is not None
        try:
            code = self._process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self.close()
            return ReadError(f"{place}: the process that read it gave no clear answer ({error}). Run again.")
        self.close()
        self._said.seek(0)
        said = self._said.read()[-300:].decode("utf-8", "replace").strip().splitlines()
        if code == -signal.SIGKILL:
            return ReadError(
                f"{place}: the process that read it was killed, most likely for want of memory. Give it more, or write"
                " the file in smaller stripes."
            )
        how = f"with signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        last = f" ({said[-1]})" if said else ""
        return ReadError(
            f"{place}: is damaged, or was not written to its end, or says that it holds far more than its bytes can:"
            f" the process that read it ended {how}{last}. Copy or write it again."
        )

    def close(self) -> None:
        """Let the process end."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    # What is left to write has no reader any more.
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue
            self._process.wait()
        self._process = None
