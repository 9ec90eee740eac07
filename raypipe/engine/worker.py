"""What one worker process does with a call: opens a chain once, runs the parts of a bundle through it."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from collections.abc import Sequence

import psutil
import pyarrow as pa

from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.report import BundleReport
from raypipe.errors import RaypipeError, StageFailedError
from raypipe.stage import Part

OPEN_CHAINS = 4
"""Chains that a warm worker keeps open; the one used longest ago goes first."""


class WorkerCore:
    """The body of the worker actor, free of Ray so that it can be tested in this process."""

    def __init__(self) -> None:
        self._chains: dict[str, Chain] = {}
        self._process = psutil.Process()

    def run(
        self, spec: bytes, parts: Sequence[Part], blocks: Sequence[pa.Table] | None, hand_on: bool
    ) -> tuple[list[pa.Table] | None, BundleReport]:
        """Run `parts` through the chain pickled in `spec`; errors come back in the report, never as exceptions."""
        started = time.perf_counter()
        report = BundleReport(pid=os.getpid())
        made: list[pa.Table] = []
        part = parts[0]
        try:
            chain = self._chain(spec)
            for index, part in enumerate(parts):
                block, one = chain.run(part, None if blocks is None else blocks[index], hand_on)
                report.parts.append(one)
                if block is not None:
                    made.append(block)
        except RaypipeError as error:
            report.error = error
        except Exception as error:  # a defect of the engine itself must still reach the driver in words
            report.error = StageFailedError("engine", part.id, f"{type(error).__name__}: {error}")
        report.seconds = time.perf_counter() - started
        report.rss_bytes = self._process.memory_info().rss
        return (made if hand_on and report.error is None else None), report

    def _chain(self, spec: bytes) -> Chain:
        key = hashlib.blake2b(spec, digest_size=16).hexdigest()
        chain = self._chains.pop(key, None)
        if chain is None:
            loaded: ChainSpec = pickle.loads(spec)
            chain = Chain(loaded)
        self._chains[key] = chain
        while len(self._chains) > OPEN_CHAINS:
            del self._chains[next(iter(self._chains))]
        return chain
