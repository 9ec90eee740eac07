"""The passes of data processing: the switches and the list of steps applied, and what was fitted saved."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from raypipe.blocks.table import Known
from raypipe.config import PipelineConfig
from raypipe.engine.frame import Frame
from raypipe.engine.run import Outcome
from raypipe.etl.processing.walk import RunStages, walk
from raypipe.etl.steps.step import Step
from raypipe.etl.writers.files import WriteFiles
from raypipe.pipeline.ingest import SUMMARY, summary_of
from raypipe.pipeline.looks import Looks, look_stages
from raypipe.pipeline.state import RunState
from raypipe.stage import Stage

FITTED_FILE = "processing.json"
"""In the run's folder: every step as it was fitted."""


def apply_steps(
    config: PipelineConfig, run: RunState, frame: Frame, switches: tuple[Step, ...], run_pass: RunStages
) -> Frame:
    """The rows after all steps; what became of them stands in `run`.

    The last pass summarises what the steps leave, and writes the rows where that was asked for. Columns that no step
    changed are not summarised again.

    Parameters
    ----------
    frame : Frame
        What the first pass left.
    switches : tuple of Step
        The steps of the switches, as the first pass fitted them.
    run_pass : callable
        Runs stages over a frame.
    """
    schema = frame.schema
    for step in switches:
        schema = step.output_schema(schema)
    course = run.processor.course(schema)
    known = None if course.wishes else _known(run, switches, schema)
    idle = all(step.idle for step in switches) and not course.wishes and not config.save_intermediate

    def ends(left: pa.Schema) -> tuple[Stage, ...]:
        if idle:
            return ()
        stages: tuple[Stage, ...] = (summary_of(left, None if known is None else known.wanted),)
        if known is None:
            stages = (*stages, *look_stages(config, left, rows=frame.num_rows // 2))
        if not config.save_intermediate:
            return stages
        return *stages, WriteFiles(folder=run.folder.parts("processed"), options=config.write)

    done = walk(course, frame, run_pass, switches, ends)
    run.steps, run.processing, run.frame = tuple(done.reports), done.tallies, done.frame
    saved = run.processor.saved(frame.schema, switches, course.fitted)
    if saved.steps:
        run.folder.write_json(FITTED_FILE, saved.to_json())
    if done.last is not None:
        run.processed_files = [file for receipt in done.last.receipts for file in receipt["files"]]
        if known is None:
            _see(run, done.last)
        elif done.frame.num_rows == frame.num_rows:
            run.profile = known.completed(done.last.results[SUMMARY])
            run.looks = run.looks and run.looks.after(switches)
        else:  # A step failed on some rows, which were set aside: nothing that was known before holds.
            stages = (summary_of(done.frame.schema), *look_stages(config, done.frame.schema, rows=done.frame.num_rows))
            _see(run, run_pass(done.frame, stages))
    return run.data[0]


def _see(run: RunState, last: Outcome) -> None:
    """Take what a pass found of the rows that it left."""
    run.profile, run.looks = last.results[SUMMARY], Looks.of(last.results)
    run.frame = last.frame


def _known(run: RunState, switches: Sequence[Step], left: pa.Schema) -> Known | None:
    """What the first pass knows of the columns that no step changes; None where a step may take rows away."""
    changes = [step.changes for step in switches]
    changed = [names for names in changes if names is not None]
    if len(changed) < len(changes):
        return None
    return Known(run.data[1], frozenset[str]().union(*changed), tuple(left.names))
