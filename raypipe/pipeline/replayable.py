"""`replay.json`: what a run must keep so that rows which it set aside can be mended and go the same way later."""

from __future__ import annotations

import base64
import importlib
import json
from typing import Any

import pyarrow as pa
from pydantic import Field, ValidationError

import raypipe
from raypipe.config import Frozen
from raypipe.config.write import WriteOptions
from raypipe.engine.spare import SpareRows
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.formats.csv_file import CsvFile
from raypipe.etl.source import TableSource
from raypipe.etl.steps.fitted import FittedStep
from raypipe.pipeline.state import RunState
from raypipe.stage import MapStage, SourceStage

REPLAY = "replay.json"
REPLAY_VERSION = 1
FILES_KEPT = 10_000
"""Of so many files at most it is kept how their lines are read."""


class KeptStage(Frozen):
    """A stage as text: where its class is, and its settings."""

    kind: str
    settings: dict[str, Any]


class ReplayRecord(Frozen):
    """How a run read, checked and processed a row. It holds no row and no secret."""

    version: int = REPLAY_VERSION
    raypipe: str
    run_id: str
    refusal: str | None = None
    """Why rows of this run cannot go the same way again; None: they can."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Name -> type, for readers of the file."""
    table_schema: str = ""
    """The same for programs: a schema of Arrow, as base64."""
    source: dict[str, Any] = Field(default_factory=dict)
    csv_files: tuple[dict[str, Any], ...] = ()
    """Files of lines, as they were looked at: how lines of them are read."""
    stages: tuple[KeptStage, ...] = ()
    """From a row that was read to a row that was kept."""
    processed: bool = False
    """Whether the run wrote its rows to `processed/`."""
    write: dict[str, Any] = Field(default_factory=dict)
    """How it wrote them."""

    @classmethod
    def of(cls, run: RunState, write: WriteOptions) -> ReplayRecord:
        """The record of a run that is about to end."""
        frame = run.frame
        assert frame is not None
        head: dict[str, Any] = {"raypipe": raypipe.__version__, "run_id": run.run_id}
        stages = [stage for stage in frame.prefix if not isinstance(stage, SpareRows)]
        refusal = _why_not(run, frame.source, stages)
        if refusal is not None or not isinstance(frame.source, TableSource):
            return cls(refusal=refusal, **head)
        schema = frame.source.table_schema
        return cls(
            columns={field.name: str(field.type) for field in schema},
            table_schema=base64.b64encode(schema.serialize()).decode(),
            source=_source_json(frame.source),
            csv_files=tuple(file.model_dump(mode="json") for file in frame.source.files[:FILES_KEPT])
            if frame.source.format == "csv"
            else (),
            stages=tuple(KeptStage(kind=_path(stage), settings=stage.model_dump(mode="json")) for stage in stages),
            processed=bool(run.processed_files),
            write=write.model_dump(mode="json", exclude_defaults=True),
            **head,
        )

    @classmethod
    def parse(cls, text: str, place: str) -> ReplayRecord:
        """From the text of the file; ReadError where it is none."""
        try:
            record = cls.model_validate_json(text)
        except ValidationError as error:
            first = str(error.errors()[0]["msg"])
            raise ReadError(f"{place}: is no record that rows can be replayed by: {first}") from error
        if record.version != REPLAY_VERSION:
            raise ReadError(f"{place}: has version {record.version}; this raypipe reads version {REPLAY_VERSION}")
        return record

    def table_source(self) -> TableSource:
        """The source as it was read, without its parts."""
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.table_schema)))
        files = tuple(CsvFile.model_validate(file) for file in self.csv_files)
        return TableSource.model_validate({**self.source, "table_schema": schema, "files": files})

    def open_stages(self) -> tuple[MapStage, ...]:
        """The stages again; ConfigError where this raypipe has no such stage."""
        return tuple(_stage(kept) for kept in self.stages)


def _why_not(run: RunState, source: SourceStage, stages: list[MapStage]) -> str | None:
    if not isinstance(source, TableSource) or source is not run.source:
        return "its rows were processed by code of its user (_process_data), which a replay does not have"
    if source.format == "csv" and source.added and len(source.files) > FILES_KEPT:
        return f"it read more than {FILES_KEPT:,} files, and columns that only their folders tell"
    for stage in stages:
        if stage.needs_part or (isinstance(stage, FittedStep) and stage.needs()):
            return f"{stage.name} decides about a row by others, so that none can be added later; run it again"
        if not type(stage).__module__.startswith("raypipe.") or _again(stage) != stage:
            return f"{stage.name} is code of its user, which a replay does not have"
    return None


def _again(stage: MapStage) -> MapStage | None:
    """The stage by way of its text; None where it does not survive that."""
    try:
        return type(stage).model_validate_json(stage.model_dump_json())
    except (ValueError, TypeError):
        return None


def _path(stage: MapStage) -> str:
    return f"{type(stage).__module__}:{type(stage).__qualname__}"


def _stage(kept: KeptStage) -> MapStage:
    """A stage from its text. Only stages of raypipe: the file may come from anywhere, and importing runs code."""
    module, _, name = kept.kind.partition(":")
    kind = None
    if module.startswith("raypipe.") and module.replace(".", "_").isidentifier():
        try:
            kind = getattr(importlib.import_module(module), name, None)
        except ImportError:
            kind = None
    if not isinstance(kind, type) or not issubclass(kind, MapStage):
        raise ConfigError(
            f"replay: this raypipe ({raypipe.__version__}) has no stage {kept.kind!r}; use that of the run"
        )
    try:
        return kind.model_validate_json(json.dumps(kept.settings))
    except ValidationError as error:
        first = str(error.errors()[0]["msg"])
        raise ConfigError(
            f"replay: stage {kept.kind!r} has settings that this raypipe does not know: {first}"
        ) from error


def _source_json(source: TableSource) -> dict[str, Any]:
    kept = source.replace(files=(), slices=(), notes=(), cutting=None)
    return kept.model_dump(mode="json", exclude={"table_schema", "filler", "files"})
