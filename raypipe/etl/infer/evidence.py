"""First pass: what is kept of every block, so that the meaning of its columns can be told at the end."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import PositiveInt

from raypipe.blocks.arrays import Hashes
from raypipe.blocks.frames import ROW, without_row_numbers
from raypipe.blocks.hashing import hash_rows
from raypipe.blocks.kinds import BlockColumn, ColumnType
from raypipe.config import Frozen
from raypipe.etl.infer.digits import are_cards, are_ibans
from raypipe.etl.infer.samples import RowSample, ValueSample
from raypipe.stage import ReduceStage

_SAMPLE_BYTES = 64 << 20
_MAX_TEXT = 4096
_INSIDE_EMAIL = r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_INSIDE_CARD = r"\d(?:[ -]?\d){12,18}"
_INSIDE_IBAN = r"\b([A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)\b"
INSIDE = ("email", "credit_card", "iban")
"""What is looked for inside every text."""


class InferLimits(Frozen):
    """Bounds on what the inference keeps; with them its memory depends neither on rows nor, past some, on columns."""

    values: PositiveInt = 2048
    """Distinct values kept of a column."""
    rows: PositiveInt = 8192
    """Distinct rows kept as hashes, to find keys and dependencies."""
    cells: PositiveInt = 2_097_152
    """Cells of the kept rows; a table of more columns keeps fewer rows."""
    key_columns: PositiveInt = 16
    """Columns that are tried in composite keys."""
    dependency_columns: PositiveInt = 40
    """Columns that are tried in dependencies with one column on the left."""
    pair_columns: PositiveInt = 20
    """Columns that are tried in pairs on the left of a dependency."""
    candidates: PositiveInt = 96
    """Keys and dependencies that are checked against every row."""
    check_mib: PositiveInt = 128
    """Memory for that check, over all candidates; past it a sample of their values is checked, and its share told."""

    def for_width(self, columns: int) -> InferLimits:
        """These limits for a table of so many columns.

        Examples
        --------
        >>> InferLimits().for_width(16).values, InferLimits().for_width(2000).values
        (2048, 262)
        """
        width = max(columns, 1)
        values = max(256, min(self.values, _SAMPLE_BYTES // width // 128))
        return self.replace(values=values, rows=max(256, min(self.rows, self.cells // width)))

    def text_bytes(self, columns: int) -> int:
        """Longest text that is kept, so that a sample of texts stays within its share of memory."""
        return max(64, min(_MAX_TEXT, _SAMPLE_BYTES // max(columns, 1) // self.values))


@dataclass(frozen=True, slots=True)
class ColumnEvidence:
    """What was seen of one column."""

    rows: int
    nulls: int
    sample: ValueSample | None
    """None where values cannot be compared."""
    fractions: int = 0
    """Finite numbers that are not whole."""
    inside: tuple[int, ...] = (0, 0, 0)
    """Texts that contain each of `INSIDE`, over every row."""

    def merge(self, other: ColumnEvidence) -> ColumnEvidence:
        """Both together."""
        return ColumnEvidence(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.sample.merge(other.sample) if self.sample and other.sample else None,
            self.fractions + other.fractions,
            tuple(a + b for a, b in zip(self.inside, other.inside, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class TableEvidence:
    """What was seen of all columns."""

    types: tuple[ColumnType, ...]
    columns: tuple[ColumnEvidence, ...]
    rows: int
    sample: RowSample
    """Its cells are those of `hashed`."""
    hashed: tuple[int, ...]
    """Places of the columns whose values can be compared."""


class GatherEvidence(ReduceStage):
    """Samples of the values of each column and of rows, drawn from every block; blocks pass unchanged."""

    limits: InferLimits = InferLimits()

    def partial(self, block: pa.Table, part: str) -> TableEvidence:
        """Evidence of one block; the part does not matter."""
        block = without_row_numbers(block)
        types = _types(block.schema)
        limits = self.limits.for_width(len(types))
        columns = [BlockColumn(kind, column) for kind, column in zip(types, block.columns, strict=True)]
        hashed = tuple(place for place, kind in enumerate(types) if kind.hashable and kind.kind != "null")
        hashes = [_null_marked(columns[place]) for place in hashed]
        rows = hash_rows(hashes, block.num_rows)
        bytes_kept = limits.text_bytes(len(types))
        return TableEvidence(
            types=types,
            columns=tuple(_evidence(column, limits.values, bytes_kept) for column in columns),
            rows=block.num_rows,
            sample=RowSample.of(rows, hashes, limits.rows),
            hashed=hashed,
        )

    def merge(self, a: TableEvidence, b: TableEvidence) -> TableEvidence:
        """Both together; neither is changed."""
        columns = tuple(x.merge(y) for x, y in zip(a.columns, b.columns, strict=True))
        return replace(a, columns=columns, rows=a.rows + b.rows, sample=a.sample.merge(b.sample))

    def finish(self, state: TableEvidence) -> TableEvidence:
        """The evidence itself; what it means is decided once the profile is at hand, too."""
        return state


@functools.lru_cache(maxsize=16)
def _types(schema: pa.Schema) -> tuple[ColumnType, ...]:
    return tuple(ColumnType.of(field) for field in schema if field.name != ROW)


def _null_marked(column: BlockColumn) -> Hashes:
    """Hash of each cell, 0 for null."""
    if not column.nulls:
        return column.hashes
    hashes: Hashes = np.where(column.null_mask, np.uint64(0), column.hashes)
    return hashes


def _evidence(column: BlockColumn, size: int, max_bytes: int) -> ColumnEvidence:
    if not column.type.hashable or column.type.kind == "null":
        return ColumnEvidence(column.rows, column.nulls, None)
    present = column.present
    hashes = column.hashes[~column.null_mask] if column.nulls else column.hashes
    return ColumnEvidence(
        rows=column.rows,
        nulls=column.nulls,
        sample=ValueSample.of(present, hashes, size, max_bytes),
        fractions=_fractions(present, column.type) if column.type.kind == "number" else 0,
        inside=_inside(present) if column.type.kind == "text" else (0, 0, 0),
    )


def _fractions(numbers: pl.Series, kind: ColumnType) -> int:
    """Finite numbers that are not whole."""
    if kind.whole:
        return 0
    divisor = kind.ratio[1]
    if divisor > 1:  # a decimal, counted in units of its last digit
        return int((numbers % divisor != 0).sum())
    finite = numbers.cast(pl.Float64)
    finite = finite.filter(finite.is_finite())
    return int((finite != finite.floor()).sum())


def _inside(texts: pl.Series) -> tuple[int, ...]:
    """Texts with an e-mail address, a card number, an account number somewhere in them."""
    emails = texts.filter(texts.str.contains("@", literal=True)).str.contains(_INSIDE_EMAIL).sum()
    cards = texts.str.extract(f"({_INSIDE_CARD})").drop_nulls()
    ibans = texts.str.extract(_INSIDE_IBAN).drop_nulls()
    return int(emails), int(are_cards(cards).sum()), int(are_ibans(ibans).sum())
