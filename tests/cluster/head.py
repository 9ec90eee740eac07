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
    env: dict[str, str]
    """Environment that is let in."""


@contextlib.contextmanager
def head_with_token(folder: Path, *, dashboard: bool = True) -> Iterator[Head]:
    """Start a head in a process group of its own; all of it is ended, and nothing else.

    Parameters
    ----------
    dashboard : bool
        Whether the whole dashboard is needed, which minimal installations of Ray lack; then the test is skipped.
    """
    whole = all(importlib.util.find_spec(name) is not None for name in DASHBOARD)
    if dashboard and not whole:
        pytest.skip("the dashboard of Ray is not installed: pip install 'ray[default]'")
    token = secrets.token_hex(32)
    token_file = folder / "token"
    token_file.write_text(token)
    token_file.chmod(0o600)
    spec = shipped().replace(ports=free_ports())
    (client,) = _ports(1, start=29_000)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env = {**kept, **environment(str(token_file))}
    # Ray's client is part of the whole installation only.
    own = [f"--ray-client-server-port={client}"] if whole else []
    waited = spec.ports.dashboard if dashboard else spec.ports.gcs
    with ray_start([*head_flags(spec, "127.0.0.1"), *own, "--block"], env, folder / "head.log") as process:
        _wait(process, waited, folder / "head.log")
        yield Head(f"http://127.0.0.1:{spec.ports.dashboard}", token, token_file, spec, env)


def free_ports() -> dict[str, int]:
    """Free ports for every service of a node."""
    names = ("gcs", "dashboard", "agent", "object_manager", "metrics")
    return dict(zip(names, _ports(len(names)), strict=True))


@contextlib.contextmanager
def ray_start(flags: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`ray start` with flags; it and all that it started are ended."""
    # Not below a test's folder: paths of sockets may have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="rp-head-", ignore_cleanup_errors=True) as place, log.open("w+") as said:
        where = [f"--temp-dir={place}"] if "--head" in flags else []
        command = [
            sys.executable,
            "-m",
            "ray.scripts.scripts",
            "start",
            *flags,
            *where,
            "--object-store-memory=100000000",
        ]
        process = subprocess.Popen(command, env=env, stdout=said, stderr=said, start_new_session=True)
        try:
            yield process
        finally:
            _end(process)


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


def _ports(count: int, start: int = 23_500) -> list[int]:
    """Free ports outside of the range from which Ray takes those of its workers."""
    found: list[int] = []
    for port in range(start + secrets.randbelow(2_500), 32_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no port is free")
