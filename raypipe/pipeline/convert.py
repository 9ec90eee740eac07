"""A source written to a destination: read, checked, set aside where it does not fit, and committed as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from raypipe.config import PipelineConfig, ProcessingConfig, StorageConfig, WriteOptions
from raypipe.engine.choose import choose_engine
from raypipe.engine.frame import Frame
from raypipe.engine.inline import InlineEngine
from raypipe.engine.journal import Journal
from raypipe.engine.localframe import LocalFrame, as_frame
from raypipe.engine.report import PartReport
from raypipe.engine.run import Engine, Pass, PassProgress
from raypipe.errors import ConfigError, ConservationError, DataInvalidError
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.source import TableSource
from raypipe.etl.validate import DataValidator
from raypipe.etl.writers.choose import open_target
from raypipe.etl.writers.target import Blocks, Target, Written
from raypipe.pipeline.goingon import keep_journal
from raypipe.pipeline.ingest import Ingest, Ingested, open_source, summary_of
from raypipe.pipeline.manifest import masked_config
from raypipe.results import ValidationResult
from raypipe.stage import Plan, SinkStage, Stage
from raypipe.storage.address import is_remote, local_path

NO_STEPS = ProcessingConfig(trim_text=False, parse_dates=False, drop_empty_columns=False, drop_empty_rows=False)
Progress = Callable[[PassProgress], None]


@dataclass(frozen=True)
class Converted:
    """What was written, and what became of every row."""

    source: str
    destination: str
    format: str
    mode: str
    rows_read: int
    rows_written: int
    rows_quarantined: int
    bytes_written: int
    files: list[dict[str, Any]]
    engine: str
    seconds: float
    quarantine: str | None = None
    """Where the rows are that were set aside; None where there are none."""
    detail: dict[str, Any] = field(default_factory=dict)
    """What the destination says, e.g. the version of a Delta table."""
    lost: dict[str, int] = field(default_factory=dict)
    """What the format could not hold, by kind: `nan_as_null`, `formulas_neutralised` …"""
    notes: tuple[str, ...] = ()
    """What the reader found or decided, and what the rules say."""

    def __post_init__(self) -> None:
        if self.rows_read != self.rows_written + self.rows_quarantined:
            raise ConservationError(
                f"rows read ({self.rows_read:,}) are not rows written ({self.rows_written:,}) + quarantined "
                f"({self.rows_quarantined:,}); this is a defect of raypipe"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def convert(
    config: PipelineConfig,
    dest: str | Path,
    *,
    quarantine: Path | None = None,
    on_progress: Progress | None = None,
    cancel: threading.Event | None = None,
    resume: bool = False,
) -> Converted:
    """Write the source of `config` to `dest`, in one pass where its types turn out to be what a sample said.

    Parameters
    ----------
    config : PipelineConfig
        Its source, `read_options`, `validation`, `engine`, `storage` and `write` are heeded; nothing is cleaned.
    dest : str or Path
        See `open_target`.
    quarantine : Path, optional
        Where rows go that cannot be read or break a rule (Parquet); None names it after `dest`.
    resume : bool
        Go on with a conversion to a file or folder on a disk that was killed: parts that it had committed are not
        read again.

    Raises
    ------
    ConfigError, SchemaError
        If source, destination and options do not go together; known before a row is read.
    ResumeError
        If there is nothing to go on with, or source or settings have changed since.
    DataInvalidError
        Under `strict_validation`, if a rule is broken or a row was set aside; nothing is written then.
    OutputError
        If the destination cannot be written; it is as it was then.
    """
    started = time.perf_counter()
    _refuse_itself(config.data_source, dest)
    source = open_source(config)
    with open_target(dest, config.write, config.storage) as target:
        target.check(source.schema())
        engine, _ = choose_engine(config.engine, source.size_bytes)
        journal = keep_journal(config, source, target, _ConvertPass, resume=resume)
        work = _ConvertPass(
            config, engine, _validator(config), DataProcessor(NO_STEPS, None, None), quarantine or beside(dest),
            _pass_maker(on_progress, cancel, journal), target=target,
        )  # fmt: skip
        try:
            done = work.run(source)
            said = _judged(work, done)
            written = work.commit(done)
        finally:
            engine.release()
    lost = _lost(done.outcome.receipts)
    aside = done.quarantine
    return Converted(
        source=str(masked_config(str(config.data_source))),
        destination=target.name,
        format=str(target.options.format),
        mode=config.write.mode,
        rows_read=done.outcome.rows_in,
        rows_written=written.rows,
        rows_quarantined=aside.rows,
        bytes_written=written.bytes,
        files=written.files,
        engine=engine.name,
        seconds=round(time.perf_counter() - started, 3),
        quarantine=str(aside.path) if aside.rows else None,
        detail=written.detail,
        lost=lost,
        notes=(*done.source.notes, *(promotion.reason for promotion in done.promotions), *said),
    )


def write(
    data: Any, dest: str | Path, options: WriteOptions | None = None, *, storage: StorageConfig | None = None,
    **settings: Any,
) -> Converted:  # fmt: skip
    """Write a table, a frame or a source to a file, a folder, a bucket, a Delta table, a workbook or a database.

    Parameters
    ----------
    data : Frame, Arrow, Polars, pandas or Modin table, dataset of Ray Data, or str or Path
        A text or a path names a source to read.
    dest : str or Path
        Where to, and by its ending in which format.
    options : WriteOptions
        How; single ones may be given as keywords instead: `mode="overwrite"`, `partition_by="country"`.

    Examples
    --------
    >>> import pathlib, pyarrow as pa, tempfile
    >>> place = pathlib.Path(tempfile.mkdtemp(), "towns.csv")
    >>> done = write(pa.table({"town": ["Ulm", "Bonn"], "people": [126, 331]}), place)
    >>> done.rows_written, place.read_text()
    (2, 'town,people\\nUlm,126\\nBonn,331\\n')
    """
    given = {**(options or WriteOptions()).model_dump(exclude_unset=True), **settings}
    config = PipelineConfig.of(
        {"data_source": str(data) if isinstance(data, str | Path) else "(memory)", "write": given,
         **({"storage": storage} if storage else {})},
        origin="write",
    )  # fmt: skip
    if isinstance(data, str | Path):
        return convert(config, dest)
    return _write_frame(as_frame(data), dest, config)


def _write_frame(frame: Frame, dest: str | Path, config: PipelineConfig) -> Converted:
    started = time.perf_counter()
    with open_target(dest, config.write, config.storage) as target:
        target.check(frame.schema)
        engine: Engine = InlineEngine(config.engine) if isinstance(frame, LocalFrame) else _ray(config)
        sink = target.sink(frame.schema)
        receipts: list[dict[str, Any]] = []
        if sink is not None:
            plan = Plan(source=frame.source, prefix=frame.prefix, stages=(sink,))
            receipts = engine.run(Pass(plan, name="write", frame=frame)).receipts
        written = target.commit(frame.schema, receipts, frame.iter_blocks)
    return Converted(
        source="(a frame)",
        destination=target.name,
        format=str(target.options.format),
        mode=config.write.mode,
        rows_read=len(frame),
        rows_written=written.rows,
        rows_quarantined=0,
        bytes_written=written.bytes,
        files=written.files,
        engine=engine.name,
        seconds=round(time.perf_counter() - started, 3),
        detail=written.detail,
        lost=_lost(receipts),
    )


def _ray(config: PipelineConfig) -> Engine:
    from raypipe.engine.rayengine import RayEngine

    return RayEngine(config.engine)


@dataclass(kw_only=True)
class _ConvertPass(Ingest):
    """Pass 1 with the writer at its end: what it wrote counts only once the types have settled."""

    target: Target
    keep: bool = False
    later: SinkStage | None = None
    """What writes the rows once the rules have named those that only all rows together tell; None: nothing waits."""

    def plan(self, source: TableSource) -> Plan:
        schema = source.schema()
        stages: list[Stage] = []
        if self.validator is not None:
            stages += [*self.validator.stages(schema), summary_of(schema)]
        sink = self.target.sink(schema)
        self.keep = sink is None or self._acts_later
        self.later = sink if self._acts_later else None
        return Plan(source=source, stages=tuple(stages if self.keep or sink is None else [*stages, sink]))

    def on_part(self, report: PartReport) -> None:
        for receipt in report.receipts:
            self.target.take(receipt)

    def commit(self, done: Ingested) -> Written:
        """Close the quarantine, then let the rows appear."""
        outcome, aside = done.outcome, done.quarantine
        if self.later is not None and outcome.frame is not None:
            plan = Plan(source=outcome.frame.source, prefix=outcome.frame.prefix, stages=(self.later,))
            outcome.receipts = self.engine.run(self.new_pass(plan, name="write", frame=outcome.frame)).receipts
        if aside.rows:
            aside.close()
        else:
            aside.discard()
        frame = outcome.frame
        blocks: Blocks = frame.iter_blocks if frame is not None else tuple
        return self.target.commit(done.source.schema(), outcome.receipts, blocks)


def _judged(work: _ConvertPass, done: Ingested) -> tuple[str, ...]:
    """What the rules say; DataInvalidError under strict validation if that is anything bad."""
    verdict = _verdict(work.validator, done)
    problems = [*(verdict.errors if verdict else ())]
    aside = done.quarantine.rows
    if work.config.strict_validation and (problems or aside):
        done.quarantine.close()
        shown = "; ".join(problems[:3]) or f"{aside:,} rows could not be placed"
        raise DataInvalidError(
            f"convert: {shown}. Nothing was written; the rows set aside are in {done.quarantine.path}"
        )
    return tuple(problems)


def _verdict(validator: DataValidator | None, done: Ingested) -> ValidationResult | None:
    if validator is None:
        return None
    counts = validator.counts(done.outcome.tallies)
    return validator.verdict(done.profile, counts, {}, done.source.schema(), done.outcome.results)


def _validator(config: PipelineConfig) -> DataValidator | None:
    """What holds the rows to a schema and rules; None where neither was named."""
    if config.validation.schema_path is None and config.validation.rules_path is None:
        return None
    return DataValidator.of(config.validation, config.strict_validation)


def _pass_maker(
    on_progress: Progress | None, cancel: threading.Event | None, journal: Journal | None
) -> Callable[..., Pass]:
    def new_pass(plan: Plan, **options: Any) -> Pass:
        recorded = journal.next_pass(options["name"]) if journal is not None else None
        return Pass(plan, on_progress=on_progress, cancel=cancel or threading.Event(), journal=recorded, **options)

    return new_pass


def _lost(receipts: Iterable[dict[str, Any]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for receipt in receipts:
        for kind, count in receipt.get("notes", {}).items():
            total[kind] = total.get(kind, 0) + count
    return total


def beside(dest: str | Path) -> Path:
    """Where rows set aside go: beside a destination on a disk, else into the working folder."""
    text = str(dest).rstrip("/")
    name = f"{text.rpartition('/')[2].partition('?')[0]}.quarantine.parquet"
    if "://" in text and (is_remote(dest) or not text.startswith("file:")):
        return Path(name)
    place = local_path(text).expanduser()
    return place.with_name(name) if place.parent.is_dir() else Path(name)


def _refuse_itself(source: str | Path, dest: str | Path) -> None:
    if is_remote(source) or is_remote(dest):
        same = str(source).rstrip("/") == str(dest).rstrip("/")
    else:
        same = local_path(source).expanduser().resolve() == local_path(dest).expanduser().resolve()
    if same:
        raise ConfigError(f"convert: {dest} is source and destination. Choose another destination")
