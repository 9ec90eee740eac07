"""The folder of a run as the pipeline opens it, and the name that it gets."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from raypipe.config import PipelineConfig, StorageConfig
from raypipe.engine.journal import locked
from raypipe.errors import ReadError
from raypipe.etl.outputs import RunFolder
from raypipe.pipeline.bucket import BucketFolder, record_bytes
from raypipe.pipeline.resume import LOCK, RESUME_FOLDER, RunRecord, drop_if_unused, parse_record, read_record
from raypipe.storage.address import is_remote, local_path, parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.objects import RemoteFolder
from raypipe.storage.ranges import read_whole


def open_folder(stack: ExitStack, config: PipelineConfig, run_id: str, *, resume: bool) -> RunFolder:
    """The run's folder, which no other process works on until `stack` is closed; it may be in a bucket.

    Raises
    ------
    ConfigError
        If the folder of a new run is there already with something in it.
    ResumeError
        If there is no run to go on with, or another process works on it.
    """
    if is_remote(config.output_dir):
        bucket = BucketFolder(remote_output(config.output_dir, config.storage), run_id, resume=resume)
        stack.callback(bucket.close)
        return bucket
    output = local_path(config.output_dir).expanduser().resolve()
    if resume:
        read_record(output / run_id)  # says what is wrong with a run that is not there
    folder = RunFolder(output, run_id, resume=resume)
    stack.callback(drop_if_unused, folder.file(RESUME_FOLDER))
    stack.enter_context(locked(folder.file(RESUME_FOLDER) / LOCK))
    folder.sweep()
    stack.callback(folder.sweep)
    return folder


def record_of(output_dir: Path | str, run_id: str, storage: StorageConfig) -> RunRecord:
    """The record of an unfinished run, on a disk or in a bucket; ResumeError where there is none."""
    if is_remote(output_dir):
        content = record_bytes(remote_output(output_dir, storage), run_id)
        return parse_record(content.decode("utf-8", "replace"), f"{output_dir}/{run_id}")
    return read_record(local_path(output_dir).expanduser().resolve() / run_id)


def place_of(config: PipelineConfig, run_id: str) -> Path | RemoteFolder:
    """Where the files of a run are, or will be."""
    if is_remote(config.output_dir):
        output = remote_output(config.output_dir, resolved(config.storage))
        return output.below(run_id)
    return local_path(config.output_dir).expanduser() / run_id


def held(place: Path | RemoteFolder, name: str) -> bytes | None:
    """The content of a file of a run; None where there is none, or it cannot be read."""
    try:
        if isinstance(place, Path):
            return (place / name).read_bytes()
        return read_whole(str(place.address(name)), place.storage)
    except (OSError, ReadError):
        return None


def remote_output(output_dir: Path | str, storage: StorageConfig) -> RemoteFolder:
    """A folder of runs in a bucket; ConfigError if the address is none."""
    return RemoteFolder(uri=str(parse_address(str(output_dir))), storage=storage)


def new_run_id() -> str:
    """A name that sorts by time, e.g. `20261121-214500-3f9a`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
