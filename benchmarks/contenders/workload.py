"""The work of `benchmarks.engine`, the same for every engine: make a block, change it twice, sum it up.

Needs numpy and pyarrow only, so that it runs in either environment.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = 8
ROW_BYTES = COLUMNS * 8


def make_block(number: int, block_bytes: int) -> pa.Table:
    """A block of float64 columns, drawn with its number as the seed."""
    rows = block_bytes // ROW_BYTES
    values = np.random.default_rng(number).random((COLUMNS, rows))
    return pa.table({f"x{index}": values[index] for index in range(COLUMNS)})


def scale(block: pa.Table) -> pa.Table:
    """x0 times two, minus one."""
    return block.set_column(0, "x0", pc.subtract(pc.multiply(block["x0"], 2.0), 1.0))


def combine(block: pa.Table) -> pa.Table:
    """x1 plus x0."""
    return block.set_column(1, "x1", pc.add(block["x1"], block["x0"]))


def total(block: pa.Table) -> float:
    """Sum of x1."""
    return float(pc.sum(block["x1"]).as_py() or 0.0)
