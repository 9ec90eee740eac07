"""What one worker process does with a call: opens a chain once, runs the parts of a bundle through it."""

from __future__ import annotations

import ctypes
import logging
import os
import pickle
import socket
import sys
import time
from collections.abc import Mapping, Sequence

import psutil
import pyarrow as pa

from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.faults import is_fault, say
from raypipe.engine.inquest import Answer, Care, Probe
from raypipe.engine.memory import pieces_for
from raypipe.engine.packing import packed
from raypipe.engine.report import BundleReport
from raypipe.errors import RaypipeError, StageFailedError
from raypipe.stage import Part

logger = logging.getLogger(__name__)

OPEN_CHAINS = 4
"""Chains that a warm worker keeps open; the one used longest ago goes first."""


TRIM_BYTES = 512 << 20
"""Resident memory past which a worker gives freed pages back after each call; blocks of the usual size stay below."""


class WorkerCore:
    """The body of the worker actor, free of Ray so that it can be tested in this process."""

    def __init__(self) -> None:
        self._chains: dict[str, Chain] = {}
        self._process = psutil.Process()

    def hello(self) -> tuple[int, str]:
        """The process id and the node: the worker is up."""
        return os.getpid(), _node()

    def run(
        self,
        key: str,
        spec: bytes,
        parts: Sequence[Part],
        blocks: Sequence[pa.Table] | None,
        hand_on: bool,
        care: Mapping[int, Care] | None = None,
    ) -> tuple[list[pa.Table] | None, bytes]:
        """Run `parts` through the chain pickled in `spec`, which `key` names; with care where that is said of a part.

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
            _go_to(chain.spec.folder)
            for index, part in enumerate(parts):
                given = None if blocks is None else blocks[index]
                how, pieces = _careful(care.get(index) if care else None, part, given)
                report.pieces = max(report.pieces, pieces)
                block, one = chain.run(part, given, hand_on, how)
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
        if report.rss_bytes > TRIM_BYTES:
            _give_back()
        return (made if hand_on and report.error is None else None), self._packed(key, part, report)

    def probe(
        self, key: str, spec: bytes, parts: Sequence[Part], blocks: Sequence[pa.Table] | None, wanted: Probe
    ) -> Answer:
        """Run some rows of a part through the first stages, for nothing but to see whether this worker survives."""
        try:
            chain = self._chain(key, spec)
            _go_to(chain.spec.folder)
            first, stop = chain.probe(parts[wanted.part], None if blocks is None else blocks[wanted.part], wanted)
        except BaseException as error:
            if not is_fault(error):
                raise
            logger.info("a probe of part %s raised", parts[wanted.part].id, exc_info=True)
            return Answer(died=False)  # what raises is told, and set aside, by the run itself
        return Answer(False, first, stop)

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
            return packed(report)
        except Exception as error:
            text = f"{part.file}: what it reports cannot be sent to the driver: {say(error)}"
            lost = BundleReport([], StageFailedError(self._names(key), part.id, text))
            lost.seconds, lost.rss_bytes, lost.pid = report.seconds, report.rss_bytes, report.pid
            return pickle.dumps(lost)


def _go_to(folder: str | None) -> None:
    """Count relative paths from where the driver does; a node that has no such folder stays where it is."""
    if folder is not None and os.path.isdir(folder):
        os.chdir(folder)


def _careful(care: Care | None, part: Part, block: pa.Table | None) -> tuple[Care | None, int]:
    """Smaller blocks where memory is short, before the system has to end this worker; and how many for one."""
    rows = block.num_rows if block is not None else part.rows
    size = block.nbytes if block is not None else part.bytes
    pieces = pieces_for(size)
    if pieces == 1 or not rows:
        return care, 1
    most = max(1, rows // pieces)
    care = care or Care()
    return Care(min(most, care.block_rows or most), care.skip, care.why), pieces


def _node() -> str:
    """Ray's id of this node, or the name of the machine where there is no Ray."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return str(ray.get_runtime_context().get_node_id())
    return socket.gethostname()


def _survives(error: RaypipeError) -> bool:
    """Whether the error is still itself after a trip to another process."""
    try:
        return str(pickle.loads(packed(error))) == str(error)
    except Exception:
        return False


def _give_back() -> None:
    """Let the C library give its freed pages back; other systems than Linux with glibc have no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
