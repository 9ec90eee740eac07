"""Passes of the inference: over a table at hand, or over every block of a source on an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.blocks.profile import Profile
from raypipe.blocks.spec import SummarySpec
from raypipe.engine.frame import Frame
from raypipe.engine.run import Engine, Outcome, Pass
from raypipe.etl.infer.evidence import GatherEvidence, InferLimits, TableEvidence
from raypipe.etl.settling import PartNotes, until_settled
from raypipe.etl.source import TableSource
from raypipe.etl.summarise import Summarise
from raypipe.etl.wording import counted
from raypipe.stage import Plan, ReduceStage

_BLOCK_ROWS = 1 << 18


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
        aside = 0

        def read(source: TableSource, notes: PartNotes) -> Outcome:
            nonlocal aside
            aside = 0

            def on_aside(stage: str, part: object, rows: pa.Table) -> None:
                nonlocal aside
                aside += rows.num_rows

            plan = Plan(source=source, stages=(_summary(source.schema()), GatherEvidence(limits=limits)))
            return self.engine.run(Pass(plan, name="infer", keep=True, on_read=notes.on_read, on_aside=on_aside))

        def drop(outcome: Outcome) -> None:
            if outcome.frame is not None:
                outcome.frame.release()

        done = until_settled(self.source, read, drop, self.max_bad_cell_share)
        self.source, self.frame = done.source, done.made.frame
        self.schema = done.source.schema()
        self._notes = [*done.source.notes, *(one.reason for one in done.promotions), *_aside(aside)]
        return done.made.results[_summary(self.schema).name], done.made.results[GatherEvidence().name]

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


def _summary(schema: pa.Schema) -> Summarise:
    return Summarise.of(schema, SummarySpec().for_width(len([name for name in schema.names if name != ROW])))


def _aside(rows: int) -> list[str]:
    if not rows:
        return []
    return [f"{counted(rows, 'row')} could not be placed or typed, and took no part; raypipe validate shows them"]
