"""The passes of data processing: the switches and the list of steps applied, and what was fitted saved."""

from __future__ import annotations

import pyarrow as pa

from raypipe.config import PipelineConfig
from raypipe.engine.frame import Frame
from raypipe.etl.processing.walk import RunStages, walk
from raypipe.etl.steps.step import Step
from raypipe.etl.writers.files import WriteFiles
from raypipe.pipeline.ingest import SUMMARY, summary_of
from raypipe.pipeline.state import RunState
from raypipe.stage import Stage

FITTED_FILE = "processing.json"
"""In the run's folder: every step as it was fitted."""


def apply_steps(
    config: PipelineConfig, run: RunState, frame: Frame, switches: tuple[Step, ...], run_pass: RunStages
) -> Frame:
    """The rows after all steps; what became of them stands in `run`.

    The last pass summarises what the steps leave, and writes the rows where that was asked for.

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
    idle = all(step.idle for step in switches) and not course.wishes and not config.save_intermediate

    def ends(left: pa.Schema) -> tuple[Stage, ...]:
        if idle:
            return ()
        if not config.save_intermediate:
            return (summary_of(left),)
        return summary_of(left), WriteFiles(folder=run.folder.parts("processed"), options=config.write)

    done = walk(course, frame, run_pass, switches, ends)
    run.steps, run.processing, run.frame = tuple(done.reports), done.tallies, done.frame
    saved = run.processor.saved(frame.schema, switches, course.fitted)
    if saved.steps:
        run.folder.write_json(FITTED_FILE, saved.to_json())
    if done.last is not None:
        run.profile = done.last.results[SUMMARY]
        run.processed_files = [file for receipt in done.last.receipts for file in receipt["files"]]
    return done.frame
