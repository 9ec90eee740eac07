"""A private PostgreSQL server in a temporary folder, run by a user without privileges."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "s3cret/%&pw"  # of a server that lives as long as the tests
USER = "tester"


@dataclass(frozen=True)
class Server:
    """A server that listens on this machine only."""

    port: int

    @property
    def address(self) -> str:
        """Without a password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"


def _binaries() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places or not (places[-1] / "initdb").exists():
        pytest.skip("PostgreSQL is absent: apt-get install postgresql")
    return places[-1]


def _as_nobody() -> list[str]:
    """What goes before a command so that root does not run it: the server refuses root."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("PostgreSQL does not run as root, and setpriv is absent")
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextmanager
def server() -> Iterator[Server]:
    """Start a server; it is gone afterwards."""
    binaries, prefix = _binaries(), _as_nobody()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(tempfile.mkdtemp(prefix="raypipe-pg-"))
    try:
        secret = home / "password"
        secret.write_text(PASSWORD + "\n")
        if prefix:
            for place in (home, secret):
                shutil.chown(place, "postgres", "postgres")
        init = ["initdb", "-D", home / "data", "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-N"]
        init += ["-E", "UTF8", "--locale=C.UTF-8"]
        _run(prefix, binaries, init)
        options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB"
        control = ["pg_ctl", "-D", home / "data", "-w", "-l", home / "log"]
        _run(prefix, binaries, [*control, "-o", options, "start"])
        try:
            yield Server(port)
        finally:
            _run(prefix, binaries, [*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(prefix: list[str], binaries: Path, command: list[object]) -> None:
    whole = [*prefix, str(binaries / str(command[0])), *map(str, command[1:])]
    done = subprocess.run(whole, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        pytest.skip(f"PostgreSQL did not start here: {done.stderr.strip()[-300:]}")
