"""Cost of each part of the summary of a table, in nanoseconds of processor time per row.

    POLARS_MAX_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/kernels.py lineitem.parquet --block-rows 500000 --parts

Blocks are read with Polars, as a worker does. Prints JSON; times are the least of `--rounds`.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Callable
from functools import reduce
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.column import ColumnSummary
from raypipe.blocks.duplicates import RowSample
from raypipe.blocks.frames import from_polars
from raypipe.blocks.hashing import hash_rows
from raypipe.blocks.kinds import BlockColumn
from raypipe.blocks.matrices import NullPairs, PairMoments
from raypipe.blocks.table import finish, merge, number_column, number_places, summarise


def least(call: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Least processor time of `rounds` calls in seconds, and the last result."""
    best, result = float("inf"), None
    for _ in range(rounds):
        start = time.process_time()
        result = call()
        best = min(best, time.process_time() - start)
    return best, result


def parts_of(block: pa.Table, rounds: int) -> dict[str, float]:
    """Seconds of each part of the summary of one block."""
    state = summarise(block)
    seconds: dict[str, float] = {}

    def measure(name: str, call: Callable[[], Any]) -> Any:
        took, result = least(call, rounds)
        seconds[name] = seconds.get(name, 0.0) + took
        return result

    held = []
    for kind, column in zip(state.types, block.columns, strict=True):
        ready = BlockColumn(kind, column)
        held.append(ready)

        def whole(kind: Any = kind, column: Any = column) -> ColumnSummary:
            return ColumnSummary.of(BlockColumn(kind, column), state.spec)

        def hashes(ready: BlockColumn = ready) -> Any:
            ready.__dict__.pop("hashes", None)
            return ready.hashes

        measure(f"column {kind.name} ({kind.arrow})", whole)
        measure("hashes of all values", hashes)
    rows = measure("row hashes", lambda: hash_rows([column.hashes for column in held], block.num_rows))
    measure("duplicates", lambda: RowSample.of(rows, state.spec.row_hashes))
    numbers = [number_column(held[i], state.columns[i]) for i in number_places(state.types, state.spec)]
    measure("correlation", lambda: PairMoments.of(numbers, block.num_rows))
    nulls = {i: column.null_mask for i, column in enumerate(held) if column.nulls}
    measure("missingness", lambda: NullPairs.of(nulls, len(held), block.num_rows, 240))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="Parquet file")
    parser.add_argument("--block-rows", type=int, default=500_000)
    parser.add_argument("--blocks", type=int, default=3, help="blocks to summarise and merge")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", action="store_true", help="measure each part on the first block, too")
    args = parser.parse_args()

    scan = pl.scan_parquet(args.path)
    read, summarised, states, sizes, rows, first = 0.0, 0.0, [], [], 0, None
    for i in range(args.blocks):
        start = time.process_time()
        block = from_polars(scan.slice(i * args.block_rows, args.block_rows).collect())
        read += time.process_time() - start
        if not block.num_rows:
            break
        took, state = least(lambda block=block: summarise(block), args.rounds)
        summarised += took
        rows += block.num_rows
        states.append(state)
        sizes.append(len(pickle.dumps(state, protocol=5)))
        first = first if first is not None else block
    if first is None:
        parser.error(f"{args.path} has no rows")
    merged, whole = least(lambda: reduce(merge, states), args.rounds)
    finished, profile = least(lambda: finish(whole), args.rounds)
    result: dict[str, Any] = {
        "rows": rows,
        "columns": len(profile.columns),
        "read_ns_per_row": read / rows * 1e9,
        "summarise_ns_per_row": summarised / rows * 1e9,
        "merge_ms": merged / max(len(states) - 1, 1) * 1e3,
        "finish_ms": finished * 1e3,
        "partial_bytes": max(sizes),
    }
    if args.parts:
        parts = parts_of(first, args.rounds)
        result["parts_ns_per_row"] = {name: round(s / first.num_rows * 1e9, 1) for name, s in parts.items()}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
