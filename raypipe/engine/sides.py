"""A frame as tasks see it: bundles of parts, each with a reference to its blocks or with what reads them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import no_rows, without_row_numbers
from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.frame import Frame
from raypipe.engine.rayframe import RayFrame
from raypipe.engine.session import Session
from raypipe.engine.stored import StoredBlocks
from raypipe.stage import MapStage, Part, SourceStage

INLINE_SPEC_BYTES = 64 << 10
"""A larger spec is put into the object store once, since every task has it among its arguments."""
WHOLE_CPU = 1.0
LEAST_CPUS = 0.1


@dataclass(frozen=True)
class Bundle:
    """Neighbouring parts of a frame."""

    number: int
    parts: tuple[Part, ...]
    ref: Any | None
    """Reference to the list of their blocks; None where they are to be read."""
    bytes: int


@dataclass(frozen=True)
class Side:
    """A frame, ready to be read by tasks."""

    source: str
    """Name of its source."""
    spec: Any
    """The pickled chain that reads its parts, or a reference to it."""
    bundles: tuple[Bundle, ...]
    schema: pa.Schema
    num_rows: int

    @property
    def bytes(self) -> int:
        """Estimated size."""
        return sum(bundle.bytes for bundle in self.bundles)


def stored_side(source: StoredBlocks, session: Session) -> Side:
    """Stored blocks for tasks; each is a bundle of its own."""
    bundles = tuple(Bundle(number, (part,), None, part.bytes) for number, part in enumerate(source.stored))
    rows = sum(part.rows or 0 for part in source.stored)
    return Side(source.name, _packed(source, (), session), bundles, source.columns, rows)


def side_of(frame: Frame, session: Session, block_bytes: int) -> Side:
    """The frame for tasks of this session; blocks of this process are put into the object store, one by one.

    Parameters
    ----------
    block_bytes : int
        What a part is taken to have whose size nobody knows.
    """
    if not isinstance(frame, RayFrame):
        frame = frame._on_ray()
    kept = zip(frame.kept.bundles, frame.refs, frame.kept.sizes, strict=True)
    bundles = tuple(_bundle(frame, number, *one, block_bytes) for number, one in enumerate(kept))
    return Side(frame.source.name, _packed(frame.source, frame.prefix, session), bundles, frame.schema, frame.num_rows)


def _packed(source: SourceStage, prefix: tuple[MapStage, ...], session: Session) -> Any:
    folder = os.getcwd() if session.private else None
    spec = ChainSpec(source, prefix, hands_on=True, reads_again=True, folder=folder)
    packed: Any = session.ray.cloudpickle.dumps(spec)
    return packed if len(packed) <= INLINE_SPEC_BYTES else session.ray.put(packed)


def _bundle(frame: Frame, number: int, parts: range, ref: Any | None, size: int, block_bytes: int) -> Bundle:
    chosen = frame.parts[parts.start : parts.stop]
    known = size if ref is not None else sum(part.bytes or block_bytes for part in chosen)
    return Bundle(number, chosen, ref, known)


def read_bundle(spec: Any, bundle: Bundle) -> Iterator[pa.Table]:
    """The blocks of a bundle as a user sees them, in a worker. Kept blocks that were lost are read again."""
    import ray

    if bundle.ref is not None:
        try:
            blocks: Sequence[pa.Table] = ray.get(bundle.ref)
        except ray.exceptions.RayTaskError:
            raise
        except ray.exceptions.RayError:
            blocks = ()
        if blocks:
            yield from map(without_row_numbers, blocks)
            return
    chain = Chain(pickle.loads(ray.get(spec) if isinstance(spec, ray.ObjectRef) else spec))
    if chain.spec.folder is not None:
        os.chdir(chain.spec.folder)
    for part in bundle.parts:
        block, _ = chain.run(part, None, True)
        assert block is not None
        yield without_row_numbers(block)


def whole_bundle(spec: Any, bundle: Bundle, schema: pa.Schema) -> pa.Table:
    """The rows of a bundle as one table."""
    return pa.concat_tables([no_rows(schema), *read_bundle(spec, bundle)])


def make_way(session: Session) -> None:
    """Give whole CPUs back where idle workers hold bits of them.

    Tasks of Ray Data and Modin want whole ones, and would wait for ever on a machine that has one.
    """
    if session.private and session.ray.available_resources().get("CPU", 0.0) < session.cpus:
        session.let_go()


def task_cpus(session: Session) -> float:
    """CPUs that a task of ours asks for: in a Ray of our own, what workers leave of each, so that all get busy."""
    if not session.private:
        return WHOLE_CPU
    free = session.ray.available_resources().get("CPU", 0.0) / max(1.0, session.cpus)
    return max(LEAST_CPUS, min(WHOLE_CPU, int(free * 100) / 100))
