"""A chain of fused stages applied to one part: the same code in a Ray worker and in this process.

Here live the rules about failure inside a part: reads are tried again when the fault may pass, a block on which a
stage raises is halved until the rows at fault stand alone, and those are set aside with the stage's own words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from raypipe.blocks.frames import ROW, without_row_numbers
from raypipe.engine.report import PartReport, StageTally
from raypipe.errors import RaypipeError, StageFailedError
from raypipe.stage import ASIDE_SCHEMA, MapStage, Part, PartRead, ReduceStage, Sifted, SinkStage, SourceStage, Stage

READ_TRIES = 3
READ_BACKOFF_S = 0.2
HOPELESS_ROWS = 64
"""A stage that raised on this many single rows of a block and succeeded on none is itself at fault."""
RAW_CHARS = 10_000
"""A raw row in quarantine is cut after this many characters."""


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


@dataclass
class Chain:
    """The opened stages of a `ChainSpec`."""

    spec: ChainSpec
    _open: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def run(self, part: Part, block: pa.Table | None, hand_on: bool) -> tuple[pa.Table | None, PartReport]:
        """Run one part through the chain, reading it first unless its `block` is given.

        Raises
        ------
        StageFailedError
            If a stage breaks its promises or fails on every row it is tried on.
        """
        report = PartReport(part=part.id, file=part.file)
        if block is None:
            block = self._read(part, report)
        pieces: list[pa.Table] = []
        for piece in _cut(block, self.spec.block_rows):
            for index, stage in enumerate(self.spec.stages):
                piece = self._step(index, stage, piece, part, report)
            pieces.append(piece)
        out = pieces[0] if len(pieces) == 1 else pa.concat_tables(pieces)
        report.rows_out = out.num_rows
        if not hand_on:
            return None, report
        out = out.combine_chunks() if len(pieces) > 1 else out
        report.bytes_out = out.get_total_buffer_size()
        return out, report

    def _read(self, part: Part, report: PartReport) -> pa.Table:
        source = self.spec.source
        if source is None:
            raise StageFailedError("engine", part.id, "a chain without a source was given no block")
        started = time.perf_counter()
        read = self._try_read(source, part)
        block = _numbered(read)
        aside = read.aside
        if self.spec.prefix:
            silent = PartReport(part=part.id, file=part.file)
            for stage in self.spec.prefix:
                block = self._map(stage, block, part, silent, None)
            return block
        tally = StageTally(rows_in=block.num_rows + aside.num_rows, rows_out=block.num_rows, rows_aside=aside.num_rows)
        tally.bytes_out, tally.seconds = block.nbytes, time.perf_counter() - started
        report.tallies[source.name] = tally
        report.bytes_read, report.lines, report.notes = read.bytes_read, read.lines, dict(read.notes)
        if aside.num_rows:
            report.asides.append((source.name, aside))
        return block

    def _try_read(self, source: SourceStage, part: Part) -> PartRead:
        read = self._opened(source, source.open)
        for attempt in range(READ_TRIES):
            try:
                result: PartRead = read(part)
                return result
            except RaypipeError:
                raise
            except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
                raise StageFailedError(source.name, part.id, f"{part.file}: {error}") from error
            except OSError as error:
                if attempt + 1 == READ_TRIES:
                    text = f"{part.file}: {error} ({READ_TRIES} tries)"
                    raise StageFailedError(source.name, part.id, text) from error
                time.sleep(READ_BACKOFF_S * 2**attempt)
            except Exception as error:
                raise StageFailedError(source.name, part.id, f"{part.file}: {_say(error)}") from error
        raise AssertionError("the last try returns or raises")

    def _opened(self, stage: Stage, opener: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        """The stage's function, opened once per worker."""
        if stage.name not in self._open:
            try:
                self._open[stage.name] = opener()
            except RaypipeError:
                raise
            except Exception as error:
                raise StageFailedError(stage.name, "(none yet)", f"it could not be opened: {_say(error)}") from error
        return self._open[stage.name]

    def _step(self, index: int, stage: Stage, block: pa.Table, part: Part, report: PartReport) -> pa.Table:
        started = time.perf_counter()
        tally = report.tallies.setdefault(stage.name, StageTally())
        tally.rows_in += block.num_rows
        if isinstance(stage, MapStage):
            block = self._map(stage, block, part, report, self.spec.schemas[index])
        elif isinstance(stage, ReduceStage):
            self._reduce(stage, block, part, report)
        elif isinstance(stage, SinkStage):
            self._sink(stage, block, part, report)
        else:
            raise StageFailedError(stage.name, part.id, f"{type(stage).__name__} is no kind of stage that a chain runs")
        tally.rows_out += block.num_rows
        tally.bytes_out += block.nbytes
        tally.seconds += time.perf_counter() - started
        return block

    def _reduce(self, stage: ReduceStage, block: pa.Table, part: Part, report: PartReport) -> None:
        try:
            state = stage.partial(block, part.id)
            known = report.partials.get(stage.name)
            report.partials[stage.name] = state if known is None else stage.merge(known, state)
        except RaypipeError:
            raise
        except Exception as error:
            raise StageFailedError(stage.name, part.id, _say(error)) from error

    def _sink(self, stage: SinkStage, block: pa.Table, part: Part, report: PartReport) -> None:
        write = self._opened(stage, stage.open)
        try:
            report.receipts.append(write(without_row_numbers(block), part.id))
        except RaypipeError:
            raise
        except Exception as error:
            raise StageFailedError(stage.name, part.id, _say(error)) from error

    def _map(
        self, stage: MapStage, block: pa.Table, part: Part, report: PartReport, promised: pa.Schema | None
    ) -> pa.Table:
        fn = self._opened(stage, stage.open)
        call = (lambda piece: fn(piece, part.id)) if stage.needs_part else fn
        sifted, failed = _Bisection(stage, part, call).run(block)
        if promised is not None:
            _check_promise(stage, part, sifted.block, promised)
        vanished = block.num_rows - sifted.block.num_rows - sifted.aside.num_rows - failed.num_rows
        if vanished and not (stage.drops_rows and vanished > 0):
            verb = f"lost {vanished}" if vanished > 0 else f"made {-vanished} more"
            raise StageFailedError(stage.name, part.id, f"{verb} rows of {block.num_rows} without saying where")
        tally = report.tallies.get(stage.name)
        if tally is not None:
            tally.rows_aside += sifted.aside.num_rows + failed.num_rows
            tally.rows_failed += failed.num_rows
            tally.counts.update(sifted.counts)
            report.asides += [(stage.name, rows) for rows in (sifted.aside, failed) if rows.num_rows]
        return sifted.block


@dataclass
class _Bisection:
    """Applies a stage's function to a block, halving it where the function raises."""

    stage: MapStage
    part: Part
    fn: Callable[[pa.Table], pa.Table | Sifted]
    _bad_rows: int = 0
    _any_good: bool = False

    def run(self, block: pa.Table) -> tuple[Sifted, pa.Table]:
        """What the stage made of the block, and the rows on which it raised."""
        done: list[Sifted] = []
        failed: list[pa.Table] = []
        self._go(block, done, failed)
        if len(done) == 1:
            return done[0], _concat_asides(failed)
        if not done:
            empty = self.fn(block.slice(0, 0))
            done = [empty if isinstance(empty, Sifted) else Sifted(empty)]
        counts: dict[str, int] = {}
        for piece in done:
            for key, value in piece.counts.items():
                counts[key] = counts.get(key, 0) + value
        merged = pa.concat_tables([piece.block for piece in done])
        return Sifted(merged, _concat_asides([piece.aside for piece in done]), counts), _concat_asides(failed)

    def _go(self, block: pa.Table, done: list[Sifted], failed: list[pa.Table]) -> None:
        try:
            made = self.fn(block)
        except RaypipeError:
            raise
        except Exception as error:
            self._halve(block, error, done, failed)
            return
        sifted = made if isinstance(made, Sifted) else Sifted(made)
        done.append(Sifted(_with_row_numbers(self.stage, self.part, block, sifted), sifted.aside, sifted.counts))
        self._any_good = self._any_good or block.num_rows > 0

    def _halve(self, block: pa.Table, error: Exception, done: list[Sifted], failed: list[pa.Table]) -> None:
        if block.num_rows == 0:
            raise StageFailedError(self.stage.name, self.part.id, f"{_say(error)} (on a block of 0 rows)") from error
        if block.num_rows == 1:
            self._bad_rows += 1
            if self._bad_rows >= HOPELESS_ROWS and not self._any_good:
                text = f"{_say(error)}; it failed on each of the first {self._bad_rows} rows it was tried on alone"
                raise StageFailedError(self.stage.name, self.part.id, text) from error
            failed.append(_failed_row(block, error))
            return
        middle = block.num_rows // 2
        self._go(block.slice(0, middle), done, failed)
        self._go(block.slice(middle), done, failed)


def _cut(block: pa.Table, block_rows: int | None) -> Iterator[pa.Table]:
    if block_rows is None or block.num_rows <= block_rows:
        yield block
        return
    for start in range(0, block.num_rows, block_rows):
        yield block.slice(start, block_rows)


def _numbered(read: PartRead) -> pa.Table:
    numbers = read.row_numbers
    if numbers is None:
        numbers = pa.array(np.arange(read.block.num_rows, dtype=np.int64))
    return read.block.append_column(pa.field(ROW, pa.int64()), numbers)


def _with_row_numbers(stage: MapStage, part: Part, before: pa.Table, made: Sifted) -> pa.Table:
    """The stage's block with `ROW` put back, where a stage that keeps all rows forgot it."""
    if ROW in made.block.column_names or ROW not in before.column_names:
        return made.block
    if made.block.num_rows != before.num_rows:
        text = f"it changed the number of rows and left out the column {ROW!r}, so its rows cannot be told apart"
        raise StageFailedError(stage.name, part.id, text)
    return made.block.append_column(before.schema.field(ROW), before[ROW])


def _check_promise(stage: MapStage, part: Part, block: pa.Table, promised: pa.Schema) -> None:
    have = without_row_numbers(block).schema
    if have.equals(promised):
        return
    got = {field.name: field.type for field in have}
    want = {field.name: field.type for field in promised}
    wrong = [f"{name!r} as {got.get(name)} instead of {kind}" for name, kind in want.items() if got.get(name) != kind]
    wrong += [f"{name!r}, which it did not promise" for name in got if name not in want]
    text = f"it returned {'; '.join(wrong[:5]) or 'its columns in another order'} (see its output_schema)"
    raise StageFailedError(stage.name, part.id, text)


def _failed_row(row: pa.Table, error: Exception) -> pa.Table:
    number = row[ROW][0].as_py() if ROW in row.column_names else None
    values = without_row_numbers(row).to_pylist()[0]
    raw = json.dumps(values, default=str, ensure_ascii=False)[:RAW_CHARS]
    cells = {"row": number, "line": None, "column": None, "value": None, "reason": _say(error), "raw": raw}
    return pa.Table.from_pylist([cells], schema=ASIDE_SCHEMA)


def _concat_asides(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables) if tables else ASIDE_SCHEMA.empty_table()


def _say(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
