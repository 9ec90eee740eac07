"""Puts reports back into the order of parts, and adds them up.

Merging in part order, whoever finished first, is what makes a run's result independent of the number of workers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raypipe.engine.report import PartReport, StageTally
from raypipe.errors import ConservationError, StageFailedError
from raypipe.stage import Part, ReduceStage, Stage

AsideFn = Callable[[str, Part, pa.Table], None]
"""Called with (stage name, part, rows set aside), in part order."""
ReadFn = Callable[[PartReport], None]
"""Called with the report of each part that was read, in part order."""


@dataclass
class Collector:
    """Reports of all parts and groups of one pass."""

    stages: Sequence[Stage]
    schemas: Sequence[pa.Schema]
    """After each of `stages`."""
    parts: Sequence[Part]
    groups: int
    on_aside: AsideFn | None = None
    on_read: ReadFn | None = None

    tallies: dict[str, StageTally] = field(default_factory=dict)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    rows_out: int = 0
    bytes_read: int = 0
    _states: dict[str, Any] = field(default_factory=dict)
    _waiting: dict[tuple[int, int], PartReport] = field(default_factory=dict)
    _next: list[int] = field(default_factory=list)
    _handed_on: dict[tuple[int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._next = [0] * self.groups
        self._index = {part.id: index for index, part in enumerate(self.parts)}
        self._reduces = {stage.name: stage for stage in self.stages if isinstance(stage, ReduceStage)}

    @property
    def parts_done(self) -> int:
        """Parts that left the last group, in order."""
        return self._next[-1]

    def add(self, group: int, report: PartReport) -> None:
        """Take a report in; release what is now in order."""
        index = self._index[report.part]
        if index < self._next[group] or (group, index) in self._waiting:
            return  # a second report of a part that was run again after a lost worker
        self._waiting[group, index] = report
        while (ready := self._waiting.pop((group, self._next[group]), None)) is not None:
            self._release(group, self._next[group], ready)
            self._next[group] += 1

    def _release(self, group: int, index: int, report: PartReport) -> None:
        self._check_hand_over(group, index, report)
        if report.lines is not None or report.notes or report.bytes_read:
            self.bytes_read += report.bytes_read
        if group == 0 and self.on_read is not None:
            self.on_read(report)
        for name, tally in report.tallies.items():
            self.tallies.setdefault(name, StageTally()).add(tally)
        for name, state in report.partials.items():
            known = self._states.get(name)
            self._states[name] = state if known is None else self._reduces[name].merge(known, state)
        if self.on_aside is not None:
            for stage, rows in report.asides:
                self.on_aside(stage, self.parts[index], rows)
        self.receipts += report.receipts
        if group + 1 == self.groups:
            self.rows_out += report.rows_out

    def _check_hand_over(self, group: int, index: int, report: PartReport) -> None:
        """Rows that enter a group are those that left the group before."""
        first = next(iter(report.tallies.values()), None)
        if group > 0 and first is not None:
            left = self._handed_on.pop((group - 1, index))
            if left != first.rows_in:
                raise ConservationError(f"part {report.part}: {left} rows were handed on, {first.rows_in} arrived")
        if group + 1 < self.groups:
            self._handed_on[group, index] = report.rows_out

    def finish(self, max_failed_share: float) -> dict[str, Any]:
        """Check the laws of the pass, and return reduce stage name -> finished result.

        Raises
        ------
        ConservationError
            If rows in are not rows out plus rows set aside plus rows dropped by name.
        StageFailedError
            If stages raised on more than `max_failed_share` of the rows.
        """
        if self._waiting or any(done != len(self.parts) for done in self._next):
            raise ConservationError(f"only {self._next} of {len(self.parts)} parts came through")
        self._check_conservation()
        self._check_failures(max_failed_share)
        return {name: stage.finish(self._state(stage)) for name, stage in self._reduces.items()}

    def _state(self, stage: ReduceStage) -> Any:
        """The merged summary; of a source without parts, that of an empty block."""
        if stage.name in self._states:
            return self._states[stage.name]
        schema = next(schema for one, schema in zip(self.stages, self.schemas, strict=True) if one is stage)
        return stage.partial(schema.empty_table(), "")

    def _check_conservation(self) -> None:
        names = list(self.tallies)
        for before, after in itertools.pairwise(names):
            left, arrived = self.tallies[before].rows_out, self.tallies[after].rows_in
            if left != arrived:
                raise ConservationError(f"{before} let {left} rows through, {after} saw {arrived}")
        for name, tally in self.tallies.items():
            if tally.rows_dropped < 0:
                raise ConservationError(
                    f"{name}: {tally.rows_in} rows in, {tally.rows_out} out, {tally.rows_aside} aside"
                )

    def _check_failures(self, max_failed_share: float) -> None:
        for name, tally in self.tallies.items():
            if tally.rows_failed > max_failed_share * max(tally.rows_in, 1):
                share = tally.rows_failed / tally.rows_in
                raise StageFailedError(
                    name,
                    "(all)",
                    f"it raised on {tally.rows_failed:,} of {tally.rows_in:,} rows ({share:.2%}), more than the "
                    f"{max_failed_share:.2%} that may go to quarantine; see quarantine.parquet for the rows, mend the "
                    "stage, or raise engine.max_failed_share",
                )
