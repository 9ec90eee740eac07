"""`RayFrame`: a frame whose kept blocks lie in Ray's object store."""

from __future__ import annotations

import bisect
import logging
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raypipe.blocks.frames import without_row_numbers
from raypipe.engine.faults import say
from raypipe.engine.frame import Frame, MapFunction
from raypipe.engine.run import Pass, next_prefix
from raypipe.engine.session import Session
from raypipe.stage import Part, Plan

if TYPE_CHECKING:
    from raypipe.engine.stream import RayEngine

logger = logging.getLogger(__name__)

_frames: weakref.WeakSet[RayFrame] = weakref.WeakSet()


@dataclass
class Kept:
    """Blocks in the object store: a list of them for each bundle of neighbouring parts."""

    session: Session
    """References mean nothing in another one."""
    bundles: Sequence[range]
    refs: list[Any | None]
    sizes: list[int]
    """Bytes of each bundle that is kept."""

    def drop(self, bundle: int) -> int:
        """Forget the blocks of a bundle; returns the bytes that this frees."""
        freed, self.refs[bundle], self.sizes[bundle] = self.sizes[bundle], None, 0
        return freed


class RayFrame(Frame):
    """A frame whose kept blocks lie in Ray's object store. A block that was lost there is read again."""

    def __init__(self, engine: RayEngine, plan: Plan, parts: Sequence[Part], kept: Kept, num_rows: int) -> None:
        super().__init__(plan.source, parts, next_prefix(plan), plan.schemas()[-1], num_rows)
        self._engine = engine
        self.kept = kept
        _frames.add(self)

    @property
    def refs(self) -> list[Any | None]:
        """A reference for each bundle; None where its blocks are to be made again."""
        return list(self.kept.refs) if is_live(self.kept.session) else [None] * len(self.kept.refs)

    def _fetch(self, bundle: int) -> list[pa.Table] | None:
        """The kept blocks of a bundle."""
        ref = self.kept.refs[bundle]
        if ref is None or not is_live(self.kept.session):
            return None
        ray = self.kept.session.ray
        try:
            blocks: list[pa.Table] = ray.get(ref)
        except ray.exceptions.RayError as error:
            logger.info("blocks of part %s are lost, and read again: %s", self.kept.bundles[bundle].start, say(error))
            self.kept.drop(bundle)
            return None
        return blocks

    def _block(self, index: int) -> pa.Table:
        number = bisect.bisect_right(self.kept.bundles, index, key=lambda bundle: bundle.start) - 1
        blocks = self._fetch(number)
        return self._made_again(index) if blocks is None else blocks[index - self.kept.bundles[number].start]

    def iter_blocks(self) -> Iterator[pa.Table]:
        """See `Frame.iter_blocks`; fetches each bundle once."""
        for number, bundle in enumerate(self.kept.bundles):
            blocks = self._fetch(number)
            for offset, index in enumerate(bundle):
                yield without_row_numbers(self._made_again(index) if blocks is None else blocks[offset])

    def map_blocks(self, fn: Callable[[pa.Table], pa.Table]) -> Frame:
        """See `Frame.map_blocks`; runs on the workers."""
        plan = Plan(source=self.source, prefix=self.prefix, stages=(MapFunction(fn=fn),))
        outcome = self._engine.run(Pass(plan, frame=self, keep=True))
        assert outcome.frame is not None
        return outcome.frame

    def release(self) -> None:
        """See `Frame.release`."""
        for bundle in range(len(self.kept.refs)):
            self.kept.drop(bundle)


def is_live(session: Session) -> bool:
    """Whether the session is open and its Ray up; a user may have shut Ray down behind its back."""
    return session.is_open and bool(session.ray.is_initialized())


def held_bytes(session: Session) -> int:
    """Bytes of blocks that all frames of this process keep in the session's object store."""
    return sum(sum(frame.kept.sizes) for frame in list(_frames) if frame.kept.session is session)
