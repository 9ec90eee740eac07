"""One Ray per process: a private one that we start, or a cluster that we connect to; and its warm workers.

A Ray that someone else started is used and never shut down. One that we started ends with this process, also after an
exception, Ctrl-C or SIGTERM, and takes its temporary folder with it.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from raypipe.config import Resources
from raypipe.engine.guard import Guard
from raypipe.engine.secretrefs import REFERENCES, resolve_secrets
from raypipe.engine.worker import WorkerCore
from raypipe.errors import ConfigError, RaypipeError

logger = logging.getLogger(__name__)

TEMP_PREFIX = "raypipe-ray-"
MIN_STORE_BYTES = 80 << 20
MAX_STORE_BYTES = 4 << 30
CONNECT_TIMEOUT_S = 5.0
STORE_SHARE = 0.3
"""Share of the free memory that a private Ray's object store takes, within the two bounds above."""
WORKER_ENV = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_NUM_THREADS": "1",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:10000,muzzy_decay_ms:10000",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
"""One thread a worker, since the pool has a worker for each core. The allocators of Polars and of the C library keep
freed pages for the next block, Polars for ten seconds: to give them back and fault them in again cost a seventh of a
profile's time."""
SET_BY_POLARS = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:500,muzzy_decay_ms:1000")
"""What importing Polars puts into the environment of this process, unless its user put something there: no wish of
anybody, and for workers it would undo what stands above."""

_current: Session | None = None
session_lock = threading.RLock()
"""Passes in several threads of a process share one session and its idle workers."""


def open_session(address: str | None, cpus: int | None = None) -> Session:
    """The session of this process, started now if there is none.

    Parameters
    ----------
    address : str or None
        Cluster to connect to; None uses a Ray that is already up in this process, else starts a private one.
    cpus : int, optional
        CPUs of a private Ray; None takes those that this process may use.

    Raises
    ------
    ConfigError
        If a session with another address is open, or the cluster cannot be reached.
    """
    global _current
    if _current is not None and _current.is_open:
        if address is not None and address != _current.address:
            raise ConfigError(
                f"session: this process is connected to {_current.address or 'a private Ray'}; close it with "
                f"raypipe.engine.session.close_session() before connecting to {address}"
            )
        return _current
    _current = Session(address, cpus)
    return _current


def close_session() -> None:
    """End the session of this process, if there is one."""
    global _current
    if _current is not None:
        _current.close()
        _current = None


class Session:
    """A connection to Ray, and workers that wait for the next pass."""

    def __init__(self, address: str | None, cpus: int | None = None) -> None:
        started = time.perf_counter()
        self.address = address
        self.temp_dir: Path | None = None
        self._guard: Guard | None = None
        self._idle: dict[Resources, list[Any]] = defaultdict(list)
        self.ray = _import_ray(address)
        self.owned = not self.ray.is_initialized()
        self.private = self.owned and address is None
        if self.owned:
            with _own_signals():
                self._connect(address, cpus)
            atexit.register(self.close)
            _log_instead_of_print()
        self.is_open = True
        self.refresh()
        self.start_s = time.perf_counter() - started
        self._actor = self.ray.remote(WorkerCore)
        if self._guard is not None:
            self._guard.all_started()
        logger.info(
            "%s ready in %.1f s: %g CPUs, %d MiB store",
            self.describe(),
            self.start_s,
            self.cpus,
            self.store_bytes >> 20,
        )

    def _connect(self, address: str | None, cpus: int | None) -> None:
        quiet = {"log_to_driver": False, "configure_logging": True, "logging_level": logging.ERROR}
        if address is not None:
            _check_reachable(address)
            try:
                self.ray.init(address=address, runtime_env=_worker_env(), **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"session: cannot connect to Ray at {address}: {error}. Is it up, and are RAY_AUTH_MODE and "
                    "RAY_AUTH_TOKEN those of that cluster?"
                ) from error
            return
        _sweep_stale_dirs()
        self.temp_dir = Path(tempfile.mkdtemp(prefix=f"{TEMP_PREFIX}{os.getpid()}-"))
        self._guard = Guard(self.temp_dir)
        # Workers import what the driver can import, wherever the driver found it.
        paths = os.pathsep.join(path for path in sys.path if path)
        with _environment(WORKER_ENV | {"RAY_USAGE_STATS_ENABLED": "0"}, PYTHONPATH=paths):
            try:
                self.ray.init(
                    address="local",
                    num_cpus=cpus or len(os.sched_getaffinity(0)),
                    object_store_memory=_store_bytes(),
                    include_dashboard=False,
                    _temp_dir=str(self.temp_dir),
                    _node_ip_address="127.0.0.1",
                    **quiet,
                )
            except Exception as error:
                self._guard.let_go()
                raise RaypipeError(
                    f"session: a private Ray could not be started: {error}. Try --engine inline"
                ) from error

    def take_workers(self, count: int, resources: Resources, max_task_retries: int) -> list[Any]:
        """`count` workers, warm ones first; each belongs to the caller until given back."""
        idle = self._idle[resources]
        taken = [idle.pop() for _ in range(min(count, len(idle)))]
        if count > len(taken) and not self.private:
            self._idle.clear()  # idle workers of another kind hold places that new ones may want
        options: dict[str, Any] = {
            "num_cpus": resources.cpus,
            "num_gpus": resources.gpus,
            "max_restarts": -1,
            "max_task_retries": max_task_retries,
        }
        if resources.memory_gib:
            options["memory"] = int(resources.memory_gib * (1 << 30))
        if resources.labels:
            options["label_selector"] = dict(resources.labels)
        return taken + [self._actor.options(**options).remote() for _ in range(count - len(taken))]

    def give_back(self, workers: Sequence[Any], resources: Resources) -> None:
        """Keep idle workers warm for the next pass."""
        self._idle[resources].extend(workers)

    def let_go(self) -> None:
        """Drop the idle workers, which end and give their places back; what they made can still be rebuilt."""
        self._idle.clear()

    def refresh(self) -> None:
        """Look again at what the cluster has: nodes come and go."""
        self.cpus = float(self.ray.cluster_resources().get("CPU", 1.0))
        self.store_bytes = int(self.ray.cluster_resources().get("object_store_memory", MIN_STORE_BYTES))

    def abandon(self, workers: Sequence[Any]) -> None:
        """End workers whose running calls nobody wants any more (after a cancel or a failure)."""
        for worker in workers:
            with contextlib.suppress(Exception):  # it may be dead already, which is what we want
                self.ray.kill(worker, no_restart=True)

    def describe(self) -> str:
        """Where this session runs."""
        if self.private:
            return f"private Ray {self.ray.__version__} on this machine"
        return f"Ray {self.ray.__version__} at {self.address or 'the address of this process'}"

    def close(self) -> None:
        """Disconnect; a private Ray and its folder go away, any other stays as it is."""
        if not self.is_open:
            return
        self.is_open = False
        self._idle.clear()
        if not self.owned:
            return
        atexit.unregister(self.close)
        with contextlib.suppress(Exception):  # a Ray that is already gone cannot be shut down again
            self.ray.shutdown()
        if self.temp_dir is not None:
            shutil.rmtree(self.temp_dir, ignore_errors=True)
        if self._guard is not None:
            self._guard.let_go()


def _import_ray(address: str | None) -> ModuleType:
    """Import ray with authentication decided first, since Ray reads it once, at import.

    A private Ray gets a token of its own, which lives in the environment of this process and its children only. For a
    cluster, what the user set stands; where nothing is set, a token that Ray would find turns tokens on.
    """
    if "ray" not in sys.modules:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        if address is None:
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            if os.environ["RAY_AUTH_MODE"] == "token" and not _token_is_set():
                os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        elif "RAY_AUTH_MODE" not in os.environ:
            found = _token_is_set() or (Path.home() / ".ray" / "auth_token").exists()
            os.environ["RAY_AUTH_MODE"] = "token" if found else "disabled"
    import ray

    return ray


def _log_instead_of_print() -> None:
    """Send what Ray's driver would print, such as news of lost workers, to our log.

    Standard output belongs to the user (`--json`), and Ray prints messages of the raylet there with no public switch.
    """
    from ray._private import worker

    def log(batch: Mapping[str, Any], *_: Any, **__: Any) -> None:
        for line in batch.get("lines", ()):
            logger.info("ray: %s", line)

    if hasattr(worker, "print_to_stdstream"):  # private, so it may go; then Ray prints again
        worker.print_to_stdstream = log  # type: ignore[assignment]  # takes over whatever is printed


def _check_reachable(address: str) -> None:
    """Raise ConfigError at once where nobody listens at host:port; Ray itself tries for minutes.

    Addresses of another form ("auto") are left to Ray.
    """
    if address.startswith("ray://"):
        raise ConfigError(f"session: got {address}; give the head node's own address as host:port, or use `auto` on it")
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        text = f"session: cannot connect to Ray at {address}: {error.strerror or error}"
        raise ConfigError(f"{text}. Is the head node up, and is this its GCS port (6379 by default)?") from error


def _worker_env() -> dict[str, Any]:
    """What workers on a cluster are started with; secrets that a job refers to are resolved in each of them."""
    env: dict[str, Any] = {"env_vars": WORKER_ENV}
    if os.environ.get(REFERENCES):
        env["worker_process_setup_hook"] = f"{resolve_secrets.__module__}.{resolve_secrets.__name__}"
    return env


def _token_is_set() -> bool:
    return bool(os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"))


def _store_bytes() -> int:
    shm = Path("/dev/shm")
    room = shutil.disk_usage(shm).free if shm.exists() else psutil.virtual_memory().available
    wanted = int(min(psutil.virtual_memory().available * STORE_SHARE, room * 0.8, MAX_STORE_BYTES))
    return max(MIN_STORE_BYTES, wanted)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Put the handler of SIGTERM back: Ray's core takes it, and would abort before anything is tidied."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


@contextlib.contextmanager
def _environment(defaults: dict[str, str], **forced: str) -> Iterator[None]:
    """Set variables for the processes started inside; against `defaults`, what the user set stands."""
    before = dict(os.environ)
    users = {name: value for name, value in before.items() if (name, value) != SET_BY_POLARS}
    os.environ.update({**defaults, **users, **forced})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _sweep_stale_dirs() -> None:
    """Remove folders of private Rays whose process was killed before it could."""
    for path in Path(tempfile.gettempdir()).glob(f"{TEMP_PREFIX}*"):
        pid = path.name.removeprefix(TEMP_PREFIX).split("-")[0]
        with contextlib.suppress(OSError):
            if pid.isdigit() and not psutil.pid_exists(int(pid)) and path.stat().st_uid == os.getuid():
                shutil.rmtree(path, ignore_errors=True)
