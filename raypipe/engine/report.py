"""What workers tell the driver: counts and small partials, never blocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raypipe.blocks.rowlines import RowLines
from raypipe.errors import RaypipeError


@dataclass
class StageTally:
    """What one stage did; adds up over blocks, parts and workers."""

    rows_in: int = 0
    rows_out: int = 0
    rows_aside: int = 0
    """Set aside, by the stage itself or because it failed on the row."""
    rows_failed: int = 0
    """The part of `rows_aside` on which the stage raised."""
    bytes_out: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failure: str = ""
    """What the stage said on the first row on which it raised."""
    peak_rss_bytes: int = 0
    """Largest resident memory of a worker right after this stage."""

    @property
    def rows_dropped(self) -> int:
        """Rows that left on purpose; never negative for a stage that keeps its promises."""
        return self.rows_in - self.rows_out - self.rows_aside

    def add(self, other: StageTally) -> None:
        """Add `other` to this one."""
        self.rows_in += other.rows_in
        self.rows_out += other.rows_out
        self.rows_aside += other.rows_aside
        self.rows_failed += other.rows_failed
        self.bytes_out += other.bytes_out
        self.seconds += other.seconds
        if other.counts:
            self.counts.update(other.counts)
        self.failure = self.failure or other.failure
        self.peak_rss_bytes = max(self.peak_rss_bytes, other.peak_rss_bytes)


@dataclass
class PartReport:
    """What one group of stages made of one part."""

    part: str
    file: str
    tallies: dict[str, StageTally] = field(default_factory=dict)
    """Stage name -> tally, in the order of the chain."""
    asides: list[tuple[str, pa.Table]] = field(default_factory=list)
    """(stage name, rows with `ASIDE_SCHEMA`)."""
    partials: dict[str, Any] = field(default_factory=dict)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    bytes_read: int = 0
    lines: int | None = None
    row_lines: RowLines | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    rows_out: int = 0
    bytes_out: int = 0
    """Bytes of the block that this group hands on; 0 when it hands on none."""


@dataclass
class BundleReport:
    """What one call to a worker did: one part, or several small ones."""

    parts: list[PartReport] = field(default_factory=list)
    error: RaypipeError | None = None
    """Why the call failed; the parts before it are reported."""
    seconds: float = 0.0
    rss_bytes: int = 0
    pid: int = 0
    pieces: int = 1
    """Pieces that its blocks were cut into because memory was short; 1 where it was not."""
