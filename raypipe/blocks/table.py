"""The mergeable summary of a table, and its finished profile."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raypipe.blocks.column import ColumnSummary
from raypipe.blocks.duplicates import RowSample
from raypipe.blocks.frames import data_bytes, without_row_numbers
from raypipe.blocks.hashing import hash_rows
from raypipe.blocks.kinds import BlockColumn, ColumnType
from raypipe.blocks.matrices import NullPairs, NumberColumn, PairMoments
from raypipe.blocks.profile import Profile
from raypipe.blocks.report import column_profile
from raypipe.blocks.spec import SummarySpec
from raypipe.errors import SchemaError

_NULL_PLACES = 4
"""Columns watched for nulls, as a multiple of those shown: which have nulls is known only at the end."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """Everything kept of the blocks seen so far. Pickles small, and merges without looking at rows."""

    spec: SummarySpec
    types: tuple[ColumnType, ...]
    rows: int
    bytes: int
    columns: tuple[ColumnSummary, ...]
    pairs: PairMoments
    nulls: NullPairs
    duplicates: RowSample | None
    """None where a column's values cannot be compared, or there is no column."""


def summarise(block: pa.Table, spec: SummarySpec | None = None) -> TableSummary:
    """Summary of one block; the hidden row-number column is left out.

    Parameters
    ----------
    block : pa.Table
        Any number of rows, none included.
    spec : SummarySpec, optional
        Limits; those of blocks that are to be merged must be equal.

    Examples
    --------
    >>> state = summarise(pa.table({"city": ["Ulm", "Bonn", "Ulm"]}))
    >>> finish(state).column("city").top[0].value
    'Ulm'
    """
    block = without_row_numbers(block)
    types = _types(block.schema)
    limits = (spec or SummarySpec()).for_width(len(types))
    held = [BlockColumn(kind, column) for kind, column in zip(types, block.columns, strict=True)]
    columns = tuple(ColumnSummary.of(column, limits) for column in held)
    hashable = bool(held) and all(kind.hashable for kind in types)
    return TableSummary(
        spec=limits,
        types=types,
        rows=block.num_rows,
        bytes=data_bytes(block),
        columns=columns,
        pairs=PairMoments.of(
            [number_column(held[i], columns[i]) for i in number_places(types, limits)], block.num_rows
        ),
        nulls=NullPairs.of(
            {i: column.null_mask for i, column in enumerate(held) if column.nulls},
            len(held),
            block.num_rows,
            _NULL_PLACES * limits.matrix_columns,
        ),
        duplicates=RowSample.of(hash_rows([column.hashes for column in held], block.num_rows), limits.row_hashes)
        if hashable
        else None,
    )


def merge(a: TableSummary, b: TableSummary) -> TableSummary:
    """Summary of the blocks of both; neither is changed.

    Raises
    ------
    SchemaError
        If the two describe different columns.
    """
    _require_same_columns(a, b)
    return TableSummary(
        spec=a.spec,
        types=a.types,
        rows=a.rows + b.rows,
        bytes=a.bytes + b.bytes,
        columns=tuple(x.merge(y, a.spec) for x, y in zip(a.columns, b.columns, strict=True)),
        pairs=a.pairs.merge(b.pairs),
        nulls=a.nulls.merge(b.nulls),
        duplicates=a.duplicates.merge(b.duplicates) if a.duplicates and b.duplicates else None,
    )


def finish(state: TableSummary) -> Profile:
    """The profile of all blocks merged into `state`."""
    spec, names = state.spec, [kind.name for kind in state.types]
    shown = set(number_places(state.types, spec))
    skipped = [kind.name for i, kind in enumerate(state.types) if kind.kind == "number" and i not in shown]
    return Profile(
        rows=state.rows,
        columns=tuple(column_profile(column, spec) for column in state.columns),
        bytes=state.bytes,
        correlation=state.pairs.finish([names[i] for i in sorted(shown)], skipped),
        missingness=state.nulls.finish(names, [column.nulls for column in state.columns], spec.matrix_columns),
        duplicates=state.duplicates.finish() if state.duplicates else None,
    )


@functools.lru_cache(maxsize=16)
def _types(schema: pa.Schema) -> tuple[ColumnType, ...]:
    return tuple(ColumnType.of(field) for field in schema)


def number_places(types: tuple[ColumnType, ...], spec: SummarySpec) -> list[int]:
    """Positions of the columns in the correlation matrix."""
    return [i for i, kind in enumerate(types) if kind.kind == "number"][: spec.matrix_columns]


def number_column(column: BlockColumn, summary: ColumnSummary) -> NumberColumn:
    """A column of a block as the correlation takes it; `summary` is that of the same column and block."""
    numbers, valid = column.numbers
    extent = summary.extent()
    if extent is None:
        return NumberColumn(numbers, np.zeros(len(numbers), np.bool_), numbers.dtype.type(0).item(), 0.0)
    low, pivot, high = extent
    return NumberColumn(numbers, valid, pivot, max(float(high - pivot), float(pivot - low)))


def _require_same_columns(a: TableSummary, b: TableSummary) -> None:
    if a.types is b.types or a.types == b.types:
        return
    for i, (x, y) in enumerate(zip(a.types, b.types, strict=False)):
        if x != y:
            raise SchemaError(
                f"merging summaries: column {i} is {x.name!r} ({x.arrow}) in one and {y.name!r} ({y.arrow}) in the "
                "other; blocks must have one schema before they are summarised."
            )
    raise SchemaError(
        f"merging summaries: one has {len(a.types)} columns and the other {len(b.types)}; blocks must have one schema "
        "before they are summarised."
    )
