"""Puts reports back into the order of parts, and adds them up.

Merging in part order, whoever finished first, is what makes a run's result independent of the number of workers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa

from raypipe.blocks.frames import no_rows
from raypipe.engine.faults import is_fault, say
from raypipe.engine.report import PartReport, StageTally
from raypipe.engine.spare import Spared
from raypipe.errors import ConfigError, ConservationError, RaypipeError, ResumeError, StageFailedError
from raypipe.stage import Part, ReduceStage, Stage

STATE = ("tallies", "receipts", "rows_out", "bytes_read", "spared", "_states", "_next", "_untold", "_handed_on")
"""What of a collector is kept by a journal."""
T = TypeVar("T")
AsideFn = Callable[[str, Part, pa.Table], None]
"""Called with (stage name, part, rows set aside), in the order of parts, stages and rows."""
ReadFn = Callable[[PartReport], None]
"""Called with the report of each part that was read, in part order."""


EARLY_PARTS = 4
"""Where nobody knows how many rows there will be, a stage that raised on every row of so many parts is given up."""


@dataclass
class Collector:
    """Reports of all parts and groups of one pass.

    Raises
    ------
    ConfigError
        If two parts have one id.
    """

    stages: Sequence[Stage]
    schemas: Sequence[pa.Schema]
    """After each of `stages`."""
    parts: Sequence[Part]
    groups: int
    on_aside: AsideFn | None = None
    on_read: ReadFn | None = None
    max_failed_share: float = 1.0

    tallies: dict[str, StageTally] = field(default_factory=dict)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    rows_out: int = 0
    bytes_read: int = 0
    spared: Spared = field(default_factory=dict)
    """Rows that were found to kill a worker."""
    held_bytes: int = 0
    """Size of the reports that wait for an earlier part."""
    is_sound: bool = True
    """False while a report is being added up, and ever after if that was broken off."""
    _states: dict[str, Any] = field(default_factory=dict)
    _waiting: dict[tuple[int, int], tuple[PartReport, int]] = field(default_factory=dict)
    _next: list[int] = field(default_factory=list)
    _untold: dict[int, tuple[list[tuple[str, pa.Table]], list[dict[str, Any]]]] = field(default_factory=dict)
    _handed_on: dict[tuple[int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._next = [0] * self.groups
        self._index = {part.id: index for index, part in enumerate(self.parts)}
        if len(self._index) != len(self.parts):
            twice = next(part.id for index, part in enumerate(self.parts) if self._index[part.id] != index)
            raise ConfigError(f"engine: the source names two parts {twice!r}; ids of parts must be distinct")
        self._reduces = {stage.name: stage for stage in self.stages if isinstance(stage, ReduceStage)}
        rows = [part.rows for part in self.parts]
        self._rows_known = sum(count or 0 for count in rows) if None not in rows else None

    @property
    def parts_done(self) -> int:
        """Parts that left the last group, in order."""
        return self._next[-1]

    def state(self) -> dict[str, Any]:
        """All that was added up so far, for a journal; reports that wait for an earlier part are not in it."""
        return {"parts_done": self.parts_done, **{name: getattr(self, name) for name in STATE}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state()` returned in another process.

        Raises
        ------
        ResumeError
            If that one ran with other pools, or another number of parts was done than there is.
        """
        if len(state["_next"]) != self.groups or state["parts_done"] > len(self.parts):
            raise ResumeError(
                f"resume: the run had {len(state['_next'])} pools a pass and has {self.groups} now; go on with the "
                "settings of engine.engine and engine.fuse that it had"
            )
        for name in STATE:
            setattr(self, name, state[name])

    def add(self, group: int, report: PartReport, size: int = 0) -> None:
        """Take a report in; release what is now in order.

        Parameters
        ----------
        size : int
            Bytes that the report takes while it waits.
        """
        index = self._index[report.part]
        if index < self._next[group] or (group, index) in self._waiting:
            return  # a second report of a part that was run again after a lost worker
        self.is_sound = False
        self._waiting[group, index] = report, size
        self.held_bytes += size
        while (ready := self._waiting.pop((group, self._next[group]), None)) is not None:
            self.held_bytes -= ready[1]
            self._release(group, self._next[group], ready[0])
            self._next[group] += 1
        self.is_sound = True

    def _release(self, group: int, index: int, report: PartReport) -> None:
        self._check_hand_over(group, index, report)
        self.bytes_read += report.bytes_read
        if group == 0 and self.on_read is not None:
            self.on_read(report)
        for name, tally in report.tallies.items():
            self.tallies.setdefault(name, StageTally()).add(tally)
        for name, state in report.partials.items():
            known = self._states.get(name)
            self._states[name] = state if known is None else self._merged(self._reduces[name], known, state)
        if report.asides or report.receipts:
            asides, receipts = self._untold.setdefault(index, ([], []))
            asides += report.asides
            receipts += report.receipts
        if group + 1 == self.groups:
            self.rows_out += report.rows_out
            self._tell(index)
        self._check_all_failed(index, report)

    def _tell(self, index: int) -> None:
        """Pass on what was set aside and written for a part, once its last group is through.

        Groups run at a pace of their own; told at once, their rows would mix in another order every time.
        """
        asides, receipts = self._untold.pop(index, ([], []))
        self.receipts += receipts
        if self.on_aside is not None:
            for stage, rows in asides:
                self.on_aside(stage, self.parts[index], rows)

    def _merged(self, stage: ReduceStage, a: Any, b: Any) -> Any:
        return _told(stage, "its summaries cannot be merged", lambda: stage.merge(a, b))

    def _check_hand_over(self, group: int, index: int, report: PartReport) -> None:
        """Rows that enter a group are those that left the group before."""
        first = next(iter(report.tallies.values()), None)
        if group > 0 and first is not None:
            left = self._handed_on.pop((group - 1, index))
            if left != first.rows_in:
                raise ConservationError(f"part {report.part}: {left} rows were handed on, {first.rows_in} arrived")
        if group + 1 < self.groups:
            self._handed_on[group, index] = report.rows_out

    def _check_all_failed(self, index: int, report: PartReport) -> None:
        """Give up early where a stage raised on every row so far, and more of them than may go to quarantine.

        Parts count in their order here too, so that the same part ends the run every time.
        """
        for name in report.tallies:
            tally = self.tallies[name]
            if not tally.rows_failed or tally.rows_failed < tally.rows_in:
                continue
            if self._rows_known is not None:
                enough = tally.rows_failed > self.max_failed_share * self._rows_known
            else:
                enough = index + 1 >= max(EARLY_PARTS, 2 * self.max_failed_share * len(self.parts))
            if enough:
                for part in sorted(self._untold):
                    self._tell(part)
                text = f"{tally.failure}; it failed on each of the first {tally.rows_failed:,} rows"
                raise StageFailedError(name, report.part, text)

    def finish(self) -> dict[str, Any]:
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
        for stage in self.stages:  # a source without parts leaves tallies of nothing
            self.tallies.setdefault(stage.name, StageTally())
        self._check_conservation()
        self._check_failures()
        return {name: self._result(stage) for name, stage in self._reduces.items()}

    def _result(self, stage: ReduceStage) -> Any:
        """What the merged summary says; of a source without parts, that of an empty block."""
        if stage.name not in self._states:
            schema = next(schema for one, schema in zip(self.stages, self.schemas, strict=True) if one is stage)
            empty = no_rows(schema)
            self._states[stage.name] = _told(stage, "an empty block", lambda: stage.partial(empty, ""))
        return _told(stage, "its summary cannot be finished", lambda: stage.finish(self._states[stage.name]))

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

    def _check_failures(self) -> None:
        allowed = self.max_failed_share
        for name, tally in self.tallies.items():
            if tally.rows_failed > allowed * max(tally.rows_in, 1):
                share = tally.rows_failed / tally.rows_in
                raise StageFailedError(
                    name,
                    "(all)",
                    f"it raised on {tally.rows_failed:,} of {tally.rows_in:,} rows ({share:.2%}), more than the "
                    f"{allowed:.2%} that may go to quarantine, first with: {tally.failure}; see quarantine.parquet "
                    "for the rows, mend the stage, or raise engine.max_failed_share",
                )


def _told(stage: Stage, what: str, make: Callable[[], T]) -> T:
    """What `make` returns; what it raises becomes StageFailedError in the stage's words."""
    try:
        return make()
    except RaypipeError:
        raise
    except BaseException as error:
        if not is_fault(error):
            raise
        raise StageFailedError(stage.name, "(all)", f"{what}: {say(error)}") from error
