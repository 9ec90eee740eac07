"""Going on with a run that was cut off: what it was, and whether it is still the same."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import shutil
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

import raypipe
from raypipe.config import Frozen, PipelineConfig
from raypipe.engine.events import EventLog
from raypipe.engine.journal import Journal, resume_key
from raypipe.errors import ResumeError
from raypipe.etl.outputs import RunFolder, writing
from raypipe.etl.source import TableSource

logger = logging.getLogger(__name__)

RESUME_FOLDER = "resume"
RECORD = "run.json"
MANIFEST = "run.json"
"""In the run's own folder: what became of it, see `raypipe.pipeline.manifest`."""
LOCK = "lock"
RECORD_VERSION = 1
MAY_CHANGE = ("output_dir", "run_id", "storage")
"""Settings that decide nothing about the result."""
ENGINE_DECIDES = ("block_mib", "block_rows", "max_failed_share")
"""Settings of the engine that do."""
MAX_REASONS = 5


class FileStamp(Frozen):
    """A file of the source, as it was."""

    path: str
    size: int
    mtime_ns: int
    version: str = ""
    """ETag of an object in a bucket; empty for a local file."""


class RunRecord(Frozen):
    """What a run is: settings, source and code. Two runs with equal records end with equal files."""

    version: int = RECORD_VERSION
    raypipe: str
    run_id: str
    pipeline: str
    """Import path of the pipeline's class."""
    code: str | None
    """Hash of the source text of that class; None where it has none."""
    config: dict[str, Any]
    files: tuple[FileStamp, ...]

    @classmethod
    def of(cls, run_id: str, config: PipelineConfig, source: TableSource, pipeline: type) -> Self:
        """The record of a run that begins now."""
        return cls(
            raypipe=raypipe.__version__,
            run_id=run_id,
            pipeline=f"{pipeline.__module__}.{pipeline.__qualname__}",
            code=_code_of(pipeline),
            config=config.replace(read_options=source.pinned(config.read_options)).model_dump(mode="json"),
            files=tuple(
                FileStamp(path=path, size=size, mtime_ns=mtime, version=version)
                for path, size, mtime, version in source.stamps()
            ),
        )

    def changes(self, now: RunRecord) -> list[str]:
        """What is no longer as it was, in words."""
        found = []
        if self.version != now.version or self.raypipe != now.raypipe:
            found.append(f"raypipe was {self.raypipe} and is {now.raypipe}")
        if (self.pipeline, self.code) != (now.pipeline, now.code):
            found.append(f"the code of {self.pipeline} has changed" + _other(self.pipeline, now.pipeline))
        for name, was in _deciding(self.config).items():
            got = _deciding(now.config).get(name)
            if got != was:
                found.append(f"{name} was {was!r} and is {got!r}")
        before, after = {file.path: file for file in self.files}, {file.path: file for file in now.files}
        found += [f"{path} is no longer part of the source" for path in before if path not in after]
        found += [f"{path} is new in the source" for path in after if path not in before]
        found += [f"{path} was changed" for path, file in before.items() if path in after and after[path] != file]
        return found


def as_it_was_read(config: PipelineConfig, record: RunRecord) -> PipelineConfig:
    """The config with the version of the source that a run began with, where the source has versions."""
    version = record.config.get("read_options", {}).get("version")
    given = config.read_options
    if version is None or given.version is not None or given.timestamp is not None:
        return config
    return config.replace(read_options=given.replace(version=version))


def begin_journal(folder: RunFolder, record: RunRecord, checkpoint_s: float, events: EventLog) -> Journal:
    """The journal of a new run; without a key to sign it with, it says so and keeps nothing."""
    try:
        key = resume_key()
    except ResumeError as error:
        logger.warning("this run cannot be resumed: %s", error)
        events.emit("not_committed", why=str(error))
        return Journal(folder.file(RESUME_FOLDER), None, checkpoint_s, events)
    path = folder.file(RESUME_FOLDER) / RECORD
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return Journal(folder.file(RESUME_FOLDER), key, checkpoint_s, events)


def refuse_changes(folder: RunFolder, record: RunRecord) -> None:
    """Raise ResumeError if something that decides about the result of a run has changed since it began."""
    reasons = read_record(folder.path).changes(record)
    if reasons:
        more = f", and {len(reasons) - MAX_REASONS} more" if len(reasons) > MAX_REASONS else ""
        raise ResumeError(
            f"run {record.run_id} cannot be gone on with: {'; '.join(reasons[:MAX_REASONS])}{more}. Put it back as it "
            "was, or start a new run"
        )


def reopen_journal(folder: RunFolder, record: RunRecord, checkpoint_s: float, events: EventLog) -> Journal:
    """The journal of a run to go on with; ResumeError where there is no key to check it with."""
    key = resume_key()
    folder.unseal(MANIFEST)
    return Journal(folder.file(RESUME_FOLDER), key, checkpoint_s, events)


def drop_if_unused(folder: Path) -> None:
    """Remove the folder of a journal that holds nothing but its lock."""
    if [path.name for path in folder.glob("*")] in ([], [LOCK]):
        shutil.rmtree(folder, ignore_errors=True)


def read_record(folder: Path) -> RunRecord:
    """The record of a run that is not done; ResumeError where there is none."""
    path = folder / RESUME_FOLDER / RECORD
    try:
        return parse_record(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise ResumeError(_nothing_to_resume(folder)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ResumeError(f"resume: {path} cannot be read: {str(error).splitlines()[0]}. Start a new run") from error


def parse_record(text: str, place: str) -> RunRecord:
    """A record from its text; ResumeError where it is none."""
    try:
        return RunRecord.model_validate_json(text)
    except ValidationError as error:
        raise ResumeError(f"resume: {place} cannot be read: {str(error).splitlines()[0]}. Start a new run") from error


def _nothing_to_resume(folder: Path) -> str:
    if not folder.is_dir():
        near = sorted(path.parent.parent.name for path in folder.parent.glob(f"*/{RESUME_FOLDER}/{RECORD}"))
        known = f"; unfinished runs there: {', '.join(near[-5:])}" if near else "; no unfinished run is there"
        return f"resume: there is no run {folder.name} in {folder.parent}{known}"
    with contextlib.suppress(OSError, ValueError, KeyError):
        summary = json.loads((folder / "execution_summary.json").read_text(encoding="utf-8"))
        if summary["execution_status"] == "completed":
            return f"resume: run {folder.name} is completed; its files are in {folder}"
    return f"resume: run {folder.name} left nothing to go on from; start a new run"


def _deciding(config: dict[str, Any]) -> dict[str, Any]:
    """Settings that decide about the result, by name."""
    found = {name: value for name, value in config.items() if name not in (*MAY_CHANGE, "engine")}
    return found | {f"engine.{name}": config.get("engine", {}).get(name) for name in ENGINE_DECIDES}


def _code_of(pipeline: type) -> str | None:
    if pipeline.__module__.startswith("raypipe."):
        return None  # the version says it
    try:
        return hashlib.sha256(inspect.getsource(pipeline).encode()).hexdigest()
    except (OSError, TypeError):
        return None


def _other(before: str, after: str) -> str:
    return "" if before == after else f" (it is {after} now)"
