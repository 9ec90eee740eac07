"""What one worker process does with a call: opens a chain once, runs the parts of a bundle through it."""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import pyarrow as pa

from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.faults import is_fault, say
from raypipe.engine.report import BundleReport
from raypipe.errors import RaypipeError, StageFailedError
from raypipe.stage import Part

logger = logging.getLogger(__name__)

OPEN_CHAINS = 4
"""Chains that a warm worker keeps open; the one used longest ago goes first."""


class WorkerCore:
    """The body of the worker actor, free of Ray so that it can be tested in this process."""

    def __init__(self) -> None:
        self._chains: dict[str, Chain] = {}
        self._process = psutil.Process()

    def hello(self) -> int:
        """The process id: the worker is up."""
        return os.getpid()

    def run(
        self, key: str, spec: bytes, parts: Sequence[Part], blocks: Sequence[pa.Table] | None, hand_on: bool
    ) -> tuple[list[pa.Table] | None, bytes]:
        """Run `parts` through the chain pickled in `spec`, which `key` names.

        Returns
        -------
        tuple of list of pa.Table, or None, and bytes
            The blocks, and a pickled `BundleReport`: errors come back in it, never as exceptions. It is pickled here,
            since what cannot be pickled must be told in words, and the driver wants to know its size.
        """
        started = time.perf_counter()
        report = BundleReport(pid=os.getpid())
        made: list[pa.Table] = []
        part = parts[0]
        try:
            chain = self._chain(key, spec)
            if chain.spec.folder is not None:
                os.chdir(chain.spec.folder)
            for index, part in enumerate(parts):
                block, one = chain.run(part, None if blocks is None else blocks[index], hand_on)
                report.parts.append(one)
                if block is not None:
                    made.append(block)
        except BaseException as error:
            # Ray ends a worker by raising SystemExit in it; a stage that does so must not end the worker.
            if not is_fault(error) and (not isinstance(error, SystemExit) or hasattr(error, "ray_terminate_msg")):
                raise
            logger.info("part %s failed", part.id, exc_info=True)
            report.error = error if isinstance(error, RaypipeError) else self._defect(key, part, error)
        report.seconds = time.perf_counter() - started
        report.rss_bytes = self._process.memory_info().rss
        return (made if hand_on and report.error is None else None), self._packed(key, part, report)

    def _chain(self, key: str, spec: bytes) -> Chain:
        chain = self._chains.pop(key, None)
        if chain is None:
            try:
                loaded: ChainSpec = pickle.loads(spec)
            except Exception as error:
                text = f"a worker cannot load the stages: {say(error)}. Is their module installed where workers run?"
                raise StageFailedError("engine", "(none yet)", text) from error
            chain = Chain(loaded)
        self._chains[key] = chain
        while len(self._chains) > OPEN_CHAINS:
            del self._chains[next(iter(self._chains))]
        return chain

    def _defect(self, key: str, part: Part, error: BaseException) -> StageFailedError:
        """What no stage answers for alone, under the names of all of the chain."""
        return StageFailedError(self._names(key), part.id, f"{part.file}: {say(error)}")

    def _names(self, key: str) -> str:
        chain = self._chains.get(key)
        names = [stage.name for stage in chain.spec.stages] if chain else []
        if chain and chain.spec.source is not None:
            names.insert(0, chain.spec.source.name)
        return " > ".join(names) or "engine"

    def _packed(self, key: str, part: Part, report: BundleReport) -> bytes:
        """The report as bytes; one that cannot be pickled, or not be read again, becomes an error in words."""
        if report.error is not None and not _survives(report.error):
            report.error = StageFailedError(self._names(key), part.id, f"{part.file}: {say(report.error)}")
        try:
            return _dumps(report)
        except Exception as error:
            text = f"{part.file}: what it reports cannot be sent to the driver: {say(error)}"
            lost = BundleReport([], StageFailedError(self._names(key), part.id, text))
            lost.seconds, lost.rss_bytes, lost.pid = report.seconds, report.rss_bytes, report.pid
            return pickle.dumps(lost)


def _survives(error: RaypipeError) -> bool:
    """Whether the error is still itself after a trip to another process."""
    try:
        return str(pickle.loads(_dumps(error))) == str(error)
    except Exception:
        return False


def _dumps(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # classes of a user's script or notebook, which only cloudpickle can send
        return _cloud_dumps()(value)


def _cloud_dumps() -> Callable[[Any], bytes]:
    from ray import cloudpickle

    dumps: Callable[[Any], bytes] = cloudpickle.dumps
    return dumps
