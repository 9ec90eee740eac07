"""Small pieces of the table itself: its first rows, and a random sample for scatter charts."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import NonNegativeInt, PositiveInt

from raypipe.blocks.frames import data_bytes, from_polars, int64_array, row_numbers, to_polars, without_row_numbers
from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.stage import ReduceStage

MAX_CHARS = 1_000
"""Characters of a text in a sample; longer ones are cut."""
SAMPLE_BYTES = 128 << 20
"""Bytes that a sample may take, about."""
GUESS_FACTOR = 4
"""A table is believed to have at least one of this many of the rows that its guessed bytes speak for."""
FEW_ROWS = 1_000
"""Rows of a block that are not put in order, and that may be a few bytes too many, until they are merged."""
PIECES = 200
"""Pieces of a sample that wait at most before they are put together."""
_PRIORITY = "__priority__"
_MOST = 2**64 - 1


class FirstRows(ReduceStage):
    """The first `rows` rows of the table, in source order."""

    rows: PositiveInt = 100

    def partial(self, block: pa.Table, part: str) -> pa.Table:
        # Copied, so that a small piece does not hold its whole block.
        return from_polars(to_polars(without_row_numbers(block).slice(0, self.rows)).rechunk())

    def merge(self, a: pa.Table, b: pa.Table) -> pa.Table:
        return a if a.num_rows >= self.rows else pa.concat_tables([a, b.slice(0, self.rows - a.num_rows)])

    def finish(self, state: pa.Table | None) -> pa.Table | None:
        return state


@dataclass(frozen=True)
class Drawn:
    """Rows that may be in the sample."""

    rows: tuple[pl.DataFrame, ...]
    """Pieces, of which the rows of lowest priority count."""
    reach: int
    """Every row of a lower priority is among them, but for those past the limits on rows and bytes."""
    full: bool
    """Whether those limits let rows go."""


class SampleRows(ReduceStage):
    """A uniform random sample without replacement: the `rows` rows of lowest priority.

    A row's priority is a hash of seed, part and row number, so that the sample depends neither on how rows are cut nor
    on who works on them. It is not stratified: every figure drawn from it would need weights, and at the usual 20,000
    rows a class of one percent still has 200.

    Where the size of the table is known, or guessed, rows that have no chance are let go at once. The result is None
    where a guess was so wrong that rows of the sample were let go.
    """

    rows: PositiveInt
    columns: tuple[str, ...]
    seed: int = 42
    max_chars: PositiveInt = MAX_CHARS
    """Longer texts are cut to this, so that a few of them cannot make the sample huge."""
    max_bytes: PositiveInt = SAMPLE_BYTES
    """The sample ends before the row that would take it past this many bytes of text and numbers."""
    of: NonNegativeInt | None = None
    """Rows of the whole table, where they are known."""
    of_bytes: NonNegativeInt | None = None
    """Bytes of the whole table in memory, guessed, where its rows are not known."""

    def partial(self, block: pa.Table, part: str) -> Drawn:
        numbers = row_numbers(block)
        priorities = _priorities(self.seed, part, numbers)
        reach = self._reach(block)
        hopeful = np.flatnonzero(priorities <= np.uint64(reach))
        full = len(hopeful) > self.rows
        if full:
            hopeful = np.sort(hopeful[np.argpartition(priorities[hopeful], self.rows)[: self.rows]])
        drawn = to_polars(block.select(list(self.columns)).take(int64_array(hopeful)))
        texts = [pl.col(pl.String).str.slice(0, self.max_chars)] if pl.String in drawn.dtypes else []
        drawn = drawn.with_columns(texts)
        rows = Drawn((drawn.with_columns(pl.Series(self._priority, priorities[hopeful])),), reach, full)
        return rows if drawn.height < FEW_ROWS else self._compact(rows)

    def merge(self, a: Drawn, b: Drawn) -> Drawn:
        both = Drawn((*a.rows, *b.rows), min(a.reach, b.reach), a.full or b.full)
        # Sorted now and then only: most blocks add a few rows.
        waiting = sum(rows.height for rows in both.rows[1:])
        return self._compact(both) if waiting > self.rows or len(both.rows) > PIECES else both

    def finish(self, state: Drawn | None) -> pa.Table | None:
        if state is None:
            return None
        state = self._compact(state)
        (rows,) = state.rows
        last = int(rows[self._priority].max() or 0)  # type: ignore[arg-type]  # a whole number
        if state.reach < (last if state.full else _MOST):
            return None
        return from_polars(rows.drop(self._priority))

    def _compact(self, drawn: Drawn) -> Drawn:
        """The same in one piece, lowest priority first, without the rows past the limits."""
        frame = pl.concat(drawn.rows)
        kept = frame.sort(self._priority).head(self.rows)
        sizes = [pl.col(pl.String).str.len_bytes().fill_null(0)] if pl.String in kept.dtypes else []
        total = kept.select(pl.sum_horizontal(pl.repeat(8 * kept.width, pl.len()), *sizes).cum_sum()).to_series()
        kept = kept.head(max(1, int((total <= self.max_bytes).sum())))
        return Drawn((kept,), drawn.reach, drawn.full or kept.height < frame.height)

    def _reach(self, block: pa.Table) -> int:
        """The priority that no row of the sample exceeds: six standard deviations above the expected one."""
        of = self.of
        if of is None and self.of_bytes and block.num_rows:
            of = int(self.of_bytes / GUESS_FACTOR * block.num_rows / max(data_bytes(block), 1))
        if not of:
            return _MOST
        share = (self.rows + 6 * math.sqrt(self.rows) + 6) / of
        return min(int(share * _MOST), _MOST)

    @property
    def _priority(self) -> str:
        """Name of the column of priorities: one that no column of the table has."""
        return max((_PRIORITY, *self.columns), key=len) + "_" if _PRIORITY in self.columns else _PRIORITY


def sample_size(profile: Profile, most: int, cells: int) -> int:
    """Rows that a sample of all columns may have: at most `most`, at most `cells` cells, and about `SAMPLE_BYTES`.

    Examples
    --------
    >>> sample_size(Profile(rows=10**6, columns=(), bytes=10**12), most=20_000, cells=2_000_000)
    134
    """
    bounds = [most, cells // max(len(profile.columns), 1)]
    if profile.rows:
        cut = sum(_cut_bytes(column) for column in profile.columns)
        bounds.append(int(SAMPLE_BYTES / max((profile.bytes - cut) / profile.rows, 1.0)))
    return max(1, min(bounds))


def _cut_bytes(column: ColumnProfile) -> float:
    """Bytes of texts that a sample leaves away, at least."""
    mean = column.text.mean_chars if column.text else None
    return max((mean or 0.0) - MAX_CHARS, 0.0) * column.present


def _priorities(seed: int, part: str, numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64 random-looking bits a row (splitmix64 of the row number, keyed by seed and part)."""
    key = int.from_bytes(hashlib.blake2b(f"{seed}/{part}".encode(), digest_size=8).digest(), "little")
    with np.errstate(over="ignore"):
        z = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed
