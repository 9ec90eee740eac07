"""The workers of a pass: hired as work waits, let go when there is none, never killed for having little to do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Any

import psutil

from raypipe.config import EngineConfig
from raypipe.engine.events import EventLog
from raypipe.engine.faults import last_of
from raypipe.engine.pools import Pool
from raypipe.engine.scaling import pool_changes
from raypipe.engine.session import Session, session_lock
from raypipe.engine.supply import Supply
from raypipe.errors import ConfigError, StageFailedError

SCALE_S = 0.25
"""How often the number of workers is looked at."""
WARM_BYTES = 640 << 20
"""Resident memory past which a worker is not kept for the next pass: blocks of the usual size take a worker to 400 MiB,
thousands of columns past a GiB, which nothing gives back."""
END_S = 5.0
"""How long to wait for the end of workers that were told to end."""


class Crew:
    """Hires, welcomes and dismisses the workers of all pools."""

    def __init__(self, session: Session, config: EngineConfig, events: EventLog) -> None:
        self.session = session
        self.config = config
        self.events = events
        self.pools: list[Pool] = []
        self.hellos: dict[Any, tuple[int, int]] = {}
        """Reference -> pool and worker that was asked whether it is up."""
        self.peak: dict[int, int] = {}
        """Pool -> most workers that were up at one time."""
        self._stillborn = 0
        self._next_look = 0.0

    def scale(self, to_come: Callable[[int], int], is_blocked: Callable[[int], bool]) -> None:
        """Hire and dismiss, if it is time to look."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + SCALE_S
        loads = [pool.load(to_come(pool.number), is_blocked(pool.number)) for pool in self.pools]
        idle_s = self.config.idle_worker_s
        changes = pool_changes(loads, eager=self.session.private, idle_worker_s=idle_s)
        for pool, load, change in zip(self.pools, loads, changes, strict=True):
            if change > 0:
                self._hire(pool, change)
                why = f"{load.queued:,} bundles wait for {load.workers} workers"
                self.events.emit("pool_grew", pool=pool.number, workers=len(pool.workers), by=change, why=why)
            elif change < 0:
                for number in pool.idle_workers()[:-change]:
                    self._dismiss(pool, number)
                why = f"idle for {load.idle_s:.1f} s"
                self.events.emit("pool_shrank", pool=pool.number, workers=len(pool.workers), by=-change, why=why)

    def _hire(self, pool: Pool, count: int) -> None:
        for number in pool.hire(self.take(pool, count)):
            self._greet(pool, number)

    def take(self, pool: Pool, count: int) -> list[Any]:
        """Workers that belong to no pool."""
        with session_lock:
            return self.session.take_workers(count, pool.group.resources, self.config.max_task_retries)

    def _greet(self, pool: Pool, number: int) -> None:
        """Ask a worker whether it is up; until it answers it gets no work, which another one could do meanwhile."""
        hello = pool.workers[number].handle.hello.options(max_task_retries=self.config.max_task_retries)
        self.hellos[hello.remote()] = pool.number, number

    def welcome(self, ref: Any) -> None:
        """A worker is up, or never will be: then another one takes its place, a finite number of times."""
        pool_number, number = self.hellos.pop(ref)
        pool = self.pools[pool_number]
        try:
            pid, node = self.session.ray.get(ref)
        except self.session.ray.exceptions.RayError as error:
            self._stillborn += 1
            del pool.workers[number]
            if self._stillborn > len(pool.workers) + 1 + self.config.max_task_retries:
                text = f"its workers cannot be started: {last_of(error)}"
                raise StageFailedError(pool.name, "(none yet)", text) from error
            self._hire(pool, 1)
            return
        waited_s = pool.welcome(number, pid, node)
        up = sum(worker.pid is not None for worker in pool.workers.values())
        self.peak[pool_number] = max(self.peak.get(pool_number, 0), up)
        self.events.emit("worker_up", pool=pool_number, worker=number, pid=pid, node=node, waited_s=round(waited_s, 4))

    def _dismiss(self, pool: Pool, number: int) -> None:
        """Let an idle worker go: on a machine of our own it stays warm, elsewhere it ends and gives its place back.

        It is not killed, since Ray could not rebuild the blocks that a killed worker made.
        """
        worker = pool.workers.pop(number)
        if self.session.private:
            with session_lock:
                self.session.give_back([worker.handle], pool.group.resources)
        self.events.emit("worker_gone", pool=pool.number, worker=number, pid=worker.pid, why="idle")

    def lose(self, pool: Pool, number: int, why: str) -> None:
        """Part with a worker that was lost or is stuck; a stuck one is ended."""
        worker = pool.workers.pop(number, None)
        if worker is None:
            return
        if why == "stuck":
            self.session.abandon([worker.handle])
        self.events.emit("worker_gone", pool=pool.number, worker=number, pid=worker.pid, why=why)

    def check_start(self, limit_s: float) -> None:
        """Raise StageFailedError where a pool has waited too long for its first worker."""
        for pool in self.pools:
            waited = pool.longest_wait()
            if waited is not None and waited > limit_s:
                text = self.why_it_waits(pool, waited)
                raise StageFailedError(pool.name, "(none yet)", f"{text} (engine.start_timeout_s: {limit_s:g})")

    def check_possible(self, pool: Pool) -> None:
        """Raise ConfigError where a Ray of our own, which never grows, lacks what a worker of the pool wants."""
        if not self.session.private:
            return
        lack = self._lack(pool)
        if lack:
            raise ConfigError(
                f"{pool.name}: no worker of it can start on this machine: {lack}. Change `resources` of the stage, or "
                "run on a cluster that has such a node (engine.address)"
            )

    def free(self) -> dict[str, float]:
        """Resources that Ray has left."""
        left: dict[str, float] = self.session.ray.available_resources()
        return left

    def why_it_waits(self, pool: Pool, still_s: float) -> str:
        """What the workers of a pool wait for."""
        return pool.why_it_waits(still_s, self.free(), self._lack(pool))

    def _lack(self, pool: Pool) -> str | None:
        return Supply.of_session(self.session).lack(pool.group.resources)

    def stop(self, busy: Iterable[tuple[int, int]], *, failed: bool) -> None:
        """End workers whose calls nobody wants any more; the others stay warm for the next pass."""
        doomed = set(busy)
        ended: list[int] = []
        for pool in self.pools:
            warm: list[Any] = []
            for number, worker in pool.workers.items():
                if (pool.number, number) in doomed or (failed and worker.pid is None):
                    self.session.abandon([worker.handle])
                    ended += [worker.pid] if worker.pid is not None else []
                elif worker.rss_bytes > WARM_BYTES:
                    continue  # its allocators keep what wide blocks took; the handle dropped, it ends
                elif worker.pid is not None or self.session.private:
                    # On a cluster, a worker that still waits for its place asks for more nodes: it is let go.
                    warm.append(worker.handle)
            with session_lock:
                self.session.give_back(warm, pool.group.resources)
            pool.workers.clear()
        self.hellos.clear()
        if self.session.private:
            await_end(ended, END_S)


def await_end(pids: Iterable[int], timeout_s: float) -> None:
    """Wait until processes of this machine are gone, so that nothing is written behind our back."""
    left = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.append(psutil.Process(pid))
    psutil.wait_procs(left, timeout=timeout_s)
