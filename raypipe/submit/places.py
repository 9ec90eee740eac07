"""Where the paths of a config lead once the run is somewhere else: into the package, to a shared disk, or nowhere."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from raypipe.config import Frozen, PipelineConfig
from raypipe.etl.formats.sql_address import is_database, parse_database

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""Of a bucket or a server; as a `Path` it has lost one of its slashes."""


class Places(Frozen):
    """What the paths of a config mean for a package."""

    wanted: frozenset[Path] = frozenset()
    """Files that must travel."""
    wrong: tuple[str, ...] = ()
    """Paths that would lead nowhere on the cluster."""


def places_of(config: PipelineConfig, root: Path, shared: Iterable[str], *, with_data: bool) -> Places:
    """Look at the source, the schema file and the folder of runs, as seen from the working folder `root`.

    Parameters
    ----------
    config : PipelineConfig
        What the job runs.
    root : Path
        The working folder of the job.
    shared : iterable of str
        Folders of disks that every node of the cluster has in the same place.
    with_data : bool
        Whether data in the working folder may travel with it.
    """
    prefixes = tuple(Path(os.path.normpath(prefix)) for prefix in shared)
    wanted: set[Path] = set()
    wrong: list[str] = []
    source = str(config.data_source)
    if is_database(source):
        database = parse_database(source)
        source = database.database if database.dialect == "sqlite" else source
    if not _is_elsewhere(source, prefixes):
        found = _local_files(source, root)
        if with_data and found:
            wanted |= set(found)
        else:
            wrong.append(_about_source(source, root, found))
    schema = config.validation.schema_path
    if schema is not None and not _is_elsewhere(str(schema), prefixes):
        path = Path(os.path.normpath(root / schema))
        if path.is_relative_to(root) and path.is_file():
            wanted.add(path)
        else:
            wrong.append(f"validation.schema_path is {schema}, which is not below {root}; move it there")
    if not _is_elsewhere(str(config.output_dir), prefixes):
        wrong.append(
            f"output_dir is {config.output_dir}: results would stay in a folder of the job, which goes away with it. "
            "Give a bucket or a folder on a disk that all nodes share, and say so with --shared FOLDER"
        )
    return Places(wanted=frozenset(wanted), wrong=tuple(wrong))


def _is_elsewhere(path: str, shared: tuple[Path, ...]) -> bool:
    if _ADDRESS.match(path):
        return True
    normal = Path(os.path.normpath(path))
    return normal.is_absolute() and any(normal.is_relative_to(prefix) for prefix in shared)


def _local_files(source: str, root: Path) -> list[Path]:
    """Files below the working folder that a source stands for."""
    path = Path(os.path.normpath(root / source))
    if path.is_dir():
        found = [one for one in path.rglob("*") if one.is_file()]
    else:
        found = [Path(os.path.normpath(one)) for one in glob.glob(str(path), recursive=True)]
    return [one for one in found if one.is_relative_to(root)]


def _about_source(source: str, root: Path, found: list[Path]) -> str:
    advice = "Put it on a bucket, or on a disk that all nodes share, and say so with --shared FOLDER"
    if found:
        return f"data_source is {source}, on this machine. {advice}; or send it along with --with-data if it is small"
    if Path(source).is_absolute():
        return f"data_source is {source}, which lies outside of {root}. {advice}"
    return f"data_source is {source}, and nothing of this name is in {root}. {advice}"
