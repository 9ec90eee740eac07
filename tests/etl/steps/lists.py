"""Steps of a list over tables that tests make: fitted in parts and blocks, and applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from raypipe.config import EngineConfig, ProcessingConfig
from raypipe.engine.frame import Frame
from raypipe.engine.inline import InlineEngine
from raypipe.engine.localframe import canonical, local_frame
from raypipe.engine.run import Outcome, Pass
from raypipe.etl.processing.course import Course, wishes_of
from raypipe.etl.processing.processor import FittedProcessor, InProcess, InputColumn
from raypipe.etl.processing.walk import Walked, walk
from raypipe.stage import Plan, Stage

BARE = {"trim_text": False, "parse_dates": False, "drop_empty_columns": False, "drop_empty_rows": False}
"""Switches off, so that only the list is at work."""


class InBlocks(InProcess):
    """Runs stages over parts that are cut into blocks of so many rows."""

    def __init__(self, block_rows: int | None) -> None:
        super().__init__()
        self.config = EngineConfig(engine="inline", block_rows=block_rows)
        self.passes = 0

    def __call__(self, frame: Frame, stages: tuple[Stage, ...]) -> Outcome:
        self.passes += 1
        plan = Plan(source=frame.source, prefix=frame.prefix, stages=stages)
        return InlineEngine(self.config).run(Pass(plan, frame=frame, keep=True, on_aside=self.set_aside))


class Result:
    """What a list made of a table."""

    def __init__(self, table: pa.Table, done: Walked, run: InBlocks, course: Course) -> None:
        self.table = done.frame.to_arrow()
        self.reports = {report.step: report for report in done.reports}
        self.dropped = {name: tally.rows_dropped for name, tally in done.tallies.items() if tally.rows_dropped}
        self.quarantine = run.quarantine()
        self.passes = run.passes
        columns = tuple(InputColumn(name=one.name, type=one.type) for one in table.schema)
        self.processor = FittedProcessor(columns=columns, steps=tuple(course.fitted))

    def column(self, name: str) -> list[Any]:
        return self.table[name].to_pylist()


def applied(
    table: pa.Table,
    steps: Sequence[dict[str, Any]],
    parts: Sequence[int] | None = None,
    block_rows: int | None = None,
    target: str | None = None,
    time_column: str | None = None,
) -> Result:
    """The list, fitted on the table and applied to it, whole or in parts of so many rows and smaller blocks."""
    table = canonical(table)
    config = ProcessingConfig.model_validate({**BARE, "steps": list(steps)})
    frame = local_frame(table, tuple(parts) if parts is not None else None)
    course = Course(wishes_of(config.steps), table.schema, target, time_column)
    run = InBlocks(block_rows)
    done = walk(course, frame, run)
    result = Result(table, done, run, course)
    assert table.num_rows == result.table.num_rows + result.quarantine.num_rows + sum(result.dropped.values())
    return result
