"""Which rows repeat an earlier row, found exactly over all blocks from 64-bit hashes of the rows."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import data_columns, row_numbers
from raypipe.config import Frozen
from raypipe.stage import ReduceStage, require

Keep = Literal["first", "last", "max", "min", "most_complete", "none"]
"""Which of the rows with one key stays: the first or last of the source, that with the largest or smallest score, that
with the most values (which is a score, too), or none of them."""
HASH_SEED = 0x5EED
EXAMPLES = 5


class Repeats(Frozen):
    """The rows that repeat an earlier one, in the order of parts and of rows within them."""

    rows: int = 0
    """Rows compared."""
    repeats: int = 0
    """Rows that equal an earlier one."""
    marks: Mapping[str, bytes] = {}
    """Part id -> compressed bits, one per row number; set where the row repeats. Parts without repeats are left out."""
    first: tuple[tuple[str, int], ...] = ()
    """(part id, row number) of the first few repeats."""

    def mask(self, part: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """For each row number of the part, whether it repeats an earlier row."""
        packed = self.marks.get(part)
        if packed is None:
            return np.zeros(len(rows), dtype=bool)
        bits = np.frombuffer(zlib.decompress(packed), dtype=np.uint8)
        byte, shift = rows >> 3, (7 - (rows & 7)).astype(np.uint8)
        known = byte < len(bits)
        marked: npt.NDArray[np.bool_] = ((bits[np.where(known, byte, 0)] >> shift) & 1).astype(bool)
        return known & marked


@dataclass
class RowHashes:
    """Hashes of the rows seen so far: (part id, row numbers, hashes) a block."""

    entries: list[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint64]]] = field(default_factory=list)


class FindRepeats(ReduceStage):
    """Find rows that equal an earlier row of the source in every one of `columns`.

    Rows are compared by a 64-bit hash, so that two different rows count as equal with odds of about
    n² / 2⁶⁵ over n rows: 3e-7 for three million rows, 3e-4 for a hundred million. Values are not compared again. The
    state takes 16 bytes a row until the end of the pass; the result at most one bit a row. Null equals null, NaN
    equals NaN and -0.0 equals 0.0. Equal workers (one release of Polars) are assumed, as everywhere in a run.
    """

    label: str = "rows"
    """What is compared, e.g. `rows` or `primary_key`; part of the stage's name."""
    columns: tuple[str, ...] | None = None
    """None takes all."""
    trim: bool = False
    """Compare text as `TrimText` would leave it."""
    skip_nulls: bool = False
    """Leave out rows with a null in one of the columns, as SQL does for UNIQUE."""

    @property
    def name(self) -> str:
        return f"FindRepeats:{self.label}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *(self.columns or ()), by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> RowHashes:
        """Hashes of one block; a block without `ROW` is taken for its whole part."""
        if block.num_rows == 0:
            return RowHashes()
        rows = row_numbers(block)
        names = data_columns(block) if self.columns is None else list(self.columns)
        cells = [pl.Series(f"c{index}", pl.from_arrow(block[name])) for index, name in enumerate(names)]
        frame = pl.DataFrame([trimmed(cell) for cell in cells] if self.trim else cells)
        if not names:
            return RowHashes()
        hashes = frame.hash_rows(seed=HASH_SEED).to_numpy()
        if self.skip_nulls:
            whole = frame.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()
            rows, hashes = rows[whole], hashes[whole]
        return RowHashes([(part, rows, hashes)])

    def merge(self, a: RowHashes, b: RowHashes) -> RowHashes:
        a.entries.extend(b.entries)
        return a

    def finish(self, state: RowHashes) -> Repeats:
        """Mark every row whose hash came before, in the order of part ids and of row numbers."""
        entries = [entry for entry in state.entries if len(entry[1])]
        if not entries:
            return Repeats()
        entries.sort(key=lambda entry: (entry[0], int(entry[1][0])))
        parts = [part_rows(group) for group in by_part(entries)]
        hashes = pl.Series(np.concatenate([hashes for _, _, hashes in parts]))
        again = (~hashes.is_first_distinct()).to_numpy()
        return marked(parts, again)


def wins(key: pl.Series, keep: Keep, score: pl.Series | None) -> pl.Series:
    """Which rows of all, in the order of the source, stay; of rows with equal scores, the first.

    Examples
    --------
    >>> wins(pl.Series([7, 7, 8]), "max", pl.Series([1, 5, None])).to_list()
    [False, True, True]
    """
    if keep == "first":
        return key.is_first_distinct()
    if keep == "last":
        return key.is_last_distinct()
    if keep == "none":
        return key.is_unique()
    assert score is not None
    by_score = pl.arg_sort_by("s", descending=keep != "min", nulls_last=True, maintain_order=True)
    order = pl.DataFrame([score.alias("s")]).select(by_score).to_series()
    best = order.filter(key.gather(order).is_first_distinct())
    found = np.zeros(len(key), np.bool_)
    found[best.to_numpy()] = True
    return pl.Series(found)


PartRows = tuple[str, npt.NDArray[np.int64], npt.NDArray[np.uint64]]


def trimmed(cells: pl.Series) -> pl.Series:
    """Text without white space around it, null where nothing is left; other columns as they are."""
    if cells.dtype != pl.String:
        return cells
    bare = cells.str.strip_chars()
    return bare.set(bare == "", None)


def by_part(entries: list[PartRows]) -> list[list[PartRows]]:
    """Entries of each part together."""
    groups: dict[str, list[PartRows]] = {}
    for entry in entries:
        groups.setdefault(entry[0], []).append(entry)
    return list(groups.values())


def part_rows(group: list[PartRows]) -> PartRows:
    """The entries of one part as one, in the order of rows."""
    rows = np.concatenate([rows for _, rows, _ in group])
    hashes = np.concatenate([hashes for _, _, hashes in group])
    if np.any(rows[1:] < rows[:-1]):
        order = np.argsort(rows, kind="stable")
        rows, hashes = rows[order], hashes[order]
    return group[0][0], rows, hashes


def marked(parts: list[PartRows], again: npt.NDArray[np.bool_]) -> Repeats:
    """The rows of consecutive parts for which `again` is true."""
    marks: dict[str, bytes] = {}
    first: list[tuple[str, int]] = []
    start = 0
    for part, rows, _ in parts:
        repeated = rows[again[start : start + len(rows)]]
        start += len(rows)
        if len(repeated) == 0:
            continue
        bits = np.zeros(int(repeated[-1]) + 1, dtype=bool)
        bits[repeated] = True
        marks[part] = zlib.compress(np.packbits(bits).tobytes(), 1)
        first += [(part, int(row)) for row in repeated[: EXAMPLES - len(first)]]
    return Repeats(rows=len(again), repeats=int(again.sum()), marks=marks, first=tuple(first))
