"""Sort, join and group over frames whose blocks lie in Ray's object store.

A small table goes to one worker whole. A large one is cut into ranges of keys: samples tell where, each block is cut
by a task, Ray Data's sort brings the pieces of each range together, and one task a range does the work. The driver
holds references and counts, never rows. Pieces travel as Arrow messages, so that neither the types nor the names of
columns matter on the way; what happens to rows is decided in `raypipe.engine.operations` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.blocks.frames import canonical_schema, from_polars, no_rows, to_polars
from raypipe.blocks.order import boundaries, cut, ranges_of
from raypipe.engine import raydata
from raypipe.engine.frame import Frame
from raypipe.engine.operations import BUNDLE_ROWS, JoinRows, Operation
from raypipe.engine.raydata import Piece, Stored, told
from raypipe.engine.session import Session
from raypipe.engine.sides import Bundle, Side, make_way, side_of, stored_side, task_cpus, whole_bundle
from raypipe.engine.stored import StoredBlocks, store_parts
from raypipe.errors import ReadError

SMALL_BYTES = 64 << 20
"""Tables below this size, both sides of a join together, go to one worker whole: a shuffle costs seconds."""
SAMPLE_BUNDLES, SAMPLE_ROWS = 32, 1024
"""Bundles that are looked at to find ranges, and keys taken from each."""
MAX_RANGES, MAX_INPUTS = 512, 1024
"""Bounds on ranges and on tasks that cut: the driver holds a reference for each pair of them."""
INPUTS_PER_CPU = 4
ALIGN = 64
CUT_SCHEMA = pa.schema(
    [("range", pa.int64()), ("side", pa.int64()), ("bundle", pa.int64()), ("piece", pa.large_binary())]
)
"""Pieces on their way to the task that works on their range."""


@dataclass(frozen=True)
class Beside:
    """A join that needs no shuffle, since one side is small."""

    large: int
    """The side that is joined bundle by bundle: 0 left, 1 right."""
    in_order: bool
    """Whether the rows come in order that way."""


def _beside(operation: Operation, sides: Sequence[Side]) -> Beside | None:
    if not isinstance(operation, JoinRows):
        return None
    left, right = (side.bytes <= SMALL_BYTES for side in sides)
    how = operation.spec.how
    if right and how in ("left", "inner", "semi", "anti"):
        return Beside(large=0, in_order=True)
    if left and how in ("right", "inner"):
        return Beside(large=1, in_order=how == "right")
    return None


@dataclass(frozen=True)
class Exchange:
    """Where an exchange runs, and how much it asks of one task."""

    session: Session
    block_bytes: int
    retries: int

    def side_of(self, frame: Frame) -> Side:
        """The frame for the tasks of this exchange."""
        return side_of(frame, self.session, self.block_bytes)

    def run(self, operation: Operation, sides: Sequence[Side], schema: pa.Schema) -> StoredBlocks:
        """The result, in order, as blocks in the object store.

        Raises
        ------
        ReadError
            If a part that was read again had other rows than before.
        RaypipeError
            What the operation raised, or StageFailedError in its words.
        """
        return store_parts(self.session, operation.name, self._made(operation, sides), schema)

    def _made(self, operation: Operation, sides: Sequence[Side]) -> list[Stored]:
        size = sum(side.bytes for side in sides)
        if size <= SMALL_BYTES or not size:
            return self.blocks_of(operation.name, _at_once, operation, list(sides), self.block_bytes)
        raydata.load(by=f"{operation.name} of {size >> 20} MiB")
        make_way(self.session)
        plan = _beside(operation, sides)
        with raydata.quiet():
            found = self._by_range(operation, sides) if plan is None else self._beside(plan, operation, sides)
        last = operation.then()
        if last is None or (plan is not None and plan.in_order):
            return found
        between = store_parts(self.session, operation.name, found, last.schema)
        return self._made(last, [stored_side(between, self.session)])

    def cut_anew(self, side: Side, rows: Sequence[int]) -> StoredBlocks:
        """The same rows in blocks of these sizes."""
        schema = canonical_schema(side.schema)
        if side.bytes <= SMALL_BYTES:
            found = self.blocks_of("repartition", _recut, side, list(rows))
            return store_parts(self.session, "repartition", found, schema)
        raydata.load(by=f"repartition of {side.bytes >> 20} MiB")
        make_way(self.session)
        with raydata.quiet():
            blocks = raydata.run(raydata.dataset_of(side, "repartition", self.retries), "repartition")
        check_rows(side, sum(count for _, count, _ in blocks))
        task = self.session.ray.remote(_slice_of).options(**self._options(), num_returns=2)
        refs, start = [], 0
        for count in rows:
            offset, chosen = _covering(blocks, start, start + count)
            refs.append(task.remote(offset, count, *chosen))
            start += count
        try:
            sizes = self.session.ray.get([size for _, size in refs])
        except Exception as error:
            raise told(error, "repartition") from error
        found = [(ref, count, size) for (ref, _), count, size in zip(refs, rows, sizes, strict=True)]
        return store_parts(self.session, "repartition", found, schema)

    def blocks_of(self, who: str, task: Callable[..., Iterator[Any]], *args: Any) -> list[Stored]:
        """What a task yields: blocks, and a list of their rows and bytes at last."""
        ray = self.session.ray
        try:
            refs = list(ray.remote(task).options(**self._options(), num_returns="streaming").remote(*args))
            counts: list[tuple[int, int]] = ray.get(refs.pop())
        except Exception as error:
            raise told(error, who) from error
        return [(ref, rows, size) for ref, (rows, size) in zip(refs, counts, strict=True)]

    def _options(self) -> dict[str, Any]:
        return {"num_cpus": task_cpus(self.session), "max_retries": self.retries}

    # ---- a join with a small side -------------------------------------------------------------------------------

    def _beside(self, plan: Beside, operation: Operation, sides: Sequence[Side]) -> list[Stored]:
        """Each bundle of the large side, joined with all of the small one; nothing is shuffled."""
        assert isinstance(operation, JoinRows)
        ray, small, large = self.session.ray, sides[1 - plan.large], sides[plan.large]
        whole = ray.remote(_whole_side).options(**self._options()).remote(small)
        pieces = [
            Piece(_joiner(operation, plan, large, bundles, whole, self.block_bytes), sum(b.bytes for b in bundles))
            for bundles in self.inputs(large, large.bytes)
        ]
        schema = operation.spec.output_schema if plan.in_order else operation.spec.nothing.schema
        made = raydata.dataset(pieces, schema, operation.name, task_cpus(self.session), self.retries)
        return raydata.run(made, operation.name)

    # ---- ranges of keys -----------------------------------------------------------------------------------------

    def _by_range(self, operation: Operation, sides: Sequence[Side]) -> list[Stored]:
        """Cut into ranges of keys, and work on one range a task."""
        size = sum(side.bytes for side in sides)
        ranges = min(MAX_RANGES, max(2, int(self.session.cpus), math.ceil(size / self.block_bytes)))
        bounds = self._bounds(operation, sides, ranges)
        pieces = [
            Piece(_cutter(operation, number, side, bundles, bounds), sum(bundle.bytes for bundle in bundles))
            for number, side in enumerate(sides)
            for bundles in self.inputs(side, size)
        ]
        made = raydata.dataset(pieces, CUT_SCHEMA, operation.name, task_cpus(self.session), self.retries)
        made = made.sort("range", boundaries=list(range(1, ranges))).map_batches(
            raydata.bounded(_gatherer(operation, len(sides), self.block_bytes), self.retries, operation.name),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=task_cpus(self.session),
        )
        found = raydata.run(made, operation.name)
        if operation.keeps_rows:
            check_rows(sides[0], sum(rows for _, rows, _ in found))
        return found

    def inputs(self, side: Side, total: int) -> Iterator[list[Bundle]]:
        """Neighbouring bundles for one task each."""
        even = total // max(1, int(self.session.cpus) * INPUTS_PER_CPU)
        wanted = max(min(self.block_bytes, even), total // MAX_INPUTS)
        group: list[Bundle] = []
        for bundle in side.bundles:
            group.append(bundle)
            if sum(one.bytes for one in group) >= wanted:
                yield group
                group = []
        if group:
            yield group

    def _bounds(self, operation: Operation, sides: Sequence[Side], ranges: int) -> Any:
        """Reference to the smallest keys of the ranges; keys may be large texts, so that they stay in the store."""
        ray = self.session.ray
        sample = ray.remote(_sample).options(**self._options())
        most = max(1, SAMPLE_BUNDLES // len(sides))
        samples = [
            sample.remote(operation, number, side.spec, side.bundles[place], side.schema)
            for number, side in enumerate(sides)
            for place in sorted(
                {round(at) for at in np.linspace(0, len(side.bundles) - 1, most)} if side.bundles else ()
            )
        ]
        bounds, done = (
            ray.remote(_find_bounds).options(**self._options(), num_returns=2).remote(operation, ranges, *samples)
        )
        try:
            ray.get(done)
        except Exception as error:
            raise told(error, operation.name) from error
        return bounds


# ---- what tasks do --------------------------------------------------------------------------------------------------


def _at_once(operation: Operation, sides: Sequence[Side], block_bytes: int) -> Iterator[Any]:
    counts = []
    for block in _slices(operation.at_once(*map(_whole_side, sides)), block_bytes):
        counts.append((block.num_rows, block.nbytes))
        yield block
    yield counts


def _whole_side(side: Side) -> pa.Table:
    """All rows of a side, in one table."""
    tables = [whole_bundle(side.spec, bundle, side.schema) for bundle in side.bundles]
    whole = pa.concat_tables([no_rows(side.schema), *tables])
    check_rows(side, whole.num_rows)
    return whole


def check_rows(side: Side, rows: int) -> None:
    """Raise ReadError unless the side had as many rows as the frame was made of."""
    if rows != side.num_rows:
        raise ReadError(
            f"{side.source}: a later reading found {rows:,} rows where the first one found {side.num_rows:,}; "
            "the source changed in between. Run again on files that nobody writes to"
        )


def _recut(side: Side, rows: Sequence[int]) -> Iterator[Any]:
    whole, start, sizes = _whole_side(side), 0, []
    for count in rows:
        block = _part_of(whole, start, count)
        start += count
        sizes.append((count, block.nbytes))
        yield block
    yield sizes


def _part_of(table: pa.Table, start: int, rows: int) -> pa.Table:
    """Rows of a table, of canonical types, with nothing of the others."""
    return from_polars(to_polars(table.take(pa.array(np.arange(start, start + rows, dtype=np.int64)))))


def _covering(blocks: Sequence[Stored], first: int, stop: int) -> tuple[int, list[Any]]:
    """The blocks that hold the rows from `first` to `stop`, and how many rows of the first of them come before."""
    chosen: list[Any] = []
    offset, start = 0, 0
    for ref, rows, _ in blocks:
        if start + rows > first and start < stop:
            offset = offset if chosen else first - start
            chosen.append(ref)
        start += rows
    return offset, chosen


def _slice_of(offset: int, rows: int, *blocks: pa.Table) -> tuple[pa.Table, int]:
    block = _part_of(pa.concat_tables(blocks), offset, rows)
    return block, block.nbytes


def _sample(operation: Operation, number: int, spec: Any, bundle: Bundle, schema: pa.Schema) -> pl.DataFrame:
    """Keys of one bundle."""
    table = whole_bundle(spec, bundle, schema)
    return operation.sample(number, table, bundle.number * BUNDLE_ROWS, SAMPLE_ROWS)


def _find_bounds(operation: Operation, ranges: int, *samples: pl.DataFrame) -> tuple[pl.DataFrame, None]:
    return boundaries(samples, operation.order, ranges), None


def _cutter(
    operation: Operation, number: int, side: Side, bundles: Sequence[Bundle], bounds: Any
) -> Callable[[], Iterator[pa.Table]]:
    spec, schema = side.spec, side.schema

    def run() -> Iterator[pa.Table]:
        import ray

        known = ray.get(bounds)
        for bundle in bundles:
            table = whole_bundle(spec, bundle, schema)
            keys, rows = operation.travelling(number, table, bundle.number * BUNDLE_ROWS)
            yield _packed(number, bundle.number, cut(rows, ranges_of(keys, known, operation.order)))

    return run


def _packed(side: int, bundle: int, pieces: Sequence[tuple[int, pa.Table]]) -> pa.Table:
    """A row for each piece, with the piece as an Arrow message in it."""
    sink, offsets = pa.BufferOutputStream(), [0]
    for _, piece in pieces:
        with pa.ipc.new_stream(sink, piece.schema) as writer:
            writer.write_table(piece)
        sink.write(bytes(-sink.tell() % ALIGN))  # wherever a message is moved to, its numbers stay aligned
        offsets.append(sink.tell())
    buffers = [None, pa.py_buffer(np.array(offsets, np.int64)), sink.getvalue()]
    return pa.table(
        [
            pa.array([number for number, _ in pieces], pa.int64()),
            pa.array([side] * len(pieces), pa.int64()),
            pa.array([bundle] * len(pieces), pa.int64()),
            pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(pieces), buffers),
        ],
        schema=CUT_SCHEMA,
    )


def _gatherer(operation: Operation, sides: int, block_bytes: int) -> Callable[[pa.Table], Iterator[pa.Table]]:
    def run(batch: pa.Table) -> Iterator[pa.Table]:
        for number in sorted(set(batch["range"].to_pylist())):
            rows = batch.filter(pc.equal(batch["range"], number)).sort_by("bundle")
            tables = [
                [_unpacked(one) for one in rows.filter(pc.equal(rows["side"], side))["piece"]] for side in range(sides)
            ]
            yield from _slices(operation.gather(tables), block_bytes)

    return run


def _unpacked(piece: pa.LargeBinaryScalar) -> pa.Table:
    with pa.ipc.open_stream(piece.as_buffer()) as reader:
        return reader.read_all()


def _joiner(
    operation: JoinRows, plan: Beside, side: Side, bundles: Sequence[Bundle], whole: Any, block_bytes: int
) -> Callable[[], Iterator[pa.Table]]:
    spec, schema = side.spec, side.schema

    def run() -> Iterator[pa.Table]:
        import ray

        small = ray.get(whole)
        for bundle in bundles:
            table, first = whole_bundle(spec, bundle, schema), bundle.number * BUNDLE_ROWS
            if plan.large == 0:
                rows = operation.beside(table, first, small, 0)
            else:
                rows = operation.beside(small, 0, table, first)
            yield from _slices(operation.spec.finished(rows) if plan.in_order else rows, block_bytes)

    return run


def _slices(table: pa.Table, block_bytes: int) -> Iterator[pa.Table]:
    """Pieces of about `block_bytes`, each with nothing of the others; one of no rows where the table has none."""
    pieces = max(1, math.ceil(table.nbytes / block_bytes))
    rows = max(1, math.ceil(table.num_rows / pieces))
    if table.num_rows <= rows:
        yield table
        return
    for start in range(0, table.num_rows, rows):
        yield _part_of(table, start, min(rows, table.num_rows - start))
