"""`RayFrame`: a frame whose kept blocks lie in Ray's object store."""

from __future__ import annotations

import bisect
import logging
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raypipe.blocks.frames import without_row_numbers
from raypipe.config import EngineConfig
from raypipe.engine.faults import say
from raypipe.engine.frame import Frame, MapFunction
from raypipe.engine.layout import MIB, parts_in_bundles
from raypipe.engine.operations import Operation
from raypipe.engine.run import Pass, next_prefix
from raypipe.engine.session import Session
from raypipe.engine.spare import Spared
from raypipe.engine.stored import StoredBlocks, store_parts, stored_bytes
from raypipe.stage import Part, Plan, Stage

if TYPE_CHECKING:
    import modin.pandas as mpd
    import ray.data

    from raypipe.engine.exchange import Exchange
    from raypipe.engine.rayengine import RayEngine

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

    def __init__(
        self,
        engine: RayEngine,
        plan: Plan,
        parts: Sequence[Part],
        kept: Kept,
        num_rows: int,
        spared: Spared | None = None,
    ) -> None:
        super().__init__(plan.source, parts, next_prefix(plan, spared or {}), plan.schemas()[-1], num_rows)
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

    def _exchange(self) -> Exchange:
        from raypipe.engine.exchange import Exchange  # which takes frames of this kind

        config = self._engine.config
        return Exchange(self._engine.session, int(config.block_mib * MIB), config.max_task_retries)

    def _exchanged(self, operation: Operation, others: Sequence[Frame], schema: pa.Schema) -> Frame:
        exchange = self._exchange()
        sides = [exchange.side_of(frame) for frame in (self, *others)]
        return frame_of_stored(exchange.run(operation, sides, schema), self._engine)

    def _cut_anew(self, rows: Sequence[int]) -> Frame:
        exchange = self._exchange()
        return frame_of_stored(exchange.cut_anew(exchange.side_of(self), rows), self._engine)

    def _on_ray(self) -> RayFrame:
        return self

    def to_ray_dataset(self) -> ray.data.Dataset:
        """See `Frame.to_ray_dataset`."""
        from raypipe.engine import raydata
        from raypipe.engine.sides import make_way

        exchange = self._exchange()
        make_way(exchange.session)
        dataset: ray.data.Dataset = raydata.dataset_of(exchange.side_of(self), "Frame.to_ray_dataset", exchange.retries)
        return dataset

    def to_modin(self) -> mpd.DataFrame:
        """See `Frame.to_modin`."""
        from raypipe.engine import modinframe

        return modinframe.to_modin(self._exchange(), self)

    def run_stages(self, *stages: Stage) -> Mapping[str, Any]:
        """See `Frame.run_stages`."""
        plan = Plan(source=self.source, prefix=self.prefix, stages=stages)
        return self._engine.run(Pass(plan, frame=self)).results

    def release(self) -> None:
        """See `Frame.release`."""
        for bundle in range(len(self.kept.refs)):
            self.kept.drop(bundle)


def is_live(session: Session) -> bool:
    """Whether the session is open and its Ray up; a user may have shut Ray down behind its back."""
    return session.is_open and bool(session.ray.is_initialized())


def held_bytes(session: Session) -> int:
    """Bytes of blocks that all frames of this process keep in the session's object store."""
    kept = sum(sum(frame.kept.sizes) for frame in list(_frames) if frame.kept.session is session)
    return kept + stored_bytes(session)


# ---- frames of what others put into the object store ----------------------------------------------------------------


def frame_of_stored(source: StoredBlocks, engine: RayEngine) -> RayFrame:
    """A frame of stored blocks; workers read them as they would read files."""
    parts = source.parts()
    block_bytes = int(engine.config.block_mib * MIB)
    bundles = parts_in_bundles([part.bytes for part in parts], block_bytes // 4, max(1, len(parts) // 8))
    kept = Kept(engine.session, bundles, [None] * len(bundles), [0] * len(bundles))
    rows = sum(part.rows or 0 for part in parts)
    return RayFrame(engine, Plan(source=source), parts, kept, rows)


def put_on_ray(frame: Frame) -> RayFrame:
    """A frame whose blocks are in this process, on the Ray of this process, which is started if there is none."""
    engine = ray_engine()
    put = engine.session.ray.put
    blocks = [(put(block), block.num_rows, block.nbytes) for block in frame.iter_blocks()]
    return frame_of_stored(store_parts(engine.session, "frame", blocks, frame.schema), engine)


def ray_engine() -> RayEngine:
    """An engine on the Ray of this process, which is started if there is none."""
    from raypipe.engine.rayengine import RayEngine

    return RayEngine(EngineConfig())


def frame_of_dataset(dataset: ray.data.Dataset) -> RayFrame:
    """A frame of what a dataset of Ray Data makes.

    Raises
    ------
    SchemaError
        If its blocks have columns that a frame cannot hold, or do not fit together.
    """
    from raypipe.engine import foreign

    engine = ray_engine()
    return frame_of_stored(foreign.of_dataset(engine, dataset), engine)


def frame_of_modin(value: mpd.DataFrame) -> RayFrame:
    """A frame of a Modin frame's rows.

    Raises
    ------
    SchemaError
        As for `frame_of_dataset`.
    """
    from raypipe.engine import modinframe

    engine = ray_engine()
    return frame_of_stored(modinframe.of_modin(engine, value), engine)
