"""A chain of fused stages applied to one part: the same code in a Ray worker and in this process.

Here live the rules about failure inside a part: reads are tried again when the fault may pass, a block on which a
stage raises is halved until the rows at fault stand alone, and those are set aside with the stage's own words.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.blocks.frames import ROW, int64_array, texts_remembered, without_row_numbers
from raypipe.engine.faults import is_fault, say
from raypipe.engine.halving import ROW_FIELD, Bisection, check_promise, failed_rows, joined_asides
from raypipe.engine.inquest import Care, Probe
from raypipe.engine.report import PartReport, StageTally
from raypipe.engine.spare import rows_in, without_rows
from raypipe.errors import RaypipeError, StageFailedError
from raypipe.stage import ASIDE_SCHEMA, MapStage, Part, PartRead, ReduceStage, SinkStage, SourceStage, Stage

READ_TRIES = 3
READ_BACKOFF_S = 0.2
WASTE_FACTOR, WASTE_BYTES = 2, 64 << 10
"""A block that is handed on is copied where its buffers are this much larger than its rows."""
LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Faults of reading that do not pass by waiting."""


@dataclass(frozen=True)
class ChainSpec:
    """All that a worker needs to run a group of stages; pickles small."""

    source: SourceStage | None
    """Reads the part when no block is handed in."""
    prefix: tuple[MapStage, ...] = ()
    """Stages before this chain that an earlier pass already counted: applied after a read, in silence."""
    stages: tuple[Stage, ...] = ()
    schemas: tuple[pa.Schema, ...] = ()
    """Schema after each of `stages`: the promise that each block is held to."""
    block_rows: int | None = None
    hands_on: bool = False
    """Whether the blocks after the last stage are returned."""
    reads_again: bool = False
    """Whether an earlier pass has read the parts: what reading sets aside is counted already."""
    folder: str | None = None
    """Where relative paths of source and stages count from, if it is there; None leaves it to the worker."""


@dataclass
class Chain:
    """The opened stages of a `ChainSpec`."""

    spec: ChainSpec
    _open: dict[int, Callable[..., Any]] = field(default_factory=dict)
    """Identity of a stage -> its function; a stage of the prefix may have the name of a later one."""
    _source_schema: pa.Schema | None = None
    _measured: tuple[pa.Table | None, int] = (None, 0)
    """The block whose bytes were last told, and how many."""
    _process: psutil.Process = field(default_factory=psutil.Process)

    def run(
        self, part: Part, block: pa.Table | None, hand_on: bool, care: Care | None = None
    ) -> tuple[pa.Table | None, PartReport]:
        """Run one part through the chain, reading it first unless its `block` is given.

        Raises
        ------
        StageFailedError
            If a stage breaks its promises, or raises where no row can be set aside for it.
        """
        with texts_remembered():
            return self._run(part, block, hand_on, care or Care())

    def _run(self, part: Part, block: pa.Table | None, hand_on: bool, care: Care) -> tuple[pa.Table | None, PartReport]:
        report = PartReport(part=part.id, file=part.file)
        if block is None:
            block = self._read(part, report)
        stages = self.spec.stages
        whole = next((index for index, stage in enumerate(stages) if isinstance(stage, SinkStage)), len(stages))
        gather = hand_on or whole < len(stages)
        pieces: list[pa.Table] = []
        for piece in _cut(block, _least(self.spec.block_rows, care.block_rows)):
            for index in range(whole):
                piece = self._step(index, self._spared(index, piece, care, report), part, report)
            report.rows_out += piece.num_rows
            if gather:
                pieces.append(piece)
        out = _joined(pieces) if gather else None
        for index in range(whole, len(stages)):  # a sink has one file a part, so that it takes the part whole
            out = self._step(index, self._spared(index, out, care, report), part, report)
            report.rows_out = out.num_rows
        self._put_in_order(report)
        self._measured = (None, 0)
        if out is None or not hand_on:
            return None, report
        out = _compact(out)
        report.bytes_out = out.get_total_buffer_size()
        return out, report

    def probe(self, part: Part, block: pa.Table | None, wanted: Probe) -> tuple[int, int]:
        """Run a span of rows through the first stages and forget what comes out.

        Returns
        -------
        tuple of int and int
            Number of the first row that ran, and one more than that of the last.
        """
        report = PartReport(part=part.id, file=part.file)
        block = self._read(part, report) if block is None else block
        if wanted.first is not None:
            numbers = block[ROW]
            inside = pc.and_(pc.greater_equal(numbers, wanted.first), pc.less(numbers, wanted.stop))
            block = block.filter(inside)
        span = pc.min_max(block[ROW]).as_py()
        for index in range(wanted.stages):
            block = self._step(index, block, part, report)
        return (span["min"], span["max"] + 1) if span["min"] is not None else (0, 0)

    def _spared(self, index: int, block: pa.Table, care: Care, report: PartReport) -> pa.Table:
        """The block without the rows that this stage is known not to survive, which are set aside in its name."""
        rows = care.skip.get(index)
        if not rows:
            return block
        spared = block.filter(rows_in(block, rows))
        if not spared.num_rows:
            return block
        name = self.spec.stages[index].name
        tally = report.tallies.setdefault(name, StageTally())
        tally.rows_in += spared.num_rows
        tally.rows_aside += spared.num_rows
        tally.rows_failed += spared.num_rows
        tally.failure = tally.failure or care.why
        report.asides.append((name, failed_rows(spared, care.why)))
        return without_rows(block, rows)

    def _read(self, part: Part, report: PartReport) -> pa.Table:
        source = self.spec.source
        if source is None:
            raise StageFailedError("engine", part.id, "a chain without a source was given no block")
        started = time.perf_counter()
        read = self._try_read(source, part)
        block = self._numbered(source, part, read)
        report.bytes_read = read.bytes_read
        if self.spec.prefix or self.spec.reads_again:
            silent = PartReport(part=part.id, file=part.file)
            for stage in self.spec.prefix:
                block = self._map(stage, block, part, silent, None)
            return block
        aside = read.aside
        tally = StageTally(rows_in=block.num_rows + aside.num_rows, rows_out=block.num_rows, rows_aside=aside.num_rows)
        tally.bytes_out, tally.seconds = self._bytes_of(block), time.perf_counter() - started
        tally.peak_rss_bytes = self._process.memory_info().rss
        report.tallies[source.name] = tally
        report.lines, report.row_lines, report.notes = read.lines, read.row_lines, dict(read.notes)
        if aside.num_rows:
            report.asides.append((source.name, aside))
        return block

    def _try_read(self, source: SourceStage, part: Part) -> PartRead:
        read = self._opened(source, source.open)
        for attempt in range(1, READ_TRIES + 1):
            try:
                result: PartRead = read(part)
                return result
            except BaseException as error:
                if not is_fault(error):
                    raise
                passing = _may_pass(error)
                if passing and attempt < READ_TRIES:
                    time.sleep(READ_BACKOFF_S * 2 ** (attempt - 1))
                    continue
                if isinstance(error, RaypipeError):
                    raise
                text = f"{part.file}: {say(error)}" + (f" ({READ_TRIES} tries)" if passing else "")
                raise StageFailedError(source.name, part.id, text) from error
        raise AssertionError("the last try returns or raises")

    def _numbered(self, source: SourceStage, part: Part, read: PartRead) -> pa.Table:
        """The block that was read, held to the source's schema, with its row numbers."""
        if not isinstance(read, PartRead) or not isinstance(read.block, pa.Table):
            got = type(read.block if isinstance(read, PartRead) else read).__name__
            raise StageFailedError(source.name, part.id, f"it read {got}; wanted a PartRead with a pyarrow Table")
        if self._source_schema is None:
            self._source_schema = source.schema()
        if ROW in read.block.schema.names:
            raise StageFailedError(source.name, part.id, f"{part.file}: {ROW!r} is a name that the engine keeps")
        check_promise(source.name, part.id, read.block, self._source_schema)
        rows, numbers = read.block.num_rows, read.row_numbers
        if numbers is None:
            numbers = int64_array(np.arange(rows, dtype=np.int64))
        elif len(numbers) != rows or numbers.type != pa.int64():
            text = f"{part.file}: {len(numbers)} row numbers of type {numbers.type} for {rows} rows; wanted int64"
            raise StageFailedError(source.name, part.id, text)
        if not read.aside.schema.equals(ASIDE_SCHEMA):
            text = f"{part.file}: rows set aside have the columns {read.aside.schema.names}; wanted ASIDE_SCHEMA"
            raise StageFailedError(source.name, part.id, text)
        return read.block.append_column(ROW_FIELD, numbers)

    def _opened(self, stage: Stage, opener: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        """The stage's function, opened once per worker."""
        if id(stage) not in self._open:
            with _blame(stage, "(none yet)", "it could not be opened: "):
                self._open[id(stage)] = opener()
        return self._open[id(stage)]

    def _step(self, index: int, block: pa.Table, part: Part, report: PartReport) -> pa.Table:
        started = time.perf_counter()
        stage = self.spec.stages[index]
        tally = report.tallies.setdefault(stage.name, StageTally())
        tally.rows_in += block.num_rows
        if isinstance(stage, MapStage):
            block = self._map(stage, block, part, report, self.spec.schemas[index])
        elif isinstance(stage, ReduceStage):
            with _blame(stage, part.id):
                state = stage.partial(block, part.id)
                known = report.partials.get(stage.name)
                report.partials[stage.name] = state if known is None else stage.merge(known, state)
        elif isinstance(stage, SinkStage):
            write = self._opened(stage, stage.open)
            with _blame(stage, part.id):
                report.receipts.append(write(without_row_numbers(block), part.id))
        else:
            raise StageFailedError(stage.name, part.id, f"{type(stage).__name__} is no kind of stage that a chain runs")
        tally.rows_out += block.num_rows
        tally.bytes_out += self._bytes_of(block)
        tally.seconds += time.perf_counter() - started
        tally.peak_rss_bytes = max(tally.peak_rss_bytes, self._process.memory_info().rss)
        return block

    def _map(
        self, stage: MapStage, block: pa.Table, part: Part, report: PartReport, promised: pa.Schema | None
    ) -> pa.Table:
        fn = self._opened(stage, stage.open)
        call = (lambda piece: fn(piece, part.id)) if stage.needs_part else fn
        sifted, failed = Bisection(stage, part.id, call, promised).run(block)
        vanished = block.num_rows - sifted.block.num_rows - sifted.aside.num_rows - failed.num_rows
        if vanished and not (stage.drops_rows and vanished > 0):
            verb = f"lost {vanished}" if vanished > 0 else f"made {-vanished} more"
            raise StageFailedError(stage.name, part.id, f"{verb} rows of {block.num_rows} without saying where")
        tally = report.tallies.get(stage.name)
        if tally is not None:
            tally.rows_aside += sifted.aside.num_rows + failed.num_rows
            tally.rows_failed += failed.num_rows
            if failed.num_rows and not tally.failure:
                tally.failure = failed["reason"][0].as_py()
            tally.counts.update(sifted.counts)
            report.asides += [(stage.name, rows) for rows in (sifted.aside, failed) if rows.num_rows]
        return sifted.block

    def _bytes_of(self, block: pa.Table) -> int:
        """Bytes of the block, without the rest of a larger one that it may be a slice of.

        `nbytes` looks at every column, which costs as much as a stage on a small block; the size of the buffers is
        known at once, and is believed where a row takes as much as in the block before.
        """
        before, known = self._measured
        if block is before:
            return known
        size = int(block.get_total_buffer_size())
        if before is None or size * before.num_rows > 1.1 * known * block.num_rows:
            size = int(block.nbytes)
        self._measured = block, size
        return size

    def _put_in_order(self, report: PartReport) -> None:
        """Join what each stage set aside, in the order of stages and rows, however the block was cut."""
        if not report.asides:
            return
        found: dict[str, list[pa.Table]] = {name: [] for name in report.tallies}
        for name, rows in report.asides:
            found[name].append(rows)
        read = self.spec.source.name if self.spec.source is not None else None  # sets aside in the order of lines
        report.asides = [
            (name, joined_asides(tables) if name == read else joined_asides(tables).combine_chunks().sort_by("row"))
            for name, tables in found.items()
            if tables
        ]


@contextlib.contextmanager
def _blame(stage: Stage, part: str, prefix: str = "") -> Iterator[None]:
    """Turn what a stage raises into StageFailedError with the stage's words; a RaypipeError speaks for itself."""
    try:
        yield
    except RaypipeError:
        raise
    except BaseException as error:
        if not is_fault(error):
            raise
        raise StageFailedError(stage.name, part, f"{prefix}{say(error)}") from error


def _may_pass(error: BaseException) -> bool:
    """Whether reading again may help; a source may have put the system's error into words of its own."""
    cause = error.__cause__ if isinstance(error, RaypipeError) else error
    return isinstance(cause, OSError) and not isinstance(cause, LASTING)


def _least(*bounds: int | None) -> int | None:
    """The smallest bound that there is."""
    return min((bound for bound in bounds if bound is not None), default=None)


def _cut(block: pa.Table, block_rows: int | None) -> Iterator[pa.Table]:
    if block_rows is None or block.num_rows <= block_rows:
        yield block
        return
    for start in range(0, block.num_rows, block_rows):
        yield block.slice(start, block_rows)


def _joined(pieces: list[pa.Table]) -> pa.Table:
    return pieces[0] if len(pieces) == 1 else pa.concat_tables(pieces).combine_chunks()


def _compact(block: pa.Table) -> pa.Table:
    """The block without what it holds of a larger one: a slice keeps the whole buffers that it was cut from."""
    if block.get_total_buffer_size() <= WASTE_FACTOR * block.nbytes + WASTE_BYTES:
        return block
    return block.take(pa.array(np.arange(block.num_rows, dtype=np.int64)))
