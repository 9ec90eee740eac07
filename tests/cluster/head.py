"""A real head of Ray, started by the flags and the environment that are rendered into every file."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from raypipe.cluster.render.starting import environment, head_flags
from raypipe.cluster.spec import ClusterSpec
from tests.cluster.shipped import shipped

START_S = 120.0
DASHBOARD = ("aiohttp", "grpc", "aiohttp_cors")
"""What Ray's dashboard needs beyond Ray itself."""


@dataclass(frozen=True)
class Head:
    """A head that runs."""

    address: str
    """Of its dashboard."""
    token: str
    token_file: Path
    spec: ClusterSpec
    """Whose rendered flags it was started with; its ports are free ones."""


@contextlib.contextmanager
def head_with_token(folder: Path) -> Iterator[Head]:
    """Start a head in a process group of its own; all of it is ended, and nothing else."""
    if any(importlib.util.find_spec(name) is None for name in DASHBOARD):
        pytest.skip("the dashboard of Ray is not installed: pip install 'ray[default]'")
    token = secrets.token_hex(32)
    token_file = folder / "token"
    token_file.write_text(token)
    token_file.chmod(0o600)
    names = ("gcs", "dashboard", "agent", "object_manager", "metrics", "client")
    ports = dict(zip(names, _ports(len(names)), strict=True))
    client = ports.pop("client")
    spec = shipped().replace(ports=ports)
    # Not below `folder`: paths of sockets may have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rp-head-", ignore_cleanup_errors=True) as place:
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", *head_flags(spec, "127.0.0.1"), "--block",
            "--object-store-memory=100000000", f"--temp-dir={place}", f"--ray-client-server-port={client}",
        ]  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        env = {**kept, **environment(str(token_file))}
        log = (folder / "head.log").open("w+")
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(process, spec.ports.dashboard, folder / "head.log")
            yield Head(f"http://127.0.0.1:{spec.ports.dashboard}", token, token_file, spec)
        finally:
            _end(process)
            log.close()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import time

    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the head did not start: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.25)
    raise RuntimeError(f"the dashboard did not come up in {START_S:g} s: {log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the head and everything that it started, by their ids."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=15)
        for one in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=15)
    if process.poll() is None:
        process.kill()
        process.wait()


def _ports(count: int) -> list[int]:
    """Free ports outside of the range from which Ray takes those of its workers."""
    found: list[int] = []
    for port in range(23_500 + os.getpid() % 3_000, 32_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no port is free")
