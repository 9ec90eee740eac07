"""The command `raypipe` in a process of its own, without the two seconds that Python takes to load it.

One process loads raypipe once, and forks for each command. The fork has its own arguments, environment, folder and
standard streams, and ends like any process does, with its exit code. Ray is not loaded before the fork.

`run_raypipe` is for tests; `python -S -E tests/warm.py SOCKET ...` is the command for a shell: it imports nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
LONGEST_REQUEST = 1 << 20
START_S = 60.0


def run_raypipe(
    *arguments: str | Path, cwd: Path, check: int | None = 0, env: Mapping[str, str] | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """What the command line prints, and its exit code, which has to be `check` where that is given."""
    import subprocess
    import tempfile

    words = [str(one) for one in arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull, "rb") as nothing:
        code = call(
            address(), words, cwd, dict(env or os.environ), [one.fileno() for one in (nothing, out, err)], timeout
        )
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(words, code, out.read().decode(), err.read().decode())
    if check is not None:
        assert done.returncode == check, done.stderr + done.stdout
    return done


_server: list[str] = []


def address() -> str:
    """Where the process listens that has raypipe loaded; it is started by whoever asks first, and ends with it."""
    if not _server:
        import subprocess
        import tempfile
        import time

        path = os.path.join(tempfile.mkdtemp(prefix="rw-", dir="/tmp"), "s")
        command = [sys.executable, "-m", "tests.warm", "--serve", path]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        atexit.register(process.communicate)
        until = time.monotonic() + START_S
        while not os.path.exists(path):
            assert process.poll() is None, "the process that loads raypipe has ended"
            assert time.monotonic() < until, f"raypipe was not loaded within {START_S:g} s"
            time.sleep(0.02)
        _server.append(path)
    return _server[0]


def call(
    path: str, words: list[str], cwd: str | Path, env: dict[str, str], streams: list[int], timeout: float | None
) -> int:
    """Exit code of a command that the process behind `path` forks for; it is killed if it takes longer."""
    request = json.dumps({"words": words, "cwd": str(cwd), "env": env}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_REQUEST)
        socket.send_fds(connection, [request], streams)
        pid = int(connection.recv(64))
        try:
            return int(connection.recv(64))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise


def serve(path: str) -> list[str] | None:
    """Fork for each command that is asked for: in the fork, its words; in the parent None, once its input has ended."""
    _load()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{path}.new")
        listener.listen(16)
        os.rename(f"{path}.new", path)
        while True:
            ready, _, _ = select.select([listener, 0], [], [], 1.0)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            if 0 in ready:
                return None
            if listener in ready:
                connection, _ = listener.accept()
                with connection:
                    words = _forked(connection, listener)
                if words is not None:
                    return words


def _load() -> None:
    """All that a command may need and that may be there before a fork: no Ray, no thread of ours, no connection."""

    import raypipe.cli.main
    import raypipe.cli.show
    import raypipe.dashboard
    import raypipe.pipeline.check  # noqa: F401

    for extra in ("lightgbm", "skops.io"):  # With scikit-learn and torch, four seconds of each command of models.
        with contextlib.suppress(ImportError):
            importlib.import_module(extra)


def _forked(connection: socket.socket, listener: socket.socket) -> list[str] | None:
    """In the fork, the words of the command; one more process waits for its end, and tells who asked."""
    request, streams, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, 3)
    if os.fork():
        for stream in streams:
            os.close(stream)
        return None
    listener.close()
    pid = os.fork()
    if pid:
        for stream in [0, 1, 2, *streams]:
            os.close(stream)
        connection.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(OSError):  # nobody waits any more
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    connection.close()
    for stream, place in zip(streams, (0, 1, 2)):
        os.dup2(stream, place)
        os.close(stream)
    wanted = json.loads(request)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    words: list[str] = wanted["words"]
    return words


def _become(words: list[str]) -> None:
    """Run the command line as if it had just been started."""
    from raypipe.cli import main

    sys.modules["__main__"].__package__ = None
    sys.path.insert(0, os.getcwd())
    sys.argv = ["raypipe", *words]
    try:
        main()
        _codes.append(0)
    except SystemExit as end:
        _codes.append(int(end.code or 0))


_codes: list[int] = []
"""Of the command that this process has become, once it is done."""


def _leave() -> None:
    """End a command here: to take all apart that was loaded would take longer than most commands."""
    if _codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_codes[0])


if __name__ == "__main__":
    if sys.argv[1] != "--serve":
        sys.exit(call(sys.argv[1], sys.argv[2:], os.getcwd(), dict(os.environ), [0, 1, 2], None))
    atexit.register(_leave)  # the first to be registered is the last to be run
    asked = serve(sys.argv[2])
    if asked is None:
        os.unlink(sys.argv[2])
        os.rmdir(os.path.dirname(sys.argv[2]))
    else:
        _become(asked)
