"""What exchanges are held to: Python's own words for sort, join and group, and tables that are hard on them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from raypipe.blocks.order import boundaries, cut, ranges_of
from raypipe.engine.exchange import _packed, _unpacked
from raypipe.engine.localframe import local_frame
from raypipe.engine.operations import BUNDLE_ROWS, Operation
from raypipe.engine.rayframe import RayFrame, put_on_ray
from raypipe.engine.session import Session
from raypipe.stage import Part, PartRead, SourceStage

Row = dict[str, Any]


def by_ranges(operation: Operation, sides: Sequence[Sequence[pa.Table]], ranges: int, sample: int = 8) -> pa.Table:
    """The result made range by range, as tasks make it, but in this process."""
    placed = [
        (side, number, table, number * BUNDLE_ROWS)
        for side, tables in enumerate(sides)
        for number, table in enumerate(tables)
    ]
    samples = [operation.sample(side, table, first, sample) for side, _, table, first in placed]
    bounds = boundaries(samples, operation.order, ranges)
    found: list[list[list[pa.Table]]] = [[[] for _ in sides] for _ in range(ranges)]
    for side, number, table, first in placed:
        keys, rows = operation.travelling(side, table, first)
        packed = _packed(side, number, cut(rows, ranges_of(keys, bounds, operation.order)))
        for place, piece in zip(packed["range"].to_pylist(), packed["piece"], strict=True):
            found[place][side].append(_unpacked(piece))
    made = pa.concat_tables([operation.gather(one) for one in found])
    last = operation.then()
    return made if last is None else by_ranges(last, [pieces(made, [0, made.num_rows // 2, made.num_rows])], ranges)


def pieces(table: pa.Table, cuts: Sequence[int]) -> list[pa.Table]:
    """The table cut before the given rows."""
    return [table.slice(start, end - start) for start, end in pairwise(cuts)]


def on_ray(table: pa.Table, *cuts: int) -> RayFrame:
    """A frame on Ray, with a block for each piece."""
    ends = [0, *cuts, table.num_rows]
    return put_on_ray(local_frame(table, tuple(end - start for start, end in pairwise(ends))))


def plain(table: pa.Table) -> list[tuple[Any, ...]]:
    """Rows that compare: NaN is equal to itself, and a zero has no sign."""
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    return list(zip(*columns, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value + 0.0
    if isinstance(value, list):
        return tuple(map(_plain, value))
    return value


def key_of(value: Any) -> Any:
    """A value that is equal to another one where a frame says so."""
    return _plain(value)


def rank_of(value: Any) -> tuple[bool, Any]:
    """A value that Python sorts as a frame does, NaN as the largest; not for nulls."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return is_nan, 0.0 if is_nan else value


def sorted_as_python_does(
    rows: Sequence[Row], by: Sequence[str], descending: Sequence[bool], nulls_last: bool
) -> list[Row]:
    """A stable sort by the last key, then by the one before it, and so on."""
    found = list(rows)
    for name, down in reversed(list(zip(by, descending, strict=True))):
        nulls = [row for row in found if row[name] is None]
        values = [row for row in found if row[name] is not None]
        values.sort(key=lambda row: rank_of(row[name]), reverse=down)  # used at once
        found = values + nulls if nulls_last else nulls + values
    return found


def pairs_of(left: Sequence[Row], right: Sequence[Row], on: Sequence[str], how: str) -> list[tuple[int, int]]:
    """Row numbers of both sides, -1 for none, in the order that `Frame.join` promises."""

    def equal(a: Row, b: Row) -> bool:
        return all(a[name] is not None and key_of(a[name]) == key_of(b[name]) for name in on)

    if how == "right":
        return [(b, a) for a, b in pairs_of(right, left, on, "left")]
    partners = [[j for j, other in enumerate(right) if equal(row, other)] for row in left]
    if how == "semi":
        return [(i, -1) for i, found in enumerate(partners) if found]
    if how == "anti":
        return [(i, -1) for i, found in enumerate(partners) if not found]
    pairs = [(i, j) for i, found in enumerate(partners) for j in found or ([-1] if how in ("left", "full") else [])]
    if how == "full":
        met = {j for _, j in pairs}
        pairs += [(-1, j) for j in range(len(right)) if j not in met]
    return pairs


class Noise(SourceStage):
    """Parts of a million random numbers."""

    parts_made: int = 1

    def schema(self) -> pa.Schema:
        return pa.schema([("x", pa.int64())])

    def parts(self) -> Sequence[Part]:
        return [
            Part(id=f"{number:05d}", file="noise", rows=10**6, bytes=8 * 10**6) for number in range(self.parts_made)
        ]

    def open(self) -> Callable[[Part], PartRead]:
        return lambda part: PartRead(pa.table({"x": np.random.default_rng(int(part.id)).integers(0, 2**60, 10**6)}))


def lost_ref(session: Session) -> Any:
    """A reference to blocks that died with the process that made them."""
    ray = session.ray

    @ray.remote(num_cpus=0)  # type: ignore[untyped-decorator]
    class Owner:
        def make(self) -> list[Any]:
            return [ray.put([pa.table({"x": [1]})])]

    owner = Owner.remote()
    ref = ray.get(owner.make.remote())[0]
    ray.kill(owner)
    for _ in range(200):
        try:
            ray.get(ref)
        except ray.exceptions.OwnerDiedError:
            return ref
        time.sleep(0.1)
    raise AssertionError("the blocks outlive their owner")
