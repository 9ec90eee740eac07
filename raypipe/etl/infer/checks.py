"""Second pass: keys and dependencies held to every row, and rows counted that match what their column is taken for.

Values are compared by 64-bit hashes. Of each candidate those with the smallest hashes are kept, as many as memory
allows, each with all of its rows; so a value that stands twice is seen twice or not at all, and while everything fits
the answer is exact but for collisions of hashes (odds of n² / 2⁶⁵ over n rows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import PositiveInt

from raypipe.blocks.arrays import Counts, Hashes
from raypipe.blocks.hashing import hash_rows
from raypipe.blocks.kinds import BlockColumn, ColumnType
from raypipe.etl.infer.candidates import borne_out
from raypipe.etl.infer.kernels import count_matches
from raypipe.stage import ReduceStage, require

_KEY_BYTES, _PAIR_BYTES = 8, 24
EXAMPLES = 3
WIDE = 2**64
"""Above every hash."""


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """The smallest hashes of a candidate key, and the smallest that stood twice.

    What comes out does not depend on the order of merges: hashes below `bound` and `repeat` are all at hand, and both
    only ever go down, never below where all rows together put them.
    """

    capacity: int
    hashes: Hashes
    """Ascending, each once, all below `bound` and `repeat`."""
    bound: int = WIDE
    """Hashes below it were compared."""
    repeat: int = WIDE
    """Smallest hash that stood twice."""

    @classmethod
    def of(cls, hashes: Hashes, capacity: int) -> Self:
        """From the hash of each row."""
        return cls(capacity, np.sort(hashes))._settled()

    def merge(self, other: KeyCheck) -> KeyCheck:
        """Both together."""
        both = np.concatenate((self.hashes, other.hashes))
        both.sort(kind="stable")
        return KeyCheck(self.capacity, both, min(self.bound, other.bound), min(self.repeat, other.repeat))._settled()

    def _settled(self) -> Self:
        bound, repeat = self.bound, self.repeat
        hashes = _below(self.hashes, min(bound, repeat))
        again = np.flatnonzero(hashes[1:] == hashes[:-1])
        if len(again):
            repeat = int(hashes[again[0]])
            hashes = _below(hashes, repeat)
        if len(hashes) > self.capacity:
            bound = int(hashes[self.capacity])
            hashes = hashes[: self.capacity]
        elif len(hashes) == self.capacity and repeat < bound:  # no room for the one that stands twice
            bound = repeat
        own = hashes if hashes.base is None else hashes.copy()
        if repeat < bound:  # the lower one decides, and the other one says nothing any more
            return replace(self, hashes=own, bound=WIDE, repeat=repeat)
        return replace(self, hashes=own, bound=bound, repeat=WIDE)

    @property
    def holds(self) -> bool:
        """Whether no value that was compared stood twice."""
        return self.repeat == WIDE

    @property
    def share(self) -> float:
        """Of the key values that were compared."""
        return self.bound / WIDE


@dataclass(frozen=True, slots=True)
class PairCheck:
    """Pairs of a left and a right value with their rows, of the left values with the smallest hashes."""

    capacity: int
    left: Hashes
    right: Hashes
    """Pairs stand in order of left, then right."""
    counts: Counts
    bound: int = WIDE
    """Left values below it were checked, each with all of its rows."""

    @classmethod
    def of(cls, left: Hashes, right: Hashes, capacity: int) -> Self:
        """From the hashes of both sides of each row."""
        return cls(capacity, *_counted(left, right, np.ones(len(left), np.int64)))._settled()

    def merge(self, other: PairCheck) -> PairCheck:
        """Both together."""
        both = _counted(
            np.concatenate((self.left, other.left)),
            np.concatenate((self.right, other.right)),
            np.concatenate((self.counts, other.counts)),
        )
        return PairCheck(self.capacity, *both, min(self.bound, other.bound))._settled()

    def _settled(self) -> Self:
        bound = self.bound
        end = len(_below(self.left, bound))
        if end > self.capacity:
            bound = int(self.left[self.capacity])
            end = len(_below(self.left, bound))
        if end == len(self.left):
            return self
        return type(self)(
            self.capacity, self.left[:end].copy(), self.right[:end].copy(), self.counts[:end].copy(), bound
        )

    @property
    def share(self) -> float:
        """Of the left values that were checked."""
        return self.bound / WIDE

    def error(self, most: float) -> float | None:
        """g3 of the rows that were checked; None where it is more than `most`, or they do not bear it out."""
        _, ids = np.unique(self.right, return_inverse=True)
        rights = np.bincount(ids, weights=self.counts).astype(np.int64) if len(ids) else self.counts
        return borne_out(self.left, self.counts, rights, most)

    @property
    def rows(self) -> int:
        """Rows that were checked."""
        return int(self.counts.sum())

    @property
    def groups(self) -> int:
        """Left values that were checked."""
        return len(np.unique(self.left))


@dataclass(frozen=True, slots=True)
class MatchCount:
    """Rows of a text column that match the test of its kind."""

    rows: int
    matching: int
    misfits: tuple[tuple[int, str], ...]
    """(hash, value) of some that do not, those of the smallest hashes."""

    def merge(self, other: MatchCount) -> MatchCount:
        """Both together."""
        misfits = tuple(sorted({*self.misfits, *other.misfits}))[:EXAMPLES]
        return MatchCount(self.rows + other.rows, self.matching + other.matching, misfits)


@dataclass(frozen=True, slots=True)
class CheckState:
    """What was found so far, in the order of the stage's fields."""

    keys: tuple[KeyCheck, ...]
    pairs: tuple[PairCheck, ...]
    matches: tuple[MatchCount, ...]


class CheckCandidates(ReduceStage):
    """Candidate keys, dependencies and tests of text columns, held to every row; blocks pass unchanged."""

    unique: tuple[tuple[str, ...], ...] = ()
    """Candidate keys."""
    dependencies: tuple[tuple[tuple[str, ...], str], ...] = ()
    tests: tuple[tuple[str, str], ...] = ()
    """(column, test)."""
    max_bytes: PositiveInt = 128 << 20
    """Shared by all candidates."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self._columns(), by=self.name)
        return schema

    def _columns(self) -> list[str]:
        keys = [name for key in self.unique for name in key]
        sides = [name for left, right in self.dependencies for name in (*left, right)]
        return list(dict.fromkeys((*keys, *sides, *(name for name, _ in self.tests))))

    def partial(self, block: pa.Table, part: str) -> CheckState:
        """What one block says; the part does not matter."""
        columns = {name: BlockColumn(ColumnType.of(block.schema.field(name)), block[name]) for name in self._columns()}
        sides = _Sides(columns, block.num_rows)
        room = self.max_bytes // max(1, len(self.unique) + len(self.dependencies))
        return CheckState(
            keys=tuple(KeyCheck.of(sides.hashes(key), max(1, room // _KEY_BYTES)) for key in self.unique),
            pairs=tuple(
                PairCheck.of(*sides.both(left, right), max(1, room // _PAIR_BYTES)) for left, right in self.dependencies
            ),
            matches=tuple(_matches(columns[name], test) for name, test in self.tests),
        )

    def merge(self, a: CheckState, b: CheckState) -> CheckState:
        """Both together; neither is changed."""
        return CheckState(
            tuple(x.merge(y) for x, y in zip(a.keys, b.keys, strict=True)),
            tuple(x.merge(y) for x, y in zip(a.pairs, b.pairs, strict=True)),
            tuple(x.merge(y) for x, y in zip(a.matches, b.matches, strict=True)),
        )

    def finish(self, state: CheckState) -> CheckState:
        """The state itself."""
        return state


class _Sides:
    """Hashes of one or several columns of a block, computed once."""

    def __init__(self, columns: dict[str, BlockColumn], rows: int) -> None:
        self._columns = columns
        self._rows = rows
        self._known: dict[tuple[str, ...], Hashes] = {}

    def hashes(self, names: tuple[str, ...]) -> Hashes:
        """Hash of the cells of these columns in each row; 0 where one of them is null."""
        if names not in self._known:
            columns = [self._columns[name] for name in names]
            hashes = hash_rows([column.hashes for column in columns], self._rows)
            for column in columns:
                if column.nulls:
                    hashes[column.null_mask] = 0
            self._known[names] = hashes
        return self._known[names]

    def both(self, left: tuple[str, ...], right: str) -> tuple[Hashes, Hashes]:
        """Hashes of both sides, of the rows where neither is null."""
        a, b = self.hashes(left), self.hashes((right,))
        held = (a != 0) & (b != 0)
        return (a, b) if held.all() else (a[held], b[held])


def _below(hashes: Hashes, bound: int) -> Hashes:
    """The hashes below a bound, of ascending ones."""
    return hashes if bound >= WIDE else hashes[: int(np.searchsorted(hashes, np.uint64(bound)))]


def _counted(left: Hashes, right: Hashes, counts: Counts) -> tuple[Hashes, Hashes, Counts]:
    """Distinct pairs in order, and the sum of their counts."""
    frame = pl.DataFrame({"left": left, "right": right, "n": counts})
    summed = frame.group_by("left", "right").agg(pl.col("n").sum()).sort("left", "right")
    return summed["left"].to_numpy(), summed["right"].to_numpy(), summed["n"].to_numpy()


def _matches(column: BlockColumn, test: str) -> MatchCount:
    """Rows of one block that match; blank texts count as missing."""
    texts = column.present
    counted = pl.DataFrame([texts.alias("value")]).group_by("value").len("n")
    counted = counted.with_columns(pl.col("value").str.strip_chars()).filter(pl.col("value") != "")
    good = count_matches(test, counted["value"])
    wrong = counted["value"].filter(~good).unique()
    hashes = wrong.hash(0).to_numpy()
    first = np.argsort(hashes, kind="stable")[:EXAMPLES]
    return MatchCount(
        rows=int(counted["n"].sum()),
        matching=int(counted["n"].filter(good).sum()),
        misfits=tuple(sorted((int(hashes[at]), str(wrong[int(at)])) for at in first)),
    )
