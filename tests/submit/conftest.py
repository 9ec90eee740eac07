"""A real Ray head with token authentication, and the command line that talks to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from pydantic import SecretStr

from jobs.local_head import LocalHead, local_head
from raypipe.submit.client import JobsClient
from raypipe.submit.replies import JobState
from raypipe.submit.target import Target, Token
from tests.warm import run_raypipe

ROOT = Path(__file__).resolve().parents[2]
END_S = 180.0
RESUME_KEY = "the same for all"


@pytest.fixture(scope="session")
def head() -> Iterator[LocalHead]:
    """A head with two CPUs that lasts for all tests; a test that harms one starts its own."""
    with local_head(cpus=2, env={"PYTHONPATH": str(ROOT), "DEMO_SECRET": "the-value-of-a-secret"}) as started:
        yield started


@pytest.fixture
def client(head: LocalHead) -> Iterator[JobsClient]:
    """A client with the right token."""
    made = client_of(head)
    yield made
    made.close()


def client_of(head: LocalHead, url: str | None = None) -> JobsClient:
    token = Token(value=SecretStr(head.token), origin="the test")
    return JobsClient(Target(url=url or head.url, token=token))


@pytest.fixture
def cli(head: LocalHead, tmp_path: Path) -> Cli:
    """The command line, with this head and its token in the environment."""
    return Cli(head, tmp_path)


def _heeds_ctrl_c() -> None:
    """A shell that starts the tests in the background has its children ignore SIGINT, which a terminal never does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """`raypipe …`, begun."""

    def __init__(self, words: list[str], env: dict[str, str], folder: Path) -> None:
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [sys.executable, "-m", "raypipe", *words]
            self.process = subprocess.Popen(
                command, env=env, cwd=folder, stdout=out, stderr=err, preexec_fn=_heeds_ctrl_c
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def code(self, timeout_s: float = END_S) -> int:
        return self.process.wait(timeout_s)


@dataclass(frozen=True)
class Ended:
    """`raypipe …`, and what it said."""

    out: str
    err: str


class Cli:
    """Runs `raypipe` in processes of their own."""

    def __init__(self, head: LocalHead, folder: Path) -> None:
        self.folder, self.url = folder, head.url
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "RAYPIPE_"))}
        self.env = {
            **kept, "RAYPIPE_ADDRESS": head.url, "RAY_AUTH_TOKEN": head.token, "PYTHONPATH": str(ROOT), "NO_COLOR": "1",
            "HOME": str(head.folder), "COLUMNS": "200",
        }  # fmt: skip
        self._number = 0

    def _place(self) -> Path:
        self._number += 1
        folder = self.folder / f"call{self._number}"
        folder.mkdir()
        return folder

    def begin(self, *words: object, **env: str) -> Running:
        return Running([str(word) for word in words], {**self.env, **env}, self._place())

    def __call__(self, *words: object, code: int = 0, timeout_s: float = END_S, **env: str) -> Ended:
        plain = [str(word) for word in words]
        done = run_raypipe(*plain, cwd=self._place(), check=None, env={**self.env, **env}, timeout=timeout_s)
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
        return Ended(done.stdout, done.stderr)

    def submit(self, config: Path, *words: object, code: int = 0, **env: str) -> Ended:
        return self("submit", config, "--shared", self.folder, *words, code=code, **env)

    def begin_submit(self, config: Path, *words: object, **env: str) -> Running:
        return self.begin("submit", config, "--shared", self.folder, *words, **env)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Path]:
    """Writes the config of a small job that runs in its driver alone, and its source."""

    def write(rows: int = 200, **settings: Any) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        source = tmp_path / "source.csv"
        lines = (f"{row},city {row * 31 % 17},{(row * 7919) % 10007 / 4},note {row * 17 % 1009}" for row in range(rows))
        source.write_text("id,city,amount,note\n" + "\n".join(lines) + "\n")
        config = folder / "job.yaml"
        given = {
            "data_source": str(source), "output_dir": str(tmp_path / "runs"), "generate_dashboard": False,
            "engine": {"engine": "inline"}, **settings,
        }  # fmt: skip
        config.write_text(yaml.safe_dump(given))
        return config

    return write


SLOW_ENGINE = {"engine": "inline", "block_mib": 0.05, "checkpoint_s": 0.2}
"""Many small parts, committed often: something to break off."""


def records(running: Running | Ended, event: str) -> list[dict[str, Any]]:
    """Objects of `--json` of one kind."""
    found = [json.loads(line) for line in running.out.splitlines() if line.startswith("{")]
    return [one for one in found if one["event"] == event]


def await_that(happened: Callable[[], object], timeout_s: float = 90.0) -> None:
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)


def await_end(client: JobsClient, name: str, timeout_s: float = END_S) -> JobState:
    await_that(lambda: client.job(name).is_over, timeout_s)
    return client.job(name)


def has_committed(folder: Path) -> bool:
    path = folder / "events.jsonl"
    return path.exists() and '"committed"' in path.read_text()


class Wire:
    """A TCP proxy of the test's own, whose connections can be cut and kept from coming back."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._is_down = False
        self.cuts = 0
        self.cut_after: bytes | None = None
        """Cut once, right after a client has sent this, so that what is answered is lost."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, down_s: float = 0.0) -> None:
        """Drop all connections, and refuse others for `down_s`."""
        self._is_down = True
        with self._lock:
            dropped, self._open = self._open, []
        for one in dropped:
            _end(one)
        self.cuts += len(dropped) > 0
        time.sleep(down_s)
        self._is_down = False

    def close(self) -> None:
        self._is_down = True
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_down:
                _end(near)
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            with self._lock:
                self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink, source is near), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
                if is_client and self.cut_after is not None and self.cut_after in data:
                    self.cut_after = None
                    self.cut(1.0)
        _end(source)
        _end(sink)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@pytest.fixture
def wire(head: LocalHead) -> Iterator[Wire]:
    """A connection to the head that can be cut."""
    made = Wire(head.dashboard_port)
    yield made
    made.close()
