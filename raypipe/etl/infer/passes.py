"""Passes of the inference: over a table at hand, or over every block of a source on an engine."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.blocks.profile import Profile
from raypipe.blocks.spec import SummarySpec
from raypipe.engine.frame import Frame
from raypipe.engine.report import PartReport
from raypipe.engine.run import Engine, Outcome, Pass
from raypipe.errors import SchemaError
from raypipe.etl.infer.evidence import GatherEvidence, InferLimits, TableEvidence
from raypipe.etl.source import MISCUT, TableSource, cut_exactly, settle_types
from raypipe.etl.summarise import Summarise
from raypipe.etl.types import Misfits, gather_misfits
from raypipe.etl.wording import counted
from raypipe.stage import Plan, ReduceStage

logger = logging.getLogger(__name__)

_BLOCK_ROWS = 1 << 18
_MAX_ROUNDS = 5
"""Types only ever widen (integer, float, text), and cuts are made exactly once."""


class Passes(ABC):
    """Runs summaries over all rows of one table."""

    schema: pa.Schema

    @abstractmethod
    def first(self, limits: InferLimits) -> tuple[Profile, TableEvidence]:
        """Profile and evidence of all rows, under types that hold for all of them."""

    @abstractmethod
    def run(self, stage: ReduceStage) -> Any:
        """What a summary finds; after `first`."""

    def notes(self) -> tuple[str, ...]:
        """What the reader decided or left out."""
        return ()

    def release(self) -> None:  # noqa: B027  # a table at hand has nothing to let go of
        """Let go of the blocks."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


class TablePasses(Passes):
    """A table at hand, in this process."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.schema = table.schema

    def first(self, limits: InferLimits) -> tuple[Profile, TableEvidence]:
        """See `Passes.first`."""
        return self.run(_summary(self.schema)), self.run(GatherEvidence(limits=limits))

    def run(self, stage: ReduceStage) -> Any:
        """See `Passes.run`."""
        state = None
        for start in range(0, max(1, self.table.num_rows), _BLOCK_ROWS):
            made = stage.partial(self.table.slice(start, _BLOCK_ROWS), "table")
            state = made if state is None else stage.merge(state, made)
        return stage.finish(state)


class SourcePasses(Passes):
    """A source, on an engine; read again where a block widened the type of a column."""

    def __init__(self, source: TableSource, engine: Engine, max_bad_cell_share: float) -> None:
        self.source = source
        self.schema = source.schema()
        self.engine = engine
        self.max_bad_cell_share = max_bad_cell_share
        self.frame: Frame | None = None
        self._notes: list[str] = []

    def first(self, limits: InferLimits) -> tuple[Profile, TableEvidence]:
        """See `Passes.first`."""
        promoted: list[str] = []
        for _ in range(_MAX_ROUNDS):
            outcome, told = self._read(limits)
            settled, found = settle_types(self.source, told.misfits, self.max_bad_cell_share)
            if not found and not told.miscut:
                self._notes = [*self.source.notes, *promoted, *_aside(told.aside)]
                self.frame = outcome.frame
                summary = _summary(self.schema)
                return outcome.results[summary.name], outcome.results[GatherEvidence().name]
            if outcome.frame is not None:
                outcome.frame.release()
            promoted += [] if told.miscut else [one.reason for one in found]
            self.source = cut_exactly(self.source) if told.miscut else settled
            self.schema = self.source.schema()
        raise SchemaError(f"infer: types did not settle after {_MAX_ROUNDS} rounds, the last for {promoted[-1]}")

    def _read(self, limits: InferLimits) -> tuple[Outcome, _Told]:
        told = _Told()
        plan = Plan(source=self.source, stages=(_summary(self.schema), GatherEvidence(limits=limits)))
        work = Pass(plan, name="infer", keep=True, on_read=told.on_read, on_aside=told.on_aside)
        return self.engine.run(work), told

    def run(self, stage: ReduceStage) -> Any:
        """See `Passes.run`."""
        assert self.frame is not None
        plan = Plan(source=self.frame.source, prefix=self.frame.prefix, stages=(stage,))
        return self.engine.run(Pass(plan, name="infer_check", frame=self.frame)).results[stage.name]

    def notes(self) -> tuple[str, ...]:
        """See `Passes.notes`."""
        return tuple(self._notes)

    def release(self) -> None:
        """See `Passes.release`."""
        if self.frame is not None:
            self.frame.release()


class _Told:
    """What parts say beside their rows, added up."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._misfits: Misfits = {}
        self._values: Counter[str] = Counter()
        self._wide: Counter[str] = Counter()
        self.aside = 0

    def on_read(self, report: PartReport) -> None:
        """Add the notes of one part."""
        note = report.notes
        self._counts.update({key: value for key, value in note.items() if isinstance(value, int)})
        self._values.update(note.get("values", {}))
        self._wide.update(note.get("wide", {}))
        if note.get("misfits"):
            self._misfits = gather_misfits([{"misfits": self._misfits}, {"misfits": note["misfits"]}])

    def on_aside(self, stage: str, part: object, rows: pa.Table) -> None:
        """Count rows that have no place."""
        self.aside += rows.num_rows

    @property
    def misfits(self) -> Misfits:
        """Of all parts."""
        return gather_misfits([{"values": self._values, "wide": self._wide, "misfits": self._misfits}])

    @property
    def miscut(self) -> bool:
        """Whether a part was cut in the middle of a row."""
        return self._counts[MISCUT] > 0


def _summary(schema: pa.Schema) -> Summarise:
    return Summarise.of(schema, SummarySpec().for_width(len([name for name in schema.names if name != ROW])))


def _aside(rows: int) -> list[str]:
    if not rows:
        return []
    return [f"{counted(rows, 'row')} could not be placed or typed, and took no part; raypipe validate shows them"]
