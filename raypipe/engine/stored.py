"""A source whose parts are references to blocks in Ray's object store: what exchanges and other libraries make.

While references to them are held, Ray rebuilds blocks that tasks made and a lost node took along. Blocks that it
cannot rebuild are lost for good, and the error says so: there is no file to read them from again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pyarrow as pa
from pydantic import ConfigDict, Field

from raypipe.engine.faults import last_of
from raypipe.engine.session import Session
from raypipe.errors import ReadError
from raypipe.stage import Part, PartRead, SourceStage

_held: weakref.WeakValueDictionary[int, StoredBlocks] = weakref.WeakValueDictionary()


class StoredPart(Part):
    """A block in the object store."""

    ref: Any = Field(exclude=True, repr=False)
    """The reference. It travels as an argument of calls, where Ray counts it; never inside of pickled stages."""
    place: str
    """The Ray, and the connection to it, in which the reference means something."""


class StoredBlocks(SourceStage):
    """Blocks in the object store, one a part."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    columns: pa.Schema
    made_by: str
    """What made the blocks, for messages."""
    stored: tuple[StoredPart, ...] = Field(default=(), exclude=True, repr=False)
    """The parts; they stay in this process."""

    def model_post_init(self, context: Any) -> None:
        """Count the blocks as held while anyone holds this source."""
        if self.stored:
            _held[id(self)] = self

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "stored": ()}}

    def schema(self) -> pa.Schema:  # type: ignore[override]  # pydantic's deprecated BaseModel.schema is none of ours
        """See `SourceStage.schema`."""
        return self.columns

    def parts(self) -> Sequence[Part]:
        """See `SourceStage.parts`."""
        return self.stored

    def open(self) -> Callable[[Part], PartRead]:
        """See `SourceStage.open`."""
        import ray

        return lambda part: PartRead(fetch(ray, part, self.made_by))


def fetch(ray: ModuleType, part: Part, made_by: str) -> pa.Table:
    """The block of a part, in this process.

    Raises
    ------
    ReadError
        If it is lost for good, or belongs to a Ray that has ended.
    """
    assert isinstance(part, StoredPart)
    again = f"do the {made_by} again, from the frame that it was made of"
    if not ray.is_initialized() or place_of(ray) != part.place:
        raise ReadError(f"{part.file}: block {part.id} was in the object store of a Ray that has ended; {again}")
    try:
        block: pa.Table = ray.get(part.ref)
    except ray.exceptions.RayTaskError:
        raise  # the block could not be made in the first place, and the error says why
    except ray.exceptions.RayError as error:
        text = f"{part.file}: block {part.id} is lost, and Ray cannot rebuild it: {last_of(error)}"
        raise ReadError(f"{text}; {again}") from error
    return block


def place_of(ray: ModuleType) -> str:
    """Name of the connection to Ray that this process, and the workers that serve it, share."""
    context = ray.get_runtime_context()
    return f"{context.get_session_name()}/{context.get_job_id()}"


def store_parts(
    session: Session, made_by: str, blocks: Sequence[tuple[Any, int, int]], schema: pa.Schema
) -> StoredBlocks:
    """A source of blocks given as (reference, rows, bytes), in their order; blocks of no rows are left out."""
    place = place_of(session.ray)
    parts = tuple(
        StoredPart(id=f"{number:07d}/{made_by}", file=f"({made_by})", rows=rows, bytes=size, ref=ref, place=place)
        for number, (ref, rows, size) in enumerate(block for block in blocks if block[1])
    )
    return StoredBlocks(columns=schema, made_by=made_by, stored=parts)


def stored_bytes(session: Session) -> int:
    """Bytes of stored blocks that are still held in the session's object store."""
    if not session.ray.is_initialized():
        return 0
    place = place_of(session.ray)
    return sum(part.bytes for source in list(_held.values()) for part in source.stored if part.place == place)
