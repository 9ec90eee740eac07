"""The mergeable summary of a table, and its finished profile."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raypipe.blocks.column import ColumnSummary
from raypipe.blocks.duplicates import RowSample
from raypipe.blocks.frames import data_bytes, without_row_numbers
from raypipe.blocks.hashing import hash_rows
from raypipe.blocks.kinds import BlockColumn, ColumnType
from raypipe.blocks.matrices import NullPairs, NumberColumn, PairMoments
from raypipe.blocks.profile import Correlation, Profile
from raypipe.blocks.report import column_profile
from raypipe.blocks.spec import SummarySpec
from raypipe.errors import SchemaError

_NULL_PLACES = 4
"""Columns watched for nulls, as a multiple of those shown: which have nulls is known only at the end."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that was not to be summarised; its nulls are counted all the same."""

    nulls: int


@dataclass(frozen=True, slots=True)
class TableSummary:
    """Everything kept of the blocks seen so far. Pickles small, and merges without looking at rows."""

    spec: SummarySpec
    types: tuple[ColumnType, ...]
    rows: int
    bytes: int
    columns: tuple[ColumnSummary | LeftOut, ...]
    pairs: PairMoments
    """Of no column where one of those that belong there was left out."""
    nulls: NullPairs
    duplicates: RowSample | None
    """None where a column's values cannot be compared, or there is no column."""


def summarise(block: pa.Table, spec: SummarySpec | None = None, only: Collection[str] | None = None) -> TableSummary:
    """Summary of one block; the hidden row-number column is left out.

    Parameters
    ----------
    block : pa.Table
        Any number of rows, none included.
    spec : SummarySpec, optional
        Limits; those of blocks that are to be merged must be equal.
    only : collection of str, optional
        Columns to summarise, where the others are known already. Rows, bytes, nulls and repeated rows are always those
        of the whole table; correlations are there if every column of the matrix is among these.

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
    columns = tuple(
        ColumnSummary.of(column, limits) if only is None or kind.name in only else LeftOut(column.nulls)
        for kind, column in zip(types, held, strict=True)
    )
    hashable = bool(held) and all(kind.hashable for kind in types)
    return TableSummary(
        spec=limits,
        types=types,
        rows=block.num_rows,
        bytes=data_bytes(block),
        columns=columns,
        pairs=_pairs(held, columns, number_places(types, limits), block.num_rows),
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


def _pairs(
    held: Sequence[BlockColumn], columns: Sequence[ColumnSummary | LeftOut], places: Sequence[int], rows: int
) -> PairMoments:
    """Of the columns at these places; of none where one was left out."""
    summaries = [columns[i] for i in places]
    known = [summary for summary in summaries if isinstance(summary, ColumnSummary)]
    numbers = [number_column(held[i], summary) for i, summary in zip(places, known, strict=False)]
    return PairMoments.of(numbers if len(known) == len(summaries) else [], rows)


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
        columns=tuple(_merged(x, y, a.spec) for x, y in zip(a.columns, b.columns, strict=True)),
        pairs=a.pairs.merge(b.pairs),
        nulls=a.nulls.merge(b.nulls),
        duplicates=a.duplicates.merge(b.duplicates) if a.duplicates and b.duplicates else None,
    )


def _merged(a: ColumnSummary | LeftOut, b: ColumnSummary | LeftOut, spec: SummarySpec) -> ColumnSummary | LeftOut:
    if isinstance(a, ColumnSummary) and isinstance(b, ColumnSummary):
        return a.merge(b, spec)
    return LeftOut(a.nulls + b.nulls)


def finish(state: TableSummary) -> Profile:
    """The profile of all blocks merged into `state`; columns that were left out are not in it (see `Known`)."""
    spec, names = state.spec, [kind.name for kind in state.types]
    shown = set(number_places(state.types, spec))
    related = not any(isinstance(state.columns[i], LeftOut) for i in shown)
    skipped = [kind.name for i, kind in enumerate(state.types) if kind.kind == "number" and i not in shown]
    return Profile(
        rows=state.rows,
        columns=tuple(column_profile(column, spec) for column in state.columns if isinstance(column, ColumnSummary)),
        bytes=state.bytes,
        correlation=state.pairs.finish([names[i] for i in sorted(shown)], skipped) if related else Correlation(),
        missingness=state.nulls.finish(names, [column.nulls for column in state.columns], spec.matrix_columns),
        duplicates=state.duplicates.finish() if state.duplicates else None,
    )


@dataclass(frozen=True)
class Known:
    """A profile of the same rows as they were before some columns were changed or dropped."""

    profile: Profile
    changed: frozenset[str]
    """Columns that were changed or dropped."""
    left: tuple[str, ...]
    """All columns that there are now."""

    @property
    def wanted(self) -> frozenset[str]:
        """Columns to summarise anew: those that changed, and every number where the correlations have to be too."""
        return frozenset(
            name for name in self.left if name in self.changed or (self._related and name in self._numbers)
        )

    def completed(self, found: Profile) -> Profile:
        """The profile of all columns: those `found` to be new, and the others as they were."""
        new = {column.name: column for column in found.columns}
        columns = tuple(new.get(name) or self.profile.column(name) for name in self.left)
        return found.replace(
            columns=columns, correlation=found.correlation if self._related else self.profile.correlation
        )

    @property
    def _numbers(self) -> frozenset[str]:
        return frozenset(column.name for column in self.profile.columns if column.kind == "number")

    @property
    def _related(self) -> bool:
        """Whether a number was changed or dropped."""
        return bool(self._numbers & self.changed)


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
