"""Laws that every stage keeps, as assertions: import them as `from tests.laws import assert_blockwise, …`."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import settings

from raypipe.blocks.frames import ROW, without_row_numbers
from raypipe.stage import ASIDE_RULES_SCHEMA, ASIDE_SCHEMA, MapStage, ReduceStage, Sifted

PART = "00000/table.csv@0"
USUAL_EXAMPLES = 100


def examples(count: int) -> int:
    """So many examples for a law of which each example is costly; with the profile `thorough`, ten times as many."""
    return max(1, count * settings.default.max_examples // USUAL_EXAMPLES)


def numbered(table: pa.Table, start: int = 0) -> pa.Table:
    """The table with the hidden row-number column, as the engine passes it."""
    if ROW in table.column_names:
        return table
    numbers = pa.array(np.arange(start, start + table.num_rows, dtype=np.int64))
    return table.append_column(pa.field(ROW, pa.int64()), numbers)


def opened(stage: MapStage | Callable[..., Any], part: str = PART) -> Callable[[pa.Table], Sifted]:
    """The stage's function (or the function itself) as one that takes a block and always returns a `Sifted`."""
    fn = stage.open() if isinstance(stage, MapStage) else stage
    wants_part = isinstance(stage, MapStage) and stage.needs_part

    def call(block: pa.Table) -> Sifted:
        made = fn(block, part) if wants_part else fn(block)
        return made if isinstance(made, Sifted) else Sifted(made)

    return call


def cuts_of(rows: int) -> list[list[int]]:
    """Ways to cut `rows` rows: whole, row by row, halves, uneven pieces, and with empty pieces between."""
    rng = np.random.default_rng(rows)
    ways = [
        [0, rows],
        list(range(rows + 1)) if rows else [0, 0],
        [0, rows // 2, rows],
        [0, 0, rows // 3, rows // 3, rows, rows],
    ]
    ways += [sorted([0, *rng.integers(0, rows + 1, 4).tolist(), rows]) for _ in range(3)]
    return ways


def pieces_of(table: pa.Table, cut: Sequence[int]) -> list[pa.Table]:
    """The table cut before the given rows."""
    return [table.slice(start, end - start) for start, end in pairwise(cut)]


def joined(results: Iterable[Sifted]) -> Sifted:
    """The results of consecutive blocks as one."""
    results = list(results)
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.counts)
    blocks = pa.concat_tables([result.block for result in results]).combine_chunks()
    return Sifted(blocks, pa.concat_tables([result.aside for result in results]).combine_chunks(), +counts)


def assert_same_table(a: pa.Table, b: pa.Table, tolerance: float = 0.0) -> None:
    """Equal columns, types and values; NaN equals NaN."""
    assert a.schema.equals(b.schema), f"schemas differ:\n{a.schema}\n{b.schema}"
    assert a.num_rows == b.num_rows, f"{a.num_rows} rows, not {b.num_rows}"
    for name, left, right in zip(a.column_names, a.columns, b.columns, strict=True):
        assert _same_values(left, right, tolerance), f"column {name!r} differs:\n{left}\n{right}"


def _same_values(left: pa.ChunkedArray, right: pa.ChunkedArray, tolerance: float) -> bool:
    if left.equals(right):
        return True
    if not pa.types.is_floating(left.type):
        return False
    nulls = np.array_equal(left.is_null().to_numpy(), right.is_null().to_numpy())
    numbers = [column.to_numpy(zero_copy_only=False) for column in (left, right)]
    return nulls and np.allclose(*numbers, rtol=tolerance, atol=tolerance, equal_nan=True)


def assert_blockwise(
    stage: MapStage | Callable[..., Any],
    table: pa.Table,
    cuts: Sequence[Sequence[int]] | None = None,
    tolerance: float = 0.0,
) -> None:
    """The result does not depend on how rows are cut into blocks.

    Parameters
    ----------
    stage : MapStage or callable
        What is applied to each block.
    table : pa.Table
        Rows of one part; numbered from 0 unless they bear numbers.
    cuts : sequence of sequence of int, or None
        Ways to cut; None takes those of `cuts_of`.
    tolerance : float
        By how much numbers may differ; 0 for all but models.
    """
    table = numbered(table)
    call = opened(stage)
    whole = joined([call(table)])
    for cut in cuts if cuts is not None else cuts_of(table.num_rows):
        parted = joined(call(piece) for piece in pieces_of(table, cut))
        assert_same_table(parted.block, whole.block, tolerance)
        assert_same_table(parted.aside, whole.aside)
        assert parted.counts == whole.counts, f"counts differ for cut {cut}: {parted.counts} != {whole.counts}"


def assert_stage_laws(stage: MapStage, table: pa.Table, tolerance: float = 0.0) -> None:
    """All laws of a map: block-wise, output as promised, empty stays empty, input untouched, pickles, conserves."""
    table = numbered(without_row_numbers(table))
    assert_blockwise(stage, table, tolerance=tolerance)
    before = _bytes_of(table)
    made = opened(stage)(table)
    assert _bytes_of(table) == before, "the stage wrote into its input"
    _assert_promise(stage, table, made)
    _assert_promise(stage, table.slice(0, 0), opened(stage)(table.slice(0, 0)))
    _assert_conservation(stage, table, made)
    again = pickle.loads(pickle.dumps(stage))
    assert again == stage, "the stage does not equal its pickled copy"
    assert_same_table(opened(again)(table).block, made.block, tolerance)
    bare = opened(stage)(without_row_numbers(table)).block
    assert_same_table(bare, without_row_numbers(made.block), tolerance)


def _assert_promise(stage: MapStage, table: pa.Table, made: Sifted) -> None:
    promised = stage.output_schema(without_row_numbers(table).schema)
    assert ROW in made.block.column_names, f"{ROW} was not carried along"
    have = without_row_numbers(made.block).schema
    assert have.equals(promised), f"promised\n{promised}\nand gave\n{have}"
    assert made.aside.schema in (ASIDE_SCHEMA, ASIDE_RULES_SCHEMA), (
        f"rows set aside have the schema\n{made.aside.schema}"
    )
    if table.num_rows == 0:
        assert made.block.num_rows == 0
        assert made.aside.num_rows == 0


def _assert_conservation(stage: MapStage, table: pa.Table, made: Sifted) -> None:
    kept, aside, came = (made.block[ROW].to_pylist(), made.aside["row"].to_pylist(), table[ROW].to_pylist())
    assert len(set(kept) | set(aside)) == len(kept) + len(aside), "a row stands twice"
    assert set(kept) | set(aside) <= set(came), "a row came from nowhere"
    assert kept == sorted(kept, key=came.index), "kept rows changed their order"
    if not stage.drops_rows:
        assert len(kept) + len(aside) == len(came), "rows vanished"


def assert_reduce_laws(
    stage: ReduceStage, table: pa.Table, same: Callable[[Any, Any], bool] = lambda a, b: a == b
) -> Any:
    """The result depends neither on cuts nor on the grouping of merges; returns it.

    Parameters
    ----------
    stage : ReduceStage
        What is folded over the blocks.
    table : pa.Table
        Rows of one part.
    same : callable
        Whether two results are the same; equality unless rounding is to be allowed for.
    """
    table = numbered(table)
    before = _bytes_of(table)
    whole = stage.finish(stage.partial(table, PART))
    assert _bytes_of(table) == before, "the stage wrote into its input"
    for cut in cuts_of(table.num_rows):
        pieces = pieces_of(table, cut)
        left = _fold(stage, [stage.partial(piece, PART) for piece in pieces])
        assert same(stage.finish(left), whole), f"the result differs for cut {cut}"
        right = _fold_right(stage, [pickle.loads(pickle.dumps(stage.partial(piece, PART))) for piece in pieces])
        assert same(stage.finish(right), whole), f"the result differs for cut {cut}, merged from the right"
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage.output_schema(without_row_numbers(table).schema) == without_row_numbers(table).schema
    stage.finish(stage.partial(table.slice(0, 0), PART))
    return whole


def _fold(stage: ReduceStage, partials: list[Any]) -> Any:
    state = partials[0]
    for partial in partials[1:]:
        state = stage.merge(state, partial)
    return state


def _fold_right(stage: ReduceStage, partials: list[Any]) -> Any:
    state = partials[-1]
    for partial in reversed(partials[:-1]):
        state = stage.merge(partial, state)
    return state


def _bytes_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
