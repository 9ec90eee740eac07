"""`run.json`: the record of a run, written last, whatever became of it. It outlives the machine that made it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from raypipe.config import PipelineConfig
from raypipe.errors import RaypipeError, exit_code
from raypipe.etl.outputs import RunFolder
from raypipe.pipeline.record import error_json, machine, versions
from raypipe.pipeline.resume import MANIFEST
from raypipe.pipeline.state import RunState
from raypipe.pipeline.tracker import Tracker
from raypipe.storage.faults import masked

logger = logging.getLogger(__name__)

MANIFEST_VERSION = 1
GROWING = ("events.jsonl", "pipeline.log")
"""Files that may still grow; their hash would tell nothing."""
MAX_FILES = 10_000
"""Files of a source that are told one by one."""
HASH_CHUNK = 1 << 20
JOB_VARIABLES = ("RAYPIPE_SUBMISSION_ID", "RAY_JOB_SUBMISSION_ID")
RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_SECRET = re.compile(
    r"(^|_)(password|passwd|secret|token|api_?key|access_?key|account_?key|credentials?|sas)(_|$)", re.I
)


def keep_manifest(
    config: PipelineConfig, folder: RunFolder, run: RunState | None, tracker: Tracker, error: BaseException | None
) -> None:
    """Write down what the run was and what became of it, after everything else that it wrote.

    A run that has failed already is not failed by this: it is logged then. The journal of one that is done goes last,
    so that a run killed at any moment either can be gone on with or has all its files.
    """
    journal = run.journal if run is not None and error is None else None
    try:
        sent = folder.bring()
        content = manifest_json(config, folder, (run, tracker, error), sent)
        folder.seal(MANIFEST, content, journal.remove if journal is not None else None)
    except (RaypipeError, OSError) as trouble:
        if error is None:
            raise
        logger.warning("%s of a run that failed could not be written: %s", MANIFEST, trouble)


def manifest_json(
    config: PipelineConfig,
    folder: RunFolder,
    course: tuple[RunState | None, Tracker, BaseException | None],
    sent: dict[str, tuple[int, str]],
) -> dict[str, Any]:
    """The record.

    Parameters
    ----------
    course : tuple
        What is known of the run, its tracker, and what ended it.
    sent : dict
        Bytes and SHA-256 of files that are in a bucket already.
    """
    run, tracker, error = course
    ended = datetime.now(UTC)
    done = run is not None and run.ingested is not None and run.frame is not None and run.profile is not None
    return {
        "version": MANIFEST_VERSION,
        "run_id": folder.path.name,
        "outcome": tracker.status.value,
        "exit_code": 0 if error is None else exit_code(error),
        "error": error_json(error),
        "started": (ended - timedelta(seconds=tracker.elapsed_s)).isoformat(timespec="milliseconds"),
        "ended": ended.isoformat(timespec="milliseconds"),
        "seconds": round(tracker.elapsed_s, 3),
        "stage_seconds": {stage: round(seconds, 4) for stage, seconds in tracker.seconds.items()},
        "location": folder.location,
        "resumed": run is not None and run.resumed,
        "submission_id": submission_id(),
        "versions": versions(),
        "machine": machine(),
        "engine": {"name": run.engine.name, "why": run.engine_reason} if run else None,
        "config": masked_config(config.model_dump(mode="json")),
        "source": _source_json(config, run),
        "rows": run.row_counts().to_dict() if run is not None and done else None,
        "quality": _quality(run),
        "findings": len(run.analysis.insights) if run else 0,
        "warnings": len(run.attempts.warnings) if run else 0,
        "outputs": outputs_of(folder, run, sent),
    }


def outputs_of(folder: RunFolder, run: RunState | None, sent: dict[str, tuple[int, str]]) -> list[dict[str, Any]]:
    """Each file that the run wrote: name, bytes, and SHA-256 where it will not grow and can be read from here."""
    names = [name for name in folder.files() if name != MANIFEST and not name.startswith("resume/")]
    with ThreadPoolExecutor(4) as pool:
        hashes = list(pool.map(lambda name: None if name in GROWING else _digest(folder, name, sent), names))
    found = [
        {"name": name, "bytes": folder.file(name).stat().st_size, "sha256": digest}
        for name, digest in zip(names, hashes, strict=True)
    ]
    known = {output["name"] for output in found}
    start = f"{folder.location}/"
    for receipt in run.processed_files if run else ():
        name = str(receipt["path"]).removeprefix(start)
        if name not in known:  # in a bucket, or on the disk of another machine
            found.append({"name": name, "bytes": receipt["bytes"], "sha256": receipt.get("sha256")})
    return found


def _digest(folder: RunFolder, name: str, sent: dict[str, tuple[int, str]]) -> str:
    path = folder.file(name)
    if name in sent and sent[name][0] == path.stat().st_size:
        return sent[name][1]
    return _sha256(path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _source_json(config: PipelineConfig, run: RunState | None) -> dict[str, Any]:
    """What was read: each file with its size and its stamp."""
    stamps = run.source.stamps() if run else []
    return {
        "address": str(config.data_source),
        "bytes": sum(size for _, size, _, _ in stamps),
        "file_count": len(stamps),
        "files": [
            {"path": path, "bytes": size, "stamp": version or f"mtime_ns:{changed}"}
            for path, size, changed, version in stamps[:MAX_FILES]
        ],
    }


def _quality(run: RunState | None) -> dict[str, Any] | None:
    quality = run.analysis.quality if run else None
    return None if quality is None else {"score": round(quality.score, 2), "grade": quality.grade}


def submission_id() -> str | None:
    """The id of the job that this process is the driver of, where it is one."""
    given = next((os.environ[name] for name in JOB_VARIABLES if os.environ.get(name)), None)
    if given is not None:
        return given
    try:
        found = json.loads(os.environ.get(RAY_JOB, "{}")).get("metadata", {}).get("job_submission_id")
    except (ValueError, AttributeError):
        return None
    return str(found) if found else None


def masked_config(value: Any, name: str = "") -> Any:
    """Settings with what may be secret replaced by ***.

    Examples
    --------
    >>> masked_config({"webhook": {"token": "abc", "retries": 3}, "columns": ["key"]})
    {'webhook': {'token': '***', 'retries': 3}, 'columns': ['key']}
    """
    if value is not None and not isinstance(value, (dict, bool)) and _SECRET.search(name):
        return "***"
    if isinstance(value, dict):
        return {key: masked_config(held, str(key)) for key, held in value.items()}
    if isinstance(value, list):
        return [masked_config(held) for held in value]
    return re.sub(r"(?<=://)[^/@\s]*:[^/@\s]*@", "***@", masked(value)) if isinstance(value, str) else value
