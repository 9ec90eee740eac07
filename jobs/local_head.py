"""A Ray cluster of one node on this machine, with token authentication, for demonstrations and tests.

Its dashboard listens on loopback alone; all its processes end with it, also if this process is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

START_S = 90.0
END_S = 15.0
TRIES = 3
PR_SET_PDEATHSIG = 1
LOOPBACK = "127.0.0.1"


class HeadError(RuntimeError):
    """The head did not come up."""


class LocalHead:
    """`ray start --head` in processes and a folder of its own; `ip` is where other nodes reach it."""

    def __init__(self, cpus: int = 2, env: Mapping[str, str] | None = None, ip: str = LOOPBACK) -> None:
        self.token = secrets.token_hex(32)
        self.folder = Path(tempfile.mkdtemp(prefix="rph-", dir="/tmp"))  # short: sockets have paths of 107 bytes
        self.port, self.dashboard_port = free_port(), free_port()
        self.url = f"http://{LOOPBACK}:{self.dashboard_port}"
        self.address = f"{ip}:{self.port}"
        bin_dir = str(Path(sys.executable).parent)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RAYPIPE_"))}
        self.env = {
            **kept, "PATH": f"{bin_dir}{os.pathsep}{kept.get('PATH', '')}", "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(self.folder),
            "HOME": str(self.folder), **(env or {}),
        }  # fmt: skip
        flags = {
            "port": self.port, "dashboard-host": LOOPBACK, "dashboard-port": self.dashboard_port, "num-cpus": cpus,
            "include-dashboard": "true", "temp-dir": self.folder / "ray", "object-store-memory": 200 << 20,
            "ray-client-server-port": free_port(), "dashboard-agent-listen-port": free_port(),
            "min-worker-port": 0, "max-worker-port": 0, "node-ip-address": ip,
        }  # fmt: skip
        words = (f"--{name}={value}" for name, value in flags.items())
        self._command = [f"{bin_dir}/ray", "start", "--head", "--block", *words]
        self._log = self.folder / "start.log"
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_end_with_parent,
            )  # fmt: skip

    def wait(self) -> None:
        """Return once the head takes jobs; HeadError if it does not."""
        for attempt in range(TRIES):
            until = time.monotonic() + START_S
            while time.monotonic() < until and self._process.poll() is None:
                if self._takes_jobs():
                    return
                time.sleep(0.2)
            # Ray gives a node 30 seconds to come up, which a machine with much to do may not meet.
            self._end_processes()
            if attempt + 1 < TRIES:
                shutil.rmtree(self.folder / "ray", ignore_errors=True)
                self._process = self._started()
        raise HeadError(f"the head did not come up: {self._log.read_text(errors='replace')[-1500:]}")

    def _takes_jobs(self) -> bool:
        nodes = self.get("/api/v0/nodes")[1]
        return self.get("/api/jobs/")[0] == 200 and '"ALIVE"' in nodes

    def get(self, path: str, *, token: bool = True) -> tuple[int, str]:
        """Status and text of an endpoint; 0 where nobody answers."""
        request = urllib.request.Request(self.url + path)
        if token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError:
            return 0, ""

    @property
    def pid(self) -> int:
        """The process that holds the others."""
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL for all of it at once, as when a machine is lost."""
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def close(self) -> None:
        """End all its processes, and remove its folder."""
        self._end_processes()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_processes(self) -> None:
        family = self._family()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, END_S)
        self._process.wait()

    def _family(self) -> list[psutil.Process]:
        """The process, what it started, and what names its folder: some of Ray's processes have left their parent."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid == self._process.pid or str(self.folder) in " ".join(process.cmdline()):
                    found |= {one.pid: one for one in (process, *process.children(recursive=True))}
        found.pop(os.getpid(), None)
        return list(found.values())


@contextlib.contextmanager
def local_head(cpus: int = 2, env: Mapping[str, str] | None = None, ip: str = LOOPBACK) -> Iterator[LocalHead]:
    """A head that takes jobs; it is gone when the block is left, however that happens."""
    head = LocalHead(cpus, env, ip)
    try:
        head.wait()
        yield head
    finally:
        head.close()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        return int(held.getsockname()[1])


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies; `ray start --block` then ends its children."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
