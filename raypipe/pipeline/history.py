"""What ran before: the records that runs leave in a folder or a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from raypipe.config import Frozen, StorageConfig
from raypipe.errors import ConfigError, ReadError
from raypipe.pipeline.resume import MANIFEST
from raypipe.storage.address import is_remote, local_path, parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.objects import RemoteFolder, list_objects, stat
from raypipe.storage.ranges import LOOKS_AT_A_TIME, read_whole

LOG = "events.jsonl"
DASHBOARD = "dashboard.html"


class PastRun(Frozen):
    """One run, as its record tells it."""

    run_id: str
    outcome: str
    """completed, failed, cancelled; unfinished: there is a log and no record; unreadable: the record is none."""
    started: str | None = None
    seconds: float | None = None
    rows: int | None = None
    """Rows kept."""
    quality: float | None = None
    exit_code: int | None = None
    error: str | None = None
    source: str | None = None
    submission_id: str | None = None
    dashboard: str | None = None
    """Where it is."""
    verdict: str | None = None
    """What `compare` says of it against the run of the same source before it, where that was asked for."""
    location: str


def list_runs(place: str | Path, storage: StorageConfig | None = None) -> list[PastRun]:
    """Runs in a folder of runs, newest first.

    Parameters
    ----------
    place : str or Path
        The `output_dir` of the runs: a folder, or the address of a bucket.
    storage : StorageConfig, optional
        Where buckets are.

    Raises
    ------
    ConfigError
        If there is no such folder.
    ReadError
        If the bucket does not answer.
    """
    found = _in_bucket(str(place), storage or StorageConfig()) if is_remote(place) else _on_disk(local_path(place))
    return sorted(found, key=lambda run: (run.started or "", run.run_id), reverse=True)


def _on_disk(folder: Path) -> list[PastRun]:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise ConfigError(f"history: there is no folder {folder}; name the one that runs are in, such as output")

    def read(run: Path) -> PastRun | None:
        try:
            return _past_run(run.name, (run / MANIFEST).read_text(encoding="utf-8"), str(run))
        except FileNotFoundError:
            return _unfinished(run.name, str(run)) if (run / LOG).exists() else None
        except (OSError, UnicodeDecodeError) as error:
            return PastRun(run_id=run.name, outcome="unreadable", error=str(error), location=str(run))

    return _all(read, [path for path in folder.iterdir() if path.is_dir()])


def _in_bucket(text: str, storage: StorageConfig) -> list[PastRun]:
    storage = resolved(storage)
    folder = RemoteFolder(uri=str(parse_address(text.rstrip("/"))), storage=storage)

    def read(name: str) -> PastRun | None:
        home = folder.below(name)
        if stat(home.address(MANIFEST), storage) is None:
            return _unfinished(name, str(home)) if stat(home.address(LOG), storage) is not None else None
        try:
            return _past_run(name, read_whole(str(home.address(MANIFEST)), storage).decode("utf-8"), str(home))
        except (ReadError, UnicodeDecodeError) as error:
            return PastRun(run_id=name, outcome="unreadable", error=str(error), location=str(home))

    entries = list_objects(parse_address(folder.uri), storage, recursive=False)
    return _all(read, [entry.key.rstrip("/").rpartition("/")[2] for entry in entries if entry.is_folder])


def _all(read: Callable[[Any], PastRun | None], places: list[Any]) -> list[PastRun]:
    with ThreadPoolExecutor(LOOKS_AT_A_TIME) as pool:
        return [run for run in pool.map(read, places) if run is not None]


def _unfinished(name: str, location: str) -> PastRun:
    return PastRun(run_id=name, outcome="unfinished", location=location)


def _past_run(name: str, text: str, location: str) -> PastRun:
    """A record as a line; one that is damaged is told as such."""
    try:
        record = json.loads(text)
        outputs = {output["name"] for output in record["outputs"]}
        return PastRun(
            run_id=record["run_id"],
            outcome=record["outcome"],
            started=record["started"],
            seconds=record["seconds"],
            rows=(record["rows"] or {}).get("kept"),
            quality=(record["quality"] or {}).get("score"),
            exit_code=record["exit_code"],
            error=(record["error"] or {}).get("message"),
            source=record["source"]["address"],
            submission_id=record["submission_id"],
            dashboard=f"{location}/{DASHBOARD}" if DASHBOARD in outputs else None,
            location=location,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        told = f"{MANIFEST} is no record of a run: {error}"
        return PastRun(run_id=name, outcome="unreadable", error=told, location=location)
