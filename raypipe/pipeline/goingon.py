"""Conversions that can be gone on with: a journal beside what is written, and whether it is still of the same work."""

from __future__ import annotations

import logging
from pathlib import Path

from raypipe.config import PipelineConfig
from raypipe.engine.events import EventLog
from raypipe.engine.journal import Journal, resume_key
from raypipe.errors import ResumeError
from raypipe.etl.outputs import writing
from raypipe.etl.source import TableSource
from raypipe.etl.writers.target import INSTEAD, Target
from raypipe.pipeline.resume import MAX_REASONS, RECORD, RunRecord, parse_record

logger = logging.getLogger(__name__)


def keep_journal(
    config: PipelineConfig, source: TableSource, target: Target, work: type, *, resume: bool
) -> Journal | None:
    """The journal of a conversion, new or to go on with; None where none can be kept.

    Parameters
    ----------
    work : type
        What does it; its code is part of what must not change.

    Raises
    ------
    ResumeError
        With `resume`, if nothing is there to go on with, or something that decides about the result has changed.
    """
    folder = target.journal(resume=resume)
    if folder is None:
        return None
    record = RunRecord.of(target.name, config, source, work)
    try:
        key = resume_key()
    except ResumeError as error:
        if resume:
            raise
        logger.warning("this conversion cannot be resumed: %s", error)
        return None
    if resume:
        try:
            _refuse_changes(folder / RECORD, record)
        except ResumeError:
            target.leave()
            raise
    else:
        with writing(folder, INSTEAD):
            folder.mkdir(exist_ok=True)
            (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return Journal(folder, key, config.engine.checkpoint_s, EventLog())


def _refuse_changes(path: Path, record: RunRecord) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResumeError(f"resume: {path} cannot be read: {str(error).splitlines()[0]}. Begin anew") from error
    reasons = parse_record(text, str(path)).changes(record)
    if reasons:
        more = f", and {len(reasons) - MAX_REASONS} more" if len(reasons) > MAX_REASONS else ""
        raise ResumeError(
            f"{record.run_id} cannot be gone on with: {'; '.join(reasons[:MAX_REASONS])}{more}. Put it back as it was, "
            "or begin anew: the same command without --resume"
        )
