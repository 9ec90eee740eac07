"""Rows to learn from and rows held out, told apart by a seed: the same in every run, however blocks are cut."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.blocks.frames import row_numbers
from raypipe.config.base import Share
from raypipe.stage import MapStage

Side = Literal["learn", "held_out"]
LEARN_SHARE = 2 / 3


def draws(part: str, rows: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A number for each row of a part, as if drawn at random (the finaliser of SplitMix64, Steele and others 2014)."""
    start = np.uint64((zlib.crc32(part.encode()) << 32 ^ seed * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    mixed = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + start
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


class TakeSide(MapStage):
    """Keep the rows of one side."""

    needs_part: ClassVar[bool] = True
    drops_rows: ClassVar[bool] = True
    side: Side
    seed: int
    share: Share = LEARN_SHARE
    """Of the rows, to learn from."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def open(self) -> Callable[..., pa.Table]:
        return self.apply

    def apply(self, block: pa.Table, part: str) -> pa.Table:
        """The rows of the block that are on this side; a block without `ROW` is taken for its whole part."""
        learn = draws(part, row_numbers(block), self.seed) < np.uint64(self.share * 2.0**64)
        return block.filter(pa.array(learn if self.side == "learn" else ~learn))
