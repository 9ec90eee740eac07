"""Outcomes for each combination of values of some columns; of very many combinations, for a fixed choice of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from raypipe.blocks.hashing import hash_values
from raypipe.etl.aside import as_text, shortened

SEGMENTS = 100
"""Segments that are told of each rule. Of more, those with the smallest hashes stay: it is the same choice however the
rows are cut, and what is told of each is exact."""

Key = tuple[str | None, ...]


@dataclass(frozen=True)
class SegmentKeys:
    """The segment of each row of a block."""

    numbers: pl.Series
    """For each row, the number of its segment among `keys`; null where that is not told."""
    keys: tuple[tuple[int, Key], ...]
    """(hash, values as text) of each segment that is told."""


@dataclass(frozen=True)
class SegmentTally:
    """(hash, values) -> (rows looked at, rows at fault)."""

    counts: dict[tuple[int, Key], tuple[int, int]] = field(default_factory=dict)
    dropped: bool = False
    """Whether there are more segments than are told."""

    @classmethod
    def of(cls, keys: SegmentKeys, broken: pl.Series, within: pl.Series | None) -> SegmentTally:
        """Of one block."""
        looked = pl.len() if within is None else pl.col("w").sum()
        frame = pl.DataFrame([keys.numbers.alias("k"), broken.alias("b")])
        if within is not None:
            frame = frame.with_columns(within.alias("w"))
        found = frame.group_by("k").agg(looked.alias("rows"), pl.col("b").sum().alias("failing"))
        # Segments outside `where` stay: the choice of segments must not depend on which block they stood in.
        counts = {keys.keys[n]: (int(rows), int(failing)) for n, rows, failing in found.iter_rows() if n is not None}
        return cls(counts, bool(found["k"].null_count()))

    def merge(self, other: SegmentTally) -> SegmentTally:
        """Both together, cut to the segments that are told."""
        both = dict(self.counts)
        for key, (rows, failing) in other.counts.items():
            known = both.get(key, (0, 0))
            both[key] = (known[0] + rows, known[1] + failing)
        kept = smallest(both)
        return SegmentTally({key: both[key] for key in kept}, self.dropped or other.dropped or len(kept) < len(both))


def segment_keys(block: pa.Table, columns: Sequence[str]) -> SegmentKeys:
    """The segments of a block by the values of these columns."""
    texts = [as_text(pl.Series("", pl.from_arrow(block[name]))).alias(f"s{n}") for n, name in enumerate(columns)]
    frame = pl.DataFrame([shortened(text) for text in texts])
    hashes = pl.Series("h", hash_values(frame.to_struct("")), dtype=pl.UInt64)
    different = frame.with_columns(hashes).unique("h", keep="any", maintain_order=False)
    rows = [(row[-1], row[:-1]) for row in different.iter_rows()]
    keys = tuple(smallest(rows))
    places = pl.DataFrame(
        {"h": pl.Series([key[0] for key in keys], dtype=pl.UInt64), "n": pl.Series(range(len(keys)), dtype=pl.UInt32)}
    )
    numbers = pl.DataFrame([hashes]).join(places, on="h", how="left", maintain_order="left").get_column("n")
    return SegmentKeys(numbers, keys)


def smallest(keys: Sequence[tuple[int, Key]] | dict[tuple[int, Key], tuple[int, int]]) -> list[tuple[int, Key]]:
    """The segments that are told: the first by hash."""
    return sorted(keys, key=lambda key: key[0])[:SEGMENTS]
