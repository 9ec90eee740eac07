"""Rows that a run set aside, read again once they are mended, and added to what it wrote.

Each replay has a folder `replays/NNNN` in the run's: the rows that stay (`quarantine.parquet`), what became of each of
the others (`ledger.parquet`), the rows that pass (`parts/`) and its record, `replay.json`. The record goes last and
makes the replay count; only then do the parts move to the outputs of the run. A replay that is killed before has done
nothing, one that is killed after is brought to its end by whatever looks at the quarantine next. No file of the run
itself is ever changed.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raypipe.engine.journal import locked
from raypipe.errors import ConfigError, ReadError, ResumeError
from raypipe.etl.quarantine.rows import with_identity
from raypipe.pipeline.replayable import REPLAY, ReplayRecord
from raypipe.pipeline.resume import LOCK, MANIFEST, RESUME_FOLDER
from raypipe.pipeline.runfiles import QUARANTINE, LocalRun, RunFiles

REPLAYS = "replays"
PROCESSED, REPLAYED = "processed", "replayed"
"""Where rows go that pass: to the other rows that the run wrote, or where it wrote none, to a folder of their own."""


@dataclass(frozen=True)
class Quarantined:
    """The rows of a run that are in quarantine now."""

    files: RunFiles
    run_id: str
    path: Path
    """Parquet file with `STATE_SCHEMA`, on this machine."""
    rows: int
    first_rows: int
    """Rows that the run itself set aside."""
    replays: tuple[dict[str, Any], ...]
    """Records of the replays so far."""
    temp: Path
    """A folder for files that nobody needs afterwards."""


@contextlib.contextmanager
def quarantined(files: RunFiles, *, to_change: bool = False) -> Iterator[Quarantined]:
    """The quarantine of a run as it is now; with `to_change`, nobody else may change it meanwhile.

    Raises
    ------
    ConfigError
        If the run set nothing aside.
    ResumeError
        If the run is not over, or another process replays it.
    """
    with contextlib.ExitStack() as stack:
        temp = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="raypipe-quarantine-")))
        if to_change:
            _refuse_unfinished(files, temp)
        alone = _hold(stack, files, to_change)
        if not files.has(QUARANTINE):
            raise ConfigError(f"quarantine: run {files.name} has no {QUARANTINE} in {files.location}")
        records = _records(files, temp)
        run_id = _run_id(files, temp)
        path = temp / "first.parquet"
        first = with_identity(files.fetch(QUARANTINE, temp), run_id, path, _format(files, temp))
        if records:
            path = files.fetch(f"{REPLAYS}/{records[-1]['number']:04d}/{QUARANTINE}", temp)
            if alone:
                finish(files, records[-1])
        rows = int(records[-1]["rows"]["still_quarantined"]) if records else first
        yield Quarantined(files, run_id, path, rows, first, tuple(records), temp)


def _hold(stack: contextlib.ExitStack, files: RunFiles, to_change: bool) -> bool:
    """Keep others from replaying the run at the same time, as far as that can be; returns whether it is kept."""
    if not isinstance(files, LocalRun):
        return True
    if to_change:
        stack.enter_context(locked(files.folder / REPLAYS / LOCK))
        return True
    if not (files.folder / REPLAYS).is_dir():
        return False
    with contextlib.suppress(ResumeError):  # somebody replays it, and brings it to its end
        stack.enter_context(locked(files.folder / REPLAYS / LOCK))
        return True
    return False


def record_of(files: RunFiles, temp: Path) -> ReplayRecord:
    """How the run read and processed a row.

    Raises
    ------
    ConfigError
        If it left no record of that, or its rows cannot go the same way again; the text says why.
    """
    if not files.has(REPLAY):
        raise ConfigError(
            f"quarantine: run {files.name} left no {REPLAY}: it was not completed, or made by an older raypipe; mend "
            "the source, and run it again"
        )
    record = ReplayRecord.parse(files.read_text(REPLAY, temp), f"{files.location}/{REPLAY}")
    if record.refusal is not None:
        raise ConfigError(f"quarantine: rows of run {files.name} cannot be replayed: {record.refusal}")
    return record


def finish(files: RunFiles, record: dict[str, Any]) -> None:
    """Bring the parts of a replay that counts to where they belong; most often they are there."""
    home = f"{REPLAYS}/{record['number']:04d}/parts"
    for output in record["outputs"]:
        below = str(output["name"]).partition("/")[2]
        if not files.has(output["name"]) and files.has(f"{home}/{below}"):
            files.move(f"{home}/{below}", output["name"])


def _records(files: RunFiles, temp: Path) -> list[dict[str, Any]]:
    """Of the replays that count, in order."""
    found: list[dict[str, Any]] = []
    while files.has(name := f"{REPLAYS}/{len(found) + 1:04d}/{REPLAY}"):
        try:
            found.append(json.loads(files.read_text(name, temp)))
        except ValueError as error:
            raise ReadError(f"{files.location}/{name}: cannot be read: {error}") from error
    return found


def _format(files: RunFiles, temp: Path) -> str:
    """Of the files that the run read, where it kept a record."""
    if not files.has(REPLAY):
        return "csv"
    record = ReplayRecord.parse(files.read_text(REPLAY, temp), f"{files.location}/{REPLAY}")
    return str(record.source.get("format", "csv"))


def _run_id(files: RunFiles, temp: Path) -> str:
    """The name that the run had, whatever its folder is called now."""
    if not files.has(MANIFEST):
        return files.name
    try:
        return str(json.loads(files.read_text(MANIFEST, temp))["run_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(f"{files.location}/{MANIFEST}: is no record of a run: {error}") from error


def _refuse_unfinished(files: RunFiles, temp: Path) -> None:
    if isinstance(files, LocalRun) and (files.folder / RESUME_FOLDER / LOCK).exists():
        with locked(files.folder / RESUME_FOLDER / LOCK):  # says who is at work there
            pass
    if not files.has(MANIFEST):
        raise ResumeError(
            f"quarantine: run {files.name} is in progress, or was cut off; wait for it, or finish it: "
            f"raypipe run --resume {files.name}"
        )
    outcome = json.loads(files.read_text(MANIFEST, temp)).get("outcome")
    if outcome != "completed":
        raise ResumeError(
            f"quarantine: run {files.name} {outcome}, so that there is nothing to add rows to; mend the source, and "
            "run it again, or go on with it: raypipe run --resume " + files.name
        )
