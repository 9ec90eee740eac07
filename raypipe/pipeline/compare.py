"""What `raypipe compare` compares: runs, stored profiles, tables, the two ends of a run's processing, and segments."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raypipe.blocks.profile import PROFILE_VERSION, Profile
from raypipe.config import PipelineConfig, StorageConfig
from raypipe.errors import ConfigError, RaypipeError, ReadError
from raypipe.insights.compare.compare import compare
from raypipe.insights.compare.models import Comparison, Side, Thresholds
from raypipe.insights.document import INSIGHTS_FILE, read_document
from raypipe.insights.quality import quality_score
from raypipe.insights.words import plain
from raypipe.pipeline.check import check_source
from raypipe.pipeline.history import PastRun, list_runs
from raypipe.pipeline.resume import MANIFEST
from raypipe.pipeline.runfiles import RunFiles, find_run
from raypipe.storage.address import is_remote, local_path

PROFILE_FILE, BEFORE_FILE = "profile.json", "profile_before.json"
LATEST, PREVIOUS = "latest", "previous"
COMPLETED = "completed"


def compare_sources(
    first: str, second: str | None, config: PipelineConfig, thresholds: Thresholds | None = None
) -> Comparison:
    """Compare two sources; with one run alone, its data before and after processing.

    Parameters
    ----------
    first, second : str
        The folder of a run or its address in a bucket, its name under `output_dir`, `latest`, `previous`, a stored
        profile, or a table of any format.
    config : PipelineConfig
        How tables are read, where runs and buckets are.

    Raises
    ------
    ConfigError
        If there is no such run, or it holds no profile of this version.
    ReadError
        If a file is damaged.
    """
    if second is not None:
        return compare(side_of(first, config), side_of(second, config), thresholds)
    files = _run(first, config)
    if files is None:
        raise ConfigError(
            f"compare: {plain(first)} is no run, and alone it compares with nothing; name a second one, or"
            " --segment COLUMN=VALUE, or --by COLUMN"
        )
    with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
        if not files.has(BEFORE_FILE):
            raise ConfigError(
                f"compare: run {files.name} has no {BEFORE_FILE}: no step changed its rows, or an older raypipe made"
                " it; name another run or a table to compare with"
            )
        before = read_profile(files.read_text(BEFORE_FILE, Path(folder)), f"{files.location}/{BEFORE_FILE}")
        after = _run_side(files, Path(folder))
    name = f"{files.name} before processing"
    ends = _profiled(name, "before", before), _profiled(f"{files.name} after processing", "after", after.profile)
    return compare(*ends, thresholds)


def side_of(text: str, config: PipelineConfig) -> Side:
    """One side: what is stored of it, or the profile of a table taken here and now."""
    files = _run(text, config)
    if files is not None:
        with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
            return _run_side(files, Path(folder))
    path = local_path(text).expanduser() if not is_remote(text) else None
    if path is not None and not path.exists() and not any(mark in text for mark in "*?[") and "://" not in text:
        known = ", ".join(run.run_id for run in _completed(config)[:5]) or "none"
        raise ConfigError(
            f"compare: there is no file and no run {plain(text)!r}. Runs under {config.output_dir}: {known}."
            " Wanted: a run's folder or name, latest, previous, a profile.json, or a table"
        )
    if path is not None and path.is_file() and (profile := _stored_profile(path)) is not None:
        return _profiled(path.name, "profile", profile)
    checked = check_source(PipelineConfig.of({**_given(config), "data_source": text}, origin="compare"))
    return _profiled(text, "table", checked.profile)


def read_profile(text: str, where: str) -> Profile:
    """A stored profile.

    Raises
    ------
    ReadError
        If it is damaged.
    ConfigError
        If another version of raypipe wrote it.
    """
    content = _json(text, where)
    version = content.get("version") if isinstance(content, dict) else None
    if version != PROFILE_VERSION:
        raise ConfigError(
            f"compare: {where} has layout version {version!r}, and this raypipe reads {PROFILE_VERSION};"
            " run it again: raypipe run SOURCE"
        )
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ReadError(f"compare: {where} is no profile: {place}: {first['msg']}; run it again") from None


def with_verdicts(runs: list[PastRun], storage: StorageConfig) -> list[PastRun]:
    """Runs, newest first, each with its verdict against the completed run of the same source before it."""
    sides: dict[str, Side] = {}
    told = []
    for place, run in enumerate(runs):
        before = next((old for old in runs[place + 1 :] if old.outcome == COMPLETED and old.source == run.source), None)
        verdict = None
        if run.outcome == COMPLETED and before is not None:
            verdict = _verdict(before, run, storage, sides)
        told.append(run.replace(verdict=verdict))
    return told


def _verdict(before: PastRun, run: PastRun, storage: StorageConfig, sides: dict[str, Side]) -> str:
    try:
        for one in (before, run):
            if one.location not in sides:
                with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
                    sides[one.location] = _run_side(find_run(one.location, "", storage, "compare"), Path(folder))
        return compare(sides[before.location], sides[run.location]).verdict
    except RaypipeError as error:
        return f"not available: {error}"


def is_run(text: str, config: PipelineConfig) -> bool:
    """Whether the run is meant, of which no rows are kept."""
    return _run(text, config) is not None


def _run(text: str, config: PipelineConfig) -> RunFiles | None:
    """The run that is meant; None where it is none."""
    if text in (LATEST, PREVIOUS):
        runs, place = _completed(config), int(text == PREVIOUS)
        if len(runs) <= place:
            raise ConfigError(
                f"compare: {text}: {config.output_dir} holds {len(runs)} completed runs; name the folder with --output"
            )
        return find_run(runs[place].location, str(config.output_dir), config.storage, "compare")
    for folder in (text, f"{str(config.output_dir).rstrip('/')}/{text}"):
        if not is_remote(folder):
            here = local_path(folder).expanduser()
            if (here / MANIFEST).is_file() or (here / PROFILE_FILE).is_file():
                return find_run(str(here), str(config.output_dir), config.storage, "compare")
    if is_remote(text) and not Path(text).suffix:
        try:
            return find_run(text, str(config.output_dir), config.storage, "compare")
        except ConfigError:
            return None
    return None


def _completed(config: PipelineConfig) -> list[PastRun]:
    if not is_remote(config.output_dir) and not local_path(config.output_dir).expanduser().is_dir():
        return []
    return [run for run in list_runs(config.output_dir, config.storage) if run.outcome == COMPLETED]


def _run_side(files: RunFiles, folder: Path) -> Side:
    """What a run left: its profile, its score, its findings, its target."""
    if not files.has(PROFILE_FILE):
        raise ConfigError(f"compare: run {files.name} has no {PROFILE_FILE}: it did not complete. See: raypipe history")
    profile = read_profile(files.read_text(PROFILE_FILE, folder), f"{files.location}/{PROFILE_FILE}")
    side = Side(name=files.name, kind="run", profile=profile)
    if files.has(INSIGHTS_FILE):
        told = read_document(files.read_text(INSIGHTS_FILE, folder), f"{files.location}/{INSIGHTS_FILE}")
        side = side.replace(insights=told.insights, target=told.target, quality=told.quality)
    return side


def _profiled(name: str, kind: Any, profile: Profile) -> Side:
    return Side(name=name, kind=kind, profile=profile, quality=quality_score(profile).score)


def _stored_profile(path: Path) -> Profile | None:
    """The profile that a JSON file holds; None where it is a table."""
    if path.suffix != ".json":
        return None
    with path.open(encoding="utf-8", errors="replace") as file:
        head = file.read(4096).lstrip()
    if not head.startswith("{") or '"version"' not in head:
        return None
    return read_profile(path.read_text(encoding="utf-8"), str(path))


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ReadError(f"compare: {where} is damaged: {error}; run it again, or take it from a backup") from None


def _given(config: PipelineConfig) -> dict[str, Any]:
    return config.model_dump(exclude_unset=True)
