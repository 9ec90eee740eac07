"""The folder of a run as the pipeline opens it, and the name that it gets."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from raypipe.engine.journal import locked
from raypipe.etl.outputs import RunFolder
from raypipe.pipeline.resume import LOCK, RESUME_FOLDER, drop_if_unused, read_record


def open_folder(stack: ExitStack, output_dir: Path, run_id: str, *, resume: bool) -> RunFolder:
    """The run's folder, which no other process works on until `stack` is closed.

    Raises
    ------
    ConfigError
        If the folder of a new run is there already with something in it.
    ResumeError
        If there is no run to go on with, or another process works on it.
    """
    output = output_dir.expanduser().resolve()
    if resume:
        read_record(output / run_id)  # says what is wrong with a run that is not there
    folder = RunFolder(output, run_id, resume=resume)
    stack.callback(drop_if_unused, folder.file(RESUME_FOLDER))
    stack.enter_context(locked(folder.file(RESUME_FOLDER) / LOCK))
    folder.sweep()
    stack.callback(folder.sweep)
    return folder


def new_run_id() -> str:
    """A name that sorts by time, e.g. `20261121-214500-3f9a`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
