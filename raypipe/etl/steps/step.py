"""What all processing steps share: they are stages that can say what they did."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.config import ProcessingConfig
from raypipe.results import StepReport
from raypipe.stage import MapStage

CELLS = "cells:"
"""Prefix of the counts of changed cells, before the name of the column."""
ASIDE = "aside:"
"""Prefix of the counts of rows set aside, before the name of the column at fault."""


class Step(MapStage):
    """A fitted processing step."""

    @property
    def idle(self) -> bool:
        """Whether the step only has something to say, and passes every block on as it is."""
        return False

    @property
    def changes(self) -> frozenset[str] | None:
        """Columns that it changes or drops, where it leaves every row and all other columns as they are.

        None: it may take rows away, or add columns, so that nothing is known of what it leaves.
        """
        return frozenset() if self.idle else None

    @abstractmethod
    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        """What the step did.

        Parameters
        ----------
        counts : mapping
            The step's `Sifted.counts`, added up over all blocks.
        rows_dropped : int
            Rows that vanished in it.
        """


@dataclass(frozen=True)
class Evidence:
    """What the first pass found, for fitting the steps of the second."""

    config: ProcessingConfig
    profile: Profile
    target: str | None = None
    time_column: str | None = None
    results: Mapping[str, Any] = field(default_factory=dict)
    """Stage name -> result of the reduce stages."""
    wanted: frozenset[str] = frozenset()
    """Columns that a later step names."""

    @property
    def named(self) -> frozenset[str]:
        """Columns that the user gave a part to play: the target and the time column."""
        return frozenset(name for name in (self.target, self.time_column) if name is not None)

    def missing(self, column: ColumnProfile) -> int:
        """Rows without a value in the column, once text is trimmed (if it is to be)."""
        return column.nulls + (column.text.blank if column.text and self.config.trim_text else 0)

    def is_empty(self, column: ColumnProfile) -> bool:
        """Whether no row has a value in the column, once text is trimmed (if it is to be)."""
        return column.rows > 0 and self.missing(column) >= column.rows


def cells_of(block: pa.Table, column: str) -> pl.Series:
    """The column as a Polars series without a name."""
    return pl.Series("", pl.from_arrow(block[column]))


def with_columns(block: pa.Table, arrays: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """The block with these columns in place of those of the same names, cast back to their types."""
    for name, array in arrays.items():
        index = block.schema.get_field_index(name)
        known = block.schema.field(index)
        block = block.set_column(index, known, array if array.type == known.type else array.cast(known.type))
    return block


def cell_counts(counts: Mapping[str, int], prefix: str = CELLS) -> dict[str, int]:
    """Column -> count, of the counts under `prefix`.

    Examples
    --------
    >>> cell_counts({"cells:a:b": 2, "aside:c": 1})
    {'a:b': 2}
    """
    return {key.removeprefix(prefix): count for key, count in counts.items() if key.startswith(prefix)}
